//! How people ask for no more texts, language by language. How patterns are written stands in `pattern.rs`.
//!
//! A pattern names a way of asking (a verb and what it is about), not a sentence. Where an everyday sentence contains one,
//! `unless` names what tells them apart.

mod asian;
mod dutch;
mod english;
mod french;
mod german;
mod italian;
mod polish;
mod portuguese;
mod russian;
mod spanish;
mod tagalog;
mod vietnamese;

use super::pattern::Classes;

pub struct Language {
    pub classes: Classes,
    pub asks: &'static [&'static str],
    pub unless: &'static [&'static str],
    pub alone: &'static [&'static str],
    pub whole: &'static [&'static str],
    pub fillers: &'static [&'static str],
    pub signatures: &'static [&'static str],
}

pub const LANGUAGES: &[Language] = &[
    english::RULES,
    spanish::RULES,
    french::RULES,
    german::RULES,
    portuguese::RULES,
    italian::RULES,
    dutch::RULES,
    polish::RULES,
    russian::RULES,
    vietnamese::RULES,
    tagalog::RULES,
    asian::CHINESE,
    asian::JAPANESE,
    asian::KOREAN,
];

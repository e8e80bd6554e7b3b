//! The phrases of each language. `pattern.rs` documents the pattern syntax.
//!
//! A pattern is a way of asking (a verb and its object), not a sentence. Where an everyday sentence contains one,
//! `exceptions` tells them apart: by the object (paper bills, a class), the subject, the place or the time. Other
//! clauses matter as well (`acceptances`): "not at work, text my cell" asks for texts.

mod arabic;
mod asian;
mod dutch;
mod english;
mod french;
mod german;
mod hindi;
mod italian;
mod polish;
mod portuguese;
mod russian;
mod spanish;
mod tagalog;
mod turkish;
mod ukrainian;
mod vietnamese;

use super::pattern::Classes;

pub struct Language {
    pub classes: Classes,
    pub requests: &'static [&'static str],
    pub exceptions: &'static [&'static str],
    pub acceptances: &'static [&'static str],
    pub overriding_requests: &'static [&'static str],
    pub clause_requests: &'static [&'static str],
    pub text_requests: &'static [&'static str],
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
    ukrainian::RULES,
    turkish::RULES,
    arabic::RULES,
    hindi::RULES,
    vietnamese::RULES,
    tagalog::RULES,
    asian::CHINESE,
    asian::JAPANESE,
    asian::KOREAN,
];

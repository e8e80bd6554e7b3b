//! Texts, in and out.

pub mod segments;

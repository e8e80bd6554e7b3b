//! Nouns and verbs of the trade.

pub mod messages;

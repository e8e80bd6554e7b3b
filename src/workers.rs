//! What happens by itself.

pub mod sender;

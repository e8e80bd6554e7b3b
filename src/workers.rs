//! What happens by itself.

pub mod housekeeping;
pub mod notices;
pub mod sender;

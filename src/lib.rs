//! MessageHub, from the doors down to the ground.

pub mod domain;
pub mod phone;
pub mod providers;

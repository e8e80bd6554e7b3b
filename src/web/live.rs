//! Live updates over WebSockets: a room per workspace with its members' connections.

mod allowance;
mod commands;
mod frames;
mod hub;
mod presence;
mod rooms;
pub mod socket;

pub use hub::Hub;
pub use rooms::Caps;

//! What happens is seen at once: a room per workspace, and in it the sockets of its members.

mod allowance;
mod commands;
mod frames;
mod hub;
mod presence;
mod rooms;
pub mod socket;

pub use hub::Hub;
pub use rooms::Caps;

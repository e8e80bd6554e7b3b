//! What happens is seen at once: a room per workspace, and in it the sockets of its members.

mod frames;
mod hub;
pub mod socket;

pub use hub::Hub;

//! Live updates over WebSockets: a room per workspace with its members' connections.

// In layer order: each file uses only those above it.
mod allowance;
mod wire;

mod outbox;

mod connection;
mod frames;
mod push;
mod subscription;

mod rooms;

mod freshness;
mod presence;
mod subjects;

mod access_reloads;
mod delivery;

mod hub;

mod commands;

mod peer;

pub mod socket;

pub use hub::Hub;
pub use rooms::Caps;

//! Every chapter of the contract, from outside.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that cannot go on has failed its test"
)]

mod emulator;
mod twilio;

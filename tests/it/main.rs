//! Every chapter of the contract, from outside: real PostgreSQL, real HTTP, real sockets, a real browser.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that cannot go on has failed its test"
)]

mod emulator;

mod demo;
mod embedded;
mod twilio;

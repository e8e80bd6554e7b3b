//! Every chapter of the contract, from outside: real PostgreSQL, real HTTP, real sockets, a real browser.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that cannot go on has failed its test"
)]

mod emulator;
mod hub;
mod matrix;
mod process;

mod accounts;
mod browser;
mod cli;
mod crash;
mod demo;
mod embedded;
mod fuzz;
mod isolation;
mod live;
mod mail;
mod main_job;
mod people;
mod receive;
mod safety;
mod send;
mod telnyx;
mod twilio;

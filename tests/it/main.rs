//! Every chapter of the contract, from outside: real PostgreSQL, real HTTP, real sockets, a real browser.

#![allow(
    clippy::disallowed_methods,
    reason = "tests and the database run on one machine: its clock will do"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that cannot go on has failed its test"
)]

mod emulator;
mod hub;
mod matrix;
mod numbers;
mod process;

mod access;
mod accounts;
mod activity;
mod addresses;
mod agents;
mod audit;
mod browser;
mod catch_up;
mod chaos;
mod circuit;
mod cli;
mod connection_shares;
mod contacts;
mod crash;
mod credential_access;
mod credits;
mod demo;
mod docs;
mod embedded;
mod failover;
mod fairness;
mod forms;
mod fuzz;
mod http;
mod integrations;
mod isolation;
mod late;
mod live;
mod lost_answers;
mod mail;
mod main_job;
mod media;
mod notes;
mod openapi;
mod opt_outs;
mod pace;
mod people;
mod plans;
mod power;
mod pushes;
mod quarantine;
mod receive;
mod reports;
mod safety;
mod scheduled;
mod search;
mod send;
mod settings;
mod sign_in;
mod sockets;
mod spread;
mod statuses;
mod tables;
mod telnyx;
mod templates;
mod twilio;
mod usage;
mod webhooks;
mod workers;
mod workspaces;

//! Integration tests against real PostgreSQL, HTTP, WebSockets and a browser.

#![allow(
    clippy::disallowed_methods,
    reason = "tests and the database share one clock"
)]
#![allow(clippy::unwrap_used, reason = "a panic in a helper fails its test")]

mod emulator;
mod hub;
mod matrix;
mod numbers;
mod process;
mod source_tree;

mod access;
mod accounts;
mod activity;
mod addresses;
mod agents;
mod audit;
mod browser;
mod catch_up;
mod chaos;
mod circuit_breaker;
mod cli;
mod connection_shares;
mod contacts;
mod crash;
mod credential_access;
mod credits;
mod demo;
mod dependencies;
mod docs;
mod embedded;
mod end_to_end;
mod fail_points;
mod failover;
mod fairness;
mod forms;
mod fuzz;
mod http;
mod integrations;
mod isolation;
mod live;
mod lost_responses;
mod mail;
mod media;
mod notes;
mod openapi;
mod opt_outs;
mod people;
mod plans;
mod pushes;
mod quarantine;
mod receive;
mod reports;
mod round_trips;
mod safety;
mod scheduled;
mod schema;
mod search;
mod send;
mod send_deadline;
mod sender_pool;
mod settings;
mod sign_in;
mod sockets;
mod statuses;
mod system_access;
mod tables;
mod telnyx;
mod templates;
mod throughput;
mod triage;
mod twilio;
mod usage;
mod webhooks;
mod workers;
mod workspaces;

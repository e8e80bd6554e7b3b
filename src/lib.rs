//! MessageHub: a multi-tenant SMS inbox.
//!
//! Modules in layer order; imports point down this page only.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests spawn tasks and use any clock"
    )
)]

// ── program ──
pub mod demo; //      fills an empty database with the demo workspace
pub mod server; //    wires everything below; starts and stops it

// ── adapters: they translate, they decide nothing ──
pub mod web; //       every route; JSON, pages, the WebSocket, the providers' webhooks
pub mod workers; //   background jobs: sender, clock, outcome resolver, media fetcher, reconciler, notifiers, housekeeping

// ── domain: nouns and verbs of the product ──
pub mod domain; //    members ← workspaces ← numbers, credits, contacts ← accounts ← conversations ← messages

pub mod app; //       handles shared by adapters, workers and verbs that call providers

// ── infrastructure: knows no tenant data ──
pub mod addresses; // internal and reserved IP addresses and host names
pub mod clock; //     the current time, by the database's clock
pub mod config; //    all settings, read once
pub mod db; //        WorkspaceTx, SystemTx; migrations; the embedded PostgreSQL
pub mod error; //     the errors of the domain
pub mod events; //    domain events, ids only
pub mod fail_point; //     aborts and panics that tests inject
pub mod files; //     the open file limit and its shares
pub mod fold; //      text folding for search: case and accents removed
pub mod ids; //       an id type per noun
pub mod keys; //      access tokens, encryption of credentials
pub mod language; //  translation of messages
pub mod listing; //   pagination, cursors
pub mod logging; //   the log on standard error; logging never blocks
pub mod mail; //      email
pub mod passwords; // password hashes, a few at a time
pub mod phone; //     phone numbers and other addresses
pub mod pictures; //  file types; metadata removal, thumbnails
pub mod providers; // trait Provider: Twilio, Telnyx, sandbox
pub mod push; //      web push notifications
pub mod sheet; //     reading and writing CSV files
pub mod storage; //   media storage: a directory or a bucket
pub mod unicode; //   the composed form of text (NFC)

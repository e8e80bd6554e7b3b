//! Flushes credential use counts from memory to the database.

use std::time::Duration;

/// A crash loses at most this much.
pub const INTERVAL: Duration = Duration::from_secs(5);

//! Writes down what is counted in memory: what credentials were used for.

use std::time::Duration;

/// A crash forgets no more than this.
pub const INTERVAL: Duration = Duration::from_secs(5);

//! Writes down what is counted in memory: what credentials were used for.

use std::time::Duration;

use crate::domain::integrations::Directory;

/// A crash forgets no more than this.
const EVERY: Duration = Duration::from_secs(5);

/// As long as the server runs.
pub async fn run(directory: Directory) {
    let mut rounds = tokio::time::interval(EVERY);
    loop {
        rounds.tick().await;
        if let Err(error) = directory.write_uses_down().await {
            tracing::warn!(%error, "what credentials were used for has to wait");
        }
    }
}

//! Keeps the books of what texts cost: counts what went through each number, and asks providers what they charged.

use std::time::Duration;

use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::usage;
use crate::error::Result;

const EVERY: Duration = Duration::from_secs(15 * 60);
/// Integrations of one round.
const AT_ONCE: i64 = 20;

#[derive(Clone)]
pub struct Accountant {
    app: App,
    directory: Directory,
}

impl Accountant {
    pub fn new(app: App, directory: Directory) -> Self {
        Self { app, directory }
    }

    /// As long as the server runs; several servers share the work.
    pub async fn run(self) {
        let mut rounds = tokio::time::interval(EVERY);
        loop {
            rounds.tick().await;
            if let Err(error) = self.run_once().await {
                tracing::warn!(%error, "what texts cost could not be counted: trying again");
            }
        }
    }

    pub async fn run_once(&self) -> Result<()> {
        for due in usage::due(&self.app.db, AT_ONCE).await? {
            usage::ask(&self.app.db, &self.directory, &due).await?;
        }
        usage::count(&self.app.db).await
    }
}

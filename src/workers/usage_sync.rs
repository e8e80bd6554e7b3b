//! Usage accounting: counts messages per number, and fetches providers' charges.

use std::sync::Arc;
use std::time::Duration;

use super::leased_calls::LeasedWork;
use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::integrations::calls::{CallCapacity, Limits};
use crate::domain::usage;
use crate::error::Result;
use crate::ids::IntegrationId;

pub const POLL_INTERVAL: Duration = Duration::from_secs(30);

pub struct UsageSync {
    app: App,
    directory: Directory,
}

impl UsageSync {
    pub fn new(app: &App, directory: &Directory) -> Self {
        Self {
            app: app.clone(),
            directory: directory.clone(),
        }
    }
}

impl LeasedWork for UsageSync {
    type Item = usage::Due;

    /// Each integration's days are fetched one after the other.
    const LIMITS: Limits = Limits { all: 16, each: 1 };
    const UPKEEP_INTERVAL: Duration = Duration::from_secs(15 * 60);

    fn integration(due: &usage::Due) -> IntegrationId {
        due.integration
    }

    /// Two round trips.
    async fn lease(&self, capacity: &CallCapacity) -> Result<Vec<usage::Due>> {
        let due = usage::due(&self.app.db, capacity.all.into()).await?;
        let waiting = usage::backlog(&self.app.db).await?;
        metrics::gauge!("messagehub_usage_to_sync").set(waiting as f64);
        Ok(due)
    }

    /// Counts the synced integrations.
    async fn call(&self, due: &usage::Due) -> usize {
        match usage::sync(&self.app.db, &self.directory, due).await {
            Ok(()) => 1,
            Err(error) => {
                tracing::warn!(%error, integration.id = %due.integration, "provider charges could not be synced");
                0
            }
        }
    }

    async fn end_leases(&self, unfinished: &[Arc<usage::Due>]) -> Result<()> {
        let integrations: Vec<_> = unfinished.iter().map(|due| due.integration).collect();
        usage::end_leases(&self.app.db, &integrations).await
    }

    async fn upkeep(&self) -> Result<()> {
        usage::count(&self.app.db).await
    }
}

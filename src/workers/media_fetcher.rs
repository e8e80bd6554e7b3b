//! Downloads inbound media into the store, and deletes media that are no longer referenced.

use std::sync::Arc;
use std::time::Duration;

use super::leased_calls::LeasedWork;
use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::integrations::calls::{CallCapacity, Limits};
use crate::domain::media::{fetch, removed};
use crate::error::Result;
use crate::ids::IntegrationId;

pub const POLL_INTERVAL: Duration = Duration::from_secs(1);
const REMOVED_AT_ONCE: i64 = 50;

pub struct MediaFetcher {
    app: App,
    directory: Directory,
}

impl MediaFetcher {
    pub fn new(app: &App, directory: &Directory) -> Self {
        Self {
            app: app.clone(),
            directory: directory.clone(),
        }
    }
}

impl LeasedWork for MediaFetcher {
    type Item = fetch::Due;

    /// Each download is held in memory.
    const LIMITS: Limits = Limits { all: 16, each: 4 };
    const UPKEEP_INTERVAL: Duration = POLL_INTERVAL;

    fn integration(file: &fetch::Due) -> IntegrationId {
        file.integration
    }

    /// One round trip.
    async fn lease(&self, capacity: &CallCapacity) -> Result<Vec<fetch::Due>> {
        fetch::due(&self.app.db, capacity).await
    }

    /// Counts the stored files.
    async fn call(&self, file: &fetch::Due) -> usize {
        match fetch::fetch(&self.app, &self.directory, file).await {
            Ok(is_stored) => usize::from(is_stored),
            Err(error) => {
                tracing::warn!(%error, media.id = %file.id, "media could not be stored: retrying");
                0
            }
        }
    }

    async fn end_leases(&self, unfinished: &[Arc<fetch::Due>]) -> Result<()> {
        let files: Vec<_> = unfinished
            .iter()
            .map(|file| (file.workspace, file.id))
            .collect();
        fetch::end_leases(&self.app.db, &files).await
    }

    async fn upkeep(&self) -> Result<()> {
        removed::delete_due(&self.app, REMOVED_AT_ONCE).await?;
        Ok(())
    }
}

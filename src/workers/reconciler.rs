//! Compares each active number with its provider's message list, at the start and every five minutes, and ingests texts that
//! were missed during an outage.
//!
//! Numbers are compared concurrently within the limits below: 2,000 numbers, even of one account, take less than five
//! minutes if the provider responds within a second.

use std::sync::Arc;
use std::time::Duration;

use super::leased_calls::LeasedWork;
use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::integrations::calls::{CallCapacity, Limits};
use crate::domain::messages::catch_up;
use crate::domain::messages::receive::Ingest;
use crate::error::Result;
use crate::ids::IntegrationId;

pub const POLL_INTERVAL: Duration = Duration::from_secs(5);

pub struct Reconciler {
    app: App,
    directory: Directory,
    ingest: Ingest,
}

impl Reconciler {
    pub fn new(app: &App, directory: &Directory, ingest: Ingest) -> Self {
        Self {
            app: app.clone(),
            directory: directory.clone(),
            ingest,
        }
    }
}

impl LeasedWork for Reconciler {
    type Item = catch_up::Due;

    /// Providers limit API calls.
    const LIMITS: Limits = Limits { all: 32, each: 8 };
    const UPKEEP_INTERVAL: Duration = Duration::from_secs(30);
    /// A poll looks at every integration.
    const POLL_DELAY: Duration = Duration::from_millis(200);

    fn integration(due: &catch_up::Due) -> IntegrationId {
        due.integration()
    }

    /// One round trip.
    async fn lease(&self, capacity: &CallCapacity) -> Result<Vec<catch_up::Due>> {
        catch_up::due(&self.app.db, capacity).await
    }

    /// Counts the ingested texts.
    async fn call(&self, due: &catch_up::Due) -> usize {
        match catch_up::compare(&self.app, &self.directory, &self.ingest, due).await {
            Ok(Some(0) | None) => 0,
            Ok(Some(texts)) => {
                tracing::warn!(number.id = %due.number(), texts, "ingested texts that were missed");
                metrics::counter!("messagehub_texts_caught_up_total").increment(texts as u64);
                texts
            }
            Err(error) => {
                tracing::warn!(%error, number.id = %due.number(), "a number could not be reconciled with its provider");
                0
            }
        }
    }

    async fn end_leases(&self, unfinished: &[Arc<catch_up::Due>]) -> Result<()> {
        let numbers: Vec<_> = unfinished
            .iter()
            .map(|due| (due.workspace(), due.number()))
            .collect();
        catch_up::end_leases(&self.app.db, &numbers).await
    }

    async fn upkeep(&self) -> Result<()> {
        let backlog = catch_up::backlog(&self.app.db).await?;
        metrics::gauge!("messagehub_numbers_to_compare").set(backlog.numbers as f64);
        metrics::gauge!("messagehub_numbers_to_compare_oldest_seconds").set(backlog.seconds);
        Ok(())
    }
}

//! Usage accounting: counts messages per number, and fetches providers' charges.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::integrations::calls::{Calls, Limits};
use crate::domain::usage;
use crate::error::Result;
use crate::fail_point;
use crate::ids::IntegrationId;

const POLL_INTERVAL: Duration = Duration::from_secs(30);
const COUNT_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// Each integration's days are fetched one after the other.
const LIMITS: Limits = Limits { all: 16, each: 1 };
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct UsageSync {
    app: App,
    directory: Directory,
    leased: Arc<Mutex<HashSet<IntegrationId>>>,
    calls: Arc<tokio::sync::Mutex<Calls<()>>>,
}

impl UsageSync {
    pub fn new(app: App, directory: Directory) -> Self {
        Self {
            app,
            directory,
            leased: Arc::default(),
            calls: Arc::new(tokio::sync::Mutex::new(Calls::new(LIMITS))),
        }
    }

    /// Runs until `stopping`; servers share the work. A hanging provider blocks neither other providers nor the
    /// counting.
    pub async fn run(self, stopping: CancellationToken) -> Result<()> {
        let mut calls = self.calls.lock().await;
        let mut ticks = interval(POLL_INTERVAL);
        let mut counted_at: Option<Instant> = None;
        loop {
            tokio::select! {
                () = stopping.cancelled() => break,
                _ = ticks.tick() => {}
                Some(_) = calls.next() => {}
            }
            while calls.try_next().is_some() {}
            fail_point::panic_at("usage_sync");
            self.begin(&mut calls).await?;
            if counted_at.is_none_or(|at| at.elapsed() >= COUNT_INTERVAL) {
                usage::count(&self.app.db).await?;
                counted_at = Some(Instant::now());
            }
        }
        calls.abort().await;
        let unfinished: Vec<_> = self.leased().drain().collect();
        if !unfinished.is_empty() {
            let released = usage::release(&self.app.db, &unfinished);
            let _ = tokio::time::timeout(RELEASE_TIMEOUT, released).await;
        }
        Ok(())
    }

    /// Fetches everything that is due, and counts. For tests.
    pub async fn run_once(&self) -> Result<()> {
        let mut calls = Calls::new(LIMITS);
        loop {
            self.begin(&mut calls).await?;
            if calls.next().await.is_none() {
                break;
            }
        }
        usage::count(&self.app.db).await
    }

    /// Leases as many due integrations as there is room for. Two round trips.
    async fn begin(&self, calls: &mut Calls<()>) -> Result<()> {
        let room = calls.capacity();
        if room.all == 0 {
            return Ok(());
        }
        for due in usage::due(&self.app.db, i64::from(room.all)).await? {
            self.leased().insert(due.integration);
            let usage_sync = self.clone();
            calls.spawn(due.integration, async move {
                let synced = usage::sync(&usage_sync.app.db, &usage_sync.directory, &due).await;
                usage_sync.leased().remove(&due.integration);
                if let Err(error) = synced {
                    tracing::warn!(%error, integration.id = %due.integration, "provider charges could not be synced");
                }
            });
        }
        let waiting = usage::backlog(&self.app.db).await?;
        metrics::gauge!("messagehub_usage_to_sync").set(waiting as f64);
        Ok(())
    }

    fn leased(&self) -> MutexGuard<'_, HashSet<IntegrationId>> {
        self.leased.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

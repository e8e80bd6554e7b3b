//! Downloads inbound media into the store, and deletes media that are no longer referenced.
//!
//! Runs on every server; a lease keeps the others from a file in progress.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::integrations::calls::{Calls, Limits};
use crate::domain::media::{fetch, removed};
use crate::error::Result;
use crate::fail_point;
use crate::ids::{MediaId, WorkspaceId};

const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Concurrent downloads, overall and per integration; each is held in memory.
const LIMITS: Limits = Limits { all: 16, each: 4 };
const REMOVED_AT_ONCE: i64 = 50;
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct MediaFetcher {
    app: App,
    directory: Directory,
    leased: Arc<Mutex<HashMap<MediaId, WorkspaceId>>>,
    calls: Arc<tokio::sync::Mutex<Calls<bool>>>,
}

impl MediaFetcher {
    pub fn new(app: App, directory: Directory) -> Self {
        Self {
            app,
            directory,
            leased: Arc::default(),
            calls: Arc::new(tokio::sync::Mutex::new(Calls::new(LIMITS))),
        }
    }

    /// Runs until `stopping`, then releases its leases. Also polls whenever a download ends.
    pub async fn run(self, stopping: CancellationToken) -> Result<()> {
        let mut calls = self.calls.lock().await;
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut cleaned_at = Instant::now();
        loop {
            tokio::select! {
                () = stopping.cancelled() => break,
                _ = ticks.tick() => {}
                Some(_) = calls.next() => {}
            }
            while calls.try_next().is_some() {}
            fail_point::panic_at("media_fetcher");
            self.begin(&mut calls).await?;
            if cleaned_at.elapsed() >= POLL_INTERVAL {
                removed::delete_due(&self.app, REMOVED_AT_ONCE).await?;
                cleaned_at = Instant::now();
            }
        }
        calls.abort().await;
        let unfinished: Vec<_> = self.leased().drain().collect();
        let unfinished: Vec<_> = unfinished
            .into_iter()
            .map(|(id, workspace)| (workspace, id))
            .collect();
        if !unfinished.is_empty() {
            let released = fetch::release(&self.app.db, &unfinished);
            let _ = tokio::time::timeout(RELEASE_TIMEOUT, released).await;
        }
        Ok(())
    }

    /// Downloads and deletes everything that is due; returns the number of stored files. For tests.
    pub async fn run_once(&self) -> Result<usize> {
        let mut kept = 0;
        let mut calls = Calls::new(LIMITS);
        loop {
            self.begin(&mut calls).await?;
            match calls.next().await {
                Some(done) => kept += usize::from(done.unwrap_or(false)),
                None => break,
            }
        }
        while removed::delete_due(&self.app, REMOVED_AT_ONCE).await? > 0 {}
        Ok(kept)
    }

    /// Leases as many due files as there is room for. One round trip.
    async fn begin(&self, calls: &mut Calls<bool>) -> Result<()> {
        let room = calls.capacity();
        if room.all == 0 {
            return Ok(());
        }
        for file in fetch::due(&self.app.db, &room).await? {
            self.leased().insert(file.id, file.workspace);
            let media_fetcher = self.clone();
            calls.spawn(file.integration, async move {
                let fetched = fetch::fetch(&media_fetcher.app, &media_fetcher.directory, &file).await;
                media_fetcher.leased().remove(&file.id);
                fetched.unwrap_or_else(|error| {
                    tracing::warn!(%error, media.id = %file.id, "media could not be stored: retrying");
                    false
                })
            });
        }
        Ok(())
    }

    fn leased(&self) -> MutexGuard<'_, HashMap<MediaId, WorkspaceId>> {
        self.leased.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Compares every number with its provider's message list, at the start and every five minutes, and ingests texts that
//! were missed during an outage.
//!
//! Numbers are compared concurrently within the limits below: 2,000 numbers, even of one account, take less than five
//! minutes if the provider responds within a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::integrations::calls::{Calls, Limits};
use crate::domain::messages::catch_up;
use crate::domain::messages::receive::Ingest;
use crate::error::Result;
use crate::fail_point;
use crate::ids::{NumberId, WorkspaceId};

const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Delay between polls while there is more to do: a poll looks at every integration.
const POLL_WHILE_BUSY: Duration = Duration::from_millis(200);
/// Concurrent comparisons, overall and per integration: providers limit API calls.
const LIMITS: Limits = Limits { all: 32, each: 8 };
const METRICS_INTERVAL: Duration = Duration::from_secs(30);
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct Reconciler {
    app: App,
    directory: Directory,
    ingest: Ingest,
    leased: Arc<Mutex<HashMap<NumberId, WorkspaceId>>>,
    calls: Arc<tokio::sync::Mutex<Calls<usize>>>,
}

impl Reconciler {
    pub fn new(app: App, directory: Directory, ingest: Ingest) -> Self {
        Self {
            app,
            directory,
            ingest,
            leased: Arc::default(),
            calls: Arc::new(tokio::sync::Mutex::new(Calls::new(LIMITS))),
        }
    }

    /// Runs until `stopping`, then releases its leases.
    pub async fn run(self, stopping: CancellationToken) -> Result<()> {
        let mut calls = self.calls.lock().await;
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut measured_at: Option<Instant> = None;
        loop {
            tokio::select! {
                () = stopping.cancelled() => break,
                _ = ticks.tick() => {}
                Some(_) = calls.next() => sleep(POLL_WHILE_BUSY).await,
            }
            while calls.try_next().is_some() {}
            fail_point::panic_at("reconciler");
            self.begin(&mut calls).await?;
            if measured_at.is_none_or(|at| at.elapsed() >= METRICS_INTERVAL) {
                self.measure().await?;
                measured_at = Some(Instant::now());
            }
        }
        calls.abort().await;
        let unfinished: Vec<_> = self.leased().drain().collect();
        let unfinished: Vec<_> = unfinished
            .into_iter()
            .map(|(id, workspace)| (workspace, id))
            .collect();
        if !unfinished.is_empty() {
            let released = catch_up::release(&self.app.db, &unfinished);
            let _ = tokio::time::timeout(RELEASE_TIMEOUT, released).await;
        }
        Ok(())
    }

    /// Compares everything that is due; returns the number of ingested texts. For tests.
    pub async fn run_once(&self) -> Result<usize> {
        let mut ingested = 0;
        let mut calls = Calls::new(LIMITS);
        loop {
            self.begin(&mut calls).await?;
            match calls.next().await {
                Some(texts) => ingested += texts.unwrap_or(0),
                None => break,
            }
        }
        self.measure().await?;
        Ok(ingested)
    }

    /// Leases as many due numbers as there is room for. One round trip.
    async fn begin(&self, calls: &mut Calls<usize>) -> Result<()> {
        let room = calls.capacity();
        if room.all == 0 {
            return Ok(());
        }
        for due in catch_up::due(&self.app.db, &room).await? {
            self.leased().insert(due.number(), due.workspace());
            let reconciler = self.clone();
            calls.spawn(due.integration(), async move {
                let texts = reconciler.compare(&due).await;
                reconciler.leased().remove(&due.number());
                texts
            });
        }
        Ok(())
    }

    async fn compare(&self, due: &catch_up::Due) -> usize {
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

    async fn measure(&self) -> Result<()> {
        let backlog = catch_up::backlog(&self.app.db).await?;
        metrics::gauge!("messagehub_numbers_to_compare").set(backlog.numbers as f64);
        metrics::gauge!("messagehub_numbers_to_compare_oldest_seconds").set(backlog.seconds);
        Ok(())
    }

    fn leased(&self) -> MutexGuard<'_, HashMap<NumberId, WorkspaceId>> {
        self.leased.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

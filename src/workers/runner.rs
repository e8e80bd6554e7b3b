//! Starts and stops the workers.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;

use super::leased_calls::{LeasedCalls, LeasedWork};
use super::supervisor::{Health, every, keep_running};
use crate::error::Result;

/// A background job. The supervisor restarts it when it fails or panics.
pub struct Worker {
    name: &'static str,
    schedule: Schedule,
    run: Box<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>,
}

enum Schedule {
    Every(Duration),
    UntilStopped,
    /// Until stopped; then the server waits until its leases are ended.
    WithLeases,
}

impl Worker {
    /// Calls `run_once` every `interval`.
    pub fn every<C, Run>(
        name: &'static str,
        interval: Duration,
        context: &C,
        run_once: impl Fn(C) -> Run + Send + Sync + 'static,
    ) -> Self
    where
        C: Clone + Send + Sync + 'static,
        Run: Future<Output = Result<()>> + Send + 'static,
    {
        let context = context.clone();
        Self {
            name,
            schedule: Schedule::Every(interval),
            run: Box::new(move || run_once(context.clone()).boxed()),
        }
    }

    /// Waits for its work by itself.
    pub fn continuous<C, Run>(
        name: &'static str,
        context: &C,
        run: impl Fn(C) -> Run + Send + Sync + 'static,
    ) -> Self
    where
        C: Clone + Send + Sync + 'static,
        Run: Future<Output = ()> + Send + 'static,
    {
        let context = context.clone();
        Self {
            name,
            schedule: Schedule::UntilStopped,
            run: Box::new(move || run(context.clone()).map(Ok).boxed()),
        }
    }

    /// Leases due work at least every `interval`, and calls providers.
    pub fn leasing<W: LeasedWork>(
        name: &'static str,
        interval: Duration,
        calls: &LeasedCalls<W>,
    ) -> Self {
        let calls = calls.clone();
        Self {
            name,
            schedule: Schedule::WithLeases,
            run: Box::new(move || calls.clone().run(interval).boxed()),
        }
    }
}

/// The workers that have been started.
#[derive(Default)]
pub struct Running {
    pub health: Health,
    with_leases: JoinSet<()>,
    others: JoinSet<()>,
}

impl Running {
    pub fn start(&mut self, workers: Vec<Worker>) {
        for Worker {
            name,
            schedule,
            run,
        } in workers
        {
            let health = self.health.clone();
            match schedule {
                Schedule::Every(interval) => self.others.spawn(every(health, name, interval, run)),
                Schedule::UntilStopped => self.others.spawn(keep_running(health, name, run)),
                Schedule::WithLeases => self.with_leases.spawn(keep_running(health, name, run)),
            };
        }
    }

    /// Waits until the workers that hold leases have ended them.
    pub async fn wait_for_leases(&mut self) {
        while self.with_leases.join_next().await.is_some() {}
    }

    pub async fn abort(&mut self) {
        self.with_leases.shutdown().await;
        self.others.shutdown().await;
    }
}

//! Restarts workers that panic or fail, with back-off, and counts failures. `/readyz` reports workers that stay down.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder, Retryable};
use futures_util::FutureExt;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::error::Result;
use crate::fail_point;

/// Downtime after which a worker is reported.
const DOWN_THRESHOLD: Duration = Duration::from_secs(30);
/// Uptime after which a worker counts as up again: longer than it takes to notice that the database is unavailable.
const HEALTHY_AFTER: Duration = Duration::from_secs(5);
/// Without end.
const RESTART_BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_secs(1))
    .with_max_delay(Duration::from_secs(5))
    .without_max_times();

/// The workers that are down, and since when.
#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<HashMap<&'static str, Instant>>>);

impl Health {
    pub fn down_for_long(&self) -> Vec<&'static str> {
        self.down_for(DOWN_THRESHOLD)
    }

    fn down_for(&self, threshold: Duration) -> Vec<&'static str> {
        let down = self.down();
        let down = down.iter().filter(|(_, since)| since.elapsed() > threshold);
        let mut names: Vec<_> = down.map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
    }

    fn mark_up(&self, worker: &'static str) {
        self.down().remove(worker);
        metrics::gauge!("messagehub_worker_up", "worker" => worker).set(1.0);
    }

    fn mark_down(&self, worker: &'static str, failure: &Failure) {
        self.down().entry(worker).or_insert_with(Instant::now);
        metrics::gauge!("messagehub_worker_up", "worker" => worker).set(0.0);
        let cause = match failure {
            Failure::Panic => "panic",
            Failure::Error(_) => "error",
        };
        metrics::counter!("messagehub_worker_failures_total", "worker" => worker, "cause" => cause)
            .increment(1);
        match failure {
            Failure::Panic => tracing::error!(worker, "a worker panicked: restarting it"),
            Failure::Error(error) => {
                tracing::warn!(worker, %error, "a worker failed: restarting it")
            }
        }
    }

    fn down(&self) -> MutexGuard<'_, HashMap<&'static str, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Failure {
    /// The panic hook has logged it.
    Panic,
    Error(crate::error::Error),
}

/// Runs `worker` until it returns `Ok`; restarts it after a panic or an error.
pub async fn keep_running<Run: Future<Output = Result<()>>>(
    health: Health,
    name: &'static str,
    worker: impl Fn() -> Run,
) {
    let mut backoff = RESTART_BACKOFF.build();
    health.mark_up(name);
    loop {
        let mut run = Box::pin(attempt(name, &worker));
        let ended = tokio::select! {
            ended = &mut run => ended,
            () = sleep(HEALTHY_AFTER) => {
                health.mark_up(name);
                backoff = RESTART_BACKOFF.build();
                run.await
            }
        };
        match ended {
            Ok(()) => return,
            Err(failure) => health.mark_down(name, &failure),
        }
        sleep(backoff.next().expect("the back-off has no end")).await;
    }
}

/// Runs `work` every `period` until the server stops; retries after a failure.
pub async fn every<Run: Future<Output = Result<()>>>(
    health: Health,
    name: &'static str,
    period: Duration,
    work: impl Fn() -> Run,
) {
    let mut rounds = interval(period);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        let done = (|| attempt(name, &work))
            .retry(RESTART_BACKOFF)
            .notify(|failure, _| health.mark_down(name, failure))
            .await;
        if done.is_ok() {
            health.mark_up(name);
        }
    }
}

async fn attempt<Run: Future<Output = Result<()>>>(
    name: &str,
    work: impl Fn() -> Run,
) -> Result<(), Failure> {
    let work = async {
        fail_point::panic_at(name);
        work().await
    };
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => done.map_err(Failure::Error),
        Err(_) => Err(Failure::Panic),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::language::Message;

    fn broken() -> Result<()> {
        std::panic::resume_unwind(Box::new("broken"))
    }

    #[tokio::test]
    async fn a_worker_that_panics_or_fails_is_started_again_and_is_down_meanwhile() {
        let (health, starts) = (Health::default(), Arc::new(AtomicUsize::new(0)));
        let (again, well) = (Arc::clone(&starts), Arc::new(tokio::sync::Notify::new()));
        let done = Arc::clone(&well);
        let running = tokio::spawn(keep_running(health.clone(), "one", move || {
            let (start, well) = (again.fetch_add(1, Ordering::SeqCst), Arc::clone(&done));
            async move {
                match start {
                    0 => broken(),
                    1 => Err(crate::error::Error::NotFound(Message::new("the table"))),
                    _ => {
                        well.notified().await;
                        Ok(())
                    }
                }
            }
        }));
        let down = || health.down_for(Duration::ZERO);
        while starts.load(Ordering::SeqCst) < 3 {
            sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(down(), ["one"], "down until it has run for a while");
        assert!(health.down_for_long().is_empty(), "not down for long");
        well.notify_one();
        running.await.expect("it ends when the worker does");
        assert_eq!(starts.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn work_that_succeeds_again_is_well_at_once() {
        let (health, rounds) = (Health::default(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&rounds);
        let _running = tokio::spawn(every(
            health.clone(),
            "clock",
            Duration::from_millis(10),
            move || {
                let round = counted.fetch_add(1, Ordering::SeqCst);
                async move { if round == 1 { broken() } else { Ok(()) } }
            },
        ));
        let down = || health.down_for(Duration::ZERO);
        while down().is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        while rounds.load(Ordering::SeqCst) < 4 {
            sleep(Duration::from_millis(5)).await;
        }
        assert!(down().is_empty());
    }
}

//! The loop of workers that lease due items in the database and call a provider for each.
//!
//! It runs on every server; leases keep the servers apart. When the server stops, the leases of items without a result
//! are ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::domain::integrations::calls::{CallCapacity, Calls, Limits};
use crate::error::Result;
use crate::events::{Bus, Event};
use crate::ids::IntegrationId;

/// The poll interval while all slots are taken: a slow call gives its slot back before it ends.
const POLL_WHILE_FULL: Duration = Duration::from_millis(500);
/// How long ending leases may take when the server stops. What is not ended is due when its lease expires.
const END_LEASES_TIMEOUT: Duration = Duration::from_millis(800);

/// What one such worker does. Its interval and its name are in the list of workers.
pub trait LeasedWork: Send + Sync + 'static {
    type Item: Send + Sync + 'static;

    /// Concurrent calls, overall and per integration.
    const LIMITS: Limits;
    /// The minimum delay between two runs of `upkeep`.
    const UPKEEP_INTERVAL: Duration = Duration::ZERO;
    /// How long to wait after a call has ended, so that one poll covers several ended calls.
    const POLL_DELAY: Duration = Duration::ZERO;
    /// How long calls in flight may take when the server stops.
    const CALL_DRAIN: Duration = Duration::ZERO;
    /// Events after which items are due before the next poll.
    const WAKES_ON: Option<fn(&Event) -> bool> = None;

    fn integration(item: &Self::Item) -> IntegrationId;

    /// Leases due items, as many as there is room for.
    fn lease(
        &self,
        capacity: &CallCapacity,
    ) -> impl Future<Output = Result<Vec<Self::Item>>> + Send;

    /// Calls the provider and records the result. Returns how many results this counts as.
    fn call(&self, item: &Self::Item) -> impl Future<Output = usize> + Send;

    /// Called when `call` has panicked. By default the item is due again when its lease expires.
    fn call_panicked(&self, _: &Self::Item) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Ends the leases of calls that the stop has cut off.
    fn end_leases(&self, unfinished: &[Arc<Self::Item>])
    -> impl Future<Output = Result<()>> + Send;

    /// Work beside the calls: metrics, repairs.
    fn upkeep(&self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// The time until an item is due; `None` if that is unknown.
    fn until_next(&self) -> impl Future<Output = Result<Option<Duration>>> + Send {
        async { Ok(None) }
    }
}

/// Runs a `LeasedWork`. Clones share their calls.
pub struct LeasedCalls<W: LeasedWork>(Arc<Shared<W>>);

struct Shared<W: LeasedWork> {
    work: W,
    bus: Bus,
    stopping: CancellationToken,
    /// The items whose call has not ended.
    unfinished: Mutex<Vec<Arc<W::Item>>>,
    /// Survives a panic of the worker, so that calls in flight continue.
    calls: tokio::sync::Mutex<Calls<usize>>,
}

impl<W: LeasedWork> Clone for LeasedCalls<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: LeasedWork> LeasedCalls<W> {
    pub fn new(work: W, bus: &Bus, stopping: &CancellationToken) -> Self {
        Self(Arc::new(Shared {
            work,
            bus: bus.clone(),
            stopping: stopping.clone(),
            unfinished: Mutex::default(),
            calls: tokio::sync::Mutex::new(Calls::new(W::LIMITS)),
        }))
    }

    /// Runs until the server stops. Polls every `interval`, when a call ends, and when an event or `until_next` says so.
    pub async fn run(self, interval: Duration) -> Result<()> {
        let mut calls = self.0.calls.lock().await;
        let mut wake_ups = WakeUps::new(W::WAKES_ON, &self.0.bus);
        let mut next_poll = Instant::now();
        let mut next_upkeep = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = self.0.stopping.cancelled() => break,
                Some(_) = calls.next() => sleep(W::POLL_DELAY).await,
                () = wake_ups.next() => {}
                () = sleep_until(next_poll) => {}
            }
            while calls.try_next().is_some() {}
            // A failure of one must not block the other.
            let upkeep = self.upkeep_from(&mut next_upkeep).await;
            let until_next = self.begin(&mut calls).await?;
            upkeep?;
            next_poll = Instant::now() + until_next.unwrap_or(interval).min(interval);
        }
        self.finish(&mut calls).await;
        Ok(())
    }

    /// Does everything that is due, and returns how much that was. For tests.
    pub async fn run_once(&self) -> Result<usize> {
        let mut results = 0;
        loop {
            let mut calls = Calls::new(W::LIMITS);
            self.0.work.upkeep().await?;
            self.begin(&mut calls).await?;
            if calls.is_empty() {
                return Ok(results);
            }
            while let Some(ended) = calls.next().await {
                results += ended.unwrap_or(0);
            }
        }
    }

    async fn upkeep_from(&self, due: &mut Instant) -> Result<()> {
        if Instant::now() < *due {
            return Ok(());
        }
        self.0.work.upkeep().await?;
        *due = Instant::now() + W::UPKEEP_INTERVAL;
        Ok(())
    }

    /// Starts as many calls as the limits allow. Returns the time until the next poll, if it is known.
    async fn begin(&self, calls: &mut Calls<usize>) -> Result<Option<Duration>> {
        let capacity = calls.capacity();
        if capacity.all == 0 {
            return Ok(Some(POLL_WHILE_FULL));
        }
        for item in self.0.work.lease(&capacity).await? {
            let (this, item) = (self.clone(), Arc::new(item));
            self.unfinished().push(Arc::clone(&item));
            calls.spawn(W::integration(&item), async move { this.call(&item).await });
        }
        self.0.work.until_next().await
    }

    async fn call(&self, item: &Arc<W::Item>) -> usize {
        let work = &self.0.work;
        // The panic hook logs a panic.
        let ended = std::panic::AssertUnwindSafe(work.call(item)).catch_unwind();
        let results = match ended.await {
            Ok(results) => results,
            Err(_) => {
                work.call_panicked(item).await;
                0
            }
        };
        self.unfinished().retain(|other| !Arc::ptr_eq(other, item));
        results
    }

    async fn finish(&self, calls: &mut Calls<usize>) {
        let _ = timeout(W::CALL_DRAIN, async {
            while calls.next().await.is_some() {}
        })
        .await;
        calls.abort().await;
        let unfinished = std::mem::take(&mut *self.unfinished());
        if unfinished.is_empty() {
            return;
        }
        if let Ok(Err(error)) =
            timeout(END_LEASES_TIMEOUT, self.0.work.end_leases(&unfinished)).await
        {
            tracing::warn!(%error, "leases could not be ended: they expire");
        }
    }

    fn unfinished(&self) -> MutexGuard<'_, Vec<Arc<W::Item>>> {
        self.0
            .unfinished
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

type Wakes = fn(&Event) -> bool;

/// The events that wake a worker.
struct WakeUps(Option<(Receiver<Event>, Wakes)>);

impl WakeUps {
    fn new(wakes_on: Option<Wakes>, bus: &Bus) -> Self {
        Self(wakes_on.map(|wakes| (bus.listen_to_others(), wakes)))
    }

    /// Waits for an event, and skips the others received by then: one poll covers them. Cancel-safe.
    async fn next(&mut self) {
        let Some((events, wakes)) = &mut self.0 else {
            return std::future::pending().await;
        };
        loop {
            match events.recv().await {
                Ok(event) if !wakes(&event) => {}
                Ok(_) | Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
        while matches!(events.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Call {
        Ends,
        Hangs,
        Panics,
    }

    #[derive(Default)]
    struct Fake {
        due: Mutex<Vec<Call>>,
        panicked: Mutex<Vec<Call>>,
        ended: Mutex<Vec<Call>>,
        leased: Notify,
    }

    impl LeasedWork for Arc<Fake> {
        type Item = Call;

        const LIMITS: Limits = Limits { all: 10, each: 10 };
        const WAKES_ON: Option<fn(&Event) -> bool> = Some(|event| matches!(event, Event::Queued));

        fn integration(_: &Call) -> IntegrationId {
            IntegrationId::new()
        }

        async fn lease(&self, _: &CallCapacity) -> Result<Vec<Call>> {
            let due = std::mem::take(&mut *self.due.lock().unwrap());
            if !due.is_empty() {
                self.leased.notify_one();
            }
            Ok(due)
        }

        async fn call(&self, call: &Call) -> usize {
            match call {
                Call::Ends => 1,
                Call::Hangs => std::future::pending().await,
                Call::Panics => std::panic::resume_unwind(Box::new("broken")),
            }
        }

        async fn call_panicked(&self, call: &Call) {
            self.panicked.lock().unwrap().push(*call);
        }

        async fn end_leases(&self, unfinished: &[Arc<Call>]) -> Result<()> {
            let mut ended = self.ended.lock().unwrap();
            ended.extend(unfinished.iter().map(|call| **call));
            Ok(())
        }
    }

    fn started(due: &[Call]) -> (Arc<Fake>, Bus, CancellationToken, LeasedCalls<Arc<Fake>>) {
        let (work, bus, stopping) = (
            Arc::new(Fake::default()),
            Bus::new(),
            CancellationToken::new(),
        );
        *work.due.lock().unwrap() = due.to_vec();
        let calls = LeasedCalls::new(Arc::clone(&work), &bus, &stopping);
        (work, bus, stopping, calls)
    }

    #[tokio::test]
    async fn stop_ends_the_leases_of_unfinished_calls() {
        let (work, _bus, stopping, calls) = started(&[Call::Ends, Call::Hangs]);
        let running = tokio::spawn(calls.clone().run(Duration::from_millis(10)));
        work.leased.notified().await;
        while calls.unfinished().len() > 1 {
            tokio::task::yield_now().await;
        }

        stopping.cancel();
        running.await.unwrap().unwrap();

        assert_eq!(*work.ended.lock().unwrap(), [Call::Hangs]);
    }

    #[tokio::test]
    async fn panicked_call_is_reported_and_keeps_its_lease() {
        let (work, _bus, _stopping, calls) = started(&[Call::Panics, Call::Ends]);

        assert_eq!(calls.run_once().await.unwrap(), 1);

        assert_eq!(*work.panicked.lock().unwrap(), [Call::Panics]);
        assert!(calls.unfinished().is_empty());
    }

    #[tokio::test]
    async fn event_wakes_the_worker_before_the_next_poll() {
        let (work, bus, _stopping, calls) = started(&[Call::Ends]);
        let running = tokio::spawn(calls.run(Duration::from_secs(3600)));
        work.leased.notified().await;
        work.due.lock().unwrap().push(Call::Ends);

        bus.publish(Event::Queued);

        timeout(Duration::from_secs(5), work.leased.notified())
            .await
            .expect("the second item is leased");
        running.abort();
    }
}

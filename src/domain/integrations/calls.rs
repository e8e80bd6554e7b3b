//! Calls to providers, limited in total and per integration: a hanging provider delays only its own integrations.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::ids::IntegrationId;

/// A call that takes longer than this does not count against the total limit.
const SLOW_AFTER: Duration = Duration::from_secs(2);
/// All calls, slow ones included, are at most this many times the total limit.
const MAX_TIMES: usize = 4;
/// A call that takes longer than this is hanging.
const HANGING_AFTER: Duration = Duration::from_secs(10);
/// The limit of an integration while one of its calls hangs, or after its last call did.
const CAPACITY_WHILE_HANGING: usize = 2;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub all: usize,
    pub each: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallCapacity {
    pub all: i32,
    /// For an integration that is not in `integrations`.
    pub each: i32,
    pub integrations: Vec<IntegrationId>,
    /// For each of `integrations`, in the same order.
    pub left: Vec<i32>,
}

/// Tasks that each call one integration's provider.
pub struct Calls<T> {
    limits: Limits,
    tasks: JoinSet<T>,
    started: HashMap<Id, (IntegrationId, Instant)>,
    hanging: HashSet<IntegrationId>,
}

impl<T: Send + 'static> Calls<T> {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            tasks: JoinSet::new(),
            started: HashMap::new(),
            hanging: HashSet::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub fn spawn(
        &mut self,
        integration: IntegrationId,
        call: impl Future<Output = T> + Send + 'static,
    ) {
        let task = self.tasks.spawn(call);
        self.started
            .insert(task.id(), (integration, Instant::now()));
    }

    pub fn capacity(&self) -> CallCapacity {
        let mut under_way: HashMap<IntegrationId, usize> = HashMap::new();
        let mut hanging = self.hanging.clone();
        let mut slow = 0;
        for (integration, started) in self.started.values() {
            *under_way.entry(*integration).or_default() += 1;
            if started.elapsed() > HANGING_AFTER {
                hanging.insert(*integration);
            }
            slow += usize::from(started.elapsed() > SLOW_AFTER);
        }
        let fresh = self.started.len() - slow;
        let all = self
            .limits
            .all
            .saturating_sub(fresh)
            .min((self.limits.all * MAX_TIMES).saturating_sub(self.started.len()));
        for integration in &hanging {
            under_way.entry(*integration).or_default();
        }
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let (integrations, left) = under_way
            .into_iter()
            .map(|(integration, calls)| {
                let most = match hanging.contains(&integration) {
                    true => CAPACITY_WHILE_HANGING,
                    false => self.limits.each,
                };
                (integration, count(most.saturating_sub(calls)))
            })
            .unzip();
        CallCapacity {
            all: count(all),
            each: count(self.limits.each),
            integrations,
            left,
        }
    }

    /// The next call that ends; `None` if none is running. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<T, JoinError>> {
        let ended = self.tasks.join_next_with_id().await?;
        Some(self.ended(ended))
    }

    pub fn try_next(&mut self) -> Option<Result<T, JoinError>> {
        let ended = self.tasks.try_join_next_with_id()?;
        Some(self.ended(ended))
    }

    fn ended(&mut self, ended: Result<(Id, T), JoinError>) -> Result<T, JoinError> {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        if let Some((integration, started)) = self.started.remove(&id) {
            match started.elapsed() > HANGING_AFTER {
                true => self.hanging.insert(integration),
                false => self.hanging.remove(&integration),
            };
        }
        ended.map(|(_, done)| done)
    }

    pub async fn abort(&mut self) {
        self.tasks.shutdown().await;
        self.started.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { all: 10, each: 4 };

    fn left(capacity: &CallCapacity, integration: IntegrationId) -> i32 {
        let mut entries = capacity.integrations.iter().zip(&capacity.left);
        let entry = entries.find(|(one, _)| **one == integration);
        entry.map_or(capacity.each, |(_, left)| *left)
    }

    fn long_ago(calls: &mut Calls<()>) {
        for (_, started) in calls.started.values_mut() {
            *started = started
                .checked_sub(HANGING_AFTER * 2)
                .expect("the machine has been up for seconds");
        }
    }

    #[tokio::test]
    async fn integrations_have_own_limits_and_share_one() {
        let mut calls = Calls::new(LIMITS);
        let (one, other) = (IntegrationId::new(), IntegrationId::new());
        for _ in 0..4 {
            calls.spawn(one, std::future::pending::<()>());
        }
        let capacity = calls.capacity();
        assert_eq!(
            (left(&capacity, one), left(&capacity, other), capacity.all),
            (0, 4, 6)
        );
        for _ in 0..6 {
            calls.spawn(IntegrationId::new(), std::future::pending());
        }
        assert_eq!(calls.capacity().all, 0);
    }

    #[tokio::test]
    async fn hanging_calls_are_bounded() {
        let mut calls = Calls::new(LIMITS);
        let hanging = IntegrationId::new();
        for _ in 0..4 {
            calls.spawn(hanging, std::future::pending::<()>());
        }
        for _ in 0..6 {
            calls.spawn(IntegrationId::new(), std::future::pending());
        }
        long_ago(&mut calls);
        let capacity = calls.capacity();
        assert_eq!((left(&capacity, hanging), capacity.all), (0, 10));
        for _ in 0..30 {
            calls.spawn(IntegrationId::new(), std::future::pending());
        }
        long_ago(&mut calls);
        assert_eq!(calls.capacity().all, 0, "40 at most");
    }

    #[tokio::test]
    async fn integration_with_a_hanging_call_is_limited_until_it_answers() {
        let mut calls = Calls::new(LIMITS);
        let slow = IntegrationId::new();
        calls.spawn(slow, async {});
        long_ago(&mut calls);
        calls
            .next()
            .await
            .expect("a call ends")
            .expect("it does not panic");
        assert_eq!(left(&calls.capacity(), slow), 2);
        calls.spawn(slow, async {});
        assert_eq!(left(&calls.capacity(), slow), 1);
        calls
            .next()
            .await
            .expect("a call ends")
            .expect("it does not panic");
        assert_eq!(left(&calls.capacity(), slow), 4);
    }

    #[tokio::test]
    async fn panicked_call_releases_its_permit() {
        let mut calls: Calls<()> = Calls::new(LIMITS);
        let one = IntegrationId::new();
        calls.spawn(one, async { std::panic::resume_unwind(Box::new("broken")) });
        assert!(calls.next().await.expect("a call ends").is_err());
        assert_eq!(left(&calls.capacity(), one), 4);
        assert!(calls.is_empty());
    }
}

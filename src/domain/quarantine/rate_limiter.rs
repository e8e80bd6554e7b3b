//! Limits the calls per minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::ids::{IntegrationId, NumberId};

/// For one number, on this server.
const CALLS_PER_MINUTE: u32 = 120;
/// Beyond this, the rate limiter forgets the numbers that have been quiet longest.
const TRACKED_KEYS: u64 = 10_000;

/// Counts recent calls in memory, so that a flood does not reach the database.
#[derive(Clone)]
pub struct RateLimiter(Cache<RateKey, Arc<AtomicU32>>);

type RateKey = (IntegrationId, Option<NumberId>);

impl Default for RateLimiter {
    fn default() -> Self {
        let counts = Cache::builder()
            .max_capacity(TRACKED_KEYS)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(Duration::from_secs(60));
        Self(counts.build())
    }
}

impl RateLimiter {
    pub(super) fn allows(&self, key: RateKey) -> bool {
        let count = self.0.get_with(key, Arc::default);
        count.fetch_add(1, Ordering::Relaxed) < CALLS_PER_MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_limited_per_number() {
        let rate_limiter = RateLimiter::default();
        let (one, other) = (IntegrationId::new(), IntegrationId::new());
        let allowed = (0..1_000)
            .filter(|_| rate_limiter.allows((one, None)))
            .count();
        assert_eq!(allowed, CALLS_PER_MINUTE as usize);
        assert!(rate_limiter.allows((other, None)));
        assert!(rate_limiter.allows((one, Some(NumberId::new()))));
    }
}

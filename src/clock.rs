//! The current time, by the database's clock. Each server measures it every 30 seconds and continues with its own
//! monotonic clock, so a wrong or adjusted system clock changes no timestamp, and ids sort by time across servers.

use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::{ContextV7, Timestamp, Uuid};

use crate::error::Result;

/// How often the database's clock is measured. After a suspend the time is wrong until the next measurement.
pub const MEASURE_INTERVAL: Duration = Duration::from_secs(30);
/// If the clock moves back by more than this, ids move back with it.
const MAX_DEVIATION: TimeDelta = TimeDelta::seconds(1);

#[derive(Clone, Copy, Debug)]
struct Reading {
    database_time: DateTime<Utc>,
    received_at: Instant,
}

static READING: RwLock<Option<Reading>> = RwLock::new(None);
/// Keeps ids of the same millisecond in order.
static CONTEXT: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// The time by the database's clock: never ahead of it, and behind it by at most one response time.
pub fn now() -> DateTime<Utc> {
    let reading = *READING.read().unwrap_or_else(PoisonError::into_inner);
    reading.map_or_else(system_time, |reading| reading.at(Instant::now()))
}

/// A UUIDv7 of the current time.
pub fn id() -> Uuid {
    let now = now();
    let seconds = now.timestamp().try_into().unwrap_or_default();
    let time = Timestamp::from_unix(&CONTEXT, seconds, now.timestamp_subsec_nanos());
    Uuid::new_v7(time)
}

/// Measures the database's clock. One round trip.
pub async fn measure(db: &PgPool) -> Result<()> {
    // The time to acquire a connection must not count.
    let mut connection = db.acquire().await?;
    let asked = Instant::now();
    let database_time: DateTime<Utc> = sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(&mut *connection)
        .await?;
    let received_at = Instant::now();
    let mut reading = READING.write().unwrap_or_else(PoisonError::into_inner);
    let before = time_by(*reading, received_at);
    let adopted = more_accurate(
        *reading,
        Reading {
            database_time,
            received_at,
        },
        received_at - asked,
    );
    if before - adopted.at(received_at) > MAX_DEVIATION {
        *CONTEXT.lock().unwrap_or_else(PoisonError::into_inner) = ContextV7::new();
    }
    if (before - adopted.at(received_at)).abs() > MAX_DEVIATION {
        tracing::warn!(
            seconds = (before - adopted.at(received_at)).as_seconds_f64(),
            "this server's clock differed from the database's: using the database's"
        );
    }
    *reading = Some(adopted);
    Ok(())
}

/// The more accurate reading. Both are behind the database's clock by up to their round trip, unless that clock was set
/// back or runs slower.
fn more_accurate(current: Option<Reading>, fresh: Reading, round_trip: Duration) -> Reading {
    let Some(current) = current else {
        return fresh;
    };
    let ahead = current.at(fresh.received_at) - fresh.database_time;
    let max_lag = TimeDelta::from_std(round_trip).unwrap_or(TimeDelta::MAX);
    if ahead >= TimeDelta::zero() && ahead <= max_lag {
        current
    } else {
        fresh
    }
}

fn time_by(reading: Option<Reading>, at: Instant) -> DateTime<Utc> {
    reading.map_or_else(system_time, |reading| reading.at(at))
}

impl Reading {
    fn at(&self, at: Instant) -> DateTime<Utc> {
        let since = TimeDelta::from_std(at.saturating_duration_since(self.received_at));
        self.database_time + since.unwrap_or_default()
    }
}

/// The system clock, used until the first measurement.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the one place that asks it"
)]
fn system_time() -> DateTime<Utc> {
    let now = Utc::now();
    // Tests simulate a wrong system clock.
    #[cfg(debug_assertions)]
    if let Ok(ahead) = std::env::var("CLOCK_AHEAD_SECONDS") {
        return now + TimeDelta::seconds(ahead.parse().unwrap_or_default());
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(seconds: i64, received_at: Instant) -> Reading {
        Reading {
            database_time: DateTime::from_timestamp(1_000_000 + seconds, 0).expect("a time"),
            received_at,
        }
    }

    #[test]
    fn time_goes_on_from_what_the_database_said() {
        let received_at = Instant::now();
        let first = reading(0, received_at);
        assert_eq!(
            first.at(received_at + Duration::from_secs(5)),
            reading(5, received_at).database_time
        );
        assert_eq!(first.at(received_at), first.database_time);
    }

    #[test]
    fn a_slower_answer_does_not_replace_a_faster_one() {
        let begin = Instant::now();
        let later = begin + Duration::from_secs(30);
        let current = reading(0, begin);
        // Its round trip took two seconds, so it may be behind by two seconds.
        let slow = more_accurate(Some(current), reading(29, later), Duration::from_secs(2));
        assert_eq!(slow.at(later), reading(30, later).database_time);
        // It is ahead of the current reading, which was slower.
        let fast = more_accurate(Some(current), reading(31, later), Duration::from_secs(2));
        assert_eq!(fast.at(later), reading(31, later).database_time);
    }

    #[test]
    fn a_database_whose_clock_was_set_is_followed_both_ways() {
        let begin = Instant::now();
        let later = begin + Duration::from_secs(30);
        for set in [-86_400, 86_400] {
            let fresh = reading(30 + set, later);
            let adopted = more_accurate(Some(reading(0, begin)), fresh, Duration::from_millis(3));
            assert_eq!(adopted.at(later), fresh.database_time);
        }
    }

    #[test]
    fn ids_are_in_the_order_in_which_they_were_made() {
        let ids: Vec<_> = (0..10_000).map(|_| id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

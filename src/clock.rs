//! What time it is. Whatever is stored follows one clock, the database's: each server measures it every half minute, and counts on
//! from there by its own monotonic clock. So a server whose clock is wrong, or is set, makes no text older or newer than it is,
//! and ids sort by time whichever server made them.

use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::{ContextV7, Timestamp, Uuid};

use crate::error::Result;

/// How often the database's clock is looked at. A machine that slept is wrong until then.
pub const MEASURED: Duration = Duration::from_secs(30);
/// Beyond this, ids go back with a clock that was set back.
const SLACK: TimeDelta = TimeDelta::seconds(1);

/// What the database said, and when that was heard.
#[derive(Clone, Copy, Debug)]
struct Reading {
    database_time: DateTime<Utc>,
    received_at: Instant,
}

static READING: RwLock<Option<Reading>> = RwLock::new(None);
/// Keeps ids of one millisecond in their order.
static CONTEXT: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// By the database's clock: never ahead of it, and behind it by no more than an answer takes.
pub fn now() -> DateTime<Utc> {
    let reading = *READING.read().unwrap_or_else(PoisonError::into_inner);
    reading.map_or_else(wall, |reading| reading.at(Instant::now()))
}

/// A UUIDv7 of this moment.
pub fn id() -> Uuid {
    let now = now();
    let seconds = now.timestamp().try_into().unwrap_or_default();
    let time = Timestamp::from_unix(&CONTEXT, seconds, now.timestamp_subsec_nanos());
    Uuid::new_v7(time)
}

/// Asks the database. One round trip.
pub async fn measure(db: &PgPool) -> Result<()> {
    // Not the time that it takes to get a connection.
    let mut connection = db.acquire().await?;
    let asked = Instant::now();
    let database_time: DateTime<Utc> = sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(&mut *connection)
        .await?;
    let received_at = Instant::now();
    let mut reading = READING.write().unwrap_or_else(PoisonError::into_inner);
    let before = now_by(*reading, received_at);
    let adopted = better(
        *reading,
        Reading {
            database_time,
            received_at,
        },
        received_at - asked,
    );
    if before - adopted.at(received_at) > SLACK {
        *CONTEXT.lock().unwrap_or_else(PoisonError::into_inner) = ContextV7::new();
    }
    if (before - adopted.at(received_at)).abs() > SLACK {
        tracing::warn!(
            seconds = (before - adopted.at(received_at)).as_seconds_f64(),
            "this server's clock was ahead of the database's by so much: the database's counts"
        );
    }
    *reading = Some(adopted);
    Ok(())
}

/// The reading that is nearer to the truth. Both are behind the database's clock, each by the time that its answer took, unless
/// that clock was set back or runs slower.
fn better(current: Option<Reading>, fresh: Reading, round_trip: Duration) -> Reading {
    let Some(current) = current else {
        return fresh;
    };
    let ahead = current.at(fresh.received_at) - fresh.database_time;
    let most = TimeDelta::from_std(round_trip).unwrap_or(TimeDelta::MAX);
    if ahead >= TimeDelta::zero() && ahead <= most {
        current
    } else {
        fresh
    }
}

fn now_by(reading: Option<Reading>, at: Instant) -> DateTime<Utc> {
    reading.map_or_else(wall, |reading| reading.at(at))
}

impl Reading {
    fn at(&self, at: Instant) -> DateTime<Utc> {
        let since = TimeDelta::from_std(at.saturating_duration_since(self.received_at));
        self.database_time + since.unwrap_or_default()
    }
}

/// This machine's clock, until the database has been asked.
#[allow(
    clippy::disallowed_methods,
    reason = "this is the one place that asks it"
)]
fn wall() -> DateTime<Utc> {
    let now = Utc::now();
    // For tests: as if it were wrong by so much.
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
        // Its answer took two seconds, so it is behind by up to that.
        let slow = better(Some(current), reading(29, later), Duration::from_secs(2));
        assert_eq!(slow.at(later), reading(30, later).database_time);
        // It is ahead of what we counted: ours was slower.
        let fast = better(Some(current), reading(31, later), Duration::from_secs(2));
        assert_eq!(fast.at(later), reading(31, later).database_time);
    }

    #[test]
    fn a_database_whose_clock_was_set_is_followed_both_ways() {
        let begin = Instant::now();
        let later = begin + Duration::from_secs(30);
        for set in [-86_400, 86_400] {
            let fresh = reading(30 + set, later);
            let adopted = better(Some(reading(0, begin)), fresh, Duration::from_millis(3));
            assert_eq!(adopted.at(later), fresh.database_time);
        }
    }

    #[test]
    fn ids_are_in_the_order_in_which_they_were_made() {
        let ids: Vec<_> = (0..10_000).map(|_| id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

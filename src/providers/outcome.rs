//! Decides what follows an attempt to send a message. Pure, without I/O.

use std::time::Duration;

use super::{ErrorClass, Price, Refusal, SendOutcome, Status};
use crate::language::t;

/// About an hour of retries. A text sent much later than it was written does harm.
const MAX_TRIES: u32 = 20;
/// Transient provider errors end soon, or are not transient.
const MAX_TRIES_AFTER_FAULTS: u32 = 4;
const FIRST_DELAY: Duration = Duration::from_secs(2);
const MAX_DELAY: Duration = Duration::from_secs(300);
/// A longer `Retry-After` is taken for a mistake.
const MAX_REQUESTED_DELAY: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Sent {
        provider_sid: String,
        status: Status,
        segments: Option<u32>,
        price: Option<Price>,
    },
    /// Final. By class: `OptedOut` is recorded with the contact, `Sender` marks the number, `Request` is logged as a
    /// bug.
    Failed(Refusal),
    Retry {
        after: Duration,
        scope: HoldScope,
    },
    /// Possibly sent: must be looked up, never sent again blindly.
    Unconfirmed,
    /// Refused because of the account: the message stays queued, and the integration may become unhealthy.
    AccountRefused(Refusal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldScope {
    Text,
    /// All messages from its number: the provider's queue for the number is full.
    Number,
    /// All messages of the account: the provider set the delay.
    Account,
}

/// `tries` includes this attempt; `jitter` is random, 0 to 1.
pub fn outcome(tries: u32, answer: SendOutcome, jitter: f64) -> Outcome {
    match answer {
        SendOutcome::Accepted {
            provider_sid,
            status,
            segments,
            price,
        } => Outcome::Sent {
            provider_sid,
            status,
            segments,
            price,
        },
        SendOutcome::Unknown => Outcome::Unconfirmed,
        SendOutcome::NotSent { .. } if tries >= MAX_TRIES => Outcome::Failed(unreachable()),
        SendOutcome::NotSent { retry_after } => Outcome::Retry {
            after: retry_delay(tries, retry_after, jitter),
            scope: retry_after.map_or(HoldScope::Text, |_| HoldScope::Account),
        },
        SendOutcome::Refused(refusal) => refused(tries, refusal, jitter),
    }
}

/// The result of repeating a request of unknown outcome: see [`super::Capabilities::idempotent_send`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepeatResult {
    Resolved(Outcome),
    /// No response, or rejected before processing: it may be repeated again.
    NotAsked,
    /// Rejected as invalid, as for a reused idempotency key: another repeat tells no more.
    Undetermined,
}

/// Only a response to the message itself resolves it.
pub fn repeat_result(tries: u32, answer: SendOutcome, jitter: f64) -> RepeatResult {
    match &answer {
        SendOutcome::NotSent { .. } | SendOutcome::Unknown => RepeatResult::NotAsked,
        SendOutcome::Refused(refusal) => match refusal.class {
            ErrorClass::Auth | ErrorClass::Funds => RepeatResult::NotAsked,
            ErrorClass::Request => RepeatResult::Undetermined,
            _ => RepeatResult::Resolved(outcome(tries, answer, jitter)),
        },
        SendOutcome::Accepted { .. } => RepeatResult::Resolved(outcome(tries, answer, jitter)),
    }
}

fn refused(tries: u32, refusal: Refusal, jitter: f64) -> Outcome {
    let most_tries = match refusal.class {
        ErrorClass::Auth | ErrorClass::Funds => return Outcome::AccountRefused(refusal),
        ErrorClass::RateLimited => MAX_TRIES,
        ErrorClass::Retryable => MAX_TRIES_AFTER_FAULTS,
        ErrorClass::Permanent | ErrorClass::OptedOut | ErrorClass::Sender | ErrorClass::Request => {
            0
        }
    };
    if tries >= most_tries {
        return Outcome::Failed(refusal);
    }
    // A full queue empties within minutes, not seconds.
    let (counted_tries, scope) = match refusal.class {
        ErrorClass::RateLimited => (tries + 4, HoldScope::Number),
        _ => (tries, HoldScope::Text),
    };
    Outcome::Retry {
        after: retry_delay(counted_tries, None, jitter),
        scope,
    }
}

fn unreachable() -> Refusal {
    Refusal {
        class: ErrorClass::Retryable,
        code: "unreachable".into(),
        text: t!(
            "The provider couldn’t be reached for about an hour, so this wasn’t sent. Try again."
        ),
    }
}

/// Exponential back-off; the jitter subtracts up to half, so that simultaneous failures do not retry together. A delay
/// set by the provider is only extended.
fn retry_delay(tries: u32, asked: Option<Duration>, jitter: f64) -> Duration {
    let jitter = jitter.clamp(0.0, 1.0);
    if let Some(asked) = asked {
        return asked.min(MAX_REQUESTED_DELAY) + FIRST_DELAY.mul_f64(jitter);
    }
    let doubled = FIRST_DELAY * 2u32.saturating_pow(tries.saturating_sub(1).min(16));
    doubled.min(MAX_DELAY).mul_f64(1.0 - jitter / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Message;

    fn refusal(class: ErrorClass) -> Refusal {
        Refusal {
            class,
            code: "21610".into(),
            text: Message::new("No."),
        }
    }

    fn after_refusal(tries: u32, class: ErrorClass) -> Outcome {
        outcome(tries, SendOutcome::Refused(refusal(class)), 0.0)
    }

    fn retry(seconds: u64) -> Outcome {
        holding(HoldScope::Text, seconds)
    }

    fn holding(scope: HoldScope, seconds: u64) -> Outcome {
        let after = Duration::from_secs(seconds);
        Outcome::Retry { after, scope }
    }

    fn not_sent(seconds: Option<u64>) -> SendOutcome {
        SendOutcome::NotSent {
            retry_after: seconds.map(Duration::from_secs),
        }
    }

    #[test]
    fn accepted_text_is_sent() {
        let accepted = SendOutcome::Accepted {
            provider_sid: "SM1".into(),
            status: Status::Queued,
            segments: Some(2),
            price: None,
        };
        let sent = Outcome::Sent {
            provider_sid: "SM1".into(),
            status: Status::Queued,
            segments: Some(2),
            price: None,
        };
        assert_eq!(outcome(1, accepted, 0.5), sent);
    }

    #[test]
    fn unknown_outcome_is_never_resent() {
        assert_eq!(outcome(1, SendOutcome::Unknown, 0.5), Outcome::Unconfirmed);
        assert_eq!(outcome(99, SendOutcome::Unknown, 0.5), Outcome::Unconfirmed);
    }

    #[test]
    fn only_an_answer_to_the_text_resolves_it() {
        use ErrorClass::*;
        let after = |answer| repeat_result(1, answer, 0.0);
        let after_refusal = |class| after(SendOutcome::Refused(refusal(class)));
        for class in [Permanent, OptedOut, Sender] {
            let failed = Outcome::Failed(refusal(class));
            assert_eq!(after_refusal(class), RepeatResult::Resolved(failed));
        }
        assert_eq!(after_refusal(Retryable), RepeatResult::Resolved(retry(2)));
        assert_eq!(
            after_refusal(RateLimited),
            RepeatResult::Resolved(holding(HoldScope::Number, 32))
        );
        for class in [Auth, Funds] {
            assert_eq!(after_refusal(class), RepeatResult::NotAsked, "{class:?}");
        }
        assert_eq!(after_refusal(Request), RepeatResult::Undetermined);
        assert_eq!(after(not_sent(Some(7))), RepeatResult::NotAsked);
        assert_eq!(after(SendOutcome::Unknown), RepeatResult::NotAsked);
        let accepted = SendOutcome::Accepted {
            provider_sid: "1".into(),
            status: Status::Queued,
            segments: None,
            price: None,
        };
        let sent = outcome(1, accepted.clone(), 0.0);
        assert_eq!(after(accepted), RepeatResult::Resolved(sent));
    }

    #[test]
    fn some_refusals_are_permanent() {
        use ErrorClass::*;
        for class in [Permanent, OptedOut, Sender, Request] {
            assert_eq!(after_refusal(1, class), Outcome::Failed(refusal(class)));
        }
    }

    #[test]
    fn account_errors_are_not_retried_or_failed() {
        for class in [ErrorClass::Auth, ErrorClass::Funds] {
            assert_eq!(
                after_refusal(1, class),
                Outcome::AccountRefused(refusal(class))
            );
            assert_eq!(
                after_refusal(99, class),
                Outcome::AccountRefused(refusal(class))
            );
        }
    }

    #[test]
    fn transient_errors_are_retried_with_limit() {
        let class = ErrorClass::Retryable;
        assert_eq!(after_refusal(1, class), retry(2));
        assert_eq!(after_refusal(2, class), retry(4));
        assert_eq!(after_refusal(3, class), retry(8));
        assert_eq!(after_refusal(4, class), Outcome::Failed(refusal(class)));
    }

    #[test]
    fn full_queue_waits_minutes() {
        let class = ErrorClass::RateLimited;
        assert_eq!(
            after_refusal(1, class),
            holding(HoldScope::Number, 32),
            "holds the number"
        );
        assert_eq!(after_refusal(9, class), holding(HoldScope::Number, 300));
        assert_eq!(after_refusal(20, class), Outcome::Failed(refusal(class)));
    }

    #[test]
    fn unsent_text_is_retried_for_an_hour() {
        assert_eq!(outcome(1, not_sent(None), 0.0), retry(2));
        assert_eq!(outcome(8, not_sent(None), 0.0), retry(256));
        assert_eq!(outcome(9, not_sent(None), 0.0), retry(300));
        let delays = (1..MAX_TRIES).map(|tries| retry_delay(tries, None, 0.0));
        assert_eq!(delays.sum::<Duration>().as_secs() / 60, 63);
        assert_eq!(
            outcome(MAX_TRIES, not_sent(None), 0.0),
            Outcome::Failed(unreachable())
        );
    }

    #[test]
    fn requested_delay_is_kept() {
        let all = |seconds| holding(HoldScope::Account, seconds);
        assert_eq!(outcome(1, not_sent(Some(30)), 0.0), all(30));
        assert_eq!(outcome(1, not_sent(Some(30)), 1.0), all(32));
        assert_eq!(outcome(1, not_sent(Some(u64::MAX)), 0.0), all(3600));
    }

    #[test]
    fn jitter_stays_in_bounds() {
        assert_eq!(outcome(3, not_sent(None), 1.0), retry(4));
        assert_eq!(outcome(3, not_sent(None), 7.0), retry(4));
        assert_eq!(outcome(3, not_sent(None), -7.0), retry(8));
        assert_eq!(outcome(0, not_sent(None), 0.0), retry(2));
    }
}

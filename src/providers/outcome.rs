//! Decides what follows an attempt to send a message. Pure, without I/O.

use std::time::Duration;

use super::{ErrorClass, Price, Refusal, SendOutcome, Status};
use crate::language::t;

/// About an hour of retries. A text sent much later than it was written does harm.
const MAX_TRIES: u32 = 20;
/// Transient provider errors end soon, or are not transient.
const MAX_TRIES_AFTER_FAULTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// A longer `Retry-After` is taken for a mistake.
const MAX_REQUESTED_PAUSE: Duration = Duration::from_secs(3600);

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
        scope: PauseScope,
    },
    /// Possibly sent: must be looked up, never sent again blindly.
    Unconfirmed,
    /// The message stays queued. If the credentials are invalid, the whole queue pauses.
    Pause(Refusal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseScope {
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
            after: pause(tries, retry_after, jitter),
            scope: retry_after.map_or(PauseScope::Text, |_| PauseScope::Account),
        },
        SendOutcome::Refused(refusal) => refused(tries, refusal, jitter),
    }
}

/// The result of repeating a request of unknown outcome: see [`super::Capabilities::idempotent_send`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeated {
    Settled(Outcome),
    /// No response, or rejected before processing: it may be repeated again.
    NotAsked,
    /// Rejected as invalid, as for a reused idempotency key: another repeat tells no more.
    Undetermined,
}

/// Only a response to the message itself settles it.
pub fn repeated(tries: u32, answer: SendOutcome, jitter: f64) -> Repeated {
    match &answer {
        SendOutcome::NotSent { .. } | SendOutcome::Unknown => Repeated::NotAsked,
        SendOutcome::Refused(refusal) => match refusal.class {
            ErrorClass::Auth | ErrorClass::Funds => Repeated::NotAsked,
            ErrorClass::Request => Repeated::Undetermined,
            _ => Repeated::Settled(outcome(tries, answer, jitter)),
        },
        SendOutcome::Accepted { .. } => Repeated::Settled(outcome(tries, answer, jitter)),
    }
}

fn refused(tries: u32, refusal: Refusal, jitter: f64) -> Outcome {
    let most_tries = match refusal.class {
        ErrorClass::Auth | ErrorClass::Funds => return Outcome::Pause(refusal),
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
    let (retry_pause, scope) = match refusal.class {
        ErrorClass::RateLimited => (tries + 4, PauseScope::Number),
        _ => (tries, PauseScope::Text),
    };
    Outcome::Retry {
        after: pause(retry_pause, None, jitter),
        scope,
    }
}

fn unreachable() -> Refusal {
    Refusal {
        class: ErrorClass::Retryable,
        code: "unreachable".into(),
        text: t!(
            "The provider could not be reached for about an hour, so this was not sent. Try again."
        ),
    }
}

/// Exponential back-off; the jitter subtracts up to half, so that simultaneous failures do not retry together. A delay
/// set by the provider is only extended.
fn pause(tries: u32, asked: Option<Duration>, jitter: f64) -> Duration {
    let jitter = jitter.clamp(0.0, 1.0);
    if let Some(asked) = asked {
        return asked.min(MAX_REQUESTED_PAUSE) + FIRST_PAUSE.mul_f64(jitter);
    }
    let doubled = FIRST_PAUSE * 2u32.saturating_pow(tries.saturating_sub(1).min(16));
    doubled.min(MAX_PAUSE).mul_f64(1.0 - jitter / 2.0)
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
        holding(PauseScope::Text, seconds)
    }

    fn holding(scope: PauseScope, seconds: u64) -> Outcome {
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
    fn only_an_answer_to_the_text_settles_it() {
        use ErrorClass::*;
        let after = |answer| repeated(1, answer, 0.0);
        let after_refusal = |class| after(SendOutcome::Refused(refusal(class)));
        for class in [Permanent, OptedOut, Sender] {
            let failed = Outcome::Failed(refusal(class));
            assert_eq!(after_refusal(class), Repeated::Settled(failed));
        }
        assert_eq!(after_refusal(Retryable), Repeated::Settled(retry(2)));
        assert_eq!(
            after_refusal(RateLimited),
            Repeated::Settled(holding(PauseScope::Number, 32))
        );
        for class in [Auth, Funds] {
            assert_eq!(after_refusal(class), Repeated::NotAsked, "{class:?}");
        }
        assert_eq!(after_refusal(Request), Repeated::Undetermined);
        assert_eq!(after(not_sent(Some(7))), Repeated::NotAsked);
        assert_eq!(after(SendOutcome::Unknown), Repeated::NotAsked);
        let accepted = SendOutcome::Accepted {
            provider_sid: "1".into(),
            status: Status::Queued,
            segments: None,
            price: None,
        };
        let sent = outcome(1, accepted.clone(), 0.0);
        assert_eq!(after(accepted), Repeated::Settled(sent));
    }

    #[test]
    fn some_refusals_are_permanent() {
        use ErrorClass::*;
        for class in [Permanent, OptedOut, Sender, Request] {
            assert_eq!(after_refusal(1, class), Outcome::Failed(refusal(class)));
        }
    }

    #[test]
    fn account_errors_pause_without_limit() {
        for class in [ErrorClass::Auth, ErrorClass::Funds] {
            assert_eq!(after_refusal(1, class), Outcome::Pause(refusal(class)));
            assert_eq!(after_refusal(99, class), Outcome::Pause(refusal(class)));
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
            holding(PauseScope::Number, 32),
            "pauses the number"
        );
        assert_eq!(after_refusal(9, class), holding(PauseScope::Number, 300));
        assert_eq!(after_refusal(20, class), Outcome::Failed(refusal(class)));
    }

    #[test]
    fn unsent_text_is_retried_for_an_hour() {
        assert_eq!(outcome(1, not_sent(None), 0.0), retry(2));
        assert_eq!(outcome(8, not_sent(None), 0.0), retry(256));
        assert_eq!(outcome(9, not_sent(None), 0.0), retry(300));
        let pauses = (1..MAX_TRIES).map(|tries| pause(tries, None, 0.0));
        assert_eq!(pauses.sum::<Duration>().as_secs() / 60, 63);
        assert_eq!(
            outcome(MAX_TRIES, not_sent(None), 0.0),
            Outcome::Failed(unreachable())
        );
    }

    #[test]
    fn requested_pause_is_kept() {
        let all = |seconds| holding(PauseScope::Account, seconds);
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

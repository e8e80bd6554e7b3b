//! Outbound messages and their state at the provider.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::language::Message;
use crate::phone::Address;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub our_id: Uuid,
    /// Counts from 1.
    pub attempt: u32,
    pub from: Address,
    pub to: Address,
    pub text: String,
    /// Public URLs, at most ten.
    pub media: Vec<String>,
    /// How long the provider may queue it, if it supports a limit.
    pub valid_for: Option<Duration>,
    /// The URL for delivery reports; `None` while this server has no public address.
    pub status_url: Option<String>,
}

impl Outgoing {
    /// The status URL of this attempt. It identifies our message before we know the provider's id.
    pub fn report_url(&self) -> Option<String> {
        let url = self.status_url.as_ref()?;
        let separator = if url.contains('?') { '&' } else { '?' };
        let (our_id, attempt) = (self.our_id, self.attempt);
        Some(format!(
            "{url}{separator}message={our_id}&attempt={attempt}"
        ))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    Accepted {
        provider_sid: String,
        status: Status,
        segments: Option<u32>,
        price: Option<Price>,
    },
    Refused(Refusal),
    /// Certainly not sent: no request was made, or it was rejected before processing.
    NotSent {
        retry_after: Option<Duration>,
    },
    /// Possibly sent. If [`super::Capabilities::idempotent_send`] allows it, a repeat decides: see [`super::RepeatResult`].
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub class: ErrorClass,
    pub code: String,
    /// What happened and what to do, in a sentence or two.
    pub text: Message,
}

/// The class of an error code, which decides what happens to the message and the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    Permanent,
    OptedOut,
    RateLimited,
    Retryable,
    /// Credentials or account: every other message fails too.
    Auth,
    Funds,
    /// Our number or its registration.
    Sender,
    /// An invalid request: a bug.
    Request,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Scheduled,
    Queued,
    Sending,
    Sent,
    Delivered,
    Undelivered,
    Failed,
    Canceled,
    Read,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Read => "read",
        }
    }
}

/// Money as the provider wrote it: a decimal, never a float.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    pub amount: String,
    pub currency: String,
}

impl Price {
    pub fn read(amount: &str, currency: &str) -> Option<Self> {
        let is_amount = amount.len() <= 20
            && amount.bytes().any(|byte| byte.is_ascii_digit())
            && amount.bytes().filter(|&byte| byte == b'.').count() <= 1
            && amount
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let is_currency =
            currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_alphabetic());
        (is_amount && is_currency).then(|| Self {
            amount: amount.to_owned(),
            currency: currency.to_ascii_uppercase(),
        })
    }

    pub fn is_nothing(&self) -> bool {
        self.amount.bytes().all(|byte| matches!(byte, b'0' | b'.'))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteMessage {
    pub provider_sid: String,
    pub status: Option<Status>,
    pub raw_status: String,
    pub error: Option<Refusal>,
    pub segments: Option<u32>,
    pub price: Option<Price>,
    pub created_at: Option<DateTime<Utc>>,
}

/// The result of looking for a message whose response was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentLookup {
    /// All matches, oldest first. Ours is the first that no other message has, because the same text may be sent twice.
    Found(Vec<RemoteMessage>),
    /// The provider has no list, so a missing message proves nothing.
    Undetermined,
}

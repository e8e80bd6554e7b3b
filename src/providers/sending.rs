//! A text on its way out, and what is known of it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::phone::Address;

/// A text on its way out.
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
    /// How long it may wait at a provider that can be told so.
    pub valid_for: Option<Duration>,
    /// Where the provider reports on it; `None` while this server has no public address.
    pub status_url: Option<String>,
}

impl Outgoing {
    /// Where the provider reports on this very attempt: known as ours before we know its id there.
    pub fn report_url(&self) -> Option<String> {
        let url = self.status_url.as_ref()?;
        let separator = if url.contains('?') { '&' } else { '?' };
        let (our_id, attempt) = (self.our_id, self.attempt);
        Some(format!(
            "{url}{separator}message={our_id}&attempt={attempt}"
        ))
    }
}

/// What is known after an attempt to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    Accepted {
        provider_sid: String,
        status: Status,
        segments: Option<u32>,
        price: Option<Price>,
    },
    /// The provider said no.
    Refused(Refusal),
    /// Certainly not sent: the request never left, or was turned away unread.
    NotSent { retry_after: Option<Duration> },
    /// Sent or not sent, nobody here can tell. Where [`Capabilities::idempotent_send`] allows it, the
    /// same request may be made again: see [`Repeated`].
    ///
    /// [`Capabilities::idempotent_send`]: super::Capabilities::idempotent_send
    /// [`Repeated`]: super::Repeated
    Unknown,
}

/// Why a message was not, or will not be, delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub class: ErrorClass,
    /// The provider's own code.
    pub code: String,
    /// What happened and what to do about it, in a sentence or two.
    pub text: String,
}

/// What kind of trouble an error code is, which decides what becomes of the message and the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// This message never.
    Permanent,
    /// The recipient texted STOP.
    OptedOut,
    RateLimited,
    /// A passing fault.
    Retryable,
    /// Credentials or the account: nothing else will get through either.
    Auth,
    Funds,
    /// Our number, or its registration.
    Sender,
    /// Our request is wrong: a bug.
    Request,
}

/// A message's status at the provider.
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
    /// `None`: no money.
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

/// A message of ours as the provider has it.
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

/// What a provider remembers of a text whose answer was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentLookup {
    /// Everything that looks like it, oldest first. Ours is the first that belongs to no other message,
    /// for people do send the same text twice.
    Found(Vec<RemoteMessage>),
    /// It lists nothing: that nothing is found proves nothing.
    Undetermined,
}

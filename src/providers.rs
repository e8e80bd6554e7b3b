//! The interface to providers of text messages.
//!
//! This layer knows no workspace, no database and no web framework: it turns credentials and a request into an outcome.
//! A new provider is one file that implements [`Provider`], a variant of [`Kind`] and an arm in [`Providers::open`];
//! `docs/PROVIDERS.md` lists what else knows it.

mod calls;
pub(crate) mod http;
mod json;
pub(crate) mod media;
mod numbers;
mod outcome;
pub mod sandbox;
mod sending;
pub mod telnyx;
pub mod twilio;
mod usage;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::language::{Message, impl_error, t};
use crate::phone::{Address, Phone};

pub use calls::{
    Hook, Inbound, ListedText, Malformed, OptOut, Receipt, RemoteMedia, SignatureMismatch,
    SignedRequest, StatusReport, WebhookEvent,
};
pub use media::{LARGEST as LARGEST_MEDIA, MediaAccess, Unavailable, is_internal};
pub use numbers::{
    Account, Bought, ListedWebhook, NumberCapabilities, NumberSearch, Offer, RemoteNumber, Route,
    Webhook, WebhookOverride, WebhookUrls,
};
pub use outcome::{HoldScope, Outcome, RepeatResult, outcome, repeat_result};
pub use sending::{
    ErrorClass, Outgoing, Price, Refusal, RemoteMessage, SendOutcome, SentLookup, Status,
};
pub use usage::{Charge, Item, Priced};

/// An account at a provider, with its credentials.
pub trait Provider: Send + Sync {
    fn kind(&self) -> Kind;

    fn account(&self) -> &str;

    /// The last characters of the secret, by which an admin recognizes it.
    fn hint(&self) -> String;

    /// The credentials as JSON, to be encrypted, and passed to [`Providers::open`] later.
    fn credentials(&self) -> SecretString;

    fn capabilities(&self) -> Capabilities;

    /// Whether the provider can call `url`, or never needs to.
    fn reaches(&self, url: &str) -> bool;

    fn validate(&self) -> BoxFuture<'_, Result<Account>>;

    fn list_numbers(&self) -> BoxFuture<'_, Result<Vec<RemoteNumber>>>;

    /// Whether [`Provider::list_numbers`] is complete, so that missing numbers are gone.
    fn lists_all_numbers(&self) -> bool {
        true
    }

    /// Sets the webhooks of `number` to `urls`, unless a setting at the provider overrides them.
    fn configure_webhook<'a>(
        &'a self,
        number: &'a RemoteNumber,
        urls: &'a WebhookUrls,
    ) -> BoxFuture<'a, Result<Webhook>>;

    /// Restores the webhook that was set before ours, if it still points to `urls`.
    fn restore_webhook<'a>(
        &'a self,
        _number: &'a RemoteNumber,
        _urls: &'a WebhookUrls,
        _previous: Option<&'a str>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// Searches numbers for sale that can text.
    fn search_numbers<'a>(
        &'a self,
        criteria: &'a NumberSearch,
    ) -> BoxFuture<'a, Result<Vec<Offer>>>;

    /// Buys the number, with its webhooks set to `urls` if the provider can do both at once. Idempotent, even if
    /// responses are lost.
    fn buy_number<'a>(
        &'a self,
        number: &'a Phone,
        urls: &'a WebhookUrls,
    ) -> BoxFuture<'a, Result<Bought>>;

    /// Releases the number for good. Succeeds if the account no longer has it.
    fn release_number<'a>(&'a self, provider_id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// The number's current routing; `None` if the account does not have it.
    fn route<'a>(
        &'a self,
        provider_id: &'a str,
        urls: &'a WebhookUrls,
    ) -> BoxFuture<'a, Result<Option<Route>>>;

    fn send<'a>(&'a self, text: &'a Outgoing) -> BoxFuture<'a, SendOutcome>;

    /// The message's current state at the provider.
    fn lookup<'a>(&'a self, provider_sid: &'a str) -> BoxFuture<'a, Result<Option<RemoteMessage>>>;

    /// Messages sent since `since` that match `text`.
    fn find_sent<'a>(
        &'a self,
        text: &'a Outgoing,
        since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<SentLookup>>;

    /// Inbound texts of `number` since `since`, oldest first; `None` if the provider has no such list.
    fn received<'a>(
        &'a self,
        _number: &'a Address,
        _since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Option<Vec<ListedText>>>> {
        Box::pin(async { Ok(None) })
    }

    /// Fetches what the list omits of a text; `None` if it is no inbound text.
    fn completed<'a>(&'a self, listed: ListedText) -> BoxFuture<'a, Result<Option<Inbound>>> {
        Box::pin(async { Ok(listed.text) })
    }

    /// Message prices of `day` (UTC), as far as known; `None` if messages include their price, or are free.
    fn prices(&self, _day: NaiveDate) -> BoxFuture<'_, Result<Option<Vec<Priced>>>> {
        Box::pin(async { Ok(None) })
    }

    fn usage(&self, _day: NaiveDate) -> BoxFuture<'_, Result<Vec<Charge>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// How to fetch `url`, if it is media of this message and stored by the provider.
    fn media_access(&self, url: &str, provider_sid: &str) -> Option<MediaAccess>;

    fn verify(&self, request: &SignedRequest<'_>) -> bool;

    /// The probable reason why [`verify`](Self::verify) failed, for diagnosis.
    fn signature_mismatch(&self, _: &SignedRequest<'_>) -> SignatureMismatch {
        SignatureMismatch::WrongCredentials
    }

    fn read(&self, hook: Hook, request: &SignedRequest<'_>) -> Result<WebhookEvent, Malformed>;

    /// The response to a stored text.
    fn receipt(&self) -> Receipt {
        Receipt::EMPTY
    }
}

#[derive(Clone)]
pub struct Providers {
    http: reqwest::Client,
    /// For media, whose URLs come from outside.
    media: reqwest::Client,
    hosts: Hosts,
}

#[derive(Debug, Clone)]
pub struct Hosts {
    pub twilio: String,
    pub telnyx: String,
}

impl Default for Hosts {
    fn default() -> Self {
        Self {
            twilio: twilio::API.into(),
            telnyx: telnyx::API.into(),
        }
    }
}

impl Providers {
    pub fn new(hosts: Hosts) -> Self {
        Self::with_timeout(hosts, Duration::from_secs(20))
    }

    pub fn with_timeout(hosts: Hosts, timeout: Duration) -> Self {
        Self {
            http: http::client(timeout),
            media: media::client(timeout, &hosts),
            hosts,
        }
    }

    /// Opens an account at the provider `kind`. Checks only the format of `credentials`.
    pub fn open(
        &self,
        kind: Kind,
        credentials: &str,
    ) -> Result<Box<dyn Provider>, InvalidCredentials> {
        Ok(match kind {
            Kind::Twilio => Box::new(twilio::Twilio::open(
                self.http.clone(),
                &self.hosts.twilio,
                credentials,
            )?),
            Kind::Telnyx => Box::new(telnyx::Telnyx::open(
                self.http.clone(),
                &self.hosts.telnyx,
                credentials,
            )?),
            Kind::Sandbox => Box::new(sandbox::Sandbox::open(credentials)?),
        })
    }
}

/// The last four characters; none of a short secret.
fn hint(secret: &str) -> String {
    let shown = if secret.len() >= 12 { 4 } else { 0 };
    secret[secret.len() - shown..].to_owned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = ProviderKind)]
pub enum Kind {
    Twilio,
    Telnyx,
    Sandbox,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Twilio, Self::Telnyx, Self::Sandbox];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::Telnyx => "telnyx",
            Self::Sandbox => "sandbox",
        }
    }

    pub fn media_limits(self) -> MediaLimits {
        match self {
            Self::Twilio | Self::Sandbox => MediaLimits {
                together: 5 * 1024 * 1024,
                other: 500 * 1024,
            },
            Self::Telnyx => MediaLimits {
                together: 1_000_000,
                other: 1_000_000,
            },
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Twilio => "Twilio",
            Self::Telnyx => "Telnyx",
            Self::Sandbox => "Sandbox",
        }
    }
}

/// In bytes. Larger messages are rejected by the provider or dropped by carriers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaLimits {
    pub together: i64,
    /// Limit per file of a type that the provider does not transcode (it does JPEG, PNG and GIF).
    pub other: i64,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownKind)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownKind;

impl UnknownKind {
    pub fn message(self) -> Message {
        t!(
            "Unknown provider. Use one of: {kinds}",
            kinds = Kind::ALL.map(Kind::as_str).join(", "),
        )
    }
}

impl_error!(UnknownKind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// How long a repeated identical request is not sent twice; `None` if repeats are always sent.
    pub idempotent_send: Option<Duration>,
    pub mms: bool,
}

/// Malformed credentials by field, before any request was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the credentials are not complete")]
pub struct InvalidCredentials(pub Vec<FieldError>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    pub field: &'static str,
    pub message: Message,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed provider request. Each text is a sentence for users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Rejected: wrong credentials, a closed account, or a missing resource.
    Refused {
        code: Option<String>,
        text: Message,
    },
    Busy {
        retry_after: Option<Duration>,
    },
    Unreachable(Message),
}

impl Error {
    pub fn message(&self) -> Message {
        match self {
            Self::Refused { text, .. } => text.clone(),
            Self::Busy { .. } => t!("The provider is busy right now. Try again in a moment."),
            Self::Unreachable(why) => why.clone(),
        }
    }
}

impl_error!(Error);

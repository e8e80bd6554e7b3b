//! What every provider of text messages can do, and the words in which it answers.
//!
//! This floor knows no workspace, no database and no web framework: credentials and a request go in,
//! an outcome comes out. A new provider is one file that implements [`Provider`], a line in [`Kind`]
//! and an arm in [`Providers::open`].

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

use crate::phone::{Address, Phone};

pub use calls::{
    Hook, Inbound, ListedText, Malformed, OptOut, Receipt, RemoteMedia, SignatureMismatch,
    SignedRequest, StatusReport, WebhookEvent,
};
pub use media::{LARGEST as LARGEST_MEDIA, MediaAccess, Unavailable, is_internal};
pub use numbers::{
    Account, Bought, ListedWebhook, NumberCapabilities, NumberSearch, Offer, RemoteNumber, Route,
    Shadow, Webhook, WebhookUrls,
};
pub use outcome::{Outcome, PauseScope, Repeated, outcome, repeated};
pub use sending::{
    ErrorClass, Outgoing, Price, Refusal, RemoteMessage, SendOutcome, SentLookup, Status,
};
pub use usage::{Charge, Item, Priced};

/// One customer's account at a provider: its credentials are inside.
pub trait Provider: Send + Sync {
    fn kind(&self) -> Kind;

    /// The account's public id at the provider.
    fn account(&self) -> &str;

    /// The end of the secret, by which an admin recognises it.
    fn hint(&self) -> String;

    /// The credentials as JSON text, to be sealed and handed to [`Providers::open`] again.
    fn credentials(&self) -> SecretString;

    fn capabilities(&self) -> Capabilities;

    /// Whether it could call `url`, or has no need to.
    fn reaches(&self, url: &str) -> bool;

    /// Asks the provider whether the credentials are good.
    fn validate(&self) -> BoxFuture<'_, Result<Account>>;

    /// All numbers of the account.
    fn list_numbers(&self) -> BoxFuture<'_, Result<Vec<RemoteNumber>>>;

    /// Whether [`Provider::list_numbers`] is the whole truth: what is missing there is gone.
    fn lists_all_numbers(&self) -> bool {
        true
    }

    /// Has texts to `number` delivered to `urls`, unless something at the provider stands in between.
    fn configure_webhook<'a>(
        &'a self,
        number: &'a RemoteNumber,
        urls: &'a WebhookUrls,
    ) -> BoxFuture<'a, Result<Webhook>>;

    /// Has texts to a number delivered where they went before us, if they still come to `urls`.
    fn restore_webhook<'a>(
        &'a self,
        _number: &'a RemoteNumber,
        _urls: &'a WebhookUrls,
        _previous: Option<&'a str>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// Numbers for sale that can text.
    fn search_numbers<'a>(&'a self, wanted: &'a NumberSearch) -> BoxFuture<'a, Result<Vec<Offer>>>;

    /// Buys it, with its texts delivered to `urls` where the provider lets us say so in the same breath. However often it is
    /// asked for, and whichever answers are lost, it is bought once.
    fn buy_number<'a>(
        &'a self,
        number: &'a Phone,
        urls: &'a WebhookUrls,
    ) -> BoxFuture<'a, Result<Bought>>;

    /// Gives it back for good. One that the account no longer has is given back already.
    fn release_number<'a>(&'a self, provider_id: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Where texts to a number go now; `None`: the account has no such number.
    fn route<'a>(
        &'a self,
        provider_id: &'a str,
        urls: &'a WebhookUrls,
    ) -> BoxFuture<'a, Result<Option<Route>>>;

    fn send<'a>(&'a self, text: &'a Outgoing) -> BoxFuture<'a, SendOutcome>;

    /// The message as the provider has it now.
    fn lookup<'a>(&'a self, provider_sid: &'a str) -> BoxFuture<'a, Result<Option<RemoteMessage>>>;

    /// What the provider took since `since` that looks like `text`.
    fn find_sent<'a>(
        &'a self,
        text: &'a Outgoing,
        since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<SentLookup>>;

    /// The texts that came to `number` since `since`, oldest first; `None`: the provider keeps no list of them.
    fn received<'a>(
        &'a self,
        _number: &'a Address,
        _since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Option<Vec<ListedText>>>> {
        Box::pin(async { Ok(None) })
    }

    /// What the list left out of a text that it named; `None`: that is no text to us.
    fn completed<'a>(&'a self, listed: ListedText) -> BoxFuture<'a, Result<Option<Inbound>>> {
        Box::pin(async { Ok(listed.text) })
    }

    /// What the texts of `day` (UTC) cost, as far as it is known; `None`: it stands on each text, or they cost nothing.
    fn prices(&self, _day: NaiveDate) -> BoxFuture<'_, Result<Option<Vec<Priced>>>> {
        Box::pin(async { Ok(None) })
    }

    /// What the account was charged for `day` (UTC) so far.
    fn usage(&self, _day: NaiveDate) -> BoxFuture<'_, Result<Vec<Charge>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// How `url` is opened, if it is media of this very message that the provider keeps.
    fn media_access(&self, url: &str, provider_sid: &str) -> Option<MediaAccess>;

    /// Whether the provider made this request, by its signature.
    fn verify(&self, request: &SignedRequest<'_>) -> bool;

    /// Why [`verify`](Self::verify) probably refused, so that somebody can mend it.
    fn signature_mismatch(&self, _: &SignedRequest<'_>) -> SignatureMismatch {
        SignatureMismatch::Stranger
    }

    /// What the provider has to say, at whichever of the two addresses it says it.
    fn read(&self, hook: Hook, request: &SignedRequest<'_>) -> Result<WebhookEvent, Malformed>;

    /// What it is answered once a text is stored.
    fn receipt(&self) -> Receipt {
        Receipt::EMPTY
    }
}

/// The way to every provider: one pool of connections, and where each provider's API is.
#[derive(Clone)]
pub struct Providers {
    http: reqwest::Client,
    /// For files, whose addresses come from outside.
    media: reqwest::Client,
    hosts: Hosts,
}

/// The base URL of each provider's API.
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
        Self::with_patience(hosts, Duration::from_secs(20))
    }

    /// Waits at most this long for an answer.
    pub fn with_patience(hosts: Hosts, patience: Duration) -> Self {
        Self {
            http: http::client(patience),
            media: media::client(patience, &hosts),
            hosts,
        }
    }

    /// An account at the provider `kind`, after a look at the shape of its `credentials`.
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

/// The last four characters; of a short secret they are too much to show.
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

    /// How heavy the files of one text may be.
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

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Twilio => "Twilio",
            Self::Telnyx => "Telnyx",
            Self::Sandbox => "Sandbox",
        }
    }
}

/// In bytes. Above it a provider refuses a text, or carriers drop it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaLimits {
    pub together: i64,
    /// Each file of a kind that the provider does not make smaller itself, as it does JPEG, PNG and GIF.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such provider: use {}", Kind::ALL.map(Kind::as_str).join(", "))]
pub struct UnknownKind;

/// What a provider can be relied on for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// How long the very same request, made again, is not sent twice. `None`: it is, at any time.
    pub idempotent_send: Option<Duration>,
    pub mms: bool,
}

/// Credentials that cannot be right, field by field, before anybody was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the credentials are not complete")]
pub struct InvalidCredentials(pub Vec<FieldError>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    pub field: &'static str,
    pub message: String,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a question to a provider stayed without a good answer. Each text is a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The provider said no: wrong credentials, a closed account, something that is not there.
    #[error("{text}")]
    Refused { code: Option<String>, text: String },
    #[error("The provider is busy right now. Try again in a moment.")]
    Busy { retry_after: Option<Duration> },
    #[error("{0}")]
    Unreachable(String),
}

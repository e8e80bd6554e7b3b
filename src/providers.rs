//! What every provider of text messages can do, and the words in which it answers.
//!
//! This floor knows no workspace, no database and no web framework: credentials and a request go in,
//! an outcome comes out. A new provider is one file that implements [`Provider`], a line in [`Kind`]
//! and an arm in [`Providers::open`].

mod outcome;
pub mod sandbox;
pub mod twilio;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::phone::{Address, Phone};

pub use outcome::{Outcome, outcome};

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

    /// Asks the provider whether the credentials are good.
    fn validate(&self) -> BoxFuture<'_, Result<Account>>;

    /// All numbers of the account.
    fn list_numbers(&self) -> BoxFuture<'_, Result<Vec<RemoteNumber>>>;

    /// Has texts to `number` delivered to `urls`, unless something at the provider stands in between.
    fn configure_webhook<'a>(
        &'a self,
        number: &'a RemoteNumber,
        urls: &'a WebhookUrls,
    ) -> BoxFuture<'a, Result<Webhook>>;

    fn send<'a>(&'a self, text: &'a Outgoing) -> BoxFuture<'a, SendOutcome>;

    /// The message as the provider has it now.
    fn lookup<'a>(&'a self, provider_sid: &'a str) -> BoxFuture<'a, Result<Option<RemoteMessage>>>;

    /// What the provider took since `since` that looks like `text`, oldest first. Ours is the first
    /// that belongs to no other message, for people do send the same text twice.
    fn find_sent<'a>(
        &'a self,
        text: &'a Outgoing,
        since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Vec<RemoteMessage>>>;

    /// The header that opens `url`, if it is media of this very message at the provider itself. It must
    /// not follow a redirect to anywhere else.
    fn media_authorization(&self, url: &str, provider_sid: &str) -> Option<HeaderValue>;

    /// Whether the provider made this request, by its signature.
    fn verify(&self, request: &SignedRequest<'_>) -> bool;

    fn parse_inbound(&self, request: &SignedRequest<'_>) -> Result<Inbound, Malformed>;

    fn parse_status(&self, request: &SignedRequest<'_>) -> Result<StatusReport, Malformed>;
}

/// The way to every provider: one pool of connections, and where each provider's API is.
#[derive(Clone)]
pub struct Providers {
    http: reqwest::Client,
    hosts: Hosts,
}

/// The base URL of each provider's API.
#[derive(Debug, Clone)]
pub struct Hosts {
    pub twilio: String,
}

impl Default for Hosts {
    fn default() -> Self {
        Self {
            twilio: twilio::API.into(),
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
            http: client(patience),
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
            Kind::Sandbox => Box::new(sandbox::Sandbox::open(credentials)?),
        })
    }
}

/// Redirects are not followed: they would carry the credentials to wherever they point.
fn client(patience: Duration) -> reqwest::Client {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .timeout(patience)
        // A connection that the other side closes just as we write leaves a send in doubt.
        .pool_idle_timeout(Duration::from_secs(20))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("MessageHub/", env!("CARGO_PKG_VERSION")))
        .build()
        .expect("TLS with the built-in roots starts")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Kind {
    Twilio,
    Sandbox,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Twilio, Self::Sandbox];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::Sandbox => "sandbox",
        }
    }
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
#[error("there is no such provider: use twilio or sandbox")]
pub struct UnknownKind;

/// What a provider can be relied on for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// The same message sent again is not sent twice.
    pub idempotent_send: bool,
    /// [`Provider::find_sent`] sees what was sent.
    pub can_find_sent: bool,
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

/// The account behind the credentials, active and able to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: String,
    pub name: String,
    /// The provider's own word, such as `active`.
    pub status: String,
    /// A trial account reaches only verified recipients.
    pub trial: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteNumber {
    pub provider_id: String,
    pub phone_number: Phone,
    pub friendly_name: String,
    pub capabilities: NumberCapabilities,
    /// What takes this number's texts before its own webhook is asked.
    pub shadow: Option<Shadow>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NumberCapabilities {
    pub sms: bool,
    pub mms: bool,
    pub voice: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// In words, for an admin: `the messaging service “Reminders” (MG…)`.
    pub by: String,
    /// Where it delivers texts to.
    pub url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrls {
    pub inbound: String,
    pub status: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Webhook {
    /// Written and read back. `previous` is the customer's own URL, to be given back one day.
    Configured {
        previous: Option<String>,
    },
    Unchanged,
    /// Nothing was written, because it would have no effect: texts go elsewhere.
    Shadowed {
        by: String,
    },
}

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
    /// Where the provider reports on it; `None` while this server has no public address.
    pub status_url: Option<String>,
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
    /// Sent or not sent, nobody here can tell.
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

/// A provider's call at our door, kept as it came until its signature is checked.
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The URL as the provider called it: our public origin, the path and the raw query.
    pub public_url: &'a str,
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

impl SignedRequest<'_> {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Media type without its parameters, in lower case.
    pub fn content_type(&self) -> Option<String> {
        let value = self.header(CONTENT_TYPE.as_str())?;
        let media_type = value.split(';').next().unwrap_or(value);
        Some(media_type.trim().to_ascii_lowercase())
    }

    pub fn query(&self) -> &str {
        let url = self.public_url;
        let url = url.split_once('#').map_or(url, |(url, _)| url);
        url.split_once('?').map_or("", |(_, query)| query)
    }
}

/// A text that somebody sent to one of our numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Unique at the provider: a repeat has the same.
    pub provider_sid: String,
    pub account: String,
    pub from: Address,
    pub to: Address,
    pub text: String,
    pub media: Vec<RemoteMedia>,
    /// Set when the provider has already acted on it, and answered.
    pub opt_out: Option<OptOut>,
    pub segments: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteMedia {
    pub url: String,
    pub content_type: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptOut {
    Stop,
    Start,
    Help,
}

/// A provider's word on the way of a message of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    pub provider_sid: String,
    pub account: String,
    /// From the URL that we gave along: known even when `provider_sid` is not yet.
    pub our_id: Option<Uuid>,
    pub attempt: Option<u32>,
    /// `None` for a word that we do not know; keep `raw_status`.
    pub status: Option<Status>,
    pub raw_status: String,
    pub error: Option<Refusal>,
}

/// What is wrong with a provider's call, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

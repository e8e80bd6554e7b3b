//! A provider's calls at our door, before and after they are understood.

use std::str::FromStr;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use url::Url;
use uuid::Uuid;

use super::{Price, Refusal, Status};
use crate::phone::Address;

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

    /// What we ourselves put into the query of the URL that we gave along.
    pub fn named<T: FromStr>(&self, name: &str) -> Option<T> {
        let mut pairs = form_urlencoded::parse(self.query().as_bytes());
        let (_, value) = pairs.find(|(field, _)| field == name)?;
        value.parse().ok()
    }

    pub fn query(&self) -> &str {
        let url = self.public_url;
        let url = url.split_once('#').map_or(url, |(url, _)| url);
        url.split_once('?').map_or("", |(_, query)| query)
    }
}

/// Which of an integration's two addresses was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    Inbound,
    Status,
}

/// What a provider's call has to say. Some tell everything at one address, others each at its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Text(Inbound),
    Report(StatusReport),
    /// Nothing that concerns us.
    Nothing,
}

/// What a provider wants to hear when its text is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    pub content_type: &'static str,
    pub body: &'static str,
}

impl Receipt {
    /// For those who only look at the status.
    pub const EMPTY: Self = Self {
        content_type: "text/plain; charset=utf-8",
        body: "",
    };
}

/// Many times what anybody delivers.
pub(super) const LONGEST_TEXT: usize = 16_000;
/// Longer than any id of theirs; a longer one is nobody's, and must not be cut into somebody else's.
pub(super) const LONGEST_ID: usize = 64;
pub(super) const MOST_MEDIA: usize = 10;
const LONGEST_URL: usize = 2048;

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

impl RemoteMedia {
    /// `None` for what is no address of the web.
    pub fn new(url: String, content_type: Option<String>) -> Option<Self> {
        let is_web_address =
            Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
        (url.len() <= LONGEST_URL && is_web_address).then(|| Self {
            url,
            content_type: content_type
                .filter(|content_type| !content_type.is_empty() && content_type.len() <= 127)
                .unwrap_or_else(|| "application/octet-stream".into()),
        })
    }
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
    /// Where the provider tells them with its reports.
    pub segments: Option<u32>,
    pub price: Option<Price>,
}

/// What is wrong with a provider's call, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

//! A provider's calls at our door, before and after they are understood.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use uuid::Uuid;

use super::{Refusal, Status};
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

//! Webhook requests and their parsed contents.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::{Price, Refusal, Status};
use crate::language::{Message, impl_error};
use crate::phone::Address;

/// A webhook request, unparsed until its signature is verified.
#[derive(Debug, Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The URL as the provider called it: our public origin, path and raw query.
    pub public_url: &'a str,
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

impl SignedRequest<'_> {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The media type without parameters, in lower case.
    pub fn content_type(&self) -> Option<String> {
        let value = self.header(CONTENT_TYPE.as_str())?;
        let media_type = value.split(';').next().unwrap_or(value);
        Some(media_type.trim().to_ascii_lowercase())
    }

    /// A query parameter of the callback URL that we gave the provider.
    pub fn query_parameter<T: FromStr>(&self, name: &str) -> Option<T> {
        let mut pairs = form_urlencoded::parse(self.query().as_bytes());
        let (_, value) = pairs.find(|(field, _)| field == name)?;
        value.parse().ok()
    }

    /// Likely variants of the URL, for when the provider called another one than we compute: other scheme (behind a
    /// proxy), other host, trailing slash.
    pub fn other_urls(&self) -> Vec<String> {
        let Some((scheme, rest)) = self.public_url.split_once("://") else {
            return Vec::new();
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (ours, path) = rest.split_at(end);
        let other = if scheme == "https" { "http" } else { "https" };
        let mut hosts = vec![ours.to_owned()];
        hosts.extend(self.hosts().filter(|host| host != ours).take(3));
        let mut urls = Vec::new();
        for host in &hosts {
            for scheme in [scheme, other] {
                for path in [path.to_owned(), toggle_trailing_slash(path)] {
                    urls.push(format!("{scheme}://{host}{path}"));
                }
            }
        }
        urls.retain(|url| url != self.public_url);
        urls
    }

    /// All host names of the request, as sent by client and proxies. Unverified.
    fn hosts(&self) -> impl Iterator<Item = String> {
        let read_value = |name: &str| self.header(name).unwrap_or_default().to_owned();
        let forwarded = read_value("forwarded");
        let forwarded = forwarded
            .split([',', ';'])
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
            .map(|(_, host)| host.trim_matches('"'));
        let (by_proxy, by_name) = (read_value("x-forwarded-host"), read_value("host"));
        let hosts: Vec<_> = forwarded
            .chain(by_proxy.split(','))
            .chain([by_name.as_str()])
            .map(|host| host.trim().to_owned())
            .filter(|host| is_host(host))
            .collect();
        hosts.into_iter()
    }

    /// The parameters for display: form fields, or JSON values by path.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let raw = match self.method {
            &Method::GET => self.query().as_bytes(),
            _ => self.body,
        };
        let mut found = Vec::new();
        match serde_json::from_slice::<Value>(raw) {
            Ok(json @ (Value::Object(_) | Value::Array(_))) => {
                flatten(String::new(), &json, &mut found)
            }
            _ => found.extend(
                form_urlencoded::parse(raw)
                    .take(MAX_PARAMETERS)
                    .map(|(name, value)| (name.into_owned(), value.into_owned())),
            ),
        }
        found
            .into_iter()
            .map(|(name, value)| (sanitized(&name), sanitized(&value)))
            .collect()
    }

    pub fn query(&self) -> &str {
        let url = self.public_url;
        let url = url.split_once('#').map_or(url, |(url, _)| url);
        url.split_once('?').map_or("", |(_, query)| query)
    }
}

fn is_host(host: &str) -> bool {
    (1..=255).contains(&host.len())
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte))
}

fn toggle_trailing_slash(path: &str) -> String {
    let (path, query) = match path.find('?') {
        Some(query) => path.split_at(query),
        None => (path, ""),
    };
    match path.strip_suffix('/') {
        Some(path) => format!("{path}{query}"),
        None => format!("{path}/{query}"),
    }
}

const MAX_PARAMETERS: usize = 200;
const MAX_PARAMETER_LENGTH: usize = 2_000;

/// Lists JSON values by path (`data.payload.to.0.phone_number`), up to the limit. serde_json bounds the depth.
fn flatten(path: String, json: &Value, found: &mut Vec<(String, String)>) {
    let child = |key: &str| match path.as_str() {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match json {
        _ if found.len() >= MAX_PARAMETERS => {}
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(child(key), value, found);
            }
        }
        Value::Array(values) => {
            for (nth, value) in values.iter().enumerate() {
                flatten(child(&nth.to_string()), value, found);
            }
        }
        Value::String(text) => found.push((path, text.clone())),
        other => found.push((path, other.to_string())),
    }
}

/// Truncates, and removes NULs, which PostgreSQL rejects.
fn sanitized(text: &str) -> String {
    text.chars()
        .filter(|c| *c != '\0')
        .take(MAX_PARAMETER_LENGTH)
        .collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureMismatch {
    Unsigned,
    /// It is valid for this URL.
    OtherUrl(String),
    /// It is valid, but outside of the time window.
    OtherTime,
    /// Wrong credentials, or not from the provider.
    WrongCredentials,
}

/// Which of an integration's two webhook URLs was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    Inbound,
    Status,
}

/// A parsed webhook. Some providers send all kinds to one URL, others each to its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookEvent {
    Text(Inbound),
    Report(StatusReport),
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    pub content_type: &'static str,
    pub body: &'static str,
}

impl Receipt {
    /// For providers that only check the status.
    pub const EMPTY: Self = Self {
        content_type: "text/plain; charset=utf-8",
        body: "",
    };
}

/// Far above what carriers deliver.
pub(super) const MAX_TEXT_LENGTH: usize = 16_000;
/// Longer than any provider's id. Longer ones are rejected, because a truncated one could equal another id.
pub(super) const MAX_ID_LENGTH: usize = 64;
pub(super) const MAX_MEDIA: usize = 10;
const MAX_URL_LENGTH: usize = 2048;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Unique at the provider, the same in retries.
    pub provider_sid: String,
    pub account: String,
    pub from: Address,
    pub to: Address,
    pub text: String,
    pub media: Vec<RemoteMedia>,
    /// Set if the provider has handled an opt-out keyword itself.
    pub opt_out: Option<OptOut>,
    pub segments: Option<u32>,
    /// When the provider received it, if it is reported late; `None`: now.
    pub at: Option<DateTime<Utc>>,
}

/// A text in a provider's list. Parts that the list omits are fetched only if the text is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedText {
    pub provider_sid: String,
    pub at: Option<DateTime<Utc>>,
    /// As far as it is listed; `None`: only the id is.
    pub text: Option<Inbound>,
    /// Whether the list omits nothing.
    pub is_whole: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteMedia {
    pub url: String,
    pub content_type: String,
}

impl RemoteMedia {
    /// Whether it is a SMIL layout, which is not shown.
    pub fn is_layout(&self) -> bool {
        let kind = self.content_type.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("application/smil")
    }

    /// `None` unless `url` is an http(s) URL.
    pub fn new(url: String, content_type: Option<String>) -> Option<Self> {
        let is_web_address =
            Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
        (url.len() <= MAX_URL_LENGTH && is_web_address).then(|| Self {
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    pub provider_sid: String,
    pub account: String,
    /// From the callback URL: known even before `provider_sid` is stored.
    pub our_id: Option<Uuid>,
    pub attempt: Option<u32>,
    /// `None` for an unknown status; `raw_status` has it.
    pub status: Option<Status>,
    pub raw_status: String,
    pub error: Option<Refusal>,
    pub segments: Option<u32>,
    pub price: Option<Price>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(pub Message);

impl Malformed {
    pub fn message(&self) -> Message {
        self.0.clone()
    }
}

impl_error!(Malformed);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request<'a>(url: &'a str, headers: &'a HeaderMap, body: &'a [u8]) -> SignedRequest<'a> {
        SignedRequest {
            public_url: url,
            method: &Method::POST,
            headers,
            body,
        }
    }

    #[test]
    fn url_variants_cover_scheme_host_and_slash() {
        let mut headers = HeaderMap::new();
        headers.insert("host", "127.0.0.1:3000".parse().unwrap());
        let forwarded = "for=1.2.3.4;host=\"hub.example\";proto=https";
        headers.insert("forwarded", forwarded.parse().unwrap());
        let urls = request("http://localhost:3000/in?a=1", &headers, b"").other_urls();
        for url in [
            "https://localhost:3000/in?a=1",
            "http://localhost:3000/in/?a=1",
            "https://hub.example/in?a=1",
            "http://127.0.0.1:3000/in?a=1",
        ] {
            assert!(urls.iter().any(|one| one == url), "{url}: {urls:?}");
        }
        assert_eq!(urls.len(), 11);
        assert!(urls.iter().all(|url| url != "http://localhost:3000/in?a=1"));
    }

    #[test]
    fn invalid_host_is_ignored() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-forwarded-host",
            "evil.example/\"x, ok.example".parse().unwrap(),
        );
        let urls = request("http://localhost/", &headers, b"").other_urls();
        assert!(urls.iter().all(|url| !url.contains("evil")), "{urls:?}");
        assert!(urls.iter().any(|url| url == "https://ok.example/"));
    }

    #[test]
    fn json_parameters_are_named_by_path() {
        let json = br#"{"data": {"id": "a", "to": [{"phone_number": "+1"}], "parts": 1}}"#;
        let parsed = request("http://localhost/", &HeaderMap::new(), json).parameters();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            parsed,
            [
                pair("data.id", "a"),
                pair("data.parts", "1"),
                pair("data.to.0.phone_number", "+1"),
            ]
        );
    }

    proptest! {
        #[test]
        fn form_parameters_are_read_unchanged(
            form in prop::collection::vec(("[A-Za-z]{1,12}", "[^\\x00]{0,60}"), 1..20)
        ) {
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&form).finish();
            let parsed = request("http://localhost/", &HeaderMap::new(), body.as_bytes()).parameters();
            prop_assert_eq!(parsed, form);
        }

        #[test]
        fn parameters_are_bounded(body in prop::collection::vec(any::<u8>(), 0..2_000), host in ".{0,80}") {
            let mut headers = HeaderMap::new();
            if let Ok(host) = host.parse() {
                headers.insert("host", host);
            }
            let request = request("http://localhost/", &headers, &body);
            let parsed = request.parameters();
            prop_assert!(parsed.len() <= MAX_PARAMETERS);
            prop_assert!(parsed.iter().all(|(name, value)| !name.contains('\0') && !value.contains('\0')));
            prop_assert!(request.other_urls().len() < 16);
        }

        #[test]
        fn json_parameters_are_bounded(depth in 1_usize..100, width in 1_usize..400) {
            let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
            let wide = format!("[{}]", vec!["1"; width].join(","));
            for body in [deep, wide] {
                let parsed = request("http://localhost/", &HeaderMap::new(), body.as_bytes()).parameters();
                prop_assert!((1..=MAX_PARAMETERS).contains(&parsed.len()));
            }
        }
    }
}

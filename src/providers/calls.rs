//! A provider's calls at our door, before and after they are understood.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;
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

    /// The usual other forms of the address, where the one that we compute is not the one that was called: another scheme
    /// behind a proxy, another host, a slash at the end.
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
                for path in [path.to_owned(), other_end(path)] {
                    urls.push(format!("{scheme}://{host}{path}"));
                }
            }
        }
        urls.retain(|url| url != self.public_url);
        urls
    }

    /// Every name by which this server was called, as the caller and the proxies between say.
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

    /// What it says, for people to look at: the fields of a form, or those of JSON by their paths.
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
            .map(|(name, value)| (readable_url(&name), readable_url(&value)))
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

/// With a slash at the end of the path, or without.
fn other_end(path: &str) -> String {
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

/// `data.payload.to.0.phone_number`, until there are enough. JSON as deep as it is read at all.
fn flatten(path: String, json: &Value, found: &mut Vec<(String, String)>) {
    let below = |key: &str| match path.as_str() {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match json {
        _ if found.len() >= MAX_PARAMETERS => {}
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(below(key), value, found);
            }
        }
        Value::Array(values) => {
            for (nth, value) in values.iter().enumerate() {
                flatten(below(&nth.to_string()), value, found);
            }
        }
        Value::String(text) => found.push((path, text.clone())),
        other => found.push((path, other.to_string())),
    }
}

/// As much of it as anybody reads, without what no page and no database takes.
fn readable_url(text: &str) -> String {
    text.chars()
        .filter(|c| *c != '\0')
        .take(MAX_PARAMETER_LENGTH)
        .collect()
}

/// Why a signature probably did not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureMismatch {
    /// There is none.
    Unsigned,
    /// It fits where this is the address that was called.
    OtherUrl(String),
    /// It fits, but was made at another time than it is here.
    OtherTime,
    /// Other credentials, or somebody else.
    Stranger,
}

/// Which of an integration's two addresses was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    Inbound,
    Status,
}

/// What a provider's call has to say. Some tell everything at one address, others each at its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookEvent {
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
pub(super) const MAX_TEXT_LENGTH: usize = 16_000;
/// Longer than any id of theirs; a longer one is nobody's, and must not be cut into somebody else's.
pub(super) const MAX_ID_LENGTH: usize = 64;
pub(super) const MAX_MEDIA: usize = 10;
const MAX_URL_LENGTH: usize = 2048;

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
    /// When the provider got it, where it comes late; `None`: now.
    pub at: Option<DateTime<Utc>>,
}

/// A text in a provider's list. What the list leaves out is asked for only where the text is new to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedText {
    pub provider_sid: String,
    pub at: Option<DateTime<Utc>>,
    /// As far as the list tells it; `None`: no more than its id.
    pub text: Option<Inbound>,
    /// Whether there is nothing more to ask for.
    pub is_whole: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteMedia {
    pub url: String,
    pub content_type: String,
}

impl RemoteMedia {
    /// How a phone would lay the other parts out (SMIL): nothing that people read.
    pub fn is_layout(&self) -> bool {
        let kind = self.content_type.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("application/smil")
    }

    /// `None` for what is no address of the web.
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

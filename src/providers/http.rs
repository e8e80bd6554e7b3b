//! The HTTP client for providers, and common parts of their responses.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::RETRY_AFTER;
use reqwest::{ClientBuilder, Response};
use url::{Host, Url};

use crate::clock;

/// Does not follow redirects, which would send the credentials elsewhere.
pub fn client(timeout: Duration) -> reqwest::Client {
    client_with(timeout, |client| client)
}

pub fn client_with(
    timeout: Duration,
    configure: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> reqwest::Client {
    let client = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .timeout(timeout)
        // If the server closes an idle connection just as we send, the outcome is unknown.
        .pool_idle_timeout(Duration::from_secs(20))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("MessageHub/", env!("CARGO_PKG_VERSION")));
    configure(client)
        .build()
        .expect("the TLS backend initializes")
}

/// Seconds or a date.
pub fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::<Utc>::from(httpdate::parse_http_date(value).ok()?);
    Some((date - clock::now()).to_std().unwrap_or_default())
}

pub fn shortened(text: &str) -> String {
    const LENGTH_LIMIT: usize = 300;
    let clean = text.chars().filter(|character| !character.is_control());
    clean.take(LENGTH_LIMIT).collect()
}

/// Whether `api` can call `url`: a loopback URL works only for an API on this machine.
pub fn reaches(api: &str, url: &str) -> bool {
    !is_loopback(url) || is_loopback(api)
}

fn is_loopback(url: &str) -> bool {
    match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unspecified(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_machine_is_reached_from_this_machine_alone() {
        let public = "https://inbox.example.com/webhooks";
        let api = "https://api.twilio.com";
        assert!(reaches(api, public) && reaches("http://127.0.0.1:9", public));
        for here in [
            "http://127.0.0.1:3000",
            "http://localhost",
            "http://[::1]:80/x",
            "http://0.0.0.0:3000",
        ] {
            assert!(!reaches(api, here), "{here}");
            assert!(reaches("http://127.0.0.1:9", here), "{here}");
        }
    }
}

//! Parses the values of settings. An error is what would have been accepted.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use lettre::message::Mailbox;
use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use url::Url;

use super::{LogFormat, Signups};

pub(super) fn bind_address(value: &str) -> Result<SocketAddr, &'static str> {
    value
        .parse()
        .map_err(|_| "an IP address and a port, such as 127.0.0.1:3000 or [::]:3000")
}

pub(super) fn mailbox(value: &str) -> Result<Mailbox, &'static str> {
    value
        .parse()
        .map_err(|_| "a mailbox, such as MessageHub <inbox@example.com>")
}

pub(super) fn database(value: &str) -> Result<PgConnectOptions, &'static str> {
    let is_url = value.starts_with("postgres://") || value.starts_with("postgresql://");
    value
        .parse()
        .ok()
        .filter(|_| is_url)
        .ok_or("expected postgres://user:password@host:port/database")
}

pub(super) fn database_connections(value: &str) -> Result<u32, &'static str> {
    let number = value.parse().ok();
    number
        .filter(|connections| (2..=100).contains(connections))
        .ok_or("a number from 2 to 100")
}

pub(super) fn jwt_secret(value: &str) -> Result<SecretString, &'static str> {
    let is_long = value.len() >= 32;
    is_long
        .then(|| SecretString::from(value))
        .ok_or("at least 32 characters: `openssl rand -base64 32` makes one")
}

pub(super) fn up_to_a_day(value: &str) -> Result<Duration, &'static str> {
    match value.parse() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err("1 to 86400 seconds"),
    }
}

pub(super) fn signups(value: &str) -> Result<Signups, &'static str> {
    match value {
        "open" => Ok(Signups::Open),
        "invite" => Ok(Signups::Invite),
        "closed" => Ok(Signups::Closed),
        _ => Err("open, invite or closed"),
    }
}

pub(super) fn workspaces_per_person(value: &str) -> Result<u32, &'static str> {
    let number = value.parse().ok();
    number
        .filter(|workspaces| (1..=10_000).contains(workspaces))
        .ok_or("a number from 1 to 10000")
}

pub(super) fn log_filter(value: &str) -> Result<String, String> {
    let filter: Result<tracing_subscriber::EnvFilter, _> = value.parse();
    filter.map(|_| value.to_owned()).map_err(|error| {
        format!("a level (error, warn, info, debug, trace) or target=level ({error})")
    })
}

pub(super) fn log_format(value: &str) -> Result<LogFormat, &'static str> {
    match value {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("text or json"),
    }
}

pub(super) fn origin(value: &str) -> Result<Url, &'static str> {
    const ACCEPTED: &str = "an origin without a path, such as https://inbox.example.com";
    let url = Url::parse(value).map_err(|_| ACCEPTED)?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    plain.then_some(url).ok_or(ACCEPTED)
}

pub(super) fn sockets(value: &str) -> Result<usize, &'static str> {
    let number = value.parse().ok();
    number
        .filter(|sockets| (1..=1_000_000).contains(sockets))
        .ok_or("a number from 1 to 1000000")
}

/// Addresses and prefixes; an address becomes a prefix of full length.
pub(super) fn prefixes(value: &str) -> Result<Vec<IpNet>, &'static str> {
    let prefix = |text: &str| {
        text.parse()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
    };
    value
        .split(',')
        .map(|text| prefix(text.trim()))
        .collect::<Result<_, _>>()
        .map_err(|_| "IP addresses or prefixes with commas in between, such as 10.0.0.0/8,::1")
}

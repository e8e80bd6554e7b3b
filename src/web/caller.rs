//! The client's address: the peer, or the client named by trusted proxies.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use axum_extra::extract::CookieJar;

use crate::app::App;
use crate::config::Config;
use crate::domain::accounts::Caller;

/// A random token that identifies a browser after a sign-in. It grants no access.
pub const BROWSER_COOKIE: &str = "messagehub_browser";

/// The client of a request, for rate limits and the audit log.
impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    App: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let config = &App::from_ref(state).config;
        Ok(Self::of(&parts.headers, &parts.extensions, config))
    }
}

impl Caller {
    pub fn of(headers: &HeaderMap, extensions: &Extensions, config: &Config) -> Self {
        let device = headers.get(header::USER_AGENT);
        Self {
            address: seen_through_proxies(headers, peer(extensions), config),
            device: device.and_then(|agent| Some(agent.to_str().ok()?.to_owned())),
            browser: browser(headers),
        }
    }
}

/// The browser's token, if it has the format of one.
fn browser(headers: &HeaderMap) -> Option<String> {
    let jar = CookieJar::from_headers(headers);
    let token = jar.get(BROWSER_COOKIE)?.value();
    let is_ours = token.len() == 43
        && token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_ours.then(|| token.to_owned())
}

pub fn address(parts: &Parts, config: &Config) -> IpAddr {
    seen_through_proxies(&parts.headers, peer(&parts.extensions), config)
}

fn peer(extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0.ip())
}

/// The peer, or the client named by trusted proxies. Clients can send the header as well, so only entries written by
/// trusted proxies count, from the right.
fn seen_through_proxies(headers: &HeaderMap, peer: IpAddr, config: &Config) -> IpAddr {
    let trusted = |address: &IpAddr| {
        let mut nets = config.trusted_proxies.iter();
        nets.any(|net| net.contains(address))
    };
    let peer = peer.to_canonical();
    let mut caller = peer;
    for hop in hops(headers) {
        if !trusted(&caller) {
            break;
        }
        let Some(address) = hop else {
            return peer; // a malformed entry is not trusted
        };
        caller = address;
    }
    caller
}

/// The addresses of `X-Forwarded-For`, nearest first.
fn hops(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    headers
        .get_all("x-forwarded-for")
        .iter()
        .rev()
        .flat_map(|value| value.to_str().unwrap_or_default().rsplit(','))
        .map(|text| parse(text.trim()))
}

/// `192.0.2.7`, `192.0.2.7:5000`, `2001:db8::7`, `[2001:db8::7]`, `[2001:db8::7]:5000`.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let bare = bare.unwrap_or(text).parse().ok();
    let address = bare.or_else(|| {
        text.parse()
            .map(|with_port: SocketAddr| with_port.ip())
            .ok()
    });
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests;

//! Middleware for every request and response: `Host`, same origin, encoding, time limits, security headers.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::CookieJar;
use http_body_util::BodyExt;
use tower_http::timeout::{TimeoutBody, TimeoutError};

use super::auth::{ACCESS_COOKIE, Claimed, REFRESH_COOKIE, TokenSource};
use super::problem::Problem;
use super::{AppState, assets, ops};
use crate::app::App;
use crate::config::Config;
use crate::language::t;

/// The longest pause within a body, and the limit for a whole request: slow phones upload pictures.
pub const MAX_SILENCE: Duration = Duration::from_secs(10);
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// Everything here that concerns a provider's call. In one layer: each costs a call as much as parsing it.
pub async fn webhook(State(app_state): State<AppState>, request: Request, next: Next) -> Response {
    ops::traced(request, async |request| {
        let mut response = match has_right_host(&request) {
            true => answered_within(RESPONSE_TIMEOUT, next.run(request)).await,
            false => wrong_host(),
        };
        set_headers(response.headers_mut(), &app_state.app.config, false);
        response
    })
    .await
}

pub async fn host(request: Request, next: Next) -> Response {
    match has_right_host(&request) {
        true => next.run(request).await,
        false => wrong_host(),
    }
}

/// RFC 9112, 3.2: an HTTP/1.1 request has exactly one `Host`; an invalid one is refused in any version.
fn has_right_host(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() < Version::HTTP_11,
        (Some(host), None) => is_host(host.as_bytes()),
        (Some(_), Some(_)) => false,
    }
}

fn wrong_host() -> Response {
    let detail = t!("Send exactly one Host header, such as inbox.example.com or 192.0.2.7:3000");
    Problem::new(StatusCode::BAD_REQUEST, "malformed", detail).into_response()
}

/// `uri-host [ ":" port ]` of RFC 3986.
fn is_host(value: &[u8]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else {
        return false;
    };
    let (is_name, rest) = match value.strip_prefix('[') {
        Some(literal) => match literal.split_once(']') {
            Some((address, rest)) => (address.parse::<Ipv6Addr>().is_ok(), rest),
            None => return false,
        },
        None => {
            let (name, rest) = value.split_at(value.find(':').unwrap_or(value.len()));
            (is_registered_name(name.as_bytes()), rest)
        }
    };
    let is_port = match rest.strip_prefix(':') {
        Some(port) => {
            port.is_empty()
                || port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok()
        }
        None => rest.is_empty(),
    };
    is_name && is_port
}

fn is_registered_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let [first, others @ ..] = rest {
        rest = match (first, others) {
            (b'%', [high, low, others @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                others
            }
            (letter, _)
                if letter.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(letter) =>
            {
                others
            }
            _ => return false,
        };
    }
    !name.is_empty()
}

/// Negotiates `br`, `gzip` or `identity` and replaces `Accept-Encoding` by the result, so that all inner layers agree.
/// A safe request that accepts none of them gets 406 before it is handled. An unsafe one is handled, and its response
/// is not compressed.
pub async fn encoding(mut request: Request, next: Next) -> Response {
    if !request.headers().contains_key(header::ACCEPT_ENCODING) {
        return next.run(request).await;
    }
    let chosen = match chosen_encoding(request.headers()) {
        Some(chosen) => chosen,
        None if request.method().is_safe() => {
            let detail = t!(
                "Accept at least one of br, gzip and identity. Accept-Encoding excludes all of them."
            );
            let problem = Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", detail);
            let mut answer = problem.into_response();
            vary(&mut answer, &header::ACCEPT_ENCODING);
            return answer;
        }
        None => "identity",
    };
    request
        .headers_mut()
        .insert(header::ACCEPT_ENCODING, HeaderValue::from_static(chosen));
    next.run(request).await
}

/// RFC 9110, 12.5.3. Malformed entries are skipped.
fn chosen_encoding(headers: &HeaderMap) -> Option<&'static str> {
    let (mut br, mut gzip, mut identity, mut others) = (None, None, None, None);
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    for coding in values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
    {
        let (name, parameter) = coding.split_once(';').unwrap_or((coding, ""));
        let Some(weight) = weight(parameter) else {
            continue;
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "br" => br = Some(weight),
            "gzip" | "x-gzip" => gzip = Some(weight),
            "identity" => identity = Some(weight),
            "*" => others = Some(weight),
            _ => {}
        }
    }
    // Encodings that are not listed are not acceptable, except `identity`, with the lowest weight.
    let weight = |named: Option<f32>| named.or(others).unwrap_or(0.0);
    let identity = identity.or(others).unwrap_or(0.0001);
    [
        ("br", weight(br)),
        ("gzip", weight(gzip)),
        ("identity", identity),
    ]
    .into_iter()
    .rev()
    .filter(|(_, weight)| *weight > 0.0)
    .max_by(|(_, a), (_, b)| a.total_cmp(b))
    .map(|(name, _)| name)
}

fn weight(parameter: &str) -> Option<f32> {
    if parameter.trim().is_empty() {
        return Some(1.0);
    }
    let (name, value) = parameter.split_once('=')?;
    let value: f32 = value.trim().parse().ok()?;
    let is_weight = name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&value);
    is_weight.then_some(value)
}

pub fn vary(answer: &mut Response, header: &HeaderName) {
    let mut values = answer.headers().get_all(header::VARY).iter();
    let is_listed = values.any(|value| {
        let names = value.to_str().unwrap_or_default().split(',');
        names
            .map(str::trim)
            .any(|name| name == "*" || name.eq_ignore_ascii_case(header.as_str()))
    });
    if !is_listed {
        answer
            .headers_mut()
            .append(header::VARY, header.clone().into());
    }
}

/// Refuses unsafe cross-origin requests. They are refused without cookies as well, because a forged sign-in would
/// sign a user in to another user's account.
pub async fn same_origin(
    State(app_state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if safe || is_allowed(request.headers(), &app_state.app) {
        return next.run(request).await;
    }
    let detail = t!("This request came from another site. Open MessageHub and try again there.");
    Problem::new(StatusCode::FORBIDDEN, "cross_origin", detail).into_response()
}

fn is_allowed(headers: &HeaderMap, app: &App) -> bool {
    // Browsers add no bearer token by themselves. Only a valid one counts; with an invalid one the cookie may
    // authenticate the request.
    if matches!(Claimed::of(headers, app), Some((_, TokenSource::Bearer))) {
        return true;
    }
    match is_same_origin(headers, &app.config) {
        Some(ours) => ours,
        None => !has_session_cookie(headers),
    }
}

/// `None` if a browser did not send the request, or a very old one did.
pub fn is_same_origin(headers: &HeaderMap, config: &Config) -> Option<bool> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        // `none`: a URL typed by the user.
        return Some(matches!(site, "same-origin" | "none"));
    }
    let origin = text(header::ORIGIN)?;
    let ours = config.base_url.origin().ascii_serialization();
    let asked = text(header::HOST).map(|host| format!("{}://{host}", config.base_url.scheme()));
    Some(origin == ours || Some(origin) == asked.as_deref())
}

fn has_session_cookie(headers: &HeaderMap) -> bool {
    let jar = CookieJar::from_headers(headers);
    [ACCESS_COOKIE, REFRESH_COOKIE]
        .iter()
        .any(|name| jar.get(name).is_some())
}

/// Limits the time to receive a request and to respond.
pub async fn in_time(request: Request, next: Next) -> Response {
    within(MAX_SILENCE, RESPONSE_TIMEOUT, request, next).await
}

async fn within(silence: Duration, all: Duration, request: Request, next: Next) -> Response {
    let silent = Arc::new(AtomicBool::new(false));
    let silent_flag = Arc::clone(&silent);
    let request = request.map(|body| {
        let body = TimeoutBody::new(silence, body);
        // Other errors of the body are not timeouts.
        Body::new(body.map_err(move |error| {
            silent_flag.fetch_or(error.is::<TimeoutError>(), Ordering::Relaxed);
            error
        }))
    });
    let answer = answered_within(all, next.run(request)).await;
    // Handlers report a body that timed out as malformed.
    match silent.load(Ordering::Relaxed) {
        true => incomplete().into_response(),
        false => answer,
    }
}

/// The rest of a request did not come in time.
pub fn incomplete() -> Problem {
    let detail = t!("The request wasn’t received completely. Send it again.");
    Problem::new(StatusCode::REQUEST_TIMEOUT, "timed_out", detail)
}

async fn answered_within(limit: Duration, answer: impl Future<Output = Response>) -> Response {
    let answer = tokio::time::timeout(limit, answer).await;
    answer.unwrap_or_else(|_| {
        tracing::error!("request timed out");
        let detail = t!("This took too long and was stopped. Try again in a moment.");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timed_out", detail).into_response()
    })
}

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// Features that no page uses and so no injected script may use.
const NO_DEVICES: &str =
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";

pub async fn headers(State(app_state): State<AppState>, request: Request, next: Next) -> Response {
    // Scripts and style sheets are not documents: page headers would be most of the size of a small one.
    let path = request.uri().path();
    let is_part = path.starts_with("/assets/") && (path.ends_with(".js") || path.ends_with(".css"));
    let mut response = next.run(request).await;
    set_headers(response.headers_mut(), &app_state.app.config, is_part);
    response
}

fn set_headers(headers: &mut HeaderMap, config: &Config, is_part: bool) {
    let mut set = |name: HeaderName, value: &'static str| {
        let value = HeaderValue::from_static(value);
        headers.entry(name).or_insert(value);
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(CROSS_ORIGIN_RESOURCE_POLICY, "same-origin");
    if !is_part {
        set(header::CONTENT_SECURITY_POLICY, assets::csp());
        set(header::REFERRER_POLICY, "same-origin");
        set(header::X_FRAME_OPTIONS, "DENY");
        set(CROSS_ORIGIN_OPENER_POLICY, "same-origin");
        set(PERMISSIONS_POLICY, NO_DEVICES);
    }
    // Assets set their own value.
    set(header::CACHE_CONTROL, "no-store");
    if config.is_https() {
        set(
            header::STRICT_TRANSPORT_SECURITY,
            "max-age=31536000; includeSubDomains",
        );
    }
}

#[cfg(test)]
mod tests;

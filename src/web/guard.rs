//! What every request and answer goes through: same-origin, time limits, and the headers that keep a browser safe.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tower_http::timeout::TimeoutBody;

use super::auth::{ACCESS_COOKIE, Claimed, Door, REFRESH_COOKIE};
use super::problem::Problem;
use super::{Doors, assets};
use crate::app::App;
use crate::config::Config;

/// The longest that nothing of a body may come, and the longest for all of a request: slow phones send pictures.
const LONGEST_SILENCE: Duration = Duration::from_secs(10);
const SLOWEST_ANSWER: Duration = Duration::from_secs(60);

/// An unsafe request that a browser sends with our cookies must come from our own pages; and none may come from a page
/// of somebody else, with cookies or without (nobody is signed in to a stranger's account by a link).
pub async fn same_origin(State(doors): State<Doors>, request: Request, next: Next) -> Response {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if safe || is_allowed(request.headers(), &doors.app) {
        return next.run(request).await;
    }
    let detail = "this request came from another site: open MessageHub itself and try there";
    Problem::new(StatusCode::FORBIDDEN, "cross_origin", detail).into_response()
}

fn is_allowed(headers: &HeaderMap, app: &App) -> bool {
    // A browser adds no bearer token by itself. Only a good one counts, for that is what lets the request in; with any other
    // header it may be the cookie.
    if matches!(Claimed::of(headers, app), Some((_, Door::Bearer))) {
        return true;
    }
    match comes_from_us(headers, &app.config) {
        Some(ours) => ours,
        None => !carries_our_cookie(headers),
    }
}

/// `None`: not sent by a browser, or by a very old one.
pub fn comes_from_us(headers: &HeaderMap, config: &Config) -> Option<bool> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        // `none` is what the person typed into the address bar.
        return Some(matches!(site, "same-origin" | "none"));
    }
    let origin = text(header::ORIGIN)?;
    let ours = config.base_url.origin().ascii_serialization();
    let asked = text(header::HOST).map(|host| format!("{}://{host}", config.base_url.scheme()));
    Some(origin == ours || Some(origin) == asked.as_deref())
}

fn carries_our_cookie(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .any(|(name, _)| name == ACCESS_COOKIE || name == REFRESH_COOKIE)
}

/// A request has to arrive and to be answered in time, whoever is slow: what waits for ever costs us, not them.
pub async fn in_time(request: Request, next: Next) -> Response {
    within(LONGEST_SILENCE, SLOWEST_ANSWER, request, next).await
}

async fn within(silence: Duration, all: Duration, request: Request, next: Next) -> Response {
    let silent = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&silent);
    let request = request.map(|body| {
        let body = TimeoutBody::new(silence, body);
        Body::new(body.map_err(move |error| {
            noted.store(true, Ordering::Relaxed);
            error
        }))
    });
    let answer = tokio::time::timeout(all, next.run(request)).await;
    // Doors take a body that stopped coming for a wrong one.
    if silent.load(Ordering::Relaxed) {
        let detail = "the rest of the request did not come: send it again";
        return Problem::new(StatusCode::REQUEST_TIMEOUT, "timed_out", detail).into_response();
    }
    answer.unwrap_or_else(|_| {
        tracing::error!("a request took too long and was given up");
        let detail = "this took too long and was given up: try again shortly";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timed_out", detail).into_response()
    })
}

/// Nothing here needs them, so nothing that gets in here may ask for them.
const NO_DEVICES: &str =
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";

pub async fn headers(State(doors): State<Doors>, request: Request, next: Next) -> Response {
    // Scripts and style sheets are no pages: what is said of pages would be most of what a small one weighs.
    let path = request.uri().path();
    let is_part = path.starts_with("/assets/") && (path.ends_with(".js") || path.ends_with(".css"));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.entry(name).or_insert(value);
        }
    };
    set("x-content-type-options", "nosniff");
    set("cross-origin-resource-policy", "same-origin");
    if !is_part {
        set("content-security-policy", assets::csp());
        set("referrer-policy", "same-origin");
        set("x-frame-options", "DENY");
        set("cross-origin-opener-policy", "same-origin");
        set("permissions-policy", NO_DEVICES);
    }
    // Assets say otherwise for themselves.
    set("cache-control", "no-store");
    if doors.app.config.is_https() {
        set(
            "strict-transport-security",
            "max-age=31536000; includeSubDomains",
        );
    }
    response
}

#[cfg(test)]
mod tests;

//! What every request and answer goes through: same-origin, and the headers that keep a browser safe.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::auth::{ACCESS_COOKIE, REFRESH_COOKIE};
use super::problem::Problem;
use super::{Doors, assets};
use crate::config::Config;

/// An unsafe request that a browser sends with our cookies must come from our own pages; and none may come from a page
/// of somebody else, with cookies or without (nobody is signed in to a stranger's account by a link).
pub async fn same_origin(State(doors): State<Doors>, request: Request, next: Next) -> Response {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    if safe || is_allowed(request.headers(), &doors.app.config) {
        return next.run(request).await;
    }
    let detail = "this request came from another site: open MessageHub itself and try there";
    Problem::new(StatusCode::FORBIDDEN, "cross_origin", detail).into_response()
}

fn is_allowed(headers: &HeaderMap, config: &Config) -> bool {
    if headers.contains_key(header::AUTHORIZATION) {
        return true; // a browser never adds one by itself
    }
    match comes_from_us(headers, config) {
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

pub async fn headers(State(doors): State<Doors>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.entry(name).or_insert(value);
        }
    };
    set("content-security-policy", assets::csp());
    set("x-content-type-options", "nosniff");
    set("referrer-policy", "same-origin");
    set("x-frame-options", "DENY");
    set("cross-origin-opener-policy", "same-origin");
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

//! Serves the files. At stable URLs they are cached for a day only.

use axum::body::Body;
use axum::extract::{OriginalUri, Path};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::collection::Asset;
use super::registry;

/// `GET /assets/{*file}`
pub async fn show(Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = registry::at_url(&format!("/assets/{file}")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let cached = [
        (header::CONTENT_TYPE, asset.mime.as_str()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    if asset.is_text() && takes_brotli(&headers) {
        let compressed = tokio::task::spawn_blocking(|| asset.compressed()).await;
        if let Ok(compressed) = compressed {
            let encoding = [
                (header::CONTENT_ENCODING, "br"),
                (header::VARY, "accept-encoding"),
            ];
            return (cached, encoding, Body::from(compressed)).into_response();
        }
    }
    (cached, Body::from(asset.bytes.clone())).into_response()
}

fn takes_brotli(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|coding| coding.split_once(';').unwrap_or((coding, "")));
    codings.any(|(name, weight)| {
        name.trim().eq_ignore_ascii_case("br") && !matches!(weight.trim(), "q=0" | "q=0.0")
    })
}

/// `GET /favicon.ico` and `/favicon.svg`: browsers request these paths.
pub async fn favicon() -> Response {
    for_a_day(registry::named("favicon.svg"))
}

/// `GET /icon-192.png` etc.: operating systems store these URLs with the installed app.
pub async fn app_icon(OriginalUri(uri): OriginalUri) -> Response {
    for_a_day(registry::named(uri.path().trim_start_matches('/')))
}

/// `GET /demo/{file}`: the demo's pictures, at stable URLs stored in messages.
pub async fn demo(Path(file): Path<String>) -> Response {
    for_a_day(registry::named(&format!("demo/{file}")))
}

fn for_a_day(asset: Option<&'static Asset>) -> Response {
    let Some(asset) = asset else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, asset.mime.as_str()),
        (header::CACHE_CONTROL, "public, max-age=86400"),
    ];
    (headers, Body::from(asset.bytes.clone())).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn brotli_is_served_when_accepted() {
        let file = || Path(registry::url("vendor/turbo.min.js").replace("/assets/", ""));
        let asking = |accepted: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, accepted.parse().expect("a value"));
            headers
        };
        let size = async |response: Response| {
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
            body.expect("a body").len()
        };
        let plain = show(file(), asking("gzip, br;q=0")).await;
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
        let compressed = show(file(), asking("gzip, deflate, BR;q=0.9")).await;
        assert_eq!(compressed.headers()[header::CONTENT_ENCODING], "br");
        assert!(size(compressed).await * 4 < size(plain).await);
    }
}

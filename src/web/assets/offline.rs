//! What works without a connection: the service worker and its page.

use aws_lc_rs::digest::{SHA256, digest};
use std::sync::LazyLock;

use askama::Template;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use super::by_language::MODULES;
use super::collection::hex;
use super::registry as assets;
use crate::web::language::filters;
use crate::web::routes::Routes;

/// `GET /service-worker.js`: at the root, so that its scope is the whole site. Its version depends on the hashes of all
/// files it caches.
pub async fn service_worker() -> Response {
    static WORKER: LazyLock<String> = LazyLock::new(|| {
        let left_out = [
            "css/",
            "demo/",
            "vendor/",
            "service-worker.js",
            "manifest",
            "icon-",
            "apple-touch-icon.png",
        ];
        let vendored = MODULES.iter().map(|(_, file)| *file);
        let ours = assets::names();
        let files: Vec<_> = ours
            .filter(|name| !left_out.iter().any(|other| name.starts_with(other)))
            .chain(vendored)
            .map(assets::url)
            .collect();
        let code = assets::named("service-worker.js").expect("the file is embedded");
        let code = String::from_utf8_lossy(&code.bytes);
        let files = serde_json::json!(files).to_string();
        let version = digest(
            &SHA256,
            format!("{files}{code}{}", offline_page()).as_bytes(),
        );
        let version = hex(version.as_ref());
        format!("const VERSION = \"{version}\"\nconst FILES = {files}\n\n{code}")
    });
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    let allowed = [("service-worker-allowed", "/")];
    (headers, allowed, WORKER.as_str()).into_response()
}

#[derive(Template)]
#[template(path = "offline.html")]
struct Offline;

fn offline_page() -> String {
    Offline.render().unwrap_or_default()
}

/// Pages outside the layers of `pages`: without cookies.
pub fn pages() -> Routes {
    Routes::default().get("/offline", offline)
}

/// `GET /offline`: the page that the service worker shows offline. It contains no user data.
async fn offline() -> Html<String> {
    Html(offline_page())
}

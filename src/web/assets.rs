//! What the browser fetches beside the pages. Each file's address carries a hash of its content, so it may be kept for ever.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use askama::filters::HtmlSafeOutput;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

#[derive(RustEmbed)]
#[folder = "static/"]
#[exclude = "*.md"]
struct Static;

/// The style sheets in the order in which they are laid over one another. They travel as two files: what every page
/// has, and what the inbox, which is to be light, does without.
const SHEETS: &[(&str, &[&str])] = &[
    (
        "app.css",
        &[
            "tokens", "base", "icon", "button", "field", "avatar", "badge", "card", "menu",
            "dialog", "progress", "toast", "app", "rail", "live", "list", "row", "thread",
            "message", "composer", "details", "empty",
        ],
    ),
    (
        "pages.css",
        &["doorway", "table", "matrix", "admin", "handset", "docs"],
    ),
];

/// Modules by the name under which they are imported.
const MODULES: &[(&str, &str)] = &[
    ("@hotwired/turbo", "vendor/turbo.min.js"),
    ("@hotwired/stimulus", "vendor/stimulus.min.js"),
];

struct Asset {
    bytes: Bytes,
    mime: String,
}

struct Assets {
    /// By the address that carries the hash.
    by_url: BTreeMap<String, Asset>,
    /// `app.css` → `/assets/app-1a2b3c4d.css`
    urls: BTreeMap<String, String>,
    importmap: String,
    preloads: String,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let mut assets = Assets {
        by_url: BTreeMap::new(),
        urls: BTreeMap::new(),
        importmap: String::new(),
        preloads: String::new(),
    };
    for name in Static::iter() {
        let file = Static::get(&name).expect("the embedded folder lists what it holds");
        assets.add(&name, file.data.into_owned().into());
    }
    for (name, parts) in SHEETS {
        assets.add(name, laid(parts).into());
    }
    assets.map_imports();
    assets
});

impl Assets {
    fn add(&mut self, name: &str, bytes: Bytes) {
        let hash: String =
            Sha256::digest(&bytes)
                .iter()
                .take(6)
                .fold(String::new(), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                });
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        let url = format!("/assets/{stem}-{hash}.{extension}");
        let mime = match extension {
            "webmanifest" => "application/manifest+json".to_owned(),
            "js" => "text/javascript; charset=utf-8".to_owned(),
            "css" => "text/css; charset=utf-8".to_owned(),
            _ => mime_guess::from_path(name)
                .first_or_octet_stream()
                .to_string(),
        };
        self.by_url.insert(url.clone(), Asset { bytes, mime });
        self.urls.insert(name.to_owned(), url);
    }

    /// `js/controllers/list.js` is imported as `controllers/list`.
    fn map_imports(&mut self) {
        let ours = self.urls.iter().filter_map(|(name, url)| {
            let module = name.strip_prefix("js/")?.strip_suffix(".js")?;
            Some((module.to_owned(), url.clone()))
        });
        let vendored = MODULES
            .iter()
            .map(|(module, file)| ((*module).to_owned(), self.urls[*file].clone()));
        let imports: BTreeMap<String, String> = vendored.chain(ours).collect();
        for (_, url) in imports.iter().filter(|(module, _)| !is_extra(module)) {
            let _ = write!(self.preloads, r#"<link rel="modulepreload" href="{url}">"#);
        }
        self.importmap = serde_json::json!({ "imports": imports }).to_string();
    }
}

/// `js/pages.js` and what only it imports: the inbox does without.
fn is_extra(module: &str) -> bool {
    module == "pages" || module.starts_with("pages/")
}

fn laid(parts: &[&str]) -> String {
    parts.iter().fold(
        "@layer tokens, base, components, pages;\n".to_owned(),
        |mut sheet, name| {
            let file = Static::get(&format!("css/{name}.css"))
                .unwrap_or_else(|| panic!("static/css/{name}.css is missing"));
            sheet.push_str(&String::from_utf8_lossy(&file.data));
            sheet
        },
    )
}

/// The address of a file under `static/`, or of a concatenated style sheet.
pub fn url(name: &str) -> &'static str {
    ASSETS
        .urls
        .get(name)
        .map_or("/assets/missing", String::as_str)
}

/// A picture from the sprite. It says nothing to a screen reader: the text beside it does.
pub fn icon(name: &str) -> HtmlSafeOutput<String> {
    HtmlSafeOutput(format!(
        r##"<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{name}"></use></svg>"##,
        url("icons.svg")
    ))
}

/// The one inline element of a page; the policy names its hash.
pub fn importmap() -> HtmlSafeOutput<&'static str> {
    HtmlSafeOutput(ASSETS.importmap.as_str())
}

pub fn preloads() -> HtmlSafeOutput<&'static str> {
    HtmlSafeOutput(ASSETS.preloads.as_str())
}

/// What pages may load and run: our own files, and the import map by its hash.
pub fn csp() -> &'static str {
    static CSP: LazyLock<String> = LazyLock::new(|| {
        format!(
            "default-src 'none'; script-src 'self' 'sha256-{}'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
             font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'",
            STANDARD.encode(Sha256::digest(ASSETS.importmap.as_bytes()))
        )
    });
    &CSP
}

/// `GET /assets/{*file}`
pub async fn show(Path(file): Path<String>) -> Response {
    let Some(asset) = ASSETS.by_url.get(&format!("/assets/{file}")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, asset.mime.as_str()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, Body::from(asset.bytes.clone())).into_response()
}

/// `GET /favicon.ico` and `/favicon.svg`: browsers ask for them by these names.
pub async fn favicon() -> Response {
    let asset = &ASSETS.by_url[url("favicon.svg")];
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "public, max-age=86400"),
    ];
    (headers, Body::from(asset.bytes.clone())).into_response()
}

/// `GET /demo/{file}`: the demo's pictures, at addresses that stay the same, as messages name them.
pub async fn demo(Path(file): Path<String>) -> Response {
    let Some(asset) = ASSETS.by_url.get(url(&format!("demo/{file}"))) else {
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

    #[test]
    fn every_address_carries_the_hash_of_its_content() {
        let css = url("app.css");
        assert!(
            css.starts_with("/assets/app-") && css.ends_with(".css"),
            "{css}"
        );
        assert!(ASSETS.importmap.contains("\"controllers/list\""));
    }

    #[test]
    fn the_policy_allows_the_import_map_and_no_other_inline_script() {
        assert!(csp().contains("'sha256-"));
        assert!(!csp().contains("unsafe"));
    }

    #[test]
    fn every_style_sheet_is_laid_in() {
        for name in Static::iter().filter(|name| name.starts_with("css/")) {
            let stem = name.trim_start_matches("css/").trim_end_matches(".css");
            let listed = SHEETS.iter().any(|(_, parts)| parts.contains(&stem));
            assert!(listed, "{name} is not listed in SHEETS");
        }
    }

    #[test]
    fn the_sprite_has_every_icon_that_a_template_names() {
        let sprite = Static::get("icons.svg").expect("the sprite");
        let sprite = String::from_utf8_lossy(&sprite.data);
        let mut open = vec![std::path::PathBuf::from("templates")];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(
                    std::fs::read_dir(&path)
                        .expect("readable")
                        .map(|entry| entry.expect("readable").path()),
                );
            } else {
                let text = std::fs::read_to_string(&path).expect("readable");
                for named in text.split("icon(\"").skip(1) {
                    let name = named.split('"').next().unwrap_or_default();
                    assert!(
                        sprite.contains(&format!("id=\"{name}\"")),
                        "{} names {name}",
                        path.display()
                    );
                }
            }
        }
    }
}

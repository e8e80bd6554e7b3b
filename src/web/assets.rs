//! Static files. Each URL contains a hash of the content, so that it is cached forever.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{LazyLock, OnceLock};

use askama::Template;
use askama::filters::HtmlSafeOutput;
use axum::body::Body;
use axum::extract::{OriginalUri, Path};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use crate::language::{self, Language, Message, t};
use crate::web::assets;
use crate::web::language::filters;

#[derive(RustEmbed)]
#[folder = "static/"]
#[exclude = "*.md"]
struct Static;

/// The style sheets in cascade order. They are served as two files: `app.css` for all pages, `pages.css` for all pages
/// but the inbox.
const SHEETS: &[(&str, &[&str])] = &[
    (
        "app.css",
        &[
            "tokens", "base", "icon", "button", "field", "avatar", "badge", "card", "menu",
            "dialog", "palette", "progress", "toast", "app", "rail", "live", "list", "row",
            "thread", "message", "composer", "offers", "outbox", "lightbox", "details", "empty",
            "tag", "print",
        ],
    ),
    (
        "pages.css",
        &[
            "auth-page",
            "table",
            "matrix",
            "admin",
            "contacts",
            "handset",
            "docs",
            "writing",
        ],
    ),
];

/// Vendored modules by their import name.
const MODULES: &[(&str, &str)] = &[
    ("@hotwired/turbo", "vendor/turbo.min.js"),
    ("@hotwired/stimulus", "vendor/stimulus.min.js"),
];

struct Asset {
    bytes: Bytes,
    mime: String,
    compressed: OnceLock<Bytes>,
}

impl Asset {
    /// Brotli at the highest level: a sixth smaller than the middleware's compression. Up to 0.2 s per file, once.
    fn compressed(&self) -> Bytes {
        let compress = || {
            let mut compressed = Vec::new();
            let mut writer = brotli::CompressorWriter::new(&mut compressed, 4096, 11, 22);
            writer
                .write_all(&self.bytes)
                .expect("writing to memory cannot fail");
            drop(writer);
            compressed.into()
        };
        self.compressed.get_or_init(compress).clone()
    }

    fn is_text(&self) -> bool {
        ["text/", "image/svg", "application/manifest"]
            .iter()
            .any(|kind| self.mime.starts_with(kind))
    }
}

struct Assets {
    by_url: BTreeMap<String, Asset>,
    /// `app.css` → `/assets/app-1a2b3c4d.css`
    urls: BTreeMap<String, String>,
    by_language: HashMap<Language, LanguageFiles>,
}

/// Files that differ by language: the import map, because `i18n` differs, and the web app manifest.
#[derive(Default)]
struct LanguageFiles {
    map: String,
    preloads: String,
    manifest: String,
}

static SHORTCUTS: [(Message, &str); 2] = [(t!("Inbox"), "/"), (t!("My account"), "/account")];

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let mut assets = Assets {
        by_url: BTreeMap::new(),
        urls: BTreeMap::new(),
        by_language: HashMap::new(),
    };
    for name in Static::iter() {
        let file = Static::get(&name).expect("a listed file is embedded");
        match name.starts_with("js/") {
            true => assets.add(&name, without_comments(&file.data).into()),
            false => assets.add(&name, file.data.into_owned().into()),
        }
    }
    for (name, parts) in SHEETS {
        assets.add(name, concatenated(parts).into());
    }
    for language in Language::ALL {
        let files = assets.language_files(language);
        assets.by_language.insert(language, files);
    }
    assets
});

impl Assets {
    fn add(&mut self, name: &str, bytes: Bytes) {
        let hash = hex(&Sha256::digest(&bytes));
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
        let asset = Asset {
            bytes,
            mime,
            compressed: OnceLock::new(),
        };
        self.by_url.insert(url.clone(), asset);
        self.urls.insert(name.to_owned(), url);
    }

    /// `js/controllers/list.js` is imported as `controllers/list`.
    fn language_files(&mut self, language: Language) -> LanguageFiles {
        let messages_url = self.messages_url(language);
        let manifest = self.manifest(language);
        let ours = self.urls.iter().filter_map(|(name, url)| {
            let module = name.strip_prefix("js/")?.strip_suffix(".js")?;
            Some((module.to_owned(), url.clone()))
        });
        let vendored = MODULES
            .iter()
            .map(|(module, file)| ((*module).to_owned(), self.urls[*file].clone()));
        let mut imports: BTreeMap<String, String> = vendored.chain(ours).collect();
        imports.insert("i18n".into(), messages_url);
        let mut preloads = String::new();
        for (_, url) in imports.iter().filter(|(module, _)| !is_extra(module)) {
            let _ = write!(preloads, r#"<link rel="modulepreload" href="{url}">"#);
        }
        LanguageFiles {
            map: serde_json::json!({ "imports": imports }).to_string(),
            preloads,
            manifest,
        }
    }

    fn messages_url(&mut self, language: Language) -> String {
        let english = &self.by_url[&self.urls["js/i18n.js"]].bytes;
        let messages_url = language::script(&String::from_utf8_lossy(english), language);
        let name = format!("i18n/{}.js", language.tag());
        self.add(&name, messages_url.into());
        self.urls[&name].clone()
    }

    fn manifest(&mut self, language: Language) -> String {
        let untranslated = &self.by_url[&self.urls["manifest.webmanifest"]].bytes;
        let mut manifest: serde_json::Value =
            serde_json::from_slice(untranslated).expect("the manifest is JSON");
        language::in_language(language, || {
            manifest["lang"] = language.tag().into();
            manifest["description"] = t!("A shared inbox for text messages.").translated().into();
            manifest["shortcuts"] = SHORTCUTS
                .iter()
                .map(|(name, url)| {
                    let icon = serde_json::json!({"src": "/icon-192.png", "sizes": "192x192", "type": "image/png"});
                    serde_json::json!({"name": name.translated(), "url": url, "icons": [icon]})
                })
                .collect();
        });
        let name = format!("manifest/{}.webmanifest", language.tag());
        self.add(&name, manifest.to_string().into());
        self.urls[&name].clone()
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().take(6).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Modules that the inbox does not preload: those of other pages, and those imported on demand.
fn is_extra(module: &str) -> bool {
    module == "theme"
        || module == "pages"
        || module.starts_with("pages/")
        || module.starts_with("later/")
}

/// Removes comment lines and indentation.
fn without_comments(source: &[u8]) -> String {
    let source = String::from_utf8_lossy(source);
    let is_comment = |line: &str| {
        let line = line.trim();
        line.starts_with("//") || (line.starts_with("/*") && line.ends_with("*/"))
    };
    let lines = source.lines().filter(|line| !is_comment(line));
    lines.flat_map(|line| [line.trim_start(), "\n"]).collect()
}

fn concatenated(parts: &[&str]) -> String {
    parts.iter().fold(
        "@layer tokens, base, components, pages, print;\n".to_owned(),
        |mut sheet, name| {
            let file = Static::get(&format!("css/{name}.css"))
                .unwrap_or_else(|| panic!("static/css/{name}.css is missing"));
            sheet.push_str(&without_comments(&file.data));
            sheet
        },
    )
}

/// The URL of a file under `static/`, or of a bundled style sheet.
pub fn url(name: &str) -> &'static str {
    ASSETS
        .urls
        .get(name)
        .map_or("/assets/missing", String::as_str)
}

/// An icon from the sprite, hidden from screen readers: the text beside it is its label.
pub fn icon(name: &str) -> HtmlSafeOutput<String> {
    HtmlSafeOutput(format!(
        r##"<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{name}"></use></svg>"##,
        url("icons.svg")
    ))
}

/// The only inline script of a page; the content security policy allows it by its hash.
pub fn importmap() -> HtmlSafeOutput<&'static str> {
    HtmlSafeOutput(&ASSETS.by_language[&language::current()].map)
}

pub fn preloads() -> HtmlSafeOutput<&'static str> {
    HtmlSafeOutput(&ASSETS.by_language[&language::current()].preloads)
}

pub fn manifest() -> &'static str {
    &ASSETS.by_language[&language::current()].manifest
}

/// Pages may load files of this origin, and run the import maps by their hashes.
pub fn csp() -> &'static str {
    static CSP: LazyLock<String> = LazyLock::new(|| {
        let mut maps = String::new();
        for language in Language::ALL {
            let hash = Sha256::digest(ASSETS.by_language[&language].map.as_bytes());
            let _ = write!(maps, " 'sha256-{}'", STANDARD.encode(hash));
        }
        format!(
            "default-src 'none'; script-src 'self'{maps}; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
             media-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'; worker-src 'self'"
        )
    });
    &CSP
}

/// `GET /assets/{*file}`
pub async fn show(Path(file): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.by_url.get(&format!("/assets/{file}")) else {
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
    let asset = &ASSETS.by_url[url("favicon.svg")];
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "public, max-age=86400"),
    ];
    (headers, Body::from(asset.bytes.clone())).into_response()
}

/// `GET /icon-192.png` etc.: operating systems store these URLs with the installed app.
pub async fn app_icon(OriginalUri(uri): OriginalUri) -> Response {
    let Some(asset) = ASSETS.by_url.get(url(uri.path().trim_start_matches('/'))) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, "image/png"),
        (header::CACHE_CONTROL, "public, max-age=86400"),
    ];
    (headers, Body::from(asset.bytes.clone())).into_response()
}

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
        let ours = ASSETS.urls.keys().map(String::as_str);
        let files: Vec<_> = ours
            .filter(|name| !left_out.iter().any(|other| name.starts_with(other)))
            .chain(vendored)
            .map(url)
            .collect();
        let code = Static::get("service-worker.js").expect("the file is embedded");
        let code = String::from_utf8_lossy(&code.data);
        let files = serde_json::json!(files).to_string();
        let version = Sha256::digest(format!("{files}{code}{}", offline_page()));
        let version = hex(&version);
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

/// `GET /offline`: the page that the service worker shows offline. It contains no user data.
pub async fn offline() -> Html<String> {
    Html(offline_page())
}

/// `GET /demo/{file}`: the demo's pictures, at stable URLs stored in messages.
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
    fn asset_urls_contain_the_content_hash() {
        let css = url("app.css");
        assert!(
            css.starts_with("/assets/app-") && css.ends_with(".css"),
            "{css}"
        );
        assert!(importmap().0.contains("\"controllers/list\""));
    }

    #[test]
    fn import_map_has_the_messages_of_the_page_language() {
        let english = importmap().0;
        let spanish = language::in_language(Language::Spanish, || importmap().0);
        assert!(english.contains(r#""i18n":"/assets/i18n/en-"#), "{english}");
        assert!(spanish.contains(r#""i18n":"/assets/i18n/es-"#), "{spanish}");
        for map in [english, spanish] {
            let hash = STANDARD.encode(Sha256::digest(map.as_bytes()));
            assert!(csp().contains(&hash));
        }
    }

    #[test]
    fn web_manifest_is_in_the_page_language() {
        let manifest = |language| {
            let url = language::in_language(language, manifest);
            let bytes = &ASSETS.by_url[url].bytes;
            serde_json::from_slice::<serde_json::Value>(bytes).expect("it is JSON")
        };
        let spanish = manifest(Language::Spanish);
        assert_eq!(spanish["lang"], "es");
        assert_eq!(spanish["shortcuts"][1]["name"], "Mi cuenta");
        assert_eq!(
            manifest(Language::English)["shortcuts"][1]["name"],
            "My account"
        );
    }

    #[test]
    fn policy_allows_the_import_map_only() {
        assert!(csp().contains("'sha256-"));
        assert!(!csp().contains("unsafe"));
    }

    #[tokio::test]
    async fn brotli_is_served_when_accepted() {
        let file = || Path(url("vendor/turbo.min.js").replace("/assets/", ""));
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

    #[test]
    fn every_style_sheet_is_bundled() {
        for name in Static::iter().filter(|name| name.starts_with("css/")) {
            let stem = name.trim_start_matches("css/").trim_end_matches(".css");
            let listed = SHEETS.iter().any(|(_, parts)| parts.contains(&stem));
            assert!(listed, "{name} is not listed in SHEETS");
        }
    }

    #[test]
    fn sprite_has_every_icon_in_use() {
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

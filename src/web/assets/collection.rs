//! Files by URL, with their content type and compression.

use aws_lc_rs::digest::{SHA256, digest};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;

pub struct Asset {
    pub bytes: Bytes,
    pub mime: String,
    compressed: OnceLock<Bytes>,
}

impl Asset {
    /// Brotli at the highest level: a sixth smaller than the middleware's compression. Up to 0.2 s per file, once.
    pub fn compressed(&self) -> Bytes {
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

    pub fn is_text(&self) -> bool {
        ["text/", "image/svg", "application/manifest"]
            .iter()
            .any(|kind| self.mime.starts_with(kind))
    }
}

#[derive(Default)]
pub struct Collection {
    by_url: BTreeMap<String, Asset>,
    /// `app.css` → `/assets/app-1a2b3c4d.css`
    urls: BTreeMap<String, String>,
}

impl Collection {
    /// Returns the URL.
    pub fn add(&mut self, name: &str, bytes: Bytes) -> String {
        let hash = hex(digest(&SHA256, &bytes).as_ref());
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
        self.urls.insert(name.to_owned(), url.clone());
        url
    }

    pub fn get(&self, url: &str) -> Option<&Asset> {
        self.by_url.get(url)
    }

    pub fn url(&self, name: &str) -> Option<&str> {
        self.urls.get(name).map(String::as_str)
    }

    /// Names with URLs, sorted by name.
    pub fn urls(&self) -> impl Iterator<Item = (&str, &str)> {
        self.urls
            .iter()
            .map(|(name, url)| (name.as_str(), url.as_str()))
    }
}

/// The first six bytes of a digest.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().take(6).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

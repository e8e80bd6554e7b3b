//! The files as they are served: scripts and style sheets without comments; the style sheets, and the scripts that every
//! page loads, as bundles.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use rust_embed::RustEmbed;

use super::scripts::{self, BUNDLE};

#[derive(RustEmbed)]
#[folder = "static/"]
struct Static;

/// The style sheets in cascade order. They are served as one file for all pages, one for all pages but the inbox, and those
/// that are loaded with what they style.
const SHEETS: &[(&str, &[&str])] = &[
    (
        "app.css",
        &[
            "tokens",
            "base",
            "icon",
            "button",
            "field",
            "avatar",
            "badge",
            "card",
            "menu",
            "dialog",
            "palette",
            "progress",
            "toast",
            "app",
            "rail",
            "live",
            "list",
            "row",
            "selection",
            "thread",
            "message",
            "composer",
            "offers",
            "outbox",
            "lightbox",
            "details",
            "empty",
            "tag",
            "phone",
            "print",
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
    ("new-text.css", &["new-text"]),
    ("emoji.css", &["emoji"]),
];

/// All files by name, then the bundles.
pub fn files() -> impl Iterator<Item = (Cow<'static, str>, Bytes)> {
    let sources = Static::iter().filter(|name| !name.ends_with(".md") && module(name).is_none());
    let files = sources.map(|name| {
        let file = Static::get(&name).expect("a listed file is embedded").data;
        (name, file.into_owned().into())
    });
    let sheets = SHEETS
        .iter()
        .map(|(name, parts)| (Cow::Borrowed(*name), concatenated(parts).into()));
    files.chain(sheets).chain(modules())
}

/// `controllers/list` of `js/controllers/list.js`.
fn module(file: &str) -> Option<&str> {
    file.strip_prefix("js/")?.strip_suffix(".js")
}

/// The bundle of `app`, and the modules that are loaded later.
fn modules() -> impl Iterator<Item = (Cow<'static, str>, Bytes)> {
    let read = |name: Cow<'static, str>| {
        let source = Static::get(&name).expect("a listed file is embedded").data;
        Some((module(&name)?.to_owned(), without_comments(&source)))
    };
    let mut sources: BTreeMap<String, String> = Static::iter().filter_map(read).collect();
    // It differs by language.
    let messages = sources.remove("i18n");
    let bundle = scripts::bundle(&sources, "app");
    sources.retain(|name, _| !bundle.has(name));
    sources.extend(messages.map(|source| ("i18n".to_owned(), source)));
    sources.extend(bundle.forwards);
    sources.insert(BUNDLE.to_owned(), bundle.code);
    sources
        .into_iter()
        .map(|(name, source)| (Cow::Owned(format!("js/{name}.js")), source.into()))
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

#[cfg(test)]
mod tests {
    use super::*;

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

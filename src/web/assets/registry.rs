//! All files of this build, and the URLs that templates refer to.

use std::collections::HashMap;
use std::sync::LazyLock;

use askama::filters::HtmlSafeOutput;

use super::bundles;
use super::by_language::LanguageFiles;
use super::collection::{Asset, Collection};
use crate::language::{self, Language};

struct Registry {
    files: Collection,
    by_language: HashMap<Language, LanguageFiles>,
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut files = Collection::default();
    for (name, bytes) in bundles::files() {
        files.add(&name, bytes);
    }
    let by_language = Language::ALL
        .into_iter()
        .map(|language| (language, LanguageFiles::add_to(&mut files, language)))
        .collect();
    Registry { files, by_language }
});

/// The file with this URL.
pub fn at_url(url: &str) -> Option<&'static Asset> {
    REGISTRY.files.get(url)
}

/// The file with this name under `static/`.
pub fn named(name: &str) -> Option<&'static Asset> {
    at_url(url(name))
}

pub fn names() -> impl Iterator<Item = &'static str> {
    REGISTRY.files.urls().map(|(name, _)| name)
}

/// The URL of a file under `static/`, or of a bundled style sheet.
pub fn url(name: &str) -> &'static str {
    REGISTRY.files.url(name).unwrap_or("/assets/missing")
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
    HtmlSafeOutput(&current().map)
}

pub fn preloads() -> HtmlSafeOutput<&'static str> {
    HtmlSafeOutput(&current().preloads)
}

pub fn manifest() -> &'static str {
    &current().manifest
}

fn current() -> &'static LanguageFiles {
    &REGISTRY.by_language[&language::current()]
}

/// The import maps in all languages.
pub fn importmaps() -> impl Iterator<Item = &'static str> {
    Language::ALL
        .into_iter()
        .map(|language| REGISTRY.by_language[&language].map.as_str())
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
        assert!(importmap().0.contains("\"lazy/palette\""));
    }

    #[test]
    fn import_map_has_the_messages_of_the_page_language() {
        let english = importmap().0;
        let spanish = language::in_language(Language::Spanish, || importmap().0);
        assert!(english.contains(r#""i18n":"/assets/i18n/en-"#), "{english}");
        assert!(spanish.contains(r#""i18n":"/assets/i18n/es-"#), "{spanish}");
    }

    #[test]
    fn web_manifest_is_in_the_page_language() {
        let manifest = |language| {
            let url = language::in_language(language, manifest);
            let bytes = &at_url(url).expect("the manifest").bytes;
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
}

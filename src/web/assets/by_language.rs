//! Files that differ by language: the import map, because `i18n` differs, and the web app manifest.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::collection::Collection;
use super::scripts::BUNDLE;
use crate::language::{self, Language, Message, t};

/// Vendored modules by their import name.
pub const MODULES: &[(&str, &str)] = &[
    ("@hotwired/turbo", "vendor/turbo.min.js"),
    ("@hotwired/stimulus", "vendor/stimulus.min.js"),
];

/// The import map and its preloads as HTML, and the URL of the manifest.
pub struct LanguageFiles {
    pub map: String,
    pub preloads: String,
    pub manifest: String,
}

static SHORTCUTS: [(Message, &str); 2] = [(t!("Inbox"), "/"), (t!("My account"), "/account")];

impl LanguageFiles {
    /// Adds the translated files to `files`, which holds all others.
    pub fn add_to(files: &mut Collection, language: Language) -> Self {
        let messages_url = add_messages(files, language);
        let imports = imports(files, messages_url);
        Self {
            map: serde_json::json!({ "imports": imports }).to_string(),
            preloads: preloads(&imports),
            manifest: add_manifest(files, language),
        }
    }
}

/// The URLs of the modules. `js/controllers/list.js` is imported as `controllers/list`.
fn imports(files: &Collection, messages_url: String) -> BTreeMap<String, String> {
    let ours = files.urls().filter_map(|(name, url)| {
        let module = name.strip_prefix("js/")?.strip_suffix(".js")?;
        Some((module.to_owned(), url.to_owned()))
    });
    let vendored = MODULES.iter().map(|(module, file)| {
        let url = files.url(file).expect("the module is embedded");
        ((*module).to_owned(), url.to_owned())
    });
    let mut imports: BTreeMap<String, String> = vendored.chain(ours).collect();
    imports.insert("i18n".into(), messages_url);
    imports
}

/// Of the modules that every page loads.
fn preloads(imports: &BTreeMap<String, String>) -> String {
    let vendored = MODULES.iter().map(|(module, _)| *module);
    vendored
        .chain([BUNDLE, "i18n"])
        .fold(String::new(), |mut preloads, module| {
            let url = &imports[module];
            let _ = write!(preloads, r#"<link rel="modulepreload" href="{url}">"#);
            preloads
        })
}

fn add_messages(files: &mut Collection, language: Language) -> String {
    let messages = language::script(&text(files, "js/i18n.js"), language);
    files.add(&format!("i18n/{}.js", language.tag()), messages.into())
}

fn add_manifest(files: &mut Collection, language: Language) -> String {
    let mut manifest: serde_json::Value =
        serde_json::from_str(&text(files, "manifest.webmanifest")).expect("the manifest is JSON");
    language::in_language(language, || {
        manifest["lang"] = language.tag().into();
        manifest["description"] = t!("A shared inbox for text messages.").translated().into();
        manifest["shortcuts"] = SHORTCUTS.iter().map(shortcut).collect();
    });
    let name = format!("manifest/{}.webmanifest", language.tag());
    files.add(&name, manifest.to_string().into())
}

fn shortcut((name, url): &(Message, &str)) -> serde_json::Value {
    let icon = serde_json::json!({"src": "/icon-192.png", "sizes": "192x192", "type": "image/png"});
    serde_json::json!({"name": name.translated(), "url": url, "icons": [icon]})
}

fn text(files: &Collection, name: &str) -> String {
    let url = files.url(name).expect("the file is embedded");
    let asset = files.get(url).expect("a URL leads to its file");
    String::from_utf8_lossy(&asset.bytes).into_owned()
}

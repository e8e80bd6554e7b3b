//! The message catalogues in `locales/`, parsed once.

use std::collections::HashMap;
use std::sync::LazyLock;

use polib::catalog::Catalog;
use polib::po_file;

use super::Language;

const TEMPLATE: &str = include_str!("../../locales/messagehub.pot");
const SPANISH: &str = include_str!("../../locales/es.po");

/// The translations of one language, by context, which is empty for most, and id.
pub struct Catalogue(HashMap<String, HashMap<String, Vec<String>>>);

pub fn catalogue(language: Language) -> Option<&'static Catalogue> {
    static SPANISH: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::read(Language::Spanish));
    match language {
        Language::English => None,
        Language::Spanish => Some(&SPANISH),
    }
}

fn file(language: Language) -> &'static str {
    match language {
        Language::English => TEMPLATE,
        Language::Spanish => SPANISH,
    }
}

pub(super) fn parse(file: &str) -> Catalog {
    po_file::parse_from_reader(file.as_bytes()).expect("a test parses every file of locales/")
}

impl Catalogue {
    fn read(language: Language) -> Self {
        let mut translations = HashMap::<_, HashMap<_, _>>::new();
        for message in parse(file(language)).messages() {
            if !message.is_translated() {
                continue;
            }
            let forms = match message.msgstr_plural() {
                Ok(forms) if message.is_plural() => forms.clone(),
                _ => vec![message.msgstr().unwrap_or_default().to_owned()],
            };
            let context = message.msgctxt().unwrap_or_default().to_owned();
            let in_context = translations.entry(context).or_default();
            in_context.insert(message.msgid().to_owned(), forms);
        }
        Self(translations)
    }

    pub fn forms(&self, context: Option<&str>, id: &str) -> Option<&[String]> {
        let in_context = self.0.get(context.unwrap_or_default())?;
        in_context.get(id).map(Vec::as_slice)
    }
}

/// `static/js/i18n.js` with the translations of the messages in scripts. English ones are in the scripts.
pub fn script(english: &str, language: Language) -> String {
    let Some(catalogue) = catalogue(language) else {
        return english.to_owned();
    };
    let template = parse(TEMPLATE);
    let words: serde_json::Map<_, _> = template
        .messages()
        .filter(|message| message.source().contains("static/js/"))
        .filter_map(|message| {
            let forms = catalogue.forms(message.msgctxt(), message.msgid())?;
            let translated = match message.is_plural() {
                true => serde_json::json!(forms),
                false => serde_json::json!(forms[0]),
            };
            Some((message.msgid().to_owned(), translated))
        })
        .collect();
    let rule = parse(file(language)).metadata.plural_rules.expr;
    english
        .replace(
            "{ /* words */ }",
            &serde_json::Value::Object(words).to_string(),
        )
        .replace("n !== 1 /* rule */", &rule)
}

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use polib::catalog::Catalog;
use polib::message::MessageView;
use regex::Regex;

use super::catalogue::parse;
use super::*;

const ES: Language = Language::Spanish;

fn spanish(message: &Message) -> String {
    in_language(ES, || message.translated())
}

#[test]
fn english_is_the_default() {
    let saved = t!("Saved");
    assert_eq!(current(), Language::English);
    assert_eq!(saved.translated(), "Saved");
    assert_eq!(spanish(&saved), "Guardado");
    assert_eq!(in_language(ES, || saved.english()), "Saved");
    assert_eq!(current(), Language::English);
}

#[test]
fn missing_translation_falls_back_to_english() {
    let unknown = Message::new("Colourless green {what}").with("what", "ideas");
    assert_eq!(spanish(&unknown), "Colourless green ideas");
}

#[test]
fn message_in_a_message_is_translated() {
    let missing = t!(
        "Couldn’t find {what} in this workspace",
        what = t!("the number")
    );
    assert_eq!(
        missing.english(),
        "Couldn’t find the number in this workspace"
    );
    assert_eq!(
        spanish(&missing),
        "No se encontró el número en este espacio de trabajo"
    );
    let day = DateTime::from_timestamp(1_777_600_000, 0).expect("a time");
    assert_eq!(in_language(ES, || super::day(&day)), "viernes, 1 de mayo");
}

/// Each of these names is also a message in the pages.
#[test]
fn values_are_not_translated() {
    for name in [
        "May", "Monday", "Open", "Done", "Nobody", "Admin", "Saved", "{by}", "{ago}", "{0}",
    ] {
        let moved = t!(
            "{by} replied {ago}. Read their reply, then send again.",
            by = name,
            ago = t!("just now"),
        );
        assert_eq!(
            spanish(&moved),
            format!("{name} respondió ahora mismo. Lee su respuesta y vuelve a enviar.")
        );
        let invitation = t!("Join {workspace} on MessageHub", workspace = name);
        assert!(spanish(&invitation).contains(name), "{invitation:?}");
        let refused = t!("Twilio says: {words}", words = name);
        assert_eq!(spanish(&refused), format!("Twilio dice: {name}"));
        assert_eq!(spanish(&Message::verbatim(name)), name);
    }
}

#[test]
fn stored_message_is_translated_when_it_is_read() {
    let reason = t!("Twilio says: {words}", words = "Saved {words}");
    for message in [
        t!("Saved"),
        Message::in_context("conversation", "Open"),
        t_plural!(2, "{n} text", "{n} texts"),
        t!(
            "{reason} Fix this, then click “Check now” under Integrations.",
            reason = reason
        ),
        Message::verbatim("Saved"),
        Message::verbatim("{"),
    ] {
        let read = Message::from_stored(&message.stored());
        assert_eq!(read, message);
        assert_eq!(spanish(&read), spanish(&message));
    }
    assert_eq!(t!("Saved").stored(), "Saved");
    assert_eq!(spanish(&Message::from_stored("{no JSON")), "{no JSON");
}

#[test]
fn placeholders_and_values_are_compared() {
    use super::message::check;
    check("{by} answered {ago}, {by}!", &["by", "ago"]);
    check("Saved", &[]);
    for (id, names) in [
        ("{by} answered", &[][..]),
        ("{by} answered", &["by", "ago"]),
        ("{by} answered", &["b"]),
        ("Saved", &["by"]),
    ] {
        let checked = std::panic::catch_unwind(|| check(id, names));
        assert!(checked.is_err(), "{id} with {names:?}");
    }
}

#[test]
fn singular_and_plural_are_distinguished() {
    let left = |n| t_plural!(n, "{n} credit left", "{n} credits left");
    assert_eq!(
        [left(0), left(1), left(2500)].map(|left| left.english()),
        ["0 credits left", "1 credit left", "2,500 credits left"]
    );
    assert_eq!(spanish(&left(0)), "Quedan 0 créditos");
    assert_eq!(spanish(&left(1)), "Queda 1 crédito");
    assert_eq!(spanish(&left(25_000)), "Quedan 25.000 créditos");
    let untranslated = |n| Message::counted(n, "{n} sheep", "{n} sheep!");
    assert_eq!(spanish(&untranslated(1)), "1 sheep");
    assert_eq!(spanish(&untranslated(2)), "2 sheep!");
}

#[test]
fn numbers_are_grouped_by_locale() {
    assert_eq!(format_number(1_234_567), "1,234,567");
    assert_eq!(format_number(-100), "−100");
    assert_eq!(
        in_language(ES, || [1234, 12_345].map(format_number)),
        ["1234", "12.345"]
    );
}

#[test]
fn tags_are_parsed() {
    for language in Language::ALL {
        assert_eq!(Language::of_tag(language.tag()), Some(language));
    }
    assert_eq!(Language::of_tag("ES"), Some(ES));
    assert_eq!(Language::of_tag("tlh"), None);
}

#[tokio::test]
async fn concurrent_requests_have_their_own_language() {
    let asked = |language| {
        with_language(language, async {
            tokio::task::yield_now().await;
            t!("Saved").translated()
        })
    };
    let (english, spanish) = tokio::join!(asked(Language::English), asked(ES));
    assert_eq!([english, spanish], ["Saved", "Guardado"]);
}

#[test]
fn scripts_get_translations_and_plural_rule() {
    let source = include_str!("../../static/js/i18n.js");
    assert_eq!(script(source, Language::English), source);
    let spanish = script(source, ES);
    assert!(spanish.contains(r#""Saved":"Guardado""#), "{spanish}");
    assert!(
        spanish.contains("Number(n != 1)") && !spanish.contains("/* "),
        "{spanish}"
    );
    assert!(
        !spanish.contains("Forgot your password"),
        "only what scripts say"
    );
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let (mut open, mut found) = (vec![root().join(folder)], Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("readable");
            open.extend(entries.map(|entry| entry.expect("readable").path()));
        } else if path.extension().is_some_and(|found| found == extension) {
            let text = fs::read_to_string(&path).expect("readable");
            let name = path.strip_prefix(root()).expect("inside");
            found.push((name.display().to_string(), text));
        }
    }
    found.sort();
    found
}

fn translations() -> impl Iterator<Item = (Language, Catalog)> {
    let others = Language::ALL.into_iter().skip(1);
    others.map(|language| {
        let path = root()
            .join("locales")
            .join(format!("{}.po", language.tag()));
        let text = fs::read_to_string(path).expect("every language has its file");
        (language, parse(&text))
    })
}

#[test]
fn every_sentence_is_translated() {
    for (language, catalog) in translations() {
        let missing: Vec<_> = catalog
            .messages()
            .filter(|message| message.is_fuzzy() || !is_whole(*message))
            .map(|message| message.msgid())
            .collect();
        assert!(missing.is_empty(), "{}: {missing:#?}", language.tag());
    }
}

fn is_whole(message: &dyn MessageView) -> bool {
    match message.is_plural() {
        true => message
            .msgstr_plural()
            .is_ok_and(|forms| !forms.is_empty() && !forms.iter().any(String::is_empty)),
        false => message.is_translated(),
    }
}

fn parts(sentence: &str) -> Vec<String> {
    let part = Regex::new(r"\{\w+\}|</?\w[^>]*>").expect("a valid pattern");
    let mut parts: Vec<_> = part
        .find_iter(sentence)
        .map(|found| found.as_str().to_owned())
        .collect();
    parts.sort();
    parts
}

#[test]
fn translation_keeps_placeholders_and_markup() {
    for (language, catalog) in translations() {
        for message in catalog.messages() {
            let strings = match message.is_plural() {
                true => message.msgstr_plural().expect("plural").clone(),
                false => vec![message.msgstr().expect("singular").to_owned()],
            };
            let many = message.msgid_plural().unwrap_or(message.msgid());
            for sentence in strings.iter().filter(|sentence| !sentence.is_empty()) {
                let has = parts(sentence);
                assert!(
                    has == parts(many) || has == parts(message.msgid()),
                    "{}: “{sentence}” for “{many}”",
                    language.tag()
                );
            }
        }
    }
}

#[test]
fn plural_rule_matches_the_server() {
    for (language, catalog) in translations() {
        let rules = &catalog.metadata.plural_rules;
        let used: BTreeSet<_> = (0..1000).map(|n| language.form(n)).collect();
        assert_eq!(used.len(), rules.nplurals, "{}", language.tag());
        assert_eq!(catalog.metadata.language, language.tag());
    }
}

/// Reasons that statements and functions of the database store.
static WRITTEN_BY_SQL: [Message; 7] = [
    t!("The contact opted out before this was sent."),
    t!("Not sent because it waited too long. If it still matters, send it again."),
    t!("Not sent: the contact had opted out by the scheduled time."),
    t!("Not sent: the number could no longer send at the scheduled time."),
    t!("Not sent: the author no longer had access to the number at the scheduled time."),
    t!("We don’t know whether this arrived. It was sent again."),
    t!(
        "The person who started this import is no longer an admin of this workspace. Rows imported before that are kept."
    ),
];

#[test]
fn reasons_written_by_the_database_are_known() {
    let reason = Regex::new(r"(?:error_message|failure|then) ?:?=? '([A-Z][^']* [^']*\.)'")
        .expect("a valid pattern");
    let sources = [files("src", "rs"), files("db/functions", "sql")].concat();
    let written: BTreeSet<String> = sources
        .iter()
        .flat_map(|(_, text)| reason.captures_iter(text))
        .map(|found| found[1].to_owned())
        .collect();
    let known = WRITTEN_BY_SQL.iter().map(Message::english);
    assert_eq!(written, known.collect());
}

const NAMES: &[&str] = &["MessageHub", "UTC", "openapi.json"];

fn bare(template: &str) -> Vec<String> {
    let computed =
        Regex::new(r"(?s)\{% block shape %\}.*?\{% endblock %\}|\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}")
            .expect("a valid pattern");
    let typed = Regex::new(r"(?s)<(?:kbd|code)\b.*?</(?:kbd|code)>").expect("a valid pattern");
    let tag = Regex::new(r#"<[^<>"]*(?:"[^"]*"[^<>"]*)*>"#).expect("a valid pattern");
    let translatable =
        Regex::new(r#"\s(?:aria-label|title|placeholder|alt|data-label|data-drop)="([^"]*)""#)
            .expect("a valid pattern");
    let template = computed.replace_all(template, "");
    let template = typed.replace_all(&template, "");
    let attributes = tag
        .find_iter(&template)
        .flat_map(|tag| translatable.captures_iter(tag.as_str()))
        .map(|found| found[1].to_owned());
    let text = tag.replace_all(&template, "\n");
    let lines = text.lines().map(|line| line.trim().to_owned());
    attributes
        .chain(lines)
        .map(|text| NAMES.iter().fold(text, |text, name| text.replace(name, "")))
        .filter(|text| text.chars().filter(|c| c.is_alphabetic()).count() > 1)
        .collect()
}

#[test]
fn templates_contain_no_untranslated_text() {
    assert_eq!(
        bare(r#"<p title="Old">New {{ "x"|t }}</p>"#),
        ["Old", "New"]
    );
    for (file, text) in files("templates", "html") {
        let bare = bare(&text);
        assert!(bare.is_empty(), "{file} says {bare:#?}: mark it by |t");
    }
}

//! Tests that `locales/` matches the sentences in the code. With `WORDS=write` (`bin/words`) they update the files: the
//! template entirely; in a translation, new entries are added empty and unused ones are removed.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use polib::catalog::Catalog;
use polib::message::{Message, MessageView};
use polib::metadata::CatalogMetadata;
use polib::po_file;
use regex::Regex;

use super::Language;
use super::catalogue::parse;

const LITERAL: &str = r#""((?:[^"\\]|\\(?s:.))*)""#;

/// `count(n, "one", "many")`, but not `.count()`.
const COUNTED: &str = r#"(?:^|[^.\w])count\(\s*(?:[^"(),]|\([^()"]*\))+,\s*LITERAL\s*,\s*LITERAL"#;

/// Functions whose string arguments are shown to users.
const MESSAGE_FUNCTIONS: &[&str] = &[
    "Error::field",
    "Self::field",
    r"\.require",
    "Error::NotFound",
    "Error::InvalidCredentials",
    "Error::ProviderRefused",
    "Error::ProviderUnavailable",
    "Problem::new",
];

/// Files below the pages whose sentences are shown to users: findings, causes, delivery failures.
const MESSAGE_FILES: &[&str] = &[
    "src/domain/integrations/delivery.rs",
    "src/domain/integrations/doctor.rs",
    "src/domain/media/fetch.rs",
    "src/domain/messages/failover.rs",
    "src/domain/quarantine.rs",
    "src/error.rs",
    "src/providers",
    "src/workers/sender.rs",
];

/// Files with a text per enum variant.
const VARIANT_FILES: &[&str] = &[
    "src/domain/audit.rs",
    "src/domain/integrations/uses.rs",
    "src/domain/opt_outs.rs",
];

/// Country names get a context: some are also personal names.
const COUNTRIES: &str = "src/web/pages/countries.rs";

/// Page files whose literals are names or belong to the API.
const NAME_FILES: &[&str] = &[
    "src/web/pages/account/device.rs",
    COUNTRIES,
    "src/web/pages/docs.rs",
];

#[derive(Default)]
struct Used {
    plural: Option<String>,
    files: BTreeSet<String>,
}

type Sentences = BTreeMap<(String, Option<String>), Used>;

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

fn pattern(text: &str) -> Regex {
    Regex::new(&text.replace("LITERAL", LITERAL)).expect("a valid pattern")
}

fn used() -> Sentences {
    let mut sentences = Sentences::new();
    let mut collect = |file: &str, entry: Entry<'_>| {
        let key = (entry.one.to_owned(), entry.context.map(str::to_owned));
        let used = sentences.entry(key).or_default();
        used.files.insert(file.to_owned());
        if let Some(many) = entry.many {
            used.plural = Some(many.to_owned());
        }
    };
    in_templates(&mut collect);
    in_rust(&mut collect);
    in_scripts(&mut collect);
    sentences
}

struct Entry<'a> {
    one: &'a str,
    many: Option<&'a str>,
    context: Option<&'a str>,
}

impl<'a> From<&'a String> for Entry<'a> {
    fn from(one: &'a String) -> Self {
        Self {
            one,
            many: None,
            context: None,
        }
    }
}

type Collect<'a> = dyn FnMut(&str, Entry<'_>) + 'a;

fn counted(file: &str, text: &str, pattern: &Regex, collect: &mut Collect<'_>) {
    for found in pattern.captures_iter(text) {
        let (one, many) = (read(&found[1]), read(&found[2]));
        let entry = Entry {
            many: Some(&many),
            ..Entry::from(&one)
        };
        collect(file, entry);
    }
}

fn single(file: &str, text: &str, pattern: &Regex, collect: &mut Collect<'_>) {
    for found in pattern.captures_iter(text) {
        let one = read(&found[1]);
        let entry = Entry {
            context: found.get(2).map(|context| context.as_str()),
            ..Entry::from(&one)
        };
        collect(file, entry);
    }
}

fn in_templates(collect: &mut Collect<'_>) {
    let one = pattern(r#"LITERAL\s*\|\s*(?:t|rich)\b(?:\("(\w+)"\))?"#);
    let many = pattern(r"\|\s*count\(\s*LITERAL\s*,\s*LITERAL\s*\)");
    // Field labels, hints and column headings.
    let labelled = Regex::new(
        r#"\.(?:field|optional|wide|wide_optional|figure|heading|figures)\((?:[^()"]|"(?:[^"\\]|\\.)*")*\)"#,
    )
    .expect("a valid pattern");
    for (file, text) in files("templates", "html") {
        single(&file, &text, &one, collect);
        counted(&file, &text, &many, collect);
        for call in labelled.find_iter(&text) {
            literals(call.as_str())
                .filter(|literal| literal.starts_with(char::is_uppercase))
                .for_each(|literal| collect(&file, (&literal).into()));
        }
    }
}

fn in_rust(collect: &mut Collect<'_>) {
    let one = pattern(r"\b(?:t|english|rich)\(\s*LITERAL");
    let context = pattern(r#"\bt_in_context\(\s*LITERAL\s*,\s*"(\w+)""#);
    let many = pattern(COUNTED);
    let refusal = pattern(r"#\[error\(\s*LITERAL");
    let named = pattern(r"=> LITERAL");
    let country = pattern(r#"\("[A-Z]{2}", LITERAL\)"#);
    let message_call =
        Regex::new(&format!(r"(?:{})\(", MESSAGE_FUNCTIONS.join("|"))).expect("a valid pattern");
    for (file, text) in files("src", "rs") {
        if file.ends_with("tests.rs") || file.ends_with("used.rs") {
            continue;
        }
        let text = without_comments_and_tests(&text);
        single(&file, &text, &one, collect);
        single(&file, &text, &context, collect);
        counted(&file, &text, &many, collect);
        let mut sentences = Vec::new();
        if file == "src/error.rs" {
            let refusals = refusal.captures_iter(&text);
            sentences.extend(refusals.map(|found| numbered(&read(&found[1]))));
            sentences.retain(|sentence| sentence.contains(' '));
        }
        for call in message_call.find_iter(&text) {
            sentences.extend(literals_in(arguments(&text[call.end()..])));
        }
        if file.starts_with("src/web/pages") && !NAME_FILES.contains(&file.as_str()) {
            let prose = literals(&text).filter(|text| begins(text) && is_prose(text));
            sentences.extend(prose.map(|text| numbered(&text)));
        }
        if MESSAGE_FILES.iter().any(|prefix| file.starts_with(prefix)) {
            let prose = literals(&text).filter(|text| text.contains(' ') && is_prose(text));
            let prose = prose.filter(|text| begins(text) || text.starts_with('{'));
            sentences.extend(prose.map(|text| numbered(&text)));
        }
        if file == COUNTRIES {
            for found in country.captures_iter(&text) {
                let name = read(&found[1]);
                let entry = Entry {
                    context: Some("country"),
                    ..Entry::from(&name)
                };
                collect(&file, entry);
            }
        }
        if VARIANT_FILES.contains(&file.as_str()) {
            sentences.extend(named.captures_iter(&text).map(|found| read(&found[1])));
        }
        for sentence in sentences {
            collect(&file, (&sentence).into());
        }
    }
}

fn in_scripts(collect: &mut Collect<'_>) {
    let one = pattern(r"\bt\(\s*LITERAL");
    let many = pattern(COUNTED);
    for (file, text) in files("static/js", "js") {
        let text = without_comments_and_tests(&text);
        single(&file, &text, &one, collect);
        counted(&file, &text, &many, collect);
    }
}

/// Removes comments, tests, log messages and `expect` texts.
fn without_comments_and_tests(text: &str) -> String {
    let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let text: String = text[..tests]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| format!("{line}\n"))
        .collect();
    let aside = pattern(
        r#"'"'|\bexpect\(LITERAL\)|\b(?:error|warn|info|debug)!\((?:[^()"]|LITERAL|\([^()]*\))*\)"#,
    );
    aside.replace_all(&text, "").into_owned()
}

fn arguments(text: &str) -> &str {
    let (mut depth, mut inside, mut escaped) = (1, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            '(' if !inside => depth += 1,
            ')' if !inside => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..at];
        }
    }
    text
}

fn begins(literal: &str) -> bool {
    literal.starts_with(|c: char| c.is_uppercase() || c == '“')
}

/// Not an identifier or a format.
fn is_prose(literal: &str) -> bool {
    let word = Regex::new(r"\b\p{Alphabetic}?[a-z]{2}").expect("a valid pattern");
    word.is_match(literal) && !literal.contains("::")
}

fn literals(text: &str) -> impl Iterator<Item = String> {
    let literal = Regex::new(LITERAL).expect("a valid pattern");
    let found: Vec<_> = literal
        .captures_iter(text)
        .map(|found| read(&found[1]))
        .collect();
    found.into_iter()
}

/// The sentences among a call's literals; field names and codes are single words.
fn literals_in(arguments: &str) -> Vec<String> {
    literals(arguments)
        .filter(|literal| literal.trim().contains(' '))
        .map(|literal| numbered(&literal))
        .collect()
}

/// The literal's value: escapes resolved, line continuations joined.
fn read(literal: &str) -> String {
    let folded = Regex::new(r"\\\n\s*").expect("a valid pattern");
    let coded = Regex::new(r"\\u\{(\w+)\}").expect("a valid pattern");
    let text = folded.replace_all(literal, "");
    let text = coded.replace_all(&text, |found: &regex::Captures<'_>| {
        let code = u32::from_str_radix(&found[1], 16).expect("hexadecimal");
        char::from_u32(code).expect("a character").to_string()
    });
    text.replace("\\n", "\n").replace("\\\"", "\"")
}

/// Numbers the unnamed placeholders of `format!`: `{}` becomes `{0}`.
fn numbered(text: &str) -> String {
    let place = Regex::new(r"\{(\w*)(?::[^}]*)?\}").expect("a valid pattern");
    let mut next = 0..;
    let named = place.replace_all(text, |found: &regex::Captures<'_>| match &found[1] {
        "" => format!("{{{}}}", next.next().unwrap_or_default()),
        name => format!("{{{name}}}"),
    });
    named.into_owned()
}

fn template(sentences: &Sentences) -> Catalog {
    let metadata = CatalogMetadata::parse(
        "Project-Id-Version: MessageHub\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n\
         Content-Transfer-Encoding: 8bit\nLanguage: en\nPlural-Forms: nplurals=2; plural=n != 1;\n",
    );
    let mut template = Catalog::new(metadata.expect("a constant"));
    for (key, used) in sentences {
        let files: Vec<_> = used.files.iter().cloned().collect();
        let untranslated = vec![String::new(); 2];
        template.append_or_update(message(key, used, untranslated, &files.join("\n")));
    }
    template
}

fn message(
    (one, context): &(String, Option<String>),
    used: &Used,
    mut strings: Vec<String>,
    source: &str,
) -> Message {
    let mut message = match &used.plural {
        Some(_) => Message::build_plural(),
        None => Message::build_singular(),
    };
    message.with_msgid(one.clone()).with_source(source.into());
    if let Some(context) = context {
        message.with_msgctxt(context.clone());
    }
    match &used.plural {
        Some(many) => message
            .with_msgid_plural(many.clone())
            .with_msgstr_plural(strings),
        None => message.with_msgstr(strings.swap_remove(0)),
    };
    message.done()
}

fn updated_catalog(old: &Catalog, sentences: &Sentences) -> Catalog {
    let mut fresh = Catalog::new(old.metadata.clone());
    fresh.preheader.clone_from(&old.preheader);
    for (key, used) in sentences {
        let mut strings = forms(old, key, used);
        strings.resize(old.metadata.plural_rules.nplurals, String::new());
        fresh.append_or_update(message(key, used, strings, ""));
    }
    fresh
}

fn forms(catalog: &Catalog, (one, context): &(String, Option<String>), used: &Used) -> Vec<String> {
    let found = catalog.find_message(context.as_deref(), one, used.plural.as_deref());
    match found.filter(|message| message.is_plural() == used.plural.is_some()) {
        Some(message) if message.is_plural() => {
            message.msgstr_plural().cloned().unwrap_or_default()
        }
        Some(message) => vec![message.msgstr().unwrap_or_default().into()],
        None => Vec::new(),
    }
}

fn written(catalog: &Catalog) -> String {
    let mut writer = BufWriter::new(Vec::new());
    let by_sentence = |a: &&dyn MessageView, b: &&dyn MessageView| -> Ordering {
        (a.msgid(), a.msgctxt()).cmp(&(b.msgid(), b.msgctxt()))
    };
    po_file::write_sort_by(catalog, &mut writer, Box::new(by_sentence)).expect("into memory");
    String::from_utf8(writer.into_inner().expect("flushed")).expect("UTF-8")
}

fn file(language: Language) -> PathBuf {
    let tag = match language {
        Language::English => "messagehub.pot".to_owned(),
        language => format!("{}.po", language.tag()),
    };
    root().join("locales").join(tag)
}

fn keep(path: &Path, text: &str) {
    if std::env::var("WORDS").as_deref() == Ok("write") {
        fs::write(path, text).expect("writable");
    }
    let is = fs::read_to_string(path).unwrap_or_default();
    assert!(
        is == text,
        "{} does not match the code: run bin/words",
        path.display()
    );
}

fn translations() -> impl Iterator<Item = (Language, Catalog)> {
    let others = Language::ALL.into_iter().skip(1);
    others.map(|language| {
        let text = fs::read_to_string(file(language)).expect("every language has its file");
        (language, parse(&text))
    })
}

#[test]
fn catalogue_matches_the_code() {
    let sentences = used();
    keep(&file(Language::English), &written(&template(&sentences)));
    for (language, catalog) in translations() {
        let fresh = updated_catalog(&catalog, &sentences);
        keep(&file(language), &written(&fresh));
    }
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

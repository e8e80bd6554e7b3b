//! The message catalogues in `locales/`, parsed once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use polib::catalog::Catalog;
use polib::po_file;

use super::Language;

const TEMPLATE: &str = include_str!("../../locales/messagehub.pot");
const SPANISH: &str = include_str!("../../locales/es.po");

/// Placeholders whose values are translated too, by message and index. All other values (user names, files, provider
/// texts) are inserted unchanged.
const TRANSLATED_PLACEHOLDERS: &[(&str, usize)] = &[
    ("{0} was not found in this workspace", 0),
    ("{0}: nothing was changed", 0),
    ("{by} answered {0}: read it, then send again", 1),
    ("too many tries: wait {0} and try again", 0),
    ("many people sign in at this moment: try again in {0}", 0),
    ("only one column can be {0}", 0),
    ("{0} Mend it, then press “Check now” under Integrations.", 0),
    ("{sentence} Most often: {reason}", 0),
    ("{sentence} Most often: {reason}", 1),
    ("field “{name}”: {wrong}", 1),
    ("{0}: {wrong}", 1),
    ("phone number: {wrong}", 0),
    (
        "Sent from {instead} because {why}: “{words}”. It was written for {from}.",
        1,
    ),
    ("This file cannot be shown: {why}.", 0),
    ("Where its texts go is not known now: {error}", 0),
    ("{provider} could not be asked the last time: {error}", 1),
    (": does the provider take our texts by {name}", 0),
    ("{who} took it {ago}", 1),
    ("{who} let go of it {ago}", 1),
    ("{ago}, {who} assigned it to {whom}", 0),
    ("{ago}, {who} took it from {whom}", 0),
    ("{weekday}, {day} {month}", 0),
    ("{weekday}, {day} {month}", 2),
];

pub struct Catalogue {
    forms: HashMap<String, Vec<String>>,
    /// Messages with placeholders, those with the most literal text first.
    patterns: Vec<Pattern>,
}

struct Pattern {
    english: String,
    literals: Vec<String>,
    placeholders: Vec<Placeholder>,
}

struct Placeholder {
    token: String,
    /// The value is an English message itself.
    is_translated: bool,
}

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
        let mut forms = HashMap::new();
        let mut patterns = Vec::new();
        for message in parse(file(language)).messages() {
            if !message.is_translated() {
                continue;
            }
            let english = match message.msgctxt() {
                Some(context) => context_key(message.msgid(), context),
                None => message.msgid().to_owned(),
            };
            let translated = match message.msgstr_plural() {
                Ok(translated) if message.is_plural() => translated.clone(),
                _ => vec![message.msgstr().unwrap_or_default().to_owned()],
            };
            patterns.extend(Pattern::of(&english));
            forms.insert(english, translated);
        }
        patterns.sort_by_key(|pattern: &Pattern| {
            let length: usize = pattern.literals.iter().map(String::len).sum();
            (std::cmp::Reverse(length), pattern.english.clone())
        });
        Self { forms, patterns }
    }

    pub fn translate<'a>(&'a self, text: &'a str) -> Cow<'a, str> {
        if let Some(translated) = self.forms.get(text) {
            return Cow::Borrowed(&translated[0]);
        }
        let found = self.patterns.iter().find_map(|pattern| {
            let values = pattern.values(text)?;
            Some((pattern, values))
        });
        let Some((pattern, values)) = found else {
            return Cow::Borrowed(text);
        };
        Cow::Owned(
            pattern.fill(&self.forms[&pattern.english][0], &values, |value| {
                self.translate(value)
            }),
        )
    }

    pub fn translate_in_context<'a>(&'a self, text: &'a str, context: &str) -> Cow<'a, str> {
        match self.forms.get(&context_key(text, context)) {
            Some(translated) => Cow::Borrowed(&translated[0]),
            None => Cow::Borrowed(text),
        }
    }

    pub fn plural(&self, one: &str, form: usize) -> Option<&str> {
        let forms = self.forms.get(one)?;
        forms.get(form).or(forms.last()).map(String::as_str)
    }
}

/// The key of a message with a context, as in gettext.
fn context_key(text: &str, context: &str) -> String {
    format!("{context}\u{4}{text}")
}

impl Pattern {
    /// `None` for a message without letters outside of its placeholders, which would match anything.
    fn of(english: &str) -> Option<Self> {
        let (mut literals, mut placeholders) = (vec![String::new()], Vec::new());
        let mut rest = english;
        while let Some((before, after)) = rest.split_once('{') {
            let (placeholder, after) = after.split_once('}')?;
            literals.last_mut()?.push_str(before);
            literals.push(String::new());
            placeholders.push(Placeholder {
                token: format!("{{{placeholder}}}"),
                is_translated: TRANSLATED_PLACEHOLDERS
                    .iter()
                    .any(|(sentence, nth)| *sentence == english && *nth == placeholders.len()),
            });
            rest = after;
        }
        literals.last_mut()?.push_str(rest);
        let has_letters = |text: &String| text.chars().any(char::is_alphabetic);
        (!placeholders.is_empty() && literals.iter().any(has_letters)).then(|| Self {
            english: english.to_owned(),
            literals,
            placeholders,
        })
    }

    /// Inserts the values in one pass, because a value may look like a placeholder.
    fn fill<'a>(
        &self,
        translated: &str,
        values: &[&'a str],
        translate: impl Fn(&'a str) -> Cow<'a, str>,
    ) -> String {
        let mut filled = String::with_capacity(translated.len());
        let mut rest = translated;
        while let Some((before, from)) = rest.find('{').map(|at| rest.split_at(at)) {
            filled.push_str(before);
            let placeholder = self.placeholders.iter().zip(values.iter().copied());
            let mut here =
                placeholder.filter(|(placeholder, _)| from.starts_with(&placeholder.token));
            match here.next() {
                Some((placeholder, value)) => {
                    if placeholder.is_translated {
                        filled.push_str(&translate(value));
                    } else {
                        filled.push_str(value);
                    }
                    rest = &from[placeholder.token.len()..];
                }
                None => {
                    filled.push('{');
                    rest = &from[1..];
                }
            }
        }
        filled.push_str(rest);
        filled
    }

    fn values<'a>(&self, text: &'a str) -> Option<Vec<&'a str>> {
        let (first, others) = self.literals.split_first()?;
        let (last, between) = others.split_last()?;
        let mut rest = text
            .strip_prefix(first.as_str())?
            .strip_suffix(last.as_str())?;
        let mut values = Vec::with_capacity(self.placeholders.len());
        for literal in between {
            let (value, after) = rest.split_once(literal.as_str())?;
            values.push(value);
            rest = after;
        }
        values.push(rest);
        values
            .iter()
            .all(|value| !value.is_empty())
            .then_some(values)
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
            let forms = catalogue.forms.get(message.msgid())?;
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

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
const OF_OURS: &[(&str, usize)] = &[
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
    fixed: Vec<String>,
    places: Vec<Placeholder>,
}

struct Placeholder {
    mark: String,
    /// The value is an English message itself.
    is_ours: bool,
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
                Some(meant) => meaning(message.msgid(), meant),
                None => message.msgid().to_owned(),
            };
            let said = match message.msgstr_plural() {
                Ok(said) if message.is_plural() => said.clone(),
                _ => vec![message.msgstr().unwrap_or_default().to_owned()],
            };
            patterns.extend(Pattern::of(&english));
            forms.insert(english, said);
        }
        patterns.sort_by_key(|pattern: &Pattern| {
            let said: usize = pattern.fixed.iter().map(String::len).sum();
            (std::cmp::Reverse(said), pattern.english.clone())
        });
        Self { forms, patterns }
    }

    pub fn say<'a>(&'a self, text: &'a str) -> Cow<'a, str> {
        if let Some(said) = self.forms.get(text) {
            return Cow::Borrowed(&said[0]);
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
                self.say(value)
            }),
        )
    }

    pub fn say_as<'a>(&'a self, text: &'a str, meant: &str) -> Cow<'a, str> {
        match self.forms.get(&meaning(text, meant)) {
            Some(said) => Cow::Borrowed(&said[0]),
            None => Cow::Borrowed(text),
        }
    }

    pub fn counted(&self, one: &str, form: usize) -> Option<&str> {
        let forms = self.forms.get(one)?;
        forms.get(form).or(forms.last()).map(String::as_str)
    }
}

/// The key of a message with a context, as in gettext.
fn meaning(text: &str, meant: &str) -> String {
    format!("{meant}\u{4}{text}")
}

impl Pattern {
    /// `None` for a message without letters outside of its placeholders, which would match anything.
    fn of(english: &str) -> Option<Self> {
        let (mut fixed, mut places) = (vec![String::new()], Vec::new());
        let mut rest = english;
        while let Some((before, after)) = rest.split_once('{') {
            let (place, after) = after.split_once('}')?;
            fixed.last_mut()?.push_str(before);
            fixed.push(String::new());
            places.push(Placeholder {
                mark: format!("{{{place}}}"),
                is_ours: OF_OURS
                    .iter()
                    .any(|(sentence, nth)| *sentence == english && *nth == places.len()),
            });
            rest = after;
        }
        fixed.last_mut()?.push_str(rest);
        let says = |text: &String| text.chars().any(char::is_alphabetic);
        (!places.is_empty() && fixed.iter().any(says)).then(|| Self {
            english: english.to_owned(),
            fixed,
            places,
        })
    }

    /// Inserts the values in one pass, because a value may look like a placeholder.
    fn fill<'a>(
        &self,
        translated: &str,
        values: &[&'a str],
        say: impl Fn(&'a str) -> Cow<'a, str>,
    ) -> String {
        let mut said = String::with_capacity(translated.len());
        let mut rest = translated;
        while let Some((before, from)) = rest.find('{').map(|at| rest.split_at(at)) {
            said.push_str(before);
            let place = self.places.iter().zip(values.iter().copied());
            let mut here = place.filter(|(place, _)| from.starts_with(&place.mark));
            match here.next() {
                Some((place, value)) => {
                    if place.is_ours {
                        said.push_str(&say(value));
                    } else {
                        said.push_str(value);
                    }
                    rest = &from[place.mark.len()..];
                }
                None => {
                    said.push('{');
                    rest = &from[1..];
                }
            }
        }
        said.push_str(rest);
        said
    }

    fn values<'a>(&self, text: &'a str) -> Option<Vec<&'a str>> {
        let (first, others) = self.fixed.split_first()?;
        let (last, between) = others.split_last()?;
        let mut rest = text
            .strip_prefix(first.as_str())?
            .strip_suffix(last.as_str())?;
        let mut values = Vec::with_capacity(self.places.len());
        for fixed in between {
            let (value, after) = rest.split_once(fixed.as_str())?;
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
            let said = match message.is_plural() {
                true => serde_json::json!(forms),
                false => serde_json::json!(forms[0]),
            };
            Some((message.msgid().to_owned(), said))
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

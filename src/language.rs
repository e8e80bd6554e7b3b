//! Translation of everything that users read.
//!
//! English sentences in the code are the message keys. `locales/messagehub.pot` lists them with their references; each
//! other language has a file beside it, kept by `bin/words`. `with_language` sets the current language, and `t` and
//! `count` translate into it. A missing translation falls back to English.

use std::borrow::Cow;
use std::fmt::Display;
use std::future::Future;

use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Serialize};

mod catalogue;
#[cfg(test)]
mod used;

use catalogue::catalogue;
pub use catalogue::script;

/// By BCP 47 tag.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    sqlx::Type,
    utoipa::ToSchema,
)]
#[sqlx(type_name = "text")]
pub enum Language {
    #[default]
    #[serde(rename = "en")]
    #[sqlx(rename = "en")]
    English,
    #[serde(rename = "es")]
    #[sqlx(rename = "es")]
    Spanish,
}

tokio::task_local! {
    static CURRENT: Language;
}

impl Language {
    pub const ALL: [Self; 2] = [Self::English, Self::Spanish];

    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Spanish => "Español",
        }
    }

    pub fn of_tag(tag: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|language| language.tag().eq_ignore_ascii_case(tag))
    }

    /// The plural form for `n`, as in `Plural-Forms` of the language's file.
    fn form(self, n: i64) -> usize {
        match self {
            Self::English | Self::Spanish => usize::from(n != 1),
        }
    }

    /// The thousands separator, and the number of digits from which it is used.
    fn thousands(self) -> (char, usize) {
        match self {
            Self::English => (',', 4),
            Self::Spanish => ('.', 5),
        }
    }

    /// The decimal separator.
    pub fn decimal_separator(self) -> char {
        match self {
            Self::English => '.',
            Self::Spanish => ',',
        }
    }
}

pub fn current() -> Language {
    CURRENT.try_with(|language| *language).unwrap_or_default()
}

/// Runs `future` with `language` as the current language.
pub async fn with_language<F: Future>(language: Language, future: F) -> F::Output {
    CURRENT.scope(language, future).await
}

/// The same for synchronous code.
pub fn in_language<T>(language: Language, say: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(language, say)
}

/// Translates a sentence. Also one that was formatted already: `{name}` in a sentence of the catalogue matches any
/// text, which is translated in turn.
pub fn t(text: &str) -> Cow<'_, str> {
    match catalogue(current()) {
        Some(catalogue) => catalogue.translate(text),
        None => Cow::Borrowed(text),
    }
}

/// Translates an ambiguous word in the `context` of its entry.
pub fn t_in_context<'a>(text: &'a str, context: &str) -> Cow<'a, str> {
    match catalogue(current()) {
        Some(catalogue) => catalogue.translate_in_context(text, context),
        None => Cow::Borrowed(text),
    }
}

/// Marks an English sentence for extraction; it is translated where it is shown.
pub const fn english(text: &'static str) -> &'static str {
    text
}

/// The translated plural form for `n`, which replaces `{n}`.
pub fn count(n: i64, one: &str, many: &str) -> String {
    let language = current();
    let form = language.form(n);
    let translated = catalogue(language).and_then(|catalogue| catalogue.plural(one, form));
    let english = if Language::English.form(n) == 0 {
        one
    } else {
        many
    };
    replace_placeholder(translated.unwrap_or(english), "n", format_number(n))
}

pub fn replace_placeholder(text: &str, name: &str, value: impl Display) -> String {
    text.replace(&format!("{{{name}}}"), &value.to_string())
}

/// `1,234` or `1.234`
pub fn format_number(number: i64) -> String {
    let (point, from) = current().thousands();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "−" } else { "" });
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && digits.len() >= from && (digits.len() - i).is_multiple_of(3) {
            text.push(point);
        }
        text.push(digit);
    }
    text
}

const MONTHS: [&str; 12] = [
    english("January"),
    english("February"),
    english("March"),
    english("April"),
    english("May"),
    english("June"),
    english("July"),
    english("August"),
    english("September"),
    english("October"),
    english("November"),
    english("December"),
];

/// A month's name; January is 0.
pub fn month(month0: u32) -> Cow<'static, str> {
    t(MONTHS[month0 as usize])
}

const WEEKDAYS: [&str; 7] = [
    english("Monday"),
    english("Tuesday"),
    english("Wednesday"),
    english("Thursday"),
    english("Friday"),
    english("Saturday"),
    english("Sunday"),
];

/// `Saturday, 21 November`
pub fn day(at: &DateTime<Utc>) -> String {
    t("{weekday}, {day} {month}")
        .replace(
            "{weekday}",
            &t(WEEKDAYS[at.weekday().num_days_from_monday() as usize]),
        )
        .replace("{day}", &at.day().to_string())
        .replace("{month}", &month(at.month0()))
}

/// The first three letters, the abbreviation in both languages.
pub fn short_month(month0: u32) -> String {
    month(month0).chars().take(3).collect()
}

#[cfg(test)]
mod tests;

//! In which language people are spoken to.
//!
//! English sentences stand in the code and are the keys. `locales/messagehub.pot` lists them with where they stand, and each
//! other language has a file beside it, kept by `bin/words`. Whoever speaks sets the language around it (`speaking`), and
//! what is rendered in there asks for sentences: `t`, `count`. What has no translation is said in English.

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

/// By its tag of BCP 47.
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
    static SPOKEN: Language;
}

impl Language {
    pub const ALL: [Self; 2] = [Self::English, Self::Spanish];

    /// As BCP 47 names it.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }

    /// As those call it who speak it.
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

    /// Which of a sentence's plural forms goes with `n`: the rule that `Plural-Forms` of its file says.
    fn form(self, n: i64) -> usize {
        match self {
            Self::English | Self::Spanish => usize::from(n != 1),
        }
    }

    /// What stands between thousands, and from how many digits on it does.
    fn thousands(self) -> (char, usize) {
        match self {
            Self::English => (',', 4),
            Self::Spanish => ('.', 5),
        }
    }

    /// What stands before the tenths.
    pub fn point(self) -> char {
        match self {
            Self::English => '.',
            Self::Spanish => ',',
        }
    }
}

/// The language that is spoken here: English where nobody set one.
pub fn current() -> Language {
    SPOKEN.try_with(|language| *language).unwrap_or_default()
}

/// What `future` says, it says in `language`.
pub async fn speaking<F: Future>(language: Language, future: F) -> F::Output {
    SPOKEN.scope(language, future).await
}

/// The same for what does not wait.
pub fn said_in<T>(language: Language, say: impl FnOnce() -> T) -> T {
    SPOKEN.sync_scope(language, say)
}

/// A sentence in the language that is spoken. Also one that was made at run time: `{name}` in a sentence of the catalogue
/// stands for anything, and what stood there is translated in turn.
pub fn t(text: &str) -> Cow<'_, str> {
    match catalogue(current()) {
        Some(catalogue) => catalogue.say(text),
        None => Cow::Borrowed(text),
    }
}

/// The same for a word that English has two meanings for: `meant` tells them apart.
pub fn t_as<'a>(text: &'a str, meant: &str) -> Cow<'a, str> {
    match catalogue(current()) {
        Some(catalogue) => catalogue.say_as(text, meant),
        None => Cow::Borrowed(text),
    }
}

/// An English sentence that is translated where it is shown. Marks it for the catalogue.
pub const fn english(text: &'static str) -> &'static str {
    text
}

/// The sentence for so many, with `{n}` in it.
pub fn count(n: i64, one: &str, many: &str) -> String {
    let language = current();
    let form = language.form(n);
    let translated = catalogue(language).and_then(|catalogue| catalogue.counted(one, form));
    let english = if Language::English.form(n) == 0 {
        one
    } else {
        many
    };
    put(translated.unwrap_or(english), "n", figure(n))
}

/// Puts a value in its place.
pub fn put(text: &str, name: &str, value: impl Display) -> String {
    text.replace(&format!("{{{name}}}"), &value.to_string())
}

/// `1,234` or `1.234`
pub fn figure(number: i64) -> String {
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

/// A month's name, January being 0.
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

/// Its first three letters, which both languages take for short.
pub fn short_month(month0: u32) -> String {
    month(month0).chars().take(3).collect()
}

#[cfg(test)]
mod tests;

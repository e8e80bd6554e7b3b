//! Translation of everything that users read.
//!
//! A [`Message`] is an English sentence, which is the key of its translations, with the values in it.
//! `locales/messagehub.pot` lists all sentences with their references; each other language has a file beside it, kept by
//! `bin/words`. `with_language` sets the current language. A missing translation falls back to English.

use std::future::Future;

use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Serialize};

mod catalogue;
pub mod message;
mod stored;

pub use catalogue::script;
pub use message::{Message, Value};
pub(crate) use message::{impl_error, t, t_context, t_plural};

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

    fn number(self, number: i64) -> String {
        let (point, from) = self.thousands();
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

/// `1,234` or `1.234`
pub fn format_number(number: i64) -> String {
    current().number(number)
}

static MONTHS: [Message; 12] = [
    t!("January"),
    t!("February"),
    t!("March"),
    t!("April"),
    t!("May"),
    t!("June"),
    t!("July"),
    t!("August"),
    t!("September"),
    t!("October"),
    t!("November"),
    t!("December"),
];

/// A month's name; January is 0.
pub fn month(month0: u32) -> String {
    MONTHS[month0 as usize].translated()
}

static WEEKDAYS: [Message; 7] = [
    t!("Monday"),
    t!("Tuesday"),
    t!("Wednesday"),
    t!("Thursday"),
    t!("Friday"),
    t!("Saturday"),
    t!("Sunday"),
];

/// `Saturday, 21 November`
pub fn day(at: &DateTime<Utc>) -> String {
    t!(
        "{weekday}, {day} {month}",
        weekday = &WEEKDAYS[at.weekday().num_days_from_monday() as usize],
        day = at.day(),
        month = &MONTHS[at.month0() as usize],
    )
    .translated()
}

/// The first three letters, the abbreviation in both languages.
pub fn short_month(month0: u32) -> String {
    month(month0).chars().take(3).collect()
}

#[cfg(test)]
mod tests;

//! Dates in spreadsheets and address books. The order in `03/04/2026` is decided by the other dates of the column, else
//! by the country.

use chrono::{Datelike, NaiveDate};

/// The order of day and month where both are possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    DayFirst,
    MonthFirst,
    #[default]
    Unknown,
}

impl Order {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DayFirst => "day",
            Self::MonthFirst => "month",
            Self::Unknown => "",
        }
    }

    pub fn of_word(word: &str) -> Self {
        match word {
            "day" => Self::DayFirst,
            "month" => Self::MonthFirst,
            _ => Self::Unknown,
        }
    }

    /// The order in a column: one value above 12 decides. Contradictions decide nothing.
    pub fn of_column<'a>(cells: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut day, mut month) = (false, false);
        for cell in cells {
            if let Some(Parts::Slashes(first, second, _)) = parts(cell) {
                day |= first > 12;
                month |= second > 12;
            }
        }
        match (day, month) {
            (true, false) => Self::DayFirst,
            (false, true) => Self::MonthFirst,
            _ => Self::Unknown,
        }
    }

    /// The usual order in a country; `Unknown` where several are in use.
    pub fn of_region(region: &str) -> Self {
        match region {
            "US" | "PH" | "FM" | "GU" | "MH" | "PW" | "PR" | "AS" | "VI" | "MP" => Self::MonthFirst,
            "CA" | "KE" | "GH" | "ZA" | "CN" | "JP" | "KR" | "KP" | "TW" | "HU" | "LT" | "IR"
            | "MN" | "SE" => Self::Unknown,
            _ => Self::DayFirst,
        }
    }

    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Unknown => other,
            known => known,
        }
    }
}

enum Parts {
    /// Year, month, day.
    Day(i32, u32, u32),
    /// Day and month in unknown order, and the year.
    Slashes(u32, u32, i32),
}

/// The date; `None` if invalid or ambiguous.
pub fn read(text: &str, order: Order) -> Option<NaiveDate> {
    let (year, month, day) = match parts(text)? {
        Parts::Day(year, month, day) => (year, month, day),
        Parts::Slashes(first, second, year) => match order {
            _ if first > 12 => (year, second, first),
            _ if second > 12 || first == second => (year, first, second),
            Order::DayFirst => (year, second, first),
            Order::MonthFirst => (year, first, second),
            Order::Unknown => return None,
        },
    };
    NaiveDate::from_ymd_opt(year, month, day).filter(|day| (1..=9999).contains(&day.year()))
}

/// The numbers of a date. A time of day is ignored.
fn parts(text: &str) -> Option<Parts> {
    let text = text.trim();
    if text.len() > 40 || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let begins = text.split(['T', ' ']).next().unwrap_or_default();
    let is_time = |rest: &str| {
        rest.trim_start_matches(['T', ' '])
            .split(' ')
            .next()
            .is_some_and(|word| word.contains(':'))
    };
    if begins.contains(['-', '/', '.']) {
        let rest = &text[begins.len()..];
        if !rest.is_empty() && !is_time(rest) {
            return None;
        }
        let mark = begins.chars().find(|c| matches!(c, '-' | '/' | '.'))?;
        let figures: Vec<&str> = begins.trim_end_matches('.').split(mark).collect();
        let [first, second, third] = figures[..] else {
            return None;
        };
        let is_figure =
            |figure: &str| !figure.is_empty() && figure.bytes().all(|byte| byte.is_ascii_digit());
        if ![first, second, third].into_iter().all(is_figure) {
            return None;
        }
        let small = |figure: &str| {
            (figure.len() <= 2)
                .then(|| figure.parse::<u32>().ok())
                .flatten()
        };
        let year = |figure: &str| {
            (figure.len() == 4)
                .then(|| figure.parse::<i32>().ok())
                .flatten()
        };
        if let (Some(year), Some(month), Some(day)) = (year(first), small(second), small(third)) {
            return Some(Parts::Day(year, month, day));
        }
        let (first, second, year) = (small(first)?, small(second)?, year(third)?);
        return Some(match mark {
            '.' => Parts::Day(year, second, first), // with dots the day always comes first
            _ => Parts::Slashes(first, second, year),
        });
    }
    if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Parts::Day(
            text[..4].parse().ok()?,
            text[4..6].parse().ok()?,
            text[6..].parse().ok()?,
        ));
    }
    in_words(text)
}

/// `23 Nov 2026`, `November 23, 2026`, `23 de noviembre de 2026`.
fn in_words(text: &str) -> Option<Parts> {
    const MONTHS: [&[&str]; 12] = [
        &["jan", "ene"],
        &["feb"],
        &["mar", "mär"],
        &["apr", "abr"],
        &["may", "mai"],
        &["jun"],
        &["jul"],
        &["aug", "ago"],
        &["sep"],
        &["oct", "okt"],
        &["nov"],
        &["dec", "dic", "dez"],
    ];
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !["de", "del", "of"].contains(word))
        .collect();
    let [first, second, third] = words[..] else {
        return None;
    };
    let month = |word: &str| {
        let is_word = word.chars().count() >= 3 && word.chars().all(char::is_alphabetic);
        let place = MONTHS
            .iter()
            .position(|names| names.iter().any(|name| word.starts_with(name)));
        place
            .filter(|_| is_word)
            .and_then(|place| u32::try_from(place + 1).ok())
    };
    let day = |word: &str| {
        let figure = word.trim_end_matches(['s', 't', 'n', 'd', 'r', 'h']);
        (figure.len() <= 2)
            .then(|| figure.parse::<u32>().ok())
            .flatten()
    };
    let year = (third.len() == 4)
        .then(|| third.parse::<i32>().ok())
        .flatten()?;
    match (month(first), month(second)) {
        (None, Some(month)) => Some(Parts::Day(year, month, day(first)?)),
        (Some(month), None) => Some(Parts::Day(year, month, day(second)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str, order: Order) -> Option<String> {
        read(text, order).map(|day| day.to_string())
    }

    #[test]
    fn dates_are_parsed_in_any_format() {
        for text in [
            "2026-11-23",
            "2026/11/23",
            "11/23/2026",
            "23/11/2026",
            "23.11.2026",
            "23-11-2026",
            "20261123",
            "23 Nov 2026",
            "November 23, 2026",
            "23 de noviembre de 2026",
            "2026-11-23 10:20",
            "2026-11-23T10:20:00Z",
            "11/23/2026 3:04 PM",
        ] {
            assert_eq!(
                day(text, Order::Unknown).as_deref(),
                Some("2026-11-23"),
                "{text}"
            );
        }
        for text in [
            "--03-07",
            "11/23",
            "2026",
            "tomorrow",
            "31/31/2026",
            "2026-02-30",
            "11/23/26",
            "Room 3 of 2026",
            "4155550142",
        ] {
            assert_eq!(day(text, Order::MonthFirst), None, "{text}");
        }
    }

    #[test]
    fn ambiguous_dates_follow_column_or_country() {
        assert_eq!(day("03/04/2026", Order::Unknown), None);
        assert_eq!(
            day("03/04/2026", Order::MonthFirst).as_deref(),
            Some("2026-03-04")
        );
        assert_eq!(
            day("03/04/2026", Order::DayFirst).as_deref(),
            Some("2026-04-03")
        );
        assert_eq!(
            Order::of_column(["03/04/2026", "13/04/2026"]),
            Order::DayFirst
        );
        assert_eq!(
            Order::of_column(["03/04/2026", "04/13/2026"]),
            Order::MonthFirst
        );
        assert_eq!(
            Order::of_column(["13/04/2026", "04/13/2026"]),
            Order::Unknown
        );
        assert_eq!(Order::of_region("US"), Order::MonthFirst);
        assert_eq!(Order::of_region("DE"), Order::DayFirst);
    }

    proptest! {
        #[test]
        fn any_text_is_a_date_or_not(text in ".{0,40}", figures in "[0-9/.T: -]{0,20}") {
            for text in [text, figures] {
                let _ = read(&text, Order::Unknown);
            }
        }
    }
}

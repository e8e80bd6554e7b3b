//! Phone numbers in search input: national, partial, or pasted.

use phonenumber::metadata::DATABASE;
use unicode_normalization::UnicodeNormalization;

use super::reading::ascii_digit;
use super::{Phone, Region, plan};

/// Countries with a mobile digit after the country code, now or formerly: the same phone with and without it.
const MOBILE_DIGITS: [(&str, &str); 2] = [("52", "1"), ("54", "9")];

const LENGTH_LIMIT: usize = 40;

const COUNT_LIMIT: usize = 300;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchInput {
    pub search_text: String,
    /// The readings of each number, see [`readings`].
    pub numbers: Vec<Vec<String>>,
}

/// Separates numbers from words: words that consist of digits and separators are parts of a number.
pub fn read(text: &str, region: &Region) -> SearchInput {
    // Full-width characters and no-break spaces.
    let text: String = text
        .nfkc()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(COUNT_LIMIT)
        .collect();
    let mut typed = SearchInput::default();
    let mut number = String::new();
    for word in without_scheme(text.trim()).split_whitespace() {
        if is_of_a_number(word) {
            number.push_str(word);
            continue;
        }
        typed.take(&mut number, region);
        typed.search_text.push_str(word);
        typed.search_text.push(' ');
    }
    typed.take(&mut number, region);
    typed
}

impl SearchInput {
    /// The terms for the SQL search function.
    pub fn terms(&self) -> Vec<String> {
        self.numbers
            .iter()
            .map(|readings| readings.join("|"))
            .collect()
    }

    fn take(&mut self, number: &mut String, region: &Region) {
        let readings = readings(&std::mem::take(number), region);
        if !readings.is_empty() {
            self.numbers.push(readings);
        }
    }
}

/// The number of a link such as `tel:+44…;ext=1`.
fn without_scheme(text: &str) -> &str {
    let scheme = text
        .split_once(':')
        .filter(|(scheme, _)| {
            ["tel", "sms", "smsto", "callto", "whatsapp"]
                .iter()
                .any(|known| scheme.trim().eq_ignore_ascii_case(known))
        })
        .map(|(_, number)| number.split([';', '?']).next().unwrap_or(number));
    scheme.map_or(text, str::trim)
}

fn is_of_a_number(word: &str) -> bool {
    word.chars()
        .all(|c| ascii_digit(c).is_some() || is_between_digits(c))
}

fn is_between_digits(c: char) -> bool {
    matches!(c, '+' | '-' | '.' | '/' | '(' | ')' | '[' | ']' | '\u{2010}'..='\u{2015}' | '\u{2212}'
        | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Search patterns for a possibly partial number: digits match anywhere, digits with a plus match the start. Includes
/// the number as dialled in `region`, and the digits without trunk and exit prefixes. Empty without a digit.
fn readings(text: &str, region: &Region) -> Vec<String> {
    let text: String = text
        .chars()
        .filter(|c| *c == '+' || *c == '(' || *c == ')' || ascii_digit(*c).is_some())
        .map(|c| ascii_digit(c).unwrap_or(c))
        .collect();
    let is_international = text.starts_with(['+']) || text.starts_with("(+");
    let digits_of = |text: &str| -> String {
        text.chars()
            .filter(char::is_ascii_digit)
            .take(LENGTH_LIMIT)
            .collect()
    };
    let mut found = Readings::default();
    // "+44 (0)7911": the zero is only dialled within the country.
    for text in [text.replace("(0)", ""), text.clone()] {
        let digits = digits_of(&text);
        if digits.is_empty() {
            continue;
        }
        match is_international {
            true => found.international(&digits),
            false => found.dialled(&digits, region),
        }
    }
    let digits = digits_of(&text);
    if !digits.is_empty() {
        found.add(digits);
    }
    found.0
}

#[derive(Default)]
struct Readings(Vec<String>);

impl Readings {
    fn add(&mut self, reading: String) {
        if !self.0.contains(&reading) {
            self.0.push(reading);
        }
    }

    fn international(&mut self, digits: &str) {
        self.begins_with(digits);
        for length in 1..=3.min(digits.len()) {
            let (country, rest) = digits.split_at(length);
            let is_country = country
                .parse()
                .is_ok_and(|code: u16| DATABASE.by_code(&code).is_some());
            let national = rest.trim_start_matches('0');
            if is_country && national.len() < rest.len() {
                self.begins_with(&format!("{country}{national}"));
            }
        }
    }

    fn begins_with(&mut self, digits: &str) {
        self.add(format!("+{digits}"));
        for (country, mobile) in MOBILE_DIGITS {
            let Some(national) = digits.strip_prefix(country) else {
                continue;
            };
            match national.strip_prefix(mobile) {
                Some(national) => self.add(format!("+{country}{national}")),
                None if !national.is_empty() => self.add(format!("+{country}{mobile}{national}")),
                None => {}
            }
        }
    }

    fn dialled(&mut self, digits: &str, region: &Region) {
        if let Ok(phone) = Phone::parse(digits, region) {
            self.begins_with(&phone.as_str()[1..]);
        }
        let abroad = plan::without_exit_code(digits, *region);
        let abroad = abroad.or_else(|| digits.strip_prefix("00"));
        if let Some(digits) = abroad
            && !digits.is_empty()
        {
            self.international(digits);
        }
        for rest in without_trunk_prefix(digits, *region) {
            if let Some(country) = region.calling_code() {
                self.begins_with(&format!("{country}{rest}"));
            }
            // Numbers of other countries. Fewer digits would match nearly every number.
            if rest.len() >= 3 {
                self.add(rest.to_owned());
            }
        }
    }
}

/// The digits without a trunk prefix, for each prefix that matches.
fn without_trunk_prefix(digits: &str, region: Region) -> Vec<&str> {
    let trunk = DATABASE
        .by_id(region.0.as_ref())
        .and_then(|region| region.national_prefix())
        .and_then(|prefix| digits.strip_prefix(prefix));
    let zeros = Some(digits.trim_start_matches('0')).filter(|rest| rest.len() < digits.len());
    // Mexico had mobile prefixes until 2019.
    let mobile = match region.to_string() == "MX" {
        true => ["044", "045", "01", "1"]
            .iter()
            .find_map(|prefix| digits.strip_prefix(prefix)),
        false => None,
    };
    let mut rests: Vec<&str> = [trunk, zeros, mobile]
        .into_iter()
        .flatten()
        .filter(|rest| !rest.is_empty())
        .collect();
    rests.dedup();
    rests
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `typed` matches the stored number, by the rules of the SQL function.
    fn finds(region: &str, typed: &str, stored: &str) -> bool {
        let typed = read(typed, &region.parse().unwrap());
        let is_it = |reading: &String| match reading.strip_prefix('+') {
            Some(digits) => stored[1..].starts_with(digits),
            None => stored.contains(reading),
        };
        typed.search_text.is_empty()
            && typed.numbers.len() == 1
            && typed.numbers[0].iter().any(is_it)
    }

    #[test]
    fn numbers_are_found_in_common_formats() {
        for (region, stored, all) in [
            (
                "GB",
                "+447911123456",
                &[
                    "07911 123456",
                    "07911",
                    "(0)7911 123456",
                    "+44 (0)7911 123456",
                    "(+44) 7911 123456",
                    "+44 07911 123456",
                    "00447911123456",
                    "00 44 7911",
                    "tel:+447911123456",
                    "TEL:+44-7911-123456;ext=1",
                    "7911123456",
                    "123456",
                    "０７９１１",
                    "07911\u{a0}123\u{2011}456",
                ][..],
            ),
            (
                "GB",
                "+441174960123",
                &["0117", "0117 496", "0117-496-0123"],
            ),
            (
                "DE",
                "+4915123456789",
                &["0151 2345 6789", "0151", "0049 151", "+49 (0) 151"],
            ),
            (
                "FR",
                "+33612345678",
                &["06 12 34 56 78", "06 12", "0033 6 12"],
            ),
            (
                "IT",
                "+390612345678",
                &["06 1234", "+39 06 1234", "0039 06"],
            ),
            ("HU", "+36201234567", &["06 20 123 4567", "06 20"]),
            (
                "US",
                "+447911123456",
                &["011 44 7911 123456", "+44 7911", "07911 123456"],
            ),
            (
                "US",
                "+14155550192",
                &["(415) 555-0192", "1 415 555 0192", "415.555"],
            ),
            (
                "MX",
                "+525562000001",
                &[
                    "+52 1 55 6200 0001",
                    "044 55 6200 0001",
                    "01 55 6200 0001",
                    "1 55 6200 0001",
                    "55 6200",
                    "+521 55",
                ],
            ),
            (
                "MX",
                "+5215562000001",
                &["+52 55 6200 0001", "55 6200 0001"],
            ),
        ] {
            for typed in all {
                assert!(
                    finds(region, typed, stored),
                    "{region} {typed} {stored}: {:?}",
                    read(typed, &region.parse().unwrap())
                );
            }
        }
        assert!(!finds("GB", "07911 123456", "+447911123457"));
        assert!(!finds("DE", "0151 2345 6789", "+4915123456780"));
    }

    #[test]
    fn tokens_and_numbers_are_separated() {
        let read = |text| read(text, &Region::US);
        assert_eq!(read("maya okafor").numbers, [[""; 0]; 0]);
        let both = read("maya (415) 555-0192 okafor");
        assert_eq!(both.search_text, "maya okafor ");
        assert_eq!(both.numbers.len(), 1);
        assert!(both.numbers[0].contains(&"4155550192".to_owned()));
        assert_eq!(read("maya1990@x").numbers.len(), 0);
        assert_eq!(read("a - b").numbers.len(), 0);
        assert_eq!(read("(+)").numbers.len(), 0);
    }
}

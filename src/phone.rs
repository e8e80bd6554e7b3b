//! Phone numbers and other sender addresses.
//!
//! Input is parsed to a [`Phone`] or an [`Address`] once, at the edge; all other code uses E.164. A phone has one
//! canonical number, whatever notation or national variant a provider uses: see [`plan`].

mod plan;
mod reading;
pub mod search;

use std::fmt;
use std::str::FromStr;

use phonenumber::Mode;
use phonenumber::metadata::DATABASE;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::language::{Message, impl_error, t};
use reading::{Other, Written};

/// A phone number in E.164: `+14155550192`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, ToSchema,
)]
#[schema(value_type = String, example = "+14155550192")]
#[serde(try_from = "String")]
#[sqlx(transparent)]
pub struct Phone(String);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhoneError {
    Empty,
    NotANumber,
    UnknownCountry,
    TooShort,
    TooLong,
    Impossible,
    Shortened,
    Fraction,
    Ambiguous,
    Several,
    Abroad,
}

impl PhoneError {
    /// What is wrong and how to correct it.
    pub fn message(&self) -> Message {
        match self {
            Self::Empty => t!("Enter a phone number"),
            Self::NotANumber => {
                t!("That isn’t a phone number. Write it like (415) 555-0192 or +49 30 901820.")
            }
            Self::UnknownCountry => t!("No country has this calling code"),
            Self::TooShort => t!("This number is too short. Is the area code missing?"),
            Self::TooLong => t!("This number is too long"),
            Self::Impossible => t!("That isn’t a valid phone number in this country"),
            Self::Shortened => t!(
                "A spreadsheet shortened this number, and its last digits are lost. Format the column as text there and save the file again."
            ),
            Self::Fraction => t!("That’s a decimal number, not a phone number"),
            Self::Ambiguous => {
                t!(
                    "It’s unclear whether this ends in decimals or digits. Write the number without dots."
                )
            }
            Self::Several => t!("This contains more than one number. Enter one."),
            Self::Abroad => {
                t!(
                    "This could be a local or an international number. Write it with + and the country code."
                )
            }
        }
    }
}

impl_error!(PhoneError);

/// Fewer national digits are not taken for a complete number if a slash and more digits follow.
const MIN_NATIONAL_DIGITS: usize = 6;

impl Phone {
    /// Parses any common notation; without a country code, as dialled in `region`.
    pub fn parse(text: &str, region: &Region) -> Result<Self, PhoneError> {
        let written = reading::read(text)?;
        let number = |digits: &str| match digits.strip_prefix('+') {
            // An exit code after the plus.
            Some(digits) => plan::international(digits.strip_prefix("00").unwrap_or(digits)),
            None => plan::dialled(digits, *region),
        };
        let Written {
            digits,
            other,
            before_slash,
        } = written;
        let is_complete = |before: &String| {
            number(before).is_ok_and(|number| plan::national_digits(&number) >= MIN_NATIONAL_DIGITS)
        };
        if before_slash.as_ref().is_some_and(is_complete) {
            return Err(PhoneError::Several);
        }
        let first = number(&digits);
        match other {
            Other::None => first,
            Other::Fallback(other) => match (first, number(&other)) {
                (Ok(first), Ok(other))
                    if plan::is_assigned(&first) || !plan::is_assigned(&other) =>
                {
                    Ok(first)
                }
                (_, Ok(other)) => Ok(other),
                (first, _) => first,
            },
            Other::Alternative(other) => match (first, number(&other)) {
                (Ok(first), Ok(other)) if first != other => Err(PhoneError::Ambiguous),
                (first, other) => first.or(other),
            },
        }
        .map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The local notation in `region`: `(415) 555-0192` in the same country, `+1 415-555-0192` elsewhere.
    pub fn display(&self, region: &Region) -> String {
        let digits = &self.0[1..];
        if region.calling_code() == Some(1) && digits.len() == 11 && digits.starts_with('1') {
            let (area, exchange, line) = (&digits[1..4], &digits[4..7], &digits[7..]);
            return format!("({area}) {exchange}-{line}");
        }
        phonenumber::parse(None, &self.0).map_or_else(
            |_| self.0.clone(),
            |number| number.format().mode(Mode::International).to_string(),
        )
    }
}

/// Accepts E.164 only.
impl FromStr for Phone {
    type Err = PhoneError;

    fn from_str(text: &str) -> Result<Self, PhoneError> {
        match text.strip_prefix('+') {
            Some(digits) if is_e164(digits) => Ok(Self(text.to_owned())),
            _ => Err(PhoneError::NotANumber),
        }
    }
}

impl TryFrom<String> for Phone {
    type Error = PhoneError;

    fn try_from(text: String) -> Result<Self, PhoneError> {
        text.parse()
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Formats a stored address for any viewer: North American numbers in national notation, others with their country
/// code, short codes and sender names unchanged.
pub fn display(stored: &str) -> String {
    stored.parse::<Address>().map_or_else(
        |_| stored.to_owned(),
        |address| address.display(&Region::US),
    )
}

/// The prefix of an area's numbers: `+4930` for `30` and `030` alike.
pub fn begins_with(area_code: &str, region: &Region) -> String {
    let code = region.calling_code().unwrap_or_default();
    let area_code = plan::without_trunk_prefix(area_code, *region);
    format!("+{code}{area_code}")
}

pub fn is_answerable(stored: &str) -> bool {
    stored
        .parse::<Address>()
        .is_ok_and(|address| address.is_answerable())
}

/// Whether a stored address is a North American toll-free number, whose opt-outs the network enforces itself.
pub fn is_toll_free(stored: &str) -> bool {
    const AREAS: [&str; 7] = ["800", "833", "844", "855", "866", "877", "888"];
    stored
        .strip_prefix("+1")
        .is_some_and(|national| AREAS.iter().any(|area| national.starts_with(area)))
}

/// The sender or recipient of a text: a phone number, a short code (`262966`), an alphanumeric sender (`ACME Dental`)
/// or any other text that a network delivers. Only a phone number can be answered.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, ToSchema,
)]
#[schema(value_type = String, example = "+14155550192")]
#[serde(try_from = "String")]
#[sqlx(transparent)]
pub struct Address(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAddress;

impl NotAnAddress {
    pub fn message(self) -> Message {
        t!(
            "Use 1 to {most} characters, without invisible ones",
            most = Address::LENGTH_LIMIT,
        )
    }
}

impl_error!(NotAnAddress);

impl Address {
    /// Alphanumeric senders have up to 11 characters, but networks also deliver longer names and email addresses.
    pub const LENGTH_LIMIT: usize = 120;
    const UNKNOWN_SENDER: &str = "Unknown sender";

    /// The sender of an inbound text. Never fails, so that no text is lost.
    ///
    /// All providers write numbers with a plus. Digits without one are a short code, or a national number of an unknown
    /// country: they stay unchanged, because a plus would make them another subscriber's number.
    pub fn of_sender(text: &str) -> Self {
        let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
        let visible = visible.split_whitespace().collect::<Vec<_>>().join(" ");
        if visible.starts_with('+')
            && let Some(number) = parse_e164(&visible)
        {
            return Self(plan::canonical(&number));
        }
        match visible.chars().count() {
            0 => Self(Self::UNKNOWN_SENDER.into()),
            1..=Self::LENGTH_LIMIT => Self(visible),
            _ => Self(
                visible
                    .chars()
                    .take(Self::LENGTH_LIMIT - 1)
                    .chain(['…'])
                    .collect(),
            ),
        }
    }

    /// The canonical form of an address. Our own numbers are stored as their provider lists them, but texts may name
    /// another form of them.
    pub fn canonical(text: &str) -> String {
        let digits = text.strip_prefix('+').unwrap_or(text);
        match is_e164(digits) && digits.len() > 8 {
            true => plan::canonical(&format!("+{digits}")),
            false => text.to_owned(),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn phone(&self) -> Option<Phone> {
        self.0.parse().ok()
    }

    pub fn is_answerable(&self) -> bool {
        self.phone().is_some()
    }

    pub fn display(&self, region: &Region) -> String {
        self.phone()
            .map_or_else(|| self.0.clone(), |phone| phone.display(region))
    }
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let text = text.trim();
        let is_address = (1..=Self::LENGTH_LIMIT).contains(&text.chars().count())
            && !text.chars().any(is_invisible);
        is_address
            .then(|| Self(text.to_owned()))
            .ok_or(NotAnAddress)
    }
}

/// Control characters, direction marks and zero-width characters.
fn is_invisible(character: char) -> bool {
    (character.is_control() && !character.is_whitespace())
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200c}' | '\u{200e}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn parse_e164(text: &str) -> Option<String> {
    let digits: String = text
        .chars()
        .skip(1)
        .filter(|c| !" -".contains(*c))
        .collect();
    is_e164(&digits).then(|| format!("+{digits}"))
}

impl TryFrom<String> for Address {
    type Error = NotAnAddress;

    fn try_from(text: String) -> Result<Self, NotAnAddress> {
        text.parse()
    }
}

impl From<Phone> for Address {
    fn from(phone: Phone) -> Self {
        Self(phone.0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A country by its two-letter code, for numbers without a country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region(phonenumber::country::Id);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownRegion;

impl UnknownRegion {
    pub fn message(self) -> Message {
        t!("Use a two-letter country code such as US or DE")
    }
}

impl_error!(UnknownRegion);

impl Region {
    pub const US: Self = Self(phonenumber::country::US);

    fn calling_code(self) -> Option<u16> {
        DATABASE
            .by_id(self.0.as_ref())
            .map(|region| region.country_code())
    }
}

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        let letters = text.trim().to_ascii_uppercase();
        letters.parse().map(Self).map_err(|_| UnknownRegion)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref())
    }
}

/// E.164 allows at most 15 digits; no country has fewer than three with its calling code.
fn is_e164(digits: &str) -> bool {
    (3..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;

//! Phone numbers, and everything else that a text can come from.
//!
//! Text becomes a [`Phone`] or an [`Address`] once, at the door; behind it only E.164 is in use.

use std::fmt;
use std::str::FromStr;

use phonenumber::metadata::DATABASE;
use phonenumber::{Mode, Type};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A phone number in E.164: `+14155550192`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, ToSchema,
)]
#[schema(value_type = String, example = "+14155550192")]
#[serde(try_from = "String")]
#[sqlx(transparent)]
pub struct Phone(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    #[error("a phone number is needed")]
    Empty,
    #[error("this is not a phone number: write it like (415) 555-0192 or +49 30 901820")]
    NotANumber,
    #[error("there is no country with this calling code")]
    UnknownCountry,
    #[error("this number has too few digits: is the area code missing?")]
    TooShort,
    #[error("this number has too many digits")]
    TooLong,
    #[error("no phone number in this country looks like that")]
    Impossible,
}

/// The lengths of a country's numbers are told by kind.
const KINDS: [Type; 6] = [
    Type::FixedLine,
    Type::Mobile,
    Type::TollFree,
    Type::SharedCost,
    Type::PersonalNumber,
    Type::Voip,
];

impl Phone {
    /// Reads any common notation; one without a country code is taken as dialled in `region`.
    pub fn parse(text: &str, region: &Region) -> Result<Self, PhoneError> {
        let dialled = dialled_digits(text)?;
        let international = region.without_exit_code(&dialled).unwrap_or(dialled);
        // Told the region, the parser takes that region's trunk prefix off foreign numbers too.
        let assumed = (!international.starts_with('+')).then_some(region.0);
        let number = phonenumber::parse(assumed, &international).map_err(PhoneError::from)?;
        Self::checked(number.code().value(), &number.national().to_string())
    }

    /// Judges by shape and not by what is assigned, or every fictional 555-01xx would be refused.
    fn checked(country: u16, national: &str) -> Result<Self, PhoneError> {
        let regions = DATABASE.by_code(&country).unwrap_or_default();
        if regions.is_empty() {
            return Err(PhoneError::UnknownCountry);
        }
        let kinds = || {
            let kinds = regions
                .iter()
                .flat_map(|region| KINDS.map(|kind| region.descriptors().get(kind)));
            kinds.flatten()
        };
        let length = u16::try_from(national.len()).unwrap_or(u16::MAX);
        let lengths = || kinds().flat_map(|kind| kind.possible_length());
        if lengths().any(|&possible| possible == length)
            && regions
                .iter()
                .any(|region| region.descriptors().general().is_match(national))
        {
            return Ok(Self(format!("+{country}{national}")));
        }
        let is_local = kinds().any(|kind| kind.possible_local_length().contains(&length));
        Err(match lengths().max() {
            Some(&longest) if length > longest => PhoneError::TooLong,
            _ if is_local || lengths().all(|&possible| length < possible) => PhoneError::TooShort,
            _ => PhoneError::Impossible,
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As people in `region` write it: `(415) 555-0192` at home, `+1 415-555-0192` abroad.
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

/// Only E.164, as machines write it.
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

/// A stored address as people write it, whoever looks: North American numbers the way they do there, others with their
/// country code, short codes and names as they are.
pub fn display(stored: &str) -> String {
    stored.parse::<Address>().map_or_else(
        |_| stored.to_owned(),
        |address| address.display(&Region::US),
    )
}

/// Whether a stored address takes an answer.
pub fn is_answerable(stored: &str) -> bool {
    stored
        .parse::<Address>()
        .is_ok_and(|address| address.is_answerable())
}

/// Whether a stored address is one of the free numbers of North America, whose blocks the network keeps.
pub fn is_toll_free(stored: &str) -> bool {
    const AREAS: [&str; 7] = ["800", "833", "844", "855", "866", "877", "888"];
    stored
        .strip_prefix("+1")
        .is_some_and(|national| AREAS.iter().any(|area| national.starts_with(area)))
}

/// Where a text comes from or goes to: a phone number, a short code (`262966`), or a sender's name
/// (`ACME Dental`). Only a phone number can be answered.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, ToSchema,
)]
#[schema(value_type = String, example = "+14155550192")]
#[serde(try_from = "String")]
#[sqlx(transparent)]
pub struct Address(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither a phone number with its country code, nor a short code, nor a sender's name")]
pub struct NotAnAddress;

impl Address {
    const LONGEST_NAME: usize = 11;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn phone(&self) -> Option<Phone> {
        self.0.parse().ok()
    }

    /// Short codes of other networks and sender names take no answer.
    pub fn is_answerable(&self) -> bool {
        self.0.starts_with('+')
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
        let digits = text.strip_prefix('+').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let short = digits == text && (3..=8).contains(&digits.len());
            return match short {
                true => Ok(Self(digits.to_owned())),
                // Some networks leave out the plus.
                false if is_e164(digits) => Ok(Self(format!("+{digits}"))),
                false => Err(NotAnAddress),
            };
        }
        let is_name = text.chars().count() <= Self::LONGEST_NAME
            && text.chars().any(char::is_alphabetic)
            && !text.chars().any(char::is_control);
        match is_name {
            true => Ok(Self(text.to_owned())),
            false => Err(NotAnAddress),
        }
    }
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

/// A country by its two letters, for numbers written without a country code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region(phonenumber::country::Id);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use the two letters of a country, such as US or DE")]
pub struct UnknownRegion;

impl Region {
    pub const US: Self = Self(phonenumber::country::US);

    fn calling_code(self) -> Option<u16> {
        DATABASE
            .by_id(self.0.as_ref())
            .map(|region| region.country_code())
    }

    /// `+…` for what begins with the digits that one dials here to call abroad.
    fn without_exit_code(self, dialled: &str) -> Option<String> {
        let region = DATABASE.by_id(self.0.as_ref())?;
        let exit_code = region.international_prefix()?.find(dialled)?;
        (exit_code.start() == 0).then(|| format!("+{}", &dialled[exit_code.end()..]))
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

impl From<phonenumber::ParseError> for PhoneError {
    fn from(error: phonenumber::ParseError) -> Self {
        use phonenumber::ParseError::*;
        match error {
            InvalidCountryCode => Self::UnknownCountry,
            TooShortAfterIdd | TooShortNsn => Self::TooShort,
            TooLong => Self::TooLong,
            _ => Self::NotANumber,
        }
    }
}

/// E.164 allows fifteen digits; no country has numbers below three with its code.
fn is_e164(digits: &str) -> bool {
    (3..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digits, with a leading plus where there is one, freed of what people put between them.
fn dialled_digits(text: &str) -> Result<String, PhoneError> {
    let text = text.trim();
    let text = text.strip_prefix("tel:").unwrap_or(text);
    let mut digits = String::new();
    for character in text.chars() {
        match character {
            '+' | '＋' if digits.is_empty() => digits.push('+'),
            ' ' | '\u{a0}' | '\u{202f}' | '\t' | '-' | '.' | '/' | '(' | ')' | '[' | ']' => {}
            '\u{2010}'..='\u{2015}' => {}
            // Marks of writing direction, which come along when a number is pasted.
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' => {}
            _ => digits.push(ascii_digit(character).ok_or(PhoneError::NotANumber)?),
        }
    }
    match digits.trim_start_matches('+').len() {
        0 if text.is_empty() => Err(PhoneError::Empty),
        0 => Err(PhoneError::NotANumber),
        1..=4 => Err(PhoneError::TooShort),
        5..=20 => Ok(digits),
        _ => Err(PhoneError::TooLong),
    }
}

/// Also full-width, Arabic, Persian and Devanagari digits, as phones in those scripts paste them.
fn ascii_digit(character: char) -> Option<char> {
    let zero = ['0', '０', '٠', '۰', '०'].into_iter().find(|&zero| {
        (zero..=char::from_u32(zero as u32 + 9).unwrap_or(zero)).contains(&character)
    })?;
    char::from_digit(character as u32 - zero as u32, 10)
}

#[cfg(test)]
mod tests;

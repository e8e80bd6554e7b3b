//! Numbering plans: from dialled digits to the canonical international number.
//!
//! A valid number is never changed. A trunk prefix is removed only if the digits are invalid with it and valid without,
//! so Italy's leading zero stays. Countries in which a phone has two international forms are listed in [`one_form`].

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, OnceLock, PoisonError, RwLock};

use phonenumber::Type;
use phonenumber::metadata::{DATABASE, Metadata};
use regex::{Regex, RegexBuilder};

use super::{PhoneError, Region};

/// Number types of subscribers. The metadata lists possible lengths by type.
const KINDS: [Type; 6] = [
    Type::FixedLine,
    Type::Mobile,
    Type::TollFree,
    Type::SharedCost,
    Type::PersonalNumber,
    Type::Voip,
];

const MAX_DIGITS: usize = 15;

/// All countries with the same calling code.
struct Plan {
    code: u16,
    countries: Vec<Country>,
}

struct Country {
    meta: &'static Metadata,
    /// Matches a national number by its general pattern.
    general: Regex,
    /// Patterns of assigned numbers by type; compiled on first use.
    kinds: OnceLock<Vec<(Type, Regex)>>,
    lengths: Vec<u16>,
    /// Lengths without the area code.
    local_lengths: Vec<u16>,
    trunk: Option<Trunk>,
}

/// The prefix of national numbers dialled within the country.
struct Trunk {
    /// Includes an optional carrier code.
    prefix: Regex,
    /// Its replacement, if it is not just removed: Argentina's 15 becomes a 9.
    replacement: Option<String>,
    /// The prefix without a carrier, for digits that only look like one.
    plain: Option<&'static str>,
}

/// The canonical number for digits after a plus or an exit code.
pub fn international(digits: &str) -> Result<String, PhoneError> {
    let (plan, national) = split(digits).ok_or(PhoneError::UnknownCountry)?;
    let national = plan.without_trunk(national)?;
    Ok(format!("+{}{national}", plan.code))
}

/// The same for an address from a provider: returned unchanged if no plan matches.
pub fn canonical(e164: &str) -> String {
    let digits = e164.trim_start_matches('+');
    // Fast path: most addresses are North American and have a single form.
    if digits.len() == 11 && digits.starts_with('1') && !digits[1..].starts_with(['0', '1']) {
        return e164.to_owned();
    }
    international(digits).unwrap_or_else(|_| e164.to_owned())
}

/// Whether the number is in an assigned range, not only of the general pattern.
pub fn is_assigned(e164: &str) -> bool {
    split(e164.trim_start_matches('+')).is_some_and(|(plan, national)| {
        plan.countries
            .iter()
            .any(|country| country.has(national, None))
    })
}

pub fn national_digits(e164: &str) -> usize {
    split(e164.trim_start_matches('+')).map_or(0, |(_, national)| national.len())
}

/// The canonical number for digits dialled in `region`, with or without trunk prefix or exit code.
pub fn dialled(digits: &str, region: Region) -> Result<String, PhoneError> {
    let plan = region
        .calling_code()
        .and_then(plan)
        .ok_or(PhoneError::UnknownCountry)?;
    let abroad = after_exit_code(digits, region, plan.code);
    if let Some(Ok(number)) = abroad {
        return Ok(number);
    }
    let at_home = plan.at_home(digits, region);
    if at_home
        .as_ref()
        .is_ok_and(|national| national == digits && !plan.is_mobile(national))
        && is_mobile_abroad(digits, plan.code)
    {
        return Err(PhoneError::Abroad);
    }
    // An international number whose plus was lost, as in a spreadsheet.
    let without_plus = || {
        let rest = digits.strip_prefix(&plan.code.to_string())?;
        plan.without_trunk(rest).ok()
    };
    let national = match (at_home, without_plus()) {
        (Ok(at_home), Some(other)) if at_home == other => at_home,
        (Ok(at_home), Some(other)) => match plan.likelihood(&other).cmp(&plan.likelihood(&at_home))
        {
            Ordering::Greater => other,
            Ordering::Less => at_home,
            Ordering::Equal => return Err(PhoneError::Abroad),
        },
        (Ok(at_home), None) => at_home,
        (Err(_), Some(other)) => other,
        (Err(wrong), None) => {
            // 00 is also accepted where the exit code differs.
            let generic = digits.strip_prefix("00").map(international);
            return match (generic, abroad) {
                (Some(Ok(number)), _) => Ok(number),
                (_, Some(Err(wrong))) if wrong != PhoneError::UnknownCountry => Err(wrong),
                _ => Err(wrong),
            };
        }
    };
    Ok(format!("+{}{national}", plan.code))
}

fn is_mobile_abroad(digits: &str, home: u16) -> bool {
    split(digits).is_some_and(|(plan, national)| plan.code != home && plan.is_mobile(national))
}

fn after_exit_code(digits: &str, region: Region, home: u16) -> Option<Result<String, PhoneError>> {
    // In Brazil a carrier code may follow the exit code, and could equal Brazil's own country code.
    let own = digits
        .strip_prefix("00")
        .filter(|rest| rest.starts_with(&home.to_string()))
        .map(international);
    if let Some(Ok(_)) = own {
        return own;
    }
    without_exit_code(digits, region).map(international)
}

/// The digits after the exit code of `region`; `None` without one.
pub fn without_exit_code(digits: &str, region: Region) -> Option<&str> {
    let exit_code = DATABASE
        .by_id(region.0.as_ref())?
        .international_prefix()?
        .find(digits)?;
    (exit_code.start() == 0).then(|| &digits[exit_code.end()..])
}

/// Removes the trunk prefix from incomplete numbers, such as area codes.
pub fn without_trunk_prefix(digits: &str, region: Region) -> &str {
    let trunk = DATABASE
        .by_id(region.0.as_ref())
        .and_then(Metadata::national_prefix);
    trunk
        .and_then(|trunk| digits.strip_prefix(trunk))
        .unwrap_or(digits)
}

fn split(digits: &str) -> Option<(Arc<Plan>, &str)> {
    // Calling codes are prefix-free.
    (1..=3)
        .filter_map(|length| digits.get(..length))
        .filter(|code| !code.starts_with('0'))
        .find_map(|code| Some((plan(code.parse().ok()?)?, &digits[code.len()..])))
}

/// A plan, compiled on first use and cached.
fn plan(code: u16) -> Option<Arc<Plan>> {
    static PLANS: LazyLock<RwLock<HashMap<u16, Arc<Plan>>>> = LazyLock::new(RwLock::default);
    let known = PLANS.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(plan) = known.get(&code) {
        return Some(Arc::clone(plan));
    }
    drop(known);
    let countries: Vec<_> = DATABASE
        .by_code(&code)?
        .into_iter()
        .filter_map(Country::read)
        .collect();
    if countries.is_empty() {
        return None;
    }
    let plan = Arc::new(Plan { code, countries });
    PLANS
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(code, Arc::clone(&plan));
    Some(plan)
}

impl Plan {
    /// By general pattern, not by assigned ranges, which exclude the fictional 555-01xx.
    fn has(&self, national: &str) -> bool {
        let length = length(national);
        // Argentina's mobile 9 must be followed by an area code.
        let is_argentine = |national: &str| {
            ["911", "92", "93"]
                .iter()
                .any(|area| national.starts_with(area))
        };
        if self.code == 54 && national.starts_with('9') && !is_argentine(national) {
            return false;
        }
        self.code.to_string().len() + national.len() <= MAX_DIGITS
            && self
                .countries
                .iter()
                .any(|country| country.lengths.contains(&length))
            && self
                .countries
                .iter()
                .any(|country| country.general.is_match(national))
    }

    /// The national number for digits after a country code, where many users leave the trunk prefix in.
    fn without_trunk(&self, written: &str) -> Result<String, PhoneError> {
        let as_it_is = one_form(self.code, written);
        if self.has(&as_it_is) {
            return Ok(as_it_is);
        }
        let trunks = self.countries.iter().filter_map(|c| c.trunk.as_ref());
        // Argentina's 15 after the 9 that replaces it.
        let argentine = written.strip_prefix('9').filter(|_| self.code == 54);
        trunks
            .flat_map(|trunk| {
                let readings = [Some(written), argentine].into_iter().flatten();
                readings.flat_map(|digits| trunk.strip(digits))
            })
            // Never adds an area code.
            .filter(|national| national.len() <= written.len())
            .map(|national| one_form(self.code, &national))
            .find(|national| self.has(national))
            .ok_or_else(|| self.wrong(&as_it_is))
    }

    fn at_home(&self, dialled: &str, region: Region) -> Result<String, PhoneError> {
        let here = |country: &&Country| country.meta.id() == region.0.as_ref();
        let trunk = self
            .countries
            .iter()
            .find(here)
            .and_then(|country| country.trunk.as_ref());
        let stripped = trunk.into_iter().flat_map(|trunk| trunk.strip(dialled));
        let stripped: Vec<_> = stripped
            .map(|national| one_form(self.code, &national))
            .collect();
        let as_it_is = one_form(self.code, dialled);
        let mut readings = stripped.iter().chain([&as_it_is]);
        match readings.find(|national| self.has(national)) {
            Some(national) => Ok(national.clone()),
            None => Err(self.wrong(stripped.first().unwrap_or(&as_it_is))),
        }
    }

    /// Ranks two readings of the same digits: an assigned number first, then a mobile number.
    fn likelihood(&self, national: &str) -> (bool, bool) {
        let mut countries = self.countries.iter();
        let is_assigned = countries.any(|country| country.has(national, None));
        (is_assigned, self.is_mobile(national))
    }

    fn is_mobile(&self, national: &str) -> bool {
        let mut countries = self.countries.iter();
        countries.any(|country| country.has(national, Some(Type::Mobile)))
    }

    fn wrong(&self, national: &str) -> PhoneError {
        let length = length(national);
        let lengths = || self.countries.iter().flat_map(|c| &c.lengths);
        let is_local = self
            .countries
            .iter()
            .any(|country| country.local_lengths.contains(&length));
        match lengths().max() {
            Some(&longest) if length > longest => PhoneError::TooLong,
            _ if is_local || lengths().all(|&possible| length < possible) => PhoneError::TooShort,
            _ => PhoneError::Impossible,
        }
    }
}

impl Country {
    fn read(meta: &'static Metadata) -> Option<Self> {
        let kinds = || {
            KINDS
                .iter()
                .filter_map(|kind| meta.descriptors().get(*kind))
        };
        let trunk = meta
            .national_prefix_for_parsing()
            .map(|prefix| prefix.as_str());
        let trunk = trunk
            .or(meta.national_prefix())
            .and_then(|prefix| compiled(prefix, false));
        Some(Self {
            meta,
            general: compiled(
                meta.descriptors().general().national_number().as_str(),
                true,
            )?,
            kinds: OnceLock::new(),
            lengths: kinds()
                .flat_map(|kind| kind.possible_length().to_vec())
                .collect(),
            local_lengths: kinds()
                .flat_map(|kind| kind.possible_local_length().to_vec())
                .collect(),
            trunk: trunk.map(|prefix| Trunk {
                prefix,
                replacement: meta.national_prefix_transform_rule().map(str::to_owned),
                plain: meta.national_prefix(),
            }),
        })
    }

    /// Whether the number is assigned in this country, as `kind` or any type.
    fn has(&self, national: &str, kind: Option<Type>) -> bool {
        let kinds = self.kinds.get_or_init(|| {
            let patterns = KINDS.iter().filter_map(|kind| {
                let pattern = self.meta.descriptors().get(*kind)?.national_number();
                Some((*kind, compiled(pattern.as_str(), true)?))
            });
            patterns.collect()
        });
        kinds.iter().any(|(one, pattern)| {
            kind.is_none_or(|kind| kind == *one) && pattern.is_match(national)
        })
    }
}

impl Trunk {
    /// The possible national numbers after removing a trunk prefix; none without one.
    fn strip(&self, digits: &str) -> impl Iterator<Item = String> {
        let with_carrier = self.prefix.captures(digits).map(|found| {
            let behind = found.get(0).map_or(0, |all| all.end());
            let has_group = found.len() > 1 && found.get(found.len() - 1).is_some();
            let mut national = String::new();
            if let (true, Some(replacement)) = (has_group, &self.replacement) {
                found.expand(replacement, &mut national);
            }
            national.push_str(&digits[behind..]);
            national
        });
        let alone = self.plain.and_then(|plain| digits.strip_prefix(plain));
        with_carrier.into_iter().chain(alone.map(str::to_owned))
    }
}

fn compiled(pattern: &str, to_end: bool) -> Option<Regex> {
    let end = if to_end { "$" } else { "" };
    RegexBuilder::new(&format!("^(?:{pattern}){end}"))
        .ignore_whitespace(true)
        .unicode(false)
        .build()
        .ok()
}

/// The canonical form where a phone has two national forms:
///
/// - Mexico (+52): no 1 for mobiles, 044, 045, 01 or 02 since 2019. Ten digits.
/// - Argentina (+54): mobiles have a 9 in international form, often omitted (or written as 15). Fixed lines and mobiles
///   share one plan, so the subscriber is the same with the 9; and only mobiles can be texted.
/// - Brazil (+55): mobiles got a ninth digit, a 9, by 2016, except trunked radio (70, 77, 78, 79).
/// - Chile (+56): mobiles were dialled with 09 before eight digits; the 9 became part of the number.
/// - Benin (+229): all numbers begin with 01 since 2024.
fn one_form(code: u16, national: &str) -> String {
    let bytes = national.as_bytes();
    match (code, national.len()) {
        (52, 11) if bytes[0] == b'1' => national[1..].to_owned(),
        (52, 13) if national.starts_with("044") || national.starts_with("045") => {
            national[3..].to_owned()
        }
        (52, 12) if national.starts_with("01") || national.starts_with("02") => {
            national[2..].to_owned()
        }
        (54, 10) if national.starts_with("11") || matches!(bytes[0], b'2' | b'3') => {
            format!("9{national}")
        }
        (56, 10) if national.starts_with("09") => national[1..].to_owned(),
        (55, 10) if is_old_brazilian_mobile(bytes) => {
            format!("{}9{}", &national[..2], &national[2..])
        }
        (229, 8) => format!("01{national}"),
        _ => national.to_owned(),
    }
}

fn is_old_brazilian_mobile(national: &[u8]) -> bool {
    let is_trunked_radio = matches!(national[2..4], [b'7', b'0' | b'7' | b'8' | b'9']);
    national[0] != b'0'
        && national[1] != b'0'
        && (b'6'..=b'9').contains(&national[2])
        && !is_trunked_radio
}

fn length(national: &str) -> u16 {
    u16::try_from(national.len()).unwrap_or(u16::MAX)
}

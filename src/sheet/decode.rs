//! Encoding detection and decoding.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    Encoding, MACINTOSH, REPLACEMENT, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252,
    X_USER_DEFINED,
};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::SheetError;
use crate::language::{Message, t};

/// The encodings offered to users, with their typical use.
pub static CHOICES: [(&str, Message); 24] = [
    ("UTF-8", t!("Unicode")),
    ("UTF-16LE", t!("Unicode (Excel’s “Unicode text”)")),
    ("UTF-16BE", t!("Unicode (big-endian)")),
    ("windows-1252", t!("Western Europe, Americas")),
    ("macintosh", t!("Western Europe (old Mac)")),
    ("windows-1250", t!("Central Europe")),
    ("ISO-8859-2", t!("Central Europe (ISO)")),
    ("windows-1251", t!("Cyrillic")),
    ("KOI8-R", t!("Russian (KOI8)")),
    ("IBM866", t!("Russian (DOS)")),
    ("windows-1253", t!("Greek")),
    ("windows-1254", t!("Turkish")),
    ("windows-1255", t!("Hebrew")),
    ("windows-1256", t!("Arabic")),
    ("windows-1257", t!("Baltic")),
    ("windows-1258", t!("Vietnamese")),
    ("windows-874", t!("Thai")),
    ("Shift_JIS", t!("Japanese")),
    ("EUC-JP", t!("Japanese (EUC)")),
    ("ISO-2022-JP", t!("Japanese (email)")),
    ("GBK", t!("Chinese (Simplified)")),
    ("gb18030", t!("Chinese (all)")),
    ("Big5", t!("Chinese (Traditional)")),
    ("EUC-KR", t!("Korean")),
];

/// Decoded text, normalized to NFC like all text in the database.
pub struct Decoded {
    pub text: String,
    pub encoding: &'static str,
    /// Lines with undecodable bytes, and the number of such places.
    pub bad: Vec<u64>,
    pub bad_places: usize,
}

/// The encoding with this label of the Encoding standard: `shift-jis`, `latin1`, `cp1250`.
pub fn named(name: &str) -> Option<&'static Encoding> {
    Encoding::for_label(name.trim().as_bytes())
        .filter(|encoding| *encoding != REPLACEMENT && *encoding != X_USER_DEFINED)
}

/// Decodes as `chosen`, else by the byte-order mark, else by detection. `region` helps with short files.
pub fn decode(
    file: &[u8],
    chosen: Option<&'static Encoding>,
    region: Option<&str>,
) -> Result<Decoded, SheetError> {
    refuse_other_formats(file)?;
    let encoding = chosen
        .or_else(|| Encoding::for_bom(file).map(|(encoding, _)| encoding))
        .unwrap_or_else(|| guess(file, region));
    let (text, _) = encoding.decode_with_bom_removal(file);
    // Binary data, not a table.
    if text.contains('\0') {
        return Err(SheetError::NoTable);
    }
    let (bad, bad_places) = unreadable(&text, file, encoding);
    let letters = text.chars().filter(|c| !c.is_whitespace()).count();
    if bad_places > 20 && bad_places * 4 > letters && chosen.is_none() {
        return Err(SheetError::NoTable);
    }
    Ok(Decoded {
        text: match is_nfc(&text) {
            true => text.into_owned(),
            false => text.nfc().collect(),
        },
        encoding: encoding.name(),
        bad,
        bad_places,
    })
}

fn refuse_other_formats(file: &[u8]) -> Result<(), SheetError> {
    let is_workbook = file.starts_with(b"PK\x03\x04") || file.starts_with(b"\xd0\xcf\x11\xe0");
    if is_workbook {
        return Err(SheetError::Workbook);
    }
    let start = file.trim_ascii_start();
    let is_other = [&b"%PDF"[..], b"<!DOCTYPE", b"<html", b"<?xml", b"{\\rtf"]
        .iter()
        .any(|sign| start.len() >= sign.len() && start[..sign.len()].eq_ignore_ascii_case(sign));
    match is_other {
        true => Err(SheetError::NoTable),
        false => Ok(()),
    }
}

/// Lines with replacement characters, without those that the file itself contains.
fn unreadable(text: &str, file: &[u8], encoding: &'static Encoding) -> (Vec<u64>, usize) {
    const MARK: char = '\u{fffd}';
    let own = match encoding == UTF_8 {
        true => file
            .windows(3)
            .filter(|three| three == b"\xef\xbf\xbd")
            .count(),
        false => 0,
    };
    let places = text.matches(MARK).count().saturating_sub(own);
    if places == 0 {
        return (Vec::new(), 0);
    }
    let (mut line, mut lines, mut before) = (1, Vec::new(), ' ');
    for character in text.chars() {
        match character {
            '\r' => line += 1,
            '\n' if before != '\r' => line += 1,
            MARK if lines.last() != Some(&line) => lines.push(line),
            _ => {}
        }
        before = character;
    }
    (lines, places)
}

fn guess(file: &[u8], region: Option<&str>) -> &'static Encoding {
    if let Some(wide) = utf16(file) {
        return wide;
    }
    if is_mostly_utf8(file) {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(file, true);
    let guess = detector.guess(None, Utf8Detection::Deny);
    let domain = region.map(|region| match region.to_ascii_lowercase().as_str() {
        "gb" => "uk".to_owned(),
        other => other.to_owned(),
    });
    // The country's usual encoding only counts if it gives more plausible words: names may be foreign.
    let regional = domain
        .filter(|domain| domain.bytes().all(|byte| byte.is_ascii_lowercase()))
        .map_or(guess, |domain| {
            detector.guess(Some(domain.as_bytes()), Utf8Detection::Deny)
        });
    let sample = &file[..file.len().min(SAMPLE)];
    // Few Japanese characters are not enough for the detector.
    if implausibility(guess, sample) > 0 && is_japanese(sample) {
        return SHIFT_JIS;
    }
    match regional != guess && implausibility(regional, sample) < implausibility(guess, sample) {
        true => prefer_macintosh(regional, sample),
        false => prefer_macintosh(guess, sample),
    }
}

/// Bytes that are checked for plausible words.
const SAMPLE: usize = 262_144;

fn implausibility(encoding: &'static Encoding, sample: &[u8]) -> usize {
    odd_letters(&encoding.decode_without_bom_handling(sample).0)
}

/// In UTF-16 ASCII characters have a zero byte; other text has no zeros.
fn utf16(file: &[u8]) -> Option<&'static Encoding> {
    let sample = &file[..file.len().min(65_536) & !1];
    let zeros = |from: usize| {
        let every_other = sample.iter().skip(from).step_by(2);
        every_other.filter(|byte| **byte == 0).count()
    };
    let (even, odd) = (zeros(0), zeros(1));
    if sample.len() < 4 || even + odd < sample.len() / 40 + 1 {
        return None;
    }
    let encoding = match odd > even {
        true => UTF_16LE,
        false => UTF_16BE,
    };
    let (text, is_broken) = encoding.decode_without_bom_handling(sample);
    let is_cut = sample.len() < file.len(); // possibly within a surrogate pair
    ((!is_broken || is_cut) && !text.contains('\0')).then_some(encoding)
}

/// Other encodings are rarely valid UTF-8 by chance, so this only requires as many valid sequences as invalid ones.
fn is_mostly_utf8(file: &[u8]) -> bool {
    let (mut good, mut bad, mut rest) = (0_usize, 0_usize, file);
    loop {
        let wide = |bytes: &[u8]| bytes.iter().filter(|byte| **byte >= 0xc0).count();
        match std::str::from_utf8(rest) {
            Ok(_) if bad == 0 => return true,
            Ok(text) => {
                good += wide(text.as_bytes());
                return good > 0 && good >= bad;
            }
            Err(error) => {
                let (valid, after) = rest.split_at(error.valid_up_to());
                good += wide(valid);
                bad += 1;
                let skipped = error.error_len().unwrap_or(after.len());
                rest = &after[skipped..];
            }
        }
    }
}

fn is_japanese(sample: &[u8]) -> bool {
    let (text, is_broken) = SHIFT_JIS.decode_without_bom_handling(sample);
    let is_narrow_kana = |c: char| matches!(c, '\u{ff61}'..='\u{ff9f}');
    !is_broken && !text.contains(is_narrow_kana) && odd_letters(&text) == 0
}

/// Excel for Mac saves as Mac Roman, which the detector does not know. Chosen if it gives more plausible words than
/// `guess`.
fn prefer_macintosh(guess: &'static Encoding, sample: &[u8]) -> &'static Encoding {
    let high = sample.iter().filter(|byte| **byte >= 0x80).count();
    let runs = sample
        .windows(2)
        .filter(|two| two[0] >= 0x80 && two[1] >= 0x80)
        .count();
    if high == 0 || runs * 5 > high {
        return guess; // accented letters are single in Western words, and adjacent in other scripts
    }
    let (mac, guessed) = (
        implausibility(MACINTOSH, sample),
        implausibility(guess, sample),
    );
    let has_mac_line_ends = sample.contains(&b'\r') && !sample.contains(&b'\n');
    match mac * 10 <= high && (mac < guessed || (has_mac_line_ends && mac <= guessed)) {
        true => MACINTOSH,
        false if guessed * 2 > high && implausibility(WINDOWS_1252, sample) == 0 => WINDOWS_1252,
        false => guess,
    }
}

/// Implausible letters: capitals after small letters, symbols inside of words, two scripts in one word.
fn odd_letters(text: &str) -> usize {
    let characters: Vec<char> = text.chars().collect();
    let at = |place: Option<usize>| {
        place
            .and_then(|place| characters.get(place))
            .copied()
            .unwrap_or(' ')
    };
    let mut odd = 0;
    for (place, &c) in characters.iter().enumerate() {
        if c.is_ascii() {
            continue;
        }
        let (before, after) = (at(place.checked_sub(1)), at(place.checked_add(1)));
        // Only checked against Western letters.
        let is_western = |c: char| c.is_ascii_alphabetic() || matches!(c, '\u{c0}'..='\u{24f}');
        let beside_letter = is_western(before) || is_western(after);
        let is_latin =
            matches!(c, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}') && c.is_alphabetic();
        let is_mark = matches!(
            c,
            '’' | '‘' | '“' | '”' | '«' | '»' | '\u{a0}' | '…' | '·' | '•'
        );
        let is_dash = matches!(c, '–' | '—');
        odd += usize::from(match c {
            _ if c.is_control() || c == '\u{fffd}' => true,
            _ if is_mark => false,
            _ if is_dash => is_western(before) && is_western(after),
            _ if is_latin && c.is_uppercase() => {
                before.is_lowercase() || (before.is_alphabetic() && after.is_lowercase())
            }
            _ if is_latin => false,
            _ => beside_letter,
        });
    }
    odd
}

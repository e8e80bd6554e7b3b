//! Extracts the digits of a phone number from free text.
//!
//! One wrong digit is another subscriber's number. So decimals, extensions and the like are removed only if they are
//! unambiguous; ambiguous input is rejected with a reason.

use unicode_normalization::UnicodeNormalization;

use super::PhoneError;

/// The digits, with a leading plus if there was one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub digits: String,
    pub other: Other,
    pub before_slash: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Other {
    None,
    /// Equally likely: ambiguous if both are valid numbers.
    Alternative(String),
    /// Used if the first reading is invalid.
    Fallback(String),
}

const LENGTH_LIMIT: usize = 200;
const MAX_DIGITS: usize = 20;
const MAX_EXTENSION_LENGTH: usize = 6;

/// Labels of phone numbers. Any other word could be vanity digits: 1-800-FLOWERS.
const LABELS: &[&str] = &[
    // English
    "tel",
    "telephone",
    "phone",
    "phonenumber",
    "number",
    "no",
    "nr",
    "ph",
    "mobile",
    "mob",
    "mbl",
    "cell",
    "cellphone",
    "cellular",
    "home",
    "work",
    "office",
    "business",
    "company",
    "direct",
    "main",
    "other",
    "personal",
    "private",
    "primary",
    "preferred",
    "sms",
    "text",
    "texts",
    "call",
    "landline",
    "whatsapp",
    "fax",
    "iphone",
    "dial",
    "ext",
    "t",
    "p",
    "m",
    "c",
    "h",
    "w",
    "o",
    "x",
    // German, Dutch, Scandinavian
    "telefon",
    "telefonnummer",
    "fon",
    "mobil",
    "mobiltelefon",
    "mobilnummer",
    "handy",
    "handynummer",
    "privat",
    "dienstlich",
    "geschäftlich",
    "festnetz",
    "zentrale",
    "nummer",
    "mobiel",
    "telefoon",
    "gsm",
    "thuis",
    "werk",
    "tlf",
    "tfn",
    "puhelin",
    // French, Spanish, Portuguese, Italian
    "téléphone",
    "telephone",
    "tél",
    "téléphones",
    "portable",
    "domicile",
    "bureau",
    "fixe",
    "teléfono",
    "telefono",
    "móvil",
    "movil",
    "celular",
    "cel",
    "casa",
    "trabajo",
    "oficina",
    "fijo",
    "particular",
    "telefone",
    "telemóvel",
    "telemovel",
    "trabalho",
    "escritório",
    "recado",
    "cellulare",
    "ufficio",
    "fisso",
    "número",
    "numero",
    "núm",
    "num",
    "principal",
    // Polish, Czech, Russian, Turkish
    "komórka",
    "komórkowy",
    "kom",
    "domowy",
    "praca",
    "telefón",
    "тел",
    "телефон",
    "моб",
    "мобильный",
    "сот",
    "сотовый",
    "дом",
    "домашний",
    "рабочий",
    "раб",
    "cep",
];

const EXTENSIONS: &[&str] = &[
    "x",
    "ext",
    "extn",
    "extension",
    "extensión",
    "dw",
    "durchwahl",
    "poste",
    "int",
    "interno",
    "anexo",
    "ramal",
    "toestel",
    "доб",
    "wewn",
    "linka",
];

pub fn read(text: &str) -> Result<Written, PhoneError> {
    if text.len() > LENGTH_LIMIT {
        return Err(PhoneError::NotANumber);
    }
    let text = plain(text)?;
    let text = without_label(unquoted(&text));
    if text.is_empty() {
        return Err(PhoneError::Empty);
    }
    let (text, word) = without_remark(text)?;
    if is_scientific(text) {
        return Err(PhoneError::Shortened);
    }
    let text = without_extension(text);
    let Decimals {
        digits: text,
        other,
    } = without_decimals(text)?;
    let digits = dialled(text)?;
    if has_invalid_country_code(text) {
        return Err(PhoneError::UnknownCountry);
    }
    let with_word = || Some(format!("{digits}{}", on_keypad(word?)));
    let other = match other
        .and_then(|other| dialled(other).ok())
        .or_else(with_word)
    {
        Some(other) => Other::Alternative(other),
        // A zero in brackets is not dialled from abroad.
        None => match dialled(&text.replacen("(0)", "", 1)) {
            Ok(without_zero) if without_zero != digits => Other::Fallback(without_zero),
            _ => Other::None,
        },
    };
    let before_slash = match text.matches('/').count() {
        1 => text
            .split_once('/')
            .and_then(|(before, _)| dialled(before).ok()),
        _ => None,
    };
    Ok(Written {
        digits,
        other,
        before_slash,
    })
}

/// Normalizes look-alike characters, and removes invisible ones.
fn plain(text: &str) -> Result<String, PhoneError> {
    let mut plain = String::with_capacity(text.len());
    for character in text.trim().nfc() {
        plain.push(match character {
            // Direction marks and joiners, which are pasted along with numbers.
            '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' => continue,
            '☎' | '☏' | '✆' | '℡' | '📞' | '📱' | '📲' | '🤳' => ' ',
            // Two lines hold two numbers.
            '\n' | '\r' | '\u{2028}' | '\u{2029}' => return Err(PhoneError::Several),
            character if character.is_control() && character != '\t' => {
                return Err(PhoneError::NotANumber);
            }
            character if character.is_whitespace() => ' ',
            '\u{2010}'..='\u{2015}'
            | '\u{2043}'
            | '\u{2212}'
            | '\u{fe58}'
            | '\u{fe63}'
            | '－'
            | 'ー' => '-',
            '·' | '•' | '∙' | '‧' | '・' => ' ',
            '．' | '。' => '.',
            '，' | '٫' | '‚' => ',',
            '／' | '⁄' | '∕' => '/',
            '（' | '［' | '[' => '(',
            '）' | '］' | ']' => ')',
            '＋' | '﹢' | '➕' => '+',
            '：' => ':',
            '；' => ';',
            '＝' => '=',
            '＃' => '#',
            '“' | '”' | '„' | '‟' | '«' | '»' | '＂' | '‘' | '’' | '‛' | '′' | '`' | '´' | '\'' => {
                '"'
            }
            character => ascii_digit(character).unwrap_or(character),
        });
    }
    Ok(plain)
}

/// ASCII digits, and full-width, Arabic, Persian and Devanagari ones.
pub fn ascii_digit(character: char) -> Option<char> {
    let zero = ['0', '０', '٠', '۰', '०'].into_iter().find(|&zero| {
        (zero..=char::from_u32(zero as u32 + 9).unwrap_or(zero)).contains(&character)
    })?;
    char::from_digit(character as u32 - zero as u32, 10)
}

/// Removes spreadsheet guards: `="4155550142"`, `'+1…`.
fn unquoted(text: &str) -> &str {
    let quotes = |character: char| matches!(character, '"' | '<' | '>' | ' ' | '\t');
    text.trim_matches(quotes)
        .trim_start_matches('=')
        .trim_matches(quotes)
        .trim_end_matches([',', ';', '.', ' '])
}

/// Removes labels: `Tel.: …`, `Mobile …`, `(work) …`, `Phone 2: …`, `tel:…`
fn without_label(text: &str) -> &str {
    let mut text = text;
    if let Some((label, number)) = text.split_once(':') {
        let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
        let is_label =
            label.chars().any(char::is_alphabetic) && digits(label) <= 2 && !label.contains('+');
        if is_label && digits(number) > 4 {
            // Also `tel://`. `sip:` addresses are rejected later.
            text = number.trim_start_matches(['/', ' ', '\t', '"']);
        }
    }
    let start = match text.strip_prefix('(').and_then(|text| text.find(')')) {
        Some(end) if is_remark(&text[..end + 2]) => end + 2,
        _ => {
            let end = text
                .find(|c: char| c.is_ascii_digit() || c == '+' || c == '(')
                .unwrap_or(text.len());
            match is_remark(&text[..end]) {
                true => end,
                false => 0,
            }
        }
    };
    text[start..].trim_start_matches([' ', '\t', ':', '.', '-', '"'])
}

/// Removes a remark after the number: `… (mobile)`, `… cell`. Also returns a word in capitals, which may be vanity
/// digits.
fn without_remark(text: &str) -> Result<(&str, Option<&str>), PhoneError> {
    let end = text
        .rfind(|c: char| c.is_ascii_digit())
        .ok_or(PhoneError::NotANumber)?;
    let (number, remark) = text.split_at(end + 1);
    if !remark.chars().any(char::is_alphabetic) {
        return Ok((text.trim_end_matches(['"', ' ', '\t', ';', ',']), None));
    }
    // In `(ext. 12)` and `(0)30` the bracket belongs to the number.
    let remark = match number.rfind('(') > number.rfind(')') {
        true => remark.trim_start().strip_prefix(')').unwrap_or(remark),
        false => remark,
    };
    let word = remark.trim_matches([' ', '\t', '-', '.']);
    let is_on_keypad = word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    match is_remark(remark) {
        true => Ok((number, is_on_keypad.then_some(word))),
        false => Err(PhoneError::NotANumber),
    }
}

fn on_keypad(word: &str) -> String {
    let key = |letter: u8| match letter {
        b'A'..=b'C' => '2',
        b'D'..=b'F' => '3',
        b'G'..=b'I' => '4',
        b'J'..=b'L' => '5',
        b'M'..=b'O' => '6',
        b'P'..=b'S' => '7',
        b'T'..=b'V' => '8',
        _ => '9',
    };
    word.bytes().map(key).collect()
}

/// Whether `text` only labels a number. In brackets any word that is not in capitals is accepted.
fn is_remark(text: &str) -> bool {
    let text = text.trim();
    let is_part = |c: char| c.is_alphabetic() || c.is_whitespace() || ".:-()/&,\"".contains(c);
    if !text.chars().all(is_part) {
        return false;
    }
    let is_name = |word: &str| LABELS.contains(&word.to_lowercase().as_str());
    let mut words = text
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty());
    if words.clone().all(is_name) {
        return true;
    }
    let is_bracketed = text.starts_with('(') && text.ends_with(')');
    is_bracketed && words.all(|word| is_name(word) || word.chars().any(char::is_lowercase))
}

/// `4.47911E+11`: the last digits are lost.
fn is_scientific(text: &str) -> bool {
    let text: String = text.chars().filter(|c| !matches!(c, ' ' | '\t')).collect();
    let Some((figure, power)) = text.split_once(['e', 'E']) else {
        return false;
    };
    let is_number = |text: &str, point: bool| {
        text.bytes().any(|byte| byte.is_ascii_digit())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (point && matches!(byte, b'.' | b',')))
    };
    is_number(figure.trim_start_matches(['+', '-']), true)
        && is_number(power.trim_start_matches(['+', '-']), false)
}

/// Removes an extension, which cannot be texted: `x12`, `ext. 12`, `#12`, `;ext=12`.
fn without_extension(text: &str) -> &str {
    let body = text.trim_end_matches([')', ' ']);
    let digits = body.len() - body.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    if !(1..=MAX_EXTENSION_LENGTH).contains(&digits) {
        return text;
    }
    let before = body[..body.len() - digits].trim_end_matches([' ', '\t', '.', ':', '=', '-', '(']);
    let marked = match before
        .strip_suffix('#')
        .or_else(|| before.strip_suffix(",,"))
    {
        Some(number) => number,
        None => {
            let number = before.trim_end_matches(char::is_alphabetic);
            match EXTENSIONS.contains(&before[number.len()..].to_lowercase().as_str()) {
                true => number,
                false => return text,
            }
        }
    };
    let number = marked.trim_end_matches([' ', '\t', ',', ';', '.', '-', '(', '/']);
    match number.bytes().any(|byte| byte.is_ascii_digit()) {
        true => number,
        false => text,
    }
}

/// `+8 (495) …`: no country code is 8, and 84 would be a different country.
fn has_invalid_country_code(text: &str) -> bool {
    let mut rest = text
        .trim_start()
        .strip_prefix('+')
        .unwrap_or_default()
        .chars();
    let is_alone = |first: char| matches!(first, '0' | '2'..='6' | '8' | '9');
    rest.next().is_some_and(is_alone) && rest.next().is_some_and(|second| !second.is_ascii_digit())
}

struct Decimals<'a> {
    digits: &'a str,
    /// The reading in which the decimals are digits.
    other: Option<&'a str>,
}

/// `4155550142.0` is the number 4155550142; `415.555.0142` has dots as separators.
fn without_decimals(text: &str) -> Result<Decimals<'_>, PhoneError> {
    let unambiguous = |digits| {
        Ok(Decimals {
            digits,
            other: None,
        })
    };
    let ambiguous = |figure| {
        Ok(Decimals {
            digits: text,
            other: Some(figure),
        })
    };
    let is_mark = |c: char| matches!(c, '.' | ',');
    let Some(at) = text.rfind(is_mark) else {
        return unambiguous(text);
    };
    let (head, tail) = (text[..at].trim_end(), text[at + 1..].trim());
    let mark = text[at..].chars().next();
    let is_figure = |text: &str| {
        let digits = text.trim_start_matches('+');
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_whole = !tail.is_empty() && tail.bytes().all(|byte| byte == b'0');
    let other_marks: Vec<char> = head.chars().filter(|&c| is_mark(c)).collect();
    if text.contains(',') {
        let of_one_kind = other_marks.windows(2).all(|two| two[0] == two[1]);
        return match other_marks.first() {
            None if is_whole && tail.len() <= 2 => unambiguous(head),
            // 4,155,550,142.00
            Some(&other)
                if of_one_kind
                    && Some(other) != mark
                    && is_whole
                    && tail.len() <= 2
                    && is_grouped(head, other) =>
            {
                unambiguous(head)
            }
            // 4,155,550,142
            Some(',') if of_one_kind && mark == Some(',') && is_grouped(text, ',') => {
                unambiguous(text)
            }
            _ => Err(PhoneError::NotANumber),
        };
    }
    let is_plain = is_figure(head);
    // Too short for a number without the digits after the dot.
    let is_group = is_plain && head.trim_start_matches('+').len() < 4;
    match tail.len() {
        // A last group of one digit is not a common notation.
        1 if is_whole => unambiguous(head),
        1 | 2 if is_group => unambiguous(text),
        1 | 2 if is_plain && is_figure(tail) && !is_whole => Err(PhoneError::Fraction),
        2 if is_whole && (is_plain || last_group(head) > 5) => unambiguous(head),
        2 if is_whole && last_group(head) > 3 => ambiguous(head),
        3.. if is_plain && is_whole => ambiguous(head),
        _ => unambiguous(text),
    }
}

/// Digits in groups of three, as with a thousands separator.
fn is_grouped(text: &str, mark: char) -> bool {
    let mut groups = text.trim_start_matches('+').split(mark);
    let is_group = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let first = groups.next().unwrap_or_default();
    (1..=3).contains(&first.len())
        && is_group(first)
        && groups.all(|group| group.len() == 3 && is_group(group))
}

/// The length of the last group of digits. After groups of two or three, another pair is a regular group.
fn last_group(text: &str) -> usize {
    text.len() - text.trim_end_matches(|c: char| c.is_ascii_digit()).len()
}

fn dialled(text: &str) -> Result<String, PhoneError> {
    let mut digits = String::new();
    for character in text.chars() {
        match character {
            '+' if digits.is_empty() => digits.push('+'),
            '+' => return Err(PhoneError::Several),
            '0'..='9' => digits.push(character),
            ' ' | '\t' | '-' | '.' | '/' | '(' | ')' => {}
            // Thousands separators, checked before.
            ',' => {}
            _ => return Err(PhoneError::NotANumber),
        }
    }
    match digits.trim_start_matches('+').len() {
        0 => Err(PhoneError::NotANumber),
        1..=4 => Err(PhoneError::TooShort),
        5..=MAX_DIGITS => Ok(digits),
        _ => Err(PhoneError::TooLong),
    }
}

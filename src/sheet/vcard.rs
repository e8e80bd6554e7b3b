//! vCard files (2.1, 3.0 and 4.0) with one or more cards.

use base64::Engine;
use encoding_rs::{Encoding, UTF_8};

use super::heads::{self, PhoneKind};
use super::{Sheet, SheetError, SheetRow};

const COLUMNS: [&str; 14] = [
    "Name",
    "First name",
    "Middle name",
    "Last name",
    "Organization",
    "Mobile phone",
    "Phone",
    "Home phone",
    "Other phone",
    "Work phone",
    "E-mail",
    "Tags",
    "Notes",
    "Birthday",
];
/// Separates several values in one cell, as in Google's exports.
const BETWEEN: &str = " ::: ";

pub fn is_vcard(text: &str) -> bool {
    let mut lines = text
        .split(['\r', '\n'])
        .map(str::trim)
        .filter(|line| !line.is_empty());
    lines
        .next()
        .is_some_and(|line| line.eq_ignore_ascii_case("BEGIN:VCARD"))
}

/// One row per card. An unclosed card is a row too; text between cards is ignored.
pub fn read(text: &str, encoding: &'static str, most: usize) -> Result<Sheet, SheetError> {
    let mut rows: Vec<SheetRow> = Vec::new();
    let mut cards: Vec<(u64, Card)> = Vec::new(); // a stack: a card may contain another one
    for property in properties(text) {
        match property.name.as_str() {
            "BEGIN" if property.value.trim().eq_ignore_ascii_case("VCARD") => {
                // The previous card is unclosed, or this one is nested (such as an assistant).
                cards.push((property.line, Card::default()));
                if cards.len() > 10 {
                    let (line, card) = cards.remove(0);
                    rows.push(card.into_row(line));
                }
            }
            "END" if property.value.trim().eq_ignore_ascii_case("VCARD") => {
                if let Some((line, card)) = cards.pop() {
                    rows.push(card.into_row(line));
                }
            }
            _ => {
                if let Some((_, card)) = cards.last_mut() {
                    card.take(property);
                }
            }
        }
        if rows.len() > most {
            return Err(SheetError::TooLong(super::grouped(most)));
        }
    }
    rows.extend(cards.into_iter().map(|(line, card)| card.into_row(line)));
    rows.sort_by_key(|row| row.line);
    Ok(Sheet {
        encoding,
        delimiter: None,
        columns: COLUMNS.map(str::to_owned).to_vec(),
        rows,
        broken: Vec::new(),
        bad: Vec::new(),
        bad_places: 0,
        above: 0,
        below: 0,
        repeated: 0,
        has_no_head: false,
    })
}

struct Property {
    line: u64,
    /// `item1` of `item1.TEL`; a label has the same group.
    group: String,
    name: String,
    /// In capitals, as written: `TYPE=CELL`, or `CELL` in 2.1.
    parameters: Vec<String>,
    value: String,
}

impl Property {
    fn types(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().flat_map(|parameter| {
            let types = match parameter.split_once('=') {
                Some(("TYPE", types)) => types,
                Some(_) => "",
                None => parameter,
            };
            types
                .split(',')
                .map(|word| word.trim_matches('"'))
                .filter(|word| !word.is_empty())
        })
    }
}

/// Parses properties: unfolds lines and decodes quoted-printable.
fn properties(text: &str) -> impl Iterator<Item = Property> {
    let mut lines = Lines { text, line: 0 }.peekable();
    std::iter::from_fn(move || {
        loop {
            let (line, first) = lines.next()?;
            let mut unfolded = first.to_owned();
            while let Some((_, more)) = lines.next_if(|(_, next)| next.starts_with([' ', '\t'])) {
                unfolded.push_str(&more[1..]);
            }
            let Some(mut property) = property(line, &unfolded) else {
                continue;
            };
            if property
                .parameters
                .iter()
                .any(|parameter| parameter.ends_with("QUOTED-PRINTABLE"))
            {
                while property.value.ends_with('=') {
                    property.value.pop();
                    match lines.next() {
                        Some((_, more)) => property
                            .value
                            .push_str(more.trim_start_matches([' ', '\t'])),
                        None => break,
                    }
                }
                property.value = quoted_printable(&property);
            }
            return Some(property);
        }
    })
}

struct Lines<'t> {
    text: &'t str,
    line: u64,
}

impl<'t> Iterator for Lines<'t> {
    type Item = (u64, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.text.is_empty() {
            return None;
        }
        let end = self.text.find(['\r', '\n']).unwrap_or(self.text.len());
        let (line, rest) = self.text.split_at(end);
        self.text = rest
            .strip_prefix("\r\n")
            .or_else(|| rest.strip_prefix(['\r', '\n']))
            .unwrap_or(rest);
        self.line += 1;
        Some((self.line, line))
    }
}

fn property(line: u64, text: &str) -> Option<Property> {
    let mut in_quotes = false;
    let colon = text.char_indices().find(|(_, c)| {
        in_quotes ^= *c == '"';
        *c == ':' && !in_quotes
    });
    let (head, value) = text.split_at(colon?.0);
    let mut parts = head.split(';');
    let name = parts.next()?.trim();
    let (group, name) = name.rsplit_once('.').unwrap_or(("", name));
    Some(Property {
        line,
        group: group.to_uppercase(),
        name: name.to_uppercase(),
        parameters: parts
            .map(|parameter| parameter.trim().to_uppercase())
            .collect(),
        value: value[1..].to_owned(),
    })
}

fn quoted_printable(property: &Property) -> String {
    let mut bytes = Vec::new();
    let mut rest = property.value.as_bytes();
    while let [byte, after @ ..] = rest {
        let figure = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|figure| u8::try_from(figure).ok())
        };
        rest = match (byte, after) {
            (b'=', [high, low, more @ ..]) => match (figure(*high), figure(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high * 16 + low);
                    more
                }
                _ => {
                    bytes.push(b'=');
                    after
                }
            },
            _ => {
                bytes.push(*byte);
                after
            }
        };
    }
    let charset = property
        .parameters
        .iter()
        .find_map(|parameter| parameter.strip_prefix("CHARSET="));
    let encoding = charset
        .and_then(|name| Encoding::for_label(name.as_bytes()))
        .unwrap_or(UTF_8);
    encoding
        .decode_without_bom_handling(&bytes)
        .0
        .replace('\0', "")
}

/// Splits at `between`, and resolves the escapes `\n`, `\,` and `\;`.
fn parts(value: &str, between: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        let part = parts.last_mut().expect("parts is never empty");
        match c {
            '\\' => match characters.next() {
                Some('n' | 'N') => part.push('\n'),
                Some(c) => part.push(c),
                None => {}
            },
            c if c == between => parts.push(String::new()),
            c => part.push(c),
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

fn text(value: &str) -> String {
    parts(value, '\0').concat()
}

#[derive(Default)]
struct Card {
    name: String,
    /// Family, given and additional names.
    name_parts: Vec<String>,
    organization: String,
    numbers: Vec<Number>,
    emails: Vec<(bool, String)>,
    tags: Vec<String>,
    notes: Vec<String>,
    birthday: String,
    labels: Vec<(String, String)>,
}

struct Number {
    group: String,
    types: String,
    is_preferred: bool,
    value: String,
}

impl Card {
    fn take(&mut self, property: Property) {
        let is_preferred = property.types().any(|word| word == "PREF")
            || property
                .parameters
                .iter()
                .any(|parameter| parameter.starts_with("PREF="));
        let is_base64 = property.parameters.iter().any(|parameter| {
            matches!(
                parameter.as_str(),
                "ENCODING=BASE64" | "ENCODING=B" | "BASE64"
            )
        });
        let value = match is_base64 {
            true => decoded(&property.value),
            false => property.value.clone(),
        };
        match property.name.as_str() {
            "FN" if self.name.is_empty() => self.name = text(&value),
            "N" if self.name_parts.is_empty() => self.name_parts = parts(&value, ';'),
            "ORG" if self.organization.is_empty() => {
                self.organization = parts(&value, ';').into_iter().next().unwrap_or_default();
            }
            "TEL" => {
                let types: Vec<_> = property.types().collect();
                self.numbers.push(Number {
                    types: types.join(" "),
                    is_preferred,
                    value: text(&value),
                    group: property.group,
                });
            }
            "EMAIL" => self.emails.push((is_preferred, text(&value))),
            "CATEGORIES" => self.tags.extend(parts(&value, ',')),
            "NOTE" => self.notes.push(text(&value)),
            "BDAY" if self.birthday.is_empty() => self.birthday = text(&value),
            "X-ABLABEL" if !property.group.is_empty() => {
                let label = value.replace("_$!<", "").replace(">!$_", "");
                self.labels.push((property.group, label));
            }
            _ => {}
        }
    }

    fn into_row(mut self, line: u64) -> SheetRow {
        let numbers = |kind: PhoneKind| {
            let label = |number: &Number| {
                let found = self
                    .labels
                    .iter()
                    .find(|(group, _)| !group.is_empty() && *group == number.group);
                format!("{} {}", number.types, found.map_or("", |(_, label)| label))
            };
            let mut found: Vec<&Number> = self
                .numbers
                .iter()
                .filter(|number| heads::label(&label(number)) == Some(kind))
                .collect();
            found.sort_by_key(|number| !number.is_preferred);
            let values: Vec<&str> = found.iter().map(|number| number.value.trim()).collect();
            values.join(BETWEEN)
        };
        let part = |place: usize| self.name_parts.get(place).cloned().unwrap_or_default();
        let [mobile, main, home, other, work] = [
            PhoneKind::Mobile,
            PhoneKind::Main,
            PhoneKind::Home,
            PhoneKind::Other,
            PhoneKind::Work,
        ]
        .map(numbers);
        self.emails.sort_by_key(|(is_preferred, _)| !*is_preferred);
        let emails: Vec<&str> = self
            .emails
            .iter()
            .map(|(_, email)| email.as_str())
            .collect();
        let cells = vec![
            self.name.clone(),
            part(1),
            part(2),
            part(0),
            self.organization.clone(),
            mobile,
            main,
            home,
            other,
            work,
            emails.join(BETWEEN),
            self.tags.join(BETWEEN),
            self.notes.join("\n"),
            self.birthday.clone(),
        ];
        SheetRow { line, cells }
    }
}

fn decoded(value: &str) -> String {
    let plain: String = value.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(plain)
        .unwrap_or_default();
    String::from_utf8(bytes)
        .unwrap_or_default()
        .replace('\0', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: &str) -> Vec<Vec<String>> {
        let sheet = read(text, "UTF-8", 100).unwrap();
        sheet.rows.into_iter().map(|row| row.cells).collect()
    }

    #[test]
    fn cards_of_every_version_are_rows() {
        let text = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Okafor;Maya;Ann;;\r\nFN:Maya Okafor\r\nTEL;type=HOME;type=VOICE:(415) 555-0143\r\n\
            TEL;type=CELL;type=VOICE;type=pref:(415) \r\n 555-0142\r\nitem1.TEL:415 555 0149\r\nitem1.X-ABLabel:_$!<Mobile>!$_\r\n\
            TEL;TYPE=\"work,fax\":415 555 0150\r\nEMAIL:maya@okafor.test\r\nNOTE:Two\\nlines\\, and a comma\r\nCATEGORIES:VIP,New\\, patient\r\n\
            PHOTO;ENCODING=b;TYPE=JPEG:AAAA\r\n BBBB\r\nEND:VCARD\r\n\
            BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:N=FA=F1=\n=EZ;Jos=E9\nTEL;CELL:+1 415 555 0144\nEND:VCARD\n\
            begin:vcard\nVERSION:4.0\nFN:Tom\nTEL;VALUE=uri;TYPE=\"cell,text\";PREF=1:tel:+1-415-555-0145\n";
        let rows = rows(text);
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0][..4], ["Maya Okafor", "Maya", "Ann", "Okafor"]);
        assert_eq!(rows[0][5], "(415) 555-0142 ::: 415 555 0149");
        assert_eq!((&rows[0][7][..], &rows[0][9][..]), ("(415) 555-0143", ""));
        assert_eq!(
            rows[0][11..13],
            ["VIP ::: New, patient", "Two\nlines, and a comma"]
        );
        assert_eq!(
            (&rows[1][1][..], &rows[1][5][..]),
            ("José", "+1 415 555 0144")
        );
        assert_eq!(rows[2][5], "tel:+1-415-555-0145");
    }

    #[test]
    fn a_card_knows_its_line() {
        let sheet = read(
            "\n\nBEGIN:VCARD\nFN:A\nEND:VCARD\n\nBEGIN:VCARD\nFN:B\nEND:VCARD",
            "UTF-8",
            9,
        )
        .unwrap();
        assert_eq!((sheet.rows[0].line, sheet.rows[1].line), (3, 7));
        assert!(is_vcard("\r\n begin:vcard\r\n") && !is_vcard("name,phone"));
    }

    proptest! {
        #[test]
        fn any_text_is_cards_or_none(text in "(BEGIN:VCARD\n|END:VCARD|TEL;TYPE=|:|;|=|\n |\\PC){0,60}") {
            let sheet = read(&text, "UTF-8", 1_000).unwrap();
            let mut lines: Vec<_> = sheet.rows.iter().map(|row| row.line).collect();
            lines.dedup();
            prop_assert_eq!(lines.len(), sheet.rows.len(), "lines are unique");
        }
    }
}

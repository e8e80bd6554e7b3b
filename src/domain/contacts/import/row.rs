//! Parses a row into a contact. A cell that cannot be read is skipped; a row without a phone number is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::numbers::PhoneColumns;
use crate::domain::contacts::fields::Field;
use crate::domain::contacts::is_email;
use crate::language::{Message, t};
use crate::phone::{Phone, Region};
use crate::sheet::dates::Order;
use crate::sheet::unguarded;

pub const MAX_NAME_LENGTH: usize = 120;
pub const MAX_NOTES_LENGTH: usize = 5_000;

/// Properties of a whole column that a single cell does not show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnForm {
    /// [`Order::as_str`]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    dates: String,
    /// Most cells have the form `Last, First`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_reversed: bool,
}

impl ColumnForm {
    pub fn of<'a>(cells: impl Iterator<Item = &'a str> + Clone) -> Self {
        let filled = cells.clone().filter(|cell| !cell.is_empty());
        let (mut all, mut reversed) = (0, 0);
        for cell in filled {
            all += 1;
            reversed += usize::from(given_name_first(cell).is_some());
        }
        Self {
            dates: Order::of_column(cells).as_str().into(),
            is_reversed: reversed > 0 && reversed * 2 >= all,
        }
    }
}

pub struct Plan<'a> {
    phones: PhoneColumns,
    others: PhoneColumns,
    name: Option<(usize, bool)>,
    /// First, middle and last names, in this order.
    name_parts: Vec<usize>,
    organization: Option<usize>,
    emails: Vec<usize>,
    notes: Option<usize>,
    tags: Vec<usize>,
    fields: Vec<(usize, &'a Field, Order)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    pub name: Option<String>,
    pub email: Option<String>,
    pub notes: String,
    pub values: BTreeMap<String, String>,
}

#[derive(Debug)]
pub struct ContactRow {
    pub phone: Phone,
    pub card: Card,
    pub tags: Vec<String>,
    pub others: Vec<(Phone, String)>,
}

/// A cell that is skipped or shortened.
#[derive(Debug, PartialEq, Eq)]
pub struct SkippedCell {
    pub index: usize,
    pub text: String,
    pub reason: Message,
}

impl<'a> Plan<'a> {
    pub fn of(
        mapping: &[String],
        columns: &[String],
        forms: &[ColumnForm],
        region: &str,
        fields: &'a [Field],
    ) -> Self {
        let columns_of = |what: &str| -> Vec<usize> {
            let places = mapping.iter().enumerate();
            places
                .filter(|(_, column)| *column == what)
                .map(|(index, _)| index)
                .collect()
        };
        let first_column_of = |what: &str| columns_of(what).first().copied();
        let number_region: Region = region.parse().unwrap_or(Region::US);
        let order = |index: usize| {
            let column_order = forms
                .get(index)
                .map_or(Order::Unknown, |form| Order::of_word(&form.dates));
            column_order.or(Order::of_region(region))
        };
        let is_reversed = |index: usize| forms.get(index).is_some_and(|form| form.is_reversed);
        Self {
            phones: PhoneColumns::of(columns_of("phone_number"), columns, number_region),
            others: PhoneColumns::of(columns_of("other_number"), columns, number_region),
            name: first_column_of("name").map(|index| (index, is_reversed(index))),
            name_parts: ["first_name", "middle_name", "last_name"]
                .into_iter()
                .flat_map(columns_of)
                .collect(),
            organization: first_column_of("organization"),
            emails: columns_of("email"),
            notes: first_column_of("notes"),
            tags: columns_of("tags"),
            fields: fields
                .iter()
                .filter_map(|field| {
                    let index = first_column_of(&format!("field:{}", field.key))?;
                    Some((index, field, order(index)))
                })
                .collect(),
        }
    }

    /// Parses a row, or says why it is refused; also returns the skipped cells.
    pub fn read(&self, cells: &[String]) -> (Result<ContactRow, Message>, Vec<SkippedCell>) {
        let mut skipped = Vec::new();
        let cell = |index: usize| unguarded(cells.get(index).map_or("", String::as_str)).trim();
        let (phone, others) = match self.numbers(cells, &mut skipped) {
            Ok(numbers) => numbers,
            Err(refusal) => return (Err(refusal), skipped),
        };
        let name = self.name(&cell, &mut skipped);
        let email = self.email(&cell, &mut skipped);
        let notes = self.notes.map(|index| {
            truncate(
                &normalize_line_ends(cell(index)),
                MAX_NOTES_LENGTH,
                index,
                &mut skipped,
            )
        });
        let values = self.custom_fields(&cell, &mut skipped);
        let tags = self.tags(&cell, &mut skipped);
        let row = ContactRow {
            phone,
            card: Card {
                name: Some(name).filter(|name| !name.is_empty()),
                email,
                notes: notes.unwrap_or_default(),
                values,
            },
            tags,
            others,
        };
        (Ok(row), skipped)
    }

    /// The contact's number and its other numbers, or why the row is refused.
    fn numbers(
        &self,
        cells: &[String],
        skipped: &mut Vec<SkippedCell>,
    ) -> Result<(Phone, Vec<(Phone, String)>), Message> {
        let mut found = self.phones.read(cells);
        if found.phones.is_empty() {
            let wrong = match found.wrong.into_iter().next() {
                Some((.., wrong)) => wrong,
                None => crate::phone::PhoneError::Empty,
            };
            return Err(t!("Phone number: {wrong}", wrong = wrong.message()));
        }
        let others = self.others.read(cells);
        found.wrong.extend(others.wrong);
        let wrong = found.wrong.into_iter();
        skipped.extend(wrong.map(|(index, text, wrong)| SkippedCell {
            index,
            text,
            reason: wrong.message(),
        }));
        let mut numbers = found.phones.into_iter();
        let (phone, _) = numbers.next().expect("the row has a phone number");
        let mut rest: Vec<(Phone, String)> = numbers.collect();
        for (other, name) in others.phones {
            if other != phone && rest.iter().all(|(known, _)| *known != other) {
                rest.push((other, name));
            }
        }
        Ok((phone, rest))
    }

    fn custom_fields<'c>(
        &self,
        cell: &impl Fn(usize) -> &'c str,
        skipped: &mut Vec<SkippedCell>,
    ) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        for (index, field, order) in &self.fields {
            match field.read_as(cell(*index), *order) {
                Ok(Some(value)) => {
                    values.insert(field.key.clone(), value);
                }
                Ok(None) => {}
                Err(reason) => skipped.push(SkippedCell {
                    index: *index,
                    text: cell(*index).to_owned(),
                    reason,
                }),
            }
        }
        values
    }

    /// The full name, or its parts joined; the organization if both are empty.
    fn name<'c>(&self, cell: &impl Fn(usize) -> &'c str, skipped: &mut Vec<SkippedCell>) -> String {
        if let Some((index, is_reversed)) = self.name {
            let name = collapse_whitespace(cell(index));
            let name = match is_reversed {
                true => given_name_first(&name).unwrap_or(name),
                false => name,
            };
            if !name.is_empty() {
                return truncate(&name, MAX_NAME_LENGTH, index, skipped);
            }
        }
        let parts: Vec<&str> = self.name_parts.iter().map(|index| cell(*index)).collect();
        let name = collapse_whitespace(&parts.join(" "));
        let organization = || {
            self.organization
                .map_or(String::new(), |index| collapse_whitespace(cell(index)))
        };
        let index = self
            .name_parts
            .first()
            .copied()
            .or(self.organization)
            .unwrap_or_default();
        match name.is_empty() {
            true => truncate(&organization(), MAX_NAME_LENGTH, index, skipped),
            false => truncate(&name, MAX_NAME_LENGTH, index, skipped),
        }
    }

    fn email<'c>(
        &self,
        cell: &impl Fn(usize) -> &'c str,
        skipped: &mut Vec<SkippedCell>,
    ) -> Option<String> {
        let mut first = None;
        for index in &self.emails {
            let text = cell(*index);
            if text.is_empty() {
                continue;
            }
            let mut addresses = addresses(text);
            let reason = match (&first, addresses.is_empty()) {
                (_, true) => t!("That isn’t an email address"),
                (None, false) => {
                    first = Some(addresses.remove(0));
                    if addresses.is_empty() {
                        continue;
                    }
                    t!("A contact can have one email address. The first one was used.")
                }
                (Some(known), false) if addresses.iter().all(|other| other == known) => continue,
                (Some(_), false) => {
                    t!("A contact can have one email address. The first one was used.")
                }
            };
            skipped.push(SkippedCell {
                index: *index,
                text: text.to_owned(),
                reason,
            });
        }
        first
    }

    fn tags<'c>(
        &self,
        cell: &impl Fn(usize) -> &'c str,
        skipped: &mut Vec<SkippedCell>,
    ) -> Vec<String> {
        let mut tags: Vec<String> = Vec::new();
        for index in &self.tags {
            for tag in tag_names(cell(*index)) {
                if tag.chars().count() > 40 {
                    skipped.push(SkippedCell {
                        index: *index,
                        text: tag,
                        reason: t!("Tags can have at most 40 characters"),
                    });
                } else if tags
                    .iter()
                    .all(|other| other.to_lowercase() != tag.to_lowercase())
                {
                    tags.push(tag);
                }
            }
        }
        tags
    }
}

/// Collapses whitespace and removes control characters.
fn collapse_whitespace(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn normalize_line_ends(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn truncate(text: &str, most: usize, index: usize, skipped: &mut Vec<SkippedCell>) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => {
            skipped.push(SkippedCell {
                index,
                text: text.to_owned(),
                reason: t!("Shortened to {most} characters", most = most),
            });
            text[..end].trim_end().to_owned()
        }
    }
}

/// Turns `Okafor, Maya` into `Maya Okafor`. `Okafor, DDS` and `Duarte, Inc.` stay.
fn given_name_first(name: &str) -> Option<String> {
    const TITLES: &[&str] = &[
        "jr", "sr", "ii", "iii", "iv", "md", "dds", "dmd", "phd", "rn", "esq", "cpa", "dvm", "do",
        "od", "pa", "np", "mba", "inc", "llc", "llp", "ltd", "corp", "co", "gmbh", "ag", "kg",
        "sa", "sl", "srl", "spa", "bv", "plc", "pc", "pllc",
    ];
    let (last, first) = name.split_once(',')?;
    let (last, first) = (last.trim(), first.trim());
    let is_name = |part: &str| {
        !part.is_empty()
            && part.split(' ').count() <= 4
            && part.chars().all(|c| {
                c.is_alphabetic() || matches!(c, ' ' | '-' | '.' | '\'' | '’') || !c.is_ascii()
            })
    };
    let title: String = first
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphabetic())
        .collect();
    (is_name(last) && is_name(first) && !TITLES.contains(&title.as_str()))
        .then(|| format!("{first} {last}"))
}

/// Accepts `Maya <a@b.test>`, `mailto:a@b.test` and `a@b.test; c@d.test`.
fn addresses(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let parts = text.split(|c: char| {
        c.is_whitespace() || matches!(c, ';' | ',' | '<' | '>' | '"' | '(' | ')' | '[' | ']' | '|')
    });
    for part in parts {
        let part = part.trim_matches(['\'', '.', ':', '\u{feff}', '\u{200b}']);
        let part = match part.get(..7) {
            Some(start) if start.eq_ignore_ascii_case("mailto:") => &part[7..],
            _ => part,
        };
        let part = part.split('?').next().unwrap_or_default();
        if is_email(part) && !found.iter().any(|other| other == part) {
            found.push(part.to_owned());
        }
    }
    found
}

/// Tag names in a cell: separated by commas or semicolons, in quotation marks (Mailchimp) or by `:::` (Google).
/// Google's system groups (`* myContacts`) are skipped.
fn tag_names(cell: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut in_quotes = false;
    let is_google = cell.contains(":::") || cell.starts_with("* ");
    let text = cell.replace(":::", "\n");
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let name = names.last_mut().expect("the list is never empty");
        match c {
            '"' if in_quotes && characters.peek() == Some(&'"') => {
                characters.next();
                name.push('"');
            }
            '"' if in_quotes || name.trim().is_empty() => in_quotes = !in_quotes,
            '\n' | '\r' => {
                in_quotes = false;
                names.push(String::new());
            }
            ',' | ';' if !in_quotes && !is_google => names.push(String::new()),
            c => name.push(c),
        }
    }
    names
        .into_iter()
        .filter(|name| !name.trim_start().starts_with("* "))
        .map(|name| collapse_whitespace(&name))
        .filter(|name| !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn read(mapping: &[&str], cells: &[&str]) -> (Result<ContactRow, Message>, Vec<SkippedCell>) {
        let mapping = strings(mapping);
        let forms: Vec<_> = cells
            .iter()
            .map(|cell| ColumnForm::of([*cell].into_iter()))
            .collect();
        Plan::of(&mapping, &mapping, &forms, "US", &[]).read(&strings(cells))
    }

    #[test]
    fn row_is_parsed_by_its_columns() {
        let mapping = ["first_name", "last_name", "phone_number", "tags", ""];
        let cells = [
            " Maya",
            "Okafor",
            "'(415) 555-0192",
            "VIP; new  patient,",
            "x",
        ];
        let (row, skipped) = read(&mapping, &cells);
        let row = row.unwrap();
        assert_eq!(row.card.name.as_deref(), Some("Maya Okafor"));
        assert_eq!(row.phone.as_str(), "+14155550192");
        assert_eq!(row.tags, ["VIP", "new patient"]);
        assert!(skipped.is_empty());
        let wrong = read(&mapping, &cells[..2]).0.unwrap_err().english();
        assert!(wrong.starts_with("Phone number:"), "{wrong}");
    }

    #[test]
    fn unreadable_cell_is_dropped_and_the_contact_kept() {
        for (email, taken, lost) in [
            ("none", None, 1),
            ("n/a", None, 1),
            ("Maya <a@b>", None, 1),
            (
                "Maya Okafor <maya@okafor.test>",
                Some("maya@okafor.test"),
                0,
            ),
            ("mailto:maya@okafor.test", Some("maya@okafor.test"), 0),
            ("a@b.test; c@d.test", Some("a@b.test"), 1),
            ("a@b.test ::: c@d.test", Some("a@b.test"), 1),
            ("", None, 0),
        ] {
            let (row, skipped) = read(&["phone_number", "email"], &["+14155550192", email]);
            assert_eq!(row.unwrap().card.email.as_deref(), taken, "{email}");
            assert_eq!(skipped.len(), lost, "{email}");
        }
        let (row, skipped) = read(
            &["phone_number", "name", "tags"],
            &["+14155550192", &"x".repeat(200), &"y".repeat(41)],
        );
        assert_eq!(row.unwrap().card.name.unwrap().len(), 120);
        assert_eq!(skipped.len(), 2);
    }

    #[test]
    fn name_parts_are_joined() {
        let name = |mapping: &[&str], cells: &[&str]| read(mapping, cells).0.unwrap().card.name;
        let parts = [
            "last_name",
            "first_name",
            "middle_name",
            "organization",
            "phone_number",
        ];
        assert_eq!(
            name(&parts, &["Haddad", "Noor", "A.", "x", "+14155550192"]).as_deref(),
            Some("Noor A. Haddad")
        );
        assert_eq!(
            name(&parts, &["", "", "", "Blue Door", "+14155550192"]).as_deref(),
            Some("Blue Door")
        );
        for (written, read) in [
            ("Okafor, Maya", "Maya Okafor"),
            ("Duarte, Inc.", "Duarte, Inc."),
            ("Lee, DDS", "Lee, DDS"),
        ] {
            assert_eq!(
                name(&["name", "phone_number"], &[written, "+14155550192"]).as_deref(),
                Some(read)
            );
        }
    }

    #[test]
    fn tags_are_parsed_in_common_formats() {
        assert_eq!(tag_names("\"VIP\",\"New patient\""), ["VIP", "New patient"]);
        assert_eq!(
            tag_names("* myContacts ::: Patients ::: VIP"),
            ["Patients", "VIP"]
        );
        assert_eq!(tag_names("* myContacts"), [""; 0]);
        assert_eq!(tag_names("a, b; c"), ["a", "b", "c"]);
        assert_eq!(tag_names("Smith, family ::: * starred"), ["Smith, family"]);
    }

    proptest! {
        #[test]
        fn any_row_is_accepted_or_refused_with_reason(cells in prop::collection::vec(".{0,40}", 0..7)) {
            let mapping = strings(&["phone_number", "name", "email", "notes", "tags", "other_number"]);
            let plan = Plan::of(&mapping, &mapping, &[], "US", &[]);
            for phone in [None, Some("+14155550192".to_owned())] {
                let mut cells = cells.clone();
                if let (Some(phone), Some(cell)) = (phone, cells.first_mut()) {
                    *cell = phone;
                }
                match plan.read(&cells).0 {
                    Ok(row) => prop_assert!(row.card.notes.chars().count() <= MAX_NOTES_LENGTH),
                    Err(reason) => prop_assert!(reason.english().contains(": "), "{:?}", reason),
                }
            }
        }
    }
}

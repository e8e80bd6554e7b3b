//! The phone numbers of a row, from several columns or several in one cell; the one to text comes first.

use crate::phone::{Phone, PhoneError, Region};
use crate::sheet::heads::{self, Head, PhoneKind};
use crate::sheet::unguarded;

/// Columns with phone numbers. Mobile numbers come first, then the other kinds, then by column.
#[derive(Clone, Debug)]
pub struct PhoneColumns {
    columns: Vec<Column>,
    region: Region,
}

#[derive(Clone, Debug)]
struct Column {
    index: usize,
    name: String,
    kind: PhoneKind,
    /// The column that holds the label of this one's numbers.
    label: Option<usize>,
}

#[derive(Debug, Default)]
pub struct Found {
    /// The number to text first, then the others, each with its label. No duplicates.
    pub phones: Vec<(Phone, String)>,
    /// Values that are not phone numbers, with their column.
    pub wrong: Vec<(usize, String, PhoneError)>,
}

impl PhoneColumns {
    pub fn of(places: impl IntoIterator<Item = usize>, names: &[String], region: Region) -> Self {
        let column = |index: usize| {
            let name = names.get(index).cloned().unwrap_or_default();
            let kind = match heads::read(&name) {
                Some(Head::Phone(kind)) => kind,
                _ => heads::bare_phone(&name).unwrap_or(PhoneKind::Main),
            };
            Column {
                index,
                kind,
                label: heads::label_of(&name, names),
                name,
            }
        };
        let mut columns: Vec<Column> = places.into_iter().map(column).collect();
        columns.sort_by_key(|column| column.kind);
        Self { columns, region }
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    pub fn read(&self, cells: &[String]) -> Found {
        let cell = |index: usize| cells.get(index).map_or("", String::as_str);
        let mut entries = Vec::new();
        for column in &self.columns {
            let label = column.label.map_or("", cell).trim_start_matches(['*', ' ']);
            let kind = match label {
                "" => Some(column.kind),
                label => heads::label(label),
            };
            // A fax cannot receive texts.
            let Some(kind) = kind else { continue };
            let name = match label {
                "" => &column.name,
                label => label,
            };
            let numbers = split(cell(column.index)).into_iter();
            entries.extend(numbers.map(|number| (kind, column.index, name, number)));
        }
        entries.sort_by_key(|(kind, ..)| *kind);
        let mut found = Found::default();
        for (_, index, name, number) in entries {
            match Phone::parse(&number, &self.region) {
                Ok(phone) if found.phones.iter().any(|(other, _)| *other == phone) => {}
                Ok(phone) => found.phones.push((phone, name.to_owned())),
                Err(wrong) => found.wrong.push((index, number, wrong)),
            }
        }
        found
    }
}

/// Digits that each part of a cell needs to count as a number of its own.
const MIN_DIGITS: usize = 7;

fn split(cell: &str) -> Vec<String> {
    let cell = unguarded(cell).replace('\u{feff}', "");
    let digits = |text: &str| text.chars().filter(|c| c.is_numeric()).count();
    let mut numbers = Vec::new();
    for part in cell
        .split([';', '|', '\n', '\r'])
        .flat_map(|part| part.split(":::"))
    {
        let mut parts = vec![part];
        // A comma may be a decimal separator, and a slash may follow an area code.
        let are_numbers =
            |parts: &[&str], least: usize| parts.iter().all(|part| digits(part) >= least);
        let by_comma: Vec<&str> = part.split(',').collect();
        if by_comma
            .iter()
            .all(|part| digits(part) >= MIN_DIGITS || digits(part) == 0)
        {
            parts = by_comma;
        }
        for separator in [
            " / ", " or ", " oder ", " ou ", " o ", " y ", " e ", " und ", " and ", " & ", "/",
        ] {
            let least = match separator {
                "/" => MIN_DIGITS + 2,
                _ => MIN_DIGITS,
            };
            parts = parts
                .into_iter()
                .flat_map(|part| {
                    let smaller: Vec<&str> = part.split(separator).collect();
                    match smaller.len() > 1 && are_numbers(&smaller, least) {
                        true => smaller,
                        false => vec![part],
                    }
                })
                .collect();
        }
        let is_one = parts.len() == 1;
        // In `(415) 555-0142, home` the word is dropped.
        numbers.extend(
            parts
                .into_iter()
                .map(|part| unguarded(part.trim()).trim())
                .filter(|part| !part.is_empty() && (is_one || digits(part) > 0))
                .map(str::to_owned),
        );
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn phones(columns: &[&str], cells: &[&str]) -> Vec<String> {
        let columns = names(columns);
        let read = PhoneColumns::of(0..columns.len(), &columns, Region::US).read(&names(cells));
        read.phones
            .into_iter()
            .map(|(phone, name)| format!("{phone} {name}"))
            .collect()
    }

    #[test]
    fn mobile_number_precedes_others() {
        let outlook = [
            "Business Phone",
            "Home Phone",
            "Mobile Phone",
            "Primary Phone",
        ];
        assert_eq!(
            phones(&outlook, &["(415) 555-0110", "", "(415) 555-0142", ""]),
            ["+14155550142 Mobile Phone", "+14155550110 Business Phone"]
        );
        assert_eq!(
            phones(&outlook, &["(415) 555-0110", "", "", ""]),
            ["+14155550110 Business Phone"]
        );
        assert_eq!(
            phones(&["A", "B"], &["", "415 555 0144"]),
            ["+14155550144 B"]
        );
        assert_eq!(
            phones(&["A", "B"], &["nothing", "415 555 0144"]),
            ["+14155550144 B"]
        );
        let google = [
            "Phone 1 - Value",
            "Phone 1 - Label",
            "Phone 2 - Value",
            "Phone 2 - Label",
        ];
        let columns = names(&google);
        let read = PhoneColumns::of([0, 2], &columns, Region::US).read(&names(&[
            "(415) 555-0145",
            "Home",
            "(415) 555-0146 ::: (415) 555-0147",
            "* Mobile",
        ]));
        let read: Vec<_> = read
            .phones
            .iter()
            .map(|(phone, name)| format!("{phone} {name}"))
            .collect();
        assert_eq!(
            read,
            [
                "+14155550146 Mobile",
                "+14155550147 Mobile",
                "+14155550145 Home"
            ]
        );
    }

    #[test]
    fn two_numbers_in_one_cell_are_split() {
        for cell in [
            "+1 415-555-0142 ::: +1 415-555-0143",
            "(415) 555-0142; (415) 555-0143",
            "415 555 0142, 415 555 0143",
            "415 555 0142 / 415 555 0143",
            "4155550142/4155550143",
            "415-555-0142 or 415-555-0143",
            "415 555 0142\n415 555 0143",
        ] {
            assert_eq!(
                phones(&["Phone"], &[cell]),
                ["+14155550142 Phone", "+14155550143 Phone"],
                "{cell}"
            );
        }
        assert_eq!(split("0151/2345678"), ["0151/2345678"]);
        assert_eq!(split("4,47911E+11"), ["4,47911E+11"]);
        assert_eq!(split("=\"4155550142\""), ["4155550142"]);
        assert_eq!(split("(415) 555-0142, home"), ["(415) 555-0142"]);
    }

    proptest! {
        #[test]
        fn any_cell_is_parsed_or_empty(cell in ".{0,60}", figures in "[0-9 ,;/|:.+orE-]{0,40}") {
            for cell in [cell, figures] {
                let columns = names(&["Phone"]);
                let found = PhoneColumns::of([0], &columns, Region::US).read(&[cell]);
                prop_assert!(found.phones.len() < 40);
            }
        }
    }
}

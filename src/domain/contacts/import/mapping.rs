//! The targets of the columns.

use crate::domain::contacts::fields::Field;
use crate::error::{Check, Result};
use crate::language::{Message, t};
use crate::sheet::heads::{self, Head};
use crate::sheet::{self, Sheet};

const REPEATABLE_TARGETS: [&str; 5] =
    ["phone_number", "other_number", "email", "tags", "last_name"];

/// Guesses each column's target from its name. Targets outside `REPEATABLE_TARGETS` are assigned once.
pub(super) fn guess(columns: &[String], sheet: &Sheet, fields: &[Field]) -> Vec<String> {
    let mut taken: Vec<String> = Vec::new();
    let holds_phones = |index: usize| {
        let cells = sheet
            .rows
            .iter()
            .filter_map(|row| row.cells.get(index))
            .filter(|cell| !cell.is_empty());
        let (mut all, mut phones) = (0, 0);
        for cell in cells.take(200) {
            all += 1;
            phones += usize::from(sheet::records::is_phone_like(cell));
        }
        phones > 0 && phones * 2 >= all
    };
    let mut mapping: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let name = heads::plain(column);
            let own = || {
                let is_it = |field: &&Field| {
                    heads::plain(&field.name) == name || heads::plain(&field.key) == name
                };
                let field = fields.iter().find(is_it).filter(|_| !name.is_empty())?;
                Some(format!("field:{}", field.key))
            };
            let known = match heads::read(column) {
                // A column of our own export.
                Some(Head::Phone(_)) if name == "othernumbers" => Some("other_number"),
                Some(Head::Phone(_)) => Some("phone_number"),
                Some(Head::Name) => Some("name"),
                Some(Head::FirstName) => Some("first_name"),
                Some(Head::MiddleName) => Some("middle_name"),
                Some(Head::LastName) => Some("last_name"),
                Some(Head::Organization) => Some("organization"),
                Some(Head::Email) => Some("email"),
                Some(Head::Notes) => Some("notes"),
                Some(Head::Tags) => Some("tags"),
                None if name == "othernumbers" => Some("other_number"),
                None => None,
            };
            let guess = known
                .map(str::to_owned)
                .or_else(own)
                .or_else(|| {
                    let is_one = heads::bare_phone(column).is_some() && holds_phones(index);
                    is_one.then(|| "phone_number".to_owned())
                })
                .filter(|what| REPEATABLE_TARGETS.contains(&what.as_str()) || !taken.contains(what))
                .unwrap_or_default();
            if !guess.is_empty() {
                taken.push(guess.clone());
            }
            guess
        })
        .collect();
    resolve_name_columns(columns, &mut mapping);
    mapping
}

/// In many languages one word means the full name or one part of it, depending on the other columns: `Nom` beside
/// `Prénom`, `Nombre` beside `Apellidos`.
fn resolve_name_columns(columns: &[String], mapping: &mut [String]) {
    let has = |mapping: &[String], what: &str| mapping.iter().any(|column| column == what);
    let Some(index) = mapping.iter().position(|what| what == "name") else {
        return;
    };
    let word = heads::plain(&columns[index]);
    let may_be_half = [
        "nombre", "nome", "nom", "name", "naam", "navn", "namn", "nume", "jmeno", "имя",
    ]
    .contains(&word.as_str());
    let half = match (has(mapping, "first_name"), has(mapping, "last_name")) {
        (true, false) if may_be_half => "last_name",
        (false, true) if may_be_half => "first_name",
        _ => return,
    };
    mapping[index] = half.into();
}

pub fn targets(fields: &[Field]) -> Vec<(String, Message)> {
    let fixed = [
        ("phone_number", t!("Phone number")),
        ("other_number", t!("Additional number (added to notes)")),
        ("name", t!("Name")),
        ("first_name", t!("First name")),
        ("middle_name", t!("Middle name")),
        ("last_name", t!("Last name")),
        ("organization", t!("Organization")),
        ("email", t!("Email")),
        ("notes", t!("Notes")),
        ("tags", t!("Tags")),
    ];
    let own = fields.iter().map(|field| {
        (
            format!("field:{}", field.key),
            Message::verbatim(&field.name),
        )
    });
    fixed
        .map(|(what, label)| (what.to_owned(), label))
        .into_iter()
        .chain(own)
        .collect()
}

pub(super) fn check_mapping(mapping: &[String], columns: usize, fields: &[Field]) -> Result<()> {
    let known = targets(fields);
    let count = |what: &str| mapping.iter().filter(|column| *column == what).count();
    let unknown = mapping
        .iter()
        .find(|what| !what.is_empty() && !known.iter().any(|(known, _)| known == *what));
    let twice = known
        .iter()
        .find(|(what, _)| count(what) > 1 && !REPEATABLE_TARGETS.contains(&what.as_str()));
    Check::default()
        .require(
            mapping.len() == columns,
            "mapping",
            t!(
                "Add one entry for each of the {columns} columns, in the same order",
                columns = columns,
            ),
        )
        .require(
            unknown.is_none(),
            "mapping",
            t!(
                "There’s no import target named “{name}”",
                name = unknown.map_or("", String::as_str),
            ),
        )
        .require(
            twice.is_none(),
            "mapping",
            t!(
                "Only one column can be imported as {target}",
                target = twice.map_or_else(|| Message::verbatim(""), |(_, label)| label.clone()),
            ),
        )
        .require(
            count("phone_number") > 0,
            "mapping",
            t!("Choose which column is the phone number. Every contact needs one."),
        )
        .finish()
}

#[cfg(test)]
mod tests {
    use super::super::file::read;
    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn guessed(file: &str) -> Vec<String> {
        let sheet = read(file.as_bytes(), None, "US").unwrap();
        guess(&sheet.columns, &sheet, &[])
    }

    #[test]
    fn columns_are_recognized_by_name() {
        for (file, mapping) in [
            (
                "Full Name,Mobile Phone,Phone,E-mail,Shoe size\nMaya,1,2,3,4\n",
                &["name", "phone_number", "phone_number", "email", ""][..],
            ),
            (
                "Nom,Prénom,Téléphone portable\nNúñez,José,1\n",
                &["last_name", "first_name", "phone_number"],
            ),
            (
                "Nombre,Apellidos,Celular\nJosé,Núñez,1\n",
                &["first_name", "last_name", "phone_number"],
            ),
            ("Nombre,Celular\nJosé,1\n", &["name", "phone_number"]),
            (
                "Name,Vorname,Handy\nMüller,Jo,1\n",
                &["last_name", "first_name", "phone_number"],
            ),
            (
                "Imię,Nazwisko,Telefon\nŁucja,Świątek,1\n",
                &["first_name", "last_name", "phone_number"],
            ),
            (
                "name,phone_number,other_numbers,email\nMaya,1,2,\n",
                &["name", "phone_number", "other_number", "email"],
            ),
            (
                "First,Last,Home,Mobile,Pager\nMaya,Okafor,415-555-0100,415-555-0142,415-555-0199\n",
                &[
                    "first_name",
                    "last_name",
                    "phone_number",
                    "phone_number",
                    "",
                ],
            ),
            (
                "Name,Home,Mobile\nMaya,12 Main St,415-555-0142\n",
                &["name", "", "phone_number"],
            ),
        ] {
            assert_eq!(guessed(file), mapping, "{file}");
        }
    }

    #[test]
    fn mapping_requires_a_number_and_known_columns() {
        for good in [
            &["name", "phone_number"][..],
            &["phone_number", "phone_number"],
            &["phone_number", "email", "email"],
        ] {
            assert!(
                check_mapping(&strings(good), good.len(), &[]).is_ok(),
                "{good:?}"
            );
        }
        for wrong in [
            &["name", ""][..],
            &["name", "name", "phone_number"],
            &["phone_number"],
            &["phone_number", "field:none"],
        ] {
            assert!(check_mapping(&strings(wrong), 2, &[]).is_err(), "{wrong:?}");
        }
    }
}

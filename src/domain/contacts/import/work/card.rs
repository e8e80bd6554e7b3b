//! What a row changes in a contact.

use super::super::job::Duplicates;
use super::super::row::{Card, ContactRow, MAX_NOTES_LENGTH};
use crate::phone;

impl Card {
    pub(super) fn updated_by(&self, row: &Self, rule: Duplicates) -> Self {
        match rule {
            Duplicates::Skip => self.clone(),
            Duplicates::Update => row.or_values_of(self),
            Duplicates::Fill => self.or_values_of(row),
        }
    }

    /// The values of `self`, and those of `other` where `self` has none.
    fn or_values_of(&self, other: &Self) -> Self {
        let mut values = other.values.clone();
        values.extend(self.values.clone());
        Self {
            name: self.name.clone().or_else(|| other.name.clone()),
            email: self.email.clone().or_else(|| other.email.clone()),
            notes: match self.notes.is_empty() {
                true => other.notes.clone(),
                false => self.notes.clone(),
            },
            values,
        }
    }
}

/// A contact is texted at one number; further numbers of a row are added to the notes, once.
pub(super) fn note_numbers(card: &mut Card, row: &ContactRow, existing: &[String]) {
    for (number, name) in &row.others {
        let written = phone::display(number.as_str());
        let is_there = card.notes.contains(&written)
            || card.notes.contains(number.as_str())
            || existing.iter().any(|existing| existing == number.as_str());
        let line = match name.is_empty() {
            true => written,
            false => format!("{name}: {written}"),
        };
        if is_there || card.notes.chars().count() + line.chars().count() >= MAX_NOTES_LENGTH {
            continue;
        }
        if !card.notes.is_empty() {
            card.notes.push('\n');
        }
        card.notes.push_str(&line);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn duplicate_rule_decides_what_is_updated() {
        let card = |name: Option<&str>, email: Option<&str>, notes: &str| Card {
            name: name.map(Into::into),
            email: email.map(Into::into),
            notes: notes.into(),
            values: BTreeMap::new(),
        };
        let (here, row) = (
            card(Some("Maya"), None, "Latex"),
            card(Some("M. Okafor"), Some("m@x.test"), ""),
        );
        assert_eq!(here.updated_by(&row, Duplicates::Skip), here);
        assert_eq!(
            here.updated_by(&row, Duplicates::Fill),
            card(Some("Maya"), Some("m@x.test"), "Latex")
        );
        assert_eq!(
            here.updated_by(&row, Duplicates::Update),
            card(Some("M. Okafor"), Some("m@x.test"), "Latex")
        );
    }

    #[test]
    fn further_numbers_are_noted_once() {
        let others = vec![
            ("+14155550110".parse().unwrap(), "Work".to_owned()),
            ("+14155550111".parse().unwrap(), String::new()),
        ];
        let row = ContactRow {
            phone: "+14155550142".parse().unwrap(),
            card: Card::default(),
            tags: Vec::new(),
            others,
        };
        let mut card = Card {
            notes: "Latex".into(),
            ..Card::default()
        };
        for _ in 0..2 {
            note_numbers(&mut card, &row, &["+14155550142".into()]);
        }
        assert_eq!(card.notes, "Latex\nWork: (415) 555-0110\n(415) 555-0111");
        let mut card = Card::default();
        note_numbers(
            &mut card,
            &row,
            &["+14155550110".into(), "+14155550111".into()],
        );
        assert_eq!(card.notes, "", "they are this contact's own");
    }
}

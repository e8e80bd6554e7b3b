//! The tags and custom fields of the demo's contacts.

use std::collections::HashMap;

use crate::db::WorkspaceTx;
use crate::domain::contacts::fields::{self, Kind, Values};
use crate::domain::contacts::tags::{self, Color};
use crate::domain::contacts::{self, ContactChange};
use crate::domain::members::Admin;
use crate::error::Result;
use crate::phone::Phone;

const TAGS: [(&str, Color); 6] = [
    ("New patient", Color::Green),
    ("Recall", Color::Blue),
    ("Family plan", Color::Purple),
    ("Anxious", Color::Orange),
    ("Latex allergy", Color::Red),
    ("Prefers mornings", Color::Teal),
];

const FIELDS: [(&str, Kind, &[&str]); 3] = [
    (
        "Insurance",
        Kind::Choice,
        &["Delta Dental", "MetLife", "Cigna", "Guardian", "Self-pay"],
    ),
    ("Born", Kind::Date, &[]),
    ("Visits", Kind::Number, &[]),
];

struct Card {
    phone: &'static str,
    tags: &'static [&'static str],
    plan: &'static str,
    born: &'static str,
    visits: &'static str,
}

const fn card(
    phone: &'static str,
    tags: &'static [&'static str],
    plan: &'static str,
    born: &'static str,
    visits: &'static str,
) -> Card {
    Card {
        phone,
        tags,
        plan,
        born,
        visits,
    }
}

const CARDS: &[Card] = &[
    card(
        "+14155550192",
        &["Family plan", "Latex allergy", "Prefers mornings"],
        "Delta Dental",
        "1988-04-17",
        "6",
    ),
    card(
        "+14155550117",
        &["New patient"],
        "Self-pay",
        "1979-11-02",
        "1",
    ),
    card("+16505550128", &["Anxious"], "Cigna", "1995-06-30", "3"),
    card("+14155550148", &["Recall"], "", "", ""),
    card(
        "+15105550173",
        &["Family plan", "Recall"],
        "MetLife",
        "1961-01-24",
        "14",
    ),
    card(
        "+16285550187",
        &["Prefers mornings"],
        "Delta Dental",
        "",
        "2",
    ),
    card(
        "+14155550161",
        &["New patient", "Anxious"],
        "Guardian",
        "2001-09-08",
        "1",
    ),
    card(
        "+16285550114",
        &["Recall"],
        "Delta Dental",
        "1984-03-11",
        "9",
    ),
    card("+16505550195", &["Recall"], "Self-pay", "", "4"),
    card(
        "+17075550133",
        &["Recall", "Family plan"],
        "Cigna",
        "1990-12-05",
        "7",
    ),
];

pub async fn fill(tx: &mut WorkspaceTx, jo: &Admin) -> Result<()> {
    let mut tags = HashMap::new();
    for (name, color) in TAGS {
        let draft = tags::Draft {
            name: name.into(),
            color: Some(color),
        };
        tags.insert(name, tags::create(tx, draft).await?.id);
    }
    for (name, kind, choices) in FIELDS {
        let draft = fields::Draft {
            name: name.into(),
            kind,
            choices: choices.iter().copied().map(Into::into).collect(),
        };
        fields::create(tx, jo, draft).await?;
    }
    for card in CARDS {
        let phone: Phone = card.phone.parse().expect("the cards have numbers");
        let contact = contacts::find_or_create(tx, &phone).await?;
        let change = ContactChange {
            custom_fields: card.fields(),
            ..ContactChange::default()
        };
        contacts::update(tx, contact, change).await?;
        for tag in card.tags {
            tags::assign(tx, contact, tags[tag]).await?;
        }
    }
    Ok(())
}

impl Card {
    fn fields(&self) -> Values {
        [
            ("insurance", self.plan),
            ("born", self.born),
            ("visits", self.visits),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.into(), Some(value.into())))
        .collect()
    }
}

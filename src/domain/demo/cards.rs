//! The tags and custom fields of the demo's contacts.

use std::collections::BTreeMap;

use serde_json::json;

use super::Office;
use crate::db::SystemTx;
use crate::db::purpose::Setup;
use crate::error::Result;

const TAGS: [(&str, &str); 6] = [
    ("New patient", "green"),
    ("Recall", "blue"),
    ("Family plan", "purple"),
    ("Anxious", "orange"),
    ("Latex allergy", "red"),
    ("Prefers mornings", "teal"),
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

pub async fn fill(tx: &mut SystemTx<Setup>, office: &Office) -> Result<()> {
    let workspace = office.workspace;
    let (names, colors): (Vec<_>, Vec<_>) = TAGS.into_iter().unzip();
    sqlx::query!(
        "insert into tags (workspace_id, name, color) select $1, t.name, t.color from unnest($2::text[], $3::text[]) as t (name, color)",
        workspace as _,
        &names as _,
        &colors as _,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "insert into contact_fields (workspace_id, key, name, kind, choices, position)
         values ($1, 'insurance', 'Insurance', 'choice', array['Delta Dental', 'MetLife', 'Cigna', 'Guardian', 'Self-pay'], 0),
                ($1, 'born', 'Born', 'date', '{}', 1),
                ($1, 'visits', 'Visits', 'number', '{}', 2)",
        workspace as _,
    )
    .execute(tx.conn())
    .await?;
    let phones: Vec<_> = CARDS.iter().map(|card| card.phone).collect();
    let filled: Vec<_> = CARDS.iter().map(Card::fields).collect();
    sqlx::query!(
        "update contacts c set custom_fields = t.fields
           from unnest($2::text[], $3::jsonb[]) as t (phone, fields)
          where c.workspace_id = $1 and c.phone_number = t.phone",
        workspace as _,
        &phones as _,
        &filled,
    )
    .execute(tx.conn())
    .await?;
    let (whose, which): (Vec<_>, Vec<_>) = CARDS
        .iter()
        .flat_map(|card| card.tags.iter().map(|tag| (card.phone, *tag)))
        .unzip();
    sqlx::query!(
        "insert into contact_tags (workspace_id, contact_id, tag_id)
         select $1, c.id, g.id
           from unnest($2::text[], $3::text[]) as t (phone, tag)
           join contacts c on c.workspace_id = $1 and c.phone_number = t.phone
           join tags g on g.workspace_id = $1 and g.name = t.tag",
        workspace as _,
        &whose as _,
        &which as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

impl Card {
    fn fields(&self) -> serde_json::Value {
        let filled: BTreeMap<_, _> = [
            ("insurance", self.plan),
            ("born", self.born),
            ("visits", self.visits),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect();
        json!(filled)
    }
}

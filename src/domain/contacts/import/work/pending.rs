//! The contacts that a batch writes.

use std::collections::{BTreeMap, HashMap};

use sqlx::types::Json;

use super::super::row::{Card, ContactRow};
use crate::db::WorkspaceTx;
use crate::error::Result;
use crate::ids::{ContactId, TagId};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Added,
    Updated,
    Skipped,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Skipped => "skipped",
        }
    }
}

/// A contact to write, merged from all rows with its number.
#[derive(Default)]
pub(super) struct PendingContact {
    /// `None`: no contact has this number yet.
    pub id: Option<ContactId>,
    pub numbers: Vec<String>,
    pub before: Card,
    pub card: Card,
    pub tags: Vec<TagId>,
    /// Those of `tags` that it did not have.
    pub new_tags: Vec<TagId>,
    pub lines: Vec<(i32, Outcome)>,
}

impl PendingContact {
    pub fn is_changed(&self) -> bool {
        self.card != self.before || !self.new_tags.is_empty()
    }
}

/// The contacts that have one of these numbers, by number. Locks them until the end of the transaction.
pub(super) async fn existing(
    tx: &mut WorkspaceTx,
    rows: &[(i32, ContactRow)],
) -> Result<HashMap<String, PendingContact>> {
    let mut phones: Vec<_> = rows.iter().map(|(_, row)| row.phone.as_str()).collect();
    phones.sort_unstable();
    phones.dedup();
    let found = sqlx::query!(
        r#"select k.phone as "phone!", c.id, c.name, c.email, c.notes,
                  c.phone_number, addresses_of(c.workspace_id, c.id) as "addresses!",
                  c.custom_fields as "values: Json<BTreeMap<String, String>>",
                  array(select o.tag_id from contact_tags o where o.workspace_id = c.workspace_id and o.contact_id = c.id) as "tags!: Vec<TagId>"
             from (select t.phone, contact_at(t.phone) as id from unnest($1::text[]) as t (phone)) k
             join contacts c on c.id = k.id
            order by c.id
              for no key update of c"#,
        &phones as _,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(found
        .into_iter()
        .map(|row| {
            let card = Card {
                name: row.name,
                email: row.email,
                notes: row.notes,
                values: row.values.0,
            };
            let contact = PendingContact {
                id: Some(row.id),
                numbers: [row.addresses, vec![row.phone_number]].concat(),
                before: card.clone(),
                card,
                tags: row.tags,
                new_tags: Vec::new(),
                lines: Vec::new(),
            };
            (row.phone, contact)
        })
        .collect())
}

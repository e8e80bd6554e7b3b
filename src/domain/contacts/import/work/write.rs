//! Writes the contacts of a batch.

use std::collections::HashMap;

use serde_json::json;

use super::pending::{Outcome, PendingContact};
use super::remember::remember;
use crate::db::WorkspaceTx;
use crate::error::Result;
use crate::ids::{ContactId, ImportId, TagId};

/// Writes the contacts and returns the outcome of each line. A row whose number another transaction inserted meanwhile
/// stays for the next batch.
pub(super) async fn write(
    tx: &mut WorkspaceTx,
    import: ImportId,
    contacts_by_number: HashMap<String, PendingContact>,
) -> Result<Vec<(i32, Outcome)>> {
    let mut contacts_by_number: Vec<_> = contacts_by_number.into_iter().collect();
    // Sorted by number, so that two imports at once cannot deadlock.
    contacts_by_number.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let new_contacts: Vec<_> = contacts_by_number
        .iter()
        .filter(|(_, p)| p.id.is_none())
        .collect();
    let ids: Vec<_> = new_contacts.iter().map(|_| ContactId::new()).collect();
    let added = sqlx::query!(
        r#"insert into contacts (id, phone_number, name, email, notes, custom_fields, created_by)
           select t.id, t.phone, t.name, t.email, t.notes, t.fields, current_user_id()
             from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[])
                  as t (id, phone, name, email, notes, fields)
               on conflict (workspace_id, phone_number) do nothing
           returning id, phone_number"#,
        &ids as _,
        &new_contacts
            .iter()
            .map(|(phone, _)| phone.as_str())
            .collect::<Vec<_>>() as _,
        &new_contacts
            .iter()
            .map(|(_, p)| p.card.name.as_deref())
            .collect::<Vec<_>>() as _,
        &new_contacts
            .iter()
            .map(|(_, p)| p.card.email.as_deref())
            .collect::<Vec<_>>() as _,
        &new_contacts
            .iter()
            .map(|(_, p)| p.card.notes.as_str())
            .collect::<Vec<_>>() as _,
        &new_contacts
            .iter()
            .map(|(_, p)| json!(p.card.values))
            .collect::<Vec<_>>(),
    )
    .fetch_all(tx.conn())
    .await?;
    let added: HashMap<String, ContactId> = added
        .into_iter()
        .map(|row| (row.phone_number, row.id))
        .collect();
    for (phone, contact) in &mut contacts_by_number {
        contact.id = contact.id.or_else(|| added.get(phone).copied());
    }
    contacts_by_number.retain(|(_, contact)| contact.id.is_some());
    change(tx, &contacts_by_number, &added).await?;
    give_tags(tx, &contacts_by_number).await?;
    let written: Vec<_> = contacts_by_number
        .iter()
        .filter_map(|(phone, contact)| Some((contact.id?, added.contains_key(phone), contact)))
        .collect();
    remember(tx, import, &written).await?;
    Ok(contacts_by_number
        .into_iter()
        .flat_map(|(_, contact)| contact.lines)
        .collect())
}

async fn change(
    tx: &mut WorkspaceTx,
    contacts_by_number: &[(String, PendingContact)],
    added: &HashMap<String, ContactId>,
) -> Result<()> {
    let changed: Vec<_> = contacts_by_number
        .iter()
        .filter(|(phone, contact)| !added.contains_key(phone) && contact.card != contact.before)
        .map(|(_, contact)| contact)
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update contacts c
            set name = t.name, email = t.email, notes = t.notes, custom_fields = t.fields,
                updated_at = clock_timestamp(), updated_by = current_user_id()
           from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::jsonb[]) as t (id, name, email, notes, fields)
          where c.id = t.id",
        &changed.iter().map(|p| p.id).collect::<Vec<_>>() as _,
        &changed
            .iter()
            .map(|p| p.card.name.as_deref())
            .collect::<Vec<_>>() as _,
        &changed
            .iter()
            .map(|p| p.card.email.as_deref())
            .collect::<Vec<_>>() as _,
        &changed
            .iter()
            .map(|p| p.card.notes.as_str())
            .collect::<Vec<_>>() as _,
        &changed
            .iter()
            .map(|p| json!(p.card.values))
            .collect::<Vec<_>>(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn give_tags(
    tx: &mut WorkspaceTx,
    contacts_by_number: &[(String, PendingContact)],
) -> Result<()> {
    let pairs: Vec<(Option<ContactId>, TagId)> = contacts_by_number
        .iter()
        .flat_map(|(_, contact)| contact.tags.iter().map(|tag| (contact.id, *tag)))
        .collect();
    if pairs.is_empty() {
        return Ok(());
    }
    // A tag that was deleted meanwhile is not added.
    sqlx::query!(
        "insert into contact_tags (contact_id, tag_id)
         select t.contact, t.tag from unnest($1::uuid[], $2::uuid[]) as t (contact, tag)
          where exists (select from tags g where g.id = t.tag)
             on conflict do nothing",
        &pairs
            .iter()
            .map(|(contact, _)| *contact)
            .collect::<Vec<_>>() as _,
        &pairs.iter().map(|(_, tag)| *tag).collect::<Vec<_>>() as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

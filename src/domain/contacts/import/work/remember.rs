//! Keeps what a batch did to each contact, so that the import can be undone.

use serde_json::{Value, json};

use super::super::row::Card;
use super::pending::PendingContact;
use crate::db::WorkspaceTx;
use crate::error::Result;
use crate::ids::{ContactId, ImportId};

pub(super) fn as_json(card: &Card) -> Value {
    json!({"name": card.name, "email": card.email, "notes": card.notes, "custom_fields": card.values})
}

/// A contact of several batches keeps what it was before the first one. One round trip.
pub(super) async fn remember(
    tx: &mut WorkspaceTx,
    import: ImportId,
    contacts: &[(ContactId, bool, &PendingContact)],
) -> Result<()> {
    let changed = contacts
        .iter()
        .filter(|(_, is_new, contact)| *is_new || contact.is_changed());
    let (mut ids, mut before, mut after, mut tags) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (id, is_new, contact) in changed {
        ids.push(*id);
        before.push((!is_new).then(|| as_json(&contact.before)));
        after.push(as_json(&contact.card));
        tags.push(json!(contact.new_tags));
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into contact_import_changes (import_id, contact_id, before, after, tag_ids)
         select $1, t.contact, t.before, t.after, array(select jsonb_array_elements_text(t.tags)::uuid)
           from unnest($2::uuid[], $3::jsonb[], $4::jsonb[], $5::jsonb[]) as t (contact, before, after, tags)
             on conflict (workspace_id, import_id, contact_id) do update
            set after = excluded.after, tag_ids = contact_import_changes.tag_ids || excluded.tag_ids",
        import as _,
        &ids as _,
        &before as _,
        &after,
        &tags,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

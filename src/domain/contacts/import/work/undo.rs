//! Takes back what an import did, in batches, each in one transaction.
//!
//! A contact that the import added is deleted, unless it has been texted, changed, tagged or merged since. One that it
//! changed gets its earlier values and tags back, unless its values have been changed since.

use super::lease::{Due, LEASE_SECONDS};
use crate::db::purpose::Contacts;
use crate::db::{SystemTx, WorkspaceTx};
use crate::domain::contacts::{lock, remove};
use crate::error::Result;
use crate::events::Event;
use crate::ids::{ContactId, ImportId, WorkspaceId};

const BATCH_SIZE: i64 = 500;
/// How many kept contacts are listed.
const MOST_LISTED: usize = 100;

/// Undoes the next batch; returns whether there is more to do. Fifteen round trips.
pub(super) async fn run_batch(tx: WorkspaceTx, due: &Due) -> Result<bool> {
    let (workspace, import) = (due.workspace, due.id);
    let mut tx = tx.with_system_rights(Contacts).await?;
    let ids = next(&mut tx, workspace, import).await?;
    if ids.is_empty() {
        finish(&mut tx, workspace, import).await?;
        tx.commit().await?;
        return Ok(false);
    }
    lock::with_conversations(&mut tx, workspace, &ids).await?;
    let fates = fates(&mut tx, workspace, import, &ids).await?;
    let of = |wanted| -> Vec<ContactId> {
        let chosen = fates.iter().filter(|(_, fate)| *fate == wanted);
        chosen.map(|(id, _)| *id).collect()
    };
    let (remove_ids, restore_ids) = (of(Fate::Remove), of(Fate::Restore));
    restore(&mut tx, due, &restore_ids).await?;
    if !remove_ids.is_empty() {
        remove::delete_with_conversations(&mut tx, workspace, &remove_ids).await?;
    }
    let (texted, changed) = (of(Fate::KeepTexted), of(Fate::KeepChanged));
    let counts = [
        remove_ids.len(),
        restore_ids.len(),
        texted.len(),
        changed.len(),
    ];
    let kept = [texted, changed].concat();
    record(&mut tx, due, counts, &kept, &ids).await?;
    tx.commit().await?;
    Ok(true)
}

async fn next(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    import: ImportId,
) -> Result<Vec<ContactId>> {
    Ok(sqlx::query_scalar!(
        r#"select contact_id as "contact: ContactId" from contact_import_changes
            where workspace_id = $1 and import_id = $2 order by contact_id limit $3"#,
        workspace as _,
        import as _,
        BATCH_SIZE,
    )
    .fetch_all(tx.conn())
    .await?)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Remove,
    Restore,
    KeepTexted,
    KeepChanged,
}

async fn fates(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    import: ImportId,
    ids: &[ContactId],
) -> Result<Vec<(ContactId, Fate)>> {
    let rows = sqlx::query!(
        r#"select c.id, h.before is null as "is_new!", c.texted,
                  c.merged_into is null and not exists (select from contacts m where m.workspace_id = $1 and m.merged_into = c.id)
                      and jsonb_build_object('name', c.name, 'email', c.email, 'notes', c.notes, 'custom_fields', c.custom_fields) = h.after
                      as "has_its_values!",
                  (select coalesce(array_agg(o.tag_id order by o.tag_id), '{}') from contact_tags o
                    where o.workspace_id = $1 and o.contact_id = c.id)
                  <@ h.tag_ids as "has_its_tags!"
             from contact_import_changes h
             join contacts c on c.workspace_id = $1 and c.id = h.contact_id
            where h.workspace_id = $1 and h.import_id = $2 and h.contact_id = any ($3)"#,
        workspace as _,
        import as _,
        ids as _,
    )
    .fetch_all(tx.conn())
    .await?;
    let fates = rows.into_iter().map(|row| {
        let fate = match (row.is_new, row.has_its_values) {
            (true, _) if row.texted => Fate::KeepTexted,
            (true, true) if row.has_its_tags => Fate::Remove,
            (false, true) => Fate::Restore,
            _ => Fate::KeepChanged,
        };
        (row.id, fate)
    });
    Ok(fates.collect())
}

/// The earlier values, and without the tags that the import gave.
async fn restore(tx: &mut SystemTx<Contacts>, due: &Due, ids: &[ContactId]) -> Result<()> {
    sqlx::query!(
        "update contacts c
            set name = h.before ->> 'name', email = h.before ->> 'email', notes = h.before ->> 'notes',
                custom_fields = h.before -> 'custom_fields', updated_at = clock_timestamp(), updated_by = $4
           from contact_import_changes h
          where h.workspace_id = $1 and h.import_id = $2 and h.contact_id = any ($3)
            and c.workspace_id = $1 and c.id = h.contact_id and h.before is distinct from h.after",
        due.workspace as _,
        due.id as _,
        ids as _,
        due.by as _,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "delete from contact_tags o
          using contact_import_changes h
          where h.workspace_id = $1 and h.import_id = $2 and h.contact_id = any ($3)
            and o.workspace_id = $1 and o.contact_id = h.contact_id and o.tag_id = any (h.tag_ids)",
        due.workspace as _,
        due.id as _,
        ids as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Counts the batch, and forgets its changes.
async fn record(
    tx: &mut SystemTx<Contacts>,
    due: &Due,
    counts: [usize; 4],
    kept: &[ContactId],
    ids: &[ContactId],
) -> Result<()> {
    let [removed, restored, texted, changed] =
        counts.map(|count| i32::try_from(count).unwrap_or(i32::MAX));
    let kept = &kept[..kept.len().min(MOST_LISTED)];
    sqlx::query!(
        "update contact_imports
            set removed = removed + $3, restored = restored + $4, kept_texted = kept_texted + $5, kept_changed = kept_changed + $6,
                kept = case when jsonb_array_length(kept) < 100 then kept || to_jsonb($7::uuid[]) else kept end,
                lease_until = now() + make_interval(secs => $8)
          where workspace_id = $1 and id = $2",
        due.workspace as _,
        due.id as _,
        removed,
        restored,
        texted,
        changed,
        kept as _,
        LEASE_SECONDS,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "delete from contact_import_changes where workspace_id = $1 and import_id = $2 and contact_id = any ($3)",
        due.workspace as _,
        due.id as _,
        ids as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn finish(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    import: ImportId,
) -> Result<()> {
    sqlx::query!(
        "update contact_imports set state = 'undone', lease_until = null where workspace_id = $1 and id = $2",
        workspace as _,
        import as _,
    )
    .execute(tx.conn())
    .await?;
    tx.announce(Event::Missed { workspace });
    Ok(())
}

//! Processes the rows of an import in batches, each in one transaction.

mod card;
mod lease;
mod outcomes;
mod pending;
mod remember;
mod rows;
mod undo;
mod write;

pub use lease::{Due, due};

use super::job::{Import, State};
use crate::db::purpose::Jobs;
use crate::db::{Db, TenantContext, WorkspaceTx};
use crate::error::Result;
use crate::events::Event;
use crate::ids::ImportId;
use outcomes::record_outcomes;
use rows::{import_rows, next_rows};

/// Imports the next batch; returns whether there is more to do. Ten round trips for 500 rows, and two for each new tag.
pub async fn run_batch(db: &Db, due: &Due) -> Result<bool> {
    let Some(user) = due.by else {
        return end_without_rights(db, due).await;
    };
    let mut tx = db
        .workspace(TenantContext {
            workspace: due.workspace,
            user,
            address: None,
        })
        .await?;
    let Some(import) = lock(&mut tx, due.id).await? else {
        return end_without_rights(db, due).await;
    };
    match import.state {
        State::Undoing => return undo::run_batch(tx, due).await,
        State::Running => {}
        _ => return Ok(false),
    }
    let rows = next_rows(&mut tx, due.id).await?;
    if rows.is_empty() {
        finish(&mut tx, due.id).await?;
        tx.commit().await?;
        return Ok(false);
    }
    let row_outcomes = import_rows(&mut tx, &import, rows).await?;
    record_outcomes(&mut tx, due.id, row_outcomes).await?;
    tx.commit().await?;
    Ok(true)
}

/// The user who started it is no longer an admin here.
async fn end_without_rights(db: &Db, due: &Due) -> Result<bool> {
    sqlx::query!(
        "update contact_imports set state = 'failed', finished_at = now(),
                failure = 'The person who started this import is no longer an admin of this workspace. Rows imported before that are kept.'
          where workspace_id = $1 and id = $2 and state in ('running', 'undoing')",
        due.workspace as _,
        due.id as _,
    )
    .execute(db.system_pool(Jobs))
    .await?;
    Ok(false)
}

async fn lock(tx: &mut WorkspaceTx, id: ImportId) -> Result<Option<Import>> {
    Ok(sqlx::query_as!(
        Import,
        r#"select id, file_name, state, encoding, delimiter, columns, mapping, duplicates, region, tag_ids as "tag_ids: _",
                  total, done, added, updated, skipped, refused, left_out, new_rows, duplicate_rows, invalid_rows,
                  flagged as "flagged: _", problems as "problems: _", failure, created_by, created_by_name, created_at,
                  finished_at, undone_by_name, removed, restored, kept_texted, kept_changed, kept as "kept: _",
                  (state in ('done', 'failed') and finished_at > now() - interval '1 day'
                   and exists (select from contact_import_changes h where h.import_id = contact_imports.id)) as "can_undo!"
             from contact_imports where id = $1 for update"#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Deletes the imported rows; refused rows stay for a while, to be corrected.
async fn finish(tx: &mut WorkspaceTx, id: ImportId) -> Result<()> {
    sqlx::query!(
        "update contact_imports set state = 'done', finished_at = now(), lease_until = null where id = $1",
        id as _,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "delete from contact_import_rows where import_id = $1 and outcome <> 'refused'",
        id as _,
    )
    .execute(tx.conn())
    .await?;
    // Clients refetch their lists: an event for each contact would be too many.
    tx.announce(Event::Missed {
        workspace: tx.workspace(),
    });
    Ok(())
}

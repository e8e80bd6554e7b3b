//! Deletes files without a row from storage. The database records each file when its row is deleted, so that a crash
//! loses none; a deletion that fails is retried.

use super::thumbnail_key;
use crate::app::App;
use crate::db::purpose::{Fetch, Jobs};
use crate::db::{Db, SystemTx};
use crate::error::Result;

/// Schedules a file for deletion.
pub(super) async fn remove(tx: &mut SystemTx<Fetch>, file: &str) -> Result<()> {
    sqlx::query!(
        "insert into removed_files (file) values ($1) on conflict do nothing",
        file
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Deletes due files and returns how many there were. Repeating it is safe: file names are never reused.
pub async fn delete_due(app: &App, most: i64) -> Result<usize> {
    let files = due(&app.db, most).await?;
    let mut gone = Vec::with_capacity(files.len());
    for file in files {
        let removed = async {
            app.storage.remove(&file).await?;
            app.storage.remove(&thumbnail_key(&file)).await
        };
        match removed.await {
            Ok(()) => gone.push(file),
            Err(error) => {
                tracing::warn!(%error, "could not delete a file from storage: retrying later")
            }
        }
    }
    sqlx::query!("delete from removed_files where file = any ($1)", &gone)
        .execute(app.db.system_pool(Jobs))
        .await?;
    Ok(gone.len())
}

async fn due(db: &Db, most: i64) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        "with due as (
             select file from removed_files where due_at <= now() order by due_at limit $1 for update skip locked
         )
         update removed_files r set due_at = now() + interval '5 minutes'
           from due d
          where r.file = d.file
         returning r.file",
        most,
    )
    .fetch_all(db.system_pool(Jobs))
    .await?)
}

/// Deletes uploads that were not sent within a day and are in no draft.
pub async fn forget_unused(db: &Db) -> Result<()> {
    sqlx::query!(
        "delete from message_media d
          where d.message_id is null and d.created_at < now() - interval '1 day'
            and not exists (select from drafts t where t.workspace_id = d.workspace_id and t.user_id = d.uploaded_by and d.id = any (t.media_ids))"
    )
    .execute(db.system_pool(Jobs))
    .await?;
    Ok(())
}

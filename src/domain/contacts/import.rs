//! Imports contacts from a table: the file is previewed first, then its rows are imported one by one.
//!
//! The rows are stored in the database until they are processed. A worker holds a lease on an import and processes it
//! in batches. One transaction holds a batch and the outcome of each row, so after a crash the import resumes and no
//! row is imported twice. It runs with the rights of the admin who started it and fails once that user is no longer an
//! admin.

mod file;
mod flagged;
mod job;
mod mapping;
pub mod numbers;
mod preview;
pub mod problems;
mod refused;
pub mod row;
mod start;
mod store;
mod undo;
pub mod work;

pub use file::{MAX_FILE_BYTES, MAX_LINES, parse_encoding};
pub use job::{Duplicates, Import, State, find, first_rows, list};
pub use mapping::targets;
pub use refused::{Refused, keep_refused, refused, refused_table, width_without_reasons};
pub use start::{Start, start, update_mapping};
pub use store::upload;
pub use undo::undo;

use crate::db::Db;
use crate::db::purpose::Jobs;
use crate::error::Result;

/// Deletes imports that were not started within a day, rows of imports that finished 30 days ago, and what can no longer
/// be undone.
pub async fn delete_expired(db: &Db) -> Result<()> {
    sqlx::query!("delete from contact_imports where state = 'mapping' and created_at < now() - interval '1 day'")
        .execute(db.system_pool(Jobs))
        .await?;
    sqlx::query!(
        "delete from contact_import_rows r
          using contact_imports i
          where i.finished_at < now() - interval '30 days' and r.workspace_id = i.workspace_id and r.import_id = i.id"
    )
    .execute(db.system_pool(Jobs))
    .await?;
    sqlx::query!(
        "delete from contact_import_changes h
          using contact_imports i
          where i.finished_at < now() - interval '1 day' and i.state in ('done', 'failed')
            and h.workspace_id = i.workspace_id and h.import_id = i.id"
    )
    .execute(db.system_pool(Jobs))
    .await?;
    Ok(())
}

//! Begins the undo of an import. A worker does it, as it does the import.

use super::job::{Import, find};
use crate::db::WorkspaceTx;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Admin;
use crate::error::{Error, Result};
use crate::ids::ImportId;

/// Within a day of its end. A second call changes nothing.
pub async fn undo(tx: &mut WorkspaceTx, admin: &Admin, id: ImportId) -> Result<Import> {
    let import = find(tx, admin, id).await?;
    if import.is_undoing() || import.is_undone() {
        return Ok(import);
    }
    let begun = sqlx::query!(
        "update contact_imports
            set state = 'undoing', lease_until = null, undone_by = current_user_id(), undone_by_name = $2
          where id = $1 and state in ('done', 'failed') and finished_at > now() - interval '1 day'",
        id as _,
        admin.name,
    )
    .execute(tx.conn())
    .await?;
    if begun.rows_affected() == 0 {
        return Err(Error::TooLate);
    }
    let audit_record = AuditRecord {
        subject: &import.file_name,
        subject_id: Some(id.0),
        ..AuditRecord::default()
    };
    audit::record(tx, AuditAction::ContactImportUndone, audit_record).await?;
    find(tx, admin, id).await
}

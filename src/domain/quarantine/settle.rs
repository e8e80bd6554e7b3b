//! Marks a call as settled.

use serde::Serialize;
use serde_json::json;

use super::call::State;
use super::rows::Row;
use crate::db::Db;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Admin;
use crate::error::Result;

/// How many were released or discarded, and how many still wait.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Settled {
    pub settled: i64,
    /// Calls that could not be processed, because their number is gone.
    pub failed: i64,
    pub waiting: i64,
}

/// Marks the call as settled, deletes its body and writes the audit entry.
pub(super) async fn settle(db: &Db, admin: &Admin, row: &Row, state: State) -> Result<()> {
    let mut tx = db.workspace(admin.tenant()).await?;
    let settled = sqlx::query!(
        "update quarantine set state = $2, settled_at = now(), body = '' where id = $1 and state = 'waiting'",
        row.id as _,
        state as _,
    )
    .execute(tx.conn())
    .await?;
    if settled.rows_affected() == 0 {
        return Ok(()); // settled by a concurrent request
    }
    let action = match state {
        State::Discarded => AuditAction::QuarantineDiscarded,
        State::Waiting | State::Released => AuditAction::QuarantineReleased,
    };
    let audit_record = AuditRecord {
        subject: &row.provider_sid,
        subject_id: Some(row.id.0),
        after: Some(
            json!({"kind": row.kind, "phone_number": row.phone_number, "sender": row.sender}),
        ),
        ..AuditRecord::default()
    };
    audit::record(&mut tx, action, audit_record).await?;
    tx.commit().await
}

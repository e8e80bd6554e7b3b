//! Discards calls.

use serde_json::json;

use super::call::{QuarantinedCall, State};
use super::list::find;
use super::rows;
use super::settle::{Settled, settle};
use crate::db::Db;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Admin;
use crate::error::Result;
use crate::ids::{NumberId, QuarantineId};

pub async fn discard(db: &Db, admin: &Admin, id: QuarantineId) -> Result<QuarantinedCall> {
    let mut tx = db.workspace(admin.tenant()).await?;
    let row = rows::row(&mut tx, id).await?;
    drop(tx);
    settle(db, admin, &row, State::Discarded).await?;
    let mut tx = db.workspace(admin.tenant()).await?;
    find(&mut tx, admin, id).await
}

pub async fn discard_all(db: &Db, admin: &Admin, number: Option<NumberId>) -> Result<Settled> {
    let mut tx = db.workspace(admin.tenant()).await?;
    let discarded = sqlx::query!(
        "update quarantine set state = 'discarded', settled_at = now(), body = ''
          where state = 'waiting' and ($1::uuid is null or number_id = $1)",
        number as _,
    )
    .execute(tx.conn())
    .await?
    .rows_affected();
    if discarded > 0 {
        let audit_record = AuditRecord {
            subject: "all that waited",
            after: Some(json!({"calls": discarded})),
            ..AuditRecord::default()
        };
        audit::record(&mut tx, AuditAction::QuarantineDiscarded, audit_record).await?;
    }
    let waiting = rows::count_waiting(&mut tx, number).await?;
    tx.commit().await?;
    Ok(Settled {
        settled: i64::try_from(discarded).unwrap_or(i64::MAX),
        failed: 0,
        waiting,
    })
}

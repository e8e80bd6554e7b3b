//! Counts conversations, for the menu.

use serde::Deserialize;
use sqlx::types::Json;

use crate::db::WorkspaceTx;
use crate::error::Result;

/// A row of `menu_counts`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Counts {
    pub open: i64,
    pub mine: i64,
    pub unassigned: i64,
    pub waiting: i64,
    pub pending: i64,
    pub snoozed: i64,
    pub unread: i64,
    /// Conversations with unseen mentions of the member.
    pub mentions: i64,
    /// Quarantined webhook calls that wait for an admin; counting stops at 100.
    pub quarantined: i64,
}

/// Counting stops at 1,000 ("999+"), so the cost does not grow with the inbox.
pub async fn counts(tx: &mut WorkspaceTx) -> Result<Counts> {
    let counts = sqlx::query_scalar!(
        r#"select to_jsonb(c) as "counts!: Json<Counts>" from menu_counts(true) c"#
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(counts.0)
}

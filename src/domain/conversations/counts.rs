//! Counts conversations, for the menu.

use crate::db::WorkspaceTx;
use crate::error::Result;

#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub open: i64,
    pub mine: i64,
    pub pending: i64,
    pub snoozed: i64,
    pub unread: i64,
    /// Conversations with unseen mentions of the member.
    pub mentions: i64,
    /// Quarantined webhook calls that wait for an admin; counting stops at 100.
    pub quarantined: i64,
}

/// The counts among the columns of a statement, if its argument `$1` says so.
macro_rules! with_counts {
    ($before:literal, $after:literal, $($arguments:tt)*) => {
        sqlx::query!(
            "select " + $before + r#"
                  (select count(*) from (select from conversations where $1 and status = 'open' limit 1000) t) as "open!",
                  (select count(*) from (select from conversations
                                          where $1 and status = 'open' and assignee_id = current_user_id() limit 1000) t) as "mine!",
                  (select count(*) from (select from conversations where $1 and status = 'pending' limit 1000) t) as "pending!",
                  (select count(*) from (select from conversations where $1 and status = 'snoozed' limit 1000) t) as "snoozed!",
                  (select count(*) from (select distinct conversation_id from mentions
                                          where $1 and user_id = current_user_id() and seen_at is null limit 1000) t) as "mentions!",
                  (select count(*) from (select from conversations
                                          where $1 and status = 'open' and is_unread limit 1000) t) as "unread!",
                  -- Nothing, for whoever is no admin.
                  (select count(*) from (select from quarantine where $1 and state = 'waiting' limit 100) t) as "quarantined!""# + $after,
            $($arguments)*
        )
    };
}
pub(in crate::domain) use with_counts;

/// The counts of a row of `with_counts`.
macro_rules! counts_in {
    ($row:ident) => {
        crate::domain::conversations::Counts {
            open: $row.open,
            mine: $row.mine,
            pending: $row.pending,
            snoozed: $row.snoozed,
            unread: $row.unread,
            mentions: $row.mentions,
            quarantined: $row.quarantined,
        }
    };
}
pub(in crate::domain) use counts_in;

/// Counting stops at 1,000 ("999+"), so the cost does not grow with the inbox.
pub async fn counts(tx: &mut WorkspaceTx) -> Result<Counts> {
    let row = with_counts!("", "", true).fetch_one(tx.conn()).await?;
    Ok(counts_in!(row))
}

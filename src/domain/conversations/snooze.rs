//! Snoozed conversations and the end of a snooze.

use chrono::{DateTime, Months, Utc};

use crate::clock;
use crate::db::Db;
use crate::db::purpose::Jobs;
use crate::error::Result;
use crate::events::Event;
use crate::ids::{ConversationId, NumberId, WorkspaceId};

/// A later time is taken for a mistake.
const MAX_DELAY: Months = Months::new(12);

pub(super) fn is_valid_time(until: DateTime<Utc>) -> bool {
    let now = clock::now();
    until > now
        && now
            .checked_add_months(MAX_DELAY)
            .is_none_or(|latest| until <= latest)
}

const BATCH: i64 = 100;

/// Reopens conversations whose snooze is over, as unread; returns their number. Several servers may run it. One round
/// trip.
pub async fn end_due(db: &Db) -> Result<usize> {
    let mut tx = db.system(Jobs).await?;
    let ended = sqlx::query!(
        r#"update conversations v
              set status = 'open', snoozed_until = null, unread_count = greatest(v.unread_count, 1), updated_at = now()
             from (select d.workspace_id, d.id from conversations d
                    where d.status = 'snoozed' and d.snoozed_until <= now()
                    order by d.snoozed_until
                    limit $1
                      for no key update skip locked) as d
            where v.workspace_id = d.workspace_id and v.id = d.id
           returning v.workspace_id as "workspace: WorkspaceId", v.id as "id: ConversationId", v.number_id as "number: NumberId""#,
        BATCH,
    )
    .fetch_all(tx.conn())
    .await?;
    for row in &ended {
        tx.announce(Event::ConversationChanged {
            workspace: row.workspace,
            conversation: row.id,
            number: row.number,
        });
    }
    tx.commit().await?;
    Ok(ended.len())
}

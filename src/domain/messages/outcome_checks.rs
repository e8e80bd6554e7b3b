//! Checks of unconfirmed texts: those whose response from the provider was lost.
//!
//! A status callback for a text resolves it at any time. Until then the provider is asked at growing intervals: by its
//! message list, where a text that is missing after ten minutes was never accepted and is sent again; or, if requests
//! carry a key, by the same request again.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::outbox::Leased;
use crate::db::Db;
use crate::db::purpose::Delivery;
use crate::domain::integrations::calls::CallCapacity;
use crate::error::Result;
use crate::ids::{ConversationId, IntegrationId, MessageId, NumberId, WorkspaceId};
use crate::providers::{HoldScope, Outcome, RemoteMessage};

/// Delays before each check: the checks are 15 seconds, one, three and ten minutes after the response was lost.
const CHECK_DELAYS: [Duration; 4] = [
    Duration::from_secs(15),
    Duration::from_secs(45),
    Duration::from_secs(120),
    Duration::from_secs(420),
];

const MAX_CHECKS: i16 = CHECK_DELAYS.len() as i16;

/// An unconfirmed text that is due for a check.
pub struct UnconfirmedText {
    pub text: Leased,
    /// When it was created; the provider cannot have accepted it earlier.
    pub since: DateTime<Utc>,
    pub check_number: i16,
}

impl UnconfirmedText {
    /// Whether this is the last check: a text that is missing now was never accepted.
    pub fn is_last(&self) -> bool {
        self.check_number >= MAX_CHECKS
    }
}

/// Leases unconfirmed texts that are due for a check for one minute, within the call capacity of each integration. Only
/// a completed check is counted: after a crash nothing is known. One round trip.
pub async fn due(db: &Db, capacity: &CallCapacity) -> Result<Vec<UnconfirmedText>> {
    let rows = sqlx::query!(
        r#"with open as (
               select m.workspace_id, m.id, m.integration_id,
                      row_number() over (partition by m.integration_id order by m.id) as nth
                 from messages m
                where m.status = 'unconfirmed' and m.outcome_checks < $2
                  and coalesce(m.due_at, m.updated_at + make_interval(secs => $3)) <= now()
                  -- A twin that is being sent now would be taken for it.
                  and not exists (select from messages t
                                   where t.workspace_id = m.workspace_id and t.conversation_id = m.conversation_id
                                     and t.status = 'sending')
           ), due as (
               select m.workspace_id, m.id
                 from open o
                 join messages m on m.workspace_id = o.workspace_id and m.id = o.id
                where o.nth <= coalesce((select b.room from unnest($5::uuid[], $6::integer[]) as b (integration, room)
                                          where b.integration = o.integration_id), $4)
                  -- Another server may have taken it since.
                  and m.status = 'unconfirmed' and m.outcome_checks < $2
                  and coalesce(m.due_at, m.updated_at + make_interval(secs => $3)) <= now()
                order by m.id
                limit $1
                  for no key update of m skip locked
           )
           update messages m
              set due_at = now() + interval '1 minute'
             from due d, numbers n, contacts c
            where m.workspace_id = d.workspace_id and m.id = d.id
              and n.workspace_id = m.workspace_id and n.id = m.number_id
              and c.workspace_id = m.workspace_id and c.id = m.contact_id
           returning m.workspace_id as "workspace: WorkspaceId", m.id as "id: MessageId", m.conversation_id as "conversation: ConversationId",
                     m.number_id as "number: NumberId", m.integration_id as "integration: IntegrationId", m.attempts as attempt,
                     n.phone_number as "from", coalesce(m.address, c.phone_number) as "to!", m.content, m.expires_at, m.created_at, m.outcome_checks,
                     outgoing_media(m.workspace_id, m.id, m.message_type) as "media!""#,
        i64::from(capacity.all),
        MAX_CHECKS,
        CHECK_DELAYS[0].as_secs_f64(),
        capacity.each,
        &capacity.integrations as _,
        &capacity.left,
    )
    .fetch_all(db.system_pool(Delivery))
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| UnconfirmedText {
            text: Leased {
                workspace: row.workspace,
                id: row.id,
                conversation: row.conversation,
                number: row.number,
                integration: row.integration,
                attempt: row.attempt,
                from: row.from,
                to: row.to,
                content: row.content,
                media: row.media,
                is_disconnected: false,
                expires_at: row.expires_at,
            },
            since: row.created_at,
            check_number: row.outcome_checks + 1,
        })
        .collect())
}

/// Records a check that found nothing, and schedules the next one. One round trip.
pub async fn record_check(db: &Db, unconfirmed: &UnconfirmedText) -> Result<()> {
    let next = usize::try_from(unconfirmed.check_number).unwrap_or_default();
    let delay = CHECK_DELAYS.get(next).copied().unwrap_or_default();
    sqlx::query!(
        "update messages set outcome_checks = $3, due_at = now() + make_interval(secs => $4)
          where workspace_id = $1 and id = $2 and status = 'unconfirmed'",
        unconfirmed.text.workspace as _,
        unconfirmed.text.id as _,
        unconfirmed.check_number,
        delay.as_secs_f64(),
    )
    .execute(db.system_pool(Delivery))
    .await?;
    Ok(())
}

/// The outcome that the provider's list implies; `None`: check again later.
pub async fn outcome_of(
    db: &Db,
    unconfirmed: &UnconfirmedText,
    found: Vec<RemoteMessage>,
) -> Result<Option<Outcome>> {
    let sids: Vec<_> = found
        .iter()
        .map(|remote| remote.provider_sid.clone())
        .collect();
    let assigned = assigned_sids(
        db,
        unconfirmed.text.workspace,
        unconfirmed.text.integration,
        &sids,
    )
    .await?;
    // Users may send the same text twice: the oldest one that belongs to no other message is this one.
    let unassigned = found
        .into_iter()
        .find(|remote| !assigned.contains(&remote.provider_sid));
    Ok(match unassigned {
        Some(remote) => Some(Outcome::Sent {
            status: remote.status.unwrap_or(crate::providers::Status::Sent),
            provider_sid: remote.provider_sid,
            segments: remote.segments,
            price: remote.price,
        }),
        None if unconfirmed.is_last() => Some(Outcome::Retry {
            after: Duration::ZERO,
            scope: HoldScope::Text,
        }),
        None => None,
    })
}

async fn assigned_sids(
    db: &Db,
    workspace: WorkspaceId,
    integration: IntegrationId,
    sids: &[String],
) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar!(
        r#"select provider_sid as "sid!" from messages
            where workspace_id = $1 and integration_id = $2 and provider_sid = any ($3)"#,
        workspace as _,
        integration as _,
        sids,
    )
    .fetch_all(db.system_pool(Delivery))
    .await?)
}

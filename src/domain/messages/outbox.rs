//! The send queue, which is the messages table: a sender leases a text and records the outcome.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Status;
use crate::db::purpose::Delivery;
use crate::db::{Db, SystemTx};
use crate::domain::credits;
use crate::domain::integrations::calls::CallCapacity;
use crate::error::Result;
use crate::events::Event;
use crate::fail_point;
use crate::ids::{ConversationId, IntegrationId, MessageId, NumberId, WorkspaceId};
use crate::providers::{ErrorClass, HoldScope, Outcome, Refusal};

/// Longer than the timeout of a provider call (20 s), so a lease expires only if its holder is gone.
pub const LEASE: Duration = Duration::from_secs(60);

/// A text that the holder may send until the lease expires.
#[derive(Clone, Debug)]
pub struct Leased {
    pub workspace: WorkspaceId,
    pub id: MessageId,
    pub conversation: ConversationId,
    pub number: NumberId,
    pub integration: IntegrationId,
    pub attempt: i16,
    pub from: String,
    pub to: String,
    pub content: String,
    /// Ids of our own files and URLs of others.
    pub media: Vec<String>,
    /// The number was released or its account disconnected for good: the text cannot be sent.
    pub is_disconnected: bool,
    /// After this time it should not be delivered.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Leases due texts within the rate of their number and the call capacity of their integration: single texts before
/// bulk, and none whose conversation has an earlier text in flight. One round trip. The statement is its own
/// transaction, so no transaction is open during the provider call.
pub async fn lease(db: &Db, capacity: &CallCapacity) -> Result<Vec<Leased>> {
    for _ in 0..MAX_ATTEMPTS {
        match try_to_lease(db, capacity).await {
            Err(error) if is_missing_number(&error) => {}
            leased => return Ok(leased?),
        }
    }
    Ok(try_to_lease(db, capacity).await?)
}

/// Attempts while a number is deleted, alone or with its workspace, during the lease.
const MAX_ATTEMPTS: usize = 3;

/// The number was deleted, so its bucket violates a foreign key. The next attempt does not find its texts any more.
fn is_missing_number(error: &sqlx::Error) -> bool {
    let database_error = error.as_database_error();
    let constraint = database_error.and_then(|database_error| database_error.constraint());
    matches!(
        constraint,
        Some("number_buckets_workspace_id_fkey" | "number_buckets_workspace_id_number_id_fkey")
    )
}

async fn try_to_lease(db: &Db, capacity: &CallCapacity) -> sqlx::Result<Vec<Leased>> {
    sqlx::query_as!(
        Leased,
        r#"update messages m
              set status = 'sending', attempts = m.attempts + 1, outcome_checks = 0, updated_at = now(),
                  lease_until = now() + make_interval(secs => $2),
                  -- Its address is fixed now, whatever becomes of the contact.
                  address = coalesce(m.address, c.phone_number)
             from claim_queued_messages($1, $3, $4, $5) t, numbers n, contacts c
            where m.workspace_id = t.workspace_id and m.id = t.id
              and n.workspace_id = m.workspace_id and n.id = m.number_id
              and c.workspace_id = m.workspace_id and c.id = m.contact_id
           returning m.workspace_id as "workspace: _", m.id as "id: _", m.conversation_id as "conversation: _",
                     m.number_id as "number: _", m.integration_id as "integration: _", m.attempts as attempt,
                     n.phone_number as "from", m.address as "to!", m.content, m.expires_at,
                     n.gone_at is not null or (select i.disconnected_at is not null from integrations i
                       where i.workspace_id = m.workspace_id and i.id = m.integration_id) as "is_disconnected!",
                     outgoing_media(m.workspace_id, m.id, m.message_type) as "media!""#,
        capacity.all,
        LEASE.as_secs_f64(),
        capacity.each,
        &capacity.integrations as _,
        &capacity.left,
    )
    .fetch_all(db.system_pool(Delivery))
    .await
}

/// Time until the next text is due or may be sent; `None` if nothing waits.
pub async fn until_next(db: &Db) -> Result<Option<Duration>> {
    let seconds = sqlx::query_scalar!(
        r#"select extract(epoch from next_send_time() - clock_timestamp())::double precision as "seconds""#
    )
    .fetch_one(db.system_pool(Delivery))
    .await?;
    Ok(seconds
        .map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)))
}

pub struct StaleWork {
    pub orphans: bool,
    pub stranded: bool,
    pub late: bool,
}

/// One round trip.
pub async fn stale_work(db: &Db) -> Result<StaleWork> {
    Ok(sqlx::query_as!(
        StaleWork,
        r#"select exists (select from messages where status = 'sending' and lease_until < now()) as "orphans!",
                  exists (select from workspaces w
                            join integrations i on i.workspace_id = w.id
                            join numbers n on n.workspace_id = i.workspace_id and n.integration_id = i.id
                           where w.failover and (i.status = 'unhealthy' or not i.is_active or n.status = 'inactive')
                             and exists (select from messages m where m.workspace_id = n.workspace_id and m.number_id = n.id
                                            and m.status = 'queued')) as "stranded!",
                  exists (select from messages where status = 'queued' and expires_at <= now()) as "late!""#
    )
    .fetch_one(db.system_pool(Delivery))
    .await?)
}

const BATCH: i64 = 100;

/// Fails texts that waited past their deadline, because their content may be outdated. Returns how many there were. One
/// round trip, and one for each of them.
pub async fn fail_expired(db: &Db) -> Result<usize> {
    let mut tx = db.system(Delivery).await?;
    let late = sqlx::query!(
        r#"with late as (
               select m.workspace_id, m.id
                 from messages m
                where m.status = 'queued' and m.expires_at <= now()
                order by m.expires_at
                limit $1
                  for no key update of m skip locked
           ), failed as (
               update messages m
                  set status = 'failed', error_code = 'expired', updated_at = now(),
                      error_message = 'Not sent because it waited too long. If it still matters, send it again.'
                 from late l
                where m.workspace_id = l.workspace_id and m.id = l.id
               returning m.workspace_id, m.conversation_id, m.id, m.number_id
           ), shown as (
               update conversations v set last_message_status = 'failed'
                 from failed f
                where v.workspace_id = f.workspace_id and v.id = f.conversation_id and v.last_message_id = f.id
           )
           select workspace_id as "workspace: WorkspaceId", id as "id: MessageId", number_id as "number: NumberId" from failed"#,
        BATCH,
    )
    .fetch_all(tx.conn())
    .await?;
    if !late.is_empty() {
        fail_point::abort_at("while failing expired texts");
    }
    for text in &late {
        if let Some(returned) = credits::return_credit(tx.conn(), text.workspace, text.id).await? {
            tx.announce(returned);
        }
        tx.announce(Event::MessageChanged {
            workspace: text.workspace,
            message: text.id,
            number: text.number,
        });
    }
    if !late.is_empty() {
        tx.announce(Event::Queued); // later texts of these conversations may be sent now
    }
    tx.commit().await?;
    Ok(late.len())
}

/// Records the provider's response. A status callback may have come first: the status only moves forward.
pub async fn record_outcome(db: &Db, text: &Leased, outcome: &Outcome) -> Result<()> {
    let mut tx = db.system(Delivery).await?;
    match outcome {
        Outcome::Sent {
            provider_sid,
            status,
            segments,
            price,
        } => {
            // An accepted text counts as sent, whatever status the provider gives it.
            let status = Status::from(*status).at_least_sent();
            let sent = StatusUpdate {
                provider_sid: Some(provider_sid),
                segments: segments
                    .and_then(|segments| i16::try_from(segments).ok())
                    .filter(|segments| *segments > 0),
                price: price
                    .as_ref()
                    .map(|price| (price.amount.as_str(), price.currency.as_str())),
                ..StatusUpdate::to(status)
            };
            change(&mut tx, text, sent).await?;
            tx.announce(Event::Queued); // the conversation's next text may be sent now
        }
        Outcome::Failed(refusal) => {
            fail(&mut tx, text, refusal).await?;
            tx.announce(Event::Queued);
        }
        Outcome::Retry { after, scope } => {
            let requeued = StatusUpdate {
                due: Some(*after),
                ..StatusUpdate::to(Status::Queued)
            };
            change(&mut tx, text, requeued).await?;
            record_hold(&mut tx, text, *scope, *after).await?;
        }
        Outcome::Unconfirmed => {
            change(&mut tx, text, StatusUpdate::to(Status::Unconfirmed)).await?;
            tx.announce(Event::Queued);
        }
        // The text keeps its place; the integration is marked unhealthy if that is certain.
        Outcome::AccountRefused(_) => {
            let requeued = StatusUpdate {
                due: Some(Duration::from_secs(5)),
                attempts: -1,
                ..StatusUpdate::to(Status::Queued)
            };
            change(&mut tx, text, requeued).await?;
        }
    }
    fail_point::abort_at("before the outcome is stored");
    tx.commit().await
}

/// Holds the number or the account; other texts lose no attempt. One round trip.
async fn record_hold(
    tx: &mut SystemTx<Delivery>,
    text: &Leased,
    scope: HoldScope,
    delay: Duration,
) -> Result<()> {
    match scope {
        HoldScope::Text => {}
        HoldScope::Number => {
            sqlx::query!(
                "insert into number_buckets as p (workspace_id, number_id, held_until)
                 values ($1, $2, now() + make_interval(secs => $3))
                     on conflict (workspace_id, number_id) do update set held_until = greatest(p.held_until, excluded.held_until)",
                text.workspace as _,
                text.number as _,
                delay.as_secs_f64(),
            )
            .execute(tx.conn())
            .await?;
        }
        HoldScope::Account => {
            sqlx::query!(
                "update integrations set held_until = greatest(held_until, now() + make_interval(secs => $3))
                  where workspace_id = $1 and id = $2",
                text.workspace as _,
                text.integration as _,
                delay.as_secs_f64(),
            )
            .execute(tx.conn())
            .await?;
        }
    }
    Ok(())
}

async fn fail(tx: &mut SystemTx<Delivery>, text: &Leased, refusal: &Refusal) -> Result<()> {
    change(
        tx,
        text,
        StatusUpdate {
            status: Some(Status::Failed),
            error: Some(refusal),
            ..StatusUpdate::default()
        },
    )
    .await?;
    if let Some(returned) = credits::return_credit(tx.conn(), text.workspace, text.id).await? {
        tx.announce(returned);
    }
    if refusal.class == ErrorClass::OptedOut {
        super::status::record_opt_out(tx, text.workspace, text.id, &refusal.code).await?;
    }
    Ok(())
}

/// Changes of a message; `None` leaves a value as it is.
#[derive(Default)]
struct StatusUpdate<'a> {
    status: Option<Status>,
    provider_sid: Option<&'a str>,
    segments: Option<i16>,
    price: Option<(&'a str, &'a str)>,
    error: Option<&'a Refusal>,
    due: Option<Duration>,
    attempts: i16,
}

impl StatusUpdate<'_> {
    fn to(status: Status) -> Self {
        Self {
            status: Some(status),
            ..Self::default()
        }
    }
}

async fn change(
    tx: &mut SystemTx<Delivery>,
    text: &Leased,
    change: StatusUpdate<'_>,
) -> Result<()> {
    sqlx::query!(
        "with changed as (
             update messages
                set status = case when status in ('sending', 'unconfirmed') or status_rank($3) > status_rank(status) then $3 else status end,
                    provider_sid = coalesce(provider_sid, $4), segments = coalesce($5, segments),
                    price = coalesce($6::text::numeric, price), price_unit = coalesce($7, price_unit),
                    error_code = coalesce(error_code, $8), error_message = coalesce(error_message, $9),
                    due_at = now() + make_interval(secs => $10), attempts = attempts + $11,
                    lease_until = null, updated_at = now()
              where workspace_id = $1 and id = $2
                -- Whose lease ran out has no more say, but for a text that its provider took.
                and (attempts = $12 or $4::text is not null)
              returning workspace_id, conversation_id, id, status
         )
         update conversations v
            set last_message_status = c.status
           from changed c
          where v.workspace_id = c.workspace_id and v.id = c.conversation_id and v.last_message_id = c.id",
        text.workspace as _,
        text.id as _,
        change.status as _,
        change.provider_sid,
        change.segments,
        change.price.map(|(amount, _)| amount),
        change.price.map(|(_, unit)| unit),
        change.error.map(|refusal| refusal.code.as_str()),
        change.error.map(|refusal| &refusal.text) as _,
        change.due.map(|due| due.as_secs_f64()),
        change.attempts,
        text.attempt,
    )
    .execute(tx.conn())
    .await?;
    tx.announce(Event::MessageChanged {
        workspace: text.workspace,
        message: text.id,
        number: text.number,
    });
    Ok(())
}

/// Marks texts whose lease expired as unconfirmed. The provider may have accepted them, so they are not sent again
/// before the outcome is known.
pub async fn mark_orphans_unconfirmed(db: &Db) -> Result<usize> {
    let mut tx = db.system(Delivery).await?;
    let orphans = sqlx::query!(
        "with orphans as (
             update messages set status = 'unconfirmed', lease_until = null, updated_at = now()
              where status = 'sending' and lease_until < now()
              returning workspace_id, conversation_id, id, number_id
         ), shown as (
             update conversations v set last_message_status = 'unconfirmed'
               from orphans o
              where v.workspace_id = o.workspace_id and v.id = o.conversation_id and v.last_message_id = o.id
         )
         select workspace_id, id, number_id from orphans"
    )
    .fetch_all(tx.conn())
    .await?;
    if !orphans.is_empty() {
        fail_point::abort_at("while marking orphans unconfirmed");
    }
    let count = orphans.len();
    for orphan in orphans {
        tx.announce(Event::MessageChanged {
            workspace: orphan.workspace_id,
            message: orphan.id,
            number: orphan.number_id,
        });
    }
    tx.commit().await?;
    Ok(count)
}

/// Marks the integration unhealthy: its queue waits until an admin repairs it.
pub async fn mark_unhealthy(db: &Db, text: &Leased, refusal: &Refusal) -> Result<()> {
    let mut tx = db.system(Delivery).await?;
    let failed = sqlx::query!(
        "update integrations set status = 'unhealthy', status_reason = $3, updated_at = now()
          where workspace_id = $1 and id = $2 and status <> 'unhealthy'",
        text.workspace as _,
        text.integration as _,
        refusal.text.stored(),
    )
    .execute(tx.conn())
    .await?;
    tx.announce(Event::IntegrationChanged {
        workspace: text.workspace,
    });
    // Of several texts that are refused at once, only the first notifies the admins.
    if failed.rows_affected() == 1 {
        tx.announce(Event::IntegrationFailed {
            workspace: text.workspace,
            integration: text.integration,
        });
    }
    tx.commit().await
}

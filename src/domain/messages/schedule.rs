//! Scheduled texts, and the checks when they become due.

use chrono::{DateTime, Months, Utc};
use serde::{Deserialize, Serialize};

use super::{Message, find, segments};
use crate::clock;
use crate::db::purpose::Jobs;
use crate::db::{Db, SystemTx, WorkspaceTx};
use crate::domain::credits;
use crate::error::{Check, Error, Result};
use crate::events::Event;
use crate::ids::{MessageId, NumberId, UserId, WorkspaceId};
use crate::language::t;
use crate::listing::{Cursor, Page, Span, page};
use crate::unicode::composed;

/// A later time is taken for a mistake.
const MAX_DELAY: Months = Months::new(12);

pub(super) fn check(at: DateTime<Utc>) -> Result<()> {
    let now = clock::now();
    let latest = now.checked_add_months(MAX_DELAY).unwrap_or(now);
    Check::default()
        .require(
            (now..=latest).contains(&at),
            "scheduled_at",
            t!("Choose a time in the future, at most one year ahead, such as 2026-11-23T09:00:00Z"),
        )
        .finish()
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MessageChange)]
pub struct MessageChange {
    /// 1 to 1,600 characters including the signature: none is appended.
    pub content: Option<String>,
    pub scheduled_at: Option<DateTime<Utc>>,
}

pub async fn change(tx: &mut WorkspaceTx, id: MessageId, change: MessageChange) -> Result<Message> {
    let content = change
        .content
        .map(|content| composed(&content.replace('\0', "")).into_owned());
    Check::default()
        .require(
            content
                .as_deref()
                .is_none_or(|content| !content.trim().is_empty() && segments::fits(content)),
            "content",
            t!("Use 1 to 1,600 characters"),
        )
        .finish()?;
    if let Some(at) = change.scheduled_at {
        check(at)?;
    }
    let segments = content.as_deref().map(|content| {
        i16::try_from(segments::segments(content).segments)
            .unwrap_or(i16::MAX)
            .max(1)
    });
    let changed = sqlx::query!(
        r#"update messages
              set content = coalesce($2, content), segments = coalesce($3, segments),
                  scheduled_at = coalesce($4, scheduled_at), due_at = coalesce($4, due_at), updated_at = now()
            where id = $1 and status = 'scheduled'
            returning number_id as "number: NumberId""#,
        id as _,
        content,
        segments,
        change.scheduled_at,
    )
    .fetch_optional(tx.conn())
    .await?;
    let message = find(tx, id).await?;
    let changed = changed.ok_or(Error::TooLate)?;
    let workspace = tx.workspace();
    tx.announce(Event::MessageChanged {
        workspace,
        message: id,
        number: changed.number,
    });
    Ok(message)
}

/// Makes a scheduled text due now; it passes the same checks as at its time.
pub async fn send_now(tx: &mut WorkspaceTx, id: MessageId) -> Result<Message> {
    let changed = sqlx::query!(
        r#"update messages set scheduled_at = now(), due_at = now(), updated_at = now()
            where id = $1 and status = 'scheduled'
            returning number_id as "number: NumberId""#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?;
    let message = find(tx, id).await?;
    let changed = changed.ok_or(Error::TooLate)?;
    let workspace = tx.workspace();
    tx.announce(Event::MessageChanged {
        workspace,
        message: id,
        number: changed.number,
    });
    Ok(message)
}

/// A scheduled text and its recipient.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ScheduledText {
    pub message: Message,
    pub contact_name: Option<String>,
    pub contact_phone: String,
    /// The display name of our number.
    pub number_name: String,
    pub number_phone: String,
}

/// All scheduled texts, the next one first. For each number one scan of at most a page. The cursor is the time and id
/// of the last row. Two round trips.
pub async fn list(
    tx: &mut WorkspaceTx,
    created_by: Option<UserId>,
    span: &Span,
) -> Result<Page<ScheduledText>> {
    let (limit, cursor) = (span.limit()?, span.cursor()?);
    let rows = sqlx::query!(
        r#"select m.id as "id: MessageId", m.scheduled_at as "at!", c.name as "contact_name?", c.phone_number as contact_phone,
                  n.friendly_name, n.phone_number
             from unnest(my_numbers()) as k (number_id)
            cross join lateral (
                  select w.workspace_id, w.id, w.scheduled_at, w.contact_id, w.number_id
                    from messages w
                   where w.number_id = k.number_id and w.status = 'scheduled'
                     and ($1::uuid is null or w.created_by = $1)
                     and ($2::timestamptz is null or (w.scheduled_at, w.id) > ($2, $3::uuid))
                   order by w.scheduled_at, w.id
                   limit $4) m
             join contacts c on c.workspace_id = m.workspace_id and c.id = m.contact_id
             join numbers n on n.workspace_id = m.workspace_id and n.id = m.number_id
            order by m.scheduled_at, m.id
            limit $4"#,
        created_by as _,
        cursor.map(|cursor| cursor.at),
        cursor.map(|cursor| cursor.id),
        limit + 1,
    )
    .fetch_all(tx.conn())
    .await?;
    let rows = page(rows, limit, |row| Cursor {
        at: row.at,
        id: row.id.0,
    });
    let ids: Vec<_> = rows.data.iter().map(|row| row.id).collect();
    let workspaces = vec![tx.workspace(); ids.len()];
    let mut messages = super::by_ids(tx.conn(), &workspaces, &ids).await?;
    let mut data = Vec::with_capacity(rows.data.len());
    for row in rows.data {
        if let Some(at) = messages.iter().position(|message| message.id == row.id) {
            data.push(ScheduledText {
                message: messages.swap_remove(at),
                contact_name: row.contact_name,
                contact_phone: row.contact_phone,
                number_name: row.friendly_name,
                number_phone: row.phone_number,
            });
        }
    }
    Ok(Page {
        data,
        next_cursor: rows.next_cursor,
    })
}

const BATCH: i64 = 50;

/// Queues due texts, or fails them if the contact has opted out, the author has no access any more or the number cannot
/// send. Returns how many were due. One round trip, and one for each failed text.
pub async fn queue_due(db: &Db) -> Result<usize> {
    let mut tx = db.system(Jobs).await?;
    let changed = queue_or_fail(&mut tx).await?;
    for text in &changed {
        if text.failed
            && let Some(returned) =
                credits::return_credit(tx.conn(), text.workspace, text.id).await?
        {
            tx.announce(returned);
        }
        tx.announce(Event::MessageChanged {
            workspace: text.workspace,
            message: text.id,
            number: text.number,
        });
        tx.announce(Event::Queued);
    }
    tx.commit().await?;
    Ok(changed.len())
}

struct DueText {
    workspace: WorkspaceId,
    id: MessageId,
    number: NumberId,
    failed: bool,
}

async fn queue_or_fail(tx: &mut SystemTx<Jobs>) -> Result<Vec<DueText>> {
    Ok(sqlx::query_as!(
        DueText,
        r#"with due as (
               select m.workspace_id, m.id, m.conversation_id,
                      case
                          when is_opted_out(m.workspace_id, m.contact_id, m.number_id) then 'contact_opted_out'
                          when not exists (select from number_viewers(m.workspace_id, m.number_id) v
                                            where v.user_id = m.created_by) then 'number_not_assigned'
                          when not exists (select from numbers n
                                             join integrations i on i.workspace_id = n.workspace_id and i.id = n.integration_id
                                            where n.workspace_id = m.workspace_id and n.id = m.number_id
                                              and n.status = 'active' and i.is_active)
                           and not (select w.failover from workspaces w where w.id = m.workspace_id) then 'integration_not_configured'
                      end as refusal
                 from messages m
                where m.status = 'scheduled' and m.due_at <= now()
                order by m.due_at, m.id
                limit $1
                  for no key update of m skip locked
           ), changed as (
               update messages m
                  set status = case when d.refusal is null then 'queued' else 'failed' end,
                      error_code = d.refusal,
                      error_message = case d.refusal
                          when 'contact_opted_out' then 'Not sent: the contact had opted out by the scheduled time.'
                          when 'number_not_assigned' then 'Not sent: the author no longer had access to the number at the scheduled time.'
                          when 'integration_not_configured' then 'Not sent: the number could no longer send at the scheduled time.'
                      end,
                      -- Its time counts, not ours: a server that was down for hours does not send in the night.
                      expires_at = m.due_at + make_interval(mins => (select w.text_validity_minutes from workspaces w where w.id = m.workspace_id)),
                      due_at = now(), updated_at = now()
                 from due d
                where m.workspace_id = d.workspace_id and m.id = d.id
               returning m.workspace_id, m.id, m.conversation_id, m.number_id, m.content, m.status
           ), shown as (
               update conversations v
                  set last_message_at = now(), last_message_preview = preview_of(r.workspace_id, r.id, r.content), last_message_direction = 'outbound',
                      last_message_status = r.status, last_message_id = r.id, updated_at = now()
                 from changed r
                where v.workspace_id = r.workspace_id and v.id = r.conversation_id
           )
           select workspace_id as "workspace: WorkspaceId", id as "id: MessageId", number_id as "number: NumberId",
                  status = 'failed' as "failed!"
             from changed"#,
        BATCH,
    )
    .fetch_all(tx.conn())
    .await?)
}

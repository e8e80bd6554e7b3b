//! Texts that wait for their time, and what is asked once more when it comes.

use chrono::{DateTime, Months, Utc};
use serde::Deserialize;

use super::{Message, find, segments};
use crate::db::{Db, WorkspaceTx};
use crate::domain::credits;
use crate::error::{Check, Error, Result};
use crate::events::Event;
use crate::ids::{MessageId, NumberId, WorkspaceId};

/// At most a year ahead: beyond that it is a slip.
const FARTHEST: Months = Months::new(12);

/// That `at` can be meant.
pub(super) fn check(at: DateTime<Utc>) -> Result<()> {
    let now = Utc::now();
    let farthest = now.checked_add_months(FARTHEST).unwrap_or(now);
    Check::default()
        .that(
            (now..=farthest).contains(&at),
            "scheduled_at",
            "a time in the future, at most a year ahead, such as 2026-11-23T09:00:00Z",
        )
        .done()
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MessageChange)]
pub struct Change {
    /// 1 to 1,600 characters, the signature included: none is added.
    pub content: Option<String>,
    pub scheduled_at: Option<DateTime<Utc>>,
}

/// Changes a text that still waits for its time.
pub async fn change(tx: &mut WorkspaceTx, id: MessageId, change: Change) -> Result<Message> {
    let content = change.content.map(|content| content.replace('\0', ""));
    Check::default()
        .that(
            content
                .as_deref()
                .is_none_or(|content| !content.trim().is_empty() && segments::fits(content)),
            "content",
            "1 to 1,600 characters",
        )
        .done()?;
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

/// Texts of one round.
const BATCH: i64 = 50;

/// Queues what is due, if nothing forbids it by now: the contact's wish, the writer's rights, the number. Answers how many
/// texts were looked at. One round trip, and one for each text that was refused.
pub async fn release_due(db: &Db) -> Result<usize> {
    let mut tx = db.system().await?;
    let released = sqlx::query!(
        r#"with due as (
               select m.workspace_id, m.id, m.conversation_id,
                      case
                          when is_opted_out(m.workspace_id, m.contact_id, m.number_id) then 'contact_opted_out'
                          when not exists (select from workspace_members w
                                            where w.workspace_id = m.workspace_id and w.user_id = m.created_by
                                              and (w.role = 'admin'
                                                   or exists (select from number_members a
                                                               where a.workspace_id = m.workspace_id and a.number_id = m.number_id
                                                                 and a.user_id = m.created_by))) then 'number_not_assigned'
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
                  for update of m skip locked
           ), released as (
               update messages m
                  set status = case when d.refusal is null then 'queued' else 'failed' end,
                      error_code = d.refusal,
                      error_message = case d.refusal
                          when 'contact_opted_out' then 'When its time came, the contact had opted out.'
                          when 'number_not_assigned' then 'When its time came, the writer had no access to the number any more.'
                          when 'integration_not_configured' then 'When its time came, the number could not send any more.'
                      end,
                      -- Its time counts, not ours: a server that was down for hours does not send in the night.
                      expires_at = m.due_at + make_interval(mins => (select w.text_validity_minutes from workspaces w where w.id = m.workspace_id)),
                      due_at = now(), updated_at = now()
                 from due d
                where m.workspace_id = d.workspace_id and m.id = d.id
               returning m.workspace_id, m.id, m.conversation_id, m.number_id, m.content, m.status
           ), shown as (
               update conversations v
                  set last_message_at = now(), last_message_preview = case r.content when '' then '📎 File' else left(r.content, 200) end, last_message_direction = 'outbound',
                      last_message_status = r.status, last_message_id = r.id, updated_at = now()
                 from released r
                where v.workspace_id = r.workspace_id and v.id = r.conversation_id
           )
           select workspace_id as "workspace: WorkspaceId", id as "id: MessageId", number_id as "number: NumberId",
                  status = 'failed' as "failed!"
             from released"#,
        BATCH,
    )
    .fetch_all(tx.conn())
    .await?;
    for text in &released {
        if text.failed
            && let Some(returned) = credits::give_back(tx.conn(), text.workspace, text.id).await?
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
    Ok(released.len())
}

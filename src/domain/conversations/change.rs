//! Changes the status, the snooze and the assignee of a conversation, and marks it as read.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::activity::{self, Kind};
use super::conversation::{Conversation, Status};
use super::find::{find, find_many};
use super::snooze;
use crate::clock;
use crate::db::WorkspaceTx;
use crate::error::{Error, Result, ago};
use crate::events::Event;
use crate::ids::{ConversationId, MessageId, NumberId, UserId};
use crate::language::t;

#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConversationChange)]
pub struct ConversationChange {
    pub status: Option<Status>,
    /// A member of the workspace; `null` removes the assignment.
    #[serde(default, deserialize_with = "double_option")]
    #[schema(value_type = Option<UserId>)]
    pub assignee_id: Option<Option<UserId>>,
    /// The assignee as the client knows it, `null` for nobody. If someone else is assigned by now, nothing changes and
    /// the answer is 409 `conversation_taken` with their name. Leave it out to override.
    #[serde(default, deserialize_with = "double_option")]
    #[schema(value_type = Option<UserId>)]
    pub expected_assignee_id: Option<Option<UserId>>,
    /// When the snooze ends, at most a year ahead; needs `status: "snoozed"`. An inbound text ends it at once.
    pub snoozed_until: Option<DateTime<Utc>>,
}

/// Distinguishes a `null` field from a missing one.
fn double_option<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

pub async fn update(
    tx: &mut WorkspaceTx,
    id: ConversationId,
    change: ConversationChange,
) -> Result<Conversation> {
    check_snooze(&change)?;
    let changed = apply(tx, &[id], &change).await?;
    let conversation = find(tx, id).await?;
    if changed == 0 {
        let expected = change.expected_assignee_id;
        if expected.is_some_and(|expected| expected != conversation.assignee_id) {
            return Err(taken_error(tx, &conversation).await?);
        }
        return Err(not_a_viewer());
    }
    Ok(conversation)
}

/// Changes all of them, or none if one is unknown or its number is not seen by the assignee. Four round trips, however many.
pub async fn update_all(
    tx: &mut WorkspaceTx,
    ids: &[ConversationId],
    change: &ConversationChange,
) -> Result<Vec<Conversation>> {
    check_snooze(change)?;
    let changed = apply(tx, ids, change).await?;
    let found = find_many(tx, ids).await?;
    let distinct: HashSet<_> = ids.iter().collect();
    if found.len() < distinct.len() {
        return Err(Error::NotFound(t!("the conversation")));
    }
    match changed == found.len() {
        true => Ok(found),
        false => Err(not_a_viewer()),
    }
}

fn not_a_viewer() -> Error {
    Error::field(
        "assignee_id",
        t!(
            "This person doesn’t have access to the number. Ask an admin to give them access first."
        ),
    )
}

/// Returns how many were changed. They are locked in the order of their ids, as everywhere.
async fn apply(
    tx: &mut WorkspaceTx,
    ids: &[ConversationId],
    change: &ConversationChange,
) -> Result<usize> {
    let changed = sqlx::query!(
        r#"with was as materialized (
               select c.id, c.assignee_id from conversations c where c.id = any($1) order by c.id for no key update
           )
           update conversations v
              set status = coalesce($2, v.status),
                  snoozed_until = case when $2::text is null then v.snoozed_until else $3 end,
                  assignee_id = case when $4 then $5 else v.assignee_id end,
                  -- Nobody waits for an answer where the matter is closed.
                  waiting_since = case when $2 = 'done' then null else v.waiting_since end,
                  updated_at = now()
             from was w
            where v.id = w.id
              and (not $4 or $5::uuid is null
                   or exists (select from number_viewers(v.workspace_id, v.number_id) s where s.user_id = $5))
              -- Of two who take it at once, the second one waits above for the first, and then finds it taken.
              and (not $6 or v.assignee_id is not distinct from $7 or ($4 and v.assignee_id is not distinct from $5))
           returning v.id as "id: ConversationId", v.number_id as "number: NumberId",
                     case when v.assignee_id is distinct from w.assignee_id and v.assignee_id is distinct from current_user_id()
                          then v.assignee_id end as "assigned_to: UserId""#,
        ids as _,
        change.status as _,
        change.snoozed_until,
        change.assignee_id.is_some(),
        change.assignee_id.flatten() as _,
        change.expected_assignee_id.is_some(),
        change.expected_assignee_id.flatten() as _,
    )
    .fetch_all(tx.conn())
    .await?;
    let workspace = tx.workspace();
    for row in &changed {
        tx.announce(Event::ConversationChanged {
            workspace,
            conversation: row.id,
            number: row.number,
        });
        if let Some(user) = row.assigned_to {
            tx.announce(Event::Assigned {
                workspace,
                conversation: row.id,
                number: row.number,
                user,
            });
        }
    }
    Ok(changed.len())
}

/// A snooze needs a time, and a time needs a snooze.
fn check_snooze(change: &ConversationChange) -> Result<()> {
    match (change.status, change.snoozed_until) {
        (Some(Status::Snoozed), None) => Err(Error::field(
            "snoozed_until",
            t!("Choose when the snooze ends: a time in the future"),
        )),
        (status, Some(_)) if status != Some(Status::Snoozed) => Err(Error::field(
            "snoozed_until",
            t!("Allowed only with status \"snoozed\""),
        )),
        (_, Some(until)) if !snooze::is_valid_time(until) => Err(Error::field(
            "snoozed_until",
            t!("Choose a time in the future, at most one year ahead"),
        )),
        _ => Ok(()),
    }
}

/// The refusal that says who changed the assignment, and when.
async fn taken_error(tx: &mut WorkspaceTx, conversation: &Conversation) -> Result<Error> {
    let lines = activity::between(tx, conversation.id, None, None, 20).await?;
    let sentence = lines
        .iter()
        .find(|one| matches!(one.kind, Kind::Assigned | Kind::Unassigned))
        .map(|one| {
            let since = (clock::now() - one.created_at).to_std().unwrap_or_default();
            one.assignment_sentence(ago(since))
        });
    let current_assignee = || match &conversation.assignee_name {
        Some(name) => t!("This conversation is now assigned to {name}", name = name),
        None => t!("This conversation is now unassigned"),
    };
    Ok(Error::ConversationTaken(
        sentence.unwrap_or_else(current_assignee),
    ))
}

/// Marks it as unread for everybody: as one unread text, unless there are unread ones.
pub async fn mark_unread(tx: &mut WorkspaceTx, id: ConversationId) -> Result<()> {
    mark_all_unread(tx, &[id]).await?;
    Ok(())
}

/// Those that were marked, with their newest message.
pub async fn mark_all_unread(
    tx: &mut WorkspaceTx,
    ids: &[ConversationId],
) -> Result<Vec<(ConversationId, Option<MessageId>)>> {
    let marked = sqlx::query!(
        r#"update conversations set unread_count = 1, updated_at = now()
            where id = any($1) and unread_count = 0
           returning id as "id: ConversationId", number_id as "number: NumberId", last_message_id as "newest: MessageId""#,
        ids as _,
    )
    .fetch_all(tx.conn())
    .await?;
    let workspace = tx.workspace();
    for row in &marked {
        tx.announce(Event::ConversationChanged {
            workspace,
            conversation: row.id,
            number: row.number,
        });
    }
    let marked = marked.into_iter().map(|row| (row.id, row.newest));
    Ok(marked.collect())
}

/// Marks as read again what `mark_all_unread` marked, where no message has been added since.
pub async fn undo_unread(
    tx: &mut WorkspaceTx,
    marked: &[(ConversationId, Option<MessageId>)],
) -> Result<()> {
    let (ids, newest): (Vec<_>, Vec<_>) = marked.iter().copied().unzip();
    let read = sqlx::query!(
        r#"update conversations v set unread_count = 0, updated_at = now()
             from unnest($1::uuid[], $2::uuid[]) as m (id, newest)
            where v.id = m.id and v.unread_count = 1 and v.last_message_id is not distinct from m.newest
           returning v.id as "id: ConversationId", v.number_id as "number: NumberId""#,
        ids as _,
        newest as _,
    )
    .fetch_all(tx.conn())
    .await?;
    let workspace = tx.workspace();
    for row in read {
        tx.announce(Event::ConversationChanged {
            workspace,
            conversation: row.id,
            number: row.number,
        });
    }
    Ok(())
}

pub async fn mark_read(tx: &mut WorkspaceTx, id: ConversationId) -> Result<()> {
    let read = sqlx::query!(
        r#"with seen as (
               update mentions set seen_at = now()
                where conversation_id = $1 and user_id = current_user_id() and seen_at is null
               returning 1
           ), read as (
               update conversations set unread_count = 0, updated_at = now()
                where id = $1 and unread_count > 0
               returning number_id
           )
           select (select number_id from read) as "number: NumberId", exists (select from seen) as "seen!""#,
        id as _,
    )
    .fetch_one(tx.conn())
    .await?;
    let (workspace, user) = (tx.workspace(), tx.user());
    if read.seen {
        tx.announce(Event::MentionsSeen { workspace, user });
    }
    if let Some(number) = read.number {
        tx.announce(Event::ConversationChanged {
            workspace,
            conversation: id,
            number,
        });
    }
    Ok(())
}

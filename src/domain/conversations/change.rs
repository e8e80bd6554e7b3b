//! Changes the status, the snooze and the assignee of a conversation, and marks it as read.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::activity::{self, Kind};
use super::conversation::{Conversation, Status};
use super::find::find;
use super::snooze;
use crate::clock;
use crate::db::WorkspaceTx;
use crate::error::{Error, Result, ago};
use crate::events::Event;
use crate::ids::{ConversationId, NumberId, UserId};
use crate::language::t;

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
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
    let changed = sqlx::query!(
        "update conversations
            set status = coalesce($2, status),
                snoozed_until = case when $2::text is null then snoozed_until else $3 end,
                assignee_id = case when $4 then $5 else assignee_id end,
                updated_at = now()
          where id = $1
            and (not $4 or $5::uuid is null
                 or exists (select from number_viewers(workspace_id, number_id) v where v.user_id = $5))
            -- Of two who take it at once, the second one waits here for the first, and then finds it taken.
            and (not $6 or assignee_id is not distinct from $7 or ($4 and assignee_id is not distinct from $5))",
        id as _,
        change.status as _,
        change.snoozed_until,
        change.assignee_id.is_some(),
        change.assignee_id.flatten() as _,
        change.expected_assignee_id.is_some(),
        change.expected_assignee_id.flatten() as _,
    )
    .execute(tx.conn())
    .await?;
    let conversation = find(tx, id).await?;
    if changed.rows_affected() == 0 {
        let expected = change.expected_assignee_id;
        if expected.is_some_and(|expected| expected != conversation.assignee_id) {
            return Err(taken_error(tx, &conversation).await?);
        }
        return Err(Error::field(
            "assignee_id",
            t!(
                "This person doesn’t have access to the number. Ask an admin to give them access first."
            ),
        ));
    }
    announce(tx, &conversation);
    Ok(conversation)
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

fn announce(tx: &mut WorkspaceTx, conversation: &Conversation) {
    let workspace = tx.workspace();
    tx.announce(Event::ConversationChanged {
        workspace,
        conversation: conversation.id,
        number: conversation.number_id,
    });
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

//! Undoes a change of a conversation.

use chrono::{DateTime, Utc};

use super::change::{ConversationChange, update};
use super::conversation::{Conversation, Status};
use crate::clock;
use crate::db::WorkspaceTx;
use crate::error::{Error, Result};
use crate::ids::{ConversationId, UserId};
use crate::language::t;

/// The parts of a conversation that members change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationState {
    pub status: Status,
    pub snoozed_until: Option<DateTime<Utc>>,
    pub assignee: Option<UserId>,
}

impl ConversationState {
    pub fn of(conversation: &Conversation) -> Self {
        Self {
            status: conversation.status,
            snoozed_until: conversation.snoozed_until,
            assignee: conversation.assignee_id,
        }
    }
}

/// Reads it and locks the conversation until the end of the transaction.
pub async fn lock(tx: &mut WorkspaceTx, id: ConversationId) -> Result<ConversationState> {
    sqlx::query_as!(
        ConversationState,
        r#"select status, snoozed_until, assignee_id as assignee from conversations where id = $1 for update"#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound(t!("the conversation")))
}

/// Restores `previous` if the conversation still equals `expected`. A snooze whose time has passed becomes open.
pub async fn undo(
    tx: &mut WorkspaceTx,
    id: ConversationId,
    expected: ConversationState,
    previous: ConversationState,
) -> Result<Conversation> {
    if lock(tx, id).await? != expected {
        return Err(Error::ConversationChanged);
    }
    let is_snoozed = previous.status == Status::Snoozed
        && previous.snoozed_until.is_some_and(|at| at > clock::now());
    let status = match previous.status {
        Status::Snoozed if !is_snoozed => Status::Open,
        status => status,
    };
    let change = ConversationChange {
        status: (status != expected.status || is_snoozed).then_some(status),
        snoozed_until: previous.snoozed_until.filter(|_| is_snoozed),
        assignee_id: (previous.assignee != expected.assignee).then_some(previous.assignee),
        expected_assignee_id: None,
    };
    update(tx, id, change).await
}

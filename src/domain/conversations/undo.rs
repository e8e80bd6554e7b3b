//! Undoes a change of a conversation.

use chrono::{DateTime, Utc};

use super::change::{ConversationChange, update};
use super::conversation::{Conversation, Status};
use crate::clock;
use crate::db::WorkspaceTx;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{ConversationId, NumberId, UserId};
use crate::language::t;

/// The parts of a conversation that members change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationState {
    pub status: Status,
    pub snoozed_until: Option<DateTime<Utc>>,
    pub assignee: Option<UserId>,
    /// Not compared, only restored: a text or an answer may come between.
    pub waiting_since: Option<DateTime<Utc>>,
}

impl ConversationState {
    pub fn of(conversation: &Conversation) -> Self {
        Self {
            status: conversation.status,
            snoozed_until: conversation.snoozed_until,
            assignee: conversation.assignee_id,
            waiting_since: conversation.waiting_since,
        }
    }

    pub fn is_same(&self, other: &Self) -> bool {
        let compared = |one: &Self| (one.status, one.snoozed_until, one.assignee);
        compared(self) == compared(other)
    }
}

/// Reads it and locks the conversation until the end of the transaction.
pub async fn lock(tx: &mut WorkspaceTx, id: ConversationId) -> Result<ConversationState> {
    let locked = lock_all(tx, &[id]).await?.pop();
    locked
        .map(|(_, state)| state)
        .ok_or(Error::NotFound(t!("the conversation")))
}

/// Those that the member may see, in the order of their ids.
pub async fn lock_all(
    tx: &mut WorkspaceTx,
    ids: &[ConversationId],
) -> Result<Vec<(ConversationId, ConversationState)>> {
    let rows = sqlx::query!(
        r#"select id as "id: ConversationId", status as "status: Status", snoozed_until, assignee_id as "assignee: UserId", waiting_since
             from conversations where id = any($1) order by id for no key update"#,
        ids as _,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let state = ConversationState {
                status: row.status,
                snoozed_until: row.snoozed_until,
                assignee: row.assignee,
                waiting_since: row.waiting_since,
            };
            (row.id, state)
        })
        .collect())
}

/// Restores `previous` if the conversation still equals `expected`. A snooze whose time has passed becomes open.
pub async fn undo(
    tx: &mut WorkspaceTx,
    id: ConversationId,
    expected: ConversationState,
    previous: ConversationState,
) -> Result<Conversation> {
    if !lock(tx, id).await?.is_same(&expected) {
        return Err(Error::ConversationChanged);
    }
    if expected.status == Status::Done && previous.waiting_since.is_some() {
        sqlx::query!(
            "update conversations set waiting_since = $2 where id = $1 and waiting_since is null",
            id as _,
            previous.waiting_since,
        )
        .execute(tx.conn())
        .await?;
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

/// A change to undo: of which conversation, its state after and before.
pub type Undoable = (ConversationId, ConversationState, ConversationState);

/// As `undo`, of many: those that have not changed since, and whose former assignee still sees the number. Returns which. Two
/// round trips, however many.
pub async fn undo_all(tx: &mut WorkspaceTx, changes: &[Undoable]) -> Result<Vec<ConversationId>> {
    let mut ids: Vec<_> = changes.iter().map(|(id, ..)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let locked = lock_all(tx, &ids).await?;
    if locked.len() < ids.len() {
        return Err(Error::NotFound(t!("the conversation")));
    }
    let now = clock::now();
    let (mut ids, mut statuses, mut untils, mut assignees, mut waits) =
        (vec![], vec![], vec![], vec![], vec![]);
    for (id, expected, previous) in changes {
        let is_unchanged =
            |(other, state): &(_, ConversationState)| other == id && state.is_same(expected);
        if !locked.iter().any(is_unchanged) {
            continue;
        }
        let until = previous.snoozed_until.filter(|until| *until > now);
        let is_snoozed = previous.status == Status::Snoozed && until.is_some();
        ids.push(*id);
        statuses.push(match previous.status {
            Status::Snoozed if !is_snoozed => Status::Open.as_str(),
            status => status.as_str(),
        });
        untils.push(until.filter(|_| is_snoozed));
        assignees.push(previous.assignee);
        waits.push(
            previous
                .waiting_since
                .filter(|_| expected.status == Status::Done),
        );
    }
    let undone = sqlx::query!(
        r#"update conversations v
              set status = u.status, snoozed_until = u.until, assignee_id = u.assignee,
                  waiting_since = coalesce(v.waiting_since, u.waiting_since), updated_at = now()
             from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::uuid[], $5::timestamptz[])
                  as u (id, status, until, assignee, waiting_since)
            where v.id = u.id
              and (u.assignee is null or u.assignee is not distinct from v.assignee_id
                   or exists (select from number_viewers(v.workspace_id, v.number_id) s where s.user_id = u.assignee))
           returning v.id as "id: ConversationId", v.number_id as "number: NumberId""#,
        &ids as _,
        &statuses as _,
        &untils as _,
        &assignees as _,
        &waits as _,
    )
    .fetch_all(tx.conn())
    .await?;
    let workspace = tx.workspace();
    for row in &undone {
        tx.announce(Event::ConversationChanged {
            workspace,
            conversation: row.id,
            number: row.number,
        });
    }
    Ok(undone.into_iter().map(|row| row.id).collect())
}

//! Events of a conversation: who did what, and when. A database trigger records them in the transaction of the change,
//! so no caller can omit one.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::db::purpose::Live;
use crate::db::{Db, WorkspaceTx};
use crate::domain::string_enum;
use crate::error::Result;
use crate::ids::{ActivityId, ConversationId, UserId, WorkspaceId};
use crate::language::{Message, Value, t};
use crate::listing::{Cursor, Page, Span, page};

string_enum!(#[schema(as = ConversationEventKind)]
Kind {
    /// To `assignee_id`, from `previous_id` or nobody.
    Assigned = "assigned",
    /// From `assignee_id`.
    Unassigned = "unassigned",
    Pending = "pending",
    Done = "done",
    Reopened = "reopened",
    Snoozed = "snoozed",
    /// The snooze has ended.
    Unsnoozed = "unsnoozed",
    OptedOut = "opted_out",
    OptedIn = "opted_in",
});

string_enum!(
    /// The cause of an event that no member caused.
    #[schema(as = ConversationEventCause)]
    Cause {
        /// An inbound text.
        Text = "text",
        /// The snooze reached its time.
        Time = "time",
        Provider = "provider",
        Member = "member",
        Import = "import",
    }
);

#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
#[schema(as = ConversationEvent)]
pub struct Activity {
    /// Sorts by time, together with message ids.
    pub id: ActivityId,
    pub conversation_id: ConversationId,
    pub kind: Kind,
    pub cause: Option<Cause>,
    /// `null` for the contact, the provider or the clock.
    pub actor_id: Option<UserId>,
    /// The name at that time.
    pub actor_name: String,
    pub assignee_id: Option<UserId>,
    pub assignee_name: Option<String>,
    /// The assignee before.
    pub previous_id: Option<UserId>,
    pub previous_name: Option<String>,
    /// When a snooze ends.
    pub until: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

impl Activity {
    /// Whether the actor is the assignee.
    pub fn was_taken(&self) -> bool {
        self.actor_id.is_some() && self.actor_id == self.assignee_id
    }

    /// Who changed the assignment, and when, for a refusal.
    pub(super) fn assignment_sentence(&self, ago: Message) -> Message {
        let who = &self.actor_name;
        let whom = self.assignee_name.as_deref().unwrap_or_default();
        match (self.kind, self.was_taken()) {
            (Kind::Assigned, true) => t!(
                "{who} assigned this to themselves {ago}",
                who = who,
                ago = ago
            ),
            (Kind::Assigned, false) => t!(
                "{who} assigned this to {whom} {ago}",
                ago = ago,
                who = who,
                whom = whom,
            ),
            (_, true) => t!("{who} unassigned themselves {ago}", who = who, ago = ago),
            (_, false) => t!(
                "{who} unassigned {whom} {ago}",
                ago = ago,
                who = who,
                whom = whom,
            ),
        }
    }

    /// What happened. The time of a snooze is left to the browser.
    pub fn sentence(&self) -> Message {
        let who: Value = match self.actor_name.as_str() {
            "" => t!("A former member").into(),
            name => name.into(),
        };
        let whom: Value = match &self.assignee_name {
            Some(name) => name.into(),
            None => t!("someone").into(),
        };
        let before = self.previous_name.as_deref();
        match (self.kind, self.cause) {
            (Kind::Assigned, _) => match (before, self.was_taken()) {
                (None, true) => t!("{who} assigned this to themselves", who = who),
                (Some(before), true) => {
                    t!(
                        "{who} took this over from {before}",
                        who = who,
                        before = before
                    )
                }
                (None, false) => t!("{who} assigned this to {whom}", who = who, whom = whom),
                (Some(before), false) => t!(
                    "{who} reassigned this from {before} to {whom}",
                    who = who,
                    before = before,
                    whom = whom,
                ),
            },
            (Kind::Unassigned, _) if self.was_taken() => {
                t!("{who} unassigned themselves", who = who)
            }
            (Kind::Unassigned, _) => t!("{who} unassigned {whom}", who = who, whom = whom,),
            (Kind::Pending, _) => t!("{who} marked this as pending", who = who),
            (Kind::Done, _) => t!("{who} marked this as done", who = who),
            (Kind::Reopened, Some(Cause::Text)) => t!("Reopened by a new text"),
            (Kind::Reopened, _) => t!("{who} reopened this", who = who),
            (Kind::Snoozed, _) => t!("{who} snoozed this until", who = who),
            (Kind::Unsnoozed, Some(Cause::Text)) => t!("Reopened by a new text"),
            (Kind::Unsnoozed, Some(_)) => t!("Snooze ended"),
            (Kind::Unsnoozed, None) => t!("{who} unsnoozed this", who = who),
            (Kind::OptedOut, Some(Cause::Text)) => t!("They opted out"),
            (Kind::OptedOut, Some(Cause::Provider)) => {
                t!("The carrier reported that they opted out")
            }
            (Kind::OptedOut, Some(Cause::Import)) => {
                t!("{who} imported their opt-out", who = who)
            }
            (Kind::OptedOut, _) => t!("{who} opted them out", who = who),
            (Kind::OptedIn, Some(Cause::Text)) => t!("They opted back in"),
            (Kind::OptedIn, Some(Cause::Provider)) => {
                t!("The carrier reported that they opted back in")
            }
            (Kind::OptedIn, Some(Cause::Import)) => {
                t!("{who} imported their opt-in", who = who)
            }
            (Kind::OptedIn, _) => t!("{who} opted them back in", who = who),
        }
    }
}

pub async fn list(
    tx: &mut WorkspaceTx,
    conversation: ConversationId,
    span: &Span,
) -> Result<Page<Activity>> {
    let (limit, cursor) = (span.limit()?, span.cursor()?);
    let rows = between(tx, conversation, None, cursor.map(|it| it.id), limit + 1).await?;
    Ok(page(rows, limit, |one: &Activity| Cursor {
        at: one.created_at,
        id: one.id.0,
    }))
}

/// Events between two ids (of messages or events), newest first.
pub async fn between(
    tx: &mut WorkspaceTx,
    conversation: ConversationId,
    after: Option<Uuid>,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Activity>> {
    Ok(sqlx::query_as!(
        Activity,
        "select id, conversation_id, kind, cause, actor_id, actor_name, assignee_id, assignee_name, previous_id, previous_name,
                until, created_at
           from conversation_events
          where conversation_id = $1
            and ($2::uuid is null or id > $2)
            and ($3::uuid is null or id < $3)
          order by id desc
          limit $4",
        conversation as _,
        after,
        before,
        limit,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// For the live hub: events of the last minute in these conversations, oldest first, in one round trip. An event may be
/// returned twice.
pub async fn recent(db: &Db, keys: &[(WorkspaceId, ConversationId)]) -> Result<Vec<Activity>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let (workspaces, ids): (Vec<_>, Vec<_>) = keys.iter().copied().unzip();
    Ok(sqlx::query_as!(
        Activity,
        r#"select e.id as "id: ActivityId", e.conversation_id as "conversation_id: ConversationId", e.kind as "kind: Kind",
                  e.cause as "cause: Cause", e.actor_id as "actor_id: UserId", e.actor_name,
                  e.assignee_id as "assignee_id: UserId", e.assignee_name, e.previous_id as "previous_id: UserId",
                  e.previous_name, e.until, e.created_at
             from unnest($1::uuid[], $2::uuid[]) as k (workspace_id, id)
            cross join lateral (select e.* from conversation_events e
                                 where e.workspace_id = k.workspace_id and e.conversation_id = k.id
                                 order by e.id desc
                                 limit 5) e
            where e.created_at > now() - interval '1 minute'
            order by e.id"#,
        &workspaces as _,
        &ids as _,
    )
    .fetch_all(db.system_pool(Live))
    .await?)
}

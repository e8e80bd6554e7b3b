//! Conversations: the messages between one contact and one number.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use self::activity::Kind;
use crate::clock;
use crate::db::purpose::Live;
use crate::db::{Db, WorkspaceTx};
use crate::domain::contacts::{self, Contact};
use crate::domain::{messages, string_enum};
use crate::error::{Error, Result, ago};
use crate::events::Event;
use crate::ids::{ContactId, ConversationId, MessageId, NumberId, TagId, UserId, WorkspaceId};
use crate::language::t;
use crate::listing::{Cursor, Page, Span, page};
use crate::phone;
use crate::phone::search::SearchInput;

pub mod activity;
pub mod snooze;

string_enum!(#[schema(as = ConversationStatus)]
Status { Open = "open", Pending = "pending", Snoozed = "snoozed", Done = "done" });

#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Conversation {
    pub id: ConversationId,
    pub workspace_id: WorkspaceId,
    pub contact_id: ContactId,
    pub contact: Contact,
    pub number_id: NumberId,
    /// The display name of our number.
    pub number_name: String,
    pub number_phone: String,
    pub status: Status,
    pub assignee_id: Option<UserId>,
    pub assignee_name: Option<String>,
    pub snoozed_until: Option<DateTime<Utc>>,
    pub unread_count: i32,
    pub last_message_at: DateTime<Utc>,
    pub last_message_preview: String,
    pub last_message_direction: messages::Direction,
    pub last_message_status: messages::Status,
    pub last_message_id: Option<MessageId>,
    /// The contact opted out from this number, or from any number of a workspace where one opt-out holds for all.
    /// Nothing can be sent.
    pub opted_out: bool,
    /// An inbound text that resembles STOP and waits for an agent's decision.
    pub near_stop_id: Option<MessageId>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Conversation {
    pub fn title(&self) -> String {
        self.contact.title()
    }

    pub fn number_title(&self) -> String {
        if self.number_name.is_empty() {
            phone::display(&self.number_phone)
        } else {
            self.number_name.clone()
        }
    }

    /// The last message is a text of ours that failed or was not delivered.
    pub fn failed(&self) -> bool {
        matches!(
            self.last_message_status,
            messages::Status::Failed | messages::Status::Undelivered
        )
    }

    pub fn resembles_stop(&self) -> bool {
        self.near_stop_id.is_some() && !self.opted_out
    }

    pub fn last_is_ours(&self) -> bool {
        self.last_message_direction == messages::Direction::Outbound
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignee {
    Nobody,
    User(UserId),
}

impl Assignee {
    fn user(self) -> Option<UserId> {
        match self {
            Self::Nobody => None,
            Self::User(user) => Some(user),
        }
    }
}

/// Filter of the list. The web layer has resolved `me` to a user.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub status: Option<Status>,
    pub number: Option<NumberId>,
    pub assignee: Option<Assignee>,
    pub contact: Option<ContactId>,
    pub unread: bool,
    pub tag: Option<TagId>,
    /// Conversations with notes that mention the member.
    pub mentioned: bool,
    pub q: Option<String>,
}

/// The conversations `v` of the rows `k`, which the first argument joins.
macro_rules! conversations_of {
    ($rows:literal, $order:literal, $($arguments:tt)*) => {
        sqlx::query_as!(
            Conversation,
            r#"select v.id as "id!: ConversationId", v.workspace_id as "workspace_id!: WorkspaceId",
                      v.contact_id as "contact_id!: ContactId", contact_json(c) as "contact!: Json<Contact>",
                      v.number_id as "number_id!: NumberId", n.friendly_name as "number_name!", n.phone_number as "number_phone!",
                      v.status as "status!: Status", v.assignee_id as "assignee_id?: UserId",
                      (select u.name from users u where u.id = v.assignee_id) as assignee_name, v.snoozed_until as "snoozed_until?",
                      v.unread_count as "unread_count!", v.last_message_at as "last_message_at!",
                      v.last_message_preview as "last_message_preview!",
                      v.last_message_direction as "last_message_direction!: messages::Direction",
                      v.last_message_status as "last_message_status!: messages::Status",
                      v.last_message_id as "last_message_id?: MessageId", v.near_stop_id as "near_stop_id?: MessageId",
                      is_opted_out(v.workspace_id, v.contact_id, v.number_id) as "opted_out!",
                      v.created_at as "created_at!", v.updated_at as "updated_at!"
                 from "# + $rows + r#"
                 join contacts c on c.workspace_id = v.workspace_id and c.id = v.contact_id
                 join numbers n on n.workspace_id = v.workspace_id and n.id = v.number_id"# + $order,
            $($arguments)*
        )
    };
}

/// Newest first. The page is found by short scans of the index that fits the filter (`list_conversations`); only its
/// own rows are then joined. One round trip; two with a tag or a search.
pub async fn list(
    tx: &mut WorkspaceTx,
    filter: &Filter,
    span: &Span,
) -> Result<Page<Conversation>> {
    if filter.mentioned {
        return list_mentioning(tx, filter, span).await;
    }
    let (limit, cursor) = (span.limit()?, span.cursor()?);
    let search = search(tx, filter).await?;
    // With few matching contacts, only their conversations are scanned.
    let contact_ids = match (filter.contact, filter.tag, &search) {
        (Some(contact), ..) => Some(vec![contact.0]),
        (None, None, None) => None,
        (None, tag, search) => contacts::list::few_matches(tx, search.as_ref(), tag, false).await?,
    };
    let are_few = contact_ids.is_some();
    let rows = conversations_of!(
        "list_conversations($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) k
         join conversations v on v.workspace_id = current_workspace() and v.id = k.id",
        " order by k.place",
        filter.status as _,
        filter.number as _,
        filter.assignee == Some(Assignee::Nobody),
        filter.assignee.and_then(Assignee::user) as _,
        contact_ids as _,
        filter.unread,
        filter.tag as _,
        // If there are few matches, they were found by the search text already.
        search
            .as_ref()
            .filter(|_| filter.contact.is_some() || !are_few)
            .map(|search| search.search_text.as_str()),
        &search.as_ref().map(SearchInput::terms).unwrap_or_default(),
        cursor.map(|cursor| cursor.at),
        cursor.map(|cursor| cursor.id),
        i32::try_from(limit).unwrap_or(200) + 1,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(page(rows, limit, cursor_of))
}

async fn search(tx: &mut WorkspaceTx, filter: &Filter) -> Result<Option<SearchInput>> {
    Ok(match filter.q.as_deref() {
        Some(q) if !q.trim().is_empty() => Some(contacts::search_input(tx, q).await?),
        _ => None,
    })
}

pub async fn find(tx: &mut WorkspaceTx, id: ConversationId) -> Result<Conversation> {
    let workspace = tx.workspace();
    by_ids(tx.conn(), &[workspace], &[id])
        .await?
        .pop()
        .ok_or(Error::NotFound(t!("the conversation")))
}

/// A conversation, and the contact's others that the member may see, newest first. One round trip.
pub async fn find_with_others(
    tx: &mut WorkspaceTx,
    id: ConversationId,
) -> Result<(Conversation, Vec<Conversation>)> {
    let mut all = conversations_of!(
        "conversations k
         join conversations v on v.workspace_id = k.workspace_id and v.contact_id = k.contact_id",
        " where k.workspace_id = current_workspace() and k.id = $1
          order by v.id = $1 desc, v.last_message_at desc, v.id desc
          limit 50",
        id as _,
    )
    .fetch_all(tx.conn())
    .await?;
    match all.first() {
        Some(first) if first.id == id => {
            let found = all.remove(0);
            Ok((found, all))
        }
        _ => Err(Error::NotFound(t!("the conversation"))),
    }
}

/// The conversations among `ids` that the member may see, unordered. One round trip.
pub async fn find_many(tx: &mut WorkspaceTx, ids: &[ConversationId]) -> Result<Vec<Conversation>> {
    let workspaces = vec![tx.workspace(); ids.len()];
    by_ids(tx.conn(), &workspaces, ids).await
}

/// The newest visible conversation of each contact.
pub async fn newest_of(
    tx: &mut WorkspaceTx,
    contacts: &[ContactId],
) -> Result<Vec<(ContactId, ConversationId)>> {
    Ok(sqlx::query!(
        r#"select distinct on (v.contact_id) v.contact_id, v.id
             from unnest($2::uuid[]) as k (contact_id)
             join conversations v on v.workspace_id = $1 and v.contact_id = k.contact_id
            order by v.contact_id, v.last_message_at desc"#,
        tx.workspace() as _,
        contacts as _,
    )
    .fetch_all(tx.conn())
    .await?
    .into_iter()
    .map(|row| (row.contact_id, row.id))
    .collect())
}

/// The conversation that this one was joined to when its contact was merged.
pub async fn joined_to(tx: &mut WorkspaceTx, id: ConversationId) -> Result<Option<ConversationId>> {
    Ok(sqlx::query_scalar!(
        r#"select into_id as "id: ConversationId" from merged_conversations where id = $1"#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// For the live hub: the conversations that exist. One round trip.
pub async fn look_up(db: &Db, keys: &[(WorkspaceId, ConversationId)]) -> Result<Vec<Conversation>> {
    let (workspaces, ids): (Vec<_>, Vec<_>) = keys.iter().copied().unzip();
    by_ids(
        &mut *db.system_pool(Live).acquire().await?,
        &workspaces,
        &ids,
    )
    .await
}

async fn by_ids(
    conn: &mut sqlx::PgConnection,
    workspaces: &[WorkspaceId],
    ids: &[ConversationId],
) -> Result<Vec<Conversation>> {
    Ok(conversations_of!(
        "unnest($1::uuid[], $2::uuid[]) as k (workspace_id, id)
         join conversations v on v.workspace_id = k.workspace_id and v.id = k.id",
        "",
        workspaces as _,
        ids as _,
    )
    .fetch_all(conn)
    .await?)
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub open: i64,
    pub mine: i64,
    pub pending: i64,
    pub snoozed: i64,
    pub unread: i64,
    /// Conversations with unseen mentions of the member.
    pub mentions: i64,
    /// Quarantined webhook calls that wait for an admin; counting stops at 100.
    pub quarantined: i64,
}

/// The counts among the columns of a statement, if its argument `$1` says so.
macro_rules! with_counts {
    ($before:literal, $after:literal, $($arguments:tt)*) => {
        sqlx::query!(
            "select " + $before + r#"
                  (select count(*) from (select from conversations where $1 and status = 'open' limit 1000) t) as "open!",
                  (select count(*) from (select from conversations
                                          where $1 and status = 'open' and assignee_id = current_user_id() limit 1000) t) as "mine!",
                  (select count(*) from (select from conversations where $1 and status = 'pending' limit 1000) t) as "pending!",
                  (select count(*) from (select from conversations where $1 and status = 'snoozed' limit 1000) t) as "snoozed!",
                  (select count(*) from (select distinct conversation_id from mentions
                                          where $1 and user_id = current_user_id() and seen_at is null limit 1000) t) as "mentions!",
                  (select count(*) from (select from conversations
                                          where $1 and status = 'open' and is_unread limit 1000) t) as "unread!",
                  -- Nothing, for whoever is no admin.
                  (select count(*) from (select from quarantine where $1 and state = 'waiting' limit 100) t) as "quarantined!""# + $after,
            $($arguments)*
        )
    };
}
pub(super) use with_counts;

/// The counts of a row of `with_counts`.
macro_rules! counts_in {
    ($row:ident) => {
        crate::domain::conversations::Counts {
            open: $row.open,
            mine: $row.mine,
            pending: $row.pending,
            snoozed: $row.snoozed,
            unread: $row.unread,
            mentions: $row.mentions,
            quarantined: $row.quarantined,
        }
    };
}
pub(super) use counts_in;

/// Counting stops at 1,000 ("999+"), so the cost does not grow with the inbox.
pub async fn counts(tx: &mut WorkspaceTx) -> Result<Counts> {
    let row = with_counts!("", "", true).fetch_one(tx.conn()).await?;
    Ok(counts_in!(row))
}

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
    match (change.status, change.snoozed_until) {
        (Some(Status::Snoozed), None) => {
            return Err(Error::field(
                "snoozed_until",
                t!("say until when: a time in the future"),
            ));
        }
        (status, Some(_)) if status != Some(Status::Snoozed) => {
            return Err(Error::field(
                "snoozed_until",
                t!("goes only with status \"snoozed\""),
            ));
        }
        (_, Some(until)) if !snooze::is_valid_time(until) => {
            return Err(Error::field(
                "snoozed_until",
                t!("a time in the future, at most a year ahead"),
            ));
        }
        _ => {}
    }
    let changed = sqlx::query!(
        "update conversations
            set status = coalesce($2, status),
                snoozed_until = case when $2::text is null then snoozed_until else $3 end,
                assignee_id = case when $4 then $5 else assignee_id end,
                updated_at = now()
          where id = $1
            and (not $4 or $5::uuid is null
                 or exists (select from workspace_members m
                             where m.user_id = $5
                               and (m.role = 'admin'
                                    or exists (select from number_members a
                                                where a.number_id = conversations.number_id and a.user_id = $5))))
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
            t!("nobody who sees this number: an admin can assign it to them first"),
        ));
    }
    announce(tx, &conversation);
    Ok(conversation)
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
        Some(name) => t!("{name} has it now", name = name),
        None => t!("nobody has it now"),
    };
    Ok(Error::ConversationTaken(
        sentence.unwrap_or_else(current_assignee),
    ))
}

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

/// Conversations with mentions of the member. The cost grows with their number, not with the inbox. Two round trips.
async fn list_mentioning(
    tx: &mut WorkspaceTx,
    filter: &Filter,
    span: &Span,
) -> Result<Page<Conversation>> {
    let (limit, cursor) = (span.limit()?, span.cursor()?);
    let search = search(tx, filter).await?;
    let ids = sqlx::query_scalar!(
        r#"select v.id as "id: ConversationId"
             from (select distinct conversation_id from mentions where user_id = current_user_id()) m
             join conversations v on v.id = m.conversation_id
            where v.workspace_id = current_workspace()
              and ($1::text is null or v.status = $1)
              and ($2::uuid is null or v.number_id = $2)
              and (not $3 or v.assignee_id is null)
              and ($4::uuid is null or v.assignee_id = $4)
              and ($5::uuid is null or v.contact_id = $5)
              and (not $6 or v.is_unread)
              and ($7::text is null or contact_matches(v.workspace_id, v.contact_id, (select people_query($7, $11::text[]))))
              and ($8::timestamptz is null or (v.last_message_at, v.id) < ($8, $9::uuid))
            order by v.last_message_at desc, v.id desc
            limit $10"#,
        filter.status as _,
        filter.number as _,
        filter.assignee == Some(Assignee::Nobody),
        filter.assignee.and_then(Assignee::user) as _,
        filter.contact as _,
        filter.unread,
        search.as_ref().map(|search| search.search_text.as_str()),
        cursor.map(|cursor| cursor.at),
        cursor.map(|cursor| cursor.id),
        limit + 1,
        &search.as_ref().map(SearchInput::terms).unwrap_or_default(),
    )
    .fetch_all(tx.conn())
    .await?;
    let workspaces = vec![tx.workspace(); ids.len()];
    let mut found = by_ids(tx.conn(), &workspaces, &ids).await?;
    found.sort_unstable_by_key(|one| std::cmp::Reverse((one.last_message_at, one.id)));
    Ok(page(found, limit, cursor_of))
}

fn cursor_of(conversation: &Conversation) -> Cursor {
    Cursor {
        at: conversation.last_message_at,
        id: conversation.id.0,
    }
}

/// Finds the conversation of a contact with one of our numbers, or creates it.
pub async fn find_or_create(
    tx: &mut WorkspaceTx,
    contact: ContactId,
    number: NumberId,
) -> Result<ConversationId> {
    sqlx::query_scalar!(
        r#"insert into conversations (id, contact_id, number_id) values ($1, $2, $3)
           on conflict (workspace_id, contact_id, number_id) do update set updated_at = now()
           returning id as "id: ConversationId""#,
        ConversationId::new() as _,
        contact as _,
        number as _,
    )
    .fetch_optional(tx.conn())
    .await?
    // The contact was deleted concurrently.
    .ok_or(Error::NotFound(t!("the contact")))
}

pub async fn between(
    tx: &mut WorkspaceTx,
    contact: ContactId,
    number: NumberId,
) -> Result<Option<ConversationId>> {
    Ok(sqlx::query_scalar!(
        "select id from conversations where contact_id = $1 and number_id = $2",
        contact as _,
        number as _,
    )
    .fetch_optional(tx.conn())
    .await?)
}

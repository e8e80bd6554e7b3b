//! Lists conversations.

use sqlx::types::Json;

use super::conversation::{Conversation, Status};
use super::find::{by_ids, conversations_of};
use crate::db::WorkspaceTx;
use crate::domain::contacts::{self, Contact};
use crate::domain::{messages, string_enum};
use crate::error::Result;
use crate::ids::{ContactId, ConversationId, MessageId, NumberId, TagId, UserId, WorkspaceId};
use crate::listing::{Cursor, Page, Span, page};
use crate::phone::search::SearchInput;

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

string_enum!(
    /// The order of a list.
    #[derive(Default)]
    #[schema(as = ConversationOrder)]
    Order {
        /// By the last message, newest first.
        #[default]
        Newest = "newest",
        /// Only conversations whose contact waits for an answer, the longest wait first.
        Waiting = "waiting",
    }
);

/// Filter of the list. The web layer has resolved `me` to a user.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub status: Option<Status>,
    pub number: Option<NumberId>,
    pub assignee: Option<Assignee>,
    pub contact: Option<ContactId>,
    pub unread: bool,
    /// The contact waits for an answer.
    pub waiting: bool,
    /// The last message is a text of ours that was not delivered.
    pub failed: bool,
    pub order: Order,
    pub tag: Option<TagId>,
    /// Conversations with notes that mention the member.
    pub mentioned: bool,
    pub q: Option<String>,
}

/// In the order of the filter. The page is found by short scans of the index that fits the filter (`list_conversations`); only its
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
        "list_conversations($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) k
         join conversations v on v.workspace_id = current_workspace() and v.id = k.id",
        " order by k.place",
        filter.status as _,
        filter.number as _,
        filter.assignee == Some(Assignee::Nobody),
        filter.assignee.and_then(Assignee::user) as _,
        contact_ids as _,
        filter.unread,
        filter.waiting,
        filter.failed,
        filter.order == Order::Waiting,
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
    Ok(page(rows, limit, |row| cursor_of(row, filter.order)))
}

async fn search(tx: &mut WorkspaceTx, filter: &Filter) -> Result<Option<SearchInput>> {
    Ok(match filter.q.as_deref() {
        Some(q) if !q.trim().is_empty() => Some(contacts::search_input(tx, q).await?),
        _ => None,
    })
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
              and (not $12 or v.waiting_since is not null)
              and (not $13 or v.is_failed)
              and ($14::uuid is null or has_tag(v.workspace_id, v.contact_id, $14))
              and ($8::timestamptz is null
                   or case when $15 then (v.waiting_since, v.id) > ($8, $9::uuid)
                           else (v.last_message_at, v.id) < ($8, $9::uuid) end)
            order by case when $15 then v.waiting_since end, case when $15 then v.id end, v.last_message_at desc, v.id desc
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
        filter.waiting || filter.order == Order::Waiting,
        filter.failed,
        filter.tag as _,
        filter.order == Order::Waiting,
    )
    .fetch_all(tx.conn())
    .await?;
    let workspaces = vec![tx.workspace(); ids.len()];
    let mut found = by_ids(tx.conn(), &workspaces, &ids).await?;
    match filter.order {
        Order::Newest => {
            found.sort_unstable_by_key(|one| std::cmp::Reverse((one.last_message_at, one.id)));
        }
        Order::Waiting => found.sort_unstable_by_key(|one| (one.waiting_since, one.id)),
    }
    Ok(page(found, limit, |row| cursor_of(row, filter.order)))
}

fn cursor_of(conversation: &Conversation, order: Order) -> Cursor {
    let newest = conversation.last_message_at;
    Cursor {
        at: match order {
            Order::Newest => newest,
            // Listed in this order, so it waits.
            Order::Waiting => conversation.waiting_since.unwrap_or(newest),
        },
        id: conversation.id.0,
    }
}

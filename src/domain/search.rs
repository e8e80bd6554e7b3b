//! Search: contacts and conversations by any part of a name or number, messages and notes by word prefix.
//!
//! SQL functions find the ids among the rows that the member may see; the rows themselves are then read with the
//! member's rights.

use serde::Serialize;

use crate::db::purpose::Jobs;
use crate::db::{Db, WorkspaceTx};
use crate::domain::contacts::{self, Contact};
use crate::domain::conversations::{self, Conversation};
use crate::domain::messages::{self, Message};
use crate::domain::string_enum;
use crate::error::{Check, Error, Result};
use crate::ids::{ContactId, ConversationId, MessageId};
use crate::language::t;
use crate::listing::{Cursor, Page, Span, page};
use crate::phone;
use crate::phone::search::SearchInput;

pub use highlight::Piece;

mod highlight;

string_enum!(#[schema(as = SearchKind)]
Kind { People = "people", Conversations = "conversations", Messages = "messages" });

const LENGTH_LIMIT: usize = 200;

#[derive(Clone, Debug)]
pub struct Query(String);

impl Query {
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        Check::default()
            .require(
                !text.is_empty(),
                "q",
                t!("Enter something to search for: part of a name or number, or words from a message"),
            )
            .require(
                text.chars().count() <= LENGTH_LIMIT,
                "q",
                t!("Use at most {most} characters", most = LENGTH_LIMIT),
            )
            .require(!text.contains('\0'), "q", t!("Remove the NUL characters"))
            .finish()?;
        Ok(Self(text.to_owned()))
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = SearchResults)]
pub struct Found {
    /// Contacts, newest first.
    pub people: Page<FoundPerson>,
    /// Conversations with these contacts in any status, by last message.
    pub conversations: Page<FoundConversation>,
    /// Texts and internal notes, newest first.
    pub messages: Page<FoundMessage>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FoundPerson {
    pub contact: Contact,
    /// Their newest conversation that the caller may see.
    pub conversation_id: Option<ConversationId>,
    #[serde(skip)]
    pub title: Vec<Piece>,
    #[serde(skip)]
    pub number: Vec<Piece>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FoundConversation {
    pub conversation: Conversation,
    #[serde(skip)]
    pub title: Vec<Piece>,
    #[serde(skip)]
    pub number: Vec<Piece>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FoundMessage {
    pub message: Message,
    pub conversation: Conversation,
    /// The text around the matches, in order.
    pub excerpt: Vec<Piece>,
}

/// Indexes contacts that have a new conversation, and returns how many entries of the queue it took.
pub async fn index_contacts(db: &Db, most: i32) -> Result<i32> {
    Ok(
        sqlx::query_scalar!(r#"select index_queued_contacts($1) as "taken!""#, most)
            .fetch_one(db.system_pool(Jobs))
            .await?,
    )
}

/// Adds the next messages to the index, and returns how many it read: 0 when all are indexed, or while another server
/// indexes.
pub async fn index_messages(db: &Db, most: i32) -> Result<i32> {
    Ok(
        sqlx::query_scalar!(r#"select index_new_messages($1) as "read!""#, most)
            .fetch_one(db.system_pool(Jobs))
            .await?,
    )
}

/// One page of `kind`, or the first page of each. Each kind takes two or three round trips.
pub async fn search(
    tx: &mut WorkspaceTx,
    query: &Query,
    kind: Option<Kind>,
    span: &Span,
) -> Result<Found> {
    if kind.is_none() && span.cursor()?.is_some() {
        return Err(Error::field(
            "kind",
            t!("Set kind to what the cursor belongs to: people, conversations or messages"),
        ));
    }
    let includes = |this| kind.is_none_or(|kind| kind == this);
    let input = match kind {
        Some(Kind::Messages) => SearchInput::default(),
        _ => contacts::search_input(tx, &query.0).await?,
    };
    Ok(Found {
        people: match includes(Kind::People) {
            true => people(tx, query, &input, span).await?,
            false => empty_page(),
        },
        conversations: match includes(Kind::Conversations) {
            true => conversations(tx, query, &input, span).await?,
            false => empty_page(),
        },
        messages: match includes(Kind::Messages) {
            true => messages(tx, query, span).await?,
            false => empty_page(),
        },
    })
}

fn empty_page<T>() -> Page<T> {
    Page {
        data: Vec::new(),
        next_cursor: None,
    }
}

async fn people(
    tx: &mut WorkspaceTx,
    query: &Query,
    input: &SearchInput,
    span: &Span,
) -> Result<Page<FoundPerson>> {
    let (limit, cursor) = (span.limit()?, span.cursor()?);
    let ids = sqlx::query_scalar!(
        r#"select id as "id!: ContactId" from find_contacts($1, $2, $3, $4) as id"#,
        input.search_text,
        &input.terms(),
        cursor.map(|cursor| cursor.id),
        fetch_limit(limit),
    )
    .fetch_all(tx.conn())
    .await?;
    let mut found = Vec::with_capacity(ids.len());
    let conversations = conversations::newest_of(tx, &ids).await?;
    for contact in in_order(contacts::find_many(tx, &ids).await?, &ids, |contact| {
        contact.id
    }) {
        let (title, number) = highlighted(&contact, query, input);
        let conversation = conversations
            .iter()
            .find(|(contact_id, _)| *contact_id == contact.id);
        found.push(FoundPerson {
            conversation_id: conversation.map(|(_, conversation)| *conversation),
            contact,
            title,
            number,
        });
    }
    Ok(page(found, limit, |person| Cursor {
        at: person.contact.created_at,
        id: person.contact.id.0,
    }))
}

async fn conversations(
    tx: &mut WorkspaceTx,
    query: &Query,
    input: &SearchInput,
    span: &Span,
) -> Result<Page<FoundConversation>> {
    let (limit, cursor) = (span.limit()?, span.cursor()?);
    let ids = sqlx::query_scalar!(
        r#"select id as "id!: ConversationId" from find_conversations($1, $2, $3, $4, $5) as id"#,
        input.search_text,
        &input.terms(),
        cursor.map(|cursor| cursor.at),
        cursor.map(|cursor| cursor.id),
        fetch_limit(limit),
    )
    .fetch_all(tx.conn())
    .await?;
    let found = conversations::find_many(tx, &ids).await?;
    let found = in_order(found, &ids, |conversation| conversation.id)
        .map(|conversation| {
            let (title, number) = highlighted(&conversation.contact, query, input);
            FoundConversation {
                conversation,
                title,
                number,
            }
        })
        .collect();
    Ok(page(found, limit, |found| Cursor {
        at: found.conversation.last_message_at,
        id: found.conversation.id.0,
    }))
}

async fn messages(tx: &mut WorkspaceTx, query: &Query, span: &Span) -> Result<Page<FoundMessage>> {
    let (limit, cursor) = (span.limit()?, span.cursor()?);
    let ids = sqlx::query_scalar!(
        r#"select id as "id!: MessageId" from find_messages($1, $2, $3) as id"#,
        query.0,
        cursor.map(|cursor| cursor.id),
        fetch_limit(limit),
    )
    .fetch_all(tx.conn())
    .await?;
    let texts = messages::find_many(tx, &ids).await?;
    let mut conversation_ids: Vec<_> = texts.iter().map(|text| text.conversation_id).collect();
    conversation_ids.sort_unstable();
    conversation_ids.dedup();
    let conversations = conversations::find_many(tx, &conversation_ids).await?;
    let found = in_order(texts, &ids, |text| text.id)
        .filter_map(|message| {
            let conversation = conversations
                .iter()
                .find(|conversation| conversation.id == message.conversation_id)?;
            Some(FoundMessage {
                conversation: conversation.clone(),
                excerpt: highlight::excerpt(&message.content, &query.0),
                message,
            })
        })
        .collect();
    Ok(page(found, limit, |found| Cursor {
        at: found.message.created_at,
        id: found.message.id.0,
    }))
}

/// One more than the page holds, to know whether another page follows.
fn fetch_limit(limit: i64) -> i32 {
    i32::try_from(limit).unwrap_or(200) + 1
}

/// Sorts rows by `ids`: a look-up by ids returns them in no order.
fn in_order<T, I: PartialEq>(
    mut rows: Vec<T>,
    ids: &[I],
    id: impl Fn(&T) -> I,
) -> impl Iterator<Item = T> {
    rows.sort_by_cached_key(|row| ids.iter().position(|found| *found == id(row)));
    rows.into_iter()
}

/// The contact's name and number with highlighted matches. If only another number of theirs matches, it is appended.
fn highlighted(contact: &Contact, query: &Query, input: &SearchInput) -> (Vec<Piece>, Vec<Piece>) {
    let name = highlight::name(contact.name.as_deref().unwrap_or_default(), &query.0);
    let highlighted =
        |stored: &str| highlight::digits(&phone::display(stored), stored, &input.numbers);
    let is_hit = |pieces: &[Piece]| pieces.iter().any(|piece| piece.hit);
    let mut number = highlighted(&contact.phone_number);
    if !is_hit(&number) {
        let mut others = contact.other_numbers.iter().map(|other| highlighted(other));
        if let Some(other) = others.find(|other| is_hit(other)) {
            number.push(Piece {
                text: ", ".into(),
                hit: false,
            });
            number.extend(other);
        }
    }
    (name, number)
}

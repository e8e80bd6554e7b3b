//! The part of a thread that a page shows: its texts, and the activity between them.

use super::filter::ListLocation;
use super::texts::Texts;
use crate::db::WorkspaceTx;
use crate::domain::conversations::Conversation;
use crate::domain::conversations::activity::{self, Activity};
use crate::domain::messages::{self, Message};
use crate::error::Result;
use crate::ids::{ConversationId, MessageId};
use crate::listing::{Cursor, Page, Span};
use crate::web::pages::{Partial, partial};

pub const TEXTS: i64 = 40;
const MAX_TEXTS: i64 = 200;
pub const LINES: i64 = 200;

#[derive(Clone, Debug, Default)]
pub enum ThreadPart {
    #[default]
    Newest,
    Before(String),
    After(MessageId),
    /// Half a page before and half a page after.
    Around(MessageId),
}

pub fn filter_of(conversation: ConversationId) -> messages::Filter {
    messages::Filter {
        conversation: Some(conversation),
        ..messages::Filter::default()
    }
}

pub struct ShownThread {
    pub texts: Partial,
    /// The newest text of the conversation as of this page.
    pub newest: Option<MessageId>,
    pub at: Option<MessageId>,
    pub has_newer: bool,
}

/// `latest`: the latest activity, at most `LINES`, if it is known already and the newest part is shown.
pub async fn texts(
    tx: &mut WorkspaceTx,
    conversation: &Conversation,
    location: &ListLocation,
    part: ThreadPart,
    latest: Option<&[Activity]>,
) -> Result<ShownThread> {
    let part = match part {
        // A deleted or foreign message: show the newest page.
        ThreadPart::Around(id) if !is_of(tx, conversation, id).await? => ThreadPart::Newest,
        part => part,
    };
    let unread = match part {
        ThreadPart::Newest => conversation.unread_count,
        _ => 0,
    };
    let loaded = load(tx, conversation.id, &part, unread).await?;
    let shown = loaded.messages;
    let path = format!("{}/{}", location.base, conversation.id);
    let newer = shown.first().filter(|_| loaded.has_newer).map(|last| {
        let href = format!("{path}?after={}", last.id);
        (frame_id(&format!("after-{}", last.id)), href)
    });
    let oldest = loaded.older.as_ref().and(shown.last());
    let oldest = oldest.map(|message| message.id.0);
    let older = loaded
        .older
        .map(|cursor| (frame_id(&cursor), format!("{path}?before={cursor}")));
    // A draft refers to the newest text seen. If newer texts are not shown, the row in the list shows the newest.
    let newest = match newer {
        Some(_) => conversation.last_message_id,
        None => shown.first().map(|message| message.id),
    };
    // Activity between the ends of this page; the rest comes with the other pages.
    let from = match part {
        ThreadPart::After(id) => Some(id.0),
        _ => oldest,
    };
    let to = match (&part, &newer) {
        (_, Some(_)) => shown.first().map(|last| last.id.0),
        (ThreadPart::Before(cursor), _) => Cursor::parse(cursor).map(|cursor| cursor.id),
        _ => None,
    };
    let happened = match (&part, latest) {
        (ThreadPart::Newest, Some(latest)) => latest
            .iter()
            .filter(|one| from.is_none_or(|from| one.id.0 > from))
            .cloned()
            .collect(),
        _ => activity::between(tx, conversation.id, from, to, LINES).await?,
    };
    // Scheduled texts are shown below the thread.
    let (_, sent): (Vec<_>, Vec<_>) = shown.into_iter().partition(Message::is_scheduled);
    Ok(ShownThread {
        texts: partial(&Texts::new(&sent, &happened, unread, older)?.with_newer(newer))?,
        newest,
        has_newer: loaded.has_newer,
        at: match part {
            ThreadPart::Around(id) => Some(id),
            _ => None,
        },
    })
}

struct Loaded {
    /// Newest first.
    messages: Vec<Message>,
    has_newer: bool,
    /// The cursor of the older ones.
    older: Option<String>,
}

async fn load(
    tx: &mut WorkspaceTx,
    conversation: ConversationId,
    part: &ThreadPart,
    unread: i32,
) -> Result<Loaded> {
    let (cursor, limit, after) = match part {
        // Include all unread texts, up to the limit, to open at the first of them.
        ThreadPart::Newest => (None, (i64::from(unread) + 8).clamp(TEXTS, MAX_TEXTS), None),
        ThreadPart::Before(cursor) => (Some(cursor.clone()), TEXTS, None),
        ThreadPart::Around(id) => (
            Some(Cursor::just_after(id.0).to_string()),
            TEXTS / 2,
            Some(*id),
        ),
        ThreadPart::After(id) => (None, 0, Some(*id)),
    };
    let mut earlier = Page {
        data: Vec::new(),
        next_cursor: None,
    };
    if limit > 0 {
        let limit = Some(limit);
        earlier = messages::list(tx, &filter_of(conversation), &Span { limit, cursor }).await?;
    }
    let mut messages = match after {
        None => Vec::new(),
        Some(id) => messages::after(tx, conversation, id, TEXTS / 2).await?,
    };
    let has_newer = messages.len() > TEXTS as usize / 2;
    messages.truncate(TEXTS as usize / 2);
    messages.reverse();
    messages.append(&mut earlier.data);
    Ok(Loaded {
        messages,
        has_newer,
        older: earlier.next_cursor,
    })
}

async fn is_of(tx: &mut WorkspaceTx, conversation: &Conversation, id: MessageId) -> Result<bool> {
    let found = messages::find_many(tx, &[id]).await?;
    Ok(found
        .first()
        .is_some_and(|message| message.conversation_id == conversation.id))
}

pub fn frame_id(cursor: &str) -> String {
    format!(
        "texts-{}",
        cursor.replace(
            |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_',
            ""
        )
    )
}

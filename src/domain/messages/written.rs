//! A text just stored, as it travels with its event on this server, so that showing it costs no query.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Media, Message};
use crate::domain::conversations::Conversation;
use crate::domain::conversations::activity::Activity;
use crate::ids::{ContactId, ConversationId, MediaId, WorkspaceId};

/// A statement that stores texts.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    pub nth: u64,
    pub began: Instant,
}

impl Statement {
    pub fn begin() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self {
            nth: COUNT.fetch_add(1, Ordering::Relaxed),
            began: Instant::now(),
        }
    }
}

/// A text and its conversation as its statement has left them.
#[derive(Debug)]
pub struct Written {
    pub message: Message,
    pub conversation: Conversation,
    /// What the text has caused, oldest first.
    pub activity: Vec<Activity>,
    pub statement: Statement,
}

impl Written {
    pub(super) fn new(message: Message, stored: StoredConversation, statement: Statement) -> Self {
        Self {
            message,
            conversation: stored.conversation,
            activity: stored.activity,
            statement,
        }
    }
}

/// As `stored_conversation` in the database writes it.
#[derive(Debug, Deserialize)]
pub struct StoredConversation {
    #[serde(flatten)]
    conversation: Conversation,
    activity: Vec<Activity>,
    stored_at: DateTime<Utc>,
}

impl StoredConversation {
    pub(super) fn id(&self) -> ConversationId {
        self.conversation.id
    }

    pub(super) fn contact_id(&self) -> ContactId {
        self.conversation.contact_id
    }

    /// The time of the transaction.
    pub(super) fn stored_at(&self) -> DateTime<Utc> {
        self.stored_at
    }
}

/// An attachment as it is given to `receive_texts`.
#[derive(Deserialize)]
struct StoredMedia {
    id: MediaId,
    url: String,
    content_type: String,
}

/// The attachments as they are shown: the rule of `media_of` in the database.
pub(super) fn media(workspace: WorkspaceId, stored: Option<&serde_json::Value>) -> Vec<Media> {
    let stored = stored.map(Vec::<StoredMedia>::deserialize);
    let stored = stored.and_then(Result::ok).unwrap_or_default();
    let shown = stored.into_iter().map(|file| Media {
        url: match file.url.starts_with('/') {
            true => file.url,
            false => format!("/api/workspaces/{workspace}/media/{}", file.id),
        },
        id: file.id,
        content_type: file.content_type,
        size: None,
        width: None,
        height: None,
        error: None,
    });
    shown.collect()
}

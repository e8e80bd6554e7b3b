//! The frames of the API's socket: one JSON object each, `type` first.

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;

use crate::domain::contacts::Contact;
use crate::domain::conversations::Conversation;
use crate::domain::conversations::activity::Activity;
use crate::domain::messages::{self, Message};
use crate::domain::numbers::Number;
use crate::ids::{ContactId, ConversationId, MessageId, UserId, WorkspaceId};

/// What a room hears.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Frame<'a> {
    NewMessage {
        workspace_id: WorkspaceId,
        message: &'a Message,
        conversation: &'a Conversation,
        contact: &'a Contact,
    },
    MessageStatus {
        workspace_id: WorkspaceId,
        message_id: MessageId,
        conversation_id: ConversationId,
        status: messages::Status,
        error_code: Option<&'a str>,
    },
    ConversationUpdated(&'a Conversation),
    /// What became of a conversation: a line in its thread. It may come twice; its id says so.
    ConversationEvent {
        workspace_id: WorkspaceId,
        event: &'a Activity,
    },
    /// A note calls `user_id`, and they alone hear it here.
    Mentioned {
        workspace_id: WorkspaceId,
        user_id: UserId,
        message: &'a Message,
        conversation: &'a Conversation,
    },
    /// They have looked, perhaps in another window.
    MentionsSeen {
        workspace_id: WorkspaceId,
        user_id: UserId,
    },
    ContactUpdated(&'a Contact),
    /// Gone, or another one's now; or out of sight with its last conversation.
    ContactRemoved {
        workspace_id: WorkspaceId,
        contact_id: ContactId,
        merged_into: Option<ContactId>,
    },
    /// Gone with its contact, or joined to another.
    ConversationRemoved {
        workspace_id: WorkspaceId,
        conversation_id: ConversationId,
    },
    NumberUpdated(&'a Number),
    /// What an agent has left, to that agent alone.
    Credits {
        workspace_id: WorkspaceId,
        user_id: UserId,
        balance: i64,
        is_low: bool,
    },
    Typing {
        workspace_id: WorkspaceId,
        conversation_id: ConversationId,
        user_id: UserId,
    },
    /// Somebody looks at a conversation, or no longer does.
    Presence {
        workspace_id: WorkspaceId,
        conversation_id: ConversationId,
        user_id: UserId,
        viewing: bool,
    },
}

impl Frame<'_> {
    pub fn text(&self) -> Utf8Bytes {
        serde_json::to_string(self)
            .expect("plain data serializes")
            .into()
    }
}

/// This connection fell behind, or the server restarted: fetch again.
pub const RESYNC: &str = r#"{"type":"resync"}"#;

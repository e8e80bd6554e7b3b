//! Frames of the JSON dialect: one object each, `type` first.

use axum::body::Bytes;
use serde::Serialize;

use super::wire;
use crate::domain::contacts::Contact;
use crate::domain::conversations::Conversation;
use crate::domain::conversations::activity::Activity;
use crate::domain::messages::{self, Message};
use crate::domain::numbers::Number;
use crate::ids::{ContactId, ConversationId, MessageId, UserId, WorkspaceId};

/// An event for the members of a room.
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
    /// An activity line of a conversation. It may arrive twice with the same id.
    ConversationEvent {
        workspace_id: WorkspaceId,
        event: &'a Activity,
    },
    /// A note mentions `user_id`; sent to that user only.
    Mentioned {
        workspace_id: WorkspaceId,
        user_id: UserId,
        message: &'a Message,
        conversation: &'a Conversation,
    },
    /// Another member has assigned the conversation to `user_id`; sent to that user only.
    Assigned {
        workspace_id: WorkspaceId,
        user_id: UserId,
        event: &'a Activity,
        conversation: &'a Conversation,
    },
    /// The user has read the mentions, perhaps in another window.
    MentionsSeen {
        workspace_id: WorkspaceId,
        user_id: UserId,
    },
    ContactUpdated(&'a Contact),
    /// The contact was deleted or merged, or the user no longer sees any conversation with it.
    ContactRemoved {
        workspace_id: WorkspaceId,
        contact_id: ContactId,
        merged_into: Option<ContactId>,
    },
    /// The conversation was deleted with its contact, or joined to another.
    ConversationRemoved {
        workspace_id: WorkspaceId,
        conversation_id: ConversationId,
    },
    NumberUpdated(&'a Number),
    /// An agent's balance; sent to that agent only.
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
    /// A member opens or leaves a conversation.
    Presence {
        workspace_id: WorkspaceId,
        conversation_id: ConversationId,
        user_id: UserId,
        viewing: bool,
    },
}

impl Frame<'_> {
    pub fn json(&self) -> Bytes {
        wire::json(self)
    }
}

/// Frames were lost, or the hub restarted: the client fetches again.
pub const RESYNC: &str = r#"{"type":"resync"}"#;

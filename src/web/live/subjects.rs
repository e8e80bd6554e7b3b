//! The messages and conversations that a batch of events is about.

use std::collections::HashMap;

use crate::db::Db;
use crate::domain::conversations::activity::{self, Activity};
use crate::domain::conversations::{self, Conversation};
use crate::domain::messages::{self, Message};
use crate::error::Result;
use crate::events::Event;
use crate::ids::{ConversationId, MessageId, WorkspaceId};

type MessageKeys = Vec<(WorkspaceId, MessageId)>;
type ConversationKeys = Vec<(WorkspaceId, ConversationId)>;

pub struct Subjects {
    messages: HashMap<MessageId, Message>,
    conversations: HashMap<ConversationId, Conversation>,
    activity: Vec<Activity>,
}

impl Subjects {
    /// Three round trips, regardless of the number of events; none if no event is about a message or conversation.
    pub async fn load(db: &Db, events: &[Event]) -> Result<Self> {
        let (message_keys, changed) = keys(events);
        let messages = match message_keys.is_empty() {
            true => Vec::new(),
            false => messages::look_up(db, &message_keys).await?,
        };
        // An inbound text may have reopened the conversation.
        let received = messages
            .iter()
            .filter(|message| message.direction == messages::Direction::Inbound)
            .map(conversation_key);
        let moved = distinct(changed.iter().copied().chain(received));
        let shown = distinct(
            changed
                .into_iter()
                .chain(messages.iter().map(conversation_key)),
        );
        let conversations = match shown.is_empty() {
            true => Vec::new(),
            false => conversations::look_up(db, &shown).await?,
        };
        Ok(Self {
            activity: activity::recent(db, &moved).await?,
            messages: messages.into_iter().map(|one| (one.id, one)).collect(),
            conversations: conversations.into_iter().map(|one| (one.id, one)).collect(),
        })
    }

    /// The message and its conversation, unless they were deleted since.
    pub fn message(&self, id: MessageId) -> Option<(&Message, &Conversation)> {
        let message = self.messages.get(&id)?;
        Some((message, self.conversation(message.conversation_id)?))
    }

    pub fn conversation(&self, id: ConversationId) -> Option<&Conversation> {
        self.conversations.get(&id)
    }

    /// The latest activity of the conversations that may have changed.
    pub fn activity(&self) -> impl Iterator<Item = (&Activity, &Conversation)> {
        self.activity
            .iter()
            .filter_map(|one| Some((one, self.conversation(one.conversation_id)?)))
    }
}

fn keys(events: &[Event]) -> (MessageKeys, ConversationKeys) {
    let (mut messages, mut conversations) = (Vec::new(), Vec::new());
    for event in events {
        match *event {
            Event::MessageAdded {
                workspace, message, ..
            }
            | Event::MessageChanged {
                workspace, message, ..
            }
            | Event::Mentioned {
                workspace, message, ..
            } => messages.push((workspace, message)),
            Event::ConversationChanged {
                workspace,
                conversation,
                ..
            } => conversations.push((workspace, conversation)),
            _ => {}
        }
    }
    (messages, conversations)
}

fn conversation_key(message: &Message) -> (WorkspaceId, ConversationId) {
    (message.workspace_id, message.conversation_id)
}

fn distinct(keys: impl Iterator<Item = (WorkspaceId, ConversationId)>) -> ConversationKeys {
    let mut keys: Vec<_> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

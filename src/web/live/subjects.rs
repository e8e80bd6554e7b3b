//! The messages and conversations that a batch of events is about.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::freshness::{self, Shown};
use crate::db::Db;
use crate::domain::conversations::activity::{self, Activity};
use crate::domain::conversations::{self, Conversation};
use crate::domain::messages::written::Written;
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
    /// The conversations that were not read, and the statements whose rows they are.
    carried: HashMap<ConversationId, u64>,
}

impl Subjects {
    /// Three round trips, regardless of the number of events; none if no event is about a message or conversation, or
    /// all their rows travelled with them.
    pub async fn load(db: &Db, events: &[Event], shown: &Shown) -> Result<Self> {
        let rows = usable_rows(events, shown);
        let (message_keys, changed) = keys(events, &rows);
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
        let visible = distinct(
            changed
                .into_iter()
                .chain(messages.iter().map(conversation_key)),
        );
        let conversations = match visible.is_empty() {
            true => Vec::new(),
            false => conversations::look_up(db, &visible).await?,
        };
        let mut subjects = Self {
            activity: activity::recent(db, &moved).await?,
            messages: messages.into_iter().map(|one| (one.id, one)).collect(),
            conversations: conversations.into_iter().map(|one| (one.id, one)).collect(),
            carried: HashMap::new(),
        };
        rows.into_values().for_each(|row| subjects.add(row));
        Ok(subjects)
    }

    /// What was read is newer than what has travelled.
    fn add(&mut self, row: &Written) {
        let message = self.messages.entry(row.message.id);
        message.or_insert_with(|| row.message.clone());
        if let Entry::Vacant(free) = self.conversations.entry(row.conversation.id) {
            free.insert(row.conversation.clone());
            self.carried.insert(row.conversation.id, row.statement.nth);
            self.activity.extend(row.activity.iter().cloned());
        }
    }

    /// Notes what is shown of these events.
    pub fn note(&self, events: &[Event], shown: &mut Shown) {
        for id in self.conversations.keys() {
            shown.note(id.0, self.carried.get(id).copied());
        }
        for id in events.iter().filter_map(changed_beside) {
            shown.note(id, None);
        }
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

/// The rows that travelled with these events and that nothing newer was shown of. A conversation that two statements
/// have written is read, and so is one of whose contact or number something else has changed.
fn usable_rows<'a>(events: &'a [Event], shown: &Shown) -> HashMap<MessageId, &'a Written> {
    let others: HashSet<_> = events.iter().filter_map(changed_beside).collect();
    let rows: Vec<_> = events.iter().filter_map(row_of).collect();
    let mut writers = HashMap::new();
    for row in &rows {
        let nth = row.statement.nth;
        let writer = writers.entry(row.conversation.id).or_insert(Some(nth));
        if *writer != Some(nth) {
            *writer = None;
        }
    }
    rows.into_iter()
        .filter(|row| writers.get(&row.conversation.id) != Some(&None))
        .filter(|row| {
            let ids = freshness::ids(&row.conversation);
            shown.allows(row.statement, &ids) && !ids.iter().any(|id| others.contains(id))
        })
        .map(|row| (row.message.id, row))
        .collect()
}

fn row_of(event: &Event) -> Option<&Written> {
    match event {
        Event::MessageAdded { row, .. } => row.get(),
        _ => None,
    }
}

/// What else an event changes of a conversation's row.
fn changed_beside(event: &Event) -> Option<Uuid> {
    match event {
        Event::ContactChanged { contact, .. } | Event::ContactRemoved { contact, .. } => {
            Some(contact.0)
        }
        Event::ConversationRemoved { conversation, .. } => Some(conversation.0),
        Event::NumberChanged { number, .. } => Some(number.0),
        _ => None,
    }
}

/// The messages and conversations to read.
fn keys(events: &[Event], rows: &HashMap<MessageId, &Written>) -> (MessageKeys, ConversationKeys) {
    let (mut messages, mut conversations) = (Vec::new(), Vec::new());
    for event in events {
        match *event {
            Event::MessageAdded { message, .. } if rows.contains_key(&message) => {}
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
            }
            | Event::Assigned {
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

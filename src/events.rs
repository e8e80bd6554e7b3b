//! Domain events: ids, small on the wire, never stale. Receivers load what else they need, unless the row just written
//! travels with the event on the same server.
//!
//! Events are announced in a transaction and published after its commit, so a rollback publishes nothing.

use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::broadcast;

use crate::ids::*;

/// What was just written, for receivers on this server: it saves them a query. Its type belongs to the domain.
#[derive(Clone, Default)]
pub struct Carried(Option<Arc<dyn Any + Send + Sync>>);

impl Carried {
    pub fn new<T: Send + Sync + 'static>(row: T) -> Self {
        Self(Some(Arc::new(row)))
    }

    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.0.as_deref()?.downcast_ref()
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "carried" } else { "none" })
    }
}

/// Two events are the same whatever they carry.
impl PartialEq for Carried {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Carried {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    MessageAdded {
        workspace: WorkspaceId,
        message: MessageId,
        number: NumberId,
        /// A `Written` of the messages, or nothing.
        row: Carried,
    },
    MessageChanged {
        workspace: WorkspaceId,
        message: MessageId,
        number: NumberId,
    },
    ConversationChanged {
        workspace: WorkspaceId,
        conversation: ConversationId,
        number: NumberId,
    },
    /// An opt-out or opt-in, for one number or for all: queued messages may have failed, and other
    /// conversations with the same address may have changed too.
    ConsentChanged {
        workspace: WorkspaceId,
        conversation: ConversationId,
    },
    ContactChanged {
        workspace: WorkspaceId,
        contact: ContactId,
    },
    /// A contact was deleted or merged; `numbers` are those through which members could see it.
    ContactRemoved {
        workspace: WorkspaceId,
        contact: ContactId,
        merged_into: Option<ContactId>,
        numbers: Vec<NumberId>,
    },
    /// A conversation was deleted with its contact, or merged into another.
    ConversationRemoved {
        workspace: WorkspaceId,
        conversation: ConversationId,
        number: NumberId,
    },
    NumberChanged {
        workspace: WorkspaceId,
        number: NumberId,
    },
    /// The first inbound text after a pause.
    NumberReceived {
        workspace: WorkspaceId,
        number: NumberId,
    },
    /// An integration or its numbers changed: caches drop it.
    IntegrationChanged {
        workspace: WorkspaceId,
    },
    /// A provider rejects an integration's messages: its queue waits until an admin repairs the integration.
    IntegrationFailed {
        workspace: WorkspaceId,
        integration: IntegrationId,
    },
    /// A role, an assignment of numbers or the membership itself changed.
    AccessChanged {
        workspace: WorkspaceId,
    },
    SessionEnded {
        session: SessionId,
    },
    /// A balance changed; `low` when it has just fallen to the warning threshold.
    CreditsChanged {
        workspace: WorkspaceId,
        user: UserId,
        low: bool,
    },
    /// A browser was subscribed to push notifications.
    PushesChanged {
        workspace: WorkspaceId,
    },
    Mentioned {
        workspace: WorkspaceId,
        message: MessageId,
        number: NumberId,
        user: UserId,
    },
    MentionsSeen {
        workspace: WorkspaceId,
        user: UserId,
    },
    /// Somebody else has assigned the conversation to `user`.
    Assigned {
        workspace: WorkspaceId,
        conversation: ConversationId,
        number: NumberId,
        user: UserId,
    },
    /// A user is typing. Not stored.
    Typing {
        workspace: WorkspaceId,
        conversation: ConversationId,
        number: NumberId,
        user: UserId,
    },
    /// Events may have been lost: receivers reload.
    Missed {
        workspace: WorkspaceId,
    },
    Queued,
}

impl Event {
    /// The event's workspace; `None` for events of no or of all workspaces.
    pub fn workspace(&self) -> Option<WorkspaceId> {
        match self {
            Self::MessageAdded { workspace, .. }
            | Self::MessageChanged { workspace, .. }
            | Self::ConversationChanged { workspace, .. }
            | Self::ConsentChanged { workspace, .. }
            | Self::ContactChanged { workspace, .. }
            | Self::ContactRemoved { workspace, .. }
            | Self::ConversationRemoved { workspace, .. }
            | Self::NumberChanged { workspace, .. }
            | Self::NumberReceived { workspace, .. }
            | Self::IntegrationChanged { workspace }
            | Self::IntegrationFailed { workspace, .. }
            | Self::AccessChanged { workspace }
            | Self::CreditsChanged { workspace, .. }
            | Self::PushesChanged { workspace }
            | Self::Mentioned { workspace, .. }
            | Self::MentionsSeen { workspace, .. }
            | Self::Assigned { workspace, .. }
            | Self::Typing { workspace, .. }
            | Self::Missed { workspace } => Some(*workspace),
            Self::SessionEnded { .. } | Self::Queued => None,
        }
    }
}

impl Event {
    /// Whether it is about texts and conversations, as most events are, and so of interest to those who show them only.
    fn is_of_texts(&self) -> bool {
        matches!(
            self,
            Self::MessageAdded { .. }
                | Self::MessageChanged { .. }
                | Self::ConversationChanged { .. }
                | Self::Typing { .. }
        )
    }
}

/// Hands events to receivers in this process. Those that do not show texts are not woken for each of them.
#[derive(Clone, Debug)]
pub struct Bus {
    all: broadcast::Sender<Event>,
    /// All but those of texts.
    others: broadcast::Sender<Event>,
    watched: Watched,
}

/// How many events a subscriber may lag before it loses some.
const BACKLOG: usize = 16_384;
const BACKLOG_OF_OTHERS: usize = 8_192;

impl Bus {
    #[allow(clippy::new_without_default)] // there is only one
    pub fn new() -> Self {
        Self {
            all: broadcast::Sender::new(BACKLOG),
            others: broadcast::Sender::new(BACKLOG_OF_OTHERS),
            watched: Watched::default(),
        }
    }

    pub fn publish(&self, event: Event) {
        // Without subscribers this fails, which is no error.
        if !event.is_of_texts() {
            let _ = self.others.send(event.clone());
        }
        let _ = self.all.send(event);
    }

    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.all.subscribe()
    }

    /// Without the events of texts and conversations.
    pub fn listen_to_others(&self) -> broadcast::Receiver<Event> {
        self.others.subscribe()
    }

    pub fn watched(&self) -> &Watched {
        &self.watched
    }
}

/// The workspaces that somebody watches on this server. Writers look here before they prepare a row to travel.
#[derive(Clone, Debug, Default)]
pub struct Watched(Arc<RwLock<HashSet<WorkspaceId>>>);

impl Watched {
    pub fn contains(&self, workspace: WorkspaceId) -> bool {
        let watched = self.0.read().unwrap_or_else(PoisonError::into_inner);
        watched.contains(&workspace)
    }

    pub fn set(&self, workspace: WorkspaceId, is_watched: bool) {
        let mut watched = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if is_watched {
            watched.insert(workspace);
        } else {
            watched.remove(&workspace);
        }
    }
}

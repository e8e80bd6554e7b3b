//! What happened, in ids only: small on the wire, never stale. Whoever needs more looks it up.
//!
//! Events are announced inside a transaction and published after its commit, so nobody hears of what did not happen.

use tokio::sync::broadcast;

use crate::ids::*;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    MessageAdded {
        workspace: WorkspaceId,
        message: MessageId,
        number: NumberId,
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
    /// Whom this conversation is with opted out or in, from its number or from all: what waited for them may have been called
    /// off, and each conversation with them may stand otherwise.
    ConsentChanged {
        workspace: WorkspaceId,
        conversation: ConversationId,
    },
    ContactChanged {
        workspace: WorkspaceId,
        contact: ContactId,
    },
    /// A contact is gone, or another one's now; those who saw one of these numbers could see it.
    ContactRemoved {
        workspace: WorkspaceId,
        contact: ContactId,
        merged_into: Option<ContactId>,
        numbers: Vec<NumberId>,
    },
    /// A conversation is gone with its contact, or joined to another.
    ConversationRemoved {
        workspace: WorkspaceId,
        conversation: ConversationId,
        number: NumberId,
    },
    NumberChanged {
        workspace: WorkspaceId,
        number: NumberId,
    },
    /// A text came in, after a while without one.
    NumberReceived {
        workspace: WorkspaceId,
        number: NumberId,
    },
    /// An integration or its set of numbers changed: whoever remembers them forgets.
    IntegrationChanged {
        workspace: WorkspaceId,
    },
    /// A provider stopped taking an integration's texts: its queue waits until an admin has mended it.
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
    /// A balance changed; `low` when it has just fallen to where its owner is told.
    CreditsChanged {
        workspace: WorkspaceId,
        user: UserId,
        low: bool,
    },
    /// A note calls `user`.
    Mentioned {
        workspace: WorkspaceId,
        message: MessageId,
        number: NumberId,
        user: UserId,
    },
    /// `user` has looked where notes called them.
    MentionsSeen {
        workspace: WorkspaceId,
        user: UserId,
    },
    /// Someone is writing. Passes through; stored nowhere.
    Typing {
        workspace: WorkspaceId,
        conversation: ConversationId,
        number: NumberId,
        user: UserId,
    },
    /// Something may have happened here that nobody could announce: who listens fetches again.
    Missed {
        workspace: WorkspaceId,
    },
    /// Texts wait to be sent.
    Queued,
}

impl Event {
    /// Where it happened; `None`: nowhere, or everywhere.
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
            | Self::Mentioned { workspace, .. }
            | Self::MentionsSeen { workspace, .. }
            | Self::Typing { workspace, .. }
            | Self::Missed { workspace } => Some(*workspace),
            Self::SessionEnded { .. } | Self::Queued => None,
        }
    }
}

/// Carries events from whoever commits to whoever listens, within this process.
#[derive(Clone, Debug)]
pub struct Bus(broadcast::Sender<Event>);

/// How many events a listener may lag before it is told that it missed some.
const BACKLOG: usize = 16_384;

impl Bus {
    #[allow(clippy::new_without_default)] // there is one, made on purpose
    pub fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }

    pub fn publish(&self, event: Event) {
        // No listener is no failure: nobody is there to hear.
        let _ = self.0.send(event);
    }

    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}

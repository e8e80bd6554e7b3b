//! Renders each event once and sends it to all subscribers who may see its subject.

use std::sync::Arc;

use super::frames::Frame;
use super::freshness::Shown;
use super::push::push;
use super::rooms::Rooms;
use super::subjects::Subjects;
use crate::db::Db;
use crate::domain::contacts::{self, fields};
use crate::domain::conversations::activity::{Activity, Kind};
use crate::domain::credits;
use crate::domain::numbers;
use crate::domain::opt_outs::consent_events::consent_events;
use crate::error::Result;
use crate::events::Event;
use crate::ids::{ContactId, ConversationId, MessageId, NumberId, UserId, WorkspaceId};
use crate::web::pages::fragments;

pub struct Delivery {
    db: Db,
    rooms: Arc<Rooms>,
    shown: Shown,
}

impl Delivery {
    pub fn new(db: Db, rooms: Arc<Rooms>) -> Self {
        Self {
            db,
            rooms,
            shown: Shown::default(),
        }
    }

    /// If the events cannot be loaded, all clients reload.
    pub async fn deliver(&mut self, events: Vec<Event>) {
        if let Err(error) = self.try_deliver(events).await {
            tracing::warn!(%error, "could not load events: all clients resync");
            self.rooms.resync_all();
        }
    }

    /// None for texts whose rows travel with their events, and without subscribers. Otherwise three round trips per
    /// batch, regardless of events and subscribers; one more if consent changed.
    async fn try_deliver(&mut self, mut events: Vec<Event>) -> Result<()> {
        events.retain(|event| {
            let workspace = event.workspace();
            workspace.is_none_or(|workspace| self.rooms.has_subscribers(workspace))
        });
        self.end_and_resync(&events);
        events.extend(consent_events(&self.db, &consent_changes(&events)).await?);
        let subjects = Subjects::load(&self.db, &events, &self.shown).await?;
        subjects.note(&events, &mut self.shown);
        for event in events {
            self.deliver_event(event, &subjects).await?;
            // A frame to a large room takes milliseconds.
            tokio::task::yield_now().await;
        }
        self.activity_added(&subjects);
        Ok(())
    }

    /// Ended sessions receive nothing of the batch.
    fn end_and_resync(&self, events: &[Event]) {
        for event in events {
            match event {
                Event::SessionEnded { session } => self.rooms.end(*session),
                Event::Missed { workspace } => self.rooms.resync_room(*workspace),
                _ => {}
            }
        }
    }

    async fn deliver_event(&self, event: Event, subjects: &Subjects) -> Result<()> {
        match event {
            Event::MessageAdded {
                message, number, ..
            } => self.message_added(subjects, message, number),
            Event::MessageChanged {
                message, number, ..
            } => self.message_changed(subjects, message, number),
            Event::ConversationChanged {
                conversation,
                number,
                ..
            } => self.conversation_changed(subjects, conversation, number),
            Event::ConversationRemoved {
                workspace,
                conversation,
                number,
            } => self.conversation_removed(workspace, conversation, number),
            Event::Mentioned {
                message,
                number,
                user,
                ..
            } => self.mentioned(subjects, message, number, user),
            Event::Assigned {
                conversation,
                number,
                user,
                ..
            } => self.assigned(subjects, conversation, number, user),
            Event::MentionsSeen { workspace, user } => self.mentions_seen(workspace, user),
            Event::ContactChanged { workspace, contact } => {
                self.contact_changed(workspace, contact).await?;
            }
            Event::ContactRemoved {
                workspace,
                contact,
                merged_into,
                numbers,
            } => self.contact_removed(workspace, contact, merged_into, &numbers),
            Event::NumberChanged { workspace, number }
            | Event::NumberReceived { workspace, number } => {
                self.number_changed(workspace, number).await?;
            }
            Event::CreditsChanged {
                workspace, user, ..
            } => self.credits_changed(workspace, user).await?,
            Event::Typing {
                workspace,
                conversation,
                number,
                user,
            } => self.typing(workspace, conversation, number, user),
            // Delivered before the batch, by the events that they cause, or of no interest to clients.
            Event::SessionEnded { .. }
            | Event::Missed { .. }
            | Event::AccessChanged { .. }
            | Event::ConsentChanged { .. }
            | Event::IntegrationChanged { .. }
            | Event::IntegrationFailed { .. }
            | Event::PushesChanged { .. }
            | Event::Queued => {}
        }
        Ok(())
    }

    fn message_added(&self, subjects: &Subjects, message: MessageId, number: NumberId) {
        let Some((message, conversation)) = subjects.message(message) else {
            return;
        };
        let frame = Frame::NewMessage {
            workspace_id: message.workspace_id,
            message,
            conversation,
            contact: &conversation.contact,
        };
        self.show(message.workspace_id, number, &frame, || {
            fragments::message_added(message, conversation)
        });
    }

    fn message_changed(&self, subjects: &Subjects, message: MessageId, number: NumberId) {
        let Some((message, conversation)) = subjects.message(message) else {
            return;
        };
        let frame = Frame::MessageStatus {
            workspace_id: message.workspace_id,
            message_id: message.id,
            conversation_id: conversation.id,
            status: message.status,
            error_code: message.error_code.as_deref(),
        };
        self.show(message.workspace_id, number, &frame, || {
            fragments::message_changed(message, conversation)
        });
    }

    fn conversation_changed(
        &self,
        subjects: &Subjects,
        conversation: ConversationId,
        number: NumberId,
    ) {
        let Some(conversation) = subjects.conversation(conversation) else {
            return;
        };
        let frame = Frame::ConversationUpdated(conversation);
        self.show(conversation.workspace_id, number, &frame, || {
            fragments::conversation_changed(conversation)
        });
    }

    fn conversation_removed(
        &self,
        workspace: WorkspaceId,
        conversation: ConversationId,
        number: NumberId,
    ) {
        let frame = Frame::ConversationRemoved {
            workspace_id: workspace,
            conversation_id: conversation,
        };
        self.show(workspace, number, &frame, || {
            Ok(fragments::conversation_removed(conversation))
        });
    }

    /// A mention is sent to the mentioned user only.
    fn mentioned(&self, subjects: &Subjects, message: MessageId, number: NumberId, user: UserId) {
        let Some((message, conversation)) = subjects.message(message) else {
            return;
        };
        let frame = Frame::Mentioned {
            workspace_id: message.workspace_id,
            user_id: user,
            message,
            conversation,
        };
        let subscribers = self
            .rooms
            .subscribers(message.workspace_id, |subscription| {
                subscription.connection.user == user && subscription.sees(number)
            });
        push(&subscribers, &frame, || {
            fragments::mentioned(message, conversation)
        });
    }

    /// An assignment is sent to the new assignee only.
    fn assigned(
        &self,
        subjects: &Subjects,
        conversation: ConversationId,
        number: NumberId,
        user: UserId,
    ) {
        let is_this = |one: &Activity| {
            one.conversation_id == conversation
                && one.kind == Kind::Assigned
                && one.assignee_id == Some(user)
        };
        let Some((event, conversation)) =
            subjects.activity().filter(|(one, _)| is_this(one)).last()
        else {
            return;
        };
        let frame = Frame::Assigned {
            workspace_id: conversation.workspace_id,
            user_id: user,
            event,
            conversation,
        };
        let subscribers = self
            .rooms
            .subscribers(conversation.workspace_id, |subscription| {
                subscription.connection.user == user && subscription.sees(number)
            });
        push(&subscribers, &frame, || {
            fragments::assigned(event, conversation)
        });
    }

    fn mentions_seen(&self, workspace: WorkspaceId, user: UserId) {
        let frame = Frame::MentionsSeen {
            workspace_id: workspace,
            user_id: user,
        };
        let subscribers = self.rooms.connections_of(workspace, user);
        push(&subscribers, &frame, fragments::mentions_seen);
    }

    /// A member sees a contact through a visible conversation with it.
    async fn contact_changed(&self, workspace: WorkspaceId, contact: ContactId) -> Result<()> {
        let Some((contact, numbers)) = contacts::look_up(&self.db, workspace, contact).await?
        else {
            return Ok(());
        };
        let fields = fields::look_up(&self.db, workspace).await?;
        let frame = Frame::ContactUpdated(&contact);
        self.show_any(workspace, &numbers, &frame, || {
            fragments::contact_changed(&contact, &fields)
        });
        Ok(())
    }

    fn contact_removed(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        merged_into: Option<ContactId>,
        numbers: &[NumberId],
    ) {
        let frame = Frame::ContactRemoved {
            workspace_id: workspace,
            contact_id: contact,
            merged_into,
        };
        self.show_any(workspace, numbers, &frame, || {
            Ok(fragments::contact_removed(contact))
        });
    }

    async fn number_changed(&self, workspace: WorkspaceId, number: NumberId) -> Result<()> {
        if let Some(changed) = numbers::look_up(&self.db, workspace, number).await? {
            self.show(workspace, number, &Frame::NumberUpdated(&changed), || {
                fragments::number_changed(&changed)
            });
        }
        Ok(())
    }

    /// A balance is sent to its owner only.
    async fn credits_changed(&self, workspace: WorkspaceId, user: UserId) -> Result<()> {
        let subscribers = self.rooms.connections_of(workspace, user);
        if subscribers.is_empty() {
            return Ok(());
        }
        if let Some(balance) = credits::look_up(&self.db, workspace, user).await? {
            let frame = Frame::Credits {
                workspace_id: workspace,
                user_id: user,
                balance: balance.left,
                is_low: balance.is_low,
            };
            push(&subscribers, &frame, || fragments::credits_changed(balance));
        }
        Ok(())
    }

    fn typing(
        &self,
        workspace: WorkspaceId,
        conversation: ConversationId,
        number: NumberId,
        user: UserId,
    ) {
        let frame = Frame::Typing {
            workspace_id: workspace,
            conversation_id: conversation,
            user_id: user,
        };
        self.show(workspace, number, &frame, || {
            fragments::typing(conversation, user)
        });
    }

    fn activity_added(&self, subjects: &Subjects) {
        for (one, conversation) in subjects.activity() {
            let workspace = conversation.workspace_id;
            let frame = Frame::ConversationEvent {
                workspace_id: workspace,
                event: one,
            };
            self.show(workspace, conversation.number_id, &frame, || {
                fragments::happened(one)
            });
        }
    }

    /// Sends to all who see the number.
    fn show(
        &self,
        workspace: WorkspaceId,
        number: NumberId,
        frame: &Frame<'_>,
        html: impl Fn() -> askama::Result<String>,
    ) {
        let sees = self.rooms.subscribers(workspace, |one| one.sees(number));
        push(&sees, frame, html);
    }

    /// Sends to all who see at least one of the numbers.
    fn show_any(
        &self,
        workspace: WorkspaceId,
        numbers: &[NumberId],
        frame: &Frame<'_>,
        html: impl Fn() -> askama::Result<String>,
    ) {
        let sees = self
            .rooms
            .subscribers(workspace, |one| one.sees_any(numbers));
        push(&sees, frame, html);
    }
}

fn consent_changes(events: &[Event]) -> Vec<(WorkspaceId, ConversationId)> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::ConsentChanged {
                workspace,
                conversation,
            } => Some((*workspace, *conversation)),
            _ => None,
        })
        .collect()
}

//! Loads the subject of each event once, renders it once, and sends it to all subscribers who may see it.
//! All queues are bounded: a connection that falls behind loses frames and gets a `resync`.

use std::collections::hash_map::{Entry, HashMap};
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::task::{Id, JoinSet};

use super::frames::Frame;
use super::rooms::{Caps, Connection, Dialect, Rooms, Subscription};
use crate::db::Db;
use crate::domain::contacts::{self, fields};
use crate::domain::conversations::activity::{self, Activity};
use crate::domain::conversations::{self, Conversation};
use crate::domain::credits;
use crate::domain::messages::{self, Message};
use crate::domain::numbers;
use crate::domain::opt_outs::stop_events::consent_events;
use crate::error::Result;
use crate::events::Event;
use crate::ids::{ContactId, ConversationId, MessageId, NumberId, UserId, WorkspaceId};
use crate::language::{Language, in_language};
use crate::web::pages::fragments;

/// Events loaded together.
const BATCH: usize = 256;
/// Events of one workspace held back while its access is reloaded; beyond it the whole room gets a `resync`.
const MAX_HELD: usize = 4_096;

#[derive(Clone)]
pub struct Hub {
    db: Db,
    rooms: Arc<Rooms>,
}

impl Deref for Hub {
    type Target = Rooms;
    fn deref(&self) -> &Rooms {
        &self.rooms
    }
}

impl Hub {
    pub fn new(db: Db, caps: Caps) -> Self {
        Self {
            db,
            rooms: Arc::new(Rooms::new(caps)),
        }
    }

    pub async fn run(self) {
        let mut events = self.db.bus().listen();
        // Events before this point were not received.
        self.resync_all();
        let mut batch = Vec::with_capacity(BATCH);
        let mut checks = Checks::default();
        loop {
            let received = tokio::select! {
                event = events.recv() => event,
                Some(done) = checks.running.join_next_with_id() => {
                    let id = match done {
                        Ok((id, ())) => id,
                        Err(failed) => {
                            tracing::error!(%failed, "could not reload access: closing connections");
                            self.end_rooms(checks.by_task.get(&failed.id()).map_or(&[], Vec::as_slice));
                            failed.id()
                        }
                    };
                    let held = checks.finish(id, &self);
                    self.deliver_all(held).await;
                    continue;
                }
            };
            match received {
                Ok(event) => batch.push(event),
                Err(RecvError::Lagged(_)) => self.missed_some(&mut checks),
                Err(RecvError::Closed) => return,
            }
            while batch.len() < BATCH {
                match events.try_recv() {
                    Ok(event) => batch.push(event),
                    Err(TryRecvError::Lagged(_)) => self.missed_some(&mut checks),
                    Err(_) => break,
                }
            }
            let received = checks.hold_back(std::mem::take(&mut batch), &self);
            self.deliver_all(received).await;
        }
    }

    async fn deliver_all(&self, events: Vec<Event>) {
        if let Err(error) = self.deliver(events).await {
            tracing::warn!(%error, "could not load events: all clients resync");
            self.resync_all();
        }
    }

    /// The lost events may include changes of access.
    fn missed_some(&self, checks: &mut Checks) {
        self.resync_all();
        checks.begin(self.joined_workspaces(), self);
    }

    /// Three round trips per batch, regardless of events and subscribers; one more if consent changed; none without
    /// subscribers.
    async fn deliver(&self, mut events: Vec<Event>) -> Result<()> {
        let consent_changes: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::ConsentChanged {
                    workspace,
                    conversation,
                } if self.has_subscribers(*workspace) => Some((*workspace, *conversation)),
                _ => None,
            })
            .collect();
        events.extend(consent_events(&self.db, &consent_changes).await?);
        let mut message_ids = Vec::new();
        let mut conversation_ids = Vec::new();
        for event in &events {
            match event {
                Event::SessionEnded { session } => self.end(*session),
                Event::Missed { workspace } => self.resync_room(*workspace),
                Event::MessageAdded {
                    workspace, message, ..
                }
                | Event::MessageChanged {
                    workspace, message, ..
                }
                | Event::Mentioned {
                    workspace, message, ..
                } if self.has_subscribers(*workspace) => {
                    message_ids.push((*workspace, *message));
                }
                Event::ConversationChanged {
                    workspace,
                    conversation,
                    ..
                } if self.has_subscribers(*workspace) => {
                    conversation_ids.push((*workspace, *conversation));
                }
                _ => {}
            }
        }
        let mut moved = conversation_ids.clone();
        let (messages, conversations) = self.look_up(&message_ids, conversation_ids).await?;
        // An inbound text may have reopened the conversation.
        let received = messages
            .values()
            .filter(|text| text.direction == messages::Direction::Inbound);
        moved.extend(received.map(|text| (text.workspace_id, text.conversation_id)));
        moved.sort_unstable();
        moved.dedup();
        let happened = activity::recent(&self.db, &moved).await?;
        for event in events {
            self.deliver_event(event, &messages, &conversations).await?;
        }
        self.deliver_activity(&happened, &conversations);
        Ok(())
    }

    fn deliver_activity(
        &self,
        happened: &[Activity],
        conversations: &HashMap<ConversationId, Conversation>,
    ) {
        for one in happened {
            let Some(conversation) = conversations.get(&one.conversation_id) else {
                continue;
            };
            let frame = Frame::ConversationEvent {
                workspace_id: conversation.workspace_id,
                event: one,
            };
            self.show(
                conversation.workspace_id,
                conversation.number_id,
                &frame,
                || fragments::happened(one),
            );
        }
    }

    async fn look_up(
        &self,
        message_ids: &[(WorkspaceId, MessageId)],
        mut conversation_ids: Vec<(WorkspaceId, ConversationId)>,
    ) -> Result<(
        HashMap<MessageId, Message>,
        HashMap<ConversationId, Conversation>,
    )> {
        if message_ids.is_empty() && conversation_ids.is_empty() {
            return Ok(Default::default());
        }
        let messages: HashMap<_, _> = messages::look_up(&self.db, message_ids)
            .await?
            .into_iter()
            .map(|message| (message.id, message))
            .collect();
        conversation_ids.extend(
            messages
                .values()
                .map(|message| (message.workspace_id, message.conversation_id)),
        );
        conversation_ids.sort_unstable();
        conversation_ids.dedup();
        let conversations = conversations::look_up(&self.db, &conversation_ids).await?;
        Ok((
            messages,
            conversations
                .into_iter()
                .map(|conversation| (conversation.id, conversation))
                .collect(),
        ))
    }

    async fn deliver_event(
        &self,
        event: Event,
        messages: &HashMap<MessageId, Message>,
        conversations: &HashMap<ConversationId, Conversation>,
    ) -> Result<()> {
        match event {
            Event::MessageAdded {
                workspace,
                message,
                number,
            } => {
                if let Some((message, conversation)) = both(message, messages, conversations) {
                    let frame = Frame::NewMessage {
                        workspace_id: workspace,
                        message,
                        conversation,
                        contact: &conversation.contact,
                    };
                    self.show(workspace, number, &frame, || {
                        fragments::message_added(message, conversation)
                    });
                }
            }
            Event::MessageChanged {
                workspace,
                message,
                number,
            } => {
                if let Some((message, conversation)) = both(message, messages, conversations) {
                    let frame = Frame::MessageStatus {
                        workspace_id: workspace,
                        message_id: message.id,
                        conversation_id: conversation.id,
                        status: message.status,
                        error_code: message.error_code.as_deref(),
                    };
                    self.show(workspace, number, &frame, || {
                        fragments::message_changed(message, conversation)
                    });
                }
            }
            Event::ConversationChanged {
                workspace,
                conversation,
                number,
            } => {
                if let Some(conversation) = conversations.get(&conversation) {
                    let frame = Frame::ConversationUpdated(conversation);
                    self.show(workspace, number, &frame, || {
                        fragments::conversation_changed(conversation)
                    });
                }
            }
            Event::Mentioned {
                workspace,
                message,
                number,
                user,
            } => {
                if let Some((message, conversation)) = both(message, messages, conversations) {
                    let frame = Frame::Mentioned {
                        workspace_id: workspace,
                        user_id: user,
                        message,
                        conversation,
                    };
                    let subscribers = self.subscribers(workspace, |subscription| {
                        subscription.connection.user == user && subscription.sees(number)
                    });
                    push(&subscribers, &frame, || {
                        fragments::mentioned(message, conversation)
                    });
                }
            }
            Event::MentionsSeen { workspace, user } => {
                let frame = Frame::MentionsSeen {
                    workspace_id: workspace,
                    user_id: user,
                };
                push(
                    &self.connections_of(workspace, user),
                    &frame,
                    fragments::mentions_seen,
                );
            }
            Event::ContactChanged { workspace, contact } if self.has_subscribers(workspace) => {
                self.deliver_contact(workspace, contact).await?
            }
            Event::ContactRemoved {
                workspace,
                contact,
                merged_into,
                numbers,
            } if self.has_subscribers(workspace) => {
                let frame = Frame::ContactRemoved {
                    workspace_id: workspace,
                    contact_id: contact,
                    merged_into,
                };
                let subscribers =
                    self.subscribers(workspace, |subscription| subscription.sees_any(&numbers));
                push(&subscribers, &frame, || {
                    Ok(fragments::contact_removed(contact))
                });
            }
            Event::ConversationRemoved {
                workspace,
                conversation,
                number,
            } if self.has_subscribers(workspace) => {
                let frame = Frame::ConversationRemoved {
                    workspace_id: workspace,
                    conversation_id: conversation,
                };
                self.show(workspace, number, &frame, || {
                    Ok(fragments::conversation_removed(conversation))
                });
            }
            Event::NumberChanged { workspace, number }
            | Event::NumberReceived { workspace, number }
                if self.has_subscribers(workspace) =>
            {
                if let Some(changed) = numbers::look_up(&self.db, workspace, number).await? {
                    self.show(workspace, number, &Frame::NumberUpdated(&changed), || {
                        fragments::number_changed(&changed)
                    });
                }
            }
            Event::CreditsChanged {
                workspace, user, ..
            } if self.has_subscribers(workspace) => self.deliver_credits(workspace, user).await?,
            Event::Typing {
                workspace,
                conversation,
                number,
                user,
            } if self.has_subscribers(workspace) => {
                let frame = Frame::Typing {
                    workspace_id: workspace,
                    conversation_id: conversation,
                    user_id: user,
                };
                self.show(workspace, number, &frame, || {
                    fragments::typing(conversation, user)
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// A member sees a contact through a visible conversation with it.
    async fn deliver_contact(&self, workspace: WorkspaceId, contact: ContactId) -> Result<()> {
        let Some((contact, numbers)) = contacts::look_up(&self.db, workspace, contact).await?
        else {
            return Ok(());
        };
        let fields = fields::look_up(&self.db, workspace).await?;
        let frame = Frame::ContactUpdated(&contact);
        let subscribers =
            self.subscribers(workspace, |subscription| subscription.sees_any(&numbers));
        push(&subscribers, &frame, || {
            fragments::contact_changed(&contact, &fields)
        });
        Ok(())
    }

    /// A balance is sent to its owner only.
    async fn deliver_credits(&self, workspace: WorkspaceId, user: UserId) -> Result<()> {
        let subscribers = self.connections_of(workspace, user);
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

    fn show(
        &self,
        workspace: WorkspaceId,
        number: NumberId,
        frame: &Frame<'_>,
        html: impl Fn() -> askama::Result<String>,
    ) {
        let subscribers = self.subscribers(workspace, |subscription: &Subscription| {
            subscription.sees(number)
        });
        push(&subscribers, frame, html);
    }
}

/// Workspaces whose access is being reloaded, in tasks beside the event loop. Their events are held back, and delivered
/// in order with the new access when the reload is done. Other workspaces do not wait.
#[derive(Default)]
struct Checks {
    running: JoinSet<()>,
    by_task: HashMap<Id, Vec<WorkspaceId>>,
    held: HashMap<WorkspaceId, Held>,
}

#[derive(Default)]
struct Held {
    events: Vec<Event>,
    /// Access changed again during the reload, which may have read the old state.
    again: bool,
    is_cut: bool,
}

impl Checks {
    /// Starts reloads for access changes and returns the events that need not wait.
    fn hold_back(&mut self, events: Vec<Event>, hub: &Hub) -> Vec<Event> {
        let changed = events.iter().filter_map(|event| match event {
            Event::AccessChanged { workspace } if hub.has_subscribers(*workspace) => {
                Some(*workspace)
            }
            _ => None,
        });
        self.begin(changed.collect(), hub);
        if self.held.is_empty() {
            return events;
        }
        let mut others = Vec::with_capacity(events.len());
        for event in events {
            let held = event
                .workspace()
                .and_then(|workspace| self.held.get_mut(&workspace));
            match held {
                Some(held) if held.events.len() < MAX_HELD => held.events.push(event),
                Some(held) => held.is_cut = true,
                None => others.push(event),
            }
        }
        others
    }

    fn begin(&mut self, workspaces: Vec<WorkspaceId>, hub: &Hub) {
        let mut new = Vec::new();
        for workspace in workspaces {
            match self.held.entry(workspace) {
                Entry::Occupied(mut running) => running.get_mut().again = true,
                Entry::Vacant(free) => {
                    free.insert(Held::default());
                    new.push(workspace);
                }
            }
        }
        // Duplicates within one batch need no second reload.
        for workspace in &new {
            if let Some(held) = self.held.get_mut(workspace) {
                held.again = false;
            }
        }
        self.reload(new, hub);
    }

    fn reload(&mut self, workspaces: Vec<WorkspaceId>, hub: &Hub) {
        if workspaces.is_empty() {
            return;
        }
        hub.pause(&workspaces);
        let (hub, reloaded) = (hub.clone(), workspaces.clone());
        let task = self.running.spawn(async move {
            hub.rooms.reload_access(&hub.db, &reloaded).await;
        });
        self.by_task.insert(task.id(), workspaces);
    }

    /// Returns the held events of workspaces whose reload is done.
    fn finish(&mut self, id: Id, hub: &Hub) -> Vec<Event> {
        let reloaded = self.by_task.remove(&id).unwrap_or_default();
        let (again, done): (Vec<_>, Vec<_>) = reloaded
            .into_iter()
            .partition(|workspace| self.held.get(workspace).is_some_and(|held| held.again));
        for workspace in &again {
            if let Some(held) = self.held.get_mut(workspace) {
                held.again = false;
            }
        }
        self.reload(again, hub);
        // The whole room gets a `resync`, which also covers events beyond the limit.
        hub.resume(&done);
        let held = done
            .iter()
            .filter_map(|workspace| self.held.remove(workspace));
        held.filter(|held| !held.is_cut)
            .flat_map(|held| held.events)
            .collect()
    }
}

fn both<'a>(
    message: MessageId,
    messages: &'a HashMap<MessageId, Message>,
    conversations: &'a HashMap<ConversationId, Conversation>,
) -> Option<(&'a Message, &'a Conversation)> {
    let message = messages.get(&message)?;
    Some((message, conversations.get(&message.conversation_id)?))
}

/// Renders once per dialect and language, and only for those in use.
pub(super) fn push(
    to: &[Arc<Connection>],
    frame: &Frame<'_>,
    html: impl Fn() -> askama::Result<String>,
) {
    let in_dialect = |dialect| to.iter().filter(move |to| to.dialect == dialect);
    if in_dialect(Dialect::Json).next().is_some() {
        let text = frame.text();
        in_dialect(Dialect::Json).for_each(|to| to.push(text.clone()));
    }
    for language in Language::ALL {
        let listening = || in_dialect(Dialect::Fragments(language));
        if listening().next().is_none() {
            continue;
        }
        match in_language(language, &html) {
            Ok(html) => {
                let text = Utf8Bytes::from(html);
                listening().for_each(|to| to.push(text.clone()));
            }
            Err(error) => {
                tracing::error!(%error, "could not render a fragment");
                listening().for_each(|to| to.resync());
            }
        }
    }
}

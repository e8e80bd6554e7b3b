//! Looks up once what an event is about, renders it once, and shares it with everybody who may see it.
//!
//! Queues are bounded everywhere: a connection that falls behind loses frames and is told to fetch again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Notify, mpsc};

use super::frames::Frame;
use crate::db::Db;
use crate::domain::contacts;
use crate::domain::conversations::{self, Conversation};
use crate::domain::messages::{self, Message};
use crate::domain::numbers::{self, Visible};
use crate::error::Result;
use crate::events::Event;
use crate::ids::{ContactId, ConversationId, MessageId, NumberId, SessionId, UserId, WorkspaceId};
use crate::web::pages::fragments;

/// Frames that may wait for one connection.
const QUEUE: usize = 64;
/// Events that are looked up together.
const BATCH: usize = 256;

#[derive(Clone)]
pub struct Hub(Arc<Shared>);

struct Shared {
    db: Db,
    rooms: RwLock<HashMap<WorkspaceId, Vec<Arc<Seat>>>>,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    next: AtomicU64,
}

/// How a connection wants its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Json,
    /// Turbo Streams of the page's own partials.
    Fragments,
}

/// One socket.
pub struct Connection {
    id: u64,
    pub user: UserId,
    pub session: SessionId,
    pub dialect: Dialect,
    frames: mpsc::Sender<Utf8Bytes>,
    behind: AtomicBool,
    /// Its session ended: it must close.
    pub ended: Notify,
}

impl Connection {
    /// Never waits. Once a frame did not fit, none follows until the connection has said `resync`.
    fn push(&self, frame: Utf8Bytes) {
        if self.behind.load(Ordering::Acquire) {
            return;
        }
        if self.frames.try_send(frame).is_err() {
            self.behind.store(true, Ordering::Release);
        }
    }

    fn resync(&self) {
        self.behind.store(true, Ordering::Release);
        // An empty frame wakes the socket, which then says `resync`; a full queue wakes it anyway.
        let _ = self.frames.try_send(Utf8Bytes::from_static(""));
    }

    /// Whether frames were lost since the last time; asked by the socket once its queue is empty.
    pub fn caught_up(&self) -> bool {
        self.behind.swap(false, Ordering::AcqRel)
    }
}

/// A connection's place in a room, with what it may see there.
struct Seat {
    connection: Arc<Connection>,
    visible: RwLock<Visible>,
}

impl Seat {
    fn sees(&self, number: NumberId) -> bool {
        self.visible
            .read()
            .expect("nobody panics while holding it")
            .includes(number)
    }
}

impl Hub {
    pub fn new(db: Db) -> Self {
        Self(Arc::new(Shared {
            db,
            rooms: RwLock::default(),
            connections: Mutex::default(),
            next: AtomicU64::new(1),
        }))
    }

    pub fn connect(
        &self,
        user: UserId,
        session: SessionId,
        dialect: Dialect,
    ) -> (Arc<Connection>, mpsc::Receiver<Utf8Bytes>) {
        let (frames, queue) = mpsc::channel(QUEUE);
        let connection = Arc::new(Connection {
            id: self.0.next.fetch_add(1, Ordering::Relaxed),
            user,
            session,
            dialect,
            frames,
            behind: AtomicBool::new(false),
            ended: Notify::new(),
        });
        self.connections()
            .insert(connection.id, Arc::clone(&connection));
        metrics::gauge!("messagehub_sockets").increment(1.0);
        (connection, queue)
    }

    pub fn disconnect(&self, connection: &Connection) {
        self.connections().remove(&connection.id);
        self.rooms_mut().retain(|_, seats| {
            seats.retain(|seat| seat.connection.id != connection.id);
            !seats.is_empty()
        });
        metrics::gauge!("messagehub_sockets").decrement(1.0);
    }

    /// Whether the member may enter. What they may see is asked anew whenever access changes.
    pub async fn join(&self, connection: &Arc<Connection>, workspace: WorkspaceId) -> Result<bool> {
        let Some(visible) = numbers::visible(&self.0.db, workspace, connection.user).await? else {
            return Ok(false);
        };
        let mut rooms = self.rooms_mut();
        let seats = rooms.entry(workspace).or_default();
        seats.retain(|seat| seat.connection.id != connection.id);
        seats.push(Arc::new(Seat {
            connection: Arc::clone(connection),
            visible: RwLock::new(visible),
        }));
        drop(rooms);
        Ok(true)
    }

    pub fn leave(&self, connection: &Connection, workspace: WorkspaceId) {
        let mut rooms = self.rooms_mut();
        if let Some(seats) = rooms.get_mut(&workspace) {
            seats.retain(|seat| seat.connection.id != connection.id);
            if seats.is_empty() {
                rooms.remove(&workspace);
            }
        }
    }

    /// Hears events as long as the server runs.
    pub async fn run(self) {
        let mut events = self.0.db.bus().listen();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            match events.recv().await {
                Ok(event) => batch.push(event),
                Err(RecvError::Lagged(_)) => self.resync_all(),
                Err(RecvError::Closed) => return,
            }
            while batch.len() < BATCH {
                match events.try_recv() {
                    Ok(event) => batch.push(event),
                    Err(TryRecvError::Lagged(_)) => self.resync_all(),
                    Err(_) => break,
                }
            }
            let heard = std::mem::take(&mut batch);
            if let Err(error) = self.tell(heard).await {
                tracing::warn!(%error, "events could not be looked up: everyone fetches again");
                self.resync_all();
            }
        }
    }

    fn resync_all(&self) {
        for connection in self.connections().values() {
            connection.resync();
        }
    }

    /// Two round trips for a batch, however many events and listeners; none when nobody is in their rooms.
    async fn tell(&self, events: Vec<Event>) -> Result<()> {
        let mut wanted_messages = Vec::new();
        let mut wanted_conversations = Vec::new();
        for event in &events {
            match event {
                Event::SessionEnded { session } => self.end(*session),
                Event::AccessChanged { workspace } => self.look_again(*workspace).await,
                Event::Missed { workspace } => self
                    .seats(*workspace, |_| true)
                    .iter()
                    .for_each(|connection| connection.resync()),
                Event::MessageAdded {
                    workspace, message, ..
                }
                | Event::MessageChanged {
                    workspace, message, ..
                } if self.is_heard(*workspace) => {
                    wanted_messages.push((*workspace, *message));
                }
                Event::ConversationChanged {
                    workspace,
                    conversation,
                    ..
                } if self.is_heard(*workspace) => {
                    wanted_conversations.push((*workspace, *conversation));
                }
                _ => {}
            }
        }
        let (messages, conversations) =
            self.look_up(&wanted_messages, wanted_conversations).await?;
        for event in events {
            self.tell_one(event, &messages, &conversations).await?;
        }
        Ok(())
    }

    async fn look_up(
        &self,
        wanted: &[(WorkspaceId, MessageId)],
        mut of: Vec<(WorkspaceId, ConversationId)>,
    ) -> Result<(
        HashMap<MessageId, Message>,
        HashMap<ConversationId, Conversation>,
    )> {
        if wanted.is_empty() && of.is_empty() {
            return Ok(Default::default());
        }
        let mut tx = self.0.db.system().await?;
        let messages: HashMap<_, _> = messages::look_up(&mut tx, wanted)
            .await?
            .into_iter()
            .map(|message| (message.id, message))
            .collect();
        of.extend(
            messages
                .values()
                .map(|message| (message.workspace_id, message.conversation_id)),
        );
        of.sort_unstable();
        of.dedup();
        let conversations = conversations::look_up(&mut tx, &of).await?;
        tx.commit().await?;
        Ok((
            messages,
            conversations
                .into_iter()
                .map(|conversation| (conversation.id, conversation))
                .collect(),
        ))
    }

    async fn tell_one(
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
                    self.show(workspace, Some(number), &frame, || {
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
                    self.show(workspace, Some(number), &frame, || {
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
                    self.show(workspace, Some(number), &frame, || {
                        fragments::conversation_changed(conversation)
                    });
                }
            }
            Event::ContactChanged { workspace, contact } if self.is_heard(workspace) => {
                self.tell_contact(workspace, contact).await?
            }
            Event::NumberChanged { workspace, number } if self.is_heard(workspace) => {
                if let Some(changed) = numbers::look_up(&self.0.db, workspace, number).await? {
                    self.show(
                        workspace,
                        Some(number),
                        &Frame::NumberUpdated(&changed),
                        || fragments::number_changed(&changed),
                    );
                }
            }
            Event::Typing {
                workspace,
                conversation,
                number,
                user,
            } if self.is_heard(workspace) => {
                let frame = Frame::Typing {
                    workspace_id: workspace,
                    conversation_id: conversation,
                    user_id: user,
                };
                self.show(workspace, Some(number), &frame, || {
                    fragments::typing(conversation, user)
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// A contact is seen by whoever sees a conversation with them.
    async fn tell_contact(&self, workspace: WorkspaceId, contact: ContactId) -> Result<()> {
        let Some((contact, numbers)) = contacts::look_up(&self.0.db, workspace, contact).await?
        else {
            return Ok(());
        };
        let frame = Frame::ContactUpdated(&contact);
        let seats = self.seats(workspace, |seat| {
            matches!(
                *seat.visible.read().expect("nobody panics while holding it"),
                Visible::All
            ) || numbers.iter().any(|number| seat.sees(*number))
        });
        push(&seats, &frame, || fragments::contact_changed(&contact));
        Ok(())
    }

    fn show(
        &self,
        workspace: WorkspaceId,
        number: Option<NumberId>,
        frame: &Frame<'_>,
        html: impl FnOnce() -> askama::Result<String>,
    ) {
        let seats = self.seats(workspace, |seat| {
            number.is_none_or(|number| seat.sees(number))
        });
        push(&seats, frame, html);
    }

    fn seats(&self, workspace: WorkspaceId, may: impl Fn(&Seat) -> bool) -> Vec<Arc<Connection>> {
        let rooms = self.0.rooms.read().expect("nobody panics while holding it");
        let seats = rooms.get(&workspace).map_or(&[][..], Vec::as_slice);
        seats
            .iter()
            .filter(|seat| may(seat))
            .map(|seat| Arc::clone(&seat.connection))
            .collect()
    }

    fn is_heard(&self, workspace: WorkspaceId) -> bool {
        self.0
            .rooms
            .read()
            .expect("nobody panics while holding it")
            .contains_key(&workspace)
    }

    fn end(&self, session: SessionId) {
        for connection in self
            .connections()
            .values()
            .filter(|connection| connection.session == session)
        {
            connection.ended.notify_one();
        }
    }

    /// Access in this workspace changed: everyone's place is looked at again, and who is no member any more has none.
    async fn look_again(&self, workspace: WorkspaceId) {
        let seats = self
            .0
            .rooms
            .read()
            .expect("nobody panics while holding it")
            .get(&workspace)
            .cloned()
            .unwrap_or_default();
        for seat in seats {
            match numbers::visible(&self.0.db, workspace, seat.connection.user).await {
                // Nobody goes on hearing with rights that could not be looked at.
                Err(error) => {
                    tracing::warn!(%error, workspace.id = %workspace, "access could not be looked up: a socket is closed");
                    seat.connection.ended.notify_one();
                }
                Ok(Some(visible)) => {
                    *seat
                        .visible
                        .write()
                        .expect("nobody panics while holding it") = visible;
                    seat.connection.resync();
                }
                Ok(None) => self.leave(&seat.connection, workspace),
            }
        }
    }

    fn connections(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.0
            .connections
            .lock()
            .expect("nobody panics while holding it")
    }

    fn rooms_mut(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<WorkspaceId, Vec<Arc<Seat>>>> {
        self.0
            .rooms
            .write()
            .expect("nobody panics while holding it")
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

/// Each dialect is made once, and only if somebody speaks it.
fn push(to: &[Arc<Connection>], frame: &Frame<'_>, html: impl FnOnce() -> askama::Result<String>) {
    let (json, fragments): (Vec<_>, Vec<_>) = to
        .iter()
        .partition(|connection| connection.dialect == Dialect::Json);
    if !json.is_empty() {
        let text = frame.text();
        json.iter()
            .for_each(|connection| connection.push(text.clone()));
    }
    if !fragments.is_empty() {
        match html() {
            Ok(html) => {
                let text = Utf8Bytes::from(html);
                fragments
                    .iter()
                    .for_each(|connection| connection.push(text.clone()));
            }
            Err(error) => {
                tracing::error!(%error, "a fragment could not be rendered");
                fragments.iter().for_each(|connection| connection.resync());
            }
        }
    }
}

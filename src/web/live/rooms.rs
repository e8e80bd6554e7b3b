//! Who is connected, where they sit, and what they may see from there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::{Notify, mpsc};

use super::presence::{Looks, Watched};
use crate::db::Db;
use crate::domain::numbers::{self, Visible};
use crate::error::Result;
use crate::ids::{NumberId, SessionId, UserId, WorkspaceId};
use crate::language::Language;

/// Frames that may wait for one connection.
const QUEUE: usize = 64;
pub(super) const UNHARMED: &str = "nobody panics while holding it";

/// How a connection wants its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Json,
    /// Turbo Streams of the page's own partials, in the page's language.
    Fragments(Language),
}

/// One socket.
pub struct Connection {
    pub(super) id: u64,
    pub user: UserId,
    /// As they were called when they connected.
    pub name: String,
    pub session: SessionId,
    pub dialect: Dialect,
    frames: mpsc::Sender<Utf8Bytes>,
    behind: AtomicBool,
    pub(super) watched: Mutex<Watched>,
    joined: Mutex<Vec<WorkspaceId>>,
    /// Its session or its membership ended: it must close.
    pub ended: Notify,
}

impl Connection {
    /// Never waits. Once a frame did not fit, none follows until the connection has said `resync`.
    pub fn push(&self, frame: Utf8Bytes) {
        if self.behind.load(Ordering::Acquire) {
            return;
        }
        if self.frames.try_send(frame).is_err() {
            self.behind.store(true, Ordering::Release);
        }
    }

    pub fn resync(&self) {
        self.behind.store(true, Ordering::Release);
        // An empty frame wakes the socket, which then says `resync`; a full queue wakes it anyway.
        let _ = self.frames.try_send(Utf8Bytes::from_static(""));
    }

    /// Whether frames were lost since the last time; asked by the socket once its queue is empty.
    pub fn caught_up(&self) -> bool {
        self.behind.swap(false, Ordering::AcqRel)
    }
}

/// A connection's place in a room.
pub struct Seat {
    pub connection: Arc<Connection>,
    workspace: WorkspaceId,
    visible: RwLock<Visible>,
    /// One look at a time, so that an older answer of the database never replaces a newer one.
    looking: tokio::sync::Mutex<()>,
}

impl Seat {
    pub fn sees(&self, number: NumberId) -> bool {
        self.visible.read().expect(UNHARMED).includes(number)
    }

    pub fn sees_any(&self, numbers: &[NumberId]) -> bool {
        let visible = self.visible.read().expect(UNHARMED);
        *visible == Visible::All || numbers.iter().any(|number| visible.includes(*number))
    }

    /// Asks what its person may see now; answers whether they are a member at all.
    async fn look(&self, db: &Db) -> Result<bool> {
        let _one_at_a_time = self.looking.lock().await;
        let visible = numbers::visible(db, self.workspace, self.connection.user).await?;
        let member = visible.is_some();
        *self.visible.write().expect(UNHARMED) = visible.unwrap_or_default();
        Ok(member)
    }
}

type Room = HashMap<u64, Arc<Seat>>;

#[derive(Default)]
pub struct Rooms {
    rooms: RwLock<HashMap<WorkspaceId, Room>>,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    pub(super) looks: Looks,
    next: AtomicU64,
}

impl Rooms {
    pub fn connect(
        &self,
        user: UserId,
        name: String,
        session: SessionId,
        dialect: Dialect,
    ) -> (Arc<Connection>, mpsc::Receiver<Utf8Bytes>) {
        let (frames, queue) = mpsc::channel(QUEUE);
        let connection = Arc::new(Connection {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            user,
            name,
            session,
            dialect,
            frames,
            behind: AtomicBool::new(false),
            watched: Mutex::default(),
            joined: Mutex::default(),
            ended: Notify::new(),
        });
        self.connections()
            .insert(connection.id, Arc::clone(&connection));
        metrics::gauge!("messagehub_sockets").increment(1.0);
        (connection, queue)
    }

    pub fn disconnect(&self, connection: &Connection) {
        self.connections().remove(&connection.id);
        self.look_away(connection);
        let joined = std::mem::take(&mut *connection.joined.lock().expect(UNHARMED));
        for workspace in joined {
            self.leave(connection, workspace);
        }
        metrics::gauge!("messagehub_sockets").decrement(1.0);
    }

    /// Whether the member may enter. The seat is taken before the look, so that no change of access slips in between; it
    /// sees nothing until then.
    pub async fn join(
        &self,
        db: &Db,
        connection: &Arc<Connection>,
        workspace: WorkspaceId,
    ) -> Result<bool> {
        let seat = Arc::new(Seat {
            connection: Arc::clone(connection),
            workspace,
            visible: RwLock::default(),
            looking: tokio::sync::Mutex::default(),
        });
        self.rooms_mut()
            .entry(workspace)
            .or_default()
            .insert(connection.id, Arc::clone(&seat));
        let looked = seat.look(db).await;
        if matches!(looked, Ok(true)) {
            let mut joined = connection.joined.lock().expect(UNHARMED);
            if !joined.contains(&workspace) {
                joined.push(workspace);
            }
        } else {
            self.leave(connection, workspace);
        }
        looked
    }

    /// Where this connection sits, which must be told again who is there.
    pub fn joined_by(&self, connection: &Connection) -> Vec<WorkspaceId> {
        connection.joined.lock().expect(UNHARMED).clone()
    }

    pub fn leave(&self, connection: &Connection, workspace: WorkspaceId) {
        self.get_up(connection, workspace);
        self.look_again_at(connection);
    }

    fn get_up(&self, connection: &Connection, workspace: WorkspaceId) {
        let mut rooms = self.rooms_mut();
        if let Some(room) = rooms.get_mut(&workspace) {
            room.remove(&connection.id);
            if room.is_empty() {
                rooms.remove(&workspace);
            }
        }
    }

    /// Access in this workspace changed: everyone's place is looked at again, and who is no member any more has none, nor a
    /// socket.
    pub async fn look_again(&self, db: &Db, workspace: WorkspaceId) {
        let seats: Vec<_> = self
            .rooms()
            .get(&workspace)
            .into_iter()
            .flat_map(HashMap::values)
            .cloned()
            .collect();
        let mut staying = Vec::new();
        for seat in seats {
            match seat.look(db).await {
                Ok(true) => staying.push(Arc::clone(&seat.connection)),
                Ok(false) => {
                    self.leave(&seat.connection, workspace);
                    seat.connection.ended.notify_one();
                }
                // Nobody goes on hearing with rights that could not be looked at.
                Err(error) => {
                    tracing::warn!(%error, workspace.id = %workspace, "access could not be looked up: a socket is closed");
                    seat.connection.ended.notify_one();
                }
            }
        }
        // Who looks no more is told before anybody has to fetch again: from then on frames are left out.
        for connection in &staying {
            self.look_again_at(connection);
        }
        for connection in &staying {
            connection.resync();
        }
    }

    /// Those in the room whose seat may see it.
    pub fn seats(
        &self,
        workspace: WorkspaceId,
        may: impl Fn(&Seat) -> bool,
    ) -> Vec<Arc<Connection>> {
        self.rooms()
            .get(&workspace)
            .into_iter()
            .flat_map(HashMap::values)
            .filter(|seat| may(seat))
            .map(|seat| Arc::clone(&seat.connection))
            .collect()
    }

    /// The places of one person in a room.
    pub fn of(&self, workspace: WorkspaceId, user: UserId) -> Vec<Arc<Connection>> {
        self.seats(workspace, |seat| seat.connection.user == user)
    }

    pub fn is_heard(&self, workspace: WorkspaceId) -> bool {
        self.rooms().contains_key(&workspace)
    }

    pub fn end(&self, session: SessionId) {
        for connection in self.connections().values() {
            if connection.session == session {
                connection.ended.notify_one();
            }
        }
    }

    pub fn resync_all(&self) {
        for connection in self.connections().values() {
            connection.resync();
        }
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.connections.lock().expect(UNHARMED)
    }

    fn rooms(&self) -> RwLockReadGuard<'_, HashMap<WorkspaceId, Room>> {
        self.rooms.read().expect(UNHARMED)
    }

    fn rooms_mut(&self) -> RwLockWriteGuard<'_, HashMap<WorkspaceId, Room>> {
        self.rooms.write().expect(UNHARMED)
    }
}

//! Connections, the rooms they have joined, and what they may see.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use axum::extract::ws::Utf8Bytes;
use tokio::sync::{Notify, mpsc};

use super::allowance::Allowance;
use super::presence::{Views, WindowFocus};
use crate::db::Db;
use crate::domain::accounts::throttle::network;
use crate::domain::numbers::{self, Visible};
use crate::error::Result;
use crate::ids::{NumberId, SessionId, UserId, WorkspaceId};
use crate::language::Language;

/// Frames queued per connection.
const QUEUE: usize = 64;
pub(super) const NOT_POISONED: &str = "no thread panics while holding the lock";

/// The format of a connection's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Json,
    /// Turbo Streams of the page's partials, in the page's language.
    Fragments(Language),
}

pub struct Connection {
    pub(super) id: u64,
    pub user: UserId,
    /// The user's name when the connection was opened.
    pub name: String,
    pub session: SessionId,
    pub dialect: Dialect,
    frames: mpsc::Sender<Utf8Bytes>,
    behind: AtomicBool,
    pub(super) watched: Mutex<WindowFocus>,
    pub(super) allowance: Mutex<Allowance>,
    /// The client's network, for the limit per address.
    network: String,
    joined: Mutex<Vec<WorkspaceId>>,
    /// The session or the membership ended: the connection must close.
    pub ended: Notify,
}

impl Connection {
    /// Never blocks. After a full queue, frames are dropped until the connection has sent `resync`.
    pub fn push(&self, frame: Utf8Bytes) {
        if self.behind.load(Ordering::Acquire) {
            return;
        }
        if self.frames.try_send(frame).is_err() {
            self.behind.store(true, Ordering::Release);
        }
    }

    pub fn may_ask(&self) -> bool {
        self.allowance
            .lock()
            .expect(NOT_POISONED)
            .take(Instant::now())
    }

    pub fn resync(&self) {
        self.behind.store(true, Ordering::Release);
        // An empty frame wakes the task that sends `resync`. A full queue wakes it anyway.
        let _ = self.frames.try_send(Utf8Bytes::from_static(""));
    }

    /// Whether frames were lost since the last call. Called when the queue is empty.
    pub fn caught_up(&self) -> bool {
        self.behind.swap(false, Ordering::AcqRel)
    }
}

pub struct Subscription {
    pub connection: Arc<Connection>,
    pub(super) workspace: WorkspaceId,
    access: RwLock<Access>,
    /// Its access is being reloaded; until then it receives nothing.
    is_paused: AtomicBool,
}

/// What the user may see. `access_version` orders the queries that loaded it.
#[derive(Default)]
struct Access {
    access_version: u64,
    is_member: bool,
    visible: Visible,
}

impl Subscription {
    pub fn sees(&self, number: NumberId) -> bool {
        !self.is_paused.load(Ordering::Acquire) && self.may_see(number)
    }

    /// As last loaded, also while paused.
    pub fn may_see(&self, number: NumberId) -> bool {
        let access = self.access.read().expect(NOT_POISONED);
        access.visible.includes(number)
    }

    pub fn sees_any(&self, numbers: &[NumberId]) -> bool {
        if self.is_paused.load(Ordering::Acquire) {
            return false;
        }
        let visible = &self.access.read().expect(NOT_POISONED).visible;
        *visible == Visible::All || numbers.iter().any(|number| visible.includes(*number))
    }

    /// Applies the result of a query unless a later query was applied already. Returns whether the user is a member.
    fn update_access(&self, access_version: u64, visible: Option<&Visible>) -> bool {
        let mut access = self.access.write().expect(NOT_POISONED);
        if access_version > access.access_version {
            *access = Access {
                access_version,
                is_member: visible.is_some(),
                visible: visible.cloned().unwrap_or_default(),
            };
        }
        access.is_member
    }
}

type Room = HashMap<u64, Arc<Subscription>>;

#[derive(Clone, Copy, Debug)]
pub struct Caps {
    pub per_member: usize,
    pub per_address: usize,
    pub in_all: usize,
}

#[derive(Default)]
struct Connections {
    by_id: HashMap<u64, Arc<Connection>>,
    of_user: HashMap<UserId, usize>,
    of_network: HashMap<String, usize>,
}

impl Connections {
    fn add(&mut self, connection: &Arc<Connection>) {
        self.by_id.insert(connection.id, Arc::clone(connection));
        *self.of_user.entry(connection.user).or_default() += 1;
        let network = connection.network.clone();
        *self.of_network.entry(network).or_default() += 1;
    }

    fn remove(&mut self, connection: &Connection) {
        if self.by_id.remove(&connection.id).is_none() {
            return;
        }
        decrement(&mut self.of_user, &connection.user);
        decrement(&mut self.of_network, &connection.network);
    }
}

fn decrement<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    match counts.get_mut(key) {
        Some(count) if *count > 1 => *count -= 1,
        _ => drop(counts.remove(key)),
    }
}

pub struct Rooms {
    caps: Caps,
    rooms: RwLock<HashMap<WorkspaceId, Room>>,
    connections: Mutex<Connections>,
    pub(super) views: Views,
    next: AtomicU64,
    access_versions: AtomicU64,
}

impl Rooms {
    pub fn new(caps: Caps) -> Self {
        Self {
            caps,
            rooms: RwLock::default(),
            connections: Mutex::default(),
            views: Views::default(),
            next: AtomicU64::default(),
            access_versions: AtomicU64::default(),
        }
    }

    /// `None` if a limit is reached: per member, per address or in total.
    pub fn connect(
        &self,
        user: UserId,
        name: String,
        session: SessionId,
        address: IpAddr,
        dialect: Dialect,
    ) -> Option<(Arc<Connection>, mpsc::Receiver<Utf8Bytes>)> {
        let network = network(address);
        let mut connections = self.connections();
        let reached =
            |count: Option<&usize>, limit: usize| count.is_some_and(|count| *count >= limit);
        if connections.by_id.len() >= self.caps.in_all
            || reached(connections.of_user.get(&user), self.caps.per_member)
            || reached(connections.of_network.get(&network), self.caps.per_address)
        {
            metrics::counter!("messagehub_sockets_refused_total").increment(1);
            return None;
        }
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
            allowance: Mutex::default(),
            network,
            joined: Mutex::default(),
            ended: Notify::new(),
        });
        connections.add(&connection);
        metrics::gauge!("messagehub_sockets").increment(1.0);
        Some((connection, queue))
    }

    pub fn disconnect(&self, connection: &Connection) {
        self.connections().remove(connection);
        self.clear_view(connection);
        let joined = std::mem::take(&mut *connection.joined.lock().expect(NOT_POISONED));
        for workspace in joined {
            self.leave(connection, workspace);
        }
        metrics::gauge!("messagehub_sockets").decrement(1.0);
    }

    /// Returns whether the user is a member. Subscribes before the query, so that no change of access is missed; the
    /// subscription sees nothing until then.
    pub async fn join(
        &self,
        db: &Db,
        connection: &Arc<Connection>,
        workspace: WorkspaceId,
    ) -> Result<bool> {
        let subscription = Arc::new(Subscription {
            connection: Arc::clone(connection),
            workspace,
            access: RwLock::default(),
            is_paused: AtomicBool::new(false),
        });
        self.rooms_mut()
            .entry(workspace)
            .or_default()
            .insert(connection.id, Arc::clone(&subscription));
        let access_version = self.next_access_version();
        let key = [(workspace, connection.user)];
        let result = numbers::visible(db, &key)
            .await
            .map(|visible| subscription.update_access(access_version, visible.get(&key[0])));
        if matches!(result, Ok(true)) {
            let mut joined = connection.joined.lock().expect(NOT_POISONED);
            if !joined.contains(&workspace) {
                joined.push(workspace);
            }
        } else {
            self.leave(connection, workspace);
        }
        result
    }

    pub fn joined_by(&self, connection: &Connection) -> Vec<WorkspaceId> {
        connection.joined.lock().expect(NOT_POISONED).clone()
    }

    pub fn leave(&self, connection: &Connection, workspace: WorkspaceId) {
        self.unsubscribe(connection, workspace);
        self.check_view(connection);
    }

    fn unsubscribe(&self, connection: &Connection, workspace: WorkspaceId) {
        let mut rooms = self.rooms_mut();
        if let Some(room) = rooms.get_mut(&workspace) {
            room.remove(&connection.id);
            if room.is_empty() {
                rooms.remove(&workspace);
            }
        }
    }

    fn next_access_version(&self) -> u64 {
        self.access_versions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Stops deliveries in these workspaces until their access is reloaded.
    pub fn pause(&self, workspaces: &[WorkspaceId]) {
        for subscription in self.subscriptions_in(workspaces) {
            subscription.is_paused.store(true, Ordering::Release);
        }
    }

    fn subscriptions_in(&self, workspaces: &[WorkspaceId]) -> Vec<Arc<Subscription>> {
        let rooms = self.rooms();
        let rooms = workspaces.iter().filter_map(|one| rooms.get(one));
        rooms.flat_map(HashMap::values).cloned().collect()
    }

    /// Reloads the access of all subscribers, in one statement. Disconnects users who are no longer members.
    pub async fn reload_access(&self, db: &Db, workspaces: &[WorkspaceId]) {
        let subscribers = self.subscriptions_in(workspaces);
        let access_version = self.next_access_version();
        let people: HashSet<_> = subscribers
            .iter()
            .map(|subscription| (subscription.workspace, subscription.connection.user))
            .collect();
        let people: Vec<_> = people.into_iter().collect();
        let visible = match numbers::visible(db, &people).await {
            Ok(visible) => visible,
            Err(error) => {
                tracing::warn!(%error, "could not reload access: closing connections");
                return self.end_rooms(workspaces);
            }
        };
        for subscription in subscribers {
            if !subscription.update_access(
                access_version,
                visible.get(&(subscription.workspace, subscription.connection.user)),
            ) {
                self.leave(&subscription.connection, subscription.workspace);
                subscription.connection.ended.notify_one();
            }
        }
    }

    /// Closes connections whose access could not be loaded.
    pub fn end_rooms(&self, workspaces: &[WorkspaceId]) {
        for subscription in self.subscriptions_in(workspaces) {
            self.unsubscribe(&subscription.connection, subscription.workspace);
            subscription.connection.ended.notify_one();
        }
    }

    /// Ends a pause; a `resync` replaces the frames dropped meanwhile.
    pub fn resume(&self, workspaces: &[WorkspaceId]) {
        let subscribers = self.subscriptions_in(workspaces);
        for subscription in &subscribers {
            subscription.is_paused.store(false, Ordering::Release);
        }
        // Expired views are announced before the `resync`, after which frames are dropped.
        for subscription in &subscribers {
            self.check_view(&subscription.connection);
        }
        for subscription in &subscribers {
            subscription.connection.resync();
        }
    }

    pub fn joined_workspaces(&self) -> Vec<WorkspaceId> {
        self.rooms().keys().copied().collect()
    }

    pub fn subscription(
        &self,
        workspace: WorkspaceId,
        connection: &Connection,
    ) -> Option<Arc<Subscription>> {
        let rooms = self.rooms();
        rooms.get(&workspace)?.get(&connection.id).cloned()
    }

    /// The connections in the room whose subscription matches.
    pub fn subscribers(
        &self,
        workspace: WorkspaceId,
        may: impl Fn(&Subscription) -> bool,
    ) -> Vec<Arc<Connection>> {
        self.rooms()
            .get(&workspace)
            .into_iter()
            .flat_map(HashMap::values)
            .filter(|subscription| may(subscription))
            .map(|subscription| Arc::clone(&subscription.connection))
            .collect()
    }

    pub fn connections_of(&self, workspace: WorkspaceId, user: UserId) -> Vec<Arc<Connection>> {
        self.subscribers(workspace, |subscription| {
            subscription.connection.user == user
        })
    }

    pub fn has_subscribers(&self, workspace: WorkspaceId) -> bool {
        self.rooms().contains_key(&workspace)
    }

    pub fn end(&self, session: SessionId) {
        for connection in self.connections().by_id.values() {
            if connection.session == session {
                connection.ended.notify_one();
            }
        }
    }

    pub fn resync_room(&self, workspace: WorkspaceId) {
        for connection in self.subscribers(workspace, |_| true) {
            connection.resync();
        }
    }

    pub fn resync_all(&self) {
        for connection in self.connections().by_id.values() {
            connection.resync();
        }
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().expect(NOT_POISONED)
    }

    fn rooms(&self) -> RwLockReadGuard<'_, HashMap<WorkspaceId, Room>> {
        self.rooms.read().expect(NOT_POISONED)
    }

    fn rooms_mut(&self) -> RwLockWriteGuard<'_, HashMap<WorkspaceId, Room>> {
        self.rooms.write().expect(NOT_POISONED)
    }
}

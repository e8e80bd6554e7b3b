//! The open connections, and a room per workspace with those that have joined it.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::connection::{Client, Connection};
use super::outbox::NOT_POISONED;
use super::subscription::Subscription;
use crate::db::Db;
use crate::domain::numbers;
use crate::error::Result;
use crate::events::Watched;
use crate::ids::{SessionId, UserId, WorkspaceId};

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
    fn admits(&self, connection: &Connection, caps: &Caps) -> bool {
        let is_below =
            |count: Option<&usize>, limit: usize| count.is_none_or(|count| *count < limit);
        self.by_id.len() < caps.in_all
            && is_below(self.of_user.get(&connection.user), caps.per_member)
            && is_below(self.of_network.get(&connection.network), caps.per_address)
    }

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
    watched: Watched,
    rooms: RwLock<HashMap<WorkspaceId, Room>>,
    connections: Mutex<Connections>,
    next: AtomicU64,
    access_versions: AtomicU64,
}

impl Rooms {
    pub fn new(caps: Caps, watched: Watched) -> Self {
        Self {
            caps,
            watched,
            rooms: RwLock::default(),
            connections: Mutex::default(),
            next: AtomicU64::default(),
            access_versions: AtomicU64::default(),
        }
    }

    /// `None` if a limit is reached: per member, per address or in total.
    pub fn connect(&self, client: Client) -> Option<Arc<Connection>> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection::new(id, client));
        let mut connections = self.connections();
        if !connections.admits(&connection, &self.caps) {
            metrics::counter!("messagehub_sockets_refused_total").increment(1);
            return None;
        }
        connections.add(&connection);
        metrics::gauge!("messagehub_sockets").increment(1.0);
        Some(connection)
    }

    /// Its subscriptions stay until `leave_all`.
    pub fn disconnect(&self, connection: &Connection) {
        self.connections().remove(connection);
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
        let subscription = Arc::new(Subscription::new(connection, workspace));
        self.enter(&subscription);
        let access_version = self.next_access_version();
        let key = [subscription.key()];
        let result = numbers::visible(db, &key)
            .await
            .map(|visible| subscription.update_access(access_version, visible.get(&key[0])));
        match result {
            Ok(true) => connection.add_joined(workspace),
            _ => self.leave(connection, workspace),
        }
        result
    }

    fn enter(&self, subscription: &Arc<Subscription>) {
        let (workspace, id) = (subscription.workspace, subscription.connection.id);
        let mut rooms = self.rooms_mut();
        let room = rooms.entry(workspace).or_default();
        room.insert(id, Arc::clone(subscription));
        self.watched.set(workspace, true);
    }

    pub fn leave(&self, connection: &Connection, workspace: WorkspaceId) {
        let mut rooms = self.rooms_mut();
        if let Some(room) = rooms.get_mut(&workspace) {
            room.remove(&connection.id);
            if room.is_empty() {
                rooms.remove(&workspace);
                self.watched.set(workspace, false);
            }
        }
    }

    pub fn leave_all(&self, connection: &Connection) {
        for workspace in connection.take_joined() {
            self.leave(connection, workspace);
        }
    }

    fn next_access_version(&self) -> u64 {
        self.access_versions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Stops deliveries in these workspaces until their access is reloaded.
    pub fn suspend(&self, workspaces: &[WorkspaceId]) {
        for subscription in self.subscriptions_in(workspaces) {
            subscription.set_suspended(true);
        }
    }

    /// Starts deliveries again. Returns the connections, which have missed frames.
    pub fn resume(&self, workspaces: &[WorkspaceId]) -> Vec<Arc<Connection>> {
        let subscriptions = self.subscriptions_in(workspaces);
        for subscription in &subscriptions {
            subscription.set_suspended(false);
        }
        connections_of(&subscriptions)
    }

    /// Reloads the access of all subscribers, in one statement. Returns the connections of users who are no longer
    /// members; they have left the room.
    pub async fn reload_access(
        &self,
        db: &Db,
        workspaces: &[WorkspaceId],
    ) -> Result<Vec<Arc<Connection>>> {
        let mut subscriptions = self.subscriptions_in(workspaces);
        let access_version = self.next_access_version();
        let people: HashSet<_> = subscriptions.iter().map(|one| one.key()).collect();
        let people: Vec<_> = people.into_iter().collect();
        let visible = numbers::visible(db, &people).await?;
        subscriptions.retain(|one| !one.update_access(access_version, visible.get(&one.key())));
        for subscription in &subscriptions {
            self.leave(&subscription.connection, subscription.workspace);
        }
        Ok(connections_of(&subscriptions))
    }

    /// Closes connections whose access could not be loaded.
    pub fn end_rooms(&self, workspaces: &[WorkspaceId]) {
        for subscription in self.subscriptions_in(workspaces) {
            self.leave(&subscription.connection, subscription.workspace);
            subscription.connection.ended.notify_one();
        }
    }

    fn subscriptions_in(&self, workspaces: &[WorkspaceId]) -> Vec<Arc<Subscription>> {
        let rooms = self.rooms();
        let rooms = workspaces.iter().filter_map(|one| rooms.get(one));
        rooms.flat_map(HashMap::values).cloned().collect()
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
            connection.outbox.fall_behind();
        }
    }

    pub fn resync_all(&self) {
        for connection in self.connections().by_id.values() {
            connection.outbox.fall_behind();
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

fn connections_of(subscriptions: &[Arc<Subscription>]) -> Vec<Arc<Connection>> {
    subscriptions
        .iter()
        .map(|subscription| Arc::clone(&subscription.connection))
        .collect()
}

//! The entry to the live updates: receives the events, and keeps rooms and presence in step.
//! All queues are bounded: a connection that falls behind loses frames and gets a `resync`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::access_reloads::AccessReloads;
use super::connection::{Client, Connection};
use super::delivery::Delivery;
use super::presence::Presence;
use super::rooms::{Caps, Rooms};
use crate::db::Db;
use crate::error::Result;
use crate::events::Event;
use crate::ids::{UserId, WorkspaceId};

/// Events loaded together.
const BATCH: usize = 256;

#[derive(Clone)]
pub struct Hub {
    pub(super) db: Db,
    rooms: Arc<Rooms>,
    pub(super) presence: Arc<Presence>,
}

impl Hub {
    pub fn new(db: Db, caps: Caps) -> Self {
        let rooms = Arc::new(Rooms::new(caps, db.bus().watched().clone()));
        Self {
            db,
            presence: Arc::new(Presence::new(Arc::clone(&rooms))),
            rooms,
        }
    }

    pub async fn run(self) {
        let mut events = self.db.bus().listen();
        // Events before this point were not received.
        self.rooms.resync_all();
        let mut delivery = Delivery::new(self.db.clone(), Arc::clone(&self.rooms));
        let mut reloads = AccessReloads::new(self.db, Arc::clone(&self.rooms), self.presence);
        let missed_some = |reloads: &mut AccessReloads| {
            self.rooms.resync_all();
            reloads.begin_all();
        };
        let mut batch: Vec<Event> = Vec::with_capacity(BATCH);
        loop {
            let received = tokio::select! {
                event = events.recv() => event,
                Some(held) = reloads.next_done() => {
                    delivery.deliver(held).await;
                    continue;
                }
            };
            match received {
                Ok(event) => batch.push(event),
                Err(RecvError::Lagged(_)) => missed_some(&mut reloads),
                Err(RecvError::Closed) => return,
            }
            while batch.len() < BATCH {
                match events.try_recv() {
                    Ok(event) => batch.push(event),
                    Err(TryRecvError::Lagged(_)) => missed_some(&mut reloads),
                    Err(_) => break,
                }
            }
            let ready = reloads.hold_back(std::mem::take(&mut batch));
            delivery.deliver(ready).await;
        }
    }

    /// `None` if a limit is reached.
    pub(super) fn connect(&self, client: Client) -> Option<Arc<Connection>> {
        self.rooms.connect(client)
    }

    pub(super) fn disconnect(&self, connection: &Connection) {
        self.rooms.disconnect(connection);
        self.presence.clear_view(connection);
        self.rooms.leave_all(connection);
    }

    /// Returns whether the user is a member.
    pub(super) async fn join(
        &self,
        connection: &Arc<Connection>,
        workspace: WorkspaceId,
    ) -> Result<bool> {
        let joined = self.rooms.join(&self.db, connection, workspace).await;
        if !matches!(joined, Ok(true)) {
            self.presence.check_view(connection);
        }
        joined
    }

    pub(super) fn leave(&self, connection: &Connection, workspace: WorkspaceId) {
        self.rooms.leave(connection, workspace);
        self.presence.check_view(connection);
    }

    /// Whether the user is present in the workspace: looks at it, or did so within `away_after`.
    pub fn is_present(&self, workspace: WorkspaceId, user: UserId, away_after: Duration) -> bool {
        self.presence.is_present(workspace, user, away_after)
    }
}

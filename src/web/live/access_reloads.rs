//! Reloads what subscribers may see after a change of access, in tasks beside the event loop. The events of these
//! workspaces are held back, and delivered in order with the new access when the reload is done. Other workspaces do
//! not wait.

use std::collections::hash_map::{Entry, HashMap};
use std::sync::Arc;

use tokio::task::{Id, JoinError, JoinSet};

use super::presence::Presence;
use super::rooms::Rooms;
use crate::db::Db;
use crate::events::Event;
use crate::ids::WorkspaceId;

/// Events of one workspace held back while its access is reloaded; beyond it the whole room gets a `resync`.
const MAX_HELD: usize = 4_096;

pub struct AccessReloads {
    db: Db,
    rooms: Arc<Rooms>,
    presence: Arc<Presence>,
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

impl AccessReloads {
    pub fn new(db: Db, rooms: Arc<Rooms>, presence: Arc<Presence>) -> Self {
        Self {
            db,
            rooms,
            presence,
            running: JoinSet::new(),
            by_task: HashMap::new(),
            held: HashMap::new(),
        }
    }

    /// Starts reloads for access changes and returns the events that need not wait.
    pub fn hold_back(&mut self, events: Vec<Event>) -> Vec<Event> {
        let changed = events.iter().filter_map(|event| match event {
            Event::AccessChanged { workspace } if self.rooms.has_subscribers(*workspace) => {
                Some(*workspace)
            }
            _ => None,
        });
        self.begin(changed.collect());
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

    /// For when events were lost: they may have included changes of access.
    pub fn begin_all(&mut self) {
        self.begin(self.rooms.joined_workspaces());
    }

    fn begin(&mut self, workspaces: Vec<WorkspaceId>) {
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
        self.reload(new);
    }

    fn reload(&mut self, workspaces: Vec<WorkspaceId>) {
        if workspaces.is_empty() {
            return;
        }
        self.rooms.suspend(&workspaces);
        let (db, rooms, presence) = (
            self.db.clone(),
            Arc::clone(&self.rooms),
            Arc::clone(&self.presence),
        );
        let reloaded = workspaces.clone();
        let task = self.running.spawn(async move {
            reload_access(&db, &rooms, &presence, &reloaded).await;
        });
        self.by_task.insert(task.id(), workspaces);
    }

    /// Waits for a reload and returns the events that were held back meanwhile; `None` if no reload is running.
    /// Cancel safe.
    pub async fn next_done(&mut self) -> Option<Vec<Event>> {
        let done = self.running.join_next_with_id().await?;
        Some(self.finish(done))
    }

    fn finish(&mut self, done: Result<(Id, ()), JoinError>) -> Vec<Event> {
        let workspaces = match done {
            Ok((id, ())) => self.by_task.remove(&id).unwrap_or_default(),
            Err(failed) => {
                tracing::error!(%failed, "could not reload access: closing connections");
                let workspaces = self.by_task.remove(&failed.id()).unwrap_or_default();
                self.rooms.end_rooms(&workspaces);
                workspaces
            }
        };
        let (again, done): (Vec<_>, Vec<_>) = workspaces
            .into_iter()
            .partition(|workspace| self.held.get(workspace).is_some_and(|held| held.again));
        for workspace in &again {
            if let Some(held) = self.held.get_mut(workspace) {
                held.again = false;
            }
        }
        self.reload(again);
        self.resume(&done);
        let held = done
            .iter()
            .filter_map(|workspace| self.held.remove(workspace));
        held.filter(|held| !held.is_cut)
            .flat_map(|held| held.events)
            .collect()
    }

    /// The whole room gets a `resync`, which also covers events beyond the limit.
    fn resume(&self, workspaces: &[WorkspaceId]) {
        let resumed = self.rooms.resume(workspaces);
        // Expired views are announced before the `resync`, after which frames are dropped.
        for connection in &resumed {
            self.presence.check_view(connection);
        }
        for connection in &resumed {
            connection.outbox.fall_behind();
        }
    }
}

/// Closes the connections of users who are no longer members.
async fn reload_access(db: &Db, rooms: &Rooms, presence: &Presence, workspaces: &[WorkspaceId]) {
    match rooms.reload_access(db, workspaces).await {
        Ok(removed) => {
            for connection in removed {
                presence.check_view(&connection);
                connection.ended.notify_one();
            }
        }
        Err(error) => {
            tracing::warn!(%error, "could not reload access: closing connections");
            rooms.end_rooms(workspaces);
        }
    }
}

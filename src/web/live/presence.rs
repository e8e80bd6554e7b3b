//! Presence: who views which conversation, and who is away. A user counts once, in any number of windows. A view
//! expires unless it is renewed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::frames::Frame;
use super::outbox::NOT_POISONED;
use super::push::push;
use super::rooms::Rooms;
use crate::ids::{ConversationId, NumberId, UserId, WorkspaceId};
use crate::web::pages::fragments;

/// A visible window renews its view every 30 seconds; a suspended one does not.
const PRESENCE_LIFETIME: Duration = Duration::from_secs(75);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    pub workspace: WorkspaceId,
    pub conversation: ConversationId,
    pub number: NumberId,
}

struct Window {
    connection: Arc<Connection>,
    view: View,
    renewed: Instant,
}

/// Windows by connection id.
type Views = HashMap<u64, Window>;

pub struct Presence {
    rooms: Arc<Rooms>,
    views: Mutex<Views>,
}

impl Presence {
    pub fn new(rooms: Arc<Rooms>) -> Self {
        Self {
            rooms,
            views: Mutex::default(),
        }
    }

    fn views(&self) -> MutexGuard<'_, Views> {
        self.views.lock().expect(NOT_POISONED)
    }

    /// Whether the user is present in the workspace; absent users get push notifications. A window counts while it is
    /// visible, and for `away_after` afterwards. Background tabs and locked screens do not count.
    pub fn is_present(&self, workspace: WorkspaceId, user: UserId, away_after: Duration) -> bool {
        let windows = self.rooms.connections_of(workspace, user);
        windows.iter().any(|window| window.is_watched(away_after))
    }

    /// Renews the view if the connection already views this conversation.
    pub fn is_still_viewing(
        &self,
        connection: &Connection,
        workspace: WorkspaceId,
        conversation: ConversationId,
    ) -> bool {
        match self.views().get_mut(&connection.id) {
            Some(window)
                if (window.view.workspace, window.view.conversation)
                    == (workspace, conversation) =>
            {
                window.renewed = Instant::now();
                true
            }
            _ => false,
        }
    }

    pub fn set_view(&self, connection: &Arc<Connection>, view: View) {
        // Sent while the lock is held, so that all subscribers receive presence changes in the same order.
        let mut views = self.views();
        let window = Window {
            connection: Arc::clone(connection),
            view,
            renewed: Instant::now(),
        };
        let before = views.insert(connection.id, window);
        let is_first = windows_viewing(&views, connection.user, view) == 1;
        if let Some(before) = before
            && before.view != view
        {
            self.send_gone(&views, connection, before.view);
        }
        if is_first {
            self.send_presence(view, connection, true);
        }
    }

    pub fn clear_view(&self, connection: &Connection) {
        let mut views = self.views();
        if let Some(window) = views.remove(&connection.id) {
            self.send_gone(&views, connection, window.view);
        }
    }

    /// Ends the view if it expired or the connection may no longer see the conversation.
    pub fn check_view(&self, connection: &Connection) {
        let over = match self.views().get(&connection.id) {
            Some(window) => {
                let subscription = self.rooms.subscription(window.view.workspace, connection);
                window.renewed.elapsed() > PRESENCE_LIFETIME
                    || subscription
                        .is_none_or(|subscription| !subscription.may_see(window.view.number))
            }
            None => false,
        };
        if over {
            self.clear_view(connection);
        }
    }

    /// Sends the current views to a new connection, as far as it may see them.
    pub fn send_present(&self, connection: &Arc<Connection>, workspace: WorkspaceId) {
        let views = self.views();
        let Some(subscription) = self.rooms.subscription(workspace, connection) else {
            return;
        };
        let mut announced = HashSet::new();
        for window in views.values() {
            let (view, user) = (window.view, window.connection.user);
            if view.workspace == workspace
                && subscription.sees(view.number)
                && announced.insert((view, user))
            {
                push_presence(&[Arc::clone(connection)], view, &window.connection, true);
            }
        }
    }

    fn send_gone(&self, views: &Views, connection: &Connection, view: View) {
        if windows_viewing(views, connection.user, view) == 0 {
            self.send_presence(view, connection, false);
        }
    }

    fn send_presence(&self, view: View, member: &Connection, is_here: bool) {
        let subscribers = self.rooms.subscribers(view.workspace, |subscription| {
            subscription.sees(view.number)
        });
        push_presence(&subscribers, view, member, is_here);
    }
}

fn windows_viewing(views: &Views, user: UserId, view: View) -> usize {
    views
        .values()
        .filter(|window| window.connection.user == user && window.view == view)
        .count()
}

fn push_presence(to: &[Arc<Connection>], view: View, member: &Connection, is_here: bool) {
    let frame = Frame::Presence {
        workspace_id: view.workspace,
        conversation_id: view.conversation,
        user_id: member.user,
        viewing: is_here,
    };
    push(to, &frame, || {
        fragments::presence(view.conversation, member.user, &member.name, is_here)
    });
}

//! Presence: who views which conversation, and who is away. A user counts once, in any number of windows. A view
//! expires unless it is renewed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::frames::Frame;
use super::hub::push;
use super::rooms::{Connection, NOT_POISONED, Rooms};
use crate::ids::{ConversationId, NumberId, UserId, WorkspaceId};
use crate::web::pages::fragments;

/// A visible window renews its view every 30 seconds; a suspended one does not.
const PRESENCE_LIFETIME: Duration = Duration::from_secs(75);

/// The conversation that a window shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Look {
    pub workspace: WorkspaceId,
    pub conversation: ConversationId,
    pub number: NumberId,
}

struct Window {
    connection: Arc<Connection>,
    look: Look,
    renewed: Instant,
}

/// Windows by connection id.
#[derive(Default)]
pub struct Looks(Mutex<HashMap<u64, Window>>);

/// Whether the user looks at the window, as reported by the client.
#[derive(Clone, Copy, Debug, Default)]
pub enum WindowFocus {
    /// The client never reports it: the user counts as present while connected.
    #[default]
    Unreported,
    Reported {
        now: bool,
        last: Option<Instant>,
    },
}

impl Connection {
    pub fn watch(&self, now: bool) {
        let mut watched = self.watched.lock().expect(NOT_POISONED);
        let last = match *watched {
            _ if now => Some(Instant::now()),
            WindowFocus::Reported { now: true, .. } => Some(Instant::now()),
            WindowFocus::Reported { last, .. } => last,
            WindowFocus::Unreported => None,
        };
        *watched = WindowFocus::Reported { now, last };
    }

    fn is_watched(&self, away_after: Duration) -> bool {
        match *self.watched.lock().expect(NOT_POISONED) {
            WindowFocus::Unreported => true,
            WindowFocus::Reported { last, .. } => {
                last.is_some_and(|last| last.elapsed() < away_after)
            }
        }
    }
}

impl Rooms {
    /// Whether the user is present in the workspace; absent users get push notifications. A window counts while it is
    /// visible, and for `away_after` afterwards. Background tabs and locked screens do not count.
    pub fn is_there(&self, workspace: WorkspaceId, user: UserId, away_after: Duration) -> bool {
        let windows = self.of(workspace, user);
        windows.iter().any(|window| window.is_watched(away_after))
    }
}

type Held<'a> = MutexGuard<'a, HashMap<u64, Window>>;

impl Looks {
    fn hold(&self) -> Held<'_> {
        self.0.lock().expect(NOT_POISONED)
    }
}

impl Rooms {
    /// Renews the view if the connection already views this conversation.
    pub fn is_still_viewing(
        &self,
        connection: &Connection,
        workspace: WorkspaceId,
        conversation: ConversationId,
    ) -> bool {
        match self.looks.hold().get_mut(&connection.id) {
            Some(window)
                if (window.look.workspace, window.look.conversation)
                    == (workspace, conversation) =>
            {
                window.renewed = Instant::now();
                true
            }
            _ => false,
        }
    }

    /// Replaces the view of this connection.
    pub fn look(&self, connection: &Arc<Connection>, look: Look) {
        // Sent while the lock is held, so that all subscribers receive presence changes in the same order.
        let mut looks = self.looks.hold();
        let window = Window {
            connection: Arc::clone(connection),
            look,
            renewed: Instant::now(),
        };
        let before = looks.insert(connection.id, window);
        let is_first = sharing(&looks, connection.user, look) == 1;
        if let Some(before) = before
            && before.look != look
        {
            self.send_gone(&looks, connection, before.look);
        }
        if is_first {
            self.send_presence(look, connection, true);
        }
    }

    pub fn look_away(&self, connection: &Connection) {
        let mut looks = self.looks.hold();
        if let Some(window) = looks.remove(&connection.id) {
            self.send_gone(&looks, connection, window.look);
        }
    }

    /// Ends the view if it expired or the connection may no longer see the conversation.
    pub fn look_again_at(&self, connection: &Connection) {
        let over = match self.looks.hold().get(&connection.id) {
            Some(window) => {
                let subscription = self.subscription(window.look.workspace, connection);
                window.renewed.elapsed() > PRESENCE_LIFETIME
                    || subscription
                        .is_none_or(|subscription| !subscription.may_see(window.look.number))
            }
            None => false,
        };
        if over {
            self.look_away(connection);
        }
    }

    /// Sends the current views to a new connection, as far as it may see them.
    pub fn send_present(&self, newcomer: &Arc<Connection>, workspace: WorkspaceId) {
        let looks = self.looks.hold();
        let Some(subscription) = self.subscription(workspace, newcomer) else {
            return;
        };
        let mut announced = HashSet::new();
        for window in looks.values() {
            let (look, user) = (window.look, window.connection.user);
            if look.workspace == workspace
                && subscription.sees(look.number)
                && announced.insert((look, user))
            {
                say(&[Arc::clone(newcomer)], look, &window.connection, true);
            }
        }
    }

    fn send_gone(&self, looks: &Held<'_>, connection: &Connection, look: Look) {
        if sharing(looks, connection.user, look) == 0 {
            self.send_presence(look, connection, false);
        }
    }

    fn send_presence(&self, look: Look, who: &Connection, is_here: bool) {
        let subscribers = self.subscribers(look.workspace, |subscription| {
            subscription.sees(look.number)
        });
        say(&subscribers, look, who, is_here);
    }
}

/// How many windows of the user view the conversation.
fn sharing(looks: &Held<'_>, user: UserId, look: Look) -> usize {
    looks
        .values()
        .filter(|window| window.connection.user == user && window.look == look)
        .count()
}

fn say(to: &[Arc<Connection>], look: Look, who: &Connection, is_here: bool) {
    let frame = Frame::Presence {
        workspace_id: look.workspace,
        conversation_id: look.conversation,
        user_id: who.user,
        viewing: is_here,
    };
    push(to, &frame, || {
        fragments::presence(look.conversation, who.user, &who.name, is_here)
    });
}

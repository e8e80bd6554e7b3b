//! Who looks at which conversation now, and whether at anything. One person counts once, in however many windows; a look that
//! is not renewed ends.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::frames::Frame;
use super::hub::push;
use super::rooms::{Connection, NOT_POISONED, Rooms};
use crate::ids::{ConversationId, NumberId, UserId, WorkspaceId};
use crate::web::pages::fragments;

/// A window that somebody looks into says so every half a minute. One that was put to sleep does not.
const PRESENCE_LIFETIME: Duration = Duration::from_secs(75);

/// Where a window looks.
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

/// By connection.
#[derive(Default)]
pub struct Looks(Mutex<HashMap<u64, Window>>);

/// Whether anybody looks at a window, as it tells itself.
#[derive(Clone, Copy, Debug, Default)]
pub enum WindowFocus {
    /// By a client that never says so: somebody does, as long as it is connected.
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
    /// The one rule of who is there, and not told elsewhere: one of their windows is looked at, or was a moment ago. A page
    /// says so while it is on the screen, and again every half a minute; a background tab and a locked laptop do not.
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
    /// Whether this connection looks there already, and does so for longer now.
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

    /// From now on this connection looks there, and nowhere else.
    pub fn look(&self, connection: &Arc<Connection>, look: Look) {
        // Told while it is held, so that all hear comings and goings in the order in which they are.
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

    /// Looked away without a word, or may not look there any more.
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

    /// Tells a newcomer who looks where, of what they see.
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

/// How many windows of this person look there.
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

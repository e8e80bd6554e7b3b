//! One open socket: what is sent to it, and what its client reports.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::allowance::Allowance;
use super::outbox::{NOT_POISONED, Outbox};
use crate::domain::accounts::throttle::network;
use crate::ids::{SessionId, UserId, WorkspaceId};
use crate::language::Language;

/// The format of a connection's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Json,
    /// Turbo Streams of the page's partials, in the page's language.
    Fragments(Language),
}

/// Whose connection it is, where from, and in which dialect.
pub struct Client {
    pub user: UserId,
    /// The user's name when the connection was opened.
    pub name: String,
    pub session: SessionId,
    pub address: IpAddr,
    pub dialect: Dialect,
}

pub struct Connection {
    pub(super) id: u64,
    pub user: UserId,
    pub name: String,
    pub session: SessionId,
    pub dialect: Dialect,
    pub(super) outbox: Outbox,
    focus: Mutex<WindowFocus>,
    allowance: Mutex<Allowance>,
    /// The client's network, for the limit per address.
    pub(super) network: String,
    joined: Mutex<Vec<WorkspaceId>>,
    /// The session or the membership ended: the connection must close.
    pub ended: Notify,
}

/// Whether the user looks at the window, as reported by the client.
#[derive(Clone, Copy, Debug, Default)]
enum WindowFocus {
    /// The client never reports it: the user counts as present while connected.
    #[default]
    Unreported,
    Reported {
        now: bool,
        last: Option<Instant>,
    },
}

impl Connection {
    pub(super) fn new(id: u64, client: Client) -> Self {
        Self {
            id,
            user: client.user,
            name: client.name,
            session: client.session,
            dialect: client.dialect,
            outbox: Outbox::default(),
            focus: Mutex::default(),
            allowance: Mutex::default(),
            network: network(client.address),
            joined: Mutex::default(),
            ended: Notify::new(),
        }
    }

    pub fn may_ask(&self) -> bool {
        self.allowance
            .lock()
            .expect(NOT_POISONED)
            .take(Instant::now())
    }

    /// The workspaces that it has joined, also those that it has left since.
    pub fn joined(&self) -> Vec<WorkspaceId> {
        self.joined.lock().expect(NOT_POISONED).clone()
    }

    pub(super) fn add_joined(&self, workspace: WorkspaceId) {
        let mut joined = self.joined.lock().expect(NOT_POISONED);
        if !joined.contains(&workspace) {
            joined.push(workspace);
        }
    }

    pub(super) fn take_joined(&self) -> Vec<WorkspaceId> {
        std::mem::take(&mut *self.joined.lock().expect(NOT_POISONED))
    }

    pub fn set_focus(&self, now: bool) {
        let mut focus = self.focus.lock().expect(NOT_POISONED);
        let last = match *focus {
            _ if now => Some(Instant::now()),
            WindowFocus::Reported { now: true, .. } => Some(Instant::now()),
            WindowFocus::Reported { last, .. } => last,
            WindowFocus::Unreported => None,
        };
        *focus = WindowFocus::Reported { now, last };
    }

    /// Whether the window has had the user's attention within `away_after`.
    pub fn is_watched(&self, away_after: Duration) -> bool {
        match *self.focus.lock().expect(NOT_POISONED) {
            WindowFocus::Unreported => true,
            WindowFocus::Reported { last, .. } => {
                last.is_some_and(|last| last.elapsed() < away_after)
            }
        }
    }
}

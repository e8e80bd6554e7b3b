//! A connection's place in a room, with what it may see there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use super::connection::Connection;
use super::outbox::NOT_POISONED;
use crate::domain::numbers::Visible;
use crate::ids::{NumberId, UserId, WorkspaceId};

pub struct Subscription {
    pub connection: Arc<Connection>,
    pub(super) workspace: WorkspaceId,
    access: RwLock<Access>,
    /// Its access is being reloaded; until then it receives nothing.
    is_suspended: AtomicBool,
}

/// What the user may see. `version` orders the queries that loaded it.
#[derive(Default)]
struct Access {
    version: u64,
    is_member: bool,
    visible: Visible,
}

impl Subscription {
    /// Sees nothing until its access is loaded.
    pub(super) fn new(connection: &Arc<Connection>, workspace: WorkspaceId) -> Self {
        Self {
            connection: Arc::clone(connection),
            workspace,
            access: RwLock::default(),
            is_suspended: AtomicBool::new(false),
        }
    }

    /// Whose access it needs.
    pub(super) fn key(&self) -> (WorkspaceId, UserId) {
        (self.workspace, self.connection.user)
    }

    pub fn sees(&self, number: NumberId) -> bool {
        !self.is_suspended.load(Ordering::Acquire) && self.may_see(number)
    }

    /// As last loaded, also while suspended.
    pub fn may_see(&self, number: NumberId) -> bool {
        let access = self.access.read().expect(NOT_POISONED);
        access.visible.includes(number)
    }

    pub fn sees_any(&self, numbers: &[NumberId]) -> bool {
        if self.is_suspended.load(Ordering::Acquire) {
            return false;
        }
        let visible = &self.access.read().expect(NOT_POISONED).visible;
        *visible == Visible::All || numbers.iter().any(|number| visible.includes(*number))
    }

    pub(super) fn set_suspended(&self, is_suspended: bool) {
        self.is_suspended.store(is_suspended, Ordering::Release);
    }

    /// Applies the result of a query unless a later query was applied already. Returns whether the user is a member.
    pub(super) fn update_access(&self, version: u64, visible: Option<&Visible>) -> bool {
        let mut access = self.access.write().expect(NOT_POISONED);
        if version > access.version {
            *access = Access {
                version,
                is_member: visible.is_some(),
                visible: visible.cloned().unwrap_or_default(),
            };
        }
        access.is_member
    }
}

//! Limits the connections of one workspace, so that expensive requests in one do not delay all others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Load;
use crate::error::{Error, Result};
use crate::ids::WorkspaceId;

const WAIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Above this size, unused entries are dropped.
const SWEEP_ABOVE: usize = 1_000;

#[derive(Clone)]
pub struct Shares {
    /// Per workspace, all requests.
    requests: usize,
    /// Per workspace, heavy requests.
    heavy: usize,
    /// Heavy requests of all workspaces together.
    all_heavy: Arc<Semaphore>,
    workspaces: Arc<Mutex<HashMap<WorkspaceId, Weak<Limits>>>>,
}

struct Limits {
    requests: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
}

pub struct Share {
    _limits: Arc<Limits>,
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Shares {
    /// Three quarters of the connections per workspace, a quarter for its heavy requests, half for all heavy requests.
    pub fn of(connections: u32) -> Self {
        let connections = usize::try_from(connections).unwrap_or(usize::MAX).max(1);
        Self {
            requests: connections - connections / 4,
            heavy: (connections / 4).max(1),
            all_heavy: Arc::new(Semaphore::new((connections / 2).max(1))),
            workspaces: Arc::default(),
        }
    }

    /// First come, first served within a workspace; fails with `WorkspaceBusy` after ten seconds.
    pub async fn take(&self, workspace: WorkspaceId, load: Load) -> Result<Share> {
        let limits = self.limits(workspace);
        let permits = async {
            let mut permits = Vec::with_capacity(3);
            if load != Load::Short {
                permits.push(Arc::clone(&limits.heavy).acquire_owned().await);
                permits.push(Arc::clone(&self.all_heavy).acquire_owned().await);
            }
            permits.push(Arc::clone(&limits.requests).acquire_owned().await);
            permits.into_iter().collect::<std::result::Result<_, _>>()
        };
        match tokio::time::timeout(WAIT_TIMEOUT, permits).await {
            Ok(Ok(permits)) => Ok(Share {
                _limits: limits,
                _permits: permits,
            }),
            _ => Err(Error::WorkspaceBusy),
        }
    }

    fn limits(&self, workspace: WorkspaceId) -> Arc<Limits> {
        let mut workspaces = self
            .workspaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(limits) = workspaces.get(&workspace).and_then(Weak::upgrade) {
            return limits;
        }
        if workspaces.len() > SWEEP_ABOVE {
            workspaces.retain(|_, limits| limits.strong_count() > 0);
        }
        let limits = Arc::new(Limits {
            requests: Arc::new(Semaphore::new(self.requests)),
            heavy: Arc::new(Semaphore::new(self.heavy)),
        });
        workspaces.insert(workspace, Arc::downgrade(&limits));
        limits
    }
}

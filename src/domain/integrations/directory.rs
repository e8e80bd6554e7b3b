//! A cache of integrations, their numbers and decrypted credentials: webhooks are verified without a database query.
//!
//! Entries are invalidated by this server's `Event`s, and expire after a minute because of changes on other servers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use moka::future::Cache;
use tokio::sync::OnceCell;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::{Purpose, Sealed, Uses};
use crate::app::App;
use crate::clock;
use crate::db::purpose::Credentials;
use crate::domain::audit;
use crate::error::Result;
use crate::events::Event;
use crate::ids::{IntegrationId, NumberId, UserId, WorkspaceId};
use crate::phone::Address;
use crate::providers::{Kind, Provider, SignedRequest};

const CACHE_LIFETIME: Duration = Duration::from_secs(60);
/// Beyond this, the least used entries are evicted.
const COUNT_LIMIT: u64 = 20_000;

/// An integration with its decrypted credentials, and its numbers by address.
pub struct Account {
    pub workspace: WorkspaceId,
    pub integration: IntegrationId,
    /// For calls that need no credentials. All others go through [`Account::used_for`].
    pub provider: Box<dyn Provider>,
    /// The provider with the previous credentials, and until when they are valid.
    former: Option<(Box<dyn Provider>, DateTime<Utc>)>,
    uses: Uses,
    numbers: HashMap<String, NumberId>,
    /// The same numbers by canonical address.
    canonical: HashMap<String, NumberId>,
}

impl Account {
    /// Whether the provider signed this request, with the current token or one that was replaced within the last day.
    pub fn verifies(&self, request: &SignedRequest<'_>) -> bool {
        let by_former = |(former, until): &(Box<dyn Provider>, DateTime<Utc>)| {
            *until > clock::now() && former.verify(request)
        };
        self.used_for(Purpose::Verify).verify(request)
            || self.former.as_ref().is_some_and(by_former)
    }

    /// The number with this address. A provider may list a number in one form and call it by another.
    pub fn number(&self, address: &str) -> Option<NumberId> {
        let number = self.numbers.get(address);
        number
            .or_else(|| self.canonical.get(&Address::canonical(address)))
            .copied()
    }

    /// The provider, for the server's own use. The use of the credentials is recorded.
    pub fn used_for(&self, purpose: Purpose) -> &dyn Provider {
        self.used(purpose, None)
    }

    /// The provider, for a request of `user`. The use of the credentials is recorded.
    pub fn used_by(&self, user: UserId, purpose: Purpose) -> &dyn Provider {
        self.used(purpose, Some(user))
    }

    fn used(&self, purpose: Purpose, actor: Option<UserId>) -> &dyn Provider {
        self.uses
            .record(self.workspace, self.integration, purpose, actor);
        self.provider.as_ref()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Integration(IntegrationId),
    Account(Kind, String),
}

/// A cached result, or a lookup in progress that concurrent callers wait for. If it is invalidated before the lookup
/// ends, it still serves the callers that wait, but no later ones.
type Slot = Arc<OnceCell<Vec<Arc<Account>>>>;

#[derive(Clone)]
pub struct Directory {
    app: App,
    slots: Cache<Key, Slot>,
    uses: Uses,
}

impl Directory {
    pub fn new(app: App) -> Self {
        Self {
            app,
            slots: Cache::builder()
                .max_capacity(COUNT_LIMIT)
                .time_to_live(CACHE_LIFETIME)
                .build(),
            uses: Uses::default(),
        }
    }

    pub async fn flush_uses(&self) -> Result<()> {
        self.uses.flush(&self.app.db).await
    }

    pub async fn integration(&self, id: IntegrationId) -> Result<Option<Arc<Account>>> {
        Ok(self.find(Key::Integration(id)).await?.pop())
    }

    /// All integrations with this account of a provider, in any workspace.
    pub async fn accounts(&self, kind: Kind, account: &str) -> Result<Vec<Arc<Account>>> {
        self.find(Key::Account(kind, account.to_owned())).await
    }

    /// Invalidates what events report as changed. Runs until the server stops.
    pub async fn invalidate_on_events(self) {
        let mut events = self.app.db.bus().listen_to_others();
        // Events before the subscription were missed.
        self.slots.invalidate_all();
        loop {
            let mut next = match events.recv().await {
                Err(RecvError::Closed) => return,
                Err(RecvError::Lagged(_)) => Err(TryRecvError::Lagged(0)),
                Ok(event) => Ok(event),
            };
            // Handles bursts at once: a sync announces each of its numbers.
            let mut changed = HashSet::new();
            loop {
                match next {
                    Ok(
                        Event::IntegrationChanged { workspace }
                        | Event::NumberChanged { workspace, .. },
                    ) => {
                        changed.insert(workspace);
                    }
                    Ok(_) => {}
                    Err(TryRecvError::Lagged(_)) => self.slots.invalidate_all(),
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
                next = events.try_recv();
            }
            if !changed.is_empty() {
                self.invalidate_workspaces(&changed).await;
            }
        }
    }

    /// Invalidates the entries of these workspaces, and all lookups in progress, whose workspace is not known yet. Then
    /// the lookups of the same provider accounts that were cached for other workspaces. One round trip.
    async fn invalidate_workspaces(&self, workspaces: &HashSet<WorkspaceId>) {
        self.invalidate_where(|accounts| {
            accounts.is_none_or(|all| all.iter().any(|one| workspaces.contains(&one.workspace)))
        })
        .await;
        let ids: Vec<_> = workspaces.iter().copied().collect();
        let rows = sqlx::query!(
            r#"select provider as "provider: Kind", account from integrations where workspace_id = any ($1)"#,
            &ids as _,
        )
        .fetch_all(self.app.db.system_pool(Credentials))
        .await;
        let Ok(rows) = rows else {
            return self.slots.invalidate_all();
        };
        for row in rows {
            let key = Key::Account(row.provider, row.account);
            self.slots.invalidate(&key).await;
        }
    }

    pub(super) async fn invalidate_integration(&self, id: IntegrationId) {
        self.slots.invalidate(&Key::Integration(id)).await;
        self.invalidate_where(|accounts| {
            accounts.is_some_and(|all| all.iter().any(|one| one.integration == id))
        })
        .await;
    }

    /// Calls `is_stale` with `None` for a lookup in progress.
    async fn invalidate_where(&self, is_stale: impl Fn(Option<&Vec<Arc<Account>>>) -> bool) {
        let stale: Vec<_> = self
            .slots
            .iter()
            .filter(|(_, slot)| is_stale(slot.get()))
            .map(|(key, _)| key)
            .collect();
        for key in stale {
            self.slots.invalidate(key.as_ref()).await;
        }
    }

    async fn find(&self, key: Key) -> Result<Vec<Arc<Account>>> {
        let slot = self
            .slots
            .get_with_by_ref(&key, async { Slot::default() })
            .await;
        let accounts = slot.get_or_try_init(|| self.look_up(&key)).await?.clone();
        // An empty result is not cached: the account may be connected the next moment.
        if accounts.is_empty() {
            self.slots.invalidate(&key).await;
        }
        Ok(accounts)
    }

    async fn look_up(&self, key: &Key) -> Result<Vec<Arc<Account>>> {
        let (id, account) = match key {
            Key::Integration(id) => (Some(*id), None),
            Key::Account(kind, account) => (None, Some((*kind, account.as_str()))),
        };
        let rows = sqlx::query!(
            r#"select i.workspace_id, i.id, i.provider, i.credentials as "credentials!",
                      case when i.former_until > now() then i.former_credentials end as former, i.former_until,
                      array(select n.phone_number from numbers n
                             where n.workspace_id = i.workspace_id and n.integration_id = i.id order by n.id) as "phones!",
                      array(select n.id from numbers n
                             where n.workspace_id = i.workspace_id and n.integration_id = i.id order by n.id) as "numbers!: Vec<NumberId>"
                 from integrations i
                where i.is_active and (i.id = $1 or (i.provider = $2 and i.account = $3))
                order by i.created_at, i.id"#,
            id as _,
            account.map(|(kind, _)| kind) as _,
            account.map(|(_, account)| account),
        )
        .fetch_all(self.app.db.system_pool(Credentials))
        .await?;
        if !rows.is_empty() {
            let opened: Vec<_> = rows.iter().map(|row| row.id).collect();
            audit::credentials_opened(self.app.db.system_pool(Credentials), &opened).await?;
        }
        rows.into_iter()
            .map(|row| {
                let sealed = |credentials| Sealed {
                    workspace: row.workspace_id,
                    id: row.id,
                    kind: row.provider,
                    credentials,
                };
                let former = row.former.and_then(|former| {
                    // Credentials that cannot be decrypted verify nothing, and cause no error.
                    Some((sealed(former).open(&self.app).ok()?, row.former_until?))
                });
                Ok(Arc::new(Account {
                    workspace: row.workspace_id,
                    integration: row.id,
                    provider: sealed(row.credentials).open(&self.app)?,
                    former,
                    uses: self.uses.clone(),
                    canonical: row
                        .phones
                        .iter()
                        .map(|address| Address::canonical(address))
                        .zip(row.numbers.iter().copied())
                        .collect(),
                    numbers: row.phones.into_iter().zip(row.numbers).collect(),
                }))
            })
            .collect()
    }
}

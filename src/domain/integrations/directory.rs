//! Numbers, integrations and their opened credentials, in memory: a webhook is verified without asking the database.
//!
//! What changes is forgotten at once (`Event`s of this server) and in any case after a minute (another server's change).

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::{Purpose, Sealed, Uses};
use crate::app::App;
use crate::domain::audit;
use crate::error::Result;
use crate::events::Event;
use crate::ids::{IntegrationId, NumberId, UserId, WorkspaceId};
use crate::phone::Address;
use crate::providers::{Kind, Provider, SignedRequest};

const REMEMBERED: Duration = Duration::from_secs(60);
/// Beyond this many entries everything is forgotten.
const MOST: usize = 20_000;

/// An integration with its credentials opened, and its numbers by address.
pub struct Account {
    pub workspace: WorkspaceId,
    pub integration: IntegrationId,
    /// For what needs no credentials; all else goes through [`Account::used_for`].
    pub provider: Box<dyn Provider>,
    /// Under the credentials before these, and until when they still count.
    former: Option<(Box<dyn Provider>, DateTime<Utc>)>,
    uses: Uses,
    numbers: HashMap<String, NumberId>,
    /// The same numbers by the form that all their forms have in common.
    canonical: HashMap<String, NumberId>,
}

impl Account {
    /// Whether the provider made this request, by the signature of now or of a token that was replaced within the last day.
    pub fn verifies(&self, request: &SignedRequest<'_>) -> bool {
        let by_former = |(former, until): &(Box<dyn Provider>, DateTime<Utc>)| {
            *until > Utc::now() && former.verify(request)
        };
        self.used_for(Purpose::Verify).verify(request)
            || self.former.as_ref().is_some_and(by_former)
    }

    /// The number of ours at this address. A provider lists a number in one form, and may call it by another.
    pub fn number(&self, address: &str) -> Option<NumberId> {
        let number = self.numbers.get(address);
        number
            .or_else(|| self.canonical.get(&Address::canonical(address)))
            .copied()
    }

    /// The provider, asked by the server itself; the use of the credentials is noted.
    pub fn used_for(&self, purpose: Purpose) -> &dyn Provider {
        self.used(purpose, None)
    }

    /// The provider, asked because `user` wants it.
    pub fn used_by(&self, user: UserId, purpose: Purpose) -> &dyn Provider {
        self.used(purpose, Some(user))
    }

    fn used(&self, purpose: Purpose, actor: Option<UserId>) -> &dyn Provider {
        self.uses
            .note(self.workspace, self.integration, purpose, actor);
        self.provider.as_ref()
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Integration(IntegrationId),
    Account(Kind, String),
}

struct Entry {
    accounts: Vec<Arc<Account>>,
    until: Instant,
}

#[derive(Clone)]
pub struct Directory {
    app: App,
    memory: Arc<RwLock<Memory>>,
    uses: Uses,
}

#[derive(Default)]
struct Memory {
    entries: HashMap<Key, Entry>,
    /// Rises whenever something is forgotten: what was looked up before that may be stale and is not kept.
    generation: u64,
}

impl Directory {
    pub fn new(app: App) -> Self {
        Self {
            app,
            memory: Arc::default(),
            uses: Uses::default(),
        }
    }

    /// Writes down what the credentials were used for since the last time.
    pub async fn write_uses_down(&self) -> Result<()> {
        self.uses.write_down(&self.app.db).await
    }

    pub async fn integration(&self, id: IntegrationId) -> Result<Option<Arc<Account>>> {
        Ok(self.find(Key::Integration(id)).await?.pop())
    }

    /// Whoever has this account of a provider, in whichever workspace.
    pub async fn accounts(&self, kind: Kind, account: &str) -> Result<Vec<Arc<Account>>> {
        self.find(Key::Account(kind, account.to_owned())).await
    }

    /// Forgets what an event says has changed; runs as long as the server does.
    pub async fn keep_fresh(self) {
        let mut events = self.app.db.bus().listen();
        loop {
            match events.recv().await {
                Ok(Event::IntegrationChanged { .. } | Event::NumberChanged { .. }) => self.forget(),
                Ok(_) => {}
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => self.forget(),
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    pub(super) fn forget(&self) {
        let mut memory = self.memory.write().expect("nobody panics while holding it");
        memory.entries.clear();
        memory.generation += 1;
    }

    async fn find(&self, key: Key) -> Result<Vec<Arc<Account>>> {
        let generation = {
            let memory = self.memory.read().expect("nobody panics while holding it");
            if let Some(entry) = memory
                .entries
                .get(&key)
                .filter(|entry| entry.until > Instant::now())
            {
                return Ok(entry.accounts.clone());
            }
            memory.generation
        };
        let accounts = self.look_up(&key).await?;
        let mut memory = self.memory.write().expect("nobody panics while holding it");
        // That nobody has an account is not remembered: they may connect it the next moment.
        if memory.generation == generation && !accounts.is_empty() {
            if memory.entries.len() >= MOST {
                memory.entries.clear();
            }
            memory.entries.insert(
                key,
                Entry {
                    accounts: accounts.clone(),
                    until: Instant::now() + REMEMBERED,
                },
            );
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
        .fetch_all(self.app.db.system_pool())
        .await?;
        if !rows.is_empty() {
            let opened: Vec<_> = rows.iter().map(|row| row.id).collect();
            audit::credentials_opened(self.app.db.system_pool(), &opened).await?;
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
                    // What cannot be opened any more verifies nothing, and stops nothing.
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

//! The handles shared by adapters, workers and verbs that call providers.

use std::ops::Deref;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::events::Bus;
use crate::keys::{MasterKeys, Tokens};
use crate::mail::Mailer;
use crate::passwords::Passwords;
use crate::providers::{Hosts, Providers};
use crate::push::PushSender;
use crate::storage::Storage;

mod secrets;

use secrets::Secrets;

/// Each layer of a request clones it: one reference count instead of twenty.
#[derive(Clone)]
pub struct App(Arc<Handles>);

impl Deref for App {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.0
    }
}

#[derive(Clone)]
pub struct Handles {
    pub config: Arc<Config>,
    pub db: Db,
    pub tokens: Tokens,
    pub keys: Arc<MasterKeys>,
    pub providers: Providers,
    pub mail: Mailer,
    pub storage: Storage,
    pub push: PushSender,
    pub passwords: Passwords,
    /// Tasks that a request has started without waiting for them. The server waits for them when it stops.
    pub background: TaskTracker,
}

impl App {
    /// Opens everything that `config` names. The schema must be up to date.
    pub async fn open(config: Config, database: PgConnectOptions) -> anyhow::Result<Self> {
        let Secrets {
            tokens,
            keys,
            vapid,
        } = Secrets::read_or_create(&config)?;
        let hosts = Hosts {
            twilio: config.twilio_api.to_string(),
            telnyx: config.telnyx_api.to_string(),
        };
        Ok(Self(Arc::new(Handles {
            db: Db::open(database, config.database_connections, Bus::new()).await?,
            providers: Providers::new(hosts),
            mail: Mailer::new(config.mail_from.clone(), config.smtp.clone()),
            push: PushSender::new(
                vapid,
                config.base_url.to_string(),
                config.push_inside.clone(),
            ),
            storage: Storage::open(&config.media).map_err(anyhow::Error::msg)?,
            passwords: Passwords::default(),
            background: TaskTracker::new(),
            config: Arc::new(config),
            tokens,
            keys,
        })))
    }

    /// With other parts, as tests have them. For before the app is shared.
    pub fn with(mut self, replace: impl FnOnce(&mut Handles)) -> Self {
        replace(Arc::make_mut(&mut self.0));
        self
    }

    /// Completes `work` even if the client disconnects meanwhile. The server waits for it when it stops.
    pub async fn complete<T, Work>(&self, work: impl FnOnce(Self) -> Work) -> Result<T>
    where
        T: Send + 'static,
        Work: Future<Output = Result<T>> + Send + 'static,
    {
        self.background
            .spawn(work(self.clone()))
            .await
            .map_err(|panic| Error::Internal(panic.to_string()))?
    }
}

//! The handles shared by adapters, workers and verbs that call providers.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::db::Db;
use crate::keys::{MasterKeys, Tokens};
use crate::mail::Mailer;
use crate::passwords::Passwords;
use crate::providers::Providers;
use crate::push::PushSender;
use crate::storage::Storage;

#[derive(Clone)]
pub struct App {
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

//! The handles that doors, workers and outward verbs hold.

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
    /// What a request began and did not wait for. The server ends after it.
    pub background: TaskTracker,
}

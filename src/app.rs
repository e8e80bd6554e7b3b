//! The handles that doors, workers and outward verbs hold.

use std::sync::Arc;

use crate::config::Config;
use crate::db::Db;
use crate::keys::{MasterKeys, Tokens};
use crate::mail::Mailer;
use crate::providers::Providers;
use crate::push::Pushing;
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
    pub push: Pushing,
}

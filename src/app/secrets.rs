//! The server's own secrets: from the configuration, or from files in `DATA_DIR` that the first start creates.

use std::sync::Arc;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};

use crate::config::Config;
use crate::keys::{self, MasterKeys, Tokens};
use crate::push::{self, VapidKey};

pub struct Secrets {
    pub tokens: Tokens,
    pub keys: Arc<MasterKeys>,
    pub vapid: VapidKey,
}

impl Secrets {
    pub fn read_or_create(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            tokens: tokens(config)?,
            keys: master_keys(config)?,
            vapid: vapid_key(config)?,
        })
    }
}

fn tokens(config: &Config) -> anyhow::Result<Tokens> {
    let secret = match &config.jwt_secret {
        Some(secret) => secret.clone(),
        None => stored(config, "jwt_secret", keys::random)?,
    };
    Ok(Tokens::new(&secret))
}

fn master_keys(config: &Config) -> anyhow::Result<Arc<MasterKeys>> {
    if let Some(keys) = &config.master_keys {
        return Ok(Arc::clone(keys));
    }
    let text = stored(config, "master_keys", || format!("k1:{}", keys::random()))?;
    let keys = MasterKeys::parse(text.expose_secret())
        .context("the file master_keys in DATA_DIR was damaged")?;
    Ok(Arc::new(keys))
}

fn vapid_key(config: &Config) -> anyhow::Result<VapidKey> {
    let key = match &config.vapid_key {
        Some(key) => key.clone(),
        None => stored(config, "vapid_key", push::new_key)?,
    };
    VapidKey::parse(key.expose_secret())
        .map_err(|_| anyhow::anyhow!("the file vapid_key in DATA_DIR was damaged"))
}

fn stored(config: &Config, name: &str, make: fn() -> String) -> anyhow::Result<SecretString> {
    std::fs::create_dir_all(&config.data_dir)
        .and_then(|()| keys::read_or_create(&config.data_dir.join(name), make))
        .with_context(|| {
            format!(
                "DATA_DIR={} must be a directory that this user can write to",
                config.data_dir.display()
            )
        })
}

//! Fetches what came with texts into the store, and takes out of it what is not needed any more.
//!
//! Runs on every server at once; whoever takes a file keeps the others from it for a while.

use std::time::Duration;

use futures_util::future::join_all;

use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::media::{keep, removed};
use crate::error::Result;

const LOOK_AROUND: Duration = Duration::from_secs(1);
/// Files of one round, all of them in memory.
const AT_ONCE: i64 = 4;
const REMOVED_AT_ONCE: i64 = 50;

#[derive(Clone)]
pub struct Keeper {
    app: App,
    directory: Directory,
}

impl Keeper {
    pub fn new(app: App, directory: Directory) -> Self {
        Self { app, directory }
    }

    /// As long as the server runs.
    pub async fn run(self) {
        let mut rounds = tokio::time::interval(LOOK_AROUND);
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            if let Err(error) = self.run_once().await {
                tracing::warn!(%error, "pictures have to wait: trying again");
            }
        }
    }

    /// Fetches and removes what is due; answers how many files were kept.
    pub async fn run_once(&self) -> Result<usize> {
        let mut kept = 0;
        loop {
            let due = keep::due(&self.app.db, AT_ONCE).await?;
            if due.is_empty() {
                break;
            }
            let files = due.iter();
            for (file, done) in
                join_all(files.map(async |file| (file, self.keep(file).await))).await
            {
                match done {
                    Ok(is_kept) => kept += usize::from(is_kept),
                    Err(error) => {
                        tracing::warn!(%error, media.id = %file.id, "a file could not be kept: trying again");
                    }
                }
            }
        }
        while removed::take_out(&self.app, REMOVED_AT_ONCE).await? > 0 {}
        Ok(kept)
    }

    async fn keep(&self, due: &keep::Due) -> Result<bool> {
        keep::keep(&self.app, &self.directory, due).await
    }
}

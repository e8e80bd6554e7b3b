//! Processes contact imports.
//!
//! Runs on every server; a lease keeps the others from an import in progress.

use std::time::Duration;

use crate::app::App;
use crate::domain::contacts::import::work;
use crate::error::Result;
use crate::fail_point;

pub const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often a part is tried again after a deadlock.
const MAX_ATTEMPTS: usize = 4;

pub async fn run_once(app: &App) -> Result<usize> {
    let mut parts = 0;
    while let Some(due) = work::due(&app.db).await? {
        let mut tries = 1;
        loop {
            match work::run_batch(&app.db, &due).await {
                Ok(true) => {
                    fail_point::abort_at("after a part of an import");
                    parts += 1;
                    tries = 1;
                }
                Ok(false) => break,
                Err(error) if error.is_deadlock() && tries < MAX_ATTEMPTS => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(parts)
}

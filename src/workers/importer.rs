//! Takes contacts from tables that somebody brought in.
//!
//! Runs on every server at once; whoever works on an import keeps the others from it for a while.

use std::time::Duration;

use crate::app::App;
use crate::domain::contacts::import::work;
use crate::error::Result;
use crate::fail_point;

pub const LOOK_AROUND: Duration = Duration::from_secs(1);
/// So often a part is tried again that met with somebody else's.
const MAX_ATTEMPTS: usize = 4;

/// Takes all that there is to take; answers how many parts that were.
pub async fn run_once(app: &App) -> Result<usize> {
    let mut parts = 0;
    while let Some(due) = work::due(&app.db).await? {
        let mut tries = 1;
        loop {
            match work::go_on(&app.db, &due).await {
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

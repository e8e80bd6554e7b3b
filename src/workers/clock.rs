//! What happens at its time: scheduled texts join the queue, snoozed conversations come back.

use std::time::Duration;

use crate::app::App;
use crate::domain::conversations::snooze;
use crate::domain::messages::schedule;
use crate::error::Result;

/// All happens at most this late.
const TICK: Duration = Duration::from_secs(1);

/// As long as the server runs. Of several servers one takes each.
pub async fn run(app: App) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        while is_more("scheduled texts", schedule::release_due(&app.db).await) {}
        while is_more("snoozed conversations", snooze::wake_due(&app.db).await) {}
    }
}

/// Whether another round may find more that is due.
fn is_more(what: &'static str, round: Result<usize>) -> bool {
    match round {
        Ok(done) => done > 0,
        Err(error) => {
            tracing::warn!(%error, what, "these have to wait: trying again");
            false
        }
    }
}

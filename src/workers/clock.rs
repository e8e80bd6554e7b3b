//! What happens at its time: scheduled texts join the queue.

use std::time::Duration;

use crate::app::App;
use crate::domain::messages::schedule;

/// A text leaves at most this late.
const TICK: Duration = Duration::from_secs(1);

/// As long as the server runs. Of several servers one takes each text.
pub async fn run(app: App) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        loop {
            match schedule::release_due(&app.db).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "scheduled texts have to wait: trying again");
                    break;
                }
            }
        }
    }
}

//! Queues scheduled messages and reopens snoozed conversations when they are due.

use std::time::Duration;

use crate::app::App;
use crate::domain::conversations::snooze;
use crate::domain::messages::schedule;
use crate::error::Result;

/// The maximum delay.
pub const TICK: Duration = Duration::from_secs(1);

/// Handles everything that is due. With several servers, each row is handled once.
pub async fn run_once(app: &App) -> Result<()> {
    let scheduled = async {
        while schedule::queue_due(&app.db).await? > 0 {}
        Ok(())
    };
    let snoozed = async {
        while snooze::end_due(&app.db).await? > 0 {}
        Ok(())
    };
    // A failure of one must not block the other.
    let (scheduled, snoozed) = (scheduled.await, snoozed.await);
    scheduled.and(snoozed)
}

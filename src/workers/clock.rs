//! What happens at its time: scheduled texts join the queue, snoozed conversations come back.

use std::time::Duration;

use crate::app::App;
use crate::domain::conversations::snooze;
use crate::domain::messages::schedule;
use crate::error::Result;

/// All happens at most this late.
pub const TICK: Duration = Duration::from_secs(1);

/// All that is due. Of several servers one takes each.
pub async fn run_once(app: &App) -> Result<()> {
    let scheduled = async {
        while schedule::release_due(&app.db).await? > 0 {}
        Ok(())
    };
    let snoozed = async {
        while snooze::wake_due(&app.db).await? > 0 {}
        Ok(())
    };
    // The one does not wait for the other to be well.
    let (scheduled, snoozed) = (scheduled.await, snoozed.await);
    scheduled.and(snoozed)
}

//! What has had its time goes: settled throttles, links that nobody followed, sessions and invitations long over,
//! tokens that were replaced a day ago.

use std::time::Duration;

use crate::app::App;
use crate::domain::{accounts, integrations, invitations};
use crate::error::Result;

const EVERY: Duration = Duration::from_secs(60 * 60);

/// As long as the server runs. Two servers at once do no harm.
pub async fn run(app: App) {
    let mut rounds = tokio::time::interval(EVERY);
    loop {
        rounds.tick().await;
        if let Err(error) = tidy(&app).await {
            tracing::warn!(%error, "the housekeeping has to wait");
        }
    }
}

pub async fn tidy(app: &App) -> Result<()> {
    accounts::throttle::forget_settled(&app.db).await?;
    accounts::forget_expired(&app.db).await?;
    invitations::forget_expired(&app.db).await?;
    integrations::forget_former(&app.db).await?;
    integrations::uses::forget_old(&app.db).await
}

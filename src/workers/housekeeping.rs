//! What has had its time goes: settled throttles, links that nobody followed, uploads that nobody sent, sessions and invitations
//! long over, tokens that were replaced a day ago, the journal of the month before.

use std::time::Duration;

use crate::app::App;
use crate::domain::{accounts, contacts, integrations, invitations, media, quarantine, webhooks};
use crate::error::Result;

pub const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Two servers at once do no harm.
pub async fn tidy(app: &App) -> Result<()> {
    accounts::throttle::forget_settled(&app.db).await?;
    accounts::forget_expired(&app.db).await?;
    media::removed::forget_unused(&app.db).await?;
    invitations::forget_expired(&app.db).await?;
    integrations::delete_previous_credentials(&app.db).await?;
    integrations::uses::forget_old(&app.db).await?;
    contacts::import::forget_old(&app.db).await?;
    webhooks::forget_old(&app.db).await?;
    quarantine::forget_old(&app.db).await
}

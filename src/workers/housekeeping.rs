//! Deletes expired data: throttles, links, unused uploads, sessions, invitations, replaced tokens, old webhook and
//! import logs.

use std::time::Duration;

use crate::app::App;
use crate::domain::{accounts, contacts, integrations, invitations, media, quarantine, webhooks};
use crate::error::Result;

pub const INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Safe to run on several servers at once.
pub async fn tidy(app: &App) -> Result<()> {
    accounts::throttle::delete_expired(&app.db).await?;
    accounts::forget_expired(&app.db).await?;
    media::removed::forget_unused(&app.db).await?;
    invitations::forget_expired(&app.db).await?;
    integrations::delete_previous_credentials(&app.db).await?;
    integrations::uses::delete_expired(&app.db).await?;
    contacts::import::delete_expired(&app.db).await?;
    contacts::remove::forget_expired(&app.db).await?;
    webhooks::delete_expired(&app.db).await?;
    quarantine::delete_expired(&app.db).await
}

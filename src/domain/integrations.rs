//! A workspace's accounts at providers, with their sealed credentials.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::words;
use crate::ids::{IntegrationId, WorkspaceId};
use crate::providers;

words!(Health { Healthy = "healthy", Unhealthy = "unhealthy" });

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Integration {
    pub id: IntegrationId,
    pub workspace_id: WorkspaceId,
    pub provider: providers::Kind,
    pub name: String,
    /// The provider's public name for the account, such as Twilio's `AC…`.
    pub account: String,
    /// The secret's last four characters: all that is ever shown of it.
    pub hint: String,
    pub status: Health,
    /// Why it is unhealthy, in words.
    pub status_reason: Option<String>,
    pub is_active: bool,
    /// Where the provider posts inbound texts for this integration.
    pub webhook_url: String,
    pub created_at: DateTime<Utc>,
}

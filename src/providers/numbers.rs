//! An account at a provider, its numbers, and where their texts go.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::phone::Phone;

/// The account behind the credentials, active and able to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: String,
    pub name: String,
    /// The provider's own word, such as `active`.
    pub status: String,
    /// A trial account reaches only verified recipients.
    pub trial: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteNumber {
    pub provider_id: String,
    pub phone_number: Phone,
    pub friendly_name: String,
    pub capabilities: NumberCapabilities,
    /// What takes this number's texts before its own webhook is asked.
    pub shadow: Option<Shadow>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NumberCapabilities {
    pub sms: bool,
    pub mms: bool,
    pub voice: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// In words, for an admin: `the messaging service “Reminders” (MG…)`.
    pub by: String,
    /// Where it delivers texts to.
    pub url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrls {
    pub inbound: String,
    pub status: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Webhook {
    /// Written and read back. `previous` is the customer's own URL, to be given back one day.
    Configured {
        previous: Option<String>,
    },
    Unchanged,
    /// Nothing was written, because it would have no effect: texts go elsewhere.
    Shadowed {
        by: String,
    },
}

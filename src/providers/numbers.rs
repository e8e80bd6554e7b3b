//! Accounts, their numbers and number routing.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::language::Message;
use crate::phone::Phone;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: String,
    pub name: String,
    /// The provider's own term, such as `active`.
    pub status: String,
    /// A trial account only reaches verified recipients.
    pub trial: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteNumber {
    pub provider_id: String,
    pub phone_number: Phone,
    pub friendly_name: String,
    pub capabilities: NumberCapabilities,
    /// A setting at the provider that overrides the number's own webhook.
    pub webhook_override: Option<WebhookOverride>,
    /// The number's webhook, if the provider's list includes it.
    pub listed: Option<ListedWebhook>,
    /// Numbers with the same value share one webhook.
    pub shares: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedWebhook {
    pub url: Option<String>,
    pub is_post: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NumberCapabilities {
    pub sms: bool,
    pub mms: bool,
    pub voice: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookOverride {
    /// A description for admins: `the messaging service “Reminders” (MG…)`.
    pub by: Message,
    pub url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrls {
    pub inbound: String,
    pub status: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Webhook {
    /// Written and verified. `previous` is the customer's own URL, to be restored on disconnect.
    Configured {
        previous: Option<String>,
    },
    Unchanged,
    /// Not written, because it would have no effect: texts are delivered elsewhere.
    Overridden {
        by: Message,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberSearch {
    /// ISO 3166 code in capitals.
    pub country: String,
    pub area_code: Option<String>,
    /// Consecutive digits anywhere in the number.
    pub contains: Option<String>,
}

/// A number for sale. It is not reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NumberOffer)]
pub struct Offer {
    pub phone_number: Phone,
    /// Its region in the provider's notation: `Oakland, CA`.
    pub place: Option<String>,
    pub capabilities: NumberCapabilities,
    /// The monthly price, if the provider includes it in the offer.
    #[schema(example = "1.00")]
    pub monthly_price: Option<String>,
    pub currency: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Bought {
    Ready(RemoteNumber),
    /// Ordered, but not active yet: it will appear in the list of numbers.
    Pending {
        order: String,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// The effective webhook.
    pub inbound: Option<String>,
    pub is_ours: bool,
    /// A description of what overrides the number's own webhook.
    pub overridden_by: Option<Message>,
    pub fallback: Option<String>,
    /// The messaging service or profile of the number.
    pub member_of: Option<Message>,
}

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
    /// Its own webhook, where the provider's list tells it; `None`: the provider is to be asked.
    pub listed: Option<ListedWebhook>,
    /// Numbers with the same value here have one webhook in common.
    pub shares: Option<String>,
}

/// A number's webhook as it stood in the list.
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

/// Which numbers somebody looks for. All of them can text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberSearch {
    /// Two capital letters.
    pub country: String,
    /// Digits.
    pub area_code: Option<String>,
    /// Digits that must follow each other somewhere in the number.
    pub contains: Option<String>,
}

/// A number for sale. Nobody holds it for us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = NumberOffer)]
pub struct Offer {
    pub phone_number: Phone,
    /// Where it is from, as the provider writes it: `Oakland, CA`.
    pub place: Option<String>,
    pub capabilities: NumberCapabilities,
    /// What it costs a month, where the provider says it with the offer.
    #[schema(example = "1.00")]
    pub monthly_price: Option<String>,
    pub currency: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bought {
    Ready(RemoteNumber),
    /// Ordered, and not there yet: it will be in the list of numbers.
    Pending {
        order: String,
    },
}

/// Where a number's texts go, as the provider has it now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// The webhook that counts.
    pub inbound: Option<String>,
    pub is_ours: bool,
    /// What takes the texts before that, in words.
    pub overridden_by: Option<String>,
    /// Where texts go when the webhook fails.
    pub fallback: Option<String>,
    /// The messaging service or profile that the number is in.
    pub member_of: Option<String>,
}

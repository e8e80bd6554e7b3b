//! Search, purchase and release of numbers.
//!
//! Orders are asynchronous and carry our reference, by which an order is found if its response is lost. So nothing is
//! ordered twice.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;

use super::api::Api;
use super::numbers::{Messaging, Number, Profile, VERSION};
use crate::clock;
use crate::language::t;
use crate::phone::Phone;
use crate::providers::json::{Figure, Lenient, Text, readable};
use crate::providers::{
    Bought, Error, NumberCapabilities, NumberSearch, Offer, RemoteNumber, Result, Route,
    WebhookUrls,
};

const MAX_OFFERS: usize = 20;
/// How often an order is polled, and at which interval, before it is left to the next sync.
const MAX_POLLS: usize = 8;
const POLL_INTERVAL: Duration = Duration::from_millis(800);
/// An older order is not the current one: its number was released since.
const MAX_ORDER_AGE: TimeDelta = TimeDelta::minutes(10);
const OUR_PROFILE: &str = "MessageHub";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Available {
    phone_number: Lenient<Text>,
    features: Lenient<Vec<Lenient<Feature>>>,
    cost_information: Lenient<Cost>,
    region_information: Lenient<Vec<Lenient<Region>>>,
}

#[derive(Deserialize)]
struct Feature {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cost {
    monthly_cost: Lenient<Figure>,
    currency: Lenient<Text>,
}

#[derive(Deserialize)]
struct Region {
    region_type: String,
    region_name: String,
}

#[derive(Deserialize)]
struct Order {
    id: String,
    #[serde(default)]
    status: Lenient<Text>,
    #[serde(default)]
    created_at: Lenient<DateTime<Utc>>,
}

impl Api {
    pub async fn search(&self, criteria: &NumberSearch) -> Result<Vec<Offer>> {
        let path = format!("/available_phone_numbers?{}", query(criteria));
        let found: Vec<Lenient<Available>> = self.get(&path).await?;
        Ok(readable(found).filter_map(Available::into_offer).collect())
    }

    pub async fn buy(&self, number: &Phone, urls: &WebhookUrls) -> Result<Bought> {
        if let Some(ours) = self.find_owned(number).await? {
            return Ok(Bought::Ready(ours));
        }
        let reference = reference(number, urls);
        let order = match self.open_order(&reference).await? {
            Some(order) => order,
            None => self.order(number, &reference, urls).await?,
        };
        self.poll_order(order, number).await
    }

    /// Orders the number; if the response is lost, looks the order up by its reference.
    async fn order(&self, number: &Phone, reference: &str, urls: &WebhookUrls) -> Result<Order> {
        let order = json!({
            "phone_numbers": [{"phone_number": number}],
            "messaging_profile_id": self.our_profile(urls).await?,
            "customer_reference": reference,
        });
        match self.post("/number_orders", &order).await {
            Ok(order) => Ok(order),
            Err(refused @ Error::Refused { .. }) => Err(refused),
            Err(_) => match self.open_order(reference).await {
                Ok(Some(order)) => Ok(order),
                Ok(None) | Err(_) => Err(Error::Unreachable(t!(
                    "Telnyx didn’t confirm the order. Try again in a moment. A number is never ordered twice."
                ))),
            },
        }
    }

    async fn open_order(&self, reference: &str) -> Result<Option<Order>> {
        let reference: String = form_urlencoded::byte_serialize(reference.as_bytes()).collect();
        let filter = format!("filter%5Bcustomer_reference%5D={reference}");
        let orders: Vec<Order> = self.all("/number_orders", &filter).await?;
        let is_current = |order: &Order| {
            let fresh = order
                .created_at
                .0
                .is_some_and(|at| clock::now() - at < MAX_ORDER_AGE);
            order.is("pending") || (order.is("success") && fresh)
        };
        Ok(orders.into_iter().find(is_current))
    }

    /// Polls the order until the number is active, or time runs out.
    async fn poll_order(&self, mut order: Order, number: &Phone) -> Result<Bought> {
        for _ in 0..MAX_POLLS {
            if order.is("failure") {
                return Err(Error::Refused {
                    code: None,
                    text: t!(
                        "Telnyx couldn’t get this number. Search again and choose another one."
                    ),
                });
            }
            // The number is listed a little after its order succeeds.
            if order.is("success")
                && let Ok(Some(ours)) = self.find_owned(number).await
            {
                return Ok(Bought::Ready(ours));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
            if let Ok(now) = self.get(&format!("/number_orders/{}", order.id)).await {
                order = now;
            }
        }
        Ok(Bought::Pending { order: order.id })
    }

    /// The number, if the account has it and it is active.
    async fn find_owned(&self, number: &Phone) -> Result<Option<RemoteNumber>> {
        let digits = number.as_str().trim_start_matches('+');
        let filter = format!("filter%5Bphone_number%5D={digits}");
        let found: Vec<Number> = self.all("/phone_numbers", &filter).await?;
        let mut found = found.into_iter();
        let ours = found.find(|one| one.phone_number == number.as_str() && one.is_active());
        let Some(ours) = ours else {
            return Ok(None);
        };
        let settings = self
            .get::<Messaging>(&format!("/phone_numbers/{}/messaging", ours.id))
            .await?;
        Ok(ours.into_remote(Some(settings)))
    }

    /// The profile with our webhook; created if there is none.
    async fn our_profile(&self, urls: &WebhookUrls) -> Result<String> {
        let profiles: Vec<Profile> = self.all("/messaging_profiles", "").await?;
        let mut ours = profiles
            .into_iter()
            .filter(|one| one.webhook_override().is_none() && one.has_webhook(&urls.inbound));
        if let Some(id) = ours.find_map(|one| one.id.into_some()) {
            return Ok(id);
        }
        let profile = json!({
            "name": OUR_PROFILE,
            // Contacts may be anywhere; admins can restrict destinations in the portal.
            "whitelisted_destinations": ["*"],
            "webhook_url": urls.inbound,
            "webhook_api_version": VERSION,
        });
        let created: Profile = self.post("/messaging_profiles", &profile).await?;
        created.id.into_some().ok_or_else(|| {
            Error::Unreachable(t!(
                "Telnyx didn’t confirm which messaging profile it created. Try again in a moment."
            ))
        })
    }

    pub async fn release(&self, provider_id: &str) -> Result<()> {
        let number = format!("/phone_numbers/{provider_id}");
        let mut answer = self.delete(&number).await;
        if !matches!(answer, Ok(()) | Err(Error::Refused { .. })) {
            // Deleting is idempotent, so it is safe to repeat.
            answer = self.delete(&number).await;
        }
        match answer {
            Err(Error::Refused {
                code: Some(code), ..
            }) if is_unknown(&code) => Ok(()),
            answer => answer,
        }
    }

    pub async fn route(&self, provider_id: &str, urls: &WebhookUrls) -> Result<Option<Route>> {
        let settings = format!("/phone_numbers/{provider_id}/messaging");
        let settings: Messaging = match self.get(&settings).await {
            Ok(settings) => settings,
            Err(Error::Refused {
                code: Some(code), ..
            }) if is_unknown(&code) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(id) = settings.profile() else {
            return Ok(Some(Route {
                overridden_by: Some(super::numbers::NO_PROFILE),
                ..Route::default()
            }));
        };
        let profile: Profile = self.get(&format!("/messaging_profiles/{id}")).await?;
        let some = |url: &Lenient<Text>| url.some().map(str::to_owned);
        Ok(Some(Route {
            inbound: some(&profile.webhook_url),
            is_ours: profile.has_webhook(&urls.inbound),
            overridden_by: profile.webhook_override(),
            fallback: some(&profile.webhook_failover_url),
            member_of: Some(t!("the messaging profile “{name}”", name = profile.name())),
        }))
    }
}

fn query(criteria: &NumberSearch) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("filter[country_code]", &criteria.country)
        .append_pair("filter[features][]", "sms")
        .append_pair("filter[limit]", &MAX_OFFERS.to_string());
    if let Some(area) = &criteria.area_code {
        query.append_pair("filter[national_destination_code]", area);
    }
    if let Some(digits) = &criteria.contains {
        query.append_pair("filter[phone_number][contains]", digits);
    }
    query.finish()
}

/// Stable per number and integration; the webhook URL contains the integration's id.
fn reference(number: &Phone, urls: &WebhookUrls) -> String {
    let mut parts = urls.inbound.rsplit('/');
    let integration = parts.nth(1).unwrap_or_default();
    format!(
        "messagehub-{integration}-{}",
        number.as_str().trim_start_matches('+')
    )
}

fn is_unknown(code: &str) -> bool {
    matches!(code, "10005" | "http_404")
}

impl Order {
    fn is(&self, status: &str) -> bool {
        self.status.as_str() == status
    }
}

impl Available {
    fn into_offer(self) -> Option<Offer> {
        let features: Vec<_> = readable(self.features.0.unwrap_or_default()).collect();
        let regions: Vec<_> = readable(self.region_information.0.unwrap_or_default()).collect();
        let can = |what: &str| features.iter().any(|feature| feature.name == what);
        let capabilities = NumberCapabilities {
            sms: can("sms"),
            mms: can("mms"),
            voice: can("voice"),
        };
        let region_name = |kinds: &[&str]| {
            regions
                .iter()
                .find(|region| kinds.contains(&region.region_type.as_str()))
                .map(|region| region.region_name.clone())
        };
        let place: Vec<String> = [
            region_name(&["location", "locality", "rate_center"]),
            region_name(&["state"]),
        ]
        .into_iter()
        .flatten()
        .collect();
        let cost = self.cost_information.0.unwrap_or_default();
        Some(Offer {
            phone_number: self.phone_number.as_str().parse().ok()?,
            place: (!place.is_empty()).then(|| place.join(", ")),
            capabilities,
            monthly_price: cost.monthly_cost.0.map(|cost| cost.0),
            currency: cost.currency.into_some(),
        })
    }
}

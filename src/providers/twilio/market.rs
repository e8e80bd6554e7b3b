//! Numbers for sale, bought and given back.
//!
//! Twilio has no key that makes a repeated purchase harmless, and sells a number only once: whatever is not certain is looked up
//! in the list of our numbers.

use std::collections::HashMap;

use serde::Deserialize;

use super::RETRIES;
use super::api::Api;
use super::numbers::{Number, can, same};
use crate::phone::Phone;
use crate::providers::{
    Bought, Error, NumberCapabilities, Offer, RemoteNumber, Result, Route, Wanted, WebhookUrls,
};

/// As many offers of each kind as anybody reads.
const OFFERS: usize = 20;
const NORTH_AMERICA: [&str; 2] = ["US", "CA"];
const TOLL_FREE: [&str; 7] = ["800", "833", "844", "855", "866", "877", "888"];
/// Where Twilio keeps its own handlers of texts, drawn by hand.
const STUDIO: &str = "https://webhooks.twilio.com/";

#[derive(Deserialize)]
struct Offers {
    available_phone_numbers: Vec<Available>,
}

#[derive(Deserialize)]
struct Available {
    phone_number: String,
    locality: Option<String>,
    region: Option<String>,
    #[serde(default)]
    capabilities: HashMap<String, Option<bool>>,
}

#[derive(Deserialize)]
struct Owned {
    incoming_phone_numbers: Vec<Number>,
}

impl Api {
    pub async fn search(&self, wanted: &Wanted) -> Result<Vec<Offer>> {
        let mut offers = Vec::new();
        for kind in kinds(wanted) {
            let path = format!("/AvailablePhoneNumbers/{}/{kind}.json", wanted.country);
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(filters(wanted))
                .finish();
            let url = self.url(&format!("{path}?{query}"));
            match self.get::<Offers>(&url).await {
                Ok(found) => offers.extend(found.available_phone_numbers),
                // This country has none of this kind.
                Err(Error::Refused {
                    code: Some(code), ..
                }) if code == "20404" => {}
                Err(error) => return Err(error),
            }
        }
        Ok(offers
            .into_iter()
            .filter_map(Available::into_offer)
            .collect())
    }

    pub async fn buy(&self, number: &Phone, urls: &WebhookUrls) -> Result<Bought> {
        if let Some(ours) = self.owned(number).await? {
            return Ok(Bought::Ready(ours));
        }
        let webhook = format!("{}{RETRIES}", urls.inbound);
        let form = [
            ("PhoneNumber", number.as_str()),
            ("SmsUrl", webhook.as_str()),
            ("SmsMethod", "POST"),
        ];
        let asked = self
            .post::<Number>(&self.url("/IncomingPhoneNumbers.json"), &form)
            .await;
        let error = match asked.map(|bought| bought.into_remote(None)) {
            Ok(Some(bought)) => return Ok(Bought::Ready(bought)),
            Ok(None) => Error::Unreachable(String::new()),
            Err(error) => error,
        };
        // A lost answer, or somebody who asked for the same a moment before us: the list knows.
        match self.owned(number).await {
            Ok(Some(ours)) => Ok(Bought::Ready(ours)),
            Ok(None) if matches!(error, Error::Refused { .. }) => Err(error),
            Ok(None) | Err(_) => Err(Error::Unreachable(
                "Twilio did not say whether it sold this number. Try again in a moment: it is never bought twice."
                    .into(),
            )),
        }
    }

    /// The number, if it is in the account.
    async fn owned(&self, number: &Phone) -> Result<Option<RemoteNumber>> {
        let exactly: String = form_urlencoded::byte_serialize(number.as_str().as_bytes()).collect();
        let url = self.url(&format!("/IncomingPhoneNumbers.json?PhoneNumber={exactly}"));
        let found: Owned = self.get(&url).await?;
        let mut found = found.incoming_phone_numbers.into_iter();
        let ours = found.find(|one| one.phone_number == number.as_str());
        Ok(ours.and_then(|one| one.into_remote(None)))
    }

    pub async fn release(&self, provider_id: &str) -> Result<()> {
        let number = self.url(&format!("/IncomingPhoneNumbers/{provider_id}.json"));
        let mut answer = self.delete(&number).await;
        if !matches!(answer, Ok(()) | Err(Error::Refused { .. })) {
            // Whatever became of the first try, the second one ends in the same.
            answer = self.delete(&number).await;
        }
        match answer {
            Err(Error::Refused {
                code: Some(code), ..
            }) if code == "20404" => Ok(()),
            answer => answer,
        }
    }

    pub async fn route(&self, provider_id: &str, urls: &WebhookUrls) -> Result<Option<Route>> {
        let number = self.url(&format!("/IncomingPhoneNumbers/{provider_id}.json"));
        let number: Number = match self.get(&number).await {
            Ok(number) => number,
            Err(Error::Refused {
                code: Some(code), ..
            }) if code == "20404" => return Ok(None),
            Err(error) => return Err(error),
        };
        let service = self.service_of(&number.sid).await?;
        let inbound = match &service {
            Some(service) if !service.use_inbound_webhook_on_number => {
                service.inbound_request_url.clone()
            }
            _ => number.sms_url.clone(),
        };
        let inbound = inbound.filter(|url| !url.is_empty());
        let is_ours = inbound
            .as_deref()
            .is_some_and(|url| same(url, &urls.inbound));
        let by_service = service
            .as_ref()
            .filter(|service| !service.use_inbound_webhook_on_number && !is_ours)
            .map(|service| service.shadow().by);
        let by_studio = inbound
            .as_deref()
            .filter(|url| url.starts_with(STUDIO))
            .map(|_| "a Studio flow".to_owned());
        Ok(Some(Route {
            overridden_by: number
                .application()
                .map(|application| application.by)
                .or(by_service)
                .or(by_studio),
            is_ours,
            inbound,
            fallback: number.sms_fallback_url.filter(|url| !url.is_empty()),
            member_of: service.map(|service| service.shadow().by),
        }))
    }
}

/// In many countries only mobile numbers text, and toll-free ones have area codes of their own.
fn kinds(wanted: &Wanted) -> &'static [&'static str] {
    match wanted.area_code.as_deref() {
        Some(area) if is_north_american(wanted) && TOLL_FREE.contains(&area) => &["TollFree"],
        _ if wanted.country == "US" => &["Local"],
        _ => &["Local", "Mobile"],
    }
}

fn is_north_american(wanted: &Wanted) -> bool {
    NORTH_AMERICA.contains(&wanted.country.as_str())
}

fn filters(wanted: &Wanted) -> Vec<(&'static str, String)> {
    let mut filters = vec![
        ("SmsEnabled", "true".to_owned()),
        ("PageSize", OFFERS.to_string()),
    ];
    let (area, contains) = (wanted.area_code.clone(), wanted.contains.clone());
    match (area, contains) {
        (Some(area), contains) if is_north_american(wanted) => {
            filters.push(("AreaCode", area));
            filters.extend(contains.map(|contains| ("Contains", contains)));
        }
        // Elsewhere area codes are digits like any others, before the rest.
        (Some(area), Some(contains)) => filters.push(("Contains", format!("{area}%{contains}"))),
        (one, other) => filters.extend(one.or(other).map(|digits| ("Contains", digits))),
    }
    filters
}

impl Available {
    fn into_offer(self) -> Option<Offer> {
        let place: Vec<String> = [self.locality, self.region].into_iter().flatten().collect();
        Some(Offer {
            phone_number: self.phone_number.parse().ok()?,
            place: (!place.is_empty()).then(|| place.join(", ")),
            capabilities: NumberCapabilities {
                sms: can(&self.capabilities, "sms"),
                mms: can(&self.capabilities, "mms"),
                voice: can(&self.capabilities, "voice"),
            },
            monthly_price: None,
            currency: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(country: &str, area_code: &str, contains: &str) -> Wanted {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Wanted {
            country: country.into(),
            area_code: given(area_code),
            contains: given(contains),
        }
    }

    #[test]
    fn each_country_is_searched_by_its_own_kinds_and_filters() {
        let asked = |country, area, contains| {
            let wanted = wanted(country, area, contains);
            let filters = filters(&wanted).into_iter().skip(2);
            let filters: Vec<_> = filters
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            (kinds(&wanted).join("+"), filters.join("&"))
        };
        let said = |kinds: &str, filters: &str| (kinds.to_owned(), filters.to_owned());
        assert_eq!(
            asked("US", "510", "42"),
            said("Local", "AreaCode=510&Contains=42")
        );
        assert_eq!(asked("US", "888", ""), said("TollFree", "AreaCode=888"));
        assert_eq!(
            asked("DE", "30", "42"),
            said("Local+Mobile", "Contains=30%42")
        );
        assert_eq!(asked("GB", "", "42"), said("Local+Mobile", "Contains=42"));
        assert_eq!(asked("GB", "20", ""), said("Local+Mobile", "Contains=20"));
        assert_eq!(asked("SE", "", ""), said("Local+Mobile", ""));
    }
}

//! Search, purchase and release of numbers.
//!
//! Twilio has no idempotency keys, but sells a number only once: an uncertain purchase is looked up in the account's
//! numbers.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::RETRIES;
use super::api::Api;
use super::numbers::{Abilities, Number, can, same_url};
use crate::language::{Message, t};
use crate::phone::Phone;
use crate::providers::json::{Lenient, Text, readable};
use crate::providers::{
    Bought, Error, NumberCapabilities, NumberSearch, Offer, RemoteNumber, Result, Route,
    WebhookUrls,
};

const MAX_OFFERS: usize = 20;
/// Results to fetch if they are filtered here.
const MAX_CANDIDATES: usize = 1000;
const PATTERN_LENGTH: RangeInclusive<usize> = 2..=16;
const NORTH_AMERICA: [&str; 2] = ["US", "CA"];
const TOLL_FREE: [&str; 7] = ["800", "833", "844", "855", "866", "877", "888"];
/// Base URL of Studio flows, Twilio's own message handlers.
const STUDIO: &str = "https://webhooks.twilio.com/";

#[derive(Deserialize)]
struct Offers {
    available_phone_numbers: Vec<Lenient<Available>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Available {
    phone_number: Lenient<Text>,
    locality: Lenient<Text>,
    region: Lenient<Text>,
    capabilities: Lenient<Abilities>,
}

#[derive(Deserialize)]
struct Owned {
    incoming_phone_numbers: Vec<Lenient<Number>>,
}

impl Api {
    pub async fn search(&self, criteria: &NumberSearch) -> Result<Vec<Offer>> {
        let mut offers = Vec::new();
        for kind in kinds(criteria) {
            let path = format!("/AvailablePhoneNumbers/{}/{kind}.json", criteria.country);
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(filters(criteria))
                .finish();
            let url = self.url(&format!("{path}?{query}"));
            match self.get::<Offers>(&url).await {
                Ok(found) => offers.extend(readable(found.available_phone_numbers)),
                // The country has no numbers of this kind.
                Err(Error::Refused {
                    code: Some(code), ..
                }) if code == "20404" => {}
                Err(error) => return Err(error),
            }
        }
        Ok(offers
            .into_iter()
            .filter_map(Available::into_offer)
            .filter(|offer| matches_search(offer, criteria))
            .take(MAX_OFFERS * kinds(criteria).len())
            .collect())
    }

    pub async fn buy(&self, number: &Phone, urls: &WebhookUrls) -> Result<Bought> {
        if let Some(ours) = self.find_owned(number).await? {
            return Ok(Bought::Ready(ours));
        }
        let webhook = format!("{}{RETRIES}", urls.inbound);
        let form = [
            ("PhoneNumber", number.as_str()),
            ("SmsUrl", webhook.as_str()),
            ("SmsMethod", "POST"),
        ];
        let response = self
            .post::<Number>(&self.url("/IncomingPhoneNumbers.json"), &form)
            .await;
        let error = match response.map(|bought| bought.into_remote(None)) {
            Ok(Some(bought)) => return Ok(Bought::Ready(bought)),
            Ok(None) => Error::Unreachable(Message::verbatim("")),
            Err(error) => error,
        };
        // The response was lost, or a concurrent request bought it: the list decides.
        match self.find_owned(number).await {
            Ok(Some(ours)) => Ok(Bought::Ready(ours)),
            Ok(None) if matches!(error, Error::Refused { .. }) => Err(error),
            Ok(None) | Err(_) => Err(Error::Unreachable(t!(
                "Twilio didn’t confirm the purchase. Try again in a moment. A number is never bought twice."
            ))),
        }
    }

    async fn find_owned(&self, number: &Phone) -> Result<Option<RemoteNumber>> {
        let encoded: String = form_urlencoded::byte_serialize(number.as_str().as_bytes()).collect();
        let url = self.url(&format!("/IncomingPhoneNumbers.json?PhoneNumber={encoded}"));
        let found: Owned = self.get(&url).await?;
        let mut found = readable(found.incoming_phone_numbers);
        let ours = found.find(|one| one.phone_number.as_str() == number.as_str());
        Ok(ours.and_then(|one| one.into_remote(None)))
    }

    pub async fn release(&self, provider_id: &str) -> Result<()> {
        let number = self.url(&format!("/IncomingPhoneNumbers/{provider_id}.json"));
        let mut answer = self.delete(&number).await;
        if !matches!(answer, Ok(()) | Err(Error::Refused { .. })) {
            // Deleting is idempotent, so it is safe to repeat.
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
            Some(service) if !service.defers_to_numbers() => service.inbound_url(),
            _ => number.sms_url.some(),
        };
        let inbound = inbound.map(str::to_owned);
        let is_ours = inbound
            .as_deref()
            .is_some_and(|url| same_url(url, &urls.inbound));
        let by_service = service
            .as_ref()
            .filter(|service| !service.defers_to_numbers() && !is_ours)
            .map(|service| service.webhook_override().by);
        let by_studio = inbound
            .as_deref()
            .filter(|url| url.starts_with(STUDIO))
            .map(|_| t!("a Studio flow"));
        Ok(Some(Route {
            overridden_by: number
                .application()
                .map(|application| application.by)
                .or(by_service)
                .or(by_studio),
            is_ours,
            inbound,
            fallback: number.sms_fallback_url.into_some(),
            member_of: service.map(|service| service.webhook_override().by),
        }))
    }
}

/// In many countries only mobile numbers can text. Toll-free numbers have their own area codes.
fn kinds(criteria: &NumberSearch) -> &'static [&'static str] {
    match criteria.area_code.as_deref() {
        Some(area) if is_north_american(criteria) && TOLL_FREE.contains(&area) => &["TollFree"],
        _ if criteria.country == "US" => &["Local"],
        _ => &["Local", "Mobile"],
    }
}

fn is_north_american(criteria: &NumberSearch) -> bool {
    NORTH_AMERICA.contains(&criteria.country.as_str())
}

/// The query parameters. A pattern has 2 to 16 characters; a leading plus anchors it. `matches_search` filters the
/// rest.
fn filters(criteria: &NumberSearch) -> Vec<(&'static str, String)> {
    let mut filters = vec![("SmsEnabled", "true".to_owned())];
    let mut size = MAX_OFFERS;
    let contains = criteria
        .contains
        .as_ref()
        .filter(|digits| PATTERN_LENGTH.contains(&digits.len()));
    match (number_prefix(criteria), &criteria.area_code) {
        (None, Some(area)) => {
            filters.push(("AreaCode", area.clone()));
            filters.extend(contains.map(|digits| ("Contains", digits.clone())));
        }
        (Some(prefix), _) => {
            filters.push(("Contains", prefix));
            if criteria.contains.is_some() {
                size = MAX_CANDIDATES;
            }
        }
        (None, None) => filters.extend(contains.map(|digits| ("Contains", digits.clone()))),
    }
    if criteria.contains.is_some() && contains.is_none() {
        size = MAX_CANDIDATES;
    }
    filters.push(("PageSize", size.to_string()));
    filters
}

/// The prefix of the area's numbers: `+4930`. North America has a filter for area codes instead.
fn number_prefix(criteria: &NumberSearch) -> Option<String> {
    let region = criteria.country.parse().ok()?;
    let area = criteria
        .area_code
        .as_deref()
        .filter(|_| !is_north_american(criteria))?;
    Some(crate::phone::begins_with(area, &region))
}

fn matches_search(offer: &Offer, criteria: &NumberSearch) -> bool {
    let number = offer.phone_number.as_str();
    let begins = number_prefix(criteria).is_none_or(|prefix| number.starts_with(&prefix));
    let contains = criteria.contains.as_ref();
    begins && contains.is_none_or(|digits| number.contains(digits.as_str()))
}

impl Available {
    fn into_offer(self) -> Option<Offer> {
        let phone_number = self.phone_number.as_str().parse().ok()?;
        let place = [self.locality, self.region].into_iter();
        let place: Vec<String> = place.filter_map(Lenient::into_some).collect();
        Some(Offer {
            phone_number,
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
    use proptest::prelude::*;

    use super::*;

    fn criteria(country: &str, area_code: &str, contains: &str) -> NumberSearch {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        NumberSearch {
            country: country.into(),
            area_code: given(area_code),
            contains: given(contains),
        }
    }

    #[test]
    fn each_country_is_searched_by_its_own_kinds_and_filters() {
        let request = |country, area, contains| {
            let criteria = criteria(country, area, contains);
            let filters = filters(&criteria);
            let filters: Vec<_> = filters[1..]
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            (kinds(&criteria).join("+"), filters.join("&"))
        };
        let expected = |kinds: &str, filters: &str| (kinds.to_owned(), filters.to_owned());
        assert_eq!(
            request("US", "510", "42"),
            expected("Local", "AreaCode=510&Contains=42&PageSize=20")
        );
        assert_eq!(
            request("US", "888", ""),
            expected("TollFree", "AreaCode=888&PageSize=20")
        );
        let both = "Local+Mobile";
        assert_eq!(
            request("DE", "30", "42"),
            expected(both, "Contains=+4930&PageSize=1000")
        );
        assert_eq!(
            request("DE", "030", ""),
            expected(both, "Contains=+4930&PageSize=20")
        );
        assert_eq!(
            request("IT", "06", ""),
            expected(both, "Contains=+3906&PageSize=20")
        );
        assert_eq!(
            request("GB", "", "42"),
            expected(both, "Contains=42&PageSize=20")
        );
        assert_eq!(request("GB", "", "4"), expected(both, "PageSize=1000"));
        assert_eq!(request("SE", "", ""), expected(both, "PageSize=20"));
    }

    proptest! {
        #[test]
        fn a_pattern_is_one_that_twilio_takes(
            country in prop::sample::select(vec!["US", "CA", "DE", "GB", "IT", "MX", "KZ", "FI", "AU"]),
            area in "([0-9]{1,5})?",
            contains in "([0-9]{1,16})?",
        ) {
            let criteria = criteria(country, &area, &contains);
            for (_, pattern) in filters(&criteria).iter().filter(|(name, _)| *name == "Contains") {
                prop_assert!((2..=16).contains(&pattern.len()), "{}", pattern);
                let digits = pattern.strip_prefix('+').unwrap_or(pattern);
                prop_assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{}", pattern);
            }
        }
    }

    #[test]
    fn what_no_pattern_says_is_chosen_here() {
        let offer = |number: &str| Offer {
            phone_number: number.parse().unwrap(),
            place: None,
            capabilities: NumberCapabilities::default(),
            monthly_price: None,
            currency: None,
        };
        let criteria = criteria("DE", "30", "42");
        assert!(matches_search(&offer("+493012342"), &criteria));
        assert!(!matches_search(&offer("+493012345"), &criteria), "no 42");
        assert!(
            !matches_search(&offer("+494230123"), &criteria),
            "another area"
        );
    }
}

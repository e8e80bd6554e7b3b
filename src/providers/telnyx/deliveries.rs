//! Texts that were missed. Telnyx has no list of messages, but lists failed webhook deliveries with their payload.

use std::collections::HashSet;

use chrono::{DateTime, SecondsFormat, Utc};
use form_urlencoded::Serializer;
use serde::Deserialize;

use super::api::Api;
use super::messages::Message;
use super::webhooks;
use crate::phone::Address;
use crate::providers::json::{Lenient, Text};
use crate::providers::{Error, Inbound, ListedText, Result};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delivery {
    webhook: Lenient<Event>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    event_type: Lenient<Text>,
    occurred_at: Lenient<Text>,
    payload: Lenient<Message>,
}

impl Api {
    /// Texts whose webhook failed; `None` if the key lacks the permission.
    pub async fn missed(
        &self,
        number: &Address,
        since: DateTime<Utc>,
        account: &str,
    ) -> Result<Option<Vec<ListedText>>> {
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        let filter = Serializer::new(String::new())
            .append_pair("filter[status][eq]", "failed")
            .append_pair("filter[event_type]", "message.received")
            .append_pair("filter[started_at][gte]", &since)
            .finish();
        let deliveries = match self.all::<Delivery>("/webhook_deliveries", &filter).await {
            Err(Error::Refused {
                code: Some(code), ..
            }) if ["10005", "10010", "http_403", "http_404"].contains(&code.as_str()) => {
                return Ok(None);
            }
            deliveries => deliveries?,
        };
        let mut seen = HashSet::new();
        let mut missed: Vec<ListedText> = deliveries
            .into_iter()
            .filter_map(|one| one.webhook.0)
            .filter(|event| event.event_type.as_str() == "message.received")
            .filter_map(|event| listed(event, account))
            // Each attempt may be listed.
            .filter(|text| seen.insert(text.provider_sid.clone()))
            .filter(|listed| {
                listed.text.as_ref().is_none_or(|text| {
                    Address::canonical(text.to.as_str()) == Address::canonical(number.as_str())
                })
            })
            .collect();
        missed.sort_by_key(|text| text.at);
        Ok(Some(missed))
    }

    pub async fn completed(&self, listed: ListedText, account: &str) -> Result<Option<Inbound>> {
        if listed.text.is_some() {
            return Ok(listed.text);
        }
        let Some(message) = self.find_message(&listed.provider_sid).await? else {
            return Ok(None);
        };
        let at = message.received_time().or(listed.at);
        let text = webhooks::inbound(&message, account).ok();
        Ok(text.map(|text| Inbound { at, ..text }))
    }
}

/// The text as its webhook would have sent it; `None` without an id.
fn listed(event: Event, account: &str) -> Option<ListedText> {
    let message = event.payload.0?;
    let at = message.received_time().or_else(|| {
        let at = DateTime::parse_from_rfc3339(event.occurred_at.as_str()).ok()?;
        Some(at.to_utc())
    });
    let text = webhooks::inbound(&message, account).ok();
    let provider_sid = match &text {
        Some(text) => text.provider_sid.clone(),
        None => message.id()?.to_owned(),
    };
    Some(ListedText {
        provider_sid,
        at,
        is_whole: text.is_some(),
        text: text.map(|text| Inbound { at, ..text }),
    })
}

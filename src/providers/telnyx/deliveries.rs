//! What Telnyx could not deliver to us. It lists no messages, but the calls of its own that failed, with what they said: that
//! is just what we missed.

use chrono::{DateTime, SecondsFormat, Utc};
use form_urlencoded::Serializer;
use serde::Deserialize;

use super::api::Api;
use super::messages::Message;
use super::webhooks;
use crate::phone::Address;
use crate::providers::json::{Perhaps, Text};
use crate::providers::{Error, Inbound, Result};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delivery {
    webhook: Perhaps<Event>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    event_type: Perhaps<Text>,
    occurred_at: Perhaps<Text>,
    payload: Perhaps<Message>,
}

impl Api {
    /// `None`: this key may not look at them.
    pub async fn missed(
        &self,
        number: &Address,
        since: DateTime<Utc>,
        account: &str,
    ) -> Result<Option<Vec<Inbound>>> {
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
        let mut missed: Vec<Inbound> = Vec::new();
        for event in deliveries.into_iter().filter_map(|one| one.webhook.0) {
            // Each of its tries may be listed.
            let id = event.payload.0.as_ref().and_then(Message::id);
            let is_known = |text: &Inbound| Some(text.provider_sid.as_str()) == id;
            if event.event_type.as_str() != "message.received" || missed.iter().any(is_known) {
                continue;
            }
            if let Some(text) = self.text_of(event, account).await?
                && Address::canonical(text.to.as_str()) == Address::canonical(number.as_str())
            {
                missed.push(text);
            }
        }
        missed.sort_by_key(|text| text.at);
        Ok(Some(missed))
    }

    /// As its webhook would have told it; `None` for what is no text to us. Where the list tells an id and no more, the message
    /// itself is asked for.
    async fn text_of(&self, event: Event, account: &str) -> Result<Option<Inbound>> {
        let Some(message) = event.payload.0 else {
            return Ok(None);
        };
        let message = match webhooks::inbound(&message, account) {
            Ok(_) => message,
            Err(_) => match message.id() {
                Some(id) => match self.one(id).await? {
                    Some(message) => message,
                    None => return Ok(None),
                },
                None => return Ok(None),
            },
        };
        let at = message.came_at().or_else(|| {
            let at = DateTime::parse_from_rfc3339(event.occurred_at.as_str()).ok()?;
            Some(at.to_utc())
        });
        let text = webhooks::inbound(&message, account).ok();
        Ok(text.map(|text| Inbound { at, ..text }))
    }
}

//! The numbers of an account and their webhooks. A number has no webhook; its messaging profile has one, which several
//! numbers may share.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::api::Api;
use crate::language::{Message, t};
use crate::providers::json::{Lenient, Text};
use crate::providers::{
    Error, NumberCapabilities, RemoteNumber, Result, Webhook, WebhookOverride, WebhookUrls,
};

pub const NO_PROFILE: Message = t!(
    "This number has no messaging profile, so its texts aren’t sent anywhere. Assign one in \
     the Telnyx Portal under Numbers, then connect again."
);
/// The webhook version that is signed with Ed25519.
pub const VERSION: &str = "2";

/// Every field except id and number may be `null`.
#[derive(Deserialize)]
pub struct Number {
    pub id: String,
    pub phone_number: String,
    #[serde(default)]
    status: Lenient<Text>,
    #[serde(default)]
    connection_id: Lenient<Text>,
}

#[derive(Deserialize)]
pub struct Messaging {
    #[serde(default)]
    phone_number: Lenient<Text>,
    #[serde(default)]
    messaging_profile_id: Lenient<Text>,
    #[serde(default)]
    features: Lenient<Features>,
}

/// A missing feature is `null`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Features {
    sms: Option<IgnoredAny>,
    mms: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Profile {
    pub id: Lenient<Text>,
    name: Lenient<Text>,
    enabled: Lenient<bool>,
    pub webhook_url: Lenient<Text>,
    pub webhook_failover_url: Lenient<Text>,
    webhook_api_version: Lenient<Text>,
}

impl Api {
    pub async fn numbers(&self) -> Result<Vec<RemoteNumber>> {
        let active = "filter%5Bstatus%5D=active";
        let numbers: Vec<Number> = self.all("/phone_numbers", active).await?;
        let messaging: Vec<Messaging> = self.all("/phone_numbers/messaging", "").await?;
        let mut messaging: HashMap<String, Messaging> = messaging
            .into_iter()
            .map(|settings| (settings.phone_number.as_str().to_owned(), settings))
            .collect();
        Ok(numbers
            .into_iter()
            .filter(Number::is_active)
            .filter_map(|number| {
                let settings = messaging.remove(&number.phone_number);
                number.into_remote(settings)
            })
            .collect())
    }

    pub async fn configure_webhook(
        &self,
        number: &RemoteNumber,
        urls: &WebhookUrls,
    ) -> Result<Webhook> {
        // Read again: the number may have been moved since it was listed.
        let settings: Messaging = self
            .get(&format!("/phone_numbers/{}/messaging", number.provider_id))
            .await?;
        let Some(profile) = settings.profile() else {
            return Ok(Webhook::Overridden { by: NO_PROFILE });
        };
        let profile = format!("/messaging_profiles/{profile}");
        let found: Profile = self.get(&profile).await?;
        if let Some(by) = found.webhook_override() {
            return Ok(Webhook::Overridden { by });
        }
        if found.has_webhook(&urls.inbound) {
            return Ok(Webhook::Unchanged);
        }
        let change = json!({"webhook_url": urls.inbound, "webhook_api_version": VERSION});
        self.patch(&profile, &change).await?;
        let written: Profile = self.get(&profile).await?;
        if !written.has_webhook(&urls.inbound) {
            return Err(Error::Refused {
                code: None,
                text: t!("Telnyx didn’t save the webhook’s address. Is BASE_URL a public address?"),
            });
        }
        Ok(Webhook::Configured {
            previous: found.webhook_url.into_some(),
        })
    }
}

impl Api {
    /// Leaves a URL that was set by others in the meantime.
    pub async fn restore_webhook(
        &self,
        number: &RemoteNumber,
        urls: &WebhookUrls,
        previous: Option<&str>,
    ) -> Result<()> {
        let settings: Messaging = self
            .get(&format!("/phone_numbers/{}/messaging", number.provider_id))
            .await?;
        let Some(profile) = settings.profile() else {
            return Ok(());
        };
        let profile = format!("/messaging_profiles/{profile}");
        let found: Profile = self.get(&profile).await?;
        if found.webhook_url.as_str() == urls.inbound {
            let change = json!({"webhook_url": previous.unwrap_or_default()});
            self.patch(&profile, &change).await?;
        }
        Ok(())
    }
}

impl Number {
    /// Lists are filtered by status, so an entry without one is active.
    pub fn is_active(&self) -> bool {
        self.status.some().is_none_or(|status| status == "active")
    }

    /// `None` if the number is not in E.164.
    pub fn into_remote(self, settings: Option<Messaging>) -> Option<RemoteNumber> {
        let can = |feature: fn(&Features) -> &Option<IgnoredAny>| {
            let features = settings
                .as_ref()
                .and_then(|settings| settings.features.0.as_ref());
            features.is_some_and(|features| feature(features).is_some())
        };
        let profile = settings.as_ref().and_then(Messaging::profile);
        let (has_profile, shares) = (profile.is_some(), profile.unwrap_or_default().to_owned());
        Some(RemoteNumber {
            phone_number: self.phone_number.parse().ok()?,
            friendly_name: String::new(),
            provider_id: self.id,
            capabilities: NumberCapabilities {
                sms: can(|features| &features.sms),
                mms: can(|features| &features.mms),
                voice: self.connection_id.some().is_some(),
            },
            webhook_override: (!has_profile).then_some(WebhookOverride {
                by: NO_PROFILE,
                url: None,
            }),
            listed: None,
            // The profile's id; empty for all numbers without a profile.
            shares: Some(shares),
        })
    }
}

impl Messaging {
    pub fn profile(&self) -> Option<&str> {
        self.messaging_profile_id.some()
    }
}

impl Profile {
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Why our webhook would have no effect, or would break another application.
    pub fn webhook_override(&self) -> Option<Message> {
        let name = self.name();
        if self.enabled.0 == Some(false) {
            return Some(t!(
                "The messaging profile “{name}” is turned off. Turn it on in the Telnyx Portal, then connect again.",
                name = name,
            ));
        }
        let other = self.webhook_api_version.some().unwrap_or(VERSION);
        match self.webhook_url.some() {
            Some(url) if other != VERSION => Some(t!(
                "The messaging profile “{name}” is used by another application, {url}, with version \
                 {other} of the webhooks. Give the number its own messaging profile in the Telnyx \
                 Portal, then connect again.",
                name = name,
                url = url,
                other = other,
            )),
            _ => None,
        }
    }

    pub fn has_webhook(&self, url: &str) -> bool {
        let version = self.webhook_api_version.some().unwrap_or(VERSION);
        self.webhook_url.as_str() == url && version == VERSION
    }
}

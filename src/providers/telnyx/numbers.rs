//! The numbers of an account, and where Telnyx delivers their texts: a number has no webhook of its own, it belongs to a
//! messaging profile, and the profile has one.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::api::Api;
use crate::providers::{
    Error, NumberCapabilities, RemoteNumber, Result, Shadow, Webhook, WebhookUrls,
};

pub const NO_PROFILE: &str = "This number has no messaging profile, so its texts go nowhere. Give it one in the Telnyx Portal under \
     Numbers, and connect again.";
/// The format in which webhooks are signed with the account's key.
pub const VERSION: &str = "2";

#[derive(Deserialize)]
pub struct Number {
    pub id: String,
    pub phone_number: String,
    #[serde(default)]
    status: String,
    connection_id: Option<String>,
}

#[derive(Deserialize)]
pub struct Messaging {
    phone_number: String,
    messaging_profile_id: Option<String>,
    #[serde(default)]
    features: Features,
}

#[derive(Default, Deserialize)]
pub struct Features {
    sms: Option<IgnoredAny>,
    mms: Option<IgnoredAny>,
}

#[derive(Deserialize)]
pub struct Profile {
    #[serde(default)]
    pub name: String,
    #[serde(default = "yes")]
    enabled: bool,
    pub webhook_url: Option<String>,
    pub webhook_failover_url: Option<String>,
    webhook_api_version: Option<String>,
}

fn yes() -> bool {
    true
}

impl Api {
    pub async fn numbers(&self) -> Result<Vec<RemoteNumber>> {
        let active = "filter%5Bstatus%5D=active";
        let numbers: Vec<Number> = self.all("/phone_numbers", active).await?;
        let messaging: Vec<Messaging> = self.all("/phone_numbers/messaging", "").await?;
        let mut messaging: HashMap<String, Messaging> = messaging
            .into_iter()
            .map(|settings| (settings.phone_number.clone(), settings))
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
        // As it is now: the number may have been moved since it was listed.
        let settings: Messaging = self
            .get(&format!("/phone_numbers/{}/messaging", number.provider_id))
            .await?;
        let Some(profile) = settings.profile() else {
            return Ok(Webhook::Shadowed {
                by: NO_PROFILE.into(),
            });
        };
        let profile = format!("/messaging_profiles/{profile}");
        let found: Profile = self.get(&profile).await?;
        if let Some(by) = found.shadow() {
            return Ok(Webhook::Shadowed { by });
        }
        if found.delivers_to(&urls.inbound) {
            return Ok(Webhook::Unchanged);
        }
        let change = json!({"webhook_url": urls.inbound, "webhook_api_version": VERSION});
        self.patch(&profile, &change).await?;
        let written: Profile = self.get(&profile).await?;
        if !written.delivers_to(&urls.inbound) {
            return Err(Error::Refused {
                code: None,
                text: "Telnyx did not keep the webhook's address. Is BASE_URL a public address?"
                    .into(),
            });
        }
        Ok(Webhook::Configured {
            previous: found.webhook_url.filter(|url| !url.is_empty()),
        })
    }
}

impl Api {
    /// Whatever was set by somebody else since then stays.
    pub async fn restore_webhook(
        &self,
        provider_id: &str,
        urls: &WebhookUrls,
        previous: Option<&str>,
    ) -> Result<()> {
        let settings: Messaging = self
            .get(&format!("/phone_numbers/{provider_id}/messaging"))
            .await?;
        let Some(profile) = settings.profile() else {
            return Ok(());
        };
        let profile = format!("/messaging_profiles/{profile}");
        let found: Profile = self.get(&profile).await?;
        if found.webhook_url.as_deref() == Some(urls.inbound.as_str()) {
            let change = json!({"webhook_url": previous.unwrap_or_default()});
            self.patch(&profile, &change).await?;
        }
        Ok(())
    }
}

impl Number {
    pub fn is_active(&self) -> bool {
        self.status == "active"
    }

    /// `None` for a number that is not in E.164, which no text could name.
    pub fn into_remote(self, settings: Option<Messaging>) -> Option<RemoteNumber> {
        let can = |feature: fn(&Features) -> &Option<IgnoredAny>| {
            let settings = settings.as_ref();
            settings.is_some_and(|settings| feature(&settings.features).is_some())
        };
        let has_profile = settings
            .as_ref()
            .is_some_and(|settings| settings.profile().is_some());
        Some(RemoteNumber {
            phone_number: self.phone_number.parse().ok()?,
            friendly_name: String::new(),
            provider_id: self.id,
            capabilities: NumberCapabilities {
                sms: can(|features| &features.sms),
                mms: can(|features| &features.mms),
                voice: self.connection_id.is_some_and(|id| !id.is_empty()),
            },
            shadow: (!has_profile).then(|| Shadow {
                by: NO_PROFILE.into(),
                url: None,
            }),
        })
    }
}

impl Messaging {
    pub fn profile(&self) -> Option<&str> {
        self.messaging_profile_id
            .as_deref()
            .filter(|id| !id.is_empty())
    }
}

impl Profile {
    /// What keeps a webhook of ours from having an effect, or would be broken by it: in words.
    pub fn shadow(&self) -> Option<String> {
        let name = &self.name;
        if !self.enabled {
            return Some(format!(
                "The messaging profile “{name}” is switched off. Switch it on in the Telnyx Portal, and connect again."
            ));
        }
        let other = self.webhook_api_version.as_deref().unwrap_or(VERSION);
        match self.webhook_url.as_deref() {
            Some(url) if !url.is_empty() && other != VERSION => Some(format!(
                "The messaging profile “{name}” serves another application, {url}, in version {other} of the webhooks. Give \
                 the number a profile of its own in the Telnyx Portal, and connect again."
            )),
            _ => None,
        }
    }

    pub fn delivers_to(&self, url: &str) -> bool {
        let version = self.webhook_api_version.as_deref();
        self.webhook_url.as_deref() == Some(url) && version.is_none_or(|version| version == VERSION)
    }
}

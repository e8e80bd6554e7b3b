//! The numbers of an account and their webhooks.

use std::collections::HashMap;

use serde::Deserialize;

use super::RETRIES;
use super::api::{Api, Page};
use crate::language::t;
use crate::providers::json::{Lenient, Text, readable};
use crate::providers::{
    Error, ListedWebhook, NumberCapabilities, RemoteNumber, Result, Webhook, WebhookOverride,
    WebhookUrls,
};

/// Every field except `sid` may be `null`.
#[derive(Deserialize)]
pub struct Number {
    pub sid: String,
    #[serde(default)]
    pub phone_number: Lenient<Text>,
    #[serde(default)]
    friendly_name: Lenient<Text>,
    #[serde(default)]
    capabilities: Lenient<Abilities>,
    #[serde(default)]
    pub sms_url: Lenient<Text>,
    #[serde(default)]
    pub sms_fallback_url: Lenient<Text>,
    #[serde(default)]
    sms_method: Lenient<Text>,
    #[serde(default)]
    sms_application_sid: Lenient<Text>,
}

pub type Abilities = HashMap<String, Lenient<bool>>;

#[derive(Deserialize)]
pub struct NumbersPage {
    incoming_phone_numbers: Vec<Lenient<Number>>,
    #[serde(default)]
    next_page_uri: Lenient<Text>,
}

#[derive(Deserialize)]
pub struct Service {
    sid: String,
    #[serde(default)]
    friendly_name: Lenient<Text>,
    #[serde(default)]
    inbound_request_url: Lenient<Text>,
    #[serde(default)]
    use_inbound_webhook_on_number: Lenient<bool>,
}

#[derive(Deserialize)]
pub struct ServicesPage {
    services: Vec<Lenient<Service>>,
    #[serde(default)]
    meta: Lenient<Meta>,
}

#[derive(Deserialize)]
struct Member {
    sid: String,
}

#[derive(Deserialize)]
struct MembersPage {
    phone_numbers: Vec<Lenient<Member>>,
    #[serde(default)]
    meta: Lenient<Meta>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    next_page_url: Lenient<Text>,
}

impl Lenient<Meta> {
    fn next(self) -> Option<String> {
        self.0.and_then(|meta| meta.next_page_url.into_some())
    }
}

impl Page for NumbersPage {
    type Item = Number;
    fn into_parts(self) -> (Vec<Number>, Option<String>) {
        let numbers = readable(self.incoming_phone_numbers).collect();
        (numbers, self.next_page_uri.into_some())
    }
}

impl Page for ServicesPage {
    type Item = Service;
    fn into_parts(self) -> (Vec<Service>, Option<String>) {
        (readable(self.services).collect(), self.meta.next())
    }
}

impl Page for MembersPage {
    type Item = Member;
    fn into_parts(self) -> (Vec<Member>, Option<String>) {
        (readable(self.phone_numbers).collect(), self.meta.next())
    }
}

impl Api {
    pub async fn numbers(&self) -> Result<Vec<RemoteNumber>> {
        let account = &self.credentials.account_sid;
        let path = format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json?PageSize=200");
        let numbers = self.all::<NumbersPage>(&self.base, path).await?;
        let mut overrides = self.overrides().await?;
        Ok(numbers
            .into_iter()
            .filter_map(|number| {
                let webhook_override = number
                    .application()
                    .or_else(|| overrides.remove(&number.sid));
                number.into_remote(webhook_override)
            })
            .collect())
    }

    /// Messaging services that override the number's webhook, by the number's SID.
    async fn overrides(&self) -> Result<HashMap<String, WebhookOverride>> {
        let mut overrides = HashMap::new();
        for service in self.services().await? {
            if service.defers_to_numbers() {
                continue;
            }
            for member in self.members(&service).await? {
                overrides.insert(member.sid, service.webhook_override());
            }
        }
        Ok(overrides)
    }

    /// The messaging service of a number, whether or not it receives the number's texts.
    pub async fn service_of(&self, sid: &str) -> Result<Option<Service>> {
        for service in self.services().await? {
            let members = self.members(&service).await?;
            if members.iter().any(|member| member.sid == sid) {
                return Ok(Some(service));
            }
        }
        Ok(None)
    }

    async fn services(&self) -> Result<Vec<Service>> {
        let path = "/v1/Services?PageSize=100".to_owned();
        match self.all::<ServicesPage>(&self.messaging, path).await {
            // Not permitted or not available with these credentials: no services.
            Err(Error::Refused { .. }) => Ok(Vec::new()),
            answer => answer,
        }
    }

    async fn members(&self, service: &Service) -> Result<Vec<Member>> {
        let path = format!("/v1/Services/{}/PhoneNumbers?PageSize=200", service.sid);
        self.all::<MembersPage>(&self.messaging, path).await
    }

    pub async fn configure_webhook(
        &self,
        number: &RemoteNumber,
        urls: &WebhookUrls,
    ) -> Result<Webhook> {
        if let Some(webhook_override) = &number.webhook_override {
            return Ok(
                match webhook_override
                    .url
                    .as_deref()
                    .is_some_and(|url| same_url(url, &urls.inbound))
                {
                    true => Webhook::Unchanged,
                    false => Webhook::Overridden {
                        by: webhook_override.by.clone(),
                    },
                },
            );
        }
        let resource = self.number_url(&number.provider_id);
        let webhook_url = format!("{}{RETRIES}", urls.inbound);
        let before = match &number.listed {
            Some(listed) => listed.clone(),
            None => {
                let found: Number = self.get(&resource).await?;
                if let Some(application) = found.application() {
                    return Ok(Webhook::Overridden { by: application.by });
                }
                found.listed()
            }
        };
        if before.has_webhook(&webhook_url) {
            return Ok(Webhook::Unchanged);
        }
        let form = [("SmsUrl", webhook_url.as_str()), ("SmsMethod", "POST")];
        // The response is the updated number, so it needs no read-back.
        let written: Number = self.post(&resource, &form).await?;
        if let Some(application) = written.application() {
            return Ok(Webhook::Overridden { by: application.by });
        }
        if !written.listed().has_webhook(&webhook_url) {
            return Err(Error::Refused {
                code: None,
                text: t!("Twilio didn’t save the webhook’s address. Is BASE_URL a public address?"),
            });
        }
        Ok(Webhook::Configured {
            previous: before
                .url
                .filter(|url| !url.is_empty() && !same_url(url, &urls.inbound)),
        })
    }

    /// Leaves a URL that was set by others in the meantime.
    pub async fn restore_webhook(
        &self,
        number: &RemoteNumber,
        urls: &WebhookUrls,
        previous: Option<&str>,
    ) -> Result<()> {
        let resource = self.number_url(&number.provider_id);
        let now = match &number.listed {
            Some(listed) => listed.clone(),
            None => self.get::<Number>(&resource).await?.listed(),
        };
        let is_ours = |url: &str| same_url(url, &urls.inbound);
        if now.url.as_deref().is_some_and(is_ours) {
            let form = [("SmsUrl", previous.unwrap_or_default())];
            let _: Number = self.post(&resource, &form).await?;
        }
        Ok(())
    }

    fn number_url(&self, provider_id: &str) -> String {
        self.url(&format!("/IncomingPhoneNumbers/{provider_id}.json"))
    }
}

impl ListedWebhook {
    fn has_webhook(&self, url: &str) -> bool {
        self.url.as_deref() == Some(url) && self.is_post
    }
}

impl Number {
    fn listed(&self) -> ListedWebhook {
        let method = self.sms_method.some().unwrap_or("POST");
        ListedWebhook {
            url: self.sms_url.some().map(str::to_owned),
            is_post: method.eq_ignore_ascii_case("POST"),
        }
    }

    pub fn application(&self) -> Option<WebhookOverride> {
        let sid = self.sms_application_sid.some()?;
        Some(WebhookOverride {
            by: t!("the TwiML application {sid}", sid = sid),
            url: None,
        })
    }

    /// `None` if the number is not in E.164.
    pub fn into_remote(self, webhook_override: Option<WebhookOverride>) -> Option<RemoteNumber> {
        let phone_number = self.phone_number.as_str();
        let listed = self.listed();
        Some(RemoteNumber {
            phone_number: phone_number.parse().ok()?,
            friendly_name: self.friendly_name.some().unwrap_or(phone_number).to_owned(),
            capabilities: NumberCapabilities {
                sms: can(&self.capabilities, "sms"),
                mms: can(&self.capabilities, "mms"),
                voice: can(&self.capabilities, "voice"),
            },
            provider_id: self.sid,
            webhook_override,
            listed: Some(listed),
            shares: None,
        })
    }
}

impl Service {
    /// Whether its numbers' own webhooks receive the texts.
    pub fn defers_to_numbers(&self) -> bool {
        self.use_inbound_webhook_on_number.0.unwrap_or(false)
    }

    pub fn inbound_url(&self) -> Option<&str> {
        self.inbound_request_url.some()
    }

    pub fn webhook_override(&self) -> WebhookOverride {
        let sid = &self.sid;
        WebhookOverride {
            by: match self.friendly_name.some() {
                Some(name) => t!(
                    "the messaging service “{name}” ({sid})",
                    name = name,
                    sid = sid
                ),
                None => t!("the messaging service {sid}", sid = sid),
            },
            url: self.inbound_url().map(str::to_owned),
        }
    }
}

/// Twilio's keys are in upper case in some responses.
pub fn can(capabilities: &Lenient<Abilities>, what: &str) -> bool {
    let mut all = capabilities.0.iter().flatten();
    all.any(|(name, yes)| name.eq_ignore_ascii_case(what) && yes.0 == Some(true))
}

/// Whether two URLs are equal apart from the retry fragment.
pub fn same_url(url: &str, other: &str) -> bool {
    url.split('#').next() == other.split('#').next()
}

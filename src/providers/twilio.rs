//! Twilio: texts over its REST API, webhooks as signed forms.
//!
//! Twilio has no idempotency keys. So the URL for delivery reports identifies our message, and uncertain sends are
//! looked up, never repeated blindly.

mod api;
mod errors;
mod form;
mod market;
mod messages;
mod numbers;
mod signature;
mod usage;
mod webhooks;

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::*;
use api::Api;
use signature::Key;

pub const API: &str = "https://api.twilio.com";
const MESSAGING: &str = "https://messaging.twilio.com";

/// By default Twilio does not retry a webhook, so a text would be lost if we answer 500. This URL fragment requests
/// five retries. Twilio stores it, but neither sends nor signs it.
const RETRIES: &str = "#rc=5&rp=5xx,ct,rt";

pub struct Twilio {
    api: Api,
}

impl Twilio {
    pub fn open(
        http: reqwest::Client,
        base_url: &str,
        credentials: &str,
    ) -> Result<Self, InvalidCredentials> {
        let base_url = base_url.trim_end_matches('/');
        // A configured API host stands in for all of Twilio's hosts.
        let messaging = if base_url == API { MESSAGING } else { base_url };
        Ok(Self {
            api: Api {
                http,
                base: base_url.into(),
                messaging: messaging.into(),
                credentials: Credentials::parse(credentials)?,
            },
        })
    }

    fn secret(&self) -> &Credentials {
        &self.api.credentials
    }
}

impl Provider for Twilio {
    fn kind(&self) -> Kind {
        Kind::Twilio
    }

    fn account(&self) -> &str {
        &self.secret().account_sid
    }

    fn hint(&self) -> String {
        hint(self.secret().auth_token.expose_secret())
    }

    fn credentials(&self) -> SecretString {
        self.secret().to_json()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            idempotent_send: None,
            mms: true,
        }
    }

    fn reaches(&self, url: &str) -> bool {
        http::reaches(&self.api.base, url)
    }

    fn validate(&self) -> BoxFuture<'_, Result<Account>> {
        self.api.account().boxed()
    }

    fn list_numbers(&self) -> BoxFuture<'_, Result<Vec<RemoteNumber>>> {
        self.api.numbers().boxed()
    }

    fn configure_webhook<'a>(
        &'a self,
        number: &'a RemoteNumber,
        urls: &'a WebhookUrls,
    ) -> BoxFuture<'a, Result<Webhook>> {
        self.api.configure_webhook(number, urls).boxed()
    }

    fn restore_webhook<'a>(
        &'a self,
        number: &'a RemoteNumber,
        urls: &'a WebhookUrls,
        previous: Option<&'a str>,
    ) -> BoxFuture<'a, Result<()>> {
        self.api.restore_webhook(number, urls, previous).boxed()
    }

    fn search_numbers<'a>(
        &'a self,
        criteria: &'a NumberSearch,
    ) -> BoxFuture<'a, Result<Vec<Offer>>> {
        self.api.search(criteria).boxed()
    }

    fn buy_number<'a>(
        &'a self,
        number: &'a Phone,
        urls: &'a WebhookUrls,
    ) -> BoxFuture<'a, Result<Bought>> {
        self.api.buy(number, urls).boxed()
    }

    fn release_number<'a>(&'a self, provider_id: &'a str) -> BoxFuture<'a, Result<()>> {
        self.api.release(provider_id).boxed()
    }

    fn route<'a>(
        &'a self,
        provider_id: &'a str,
        urls: &'a WebhookUrls,
    ) -> BoxFuture<'a, Result<Option<Route>>> {
        self.api.route(provider_id, urls).boxed()
    }

    fn send<'a>(&'a self, text: &'a Outgoing) -> BoxFuture<'a, SendOutcome> {
        self.api.send(text).boxed()
    }

    fn lookup<'a>(&'a self, provider_sid: &'a str) -> BoxFuture<'a, Result<Option<RemoteMessage>>> {
        self.api.message(provider_sid).boxed()
    }

    fn find_sent<'a>(
        &'a self,
        text: &'a Outgoing,
        since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<SentLookup>> {
        self.api.find_sent(text, since).boxed()
    }

    fn received<'a>(
        &'a self,
        number: &'a Address,
        since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Option<Vec<ListedText>>>> {
        async move { self.api.received(number, since).await.map(Some) }.boxed()
    }

    fn completed<'a>(&'a self, listed: ListedText) -> BoxFuture<'a, Result<Option<Inbound>>> {
        self.api.completed(listed).boxed()
    }

    fn prices(&self, day: NaiveDate) -> BoxFuture<'_, Result<Option<Vec<Priced>>>> {
        async move { self.api.prices(day).await.map(Some) }.boxed()
    }

    fn usage(&self, day: NaiveDate) -> BoxFuture<'_, Result<Vec<Charge>>> {
        self.api.usage(day).boxed()
    }

    fn media_access(&self, url: &str, provider_sid: &str) -> Option<MediaAccess> {
        self.api.media_access(url, provider_sid)
    }

    fn verify(&self, request: &SignedRequest<'_>) -> bool {
        signature::verify(request, self.secret().webhook_key())
    }

    fn signature_mismatch(&self, request: &SignedRequest<'_>) -> SignatureMismatch {
        if !signature::is_signed(request) {
            return SignatureMismatch::Unsigned;
        }
        let is_valid = |url: &String| {
            let public_url = url.as_str();
            self.verify(&SignedRequest {
                public_url,
                ..*request
            })
        };
        let url = request.other_urls().into_iter().find(is_valid);
        url.map_or(
            SignatureMismatch::WrongCredentials,
            SignatureMismatch::OtherUrl,
        )
    }

    fn read(&self, hook: Hook, request: &SignedRequest<'_>) -> Result<WebhookEvent, Malformed> {
        match hook {
            Hook::Inbound => webhooks::parse_inbound(request).map(WebhookEvent::Text),
            Hook::Status => parse_status(request).map(WebhookEvent::Report),
        }
    }

    /// Twilio sends any other response body to the customer as a text.
    fn receipt(&self) -> Receipt {
        Receipt {
            content_type: "text/xml; charset=utf-8",
            body: r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#,
        }
    }
}

use crate::language::{Message, t};
pub use webhooks::{addressee, parse_status};

/// No `Debug`: holds secrets.
struct Credentials {
    account_sid: String,
    auth_token: SecretString,
    /// Set if the account signs webhooks with a key other than the auth token.
    shared_key: Option<SecretString>,
}

#[derive(Deserialize)]
struct RawCredentials {
    #[serde(default)]
    account_sid: String,
    #[serde(default)]
    auth_token: String,
    shared_key: Option<String>,
}

impl Credentials {
    fn parse(json: &str) -> Result<Self, InvalidCredentials> {
        let raw = serde_json::from_str::<RawCredentials>(json).unwrap_or(RawCredentials {
            account_sid: String::new(),
            auth_token: String::new(),
            shared_key: None,
        });
        let account_sid = raw.account_sid.trim();
        let auth_token = raw.auth_token.trim();
        let mistakes: Vec<FieldError> = [
            sid_mistake(account_sid).map(|message| ("account_sid", message)),
            token_mistake(auth_token).map(|message| ("auth_token", message)),
        ]
        .into_iter()
        .flatten()
        .map(|(field, message)| FieldError { field, message })
        .collect();
        if !mistakes.is_empty() {
            return Err(InvalidCredentials(mistakes));
        }
        Ok(Self {
            account_sid: account_sid.into(),
            auth_token: auth_token.into(),
            shared_key: raw.shared_key.map(SecretString::from),
        })
    }

    fn to_json(&self) -> SecretString {
        let mut json = json!({
            "account_sid": self.account_sid,
            "auth_token": self.auth_token.expose_secret(),
        });
        if let Some(key) = &self.shared_key {
            json["shared_key"] = key.expose_secret().into();
        }
        json.to_string().into()
    }

    fn webhook_key(&self) -> Key<'_> {
        let token = self.auth_token.expose_secret();
        match &self.shared_key {
            Some(key) => Key::SharedKey {
                key: key.expose_secret(),
                token,
            },
            None => Key::AuthToken(token),
        }
    }
}

fn sid_mistake(sid: &str) -> Option<Message> {
    if sid.is_empty() {
        return Some(t!(
            "Enter the Account SID. It’s on the first page of the Twilio Console."
        ));
    }
    if sid.starts_with("SK") {
        return Some(t!(
            "That’s an API key. Use the Account SID, which begins with AC."
        ));
    }
    let is_sid = sid
        .strip_prefix("AC")
        .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    (!is_sid).then(|| {
        t!("That isn’t an Account SID. It’s AC followed by 32 characters, 0 to 9 and a to f.")
    })
}

fn token_mistake(token: &str) -> Option<Message> {
    if token.is_empty() {
        return Some(t!(
            "Enter the Auth Token. It’s next to the Account SID in the Twilio Console."
        ));
    }
    let is_token = token.len() <= 256 && token.bytes().all(|byte| byte.is_ascii_graphic());
    (!is_token).then(|| t!("That isn’t an Auth Token. Copy it again from the Twilio Console."))
}

#[cfg(test)]
mod tests;

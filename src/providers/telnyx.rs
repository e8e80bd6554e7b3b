//! Telnyx: texts over its JSON API, webhooks signed with the account's Ed25519 key.
//!
//! Every send carries an idempotency key, which Telnyx keeps for a day: an uncertain send is repeated with the same
//! key. Telnyx has no list of messages to look it up in.

mod api;
mod deliveries;
mod errors;
mod market;
mod messages;
mod numbers;
mod signature;
mod usage;
mod webhooks;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDate, Utc};
use ed25519_dalek::VerifyingKey;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::*;
use api::Api;

use crate::clock;
use crate::language::{Message, t};

pub const API: &str = "https://api.telnyx.com";

/// Telnyx keeps an idempotency key for up to 24 hours; one hour of margin.
const IDEMPOTENCY_WINDOW: Duration = Duration::from_secs(23 * 3600);

pub struct Telnyx {
    api: Api,
    public_key: PublicKey,
}

impl Telnyx {
    pub fn open(
        http: reqwest::Client,
        base_url: &str,
        credentials: &str,
    ) -> Result<Self, InvalidCredentials> {
        let Credentials {
            api_key,
            public_key,
        } = Credentials::parse(credentials)?;
        Ok(Self {
            api: Api {
                http,
                base: base_url.trim_end_matches('/').into(),
                key: api_key,
            },
            public_key,
        })
    }
}

impl Provider for Telnyx {
    fn kind(&self) -> Kind {
        Kind::Telnyx
    }

    /// The API exposes no account id, so the public key identifies the account.
    fn account(&self) -> &str {
        &self.public_key.text
    }

    fn hint(&self) -> String {
        hint(self.api.key.expose_secret())
    }

    fn credentials(&self) -> SecretString {
        serde_json::json!({
            "api_key": self.api.key.expose_secret(),
            "public_key": self.public_key.text,
        })
        .to_string()
        .into()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            idempotent_send: Some(IDEMPOTENCY_WINDOW),
            mms: true,
        }
    }

    fn reaches(&self, url: &str) -> bool {
        http::reaches(&self.api.base, url)
    }

    fn validate(&self) -> BoxFuture<'_, Result<Account>> {
        async {
            self.api.check_key().await?;
            Ok(Account {
                id: self.public_key.text.clone(),
                name: Kind::Telnyx.name().into(),
                status: "active".into(),
                trial: false,
            })
        }
        .boxed()
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

    /// Detail records have no text, and do not include queued messages.
    fn find_sent<'a>(
        &'a self,
        _: &'a Outgoing,
        _: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<SentLookup>> {
        ready(Ok(SentLookup::Undetermined)).boxed()
    }

    /// Telnyx lists only texts whose webhook failed.
    fn received<'a>(
        &'a self,
        number: &'a Address,
        since: DateTime<Utc>,
    ) -> BoxFuture<'a, Result<Option<Vec<ListedText>>>> {
        self.api.missed(number, since, self.account()).boxed()
    }

    fn completed<'a>(&'a self, listed: ListedText) -> BoxFuture<'a, Result<Option<Inbound>>> {
        self.api.completed(listed, self.account()).boxed()
    }

    fn usage(&self, day: NaiveDate) -> BoxFuture<'_, Result<Vec<Charge>>> {
        self.api.usage(day).boxed()
    }

    /// Media URLs are public for 30 days, on hosts that Telnyx does not document.
    fn media_access(&self, url: &str, _: &str) -> Option<MediaAccess> {
        let url = Url::parse(url).ok()?;
        let is_public = url.scheme() == "https" && !media::is_internal(&url);
        let is_telnyx = Url::parse(&self.api.base).is_ok_and(|api| api.origin() == url.origin());
        (is_public || is_telnyx).then_some(MediaAccess::Open)
    }

    fn verify(&self, request: &SignedRequest<'_>) -> bool {
        signature::verify(request, &self.public_key.key, clock::now())
    }

    /// The URL is not signed, but the time is.
    fn signature_mismatch(&self, request: &SignedRequest<'_>) -> SignatureMismatch {
        match signature::mismatch(request, &self.public_key.key) {
            signature::SignatureRefusal::Unsigned => SignatureMismatch::Unsigned,
            signature::SignatureRefusal::OtherTime => SignatureMismatch::OtherTime,
            signature::SignatureRefusal::WrongKey => SignatureMismatch::WrongCredentials,
        }
    }

    /// Telnyx may send both kinds of events to either URL; the event has a type.
    fn read(&self, _: Hook, request: &SignedRequest<'_>) -> Result<WebhookEvent, Malformed> {
        webhooks::read(request, self.account())
    }
}

/// No `Debug`: holds secrets.
struct Credentials {
    api_key: SecretString,
    public_key: PublicKey,
}

struct PublicKey {
    text: String,
    key: VerifyingKey,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawCredentials {
    api_key: String,
    public_key: String,
}

impl Credentials {
    fn parse(json: &str) -> Result<Self, InvalidCredentials> {
        let raw = serde_json::from_str::<RawCredentials>(json).unwrap_or_default();
        let api_key = raw.api_key.trim();
        match (
            api_key_mistake(api_key),
            PublicKey::parse(raw.public_key.trim()),
        ) {
            (None, Ok(public_key)) => Ok(Self {
                api_key: api_key.into(),
                public_key,
            }),
            (api_key, public_key) => {
                let mistakes = [("api_key", api_key), ("public_key", public_key.err())];
                let errors = mistakes.into_iter().filter_map(|(field, mistake)| {
                    let message = mistake?;
                    Some(FieldError { field, message })
                });
                Err(InvalidCredentials(errors.collect()))
            }
        }
    }
}

impl PublicKey {
    fn parse(text: &str) -> Result<Self, Message> {
        if text.is_empty() {
            return Err(t!(
                "Enter the public key. It’s in the Telnyx Portal under API Keys, Public Key."
            ));
        }
        let bytes = STANDARD.decode(text).ok();
        bytes
            .and_then(|bytes| VerifyingKey::try_from(bytes.as_slice()).ok())
            .filter(|key| !key.is_weak())
            .map(|key| Self {
                text: text.into(),
                key,
            })
            .ok_or_else(|| t!("That isn’t a public key. It’s 44 characters ending with =, in the Telnyx Portal under API Keys, Public Key."))
    }
}

fn api_key_mistake(key: &str) -> Option<Message> {
    if key.is_empty() {
        return Some(t!(
            "Enter the API key. Create one in the Telnyx Portal under API Keys."
        ));
    }
    let is_key = key.len() <= 256 && key.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_key {
        return Some(t!(
            "That isn’t an API key. Copy it again from the Telnyx Portal."
        ));
    }
    PublicKey::parse(key)
        .is_ok()
        .then(|| t!("That’s the public key. API keys begin with KEY."))
}

#[cfg(test)]
mod tests;

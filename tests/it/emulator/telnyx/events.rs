//! Telnyx's webhook calls. Their signature is computed independently of the product, so that an error in its own code
//! is found.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey};
use reqwest::Response;
use serde_json::{Value, json};

use super::Telnyx;
use super::api::error;

/// An event before delivery. Tests can change every part of it.
pub struct Event {
    telnyx: Telnyx,
    url: String,
    key: SigningKey,
    json: Value,
    seconds_ago: i64,
    body: Option<Vec<u8>>,
    signature: Option<String>,
}

impl Telnyx {
    /// Delivers a text to the webhook of the profile of `to`.
    pub async fn text(&self, from: &str, to: &str, body: &str) -> Response {
        self.inbound_text(from, to, body).send().await
    }

    pub fn inbound_text(&self, from: &str, to: &str, body: &str) -> Event {
        let mut state = self.state();
        let (event, message) = (state.new_uuid(), state.new_uuid());
        let number = state.number(to).expect("Telnyx has this number");
        let (profile, account) = (number.profile.clone(), number.account);
        let pair = (profile.clone(), from.to_owned());
        let word = body.trim().to_ascii_uppercase();
        match word.as_str() {
            "STOP" => state.opted_out.insert(pair),
            "START" => state.opted_out.remove(&pair),
            _ => false,
        };
        let answered = ["STOP", "START", "HELP"]
            .contains(&word.as_str())
            .then_some(word);
        let mut profiles = state.profiles.iter();
        let profile = profiles.find(|one| one.id == profile);
        Event {
            telnyx: self.clone(),
            url: profile.map_or("", |profile| &profile.webhook_url).into(),
            key: state.accounts[account].signing_key.clone(),
            json: json!({"data": {
                "record_type": "event", "id": event, "event_type": "message.received",
                "occurred_at": "2026-11-20T10:00:00.000+00:00",
                "payload": {
                    "record_type": "message", "direction": "inbound", "id": message, "type": "SMS",
                    "from": {"phone_number": from, "carrier": "T-Mobile", "line_type": "Wireless"},
                    "to": [{"phone_number": to, "status": "webhook_delivered", "carrier": "Telnyx", "line_type": "Wireless"}],
                    "cc": [], "text": body, "media": [], "parts": 1, "encoding": "GSM-7", "autoresponse_type": answered,
                    "errors": [], "cost": {"amount": "0.0000", "currency": "USD"}, "tags": [],
                }},
                "meta": {"attempt": 1}}),
            seconds_ago: 0,
            body: None,
            signature: None,
        }
    }

    /// Reports one of our messages as `status`, at the webhook URL given with it.
    pub async fn reports(&self, id: &str, status: &str) -> Response {
        self.reporting(id, status, None).send().await
    }

    pub async fn reports_failure(&self, id: &str, status: &str, code: u32) -> Response {
        self.reporting(id, status, Some(code)).send().await
    }

    pub fn reporting(&self, id: &str, status: &str, code: Option<u32>) -> Event {
        let mut state = self.state();
        let event = state.new_uuid();
        let mut messages = state.messages.iter_mut();
        let message = messages.find(|message| message.id == id);
        let message = message.expect("Telnyx accepted this message");
        message.status = status.into();
        message.errors = code.into_iter().map(error).collect();
        let message = message.clone();
        let mut profiles = state.profiles.iter();
        let profile = profiles.find(|one| one.id == message.profile);
        let of_profile = profile.map(|profile| profile.webhook_url.clone());
        let event_type = if status == "sent" {
            "message.sent"
        } else {
            "message.finalized"
        };
        Event {
            telnyx: self.clone(),
            url: message
                .webhook_url
                .clone()
                .or(of_profile)
                .unwrap_or_default(),
            key: state.accounts[message.account].signing_key.clone(),
            json: json!({"data": {
                "record_type": "event", "id": event, "event_type": event_type,
                "occurred_at": "2026-11-20T10:00:05.000+00:00", "payload": message.json()},
                "meta": {"attempt": 1}}),
            seconds_ago: 0,
            body: None,
            signature: None,
        }
    }

    pub async fn delivers(&self, id: &str) {
        for status in ["sent", "delivered"] {
            self.reports(id, status).await;
        }
    }
}

impl Event {
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.json["data"]["payload"][field] = value;
        self
    }

    pub fn of_type(mut self, event_type: &str) -> Self {
        self.json["data"]["event_type"] = event_type.into();
        self
    }

    /// Sets the message id; equal ids mean a repeat.
    pub fn id(self, id: &str) -> Self {
        self.with("id", id.into())
    }

    pub fn media(self, urls: &[&str]) -> Self {
        let files: Vec<_> = urls
            .iter()
            .map(|url| json!({"url": url, "content_type": "image/jpeg", "size": 55219, "sha256": "0"}))
            .collect();
        self.with("type", "MMS".into()).with("media", files.into())
    }

    /// Removes our message id from the URL, as for a foreign message.
    pub fn without_our_id(mut self) -> Self {
        self.url
            .truncate(self.url.find('?').unwrap_or(self.url.len()));
        self
    }

    /// Sends to this URL instead of the configured one.
    pub fn at(mut self, url: &str) -> Self {
        self.url = url.into();
        self
    }

    /// Signs with a timestamp in the past; negative: in the future.
    pub fn signed_seconds_ago(mut self, seconds: i64) -> Self {
        self.seconds_ago = seconds;
        self
    }

    pub fn signed_by_somebody_else(mut self) -> Self {
        self.key = SigningKey::from_bytes(&[9; 32]);
        self
    }

    pub fn with_signature(mut self, signature: &str) -> Self {
        self.signature = Some(signature.into());
        self
    }

    /// Replaces the body by any bytes, which are signed.
    pub fn with_body(mut self, body: &[u8]) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Records the event as undelivered, this long ago.
    pub fn record_undelivered_ago(mut self, ago: chrono::TimeDelta) {
        let failed_at = chrono::Utc::now() - ago;
        self.json["data"]["payload"]["received_at"] = failed_at.to_rfc3339().into();
        let mut state = self.telnyx.state();
        let key = self.key.verifying_key();
        let mut accounts = state.accounts.iter();
        let account = accounts.position(|one| one.signing_key.verifying_key() == key);
        let event = self.json["data"].take();
        state.undelivered.push((account.unwrap(), failed_at, event));
    }

    pub async fn send(self) -> Response {
        self.tries().await.expect("the webhook answers")
    }

    /// Sends; fails if no server listens.
    pub async fn tries(self) -> reqwest::Result<Response> {
        assert!(!self.url.is_empty(), "no webhook is configured");
        let body = self
            .body
            .unwrap_or_else(|| self.json.to_string().into_bytes());
        let timestamp = (chrono::Utc::now().timestamp() - self.seconds_ago).to_string();
        let signed = [timestamp.as_bytes(), b"|", &body].concat();
        let signature = self
            .signature
            .unwrap_or_else(|| STANDARD.encode(self.key.sign(&signed).to_bytes()));
        let request = self.telnyx.http.post(&self.url).body(body);
        let request = request
            .header("content-type", "application/json")
            .header("telnyx-timestamp", timestamp)
            .header("telnyx-signature-ed25519", signature);
        request.send().await
    }
}

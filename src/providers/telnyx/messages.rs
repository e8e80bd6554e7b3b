//! Sending messages, and the message object of responses and events.

use chrono::{DateTime, Utc};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::api::{Api, Data, refusal};
use super::errors::{self, Problem};
use crate::providers::calls::MAX_ID_LENGTH;
use crate::providers::http::retry_after;
use crate::providers::json::{self, Figure, Lenient, Text};
use crate::providers::{
    Error, Outgoing, Price, Refusal, RemoteMessage, Result, SendOutcome, Status,
};

/// An inbound or outbound message. Missing and invalid fields are ignored, except for the id.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Message {
    id: Lenient<Text>,
    #[serde(rename = "type")]
    pub kind: Lenient<Text>,
    pub from: Lenient<Party>,
    pub to: Lenient<Vec<Lenient<Party>>>,
    pub text: Lenient<Text>,
    pub media: Lenient<Vec<Lenient<Media>>>,
    pub autoresponse_type: Lenient<Text>,
    parts: Lenient<u32>,
    cost: Lenient<Cost>,
    errors: Lenient<Vec<Lenient<Problem>>>,
    received_at: Lenient<Text>,
}

/// Sender or recipient. Each recipient has its own status.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Party {
    pub phone_number: Lenient<Text>,
    pub status: Lenient<Text>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Media {
    pub url: Lenient<Text>,
    pub content_type: Lenient<Text>,
}

#[derive(Deserialize)]
struct Cost {
    amount: Figure,
    currency: String,
}

/// Serialized in this order, so that a repeat is identical byte for byte.
#[derive(Serialize)]
struct Send<'a> {
    from: &'a str,
    to: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    media_urls: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_url: Option<String>,
}

impl Api {
    pub async fn send(&self, text: &Outgoing) -> SendOutcome {
        let request = self
            .http
            .post(self.url("/messages"))
            .header(CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", key(text))
            .body(body(text));
        match self.authenticated(request).send().await {
            Ok(response) => outcome(text, response).await,
            // DNS, TCP or TLS failed, so nothing was sent.
            Err(error) if error.is_connect() || error.is_builder() => {
                warn!(message.id = %text.our_id, ?error, "the request to Telnyx was not sent");
                SendOutcome::NotSent { retry_after: None }
            }
            Err(error) => {
                warn!(message.id = %text.our_id, ?error, "no response from Telnyx");
                SendOutcome::Unknown
            }
        }
    }

    /// Telnyx keeps messages for about ten days.
    pub async fn message(&self, id: &str) -> Result<Option<RemoteMessage>> {
        let message = self.find_message(id).await?;
        Ok(message.and_then(Message::into_remote))
    }

    pub async fn find_message(&self, id: &str) -> Result<Option<Message>> {
        if !is_id(id) {
            return Ok(None);
        }
        match self.get::<Message>(&format!("/messages/{id}")).await {
            Ok(message) => Ok(Some(message)),
            Err(Error::Refused {
                code: Some(code), ..
            }) if code == "10005" || code == "http_404" => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// One key per attempt. A new attempt after a definite failure must not be taken for a repeat; an uncertain attempt is
/// repeated with the same key.
fn key(text: &Outgoing) -> String {
    format!("{}:{}", text.our_id, text.attempt)
}

fn body(text: &Outgoing) -> Vec<u8> {
    let send = Send {
        from: text.from.as_str(),
        to: text.to.as_str(),
        text: &text.text,
        media_urls: &text.media,
        webhook_url: text.report_url(),
    };
    serde_json::to_vec(&send).expect("strings serialize to JSON")
}

async fn outcome(text: &Outgoing, response: Response) -> SendOutcome {
    let status = response.status();
    let retry_after = retry_after(&response);
    // After a server error the message may have been accepted.
    if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        let request = response.headers().get("x-request-id");
        warn!(message.id = %text.our_id, %status, ?request, "Telnyx failed, and may have accepted the message");
        return SendOutcome::Unknown;
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return SendOutcome::NotSent { retry_after };
    }
    let body = response.bytes().await;
    if status.is_success() {
        return match body {
            Ok(body) => accepted(&body),
            Err(_) => SendOutcome::Unknown,
        };
    }
    let refusal = refusal(status, &body.unwrap_or_default());
    if refusal.code == errors::TOO_MANY_REQUESTS {
        return SendOutcome::NotSent { retry_after };
    }
    // The same request is still in progress: an earlier response was lost.
    if status == StatusCode::CONFLICT && !errors::is_known(&refusal.code) {
        return SendOutcome::Unknown;
    }
    SendOutcome::Refused(refusal)
}

fn accepted(body: &[u8]) -> SendOutcome {
    // The id alone proves acceptance; other invalid fields must not make a sent message look unsent.
    let Ok(Data { data: message }) = json::read::<Data<Message>>(body) else {
        return SendOutcome::Unknown;
    };
    match message.id() {
        Some(id) => SendOutcome::Accepted {
            provider_sid: id.to_owned(),
            status: status(message.raw_status()).unwrap_or(Status::Queued),
            segments: message.segments(),
            price: message.price(),
        },
        None => SendOutcome::Unknown,
    }
}

impl Message {
    pub fn id(&self) -> Option<&str> {
        Some(self.id.as_str()).filter(|id| is_id(id))
    }

    /// Outbound messages have one recipient each.
    pub fn raw_status(&self) -> &str {
        let mut to = self.to.0.iter().flatten();
        let first = to.find_map(|party| party.0.as_ref());
        first.map_or("", |party| party.status.as_str())
    }

    pub fn segments(&self) -> Option<u32> {
        self.parts.0.filter(|&parts| parts > 0)
    }

    pub fn price(&self) -> Option<Price> {
        let Cost { amount, currency } = self.cost.0.as_ref()?;
        Price::read(&amount.0, currency)
    }

    /// Why it failed. A missing carrier receipt is no failure.
    pub fn refusal(&self) -> Option<Refusal> {
        let failed = !matches!(
            status(self.raw_status()),
            Some(
                Status::Scheduled
                    | Status::Queued
                    | Status::Sending
                    | Status::Sent
                    | Status::Delivered
                    | Status::Read
            )
        );
        let mut problems = self.errors.0.iter().flatten();
        let first = problems.find_map(|problem| problem.0.as_ref());
        first
            .filter(|_| failed)
            .map(|problem| errors::refusal(problem, None))
    }

    pub fn received_time(&self) -> Option<DateTime<Utc>> {
        let at = DateTime::parse_from_rfc3339(self.received_at.as_str()).ok()?;
        Some(at.to_utc())
    }

    fn into_remote(self) -> Option<RemoteMessage> {
        Some(RemoteMessage {
            provider_sid: self.id()?.to_owned(),
            status: status(self.raw_status()),
            raw_status: self.raw_status().to_owned(),
            error: self.refusal(),
            segments: self.segments(),
            price: self.price(),
            created_at: self.received_time(),
        })
    }
}

/// Checked because the id becomes part of a URL path.
fn is_id(id: &str) -> bool {
    (1..=MAX_ID_LENGTH).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

pub fn status(word: &str) -> Option<Status> {
    Some(match word {
        "scheduled" => Status::Scheduled,
        "queued" => Status::Queued,
        "sending" => Status::Sending,
        // Many routes end without a receipt from the carrier; this is no failure.
        "sent" | "delivery_unconfirmed" => Status::Sent,
        "delivered" => Status::Delivered,
        "delivery_failed" => Status::Undelivered,
        "sending_failed" | "expired" => Status::Failed,
        "cancelled" => Status::Canceled,
        "read" => Status::Read,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Outgoing {
        Outgoing {
            our_id: uuid::Uuid::from_u128(7),
            attempt: 2,
            from: "+16285550100".parse().unwrap(),
            to: "+14155550192".parse().unwrap(),
            text: "3:30 works".into(),
            media: Vec::new(),
            valid_for: None,
            status_url: Some("https://inbox.example/status".into()),
        }
    }

    #[test]
    fn repeat_is_identical_with_the_same_key() {
        assert_eq!(key(&text()), "00000000-0000-0000-0000-000000000007:2");
        let expected = r#"{"from":"+16285550100","to":"+14155550192","text":"3:30 works","webhook_url":"https://inbox.example/status?message=00000000-0000-0000-0000-000000000007&attempt=2"}"#;
        assert_eq!(String::from_utf8(body(&text())).unwrap(), expected);
        assert_eq!(body(&text()), body(&text()));
        let next = Outgoing {
            attempt: 3,
            ..text()
        };
        assert_ne!(key(&next), key(&text()));
    }

    #[test]
    fn media_without_text_and_reports() {
        let picture = Outgoing {
            text: String::new(),
            media: vec!["https://inbox.example/a".into()],
            status_url: None,
            ..text()
        };
        let expected = r#"{"from":"+16285550100","to":"+14155550192","media_urls":["https://inbox.example/a"]}"#;
        assert_eq!(String::from_utf8(body(&picture)).unwrap(), expected);
    }

    #[test]
    fn id_proves_acceptance() {
        let id = |data: &str| match accepted(format!(r#"{{"data":{data}}}"#).as_bytes()) {
            SendOutcome::Accepted {
                provider_sid,
                status,
                ..
            } => Some((provider_sid, status)),
            _ => None,
        };
        let queued = |id: &str| Some((id.to_owned(), Status::Queued));
        assert_eq!(id(r#"{"id":"0b7a-1"}"#), queued("0b7a-1"));
        assert_eq!(
            id(r#"{"id":"0b7a-1","to":7,"parts":"many","cost":[],"errors":null}"#),
            queued("0b7a-1")
        );
        assert_eq!(
            id(r#"{"id":"0b7a-1","to":[{"status":"waltzing"}]}"#),
            queued("0b7a-1")
        );
        assert_eq!(
            id(r#"{"id":"0b7a-1","to":[{"status":"sending"}]}"#),
            Some(("0b7a-1".into(), Status::Sending))
        );
        for unknown in [
            "{}",
            "null",
            r#"{"id":null}"#,
            r#"{"id":""}"#,
            r#"{"id":7}"#,
            r#"{"id":"a b"}"#,
        ] {
            assert_eq!(id(unknown), None, "{unknown}");
        }
        for unknown in ["", "{}", "<html>", r#"{"id":"0b7a-1"}"#] {
            assert_eq!(accepted(unknown.as_bytes()), SendOutcome::Unknown);
        }
    }

    #[test]
    fn parts_and_cost_come_with_the_response() {
        let answer = r#"{"data":{"id":"a","parts":2,"cost":{"amount":"0.0040","currency":"USD"},"to":[{"status":"queued"}]}}"#;
        let SendOutcome::Accepted {
            segments, price, ..
        } = accepted(answer.as_bytes())
        else {
            panic!("not accepted");
        };
        assert_eq!(segments, Some(2));
        let price = price.unwrap();
        assert_eq!(
            (price.amount.as_str(), price.currency.as_str()),
            ("0.0040", "USD")
        );
        for odd in [
            "",
            ".",
            "-1",
            "1e9",
            "1.2.3",
            "free",
            "000000000000000000001",
        ] {
            let answer = format!(r#"{{"cost":{{"amount":"{odd}","currency":"USD"}}}}"#);
            let message: Message = json::read(answer.as_bytes()).unwrap();
            assert_eq!(message.price(), None, "{odd}");
        }
    }

    #[test]
    fn every_telnyx_status_is_mapped() {
        for (theirs, ours) in [
            ("scheduled", Status::Scheduled),
            ("queued", Status::Queued),
            ("sending", Status::Sending),
            ("sent", Status::Sent),
            ("delivered", Status::Delivered),
            ("delivery_failed", Status::Undelivered),
            ("delivery_unconfirmed", Status::Sent),
            ("sending_failed", Status::Failed),
            ("expired", Status::Failed),
            ("cancelled", Status::Canceled),
            ("read", Status::Read),
        ] {
            assert_eq!(status(theirs), Some(ours), "{theirs}");
        }
        assert_eq!(status("webhook_delivered"), None);
    }
}

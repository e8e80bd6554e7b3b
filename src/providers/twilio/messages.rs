//! Sending messages, and looking them up.

use chrono::{DateTime, TimeDelta, Utc};
use form_urlencoded::Serializer;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use tracing::warn;

use super::api::{Api, Page, refusal};
use super::{RETRIES, errors};
use crate::phone::Address;
use crate::providers::calls::MAX_TEXT_LENGTH;
use crate::providers::http::retry_after;
use crate::providers::json::{self, Figure, Lenient, Text, readable};
use crate::providers::{
    Error, Inbound, ListedText, Outgoing, Price, Refusal, RemoteMedia, RemoteMessage, Result,
    SendOutcome, SentLookup, Status,
};

/// Twilio queues a message for at most ten hours.
const MAX_VALIDITY: u64 = 36_000;

/// Every field may be `null`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    pub(super) sid: Lenient<Text>,
    status: Lenient<Text>,
    body: Lenient<Text>,
    direction: Lenient<Text>,
    from: Lenient<Text>,
    num_segments: Lenient<Figure>,
    num_media: Lenient<Figure>,
    price: Lenient<Figure>,
    price_unit: Lenient<Text>,
    error_code: Lenient<Figure>,
    error_message: Lenient<Text>,
    date_created: Lenient<Text>,
}

#[derive(Deserialize)]
pub(super) struct Listed {
    messages: Vec<Lenient<Message>>,
    #[serde(default)]
    next_page_uri: Lenient<Text>,
}

impl Page for Listed {
    type Item = Message;
    fn into_parts(self) -> (Vec<Message>, Option<String>) {
        let messages = readable(self.messages).collect();
        (messages, self.next_page_uri.into_some())
    }
}

#[derive(Deserialize)]
struct MediaList {
    media_list: Vec<Lenient<MediaEntry>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MediaEntry {
    sid: Lenient<Text>,
    uri: Lenient<Text>,
    content_type: Lenient<Text>,
}

impl Api {
    pub async fn send(&self, text: &Outgoing) -> SendOutcome {
        let request = self.http.post(self.url("/Messages.json")).form(&form(text));
        match self.authenticated(request).send().await {
            Ok(response) => outcome(text, response).await,
            // DNS, TCP or TLS failed, so nothing was sent.
            Err(error) if error.is_connect() || error.is_builder() => {
                warn!(message.id = %text.our_id, ?error, "the request to Twilio was not sent");
                SendOutcome::NotSent { retry_after: None }
            }
            Err(error) => {
                warn!(message.id = %text.our_id, ?error, "no response from Twilio");
                SendOutcome::Unknown
            }
        }
    }

    pub async fn message(&self, sid: &str) -> Result<Option<RemoteMessage>> {
        if !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let found = self.get(&self.url(&format!("/Messages/{sid}.json"))).await;
        match found {
            Ok(message) => Ok(Message {
                sid: Lenient(Some(Text(sid.to_owned()))),
                ..message
            }
            .into_remote()),
            Err(Error::Refused {
                code: Some(code), ..
            }) if code == "20404" => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub async fn find_sent(&self, text: &Outgoing, since: DateTime<Utc>) -> Result<SentLookup> {
        // No date filter: it is undocumented whether it matches messages that are not sent yet.
        let query = Serializer::new(String::new())
            .append_pair("To", text.to.as_str())
            .append_pair("From", text.from.as_str())
            .append_pair("PageSize", "100")
            .finish();
        let listed: Listed = self
            .get(&self.url(&format!("/Messages.json?{query}")))
            .await?;
        // Twilio's timestamps are in whole seconds of its own clock.
        let earliest = since - TimeDelta::seconds(5);
        let mut found: Vec<RemoteMessage> = readable(listed.messages)
            // Listed newest first; within a second only the order tells.
            .rev()
            .filter(|message| message.matches(text))
            .filter_map(Message::into_remote)
            .filter(|message| message.created_at.is_none_or(|created| created >= earliest))
            .collect();
        found.sort_by_key(|message| message.created_at);
        Ok(SentLookup::Found(found))
    }

    /// Inbound texts of `number`, oldest first. Twilio filters by whole days (GMT); stops at the first page that
    /// reaches `since`.
    pub async fn received(
        &self,
        number: &Address,
        since: DateTime<Utc>,
    ) -> Result<Vec<ListedText>> {
        let query = Serializer::new(String::new())
            .append_pair("To", number.as_str())
            .append_pair("DateSent>", &since.format("%Y-%m-%d").to_string())
            .append_pair("PageSize", "1000")
            .finish();
        let account = &self.credentials.account_sid;
        let path = format!("/2010-04-01/Accounts/{account}/Messages.json?{query}");
        let reaches_since = |page: &[Message]| {
            let oldest = page.last().and_then(Message::received_time);
            oldest.is_some_and(|oldest| oldest < since)
        };
        let listed = self
            .all_until::<Listed>(&self.base, path, reaches_since)
            .await?;
        let listed = listed.into_iter().rev();
        Ok(listed
            .filter(|message| message.received_time().is_none_or(|at| at >= since))
            .filter_map(|message| self.listed(message, number))
            .collect())
    }

    /// The text as its webhook would have sent it, without media; `None` for an outbound message.
    fn listed(&self, message: Message, number: &Address) -> Option<ListedText> {
        let sid = message.sid.some()?.to_owned();
        if message.direction.as_str() != "inbound" {
            return None;
        }
        let has_media = !matches!(message.num_media.as_str(), "" | "0");
        let at = message.received_time();
        Some(ListedText {
            provider_sid: sid.clone(),
            at,
            text: Some(Inbound {
                provider_sid: sid,
                account: self.credentials.account_sid.clone(),
                from: Address::of_sender(message.from.as_str()),
                to: number.clone(),
                text: message
                    .body
                    .as_str()
                    .chars()
                    .take(MAX_TEXT_LENGTH)
                    .collect(),
                media: Vec::new(),
                opt_out: None,
                segments: message.num_segments.parse(),
                at,
            }),
            is_whole: !has_media,
        })
    }

    /// Adds the media. One call if there are any.
    pub async fn completed(&self, listed: ListedText) -> Result<Option<Inbound>> {
        let Some(mut text) = listed.text else {
            return Ok(None);
        };
        if !listed.is_whole {
            text.media = match self.media_of(&text.provider_sid).await {
                Ok(media) => media,
                // Deleted at Twilio; the text remains.
                Err(Error::Refused { .. }) => Vec::new(),
                Err(error) => return Err(error),
            };
        }
        Ok(Some(text))
    }

    async fn media_of(&self, sid: &str) -> Result<Vec<RemoteMedia>> {
        let folder = self.url(&format!("/Messages/{sid}/Media"));
        let list: MediaList = self.get(&format!("{folder}.json")).await?;
        let media = readable(list.media_list).filter_map(|entry| {
            let url = match entry.uri.some() {
                Some(uri) => format!("{}{}", self.base, uri.trim_end_matches(".json")),
                None => format!("{folder}/{}", entry.sid.some()?),
            };
            RemoteMedia::new(url, entry.content_type.into_some())
        });
        Ok(media.collect())
    }
}

fn form(text: &Outgoing) -> Vec<(&'static str, String)> {
    let mut form = vec![("To", text.to.to_string()), ("From", text.from.to_string())];
    if !text.text.is_empty() {
        form.push(("Body", text.text.clone()));
    }
    form.extend(text.media.iter().map(|url| ("MediaUrl", url.clone())));
    if let Some(url) = text.report_url() {
        form.push(("StatusCallback", url + RETRIES));
    }
    if let Some(valid_for) = text.valid_for {
        let seconds = valid_for.as_secs().clamp(1, MAX_VALIDITY);
        form.push(("ValidityPeriod", seconds.to_string()));
    }
    form
}

async fn outcome(text: &Outgoing, response: Response) -> SendOutcome {
    let status = response.status();
    let retry_after = retry_after(&response);
    // After a server error the message may have been accepted.
    if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        let request = response.headers().get("Twilio-Request-Id");
        warn!(message.id = %text.our_id, %status, ?request, "Twilio failed, and may have accepted the message");
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
    match refusal.code.as_str() {
        "20429" => SendOutcome::NotSent { retry_after },
        "20500" | "20503" => SendOutcome::Unknown,
        _ => SendOutcome::Refused(refusal),
    }
}

fn accepted(body: &[u8]) -> SendOutcome {
    // The SID alone proves acceptance; other invalid fields must not make a sent message look unsent.
    #[derive(Deserialize)]
    struct Proof {
        sid: String,
    }
    let Ok(Proof { sid }) = serde_json::from_slice(body) else {
        return SendOutcome::Unknown;
    };
    if !sid.starts_with("SM") && !sid.starts_with("MM") {
        return SendOutcome::Unknown;
    }
    let message = json::read::<Message>(body).unwrap_or_default();
    SendOutcome::Accepted {
        provider_sid: sid,
        status: status(message.status.as_str()).unwrap_or(Status::Queued),
        segments: message.segments(),
        price: message.price(),
    }
}

impl Message {
    /// The end of Twilio's timestamp second, so that a caught-up text sorts after those received live in it.
    fn received_time(&self) -> Option<DateTime<Utc>> {
        let second = parse_date(self.date_created.as_str())?;
        Some(second + TimeDelta::milliseconds(999))
    }

    /// Missing fields match, because a message that may be ours must not be sent again.
    fn matches(&self, text: &Outgoing) -> bool {
        let body = self.body.0.as_ref();
        matches!(self.direction.some(), None | Some("outbound-api"))
            && self.num_media.parse().unwrap_or(0) == text.media.len()
            && body.is_none_or(|body| is_text_of(&body.0, &text.text))
    }

    /// A messaging service reports 0 until the count is known.
    fn segments(&self) -> Option<u32> {
        self.num_segments.parse().filter(|&count| count > 0)
    }

    fn price(&self) -> Option<Price> {
        price(&self.price, &self.price_unit)
    }

    pub(super) fn into_remote(self) -> Option<RemoteMessage> {
        Some(RemoteMessage {
            provider_sid: self.sid.some()?.to_owned(),
            status: status(self.status.as_str()),
            raw_status: self.status.as_str().to_owned(),
            error: self.refusal(),
            segments: self.segments(),
            price: self.price(),
            created_at: parse_date(self.date_created.as_str()),
        })
    }

    fn refusal(&self) -> Option<Refusal> {
        let code = self.error_code.parse()?;
        Some(errors::refusal(code, self.error_message.some()))
    }
}

fn parse_date(date: &str) -> Option<DateTime<Utc>> {
    let date = DateTime::parse_from_rfc2822(date).ok()?;
    Some(date.to_utc())
}

/// Trial accounts get a sentence from Twilio before the text.
fn is_text_of(body: &str, text: &str) -> bool {
    body.trim()
        .strip_suffix(text.trim())
        .is_some_and(|before| before.is_empty() || before.contains("trial account"))
}

/// Twilio's prices are negative.
pub(super) fn price(amount: &Lenient<Figure>, currency: &Lenient<Text>) -> Option<Price> {
    Price::read(
        amount.as_str().trim_start_matches('-'),
        currency.some().unwrap_or("USD"),
    )
}

pub fn status(word: &str) -> Option<Status> {
    Some(match word {
        "scheduled" => Status::Scheduled,
        "accepted" | "queued" => Status::Queued,
        "sending" => Status::Sending,
        "sent" | "partially_delivered" => Status::Sent,
        "delivered" => Status::Delivered,
        "undelivered" => Status::Undelivered,
        "failed" => Status::Failed,
        "canceled" => Status::Canceled,
        "read" => Status::Read,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn report_url_names_the_message_and_keeps_its_query() {
        let mut text = Outgoing {
            our_id: uuid::Uuid::from_u128(7),
            attempt: 2,
            from: "+16285550100".parse().unwrap(),
            to: "+14155550192".parse().unwrap(),
            text: String::new(),
            media: vec![
                "https://inbox.example/a".into(),
                "https://inbox.example/b".into(),
            ],
            valid_for: None,
            status_url: Some("https://inbox.example/status?x=1".into()),
        };
        let named = "https://inbox.example/status?x=1&message=00000000-0000-0000-0000-000000000007\
                     &attempt=2#rc=5&rp=5xx,ct,rt";
        assert_eq!(
            form(&text)[2..],
            [
                ("MediaUrl", "https://inbox.example/a".to_owned()),
                ("MediaUrl", "https://inbox.example/b".to_owned()),
                ("StatusCallback", named.to_owned()),
            ]
        );
        text.status_url = None;
        text.media.clear();
        assert_eq!(form(&text).len(), 2);
    }

    #[test]
    fn validity_period_is_within_twilio_limits() {
        let mut text = Outgoing {
            our_id: uuid::Uuid::from_u128(7),
            attempt: 1,
            from: "+16285550100".parse().unwrap(),
            to: "+14155550192".parse().unwrap(),
            text: "Hi".into(),
            media: Vec::new(),
            valid_for: None,
            status_url: None,
        };
        for (seconds, expected) in [(0, "1"), (14_400, "14400"), (86_400, "36000")] {
            text.valid_for = Some(Duration::from_secs(seconds));
            let expected = ("ValidityPeriod", expected.to_owned());
            assert_eq!(form(&text).last(), Some(&expected));
        }
    }

    #[test]
    fn sid_proves_acceptance() {
        let sid = |body: &str| match accepted(body.as_bytes()) {
            SendOutcome::Accepted {
                provider_sid,
                status,
                ..
            } => Some((provider_sid, status)),
            _ => None,
        };
        let queued = |sid: &str| Some((sid.to_owned(), Status::Queued));
        assert_eq!(sid(r#"{"sid":"SM1"}"#), queued("SM1"));
        assert_eq!(
            sid(r#"{"sid":"MM1","status":7,"price":0.1}"#),
            queued("MM1")
        );
        assert_eq!(sid(r#"{"sid":"SM1","status":"waltzing"}"#), queued("SM1"));
        assert_eq!(sid(r#"{"sid":"SM1","status":"accepted"}"#), queued("SM1"));
        for unknown in ["", "{}", "<html>", r#"{"sid":null}"#, r#"{"sid":"AC1"}"#] {
            assert_eq!(sid(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn trial_prefix_is_accepted() {
        assert!(is_text_of("Sent from your Twilio trial account - ok", "ok"));
        assert!(is_text_of("ok", "ok"));
        assert!(is_text_of("ok", "ok\n"));
        assert!(!is_text_of("It is ok", "ok"));
        assert!(!is_text_of("okay", "ok"));
    }

    #[test]
    fn cost_is_a_positive_decimal() {
        let amount = Lenient(Some(Figure("-0.00750".into())));
        let cost = price(&amount, &Lenient(Some(Text("USD".into())))).unwrap();
        assert_eq!(
            (cost.amount.as_str(), cost.currency.as_str()),
            ("0.00750", "USD")
        );
    }

    #[test]
    fn every_twilio_status_is_mapped() {
        for (theirs, ours) in [
            ("accepted", Status::Queued),
            ("scheduled", Status::Scheduled),
            ("queued", Status::Queued),
            ("sending", Status::Sending),
            ("sent", Status::Sent),
            ("partially_delivered", Status::Sent),
            ("delivered", Status::Delivered),
            ("undelivered", Status::Undelivered),
            ("failed", Status::Failed),
            ("canceled", Status::Canceled),
            ("read", Status::Read),
        ] {
            assert_eq!(status(theirs), Some(ours), "{theirs}");
        }
        assert_eq!(status("received"), None);
    }
}

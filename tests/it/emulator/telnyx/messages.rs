//! Outbound messages, once per idempotency key, with Telnyx's synchronous validation.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::super::media::fetch;
use super::api::{Caller, page, problem};
use super::{Message, Telnyx};

pub fn router() -> Router<Telnyx> {
    Router::new()
        .route("/messages", post(send))
        .route("/messages/{message}", get(message))
        .route("/webhook_deliveries", get(deliveries))
}

async fn send(
    Caller(index): Caller,
    State(telnyx): State<Telnyx>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let key = headers.get("idempotency-key");
    let key = key.map(|key| key.to_str().unwrap_or("�").to_owned());
    let slot = key.clone().map(|key| (index, key));
    let pause = {
        let mut state = telnyx.state();
        if let Some(slot) = slot.clone() {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte);
            if !(1..=255).contains(&slot.1.len()) || !slot.1.bytes().all(allowed) {
                return problem(StatusCode::BAD_REQUEST, 10015);
            }
            match state.keys.get(&slot) {
                Some((stored_body, _)) if *stored_body != body => {
                    return problem(StatusCode::UNPROCESSABLE_ENTITY, 10041);
                }
                Some((_, None)) => return problem(StatusCode::CONFLICT, 10042),
                Some((_, Some(answer))) => return Json(answer.clone()).into_response(),
                None => state.keys.insert(slot, (body.to_vec(), None)),
            };
        }
        state.next_takes.take()
    };
    // Continues even if the client has disconnected.
    let task = tokio::spawn(async move {
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        let result = accept(&telnyx, index, key, &body).await;
        if let Some(slot) = slot {
            let mut state = telnyx.state();
            // Only successful responses are stored.
            match &result {
                Ok(answer) => state
                    .keys
                    .insert(slot, (body.to_vec(), Some(answer.clone()))),
                Err(_) => state.keys.remove(&slot),
            };
        }
        result
    });
    match task.await.unwrap() {
        Ok(answer) => Json(answer).into_response(),
        Err((status, code)) => problem(StatusCode::from_u16(status).unwrap(), code),
    }
}

async fn accept(
    telnyx: &Telnyx,
    index: usize,
    key: Option<String>,
    body: &[u8],
) -> Result<Value, (u16, u32)> {
    let request: Value = serde_json::from_slice(body).map_err(|_| (400, 10015))?;
    let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
    let media = request["media_urls"].as_array().into_iter().flatten();
    let message = Message {
        id: String::new(),
        account: index,
        profile: String::new(),
        from: text("from"),
        to: text("to"),
        text: text("text"),
        media: media
            .map(|url| url.as_str().unwrap_or_default().into())
            .collect(),
        webhook_url: request["webhook_url"].as_str().map(str::to_owned),
        status: "queued".into(),
        errors: Vec::new(),
        key,
    };
    let files = fetch(&message.media).await.ok_or((400, 40317))?;
    telnyx.state().fetched.extend(files);
    let (message, reports_first, on_accepted) = {
        let mut state = telnyx.state();
        let number = state.number(&message.from);
        let number = number.filter(|number| number.account == index);
        let profile = number
            .map(|number| number.profile.clone())
            .ok_or((400, 40305))?;
        let digits = message.to.strip_prefix('+').unwrap_or_default();
        let is_number = digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let checks = [
            (profile.is_empty(), (400, 40100)),
            (!is_number, (400, 40310)),
            (
                message.text.is_empty() && message.media.is_empty(),
                (422, 40316),
            ),
            (message.text.encode_utf16().count() > 1530, (400, 40328)),
            (
                state
                    .opted_out
                    .contains(&(profile.clone(), message.to.clone())),
                (409, 40300),
            ),
        ];
        if let Some((_, refusal)) = checks.into_iter().find(|(wrong, _)| *wrong) {
            return Err(refusal);
        }
        let id = state.new_uuid();
        let message = Message {
            id,
            profile,
            ..message
        };
        state.messages.push(message.clone());
        (message, state.reports_first, state.on_accepted.clone())
    };
    if let Some(on_accepted) = on_accepted {
        on_accepted(message.id.clone());
    }
    if reports_first {
        telnyx.delivers(&message.id).await;
    }
    Ok(json!({"data": message.json()}))
}

async fn message(
    Caller(index): Caller,
    State(telnyx): State<Telnyx>,
    Path(id): Path<String>,
) -> Response {
    let state = telnyx.state();
    let mut messages = state.messages.iter();
    let mut received = state.undelivered.iter();
    let received =
        received.find(|(owner, _, event)| *owner == index && event["payload"]["id"] == id.as_str());
    if let Some((_, _, event)) = received {
        return Json(json!({"data": event["payload"]})).into_response();
    }
    match messages.find(|message| message.id == id && message.account == index) {
        Some(message) => Json(json!({"data": message.json()})).into_response(),
        None => problem(StatusCode::NOT_FOUND, 10005),
    }
}

/// Supports only the server's query: failed deliveries of one event type since a time.
async fn deliveries(
    Caller(index): Caller,
    State(telnyx): State<Telnyx>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let parameter = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let found = pairs.find(|(field, _)| field == name);
        found
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let since: Result<chrono::DateTime<chrono::Utc>, _> =
        parameter("filter[started_at][gte]").parse();
    let (Ok(since), "failed", "message.received") = (
        since,
        &*parameter("filter[status][eq]"),
        &*parameter("filter[event_type]"),
    ) else {
        return problem(StatusCode::BAD_REQUEST, 10015);
    };
    let rows = {
        let state = telnyx.state();
        if state.hides_deliveries {
            return problem(StatusCode::FORBIDDEN, 10010);
        }
        let newest_first = state.undelivered.iter().rev();
        newest_first
            .filter(|(owner, failed_at, _)| *owner == index && *failed_at >= since)
            .map(|(_, failed_at, event)| {
                let mut event = event.clone();
                event["occurred_at"] = json!(failed_at.to_rfc3339());
                if state.hides_payloads {
                    event["payload"] = json!({"id": event["payload"]["id"]});
                }
                json!({"record_type": "webhook_delivery", "status": "failed", "started_at": failed_at.to_rfc3339(), "webhook": event})
            })
            .collect()
    };
    page(&telnyx, &query, rows)
}

impl Message {
    pub fn json(&self) -> Value {
        json!({
            "record_type": "message",
            "direction": "outbound",
            "id": self.id,
            "type": if self.media.is_empty() { "SMS" } else { "MMS" },
            "messaging_profile_id": self.profile,
            "from": {"phone_number": self.from, "carrier": "Telnyx", "line_type": "Wireless"},
            "to": [{"phone_number": self.to, "status": self.status, "carrier": "T-Mobile", "line_type": "Wireless"}],
            "cc": [],
            "text": self.text,
            "media": [],
            "webhook_url": self.webhook_url,
            "use_profile_webhooks": true,
            "encoding": "GSM-7",
            "parts": 1,
            "cost": {"amount": "0.0040", "currency": "USD"},
            "received_at": "2026-11-20T10:00:00.000+00:00",
            "errors": self.errors,
        })
    }
}

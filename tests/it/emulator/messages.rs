//! Outbound messages, with Twilio's synchronous validation.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Caller, Paging, page, problem};
use super::media::fetch;
use super::{Emulator, Message};

pub fn router() -> Router<Emulator> {
    Router::new()
        .route("/{account}/Messages.json", get(messages).post(send))
        .route("/{account}/Messages/{message}", get(message))
}

async fn send(caller: Caller, State(emulator): State<Emulator>, body: Bytes) -> Response {
    let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let all = |name: &str| -> Vec<String> {
        let fields = form.iter().filter(|(field, _)| field == name);
        fields.map(|(_, value)| value.clone()).collect()
    };
    let one = |name: &str| all(name).first().cloned().unwrap_or_default();
    let message = Message {
        sid: String::new(),
        account: caller.account,
        from: one("From"),
        to: one("To"),
        body: one("Body"),
        media: all("MediaUrl"),
        status_callback: all("StatusCallback").first().cloned(),
        validity: all("ValidityPeriod")
            .first()
            .map(|seconds| seconds.parse().unwrap_or(0)),
        status: "queued".into(),
        error_code: None,
        created_at: Utc::now(),
    };
    if let Some(code) = validation_error(&emulator, &message) {
        return problem(StatusCode::BAD_REQUEST, code);
    }
    match fetch(&message.media).await {
        Some(files) => emulator.state().fetched.extend(files),
        None => return problem(StatusCode::BAD_REQUEST, 21620),
    }
    let (message, delivers_by_itself, on_accepted) = {
        let mut state = emulator.state();
        let kind = if message.media.is_empty() { "SM" } else { "MM" };
        let sid = state.new_sid(kind);
        let message = Message { sid, ..message };
        state.messages.push(message.clone());
        (message, state.delivers_by_itself, state.on_accepted.clone())
    };
    if let Some(on_accepted) = on_accepted {
        on_accepted(message.sid.clone());
    }
    if delivers_by_itself {
        let (emulator, sid) = (emulator.clone(), message.sid.clone());
        tokio::spawn(async move {
            // The callback may arrive before the response; both orders are valid.
            tokio::time::sleep(Duration::from_millis(5)).await;
            emulator.delivers(&sid).await;
        });
    }
    (StatusCode::CREATED, Json(message.json())).into_response()
}

/// The error code of Twilio's synchronous validation.
fn validation_error(emulator: &Emulator, message: &Message) -> Option<u32> {
    let state = emulator.state();
    let account = state
        .accounts
        .iter()
        .find(|account| account.sid == message.account)?;
    let mut numbers = state.numbers.iter();
    let owns_sender = numbers
        .any(|number| number.account == message.account && number.phone_number == message.from);
    let digits = message.to.strip_prefix('+').unwrap_or_default();
    let is_number = digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let callback = message.status_callback.as_deref().map(reqwest::Url::parse);
    let pair = (message.to.clone(), message.from.clone());
    let checks = [
        (account.status != "active", 20005),
        (message.to.is_empty(), 21604),
        (message.from.is_empty(), 21603),
        (message.body.is_empty() && message.media.is_empty(), 21602),
        (message.body.encode_utf16().count() > 1600, 21617),
        (message.media.len() > 10, 21623),
        (
            message
                .validity
                .is_some_and(|seconds| !(1..=36_000).contains(&seconds)),
            21624,
        ),
        (callback.is_some_and(|url| url.is_err()), 21609),
        (!is_number, 21211),
        (message.to == message.from, 21266),
        (!owns_sender, 21606),
        (state.opted_out.contains(&pair), 21610),
    ];
    let (_, code) = checks.into_iter().find(|(wrong, _)| *wrong)?;
    Some(code)
}

#[derive(Deserialize)]
struct Filter {
    #[serde(rename = "To")]
    to: Option<String>,
    #[serde(rename = "From")]
    from: Option<String>,
    #[serde(rename = "DateSent")]
    day: Option<chrono::NaiveDate>,
    #[serde(rename = "DateSent>")]
    from_day: Option<chrono::NaiveDate>,
    #[serde(rename = "DateSent<")]
    until_day: Option<chrono::NaiveDate>,
}

async fn messages(
    caller: Caller,
    State(emulator): State<Emulator>,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
    RawQuery(query): RawQuery,
) -> Response {
    let rows = {
        let state = emulator.state();
        let listed = |message: &&Message| {
            let age = (Utc::now() - message.created_at)
                .to_std()
                .unwrap_or_default();
            !state.hides_sent && state.lists_after.is_none_or(|after| age >= after)
        };
        let sent = state.messages.iter().filter(listed);
        let mut all: Vec<&Message> = sent.chain(&state.received).collect();
        all.sort_by_key(|message| std::cmp::Reverse(message.created_at));
        let listed = all
            .into_iter()
            .filter(|message| message.account == caller.account)
            .filter(|message| filter.to.as_ref().is_none_or(|to| *to == message.to))
            .filter(|message| {
                filter
                    .day
                    .is_none_or(|day| day == message.created_at.date_naive())
            })
            .filter(|message| {
                let day = message.created_at.date_naive();
                filter.from_day.is_none_or(|from| day >= from)
                    && filter.until_day.is_none_or(|until| day <= until)
            })
            .filter(|message| {
                filter
                    .from
                    .as_ref()
                    .is_none_or(|from| *from == message.from)
            });
        listed.map(Message::json).collect()
    };
    let path = format!("/2010-04-01/Accounts/{}/Messages.json", caller.account);
    let (rows, next) = page(&emulator, &paging, rows, &path);
    // The link keeps the filters.
    let query = query.unwrap_or_default();
    let filters = query
        .split('&')
        .filter(|pair| !pair.starts_with("Page") && !pair.is_empty());
    let next = next.map(|link| filters.fold(link, |link, pair| format!("{link}&{pair}")));
    Json(json!({"messages": rows, "next_page_uri": next})).into_response()
}

async fn message(
    caller: Caller,
    State(emulator): State<Emulator>,
    Path((_, file)): Path<(String, String)>,
) -> Response {
    let sid = file.trim_end_matches(".json");
    let state = emulator.state();
    let mut messages = state.messages.iter();
    match messages.find(|one| one.sid == sid && one.account == caller.account) {
        Some(message) => Json(message.json()).into_response(),
        None => problem(StatusCode::NOT_FOUND, 20404),
    }
}

impl Message {
    fn json(&self) -> Value {
        let date = self.created_at.to_rfc2822();
        let is_final = ["delivered", "undelivered", "failed"].contains(&self.status.as_str());
        json!({
            "sid": self.sid,
            "account_sid": self.account,
            "from": self.from,
            "to": self.to,
            "body": self.body,
            "direction": if self.status == "received" { "inbound" } else { "outbound-api" },
            "status": self.status,
            "num_segments": "1",
            "num_media": self.media.len().to_string(),
            "price": is_final.then_some("-0.00750"),
            "price_unit": "USD",
            "error_code": self.error_code,
            "error_message": null,
            "date_created": date,
            "date_updated": date,
            "date_sent": is_final.then_some(&date),
        })
    }
}

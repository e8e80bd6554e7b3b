//! Twilio's REST API, as far as a texting product needs it.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Emulator, Failure, Message, Number, media};

pub fn router(emulator: Emulator) -> Router {
    let accounts = Router::new()
        .route("/{account}", get(account))
        .route("/{account}/IncomingPhoneNumbers.json", get(numbers))
        .route(
            "/{account}/IncomingPhoneNumbers/{number}",
            get(number).post(update_number),
        )
        .route("/{account}/Messages.json", get(messages).post(send))
        .route("/{account}/Messages/{message}", get(message))
        .merge(media::router());
    Router::new()
        .nest("/2010-04-01/Accounts", accounts)
        .route("/v1/Services", get(services))
        .route("/v1/Services/{service}/PhoneNumbers", get(members))
        .route("/cdn/{media}", get(media::bytes))
        .layer(middleware::from_fn_with_state(emulator.clone(), misbehave))
        .with_state(emulator)
}

async fn misbehave(State(emulator): State<Emulator>, request: Request, next: Next) -> Response {
    let failure = {
        let mut state = emulator.state();
        let call = format!("{} {}", request.method(), request.uri());
        state.calls.push(call);
        state.failures.pop_front()
    };
    // So that "after the request was read" is true for those who never answer.
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .unwrap_or_default();
    let request = Request::from_parts(parts, body.into());
    match failure {
        None => next.run(request).await,
        Some(Failure::Refuse { code, status }) => problem(status, code),
        Some(Failure::Busy { retry_after }) => {
            let mut response = problem(StatusCode::TOO_MANY_REQUESTS, 20429);
            if let Some(seconds) = retry_after {
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        Some(Failure::Status(status)) => (status, "<html>upstream</html>").into_response(),
        Some(Failure::AcceptThenStatus(status)) => {
            next.run(request).await;
            (status, "<html>upstream</html>").into_response()
        }
        Some(Failure::AcceptThenDrop) => {
            next.run(request).await;
            hang_up()
        }
        Some(Failure::AcceptThenHang) => {
            next.run(request).await;
            std::future::pending().await
        }
        Some(Failure::AcceptThenGarble) => {
            let status = next.run(request).await.status();
            (status, r#"{"sid": "SM0000"#).into_response()
        }
        Some(Failure::AcceptWithoutSid) => {
            let status = next.run(request).await.status();
            (status, Json(json!({"status": "queued"}))).into_response()
        }
        Some(Failure::Drop) => hang_up(),
        Some(Failure::Hang) => std::future::pending().await,
        Some(Failure::Slow(pause)) => {
            tokio::time::sleep(pause).await;
            next.run(request).await
        }
    }
}

/// Ends the connection's task, and with it the connection, without a word in the test's output.
fn hang_up() -> ! {
    std::panic::resume_unwind(Box::new("hung up"))
}

/// Who calls, by Basic auth. With a path that names an account, it must be the same.
pub struct Caller {
    pub account: String,
}

impl FromRequestParts<Emulator> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, emulator: &Emulator) -> Result<Self, Response> {
        let account = signed_in(parts, emulator);
        let account = account.ok_or_else(|| problem(StatusCode::UNAUTHORIZED, 20003))?;
        let path = parts.uri.path();
        // Within the nested router the prefix is gone.
        let named = path.split(['/', '.']).find(|part| part.starts_with("AC"));
        match named {
            Some(named) if named != account => Err(problem(StatusCode::UNAUTHORIZED, 20003)),
            _ => Ok(Self { account }),
        }
    }
}

fn signed_in(parts: &Parts, emulator: &Emulator) -> Option<String> {
    let header = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let decoded = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (sid, token) = decoded.split_once(':')?;
    let state = emulator.state();
    let mut accounts = state.accounts.iter();
    let account = accounts.find(|account| account.sid == sid && account.token == token)?;
    Some(account.sid.clone())
}

async fn account(caller: Caller, State(emulator): State<Emulator>) -> Response {
    let state = emulator.state();
    let mut accounts = state.accounts.iter();
    let account = accounts
        .find(|account| account.sid == caller.account)
        .unwrap();
    Json(json!({
        "sid": account.sid,
        "friendly_name": account.name,
        "status": account.status,
        "type": account.kind,
        "auth_token": account.token,
        "owner_account_sid": account.sid,
    }))
    .into_response()
}

#[derive(Deserialize)]
struct Paging {
    #[serde(rename = "PageSize", default = "fifty")]
    size: usize,
    #[serde(rename = "Page", default)]
    page: usize,
}

fn fifty() -> usize {
    50
}

/// One page of `rows`, and the link to the next one.
fn page(
    emulator: &Emulator,
    paging: &Paging,
    rows: Vec<Value>,
    path: &str,
) -> (Vec<Value>, Option<String>) {
    let (most, repeats) = {
        let state = emulator.state();
        (state.page_size.unwrap_or(1000), state.repeats_pages)
    };
    let size = paging.size.clamp(1, most);
    let start = paging.page * size;
    let next = if repeats {
        paging.page
    } else {
        paging.page + 1
    };
    let link = (rows.len() > next * size || repeats)
        .then(|| format!("{path}?PageSize={size}&Page={next}&PageToken=PA{next}"));
    (rows.into_iter().skip(start).take(size).collect(), link)
}

async fn numbers(
    caller: Caller,
    State(emulator): State<Emulator>,
    Query(paging): Query<Paging>,
) -> Response {
    let rows = {
        let state = emulator.state();
        let numbers = state.numbers.iter();
        let mine = numbers.filter(|number| number.account == caller.account);
        mine.map(Number::json).collect()
    };
    let path = format!(
        "/2010-04-01/Accounts/{}/IncomingPhoneNumbers.json",
        caller.account
    );
    let (rows, next) = page(&emulator, &paging, rows, &path);
    Json(json!({"incoming_phone_numbers": rows, "next_page_uri": next, "uri": path}))
        .into_response()
}

async fn number(
    caller: Caller,
    State(emulator): State<Emulator>,
    Path((_, file)): Path<(String, String)>,
) -> Response {
    with_number(&emulator, &caller, &file, |_| {})
}

async fn update_number(
    caller: Caller,
    State(emulator): State<Emulator>,
    Path((_, file)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    with_number(&emulator, &caller, &file, |number| {
        for (name, value) in form_urlencoded::parse(&body) {
            match name.as_ref() {
                "SmsUrl" => number.sms_url = value.into_owned(),
                "SmsMethod" => number.sms_method = value.into_owned(),
                _ => {}
            }
        }
    })
}

fn with_number(
    emulator: &Emulator,
    caller: &Caller,
    file: &str,
    change: impl FnOnce(&mut Number),
) -> Response {
    let sid = file.trim_end_matches(".json");
    let mut state = emulator.state();
    let mut numbers = state.numbers.iter_mut();
    let Some(number) = numbers.find(|one| one.sid == sid && one.account == caller.account) else {
        return problem(StatusCode::NOT_FOUND, 20404);
    };
    change(number);
    Json(number.json()).into_response()
}

async fn services(
    caller: Caller,
    State(emulator): State<Emulator>,
    Query(paging): Query<Paging>,
) -> Response {
    let rows = {
        let state = emulator.state();
        let services = state.services.iter();
        let mine = services.filter(|service| service.account == caller.account);
        mine.map(|service| {
            json!({
                "sid": service.sid,
                "friendly_name": service.name,
                "inbound_request_url": service.inbound_url,
                "use_inbound_webhook_on_number": service.defers_to_numbers,
            })
        })
        .collect()
    };
    let (rows, next) = page(&emulator, &paging, rows, "/v1/Services");
    let next = next.map(|link| format!("{}{link}", emulator.url()));
    Json(json!({"services": rows, "meta": {"key": "services", "next_page_url": next}}))
        .into_response()
}

async fn members(
    caller: Caller,
    State(emulator): State<Emulator>,
    Path(sid): Path<String>,
    Query(paging): Query<Paging>,
) -> Response {
    let rows = {
        let state = emulator.state();
        let mut services = state.services.iter();
        let service = services.find(|one| one.sid == sid && one.account == caller.account);
        let Some(service) = service else {
            return problem(StatusCode::NOT_FOUND, 20404);
        };
        let numbers = state.numbers.iter();
        let members = numbers.filter(|number| service.numbers.contains(&number.phone_number));
        members
            .map(|number| json!({"sid": number.sid, "phone_number": number.phone_number}))
            .collect()
    };
    let path = format!("/v1/Services/{sid}/PhoneNumbers");
    let (rows, next) = page(&emulator, &paging, rows, &path);
    let next = next.map(|link| format!("{}{link}", emulator.url()));
    Json(json!({"phone_numbers": rows, "meta": {"key": "phone_numbers", "next_page_url": next}}))
        .into_response()
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
        status: "queued".into(),
        error_code: None,
        created_at: Utc::now(),
    };
    if let Some(code) = mistake(&emulator, &message) {
        return problem(StatusCode::BAD_REQUEST, code);
    }
    let (message, delivers_by_itself) = {
        let mut state = emulator.state();
        let kind = if message.media.is_empty() { "SM" } else { "MM" };
        let sid = state.new_sid(kind);
        let message = Message { sid, ..message };
        state.messages.push(message.clone());
        (message, state.delivers_by_itself)
    };
    if delivers_by_itself {
        let (emulator, sid) = (emulator.clone(), message.sid.clone());
        tokio::spawn(async move {
            // The callback may well be faster than the answer; both orders are right.
            tokio::time::sleep(Duration::from_millis(5)).await;
            emulator.delivers(&sid).await;
        });
    }
    (StatusCode::CREATED, Json(message.json())).into_response()
}

/// What Twilio would refuse at once.
fn mistake(emulator: &Emulator, message: &Message) -> Option<u32> {
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
        (callback.is_some_and(|url| url.is_err()), 21609),
        (!is_number, 21211),
        (message.to == message.from, 21266),
        (!owns_sender, 21606),
        (state.opted_out.contains(&pair), 21610),
    ];
    let mistake = checks.into_iter().find(|(wrong, _)| *wrong)?;
    Some(mistake.1)
}

#[derive(Deserialize)]
struct Filter {
    #[serde(rename = "To")]
    to: Option<String>,
    #[serde(rename = "From")]
    from: Option<String>,
}

async fn messages(
    caller: Caller,
    State(emulator): State<Emulator>,
    Query(paging): Query<Paging>,
    Query(filter): Query<Filter>,
) -> Response {
    let rows = {
        let state = emulator.state();
        let messages = state.messages.iter().rev();
        let listed = messages
            .filter(|_| !state.hides_sent)
            .filter(|message| message.account == caller.account)
            .filter(|message| filter.to.as_ref().is_none_or(|to| *to == message.to))
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

pub fn problem(status: StatusCode, code: u32) -> Response {
    let problem = json!({
        "code": code,
        "message": format!("Twilio's own words about {code}"),
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": status.as_u16(),
    });
    (status, Json(problem)).into_response()
}

impl Number {
    fn json(&self) -> Value {
        json!({
            "sid": self.sid,
            "account_sid": self.account,
            "phone_number": self.phone_number,
            "friendly_name": self.phone_number,
            "capabilities": {"voice": true, "SMS": true, "mms": true, "fax": false},
            "sms_url": self.sms_url,
            "sms_method": self.sms_method,
            "sms_application_sid": self.sms_application_sid.clone().unwrap_or_default(),
            "status": "in-use",
        })
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
            "direction": "outbound-api",
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

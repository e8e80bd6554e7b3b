//! Numbers and their messaging services.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::api::{Caller, Paging, page, problem};
use super::{Emulator, Number};

pub fn router() -> Router<Emulator> {
    Router::new()
        .route(
            "/{account}/IncomingPhoneNumbers.json",
            get(numbers).post(buy),
        )
        .route(
            "/{account}/IncomingPhoneNumbers/{number}",
            get(number).post(update_number).delete(release),
        )
        .route(
            "/{account}/AvailablePhoneNumbers/{country}/{kind}",
            get(available),
        )
}

pub fn services_router() -> Router<Emulator> {
    Router::new()
        .route("/", get(services))
        .route("/{service}/PhoneNumbers", get(members))
}

async fn numbers(
    caller: Caller,
    State(emulator): State<Emulator>,
    Query(paging): Query<Paging>,
    Query(filters): Query<HashMap<String, String>>,
) -> Response {
    let part = filters.get("PhoneNumber").cloned().unwrap_or_default();
    let rows = {
        let state = emulator.state();
        let numbers = state.numbers.iter();
        let mine = numbers.filter(|number| number.account == caller.account);
        mine.filter(|number| number.phone_number.contains(&part))
            .map(Number::json)
            .collect()
    };
    let path = format!(
        "/2010-04-01/Accounts/{}/IncomingPhoneNumbers.json",
        caller.account
    );
    let (rows, next) = page(&emulator, &paging, rows, &path);
    Json(json!({"incoming_phone_numbers": rows, "next_page_uri": next, "uri": path}))
        .into_response()
}

/// A sold number cannot be bought again.
async fn buy(caller: Caller, State(emulator): State<Emulator>, body: Bytes) -> Response {
    let form: HashMap<_, _> = form_urlencoded::parse(&body).into_owned().collect();
    let mut state = emulator.state();
    let phone_number = &form["PhoneNumber"];
    let mut for_sale = state.for_sale.iter();
    let Some(place) = for_sale.position(|one| &one.phone_number == phone_number) else {
        return problem(StatusCode::BAD_REQUEST, 21422);
    };
    let sold = state.for_sale.remove(place);
    let number = Number {
        sid: state.new_sid("PN"),
        account: caller.account,
        phone_number: sold.phone_number,
        sms_url: form.get("SmsUrl").cloned().unwrap_or_default(),
        mms: true,
        ..Number::default()
    };
    let number_json = number.json();
    state.numbers.push(number);
    (StatusCode::CREATED, Json(number_json)).into_response()
}

async fn release(
    caller: Caller,
    State(emulator): State<Emulator>,
    Path((_, file)): Path<(String, String)>,
) -> Response {
    let sid = file.trim_end_matches(".json");
    let mut state = emulator.state();
    let before = state.numbers.len();
    state
        .numbers
        .retain(|one| one.sid != sid || one.account != caller.account);
    match state.numbers.len() < before {
        true => StatusCode::NO_CONTENT.into_response(),
        false => problem(StatusCode::NOT_FOUND, 20404),
    }
}

async fn available(
    _: Caller,
    State(emulator): State<Emulator>,
    Path((_, country, file)): Path<(String, String, String)>,
    Query(filters): Query<HashMap<String, String>>,
) -> Response {
    let kind = file.trim_end_matches(".json");
    let filter = |name: &str| filters.get(name).cloned().unwrap_or_default();
    let (area, contains) = (filter("AreaCode"), filter("Contains"));
    // 2 to 16 characters; a plus is allowed at the start only and matches the start of the number.
    let pattern = contains.strip_prefix('+').unwrap_or(&contains);
    let is_pattern = (2..=16).contains(&contains.len())
        && pattern
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'*');
    if !contains.is_empty() && !is_pattern {
        return problem(StatusCode::BAD_REQUEST, 20422);
    }
    let size = filter("PageSize").parse().unwrap_or(50);
    let state = emulator.state();
    let offers = state.for_sale.iter().filter(|one| {
        let number = &one.phone_number;
        (one.country, one.kind) == (country.as_str(), kind)
            && number[2..].starts_with(&area)
            && match contains.starts_with('+') {
                true => number.starts_with(&contains),
                false => number.contains(&contains),
            }
    });
    let offers: Vec<_> = offers
        .take(size)
        .map(|one| {
            json!({
                "phone_number": one.phone_number,
                "locality": "Oakland",
                "region": "CA",
                "iso_country": one.country,
                "capabilities": {"voice": true, "SMS": true, "MMS": true},
            })
        })
        .collect();
    if offers.is_empty() && !state.for_sale.iter().any(|one| one.kind == kind) {
        return problem(StatusCode::NOT_FOUND, 20404);
    }
    Json(json!({"available_phone_numbers": offers})).into_response()
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

impl Number {
    fn json(&self) -> Value {
        let method = match self.sms_method.as_str() {
            "" => "POST",
            method => method,
        };
        json!({
            "sid": self.sid,
            "account_sid": self.account,
            "phone_number": self.phone_number,
            "friendly_name": self.phone_number,
            "capabilities": {"voice": true, "SMS": true, "mms": self.mms, "fax": false},
            "sms_url": self.sms_url,
            "sms_method": method,
            "sms_fallback_url": self.sms_fallback_url,
            "sms_application_sid": self.sms_application_sid.clone().unwrap_or_default(),
            "status": "in-use",
        })
    }
}

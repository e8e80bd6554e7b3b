//! Twilio's charges by day and category, including parent categories.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Emulator;
use super::api::{Caller, Paging, page};

pub fn router() -> Router<Emulator> {
    Router::new().route("/{account}/Usage/Records/Daily.json", get(daily))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Period {
    start_date: NaiveDate,
    end_date: NaiveDate,
}

async fn daily(
    caller: Caller,
    State(emulator): State<Emulator>,
    Query(paging): Query<Paging>,
    Query(period): Query<Period>,
) -> Response {
    let mut rows = Vec::new();
    for day in period.start_date.iter_days() {
        if day > period.end_date {
            break;
        }
        rows.extend(records_of_day(&emulator, &caller.account, day));
    }
    let path = format!(
        "/2010-04-01/Accounts/{}/Usage/Records/Daily.json",
        caller.account
    );
    let (rows, next) = page(&emulator, &paging, rows, &path);
    Json(json!({"usage_records": rows, "next_page_uri": next})).into_response()
}

fn records_of_day(emulator: &Emulator, account: &str, day: NaiveDate) -> Vec<Value> {
    let state = emulator.state();
    let sent = state.messages.iter();
    let sent = sent.filter(|one| one.account == account && one.created_at.date_naive() == day);
    let sent = sent.count();
    let received = state.received.iter();
    let received =
        received.filter(|one| one.account == account && one.created_at.date_naive() == day);
    let received = received.count();
    let record = |category: &str, count: Option<usize>, thousandths: usize| {
        json!({
            "category": category,
            "count": count.map(|count| count.to_string()),
            "usage": "0",
            "price": format!("{}.{:03}00", thousandths / 1000, thousandths % 1000),
            "price_unit": "usd",
            "start_date": day.to_string(),
            "end_date": day.to_string(),
        })
    };
    vec![
        record("sms", Some(sent + received), 8 * sent + 7 * received),
        record("sms-outbound", Some(sent), 8 * sent),
        record("sms-outbound-longcode", Some(sent), 8 * sent),
        record("sms-inbound", Some(received), 7 * received),
        record("sms-messages-carrierfees", Some(sent), 3 * sent),
        record("calls", Some(0), 0),
        record("totalprice", None, 11 * sent + 7 * received),
    ]
}

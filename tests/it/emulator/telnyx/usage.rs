//! Telnyx's charges for messages in a period.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::Telnyx;
use super::api::{Caller, page};

pub fn router() -> Router<Telnyx> {
    Router::new().route("/usage_reports", get(usage))
}

async fn usage(
    Caller(index): Caller,
    State(telnyx): State<Telnyx>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let parameter = |name: &str| -> String {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let found = pairs.find(|(key, _)| key == name);
        found.expect(name).1.into_owned()
    };
    assert_eq!(parameter("product"), "messaging");
    let time = |name: &str| -> DateTime<Utc> { parameter(name).parse().unwrap() };
    // All messages were accepted just now.
    let is_now = (time("start_date")..time("end_date")).contains(&Utc::now());
    let sent = telnyx.messages();
    let sent = sent.iter().filter(|one| one.account == index).count();
    let rows = match is_now && sent > 0 {
        true => vec![
            json!({"product": "messaging", "direction": "outbound", "count": sent, "cost": 0.004 * sent as f64, "customer_carrier_fee": 0.0025 * sent as f64}),
            json!({"product": "messaging", "direction": "inbound", "count": 0, "cost": 0, "customer_carrier_fee": 0}),
        ],
        false => Vec::new(),
    };
    page(&telnyx, &query, rows)
}

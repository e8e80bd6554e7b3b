//! Numbers, and the messaging profiles with their webhooks.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::api::{Caller, page, problem};
use super::{Number, Order, Profile, Telnyx};

pub fn router() -> Router<Telnyx> {
    Router::new()
        .route("/phone_numbers", get(numbers))
        .route("/phone_numbers/{number}", delete(release))
        .route("/phone_numbers/messaging", get(all_messaging))
        .route("/available_phone_numbers", get(available))
        .route("/number_orders", get(orders).post(place_order))
        .route("/number_orders/{order}", get(order))
        .route("/phone_numbers/{number}/messaging", get(messaging))
        .route("/messaging_profiles", get(profiles).post(new_profile))
        .route(
            "/messaging_profiles/{profile}",
            get(profile).patch(update_profile),
        )
}

async fn numbers(
    Caller(index): Caller,
    State(telnyx): State<Telnyx>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let only_active = query.contains("filter%5Bstatus%5D=active");
    let rows = {
        let state = telnyx.state();
        // Newest first, as Telnyx lists them.
        let mine = state
            .numbers
            .iter()
            .rev()
            .filter(|number| number.account == index);
        let digits = parameter(&query, "filter[phone_number]");
        mine.filter(|number| !only_active || number.status == "active")
            .filter(|number| number.phone_number.contains(&digits))
            .map(Number::json)
            .collect()
    };
    page(&telnyx, &query, rows)
}

fn parameter(query: &str, name: &str) -> String {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let found = pairs.find(|(field, _)| field == name);
    found
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

async fn release(
    Caller(index): Caller,
    State(telnyx): State<Telnyx>,
    Path(id): Path<String>,
) -> Response {
    let mut state = telnyx.state();
    let mut numbers = state.numbers.iter();
    match numbers.position(|number| number.id == id && number.account == index) {
        Some(at) => Json(json!({"data": state.numbers.remove(at).json()})).into_response(),
        None => problem(StatusCode::NOT_FOUND, 10005),
    }
}

async fn available(_: Caller, State(telnyx): State<Telnyx>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let area = parameter(&query, "filter[national_destination_code]");
    let part = parameter(&query, "filter[phone_number][contains]");
    let state = telnyx.state();
    let offers = state.for_sale.iter();
    let offers = offers.filter(|number| number[2..].starts_with(&area) && number.contains(&part));
    let offers: Vec<_> = offers
        .map(|number| {
            json!({
                "record_type": "available_phone_number",
                "phone_number": number,
                "features": [{"name": "sms"}, {"name": "voice"}],
                "cost_information": {"monthly_cost": "1.00", "upfront_cost": "1.00", "currency": "USD"},
                "region_information": [
                    {"region_type": "country_code", "region_name": "US"},
                    {"region_type": "rate_center", "region_name": "OKLD NORTH"},
                ],
            })
        })
        .collect();
    Json(json!({"data": offers, "meta": {"total_results": offers.len()}})).into_response()
}

async fn place_order(
    Caller(index): Caller,
    State(telnyx): State<Telnyx>,
    Json(order): Json<Value>,
) -> Response {
    let mut state = telnyx.state();
    let phone_number = order["phone_numbers"][0]["phone_number"].as_str().unwrap();
    let mut for_sale = state.for_sale.iter();
    let Some(at) = for_sale.position(|number| number == phone_number) else {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, 10015);
    };
    state.for_sale.remove(at);
    let order = Order {
        id: state.new_uuid(),
        account: index,
        phone_number: phone_number.into(),
        profile: order["messaging_profile_id"].as_str().unwrap().into(),
        reference: order["customer_reference"].as_str().unwrap().into(),
        status: "pending",
        looks: state.orders_take,
    };
    let order_json = order.json();
    state.orders.push(order);
    Json(json!({"data": order_json})).into_response()
}

async fn orders(
    Caller(index): Caller,
    State(telnyx): State<Telnyx>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    let reference = parameter(&query, "filter[customer_reference]");
    let rows = {
        let state = telnyx.state();
        let mine = state.orders.iter().filter(|order| order.account == index);
        mine.filter(|order| order.reference == reference)
            .map(Order::json)
            .collect()
    };
    page(&telnyx, &query, rows)
}

async fn order(
    Caller(index): Caller,
    State(telnyx): State<Telnyx>,
    Path(id): Path<String>,
) -> Response {
    let mut state = telnyx.state();
    let mut orders = state.orders.iter_mut();
    let Some(order) = orders.find(|order| order.id == id && order.account == index) else {
        return problem(StatusCode::NOT_FOUND, 10005);
    };
    let is_filled = order.status == "pending" && order.looks == 0;
    order.looks = order.looks.saturating_sub(1);
    if is_filled {
        order.status = "success";
    }
    let (order_json, phone_number) = (order.json(), order.phone_number.clone());
    let profile = order.profile.clone();
    if is_filled {
        let id = state.new_id();
        state.numbers.push(Number {
            id: id.to_string(),
            account: index,
            phone_number,
            status: "active",
            profile,
        });
    }
    Json(json!({"data": order_json})).into_response()
}

async fn new_profile(
    Caller(index): Caller,
    State(telnyx): State<Telnyx>,
    Json(request): Json<Value>,
) -> Response {
    let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
    if !request["whitelisted_destinations"].is_array() {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, 10015);
    }
    let mut state = telnyx.state();
    let profile = Profile {
        id: state.new_uuid(),
        account: index,
        name: text("name"),
        enabled: true,
        webhook_url: text("webhook_url"),
        version: text("webhook_api_version"),
    };
    let profile_json = profile.json();
    state.profiles.push(profile);
    Json(json!({"data": profile_json})).into_response()
}

async fn all_messaging(
    Caller(index): Caller,
    State(telnyx): State<Telnyx>,
    RawQuery(query): RawQuery,
) -> Response {
    let rows = {
        let state = telnyx.state();
        let mine = state
            .numbers
            .iter()
            .filter(|number| number.account == index);
        mine.map(Number::messaging_json).collect()
    };
    page(&telnyx, &query.unwrap_or_default(), rows)
}

async fn messaging(
    Caller(index): Caller,
    State(telnyx): State<Telnyx>,
    Path(id): Path<String>,
) -> Response {
    let state = telnyx.state();
    let mut numbers = state.numbers.iter();
    match numbers.find(|number| number.id == id && number.account == index) {
        Some(number) => Json(json!({"data": number.messaging_json()})).into_response(),
        None => problem(StatusCode::NOT_FOUND, 10005),
    }
}

async fn profiles(
    Caller(index): Caller,
    State(telnyx): State<Telnyx>,
    RawQuery(query): RawQuery,
) -> Response {
    let rows = {
        let state = telnyx.state();
        let mine = state
            .profiles
            .iter()
            .filter(|profile| profile.account == index);
        mine.map(Profile::json).collect()
    };
    page(&telnyx, &query.unwrap_or_default(), rows)
}

async fn profile(caller: Caller, State(telnyx): State<Telnyx>, Path(id): Path<String>) -> Response {
    with_profile(&telnyx, &caller, &id, |_| {})
}

async fn update_profile(
    caller: Caller,
    State(telnyx): State<Telnyx>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let Ok(change) = serde_json::from_slice::<Value>(&body) else {
        return problem(StatusCode::BAD_REQUEST, 10015);
    };
    with_profile(&telnyx, &caller, &id, |profile| {
        if let Some(url) = change["webhook_url"].as_str() {
            profile.webhook_url = url.into();
        }
        if let Some(version) = change["webhook_api_version"].as_str() {
            profile.version = version.into();
        }
    })
}

fn with_profile(
    telnyx: &Telnyx,
    Caller(index): &Caller,
    id: &str,
    change: impl FnOnce(&mut Profile),
) -> Response {
    let mut state = telnyx.state();
    let mut profiles = state.profiles.iter_mut();
    let Some(profile) = profiles.find(|profile| profile.id == id && profile.account == *index)
    else {
        return problem(StatusCode::NOT_FOUND, 10005);
    };
    change(profile);
    Json(json!({"data": profile.json()})).into_response()
}

impl Order {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "record_type": "number_order",
            "status": self.status,
            "phone_numbers": [{"phone_number": self.phone_number, "status": self.status}],
            "customer_reference": self.reference,
            "created_at": chrono::Utc::now(),
        })
    }
}

impl Number {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "record_type": "phone_number",
            "phone_number": self.phone_number,
            "status": self.status,
            "phone_number_type": "local",
            "connection_id": null,
            "messaging_profile_id": self.profile,
            "tags": [],
        })
    }

    fn messaging_json(&self) -> Value {
        let profile = Some(&self.profile).filter(|profile| !profile.is_empty());
        json!({
            "id": self.id,
            "record_type": "messaging_settings",
            "phone_number": self.phone_number,
            "messaging_profile_id": profile,
            "messaging_product": "A2P",
            "type": "long-code",
            "features": {"sms": {"domestic_two_way": true, "international_inbound": true}, "mms": null},
        })
    }
}

impl Profile {
    fn json(&self) -> Value {
        let url = Some(&self.webhook_url).filter(|url| !url.is_empty());
        json!({
            "id": self.id,
            "record_type": "messaging_profile",
            "name": self.name,
            "enabled": self.enabled,
            "webhook_url": url,
            "webhook_failover_url": null,
            "webhook_api_version": self.version,
            "whitelisted_destinations": ["US", "CA"],
        })
    }
}

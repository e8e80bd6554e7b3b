//! Numbers, and the messaging profiles that have the webhooks.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::api::{Caller, page, problem};
use super::{Number, Profile, Telnyx};

pub fn router() -> Router<Telnyx> {
    Router::new()
        .route("/phone_numbers", get(numbers))
        .route("/phone_numbers/messaging", get(all_messaging))
        .route("/phone_numbers/{number}/messaging", get(messaging))
        .route("/messaging_profiles", get(profiles))
        .route(
            "/messaging_profiles/{profile}",
            get(profile).patch(update_profile),
        )
}

async fn numbers(
    Caller(place): Caller,
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
            .filter(|number| number.account == place);
        mine.filter(|number| !only_active || number.status == "active")
            .map(Number::json)
            .collect()
    };
    page(&telnyx, &query, rows)
}

async fn all_messaging(
    Caller(place): Caller,
    State(telnyx): State<Telnyx>,
    RawQuery(query): RawQuery,
) -> Response {
    let rows = {
        let state = telnyx.state();
        let mine = state
            .numbers
            .iter()
            .filter(|number| number.account == place);
        mine.map(Number::messaging_json).collect()
    };
    page(&telnyx, &query.unwrap_or_default(), rows)
}

async fn messaging(
    Caller(place): Caller,
    State(telnyx): State<Telnyx>,
    Path(id): Path<String>,
) -> Response {
    let state = telnyx.state();
    let mut numbers = state.numbers.iter();
    match numbers.find(|number| number.id == id && number.account == place) {
        Some(number) => Json(json!({"data": number.messaging_json()})).into_response(),
        None => problem(StatusCode::NOT_FOUND, 10005),
    }
}

async fn profiles(
    Caller(place): Caller,
    State(telnyx): State<Telnyx>,
    RawQuery(query): RawQuery,
) -> Response {
    let rows = {
        let state = telnyx.state();
        let mine = state
            .profiles
            .iter()
            .filter(|profile| profile.account == place);
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
    Caller(place): &Caller,
    id: &str,
    change: impl FnOnce(&mut Profile),
) -> Response {
    let mut state = telnyx.state();
    let mut profiles = state.profiles.iter_mut();
    let Some(profile) = profiles.find(|profile| profile.id == id && profile.account == *place)
    else {
        return problem(StatusCode::NOT_FOUND, 10005);
    };
    change(profile);
    Json(json!({"data": profile.json()})).into_response()
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

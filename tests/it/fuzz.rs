//! Any input gets an answer: never a 5xx, never a panic.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reqwest::Method;
use serde_json::{Value, json};

use crate::hub::{FRONT_DESK, Hub, MAYA, TOKEN};

/// Deterministic samples.
fn samples<S: Strategy>(strategy: S, count: usize) -> Vec<S::Value> {
    let mut runner = TestRunner::deterministic();
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        Just(json!("\0")),
        Just(json!("01890000-0000-7000-8000-000000000000")),
        Just(json!("9".repeat(5_000))),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(field(), inner, 0..5)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// Mostly known field names.
fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec![
            "content", "to", "conversation_id", "contact_id", "number_id", "seen_message_id", "status", "assignee_id",
            "snoozed_until", "name", "email", "notes", "phone_number", "password", "workspace_name", "provider", "credentials",
            "friendly_name", "is_default", "default_region", "refresh_token", "account_sid", "auth_token", "api_key", "public_key",
        ])
        .prop_map(str::to_owned),
        1 => ".{0,10}",
    ]
}

#[tokio::test]
async fn webhook_bodies_never_cause_5xx() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let integration = harbor
        .admin
        .get(&harbor.path("/integrations"))
        .await
        .expect_status(200)["data"][0]["id"]
        .clone();
    let integration = integration.as_str().unwrap();
    let urls = [
        hub.url("/twilio/webhook"),
        hub.url("/twilio/status"),
        hub.url(&format!("/webhooks/twilio/{integration}/inbound")),
        hub.url(&format!("/webhooks/twilio/{integration}/status")),
        hub.url(&format!("/webhooks/sandbox/{integration}/inbound")),
        hub.url("/webhooks/twilio/not-an-id/inbound"),
        hub.url("/webhooks/%00/%ff/inbound"),
    ];
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    // Random bytes, unsigned.
    for body in samples(prop::collection::vec(any::<u8>(), 0..200), 60) {
        for url in &urls {
            let request = client
                .post(url)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body.clone());
            let status = request
                .header("x-twilio-signature", "L/OH5YylLD5NRKLltdqwSvS0BnU=")
                .send()
                .await
                .unwrap()
                .status();
            assert!(status.is_client_error(), "{url}: {status} for {body:?}");
        }
    }
    // Unusual values, validly signed: they reach the database.
    let value = prop_oneof![
        ".{0,60}",
        Just("\0".to_owned()),
        Just("a".repeat(20_000)),
        Just("\u{202e}\u{feff}𝔘".repeat(400)),
        Just("-1".to_owned()),
        Just("99999999999999999999999".to_owned()),
    ];
    let name = prop::sample::select(vec![
        "Body",
        "From",
        "NumMedia",
        "MediaUrl0",
        "MediaContentType0",
        "NumSegments",
        "MessageSid",
        "OptOutType",
        "MessageStatus",
        "ErrorCode",
        "SmsStatus",
        "X",
    ]);
    let mut stored = 0;
    for changes in samples(prop::collection::vec((name, value), 0..5), 150) {
        for url in &urls[..4] {
            let mut text = hub
                .twilio
                .inbound_text(MAYA, FRONT_DESK, "Hi")
                .at(url)
                .signed_with(TOKEN);
            for (name, value) in &changes {
                text = text.with(name, value);
            }
            let status = text.send().await.status();
            assert!(!status.is_server_error(), "{url}: {status} for {changes:?}");
            stored += usize::from(status == 200);
        }
    }
    assert!(stored > 100, "too few valid texts: {stored}");
}

#[tokio::test]
async fn provider_events_never_cause_5xx() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let customer = hub.telnyx.account("KEY0192A3B4C5D6E7F8");
    customer.number(FRONT_DESK);
    let credentials =
        json!({"api_key": "KEY0192A3B4C5D6E7F8", "public_key": customer.public_key()});
    let form = json!({"provider": "telnyx", "credentials": credentials});
    let connected = harbor.admin.post(&harbor.path("/integrations"), form).await;
    let inbound = connected.expect_status(201)["integration"]["webhook_url"].clone();
    let inbound = inbound.as_str().unwrap();
    let odd_query = [
        "",
        "?message=%00&attempt=%ff",
        "?message=&&=&%",
        "?attempt=99999999999999",
    ];
    let endpoints = [inbound.to_owned(), inbound.replace("/inbound", "/status")];
    let endpoints = endpoints
        .iter()
        .flat_map(|endpoint| odd_query.map(|query| format!("{endpoint}{query}")));
    let endpoints: Vec<_> = endpoints.collect();
    let event = || hub.telnyx.inbound_text(MAYA, FRONT_DESK, "Hi");
    // Random bytes, unsigned and signed.
    for body in samples(prop::collection::vec(any::<u8>(), 0..200), 60) {
        for endpoint in &endpoints {
            let unsigned = event().at(endpoint).with_body(&body).with_signature("AA==");
            assert_eq!(unsigned.send().await.status(), 403, "{endpoint}");
            let status = event().at(endpoint).with_body(&body).send().await.status();
            assert!(
                status.is_client_error(),
                "{endpoint}: {status} for {body:?}"
            );
        }
    }
    // Unusual values in one field of an otherwise valid event: they reach the database.
    let field = prop::sample::select(vec![
        "id",
        "from",
        "to",
        "text",
        "media",
        "parts",
        "type",
        "cost",
        "errors",
        "autoresponse_type",
        "x",
    ]);
    let kind = prop::sample::select(vec![
        "message.received",
        "message.received",
        "message.sent",
        "message.finalized",
        "message.waltzed",
    ]);
    let mut stored = 0;
    for (value, field, kind) in samples((json_value(), field, kind), 150) {
        for endpoint in &endpoints[..5] {
            let modified = event()
                .at(endpoint)
                .of_type(kind)
                .with(field, value.clone());
            let status = modified.send().await.status();
            assert!(
                !status.is_server_error(),
                "{endpoint}: {status} for {field} = {value}"
            );
            stored += usize::from(status == 200);
        }
        let arbitrary = event()
            .at(&endpoints[0])
            .with_body(value.to_string().as_bytes());
        let status = arbitrary.send().await.status();
        assert!(!status.is_server_error(), "{status} for {value}");
    }
    assert!(stored > 100, "too few valid events: {stored}");
}

#[tokio::test]
async fn json_bodies_never_cause_5xx() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let id = |name: &str| conversation[name].as_str().unwrap().to_owned();
    let paths = [
        (Method::POST, "/api/auth/signup".to_owned()),
        (Method::POST, "/api/auth/login".to_owned()),
        (Method::POST, "/api/auth/refresh".to_owned()),
        (Method::POST, "/api/workspaces".to_owned()),
        (Method::PATCH, harbor.path("")),
        (Method::POST, harbor.path("/integrations")),
        (
            Method::PATCH,
            harbor.path(&format!("/numbers/{}", id("number_id"))),
        ),
        (Method::POST, harbor.path("/contacts")),
        (
            Method::PATCH,
            harbor.path(&format!("/contacts/{}", id("contact_id"))),
        ),
        (
            Method::PATCH,
            harbor.path(&format!("/conversations/{}", id("id"))),
        ),
        (Method::POST, harbor.path("/messages")),
    ];
    for body in samples(json_value(), 60) {
        for (method, path) in &paths {
            let answer = harbor
                .admin
                .ask(harbor.admin.request(method.clone(), path).json(&body))
                .await;
            assert!(
                answer.status < 500,
                "{method} {path}: {} {} for {body}",
                answer.status,
                answer.body
            );
        }
    }
    for text in ["", "{", "nul", "\u{feff}{}", "[1,", "{\"a\":1}{"] {
        for (method, path) in &paths {
            let request = harbor
                .admin
                .request(method.clone(), path)
                .header("content-type", "application/json")
                .body(text);
            let status = harbor.admin.ask(request).await.status;
            assert!(
                (400..500).contains(&status) || path.ends_with("refresh"),
                "{method} {path}: {status} for {text}"
            );
        }
    }
}

#[tokio::test]
async fn queries_never_cause_5xx() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Hi").await;
    let odd = samples(".{0,30}", 40);
    let fixed = [
        "%",
        "_",
        "\\",
        "'",
        "\0",
        "-1",
        "201",
        "999999999999",
        "null",
    ]
    .map(str::to_owned);
    for value in odd.into_iter().chain(fixed) {
        for list in ["/conversations", "/contacts", "/messages"] {
            for name in [
                "q",
                "cursor",
                "limit",
                "status",
                "assignee",
                "number_id",
                "unread",
                "direction",
            ] {
                let request = harbor
                    .admin
                    .request(Method::GET, &harbor.path(list))
                    .query(&[(name, &value)]);
                let answer = harbor.admin.ask(request).await;
                assert!(
                    answer.status < 500,
                    "{list}?{name}={value:?}: {}",
                    answer.body
                );
            }
        }
    }
}

#[tokio::test]
async fn paths_never_cause_5xx() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    for path in [
        "/%00",
        "/api/%ff",
        "/w/%00/inbox",
        "/w/../inbox",
        "/assets/../Cargo.toml",
        "/assets/%2e%2e%2fCargo.toml",
        "/sandbox/1",
    ] {
        assert!(harbor.admin.get(path).await.status < 500, "{path}");
    }
    for id in [
        "",
        "%00",
        "1",
        "..",
        "01890000-0000-7000-8000-00000000000",
        "'",
    ] {
        for list in ["conversations", "contacts", "messages"] {
            let answer = harbor
                .admin
                .get(&harbor.path(&format!("/{list}/{id}")))
                .await;
            assert!(answer.status < 500, "{list}/{id}: {}", answer.body);
        }
        assert!(
            harbor
                .admin
                .get(&format!("/api/workspaces/{id}/messages"))
                .await
                .status
                < 500
        );
    }
}

use proptest::prelude::*;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::providers::telnyx::signature;
use crate::providers::{ErrorClass, Status};

fn post(query: &str, body: &[u8]) -> Result<WebhookEvent, Malformed> {
    let request = SignedRequest {
        public_url: &format!("https://inbox.example.com/webhooks/telnyx/1/status{query}"),
        method: &Method::POST,
        headers: &HeaderMap::new(),
        body,
    };
    read(&request, "ours")
}

fn received() -> Value {
    json!({"data": {"record_type": "event", "id": "6a3f", "event_type": "message.received", "payload": {
        "record_type": "message", "direction": "inbound", "id": "0b7a", "type": "SMS",
        "from": {"phone_number": "+14155550192", "carrier": "", "line_type": "Wireless"},
        "to": [{"phone_number": "+16285550100", "status": "webhook_delivered"}], "cc": [],
        "text": "Hello", "media": [], "parts": 1, "autoresponse_type": null, "errors": [],
        "cost": {"amount": "0.0000", "currency": "USD"}}},
        "meta": {"attempt": 1, "delivered_to": "https://inbox.example.com/hooks"}})
}

/// A regular text with one field of its payload changed.
fn with(field: &str, value: Value) -> Result<WebhookEvent, Malformed> {
    let mut event = received();
    event["data"]["payload"][field] = value;
    post("", event.to_string().as_bytes())
}

fn text(parsed: Result<WebhookEvent, Malformed>) -> Inbound {
    match parsed.unwrap() {
        WebhookEvent::Text(text) => text,
        other => panic!("{other:?} is no text"),
    }
}

fn report(query: &str, event_type: &str, payload: Value) -> StatusReport {
    let event = json!({"data": {"event_type": event_type, "payload": payload}});
    match post(query, event.to_string().as_bytes()).unwrap() {
        WebhookEvent::Report(report) => report,
        other => panic!("{other:?} is no report"),
    }
}

fn ours(status: &str, errors: Value) -> Value {
    json!({"id": "0b7a", "direction": "outbound", "parts": 2, "errors": errors,
        "cost": {"amount": "0.0040", "currency": "USD"}, "to": [{"phone_number": "+14155550192", "status": status}]})
}

#[test]
fn an_ordinary_text_is_read() {
    let expected = Inbound {
        provider_sid: "0b7a".into(),
        account: "ours".into(),
        from: "+14155550192".parse().unwrap(),
        to: "+16285550100".parse().unwrap(),
        text: "Hello".into(),
        media: Vec::new(),
        opt_out: None,
        segments: Some(1),
        at: None,
    };
    assert_eq!(text(post("", received().to_string().as_bytes())), expected);
}

#[test]
fn any_body_is_taken() {
    let body = |value: Value| text(with("text", value)).text;
    assert_eq!(body(json!("")), "");
    assert_eq!(body(Value::Null), "");
    assert_eq!(body(json!(7)), "");
    assert_eq!(body(json!("Grüße 👋 — 你好")), "Grüße 👋 — 你好");
    assert_eq!(body(json!("a\u{0}b")), "ab");
    assert_eq!(body(json!("a".repeat(100_000))).len(), MAX_TEXT_LENGTH);
    let cut = received().to_string().replace("Hello", r"cut \ud83d");
    assert!(
        text(post("", cut.as_bytes()))
            .text
            .starts_with("cut \u{fffd}")
    );
    let broken = [received().to_string().as_bytes(), b"\xff"].concat();
    assert!(post("", &broken).is_err(), "bytes after the end");
}

#[test]
fn odd_fields_do_not_take_the_text_with_them() {
    for (field, value) in [
        ("parts", json!("many")),
        ("parts", json!(-1)),
        ("cost", json!([])),
        ("errors", json!("none")),
        ("media", json!({"url": "https://a.example"})),
        (
            "media",
            json!([7, null, {"url": 7}, {"url": "file:///etc/passwd"}]),
        ),
        ("autoresponse_type", json!({})),
        ("type", json!(7)),
        ("future", json!({"deep": [[[]]]})),
    ] {
        let text = text(with(field, value.clone()));
        assert_eq!(
            (text.text.as_str(), text.media.len()),
            ("Hello", 0),
            "{field}: {value}"
        );
    }
}

#[test]
fn what_is_missing_is_named() {
    for (field, value, named) in [
        ("id", Value::Null, "payload.id"),
        ("id", json!(""), "payload.id"),
        ("id", json!("x".repeat(65)), "payload.id"),
        ("id", json!("../balance"), "payload.id"),
        ("from", json!("+14155550192"), "payload.from"),
        ("to", json!([]), "payload.to[]"),
        ("to", json!("+16285550100"), "payload.to[]"),
        ("type", json!("WHATSAPP"), "WHATSAPP"),
    ] {
        let wrong = with(field, value).unwrap_err();
        assert!(wrong.0.english().contains(named), "{wrong}");
    }
    for nothing in ["", "{}", "[]", "null", "MessageSid=SM1", r#"{"data":7}"#] {
        let wrong = post("", nothing.as_bytes()).unwrap_err();
        assert!(
            wrong.0.english().contains("isn’t an event"),
            "{nothing}: {wrong}"
        );
    }
    let nameless = post("", br#"{"data":{}}"#).unwrap_err();
    assert!(nameless.0.english().contains("event_type"), "{nameless}");
}

#[test]
fn senders_need_not_be_numbers() {
    let from = |from: &str| {
        text(with("from", json!({"phone_number": from})))
            .from
            .to_string()
    };
    assert_eq!(from("262966"), "262966");
    assert_eq!(from("ACME Dental"), "ACME Dental");
}

#[test]
fn of_several_recipients_ours_is_the_one_it_was_delivered_to() {
    let group = json!([
        {"phone_number": "+14155550193", "status": "delivered"},
        null,
        {"phone_number": "+16285550100", "status": "webhook_delivered"},
    ]);
    assert_eq!(text(with("to", group)).to.as_str(), "+16285550100");
    let unsaid = json!([{"phone_number": "+16285550100"}]);
    assert_eq!(text(with("to", unsaid)).to.as_str(), "+16285550100");
}

#[test]
fn media_is_read_with_or_without_what_else_is_said_of_it() {
    let media = json!([
        {"url": "https://media.example/a", "content_type": "image/jpeg", "size": 55219, "sha256": "…"},
        {"url": "https://media.example/b", "hash_sha256": "…"},
    ]);
    let media = text(with("media", media)).media;
    let types: Vec<_> = media.iter().map(|one| one.content_type.as_str()).collect();
    assert_eq!(types, ["image/jpeg", "application/octet-stream"]);
    let many: Vec<_> = (0..11)
        .map(|n| json!({"url": format!("https://a.example/{n}")}))
        .collect();
    assert_eq!(text(with("media", json!(many))).media.len(), MAX_MEDIA);
}

#[test]
fn what_telnyx_answered_itself_is_known() {
    let opt_out = |word: &str| text(with("autoresponse_type", json!(word))).opt_out;
    assert_eq!(opt_out("STOP"), Some(OptOut::Stop));
    assert_eq!(opt_out("START"), Some(OptOut::Start));
    assert_eq!(opt_out("HELP"), Some(OptOut::Help));
    assert_eq!(opt_out("WALTZ"), None);
}

#[test]
fn a_report_is_read_with_our_own_id() {
    let our_id = Uuid::from_u128(7);
    let query = format!("?message={our_id}&attempt=2");
    let delivered = report(&query, "message.finalized", ours("delivered", json!([])));
    let expected = StatusReport {
        provider_sid: "0b7a".into(),
        account: "ours".into(),
        our_id: Some(our_id),
        attempt: Some(2),
        status: Some(Status::Delivered),
        raw_status: "delivered".into(),
        error: None,
        segments: Some(2),
        price: Some(crate::providers::Price {
            amount: "0.0040".into(),
            currency: "USD".into(),
        }),
    };
    assert_eq!(delivered, expected);
    for query in ["", "?message=", "?message=nonsense&attempt=-1"] {
        let delivered = report(query, "message.sent", ours("sent", json!([])));
        assert_eq!(
            (delivered.our_id, delivered.attempt),
            (None, None),
            "{query}"
        );
    }
}

#[test]
fn a_failure_says_why_and_the_lack_of_a_receipt_is_none() {
    let spam =
        json!([{"code": "40003", "title": "Blocked as spam - permanent"}, {"code": "40001"}]);
    let error = |status: &str| report("", "message.finalized", ours(status, spam.clone())).error;
    for failed in ["delivery_failed", "sending_failed", "expired", "waltzing"] {
        let error = error(failed).unwrap();
        assert_eq!(
            (error.code.as_str(), error.class),
            ("40003", ErrorClass::Permanent)
        );
    }
    for well in [
        "queued",
        "sending",
        "sent",
        "delivered",
        "delivery_unconfirmed",
    ] {
        assert_eq!(error(well), None, "{well}");
    }
    let silent = report("", "message.finalized", ours("delivery_failed", json!([])));
    assert_eq!(
        (silent.status, silent.error),
        (Some(Status::Undelivered), None)
    );
}

#[test]
fn an_unknown_status_is_kept_as_it_came() {
    let waltzing = report("", "message.finalized", ours("waltzing", json!([])));
    assert_eq!(
        (waltzing.status, waltzing.raw_status.as_str()),
        (None, "waltzing")
    );
}

#[test]
fn events_of_other_kinds_do_not_concern_us() {
    for other in ["message.waltzed", "call.initiated", "10dlc.brand.update"] {
        let event = json!({"data": {"event_type": other, "payload": {"id": 7}}});
        assert_eq!(
            post("", event.to_string().as_bytes()),
            Ok(WebhookEvent::Nothing),
            "{other}"
        );
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        prop::sample::select(vec![
            "+14155550192",
            "0b7a",
            "delivered",
            "message.received",
            "https://a.example",
            "\0"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        let name = prop_oneof![
            8 => prop::sample::select(vec![
                "data", "event_type", "payload", "id", "from", "to", "phone_number", "status", "text", "media", "url",
                "content_type", "errors", "code", "title", "parts", "cost", "amount", "currency", "autoresponse_type",
            ]).prop_map(str::to_owned),
            1 => ".{0,8}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..8).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_headers_or_queries_break_them(
        body in prop::collection::vec(any::<u8>(), 0..300),
        query in ".{0,60}",
        headers in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..90)), 0..4),
    ) {
        let _ = post(&format!("?{query}"), &body);
        let mut map = HeaderMap::new();
        for (is_time, value) in headers {
            let name = HeaderName::from_static(if is_time { "telnyx-timestamp" } else { "telnyx-signature-ed25519" });
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                map.append(name, value);
            }
        }
        let request = SignedRequest { public_url: &query, method: &Method::POST, headers: &map, body: &body };
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key();
        prop_assert!(!signature::verify(&request, &key, crate::clock::now()));
    }

    #[test]
    fn no_event_breaks_them(
        payload in any_json(),
        event_type in prop::sample::select(vec!["message.received", "message.sent", "message.finalized", "x"]),
        all in any_json(),
    ) {
        let event = json!({"data": {"event_type": event_type, "payload": payload}});
        for event in [event, all] {
            if let Ok(WebhookEvent::Text(text)) = post("", event.to_string().as_bytes()) {
                prop_assert!(!text.text.contains('\0') && !text.provider_sid.is_empty());
            }
        }
    }
}

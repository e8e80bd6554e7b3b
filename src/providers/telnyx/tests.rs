use serde_json::{Value, json};

use super::*;

const KEY: &str = "KEY0192A3B4C5D6E7F8_abcdefghijklmnop";
/// The public key of the test vectors.
const PUBLIC: &str = "McE1e9dnwsu6WtyPnN/N9xhc1iQoyMFt8zbUbhxOgLI=";

fn open(credentials: Value) -> Result<Telnyx, InvalidCredentials> {
    Telnyx::open(reqwest::Client::new(), API, &credentials.to_string())
}

fn mistakes(credentials: Value) -> Vec<FieldError> {
    let InvalidCredentials(errors) = open(credentials).err().unwrap();
    errors
}

fn fields_at_fault(credentials: Value) -> Vec<&'static str> {
    let mistakes = mistakes(credentials);
    mistakes.into_iter().map(|error| error.field).collect()
}

#[test]
fn credentials_survive_sealing() {
    let telnyx =
        open(json!({"api_key": format!(" {KEY}\n"), "public_key": format!(" {PUBLIC} ")})).unwrap();
    assert_eq!(telnyx.account(), PUBLIC);
    assert_eq!(telnyx.hint(), "mnop");
    let sealed = telnyx.credentials();
    assert_eq!(
        serde_json::from_str::<Value>(sealed.expose_secret()).unwrap(),
        json!({"api_key": KEY, "public_key": PUBLIC})
    );
    assert!(open(serde_json::from_str(sealed.expose_secret()).unwrap()).is_ok());
}

#[test]
fn incomplete_credentials_are_reported_by_field() {
    assert_eq!(fields_at_fault(json!({})), ["api_key", "public_key"]);
    assert_eq!(fields_at_fault(json!(7)), ["api_key", "public_key"]);
    assert_eq!(fields_at_fault(json!({"api_key": KEY})), ["public_key"]);
    assert_eq!(fields_at_fault(json!({"public_key": PUBLIC})), ["api_key"]);
    for key in [" ", "two words", "a\nb", "ü"] {
        let credentials = json!({"api_key": key, "public_key": PUBLIC});
        assert_eq!(fields_at_fault(credentials), ["api_key"], "{key}");
    }
    let short = STANDARD.encode([7; 31]);
    // Not on the curve, and a weak key that verifies any signature.
    let nowhere = STANDARD.encode([2; 32]);
    let weak = STANDARD.encode([0; 32]);
    for key in [KEY, "AAAA", &short, &nowhere, &weak] {
        let credentials = json!({"api_key": KEY, "public_key": key});
        assert_eq!(fields_at_fault(credentials), ["public_key"], "{key}");
    }
    let swapped = mistakes(json!({"api_key": PUBLIC, "public_key": KEY}));
    assert!(
        swapped[0].message.english().contains("begin with KEY"),
        "{swapped:?}"
    );
}

#[test]
fn media_is_fetched_from_public_hosts_only() {
    let telnyx = open(json!({"api_key": KEY, "public_key": PUBLIC})).unwrap();
    for url in [
        "https://media.telnyx.com/a.jpg",
        "https://bucket.s3.amazonaws.com/a?x=1",
    ] {
        assert_eq!(telnyx.media_access(url, "1"), Some(MediaAccess::Open));
    }
    for url in [
        "http://media.telnyx.com/a.jpg",
        "https://127.0.0.1/a",
        "https://10.0.0.7/a",
        "https://[::1]/a",
        "https://localhost/a",
        "file:///etc/passwd",
        "nonsense",
    ] {
        assert_eq!(telnyx.media_access(url, "1"), None, "{url}");
    }
}

#[test]
fn repeat_window_is_less_than_a_day() {
    let telnyx = open(json!({"api_key": KEY, "public_key": PUBLIC})).unwrap();
    let kept = telnyx.capabilities().idempotent_send.unwrap();
    assert!(kept < Duration::from_secs(24 * 3600));
}

#[test]
fn null_does_not_invalidate_the_list() {
    use super::numbers::{Messaging, Number, Profile};
    use crate::providers::json::{self, without_each};

    fn reads<T: serde::de::DeserializeOwned>(answer: &Value) -> Vec<T> {
        let page: api::Page<T> = json::read(answer.to_string().as_bytes()).expect("a page");
        json::readable(page.data).collect()
    }
    let page = |data: Value| json!({"data": [data.clone(), data], "meta": {"page_number": 1, "page_size": 250, "total_pages": 1, "total_results": 2}});
    let numbers = page(
        json!({"id": "1", "phone_number": "+16285550100", "status": "active", "connection_id": "7"}),
    );
    for (path, answer) in without_each(&numbers, &["data"]) {
        let numbers = reads::<Number>(&answer)
            .into_iter()
            .filter(Number::is_active);
        let known = numbers.filter_map(|number| number.into_remote(None));
        assert!(known.count() > 0, "{path}");
    }
    let settings = page(
        json!({"phone_number": "+16285550100", "messaging_profile_id": "p",
        "features": {"sms": {"domestic_two_way": true}, "mms": null}}),
    );
    for (path, answer) in without_each(&settings, &["data"]) {
        assert!(!reads::<Messaging>(&answer).is_empty(), "{path}");
    }
    let profiles = page(
        json!({"id": "p", "name": "Desk", "enabled": true, "webhook_url": "https://a.example",
        "webhook_failover_url": null, "webhook_api_version": "2"}),
    );
    for (path, answer) in without_each(&profiles, &["data"]) {
        let profiles = reads::<Profile>(&answer);
        assert!(
            profiles
                .iter()
                .all(|profile| profile.webhook_override().is_none()),
            "{path}"
        );
        assert!(
            profiles
                .iter()
                .any(|profile| profile.has_webhook("https://a.example")),
            "{path}"
        );
    }
}

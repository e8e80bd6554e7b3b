//! Vectors and expected results were generated with Twilio's own SDKs.

use proptest::prelude::*;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;

use super::*;

#[derive(Clone, Deserialize)]
struct Vector {
    id: String,
    note: String,
    token: String,
    url: String,
    form: String,
    signature: String,
    body: Option<String>,
    algorithm: Option<String>,
}

impl Vector {
    fn is_get(&self) -> bool {
        self.form.is_empty() && self.body.is_none()
    }

    fn key(&self) -> Key<'_> {
        match self.algorithm.as_deref() {
            Some("sha256") => Key::SharedKey {
                key: &self.token,
                token: "the account's token",
            },
            _ => Key::AuthToken(&self.token),
        }
    }

    fn is_accepted(&self) -> bool {
        self.is_accepted_with(self.key())
    }

    fn is_accepted_with(&self, key: Key<'_>) -> bool {
        let (method, content_type) = match (&self.body, self.is_get()) {
            (Some(_), _) => (Method::POST, Some("application/json")),
            (None, true) => (Method::GET, None),
            (None, false) => (Method::POST, Some(FORM)),
        };
        let body = self.body.as_ref().unwrap_or(&self.form).as_bytes();
        accepted(&method, content_type, &self.url, body, &self.signature, key)
    }

    fn signed_by(mut self, other: &str) -> Self {
        self.signature = vector(other).signature;
        self
    }

    fn at(mut self, url: &str) -> Self {
        self.url = url.into();
        self
    }
}

fn accepted(
    method: &Method,
    content_type: Option<&'static str>,
    url: &str,
    body: &[u8],
    signature: &str,
    key: Key<'_>,
) -> bool {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    headers.insert(HEADER, HeaderValue::from_str(signature).unwrap());
    let request = SignedRequest {
        public_url: url,
        method,
        headers: &headers,
        body,
    };
    verify(&request, key)
}

fn vectors() -> Vec<Vector> {
    let json = include_str!("../../../../tests/vectors/twilio_signatures.json");
    serde_json::from_str(json).unwrap()
}

fn vector(id: &str) -> Vector {
    vectors()
        .into_iter()
        .find(|vector| vector.id == id)
        .unwrap()
}

fn sign(token: &str, data: &[u8]) -> String {
    let key = hmac::Key::new(HMAC_SHA1, token.as_bytes());
    STANDARD.encode(hmac::sign(&key, data))
}

#[test]
fn every_vector_is_accepted() {
    assert_eq!(vectors().len(), 16);
    for vector in vectors() {
        assert!(vector.is_accepted(), "{}: {}", vector.id, vector.note);
    }
}

#[test]
fn of_a_get_only_the_url_is_signed() {
    let get = vector("T09");
    let accepts = |method| {
        let body = b"Body=forged";
        accepted(
            &method,
            Some(FORM),
            &get.url,
            body,
            &get.signature,
            get.key(),
        )
    };
    assert!(accepts(Method::GET), "the body of a GET is not signed");
    assert!(!accepts(Method::POST));
}

#[test]
fn no_vector_is_accepted_with_another_token() {
    for vector in vectors() {
        let key = match vector.key() {
            Key::AuthToken(_) => Key::AuthToken("fedcba9876543210fedcba9876543210"),
            Key::SharedKey { .. } => Key::SharedKey {
                key: "another key",
                token: "another token",
            },
        };
        assert!(!vector.is_accepted_with(key), "{}", vector.id);
    }
}

#[test]
fn a_default_port_may_be_written_or_not() {
    assert!(vector("T02").signed_by("T06b").is_accepted());
    assert!(vector("T06b").signed_by("T02").is_accepted());
    assert!(vector("T06a").signed_by("T02").is_accepted());
    assert!(vector("T06d").signed_by("T06c").is_accepted());
}

#[test]
fn another_port_or_scheme_is_another_url() {
    assert!(!vector("T02").signed_by("T06a").is_accepted());
    assert!(!vector("T02").signed_by("T06d").is_accepted());
    assert!(!vector("T12").signed_by("T02").is_accepted());
}

#[test]
fn a_field_less_or_more_is_refused() {
    let mut less = vector("T02");
    less.form = less.form.replace("&FromState=CA", "");
    assert!(!less.is_accepted());

    let mut more = vector("T02");
    more.form += "&Extra=1";
    assert!(!more.is_accepted());

    let mut trimmed = vector("T11");
    trimmed.form = trimmed.form.replace("Body=++a", "Body=a");
    assert!(!trimmed.is_accepted());
}

#[test]
fn a_json_body_must_have_the_hash_in_the_url() {
    let mut changed = vector("T08");
    changed.body = changed.body.map(|body| body.replace("1234", "1235"));
    assert!(!changed.is_accepted());

    let original = vector("T08");
    let (url, hash) = original.url.split_once("bodySHA256=").unwrap();
    let shouted = format!("{url}bodySHA256={}", hash.to_uppercase());
    let mut shouting = original.clone().at(&shouted);
    shouting.signature = sign(&shouting.token, shouted.as_bytes());
    assert!(!shouting.is_accepted());

    let url = "https://inbox.example.com/hooks";
    let signature = sign("12345", url.as_bytes());
    let unvouched = |body| {
        let json = Some("application/json");
        accepted(
            &Method::POST,
            json,
            url,
            body,
            &signature,
            Key::AuthToken("12345"),
        )
    };
    assert!(unvouched(b""), "an empty body needs no hash");
    assert!(!unvouched(b"{}"));
}

#[test]
fn what_twilio_takes_off_before_signing_is_taken_off() {
    let with_user = "https://user:pw@inbox.example.com/hooks/twilio/inbound";
    assert!(vector("T02").at(with_user).is_accepted());
    let with_fragment = "https://inbox.example.com/hooks/twilio/inbound#rc=5&rp=5xx,ct,rt";
    assert!(vector("T02").at(with_fragment).is_accepted());
}

#[test]
fn the_integration_chooses_the_keys() {
    let shared = vector("T13");
    assert!(!shared.is_accepted_with(Key::AuthToken(&shared.token)));
    let token = vector("T02");
    let both = |key, token| Key::SharedKey { key, token };
    // The SDKs sign with the shared key in either algorithm, and with the token if there is no settings header.
    assert!(shared.is_accepted_with(both(&shared.token, "t")));
    assert!(token.is_accepted_with(both(&token.token, "t")));
    assert!(token.is_accepted_with(both("k", &token.token)));
    // The token never signs with SHA-256.
    assert!(!shared.is_accepted_with(both("k", &shared.token)));
    assert!(!token.is_accepted_with(both("k", "t")));
}

#[test]
fn a_signature_that_is_none_is_refused() {
    for signature in [
        "",
        "=",
        "NGQngzShUFQCRvhqvGEKWhiQLlc",
        "NGQngzShUFQCRvhqvGEKWhiQLlc=x",
    ] {
        let mut vector = vector("T02");
        vector.signature = signature.into();
        assert!(!vector.is_accepted(), "{signature:?}");
    }
    let request = SignedRequest {
        public_url: "https://example.com/",
        method: &Method::POST,
        headers: &HeaderMap::new(),
        body: b"",
    };
    assert!(!verify(&request, Key::AuthToken("12345")));
}

#[test]
fn broken_utf8_is_signed_as_the_bytes_it_is() {
    let url = "https://inbox.example.com/hooks";
    let signature = sign("12345", b"https://inbox.example.com/hooksBodya\xff\0b");
    let form = b"Body=a%FF%00b";
    let key = Key::AuthToken("12345");
    assert!(accepted(
        &Method::POST,
        Some(FORM),
        url,
        form,
        &signature,
        key
    ));
}

#[test]
fn ports_are_found_in_every_kind_of_host() {
    assert_eq!(url_variants("https://[::1]/a")[1], "https://[::1]:443/a");
    assert_eq!(url_variants("http://[::1]:80/a")[1], "http://[::1]/a");
    assert_eq!(url_variants("http://a?b=c:1")[1], "http://a:80?b=c:1");
    assert_eq!(
        without_credentials("http://a.example/x@y?z@"),
        "http://a.example/x@y?z@"
    );
}

proptest! {
    #[test]
    fn nothing_that_arrives_breaks_it(
        url in ".{0,60}",
        body in prop::collection::vec(any::<u8>(), 0..200),
        signature in "[ -~]{0,40}",
        method in prop::sample::select(vec![Method::GET, Method::POST, Method::PUT]),
        content_type in prop::sample::select(vec![None, Some(FORM), Some("application/json")]),
    ) {
        prop_assert!(!accepted(&method, content_type, &url, &body, &signature, Key::AuthToken("12345")));
    }
}

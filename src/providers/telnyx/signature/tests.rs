use chrono::TimeDelta;
use ed25519_dalek::{Signer, SigningKey};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vectors {
    seed: String,
    public: String,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    timestamp: i64,
    payload: String,
    signature: String,
}

fn vectors() -> Vectors {
    let text = include_str!("../../../../tests/vectors/telnyx_signatures.json");
    serde_json::from_str(text).unwrap()
}

impl Vectors {
    fn key(&self) -> VerifyingKey {
        let bytes = STANDARD.decode(&self.public).unwrap();
        VerifyingKey::try_from(bytes.as_slice()).unwrap()
    }

    fn signing_key(&self) -> SigningKey {
        let seed = STANDARD.decode(&self.seed).unwrap();
        SigningKey::try_from(seed.as_slice()).unwrap()
    }
}

fn verify_at(key: &VerifyingKey, body: &[u8], headers: &[(&'static str, &str)], now: i64) -> bool {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let request = SignedRequest {
        public_url: "https://inbox.example.com/webhooks/telnyx/1/inbound",
        method: &Method::POST,
        headers: &map,
        body,
    };
    verify(&request, key, DateTime::from_timestamp(now, 0).unwrap())
}

#[test]
fn every_vector_holds_for_five_minutes_in_both_directions() {
    let all = vectors();
    assert_eq!(all.vectors.len(), 3);
    for Vector {
        id,
        timestamp,
        payload,
        signature,
    } in &all.vectors
    {
        let sent = timestamp.to_string();
        let headers = [(TIMESTAMP, sent.as_str()), (SIGNATURE, signature.as_str())];
        let after = |seconds| {
            verify_at(
                &all.key(),
                payload.as_bytes(),
                &headers,
                timestamp + seconds,
            )
        };
        assert!(after(0) && after(300) && after(-300), "{id}");
        assert!(
            !after(301) && !after(-301) && !after(i64::from(i32::MAX)),
            "{id}"
        );
    }
}

#[test]
fn nothing_of_what_was_signed_may_change() {
    let all = vectors();
    for Vector {
        id,
        timestamp,
        payload,
        signature,
    } in &all.vectors
    {
        let check = |sent: i64, body: &[u8], signature: &str| {
            let sent = sent.to_string();
            let headers = [(TIMESTAMP, sent.as_str()), (SIGNATURE, signature)];
            verify_at(&all.key(), body, &headers, *timestamp)
        };
        let body = payload.as_bytes();
        assert!(check(*timestamp, body, signature), "{id}");
        assert!(!check(timestamp + 1, body, signature), "{id}: another time");
        for at in (0..body.len()).step_by(17) {
            let mut changed = body.to_vec();
            changed[at] ^= 1;
            assert!(!check(*timestamp, &changed, signature), "{id}: byte {at}");
        }
        let mut bytes = STANDARD.decode(signature).unwrap();
        for at in (0..64).step_by(9) {
            bytes[at] ^= 1;
            assert!(!check(*timestamp, body, &STANDARD.encode(&bytes)), "{id}");
            bytes[at] ^= 1;
        }
    }
    // Whitespace is signed too: the same JSON, reformatted, is rejected.
    let spaced = &all.vectors[2];
    let rewritten = serde_json::from_str::<serde_json::Value>(&spaced.payload).unwrap();
    let sent = spaced.timestamp.to_string();
    let headers = [
        (TIMESTAMP, sent.as_str()),
        (SIGNATURE, spaced.signature.as_str()),
    ];
    let rewritten = rewritten.to_string();
    assert!(!verify_at(
        &all.key(),
        rewritten.as_bytes(),
        &headers,
        spaced.timestamp
    ));
}

#[test]
fn somebody_elses_key_is_not_telnyxs() {
    let all = vectors();
    let ours = all.signing_key();
    let theirs = SigningKey::from_bytes(&[7; 32]);
    let now = 1_795_168_800;
    let signed = format!("{now}|{{}}");
    for (key, good) in [(&ours, true), (&theirs, false)] {
        let signature = STANDARD.encode(key.sign(signed.as_bytes()).to_bytes());
        let time = now.to_string();
        let headers = [(TIMESTAMP, time.as_str()), (SIGNATURE, signature.as_str())];
        assert_eq!(verify_at(&all.key(), b"{}", &headers, now), good);
    }
}

#[test]
fn headers_are_one_of_each_and_a_plain_number() {
    let all = vectors();
    let Vector {
        timestamp,
        payload,
        signature,
        ..
    } = &all.vectors[0];
    let time = timestamp.to_string();
    let check = |headers: &[(&'static str, &str)]| {
        verify_at(&all.key(), payload.as_bytes(), headers, *timestamp)
    };
    let (time, signature) = ((TIMESTAMP, time.as_str()), (SIGNATURE, signature.as_str()));
    assert!(check(&[time, signature]));
    assert!(!check(&[]) && !check(&[time]) && !check(&[signature]));
    assert!(!check(&[time, time, signature]), "two times");
    assert!(!check(&[time, signature, signature]), "two signatures");
    for odd in [
        "",
        " ",
        "-1",
        "+1795168800",
        "1795168800.0",
        "99999999999999999999999",
        "now",
        "１",
    ] {
        let Ok(_) = HeaderValue::from_str(odd) else {
            continue;
        };
        assert!(!check(&[(TIMESTAMP, odd), signature]), "{odd}");
    }
    for odd in [
        "",
        "bm9uc2Vuc2U=",
        "!",
        &signature.1[..40],
        &format!("{}AA", signature.1),
    ] {
        assert!(!check(&[time, (SIGNATURE, odd)]), "{odd}");
    }
}

#[test]
fn no_clock_is_too_far_off_to_compare() {
    let key = vectors().key();
    for now in [
        DateTime::<Utc>::MIN_UTC,
        DateTime::<Utc>::MAX_UTC - TimeDelta::days(1),
    ] {
        for then in ["0", "9223372036854775807"] {
            let headers = [(TIMESTAMP, then), (SIGNATURE, "AA==")];
            assert!(!verify_at(&key, b"", &headers, now.timestamp()));
        }
    }
}

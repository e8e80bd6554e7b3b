//! Web push notifications: RFC 8030 (delivery), RFC 8291 (encryption), RFC 8292 (VAPID).
//!
//! The push service sees that a notification exists, but not its content.

use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::{Client, StatusCode};
use serde_json::json;
use url::Url;

use crate::clock;
use crate::providers::http::retry_after;
use crate::providers::media::{is_internal, public_client};

const WAIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the push service keeps an undelivered notification; the inbox shows the text anyway.
const PUSH_TTL: Duration = Duration::from_secs(4 * 60 * 60);
/// Lifetime of a VAPID token; services accept at most a day.
const VAPID_TOKEN_LIFETIME: i64 = 12 * 60 * 60;
const RECORD_SIZE: u32 = 4096;
/// Maximum payload: a record without header, padding delimiter and tag.
const LENGTH_LIMIT: usize = 3_900;

pub struct VapidKey {
    pair: EcdsaKeyPair,
    public: Vec<u8>,
}

impl VapidKey {
    /// Parses 32 bytes in either base64 alphabet.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "a private key of the curve P-256: 32 bytes in base64url";
        let secret = decode(text)
            .filter(|bytes| bytes.len() == 32)
            .ok_or(EXPECTED)?;
        let key = PrivateKey::from_private_key(&ECDH_P256, &secret).map_err(|_| EXPECTED)?;
        let public = key
            .compute_public_key()
            .map_err(|_| EXPECTED)?
            .as_ref()
            .to_vec();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &secret,
            &public,
        )
        .map_err(|_| EXPECTED)?;
        Ok(Self { pair, public })
    }

    pub fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.public)
    }

    /// The `Authorization` header for a push service.
    fn authorization(&self, audience: &str, contact: &str) -> Option<String> {
        let claims = json!({"aud": audience, "exp": clock::now().timestamp() + VAPID_TOKEN_LIFETIME, "sub": contact});
        let signing_input = [json!({"typ": "JWT", "alg": "ES256"}), claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()))
            .join(".");
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signing_input.as_bytes())
            .ok()?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Some(format!(
            "vapid t={signing_input}.{signature}, k={}",
            self.public()
        ))
    }
}

#[derive(Clone, Debug)]
pub struct Address {
    pub endpoint: Url,
    /// The browser's public key, an uncompressed point of 65 bytes.
    pub p256dh: Vec<u8>,
    pub auth: Vec<u8>,
}

/// Decodes either base64 alphabet, with or without padding.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let plain = text.trim().trim_end_matches('=');
    let plain = plain.replace('+', "-").replace('/', "_");
    URL_SAFE_NO_PAD.decode(plain).ok()
}

pub fn is_key(point: &[u8]) -> bool {
    let Ok(ours) = PrivateKey::generate(&ECDH_P256) else {
        return false;
    };
    agree(&ours, UnparsedPublicKey::new(&ECDH_P256, point), (), |_| {
        Ok(())
    })
    .is_ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Taken,
    /// The subscription no longer exists.
    Gone,
    /// Retry, after this delay if set.
    Busy(Option<Duration>),
    Refused,
}

/// Client for push services. Requires https, and rejects internal addresses after name resolution.
#[derive(Clone)]
pub struct PushSender {
    http: Client,
    key: std::sync::Arc<VapidKey>,
    contact: String,
    inside: Vec<String>,
}

impl PushSender {
    /// `inside`: hosts that may be internal and use plain http.
    pub fn new(key: VapidKey, contact: String, inside: Vec<String>) -> Self {
        Self {
            http: public_client(WAIT_TIMEOUT, inside.clone()),
            key: std::sync::Arc::new(key),
            contact,
            inside,
        }
    }

    pub fn public_key(&self) -> String {
        self.key.public()
    }

    /// Whether `endpoint` is allowed: https on port 443 of a public host without credentials, or a host of `inside`.
    pub fn may_reach(&self, endpoint: &Url) -> bool {
        let host = endpoint.host_str().unwrap_or_default();
        let is_set = self.inside.iter().any(|known| known == host);
        let is_public = endpoint.scheme() == "https"
            && endpoint.port_or_known_default() == Some(443)
            && !is_internal(endpoint);
        let has_no_credentials = endpoint.username().is_empty() && endpoint.password().is_none();
        has_no_credentials
            && (is_public || (is_set && matches!(endpoint.scheme(), "http" | "https")))
    }

    /// One attempt. Replaces an undelivered notification with the same topic.
    pub async fn push(&self, to: &Address, topic: &str, payload: &[u8]) -> Outcome {
        if !self.may_reach(&to.endpoint) {
            return Outcome::Refused;
        }
        let sealed = seal(to, payload);
        let authorization = self
            .key
            .authorization(&to.endpoint.origin().ascii_serialization(), &self.contact);
        let (Some(sealed), Some(authorization)) = (sealed, authorization) else {
            return Outcome::Refused;
        };
        let answer = self
            .http
            .post(to.endpoint.clone())
            .header("authorization", authorization)
            .header("content-encoding", "aes128gcm")
            .header("content-type", "application/octet-stream")
            .header("ttl", PUSH_TTL.as_secs())
            .header("urgency", "high")
            .header("topic", topic)
            .body(sealed)
            .send()
            .await;
        match answer {
            Err(_) => Outcome::Busy(None),
            Ok(answer) => match answer.status() {
                status if status.is_success() => Outcome::Taken,
                StatusCode::NOT_FOUND | StatusCode::GONE => Outcome::Gone,
                status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                    Outcome::Busy(retry_after(&answer))
                }
                _ => Outcome::Refused,
            },
        }
    }
}

fn seal(to: &Address, payload: &[u8]) -> Option<Vec<u8>> {
    seal_with(
        to,
        payload,
        &PrivateKey::generate(&ECDH_P256).ok()?,
        rand::random(),
    )
}

/// RFC 8291: one record, encrypted with an ephemeral key.
fn seal_with(to: &Address, payload: &[u8], ours: &PrivateKey, salt: [u8; 16]) -> Option<Vec<u8>> {
    let public = ours.compute_public_key().ok()?;
    let public = public.as_ref();
    let theirs = UnparsedPublicKey::new(&ECDH_P256, &to.p256dh);
    let secret = agree(ours, theirs, (), |shared| {
        let info = [b"WebPush: info\0", to.p256dh.as_slice(), public].concat();
        Ok(expand(extract(&to.auth, shared).as_ref(), &info))
    })
    .ok()?;
    let pseudorandom_key = extract(&salt, secret.as_ref());
    let key = expand(pseudorandom_key.as_ref(), b"Content-Encoding: aes128gcm\0");
    let nonce = expand(pseudorandom_key.as_ref(), b"Content-Encoding: nonce\0");
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key.as_ref()[..16]).ok()?);
    let mut text = payload[..payload.len().min(LENGTH_LIMIT)].to_vec();
    text.push(2); // delimiter of the last record
    key.seal_in_place_append_tag(
        Nonce::try_assume_unique_for_key(&nonce.as_ref()[..12]).ok()?,
        Aad::empty(),
        &mut text,
    )
    .ok()?;
    let length = u8::try_from(public.len()).ok()?;
    Some(
        [
            &salt[..],
            &RECORD_SIZE.to_be_bytes(),
            &[length],
            public,
            &text,
        ]
        .concat(),
    )
}

/// HKDF-Extract.
fn extract(salt: &[u8], secret: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), secret)
}

/// HKDF-Expand for a single block.
fn expand(key: &[u8], info: &[u8]) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, &[info, &[1]].concat())
}

pub fn new_key() -> String {
    PrivateKey::generate(&ECDH_P256)
        .ok()
        .and_then(|key| {
            use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
            let bytes: EcPrivateKeyBin<'_> = key.as_be_bytes().ok()?;
            Some(STANDARD.encode(bytes.as_ref()))
        })
        .unwrap_or_else(crate::keys::random)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in RFC 8291, appendix A.
    #[test]
    fn what_is_sealed_is_what_the_standard_says() {
        let bytes = |text: &str| decode(text).expect("base64url");
        let to = Address {
            endpoint: "https://push.example.net/".parse().expect("a URL"),
            p256dh: bytes(
                "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            ),
            auth: bytes("BTBZMqHH6r4Tts7J_aSIgg"),
        };
        let ours = bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let ours = PrivateKey::from_private_key(&ECDH_P256, &ours).expect("a key");
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw")
            .try_into()
            .expect("16 bytes");
        let sealed = seal_with(
            &to,
            b"When I grow up, I want to be a watermelon",
            &ours,
            salt,
        );
        assert_eq!(
            sealed
                .map(|sealed| URL_SAFE_NO_PAD.encode(sealed))
                .as_deref(),
            Some(
                "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
            )
        );
    }

    #[test]
    fn a_key_is_32_bytes_of_its_curve() {
        assert!(VapidKey::parse(&new_key()).is_ok());
        let public =
            VapidKey::parse("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw").map(|key| key.public());
        let known = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
        assert_eq!(public.as_deref(), Ok(known));
        for wrong in ["", "short", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert!(VapidKey::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pushes_go_to_https_and_out_of_our_own_network() {
        let key = VapidKey::parse(&new_key()).expect("a key");
        let pushing = PushSender::new(key, "https://hub.test".into(), vec!["emulator.test".into()]);
        let may = |url: &str| pushing.may_reach(&url.parse().expect(url));
        assert!(may("https://fcm.googleapis.com/fcm/send/x") && may("http://emulator.test:9/x"));
        assert!(may(
            "https://updates.push.services.mozilla.com:443/wpush/v2/x"
        ));
        for refused in [
            "http://fcm.googleapis.com/x",
            "https://127.0.0.1/x",
            "https://localhost/x",
            "https://10.1.2.3/x",
            "https://[::1]/x",
            "https://169.254.169.254/latest",
            "https://2130706433/x",
            "ftp://push.test/x",
            "ftp://emulator.test/x",
            "https://push.example.net:22/x",
            "https://push.example.net:8443/x",
            "https://push.example.net:80/x",
            "https://user:password@push.example.net/x",
            "https://user@push.example.net/x",
            "http://user:password@emulator.test:9/x",
            "https://localhost./x",
            "https://198.18.0.1/x",
            "https://203.0.113.9/x",
            "https://[64:ff9b::7f00:1]/x",
        ] {
            assert!(!may(refused), "{refused}");
        }
    }
}

//! A push service and its browsers: verifies VAPID and decrypts pushes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey as Signer};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};
use tokio::sync::Notify;

#[derive(Clone)]
pub struct PushService {
    origin: String,
    state: Arc<ServiceState>,
}

#[derive(Default)]
struct ServiceState {
    browsers: Mutex<Vec<Browser>>,
    /// Status codes for the next pushes instead of 201.
    answers: Mutex<VecDeque<u16>>,
    hangs: AtomicBool,
    pushes: Mutex<Vec<Push>>,
    arrived: Notify,
}

struct Browser {
    key: PrivateKey,
    public: Vec<u8>,
    auth: [u8; 16],
}

#[derive(Clone, Debug)]
pub struct Push {
    pub browser: usize,
    pub payload: Value,
    pub topic: String,
    pub answered: u16,
}

impl PushService {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let service = Self {
            origin,
            state: Arc::default(),
        };
        let app = axum::Router::new()
            .route("/push/{browser}", post(receive_push))
            .with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        service
    }

    /// Creates a browser; returns its subscription as the browser hands it to a page.
    pub fn subscribes(&self, name: &str) -> Value {
        let key = PrivateKey::generate(&ECDH_P256).unwrap();
        let public = key.compute_public_key().unwrap().as_ref().to_vec();
        let auth: [u8; 16] = rand::random();
        let mut browsers = self.state.browsers.lock().unwrap();
        browsers.push(Browser {
            key,
            public: public.clone(),
            auth,
        });
        json!({
            "endpoint": format!("{}/push/{}", self.origin, browsers.len() - 1),
            "keys": {"p256dh": BASE64.encode(public), "auth": BASE64.encode(auth)},
            "name": name,
        })
    }

    pub fn answers(&self, codes: &[u16]) {
        self.state.answers.lock().unwrap().extend(codes);
    }

    /// Pushes from now on are never answered.
    pub fn hangs(&self) {
        self.state.hangs.store(true, Ordering::Relaxed);
    }

    /// All pushes so far, including refused ones.
    pub fn pushes(&self) -> Vec<Push> {
        self.state.pushes.lock().unwrap().clone()
    }

    pub async fn received(&self, count: usize) -> Vec<Push> {
        let enough = async {
            loop {
                let arrived = self.state.arrived.notified();
                if self.pushes().len() >= count {
                    return self.pushes();
                }
                arrived.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), enough)
            .await
            .unwrap_or_else(|_| panic!("not {count} pushes in time: {:?}", self.pushes()))
    }
}

async fn receive_push(
    State(service): State<PushService>,
    Path(browser): Path<usize>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(text("content-encoding"), "aes128gcm");
    assert!(text("ttl").parse::<u32>().unwrap() > 0);
    assert!(text("topic").len() <= 32);
    let has_valid_vapid = has_valid_vapid(&text("authorization"), &service.origin);
    let payload = open(&service.state.browsers.lock().unwrap()[browser], &body);
    let answered = match service.state.answers.lock().unwrap().pop_front() {
        _ if !has_valid_vapid => 403,
        Some(code) => code,
        None => 201,
    };
    let push = Push {
        browser,
        payload,
        topic: text("topic"),
        answered,
    };
    service.state.pushes.lock().unwrap().push(push);
    service.state.arrived.notify_waiters();
    if service.state.hangs.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
    StatusCode::from_u16(answered).unwrap()
}

/// RFC 8292: a valid signature, this service as audience, and a lifetime of at most a day.
fn has_valid_vapid(authorization: &str, origin: &str) -> bool {
    let (token, key) = authorization
        .strip_prefix("vapid t=")
        .and_then(|rest| rest.split_once(", k="))
        .unwrap();
    let (signing_input, signature) = token.rsplit_once('.').unwrap();
    let key = BASE64.decode(key).unwrap();
    let signature = BASE64.decode(signature).unwrap();
    Signer::new(&ECDSA_P256_SHA256_FIXED, key)
        .verify(signing_input.as_bytes(), &signature)
        .unwrap();
    let claims = BASE64
        .decode(signing_input.split_once('.').unwrap().1)
        .unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let left = claims["exp"].as_i64().unwrap() - chrono::Utc::now().timestamp();
    claims["aud"] == origin && (1..=86_400).contains(&left) && claims["sub"].is_string()
}

/// RFC 8291, receiver side.
fn open(browser: &Browser, sealed: &[u8]) -> Value {
    let (salt, rest) = sealed.split_at(16);
    let (sender_key, text) = rest[5..].split_at(usize::from(rest[4]));
    let mac = |key: &[u8], text: &[u8]| -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::sign(&key, text).as_ref().to_vec()
    };
    let shared = agree(
        &browser.key,
        UnparsedPublicKey::new(&ECDH_P256, sender_key),
        (),
        |shared| Ok(shared.to_vec()),
    )
    .unwrap();
    let info = [b"WebPush: info\0", &browser.public[..], sender_key, &[1]].concat();
    let secret = mac(&mac(&browser.auth, &shared), &info);
    let mixed = mac(salt, &secret);
    let key = mac(&mixed, b"Content-Encoding: aes128gcm\0\x01");
    let nonce = mac(&mixed, b"Content-Encoding: nonce\0\x01");
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key[..16]).unwrap());
    let nonce = Nonce::try_assume_unique_for_key(&nonce[..12]).unwrap();
    let mut text = text.to_vec();
    let plain = key.open_in_place(nonce, Aad::empty(), &mut text).unwrap();
    serde_json::from_slice(plain.strip_suffix(&[2]).unwrap()).unwrap()
}

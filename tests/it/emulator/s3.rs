//! An S3 store with one bucket: put, get, head and delete for requests signed with its key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

const KEY: &str = "AKIAHARBOR";
const BUCKET: &str = "harbor";

#[derive(Clone)]
pub struct Store {
    url: String,
    state: Arc<Mutex<Contents>>,
}

#[derive(Default)]
struct Contents {
    files: BTreeMap<String, Bytes>,
    is_down: bool,
}

impl Store {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let store = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::default(),
        };
        let router = Router::new()
            .route("/{bucket}/{*key}", any(answer))
            .with_state(store.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        store
    }

    /// Settings that make a server use this store at `media_url`.
    pub fn settings<'a>(&'a self, media_url: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            ("MEDIA_URL", media_url),
            ("AWS_ENDPOINT", &self.url),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", "a secret that signs"),
        ]
    }

    pub fn is_down(&self, down: bool) {
        self.contents().is_down = down;
    }

    pub fn names(&self) -> Vec<String> {
        self.contents().files.keys().cloned().collect()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.state.lock().unwrap()
    }
}

async fn answer(
    State(store): State<Store>,
    Path((bucket, key)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let signed = headers.get(header::AUTHORIZATION);
    let signed = signed.and_then(|signed| signed.to_str().ok());
    let who = format!("AWS4-HMAC-SHA256 Credential={KEY}/");
    let mut contents = store.contents();
    if contents.is_down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if !signed.is_some_and(|signed| signed.starts_with(&who)) || bucket != BUCKET {
        return StatusCode::FORBIDDEN.into_response();
    }
    match method {
        Method::PUT => {
            contents.files.insert(key, body);
            (StatusCode::OK, [(header::ETAG, "\"1\"")]).into_response()
        }
        Method::GET | Method::HEAD => match contents.files.get(&key) {
            Some(bytes) => {
                let about = [
                    (header::ETAG, "\"1\""),
                    (header::LAST_MODIFIED, "Fri, 20 Nov 2026 10:00:00 GMT"),
                ];
                (about, bytes.clone()).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Method::DELETE => {
            contents.files.remove(&key);
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

//! Media of messages: requires Basic auth, then redirects to a host that refuses credentials.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use super::api::{Caller, problem};
use super::{Customer, Emulator};

#[derive(Clone)]
pub struct Media {
    account: String,
    message: String,
    content_type: String,
    bytes: Vec<u8>,
    /// Number of requests that get 404 first.
    late: u32,
}

impl Customer {
    /// Stores media for the message `message_sid`; returns its URL.
    pub fn media(&self, message_sid: &str, content_type: &str, bytes: &[u8]) -> String {
        self.late_media(message_sid, content_type, bytes, 0)
    }

    /// Answers 404 to the first `late` requests.
    pub fn late_media(
        &self,
        message_sid: &str,
        content_type: &str,
        bytes: &[u8],
        late: u32,
    ) -> String {
        let mut state = self.emulator.state();
        let sid = state.new_sid("ME");
        let media = Media {
            account: self.sid.clone(),
            message: message_sid.into(),
            content_type: content_type.into(),
            bytes: bytes.into(),
            late,
        };
        state.media.insert(sid.clone(), media);
        let (url, account) = (self.emulator.url(), &self.sid);
        format!("{url}/2010-04-01/Accounts/{account}/Messages/{message_sid}/Media/{sid}")
    }
}

pub fn router() -> Router<Emulator> {
    Router::new()
        .route("/{account}/Messages/{message}/Media.json", get(list))
        .route("/{account}/Messages/{message}/Media/{media}", get(redirect))
}

async fn list(
    caller: Caller,
    State(emulator): State<Emulator>,
    Path((account, message)): Path<(String, String)>,
) -> Response {
    let state = emulator.state();
    let media = state.media.iter();
    let listed: Vec<_> = media
        .filter(|(_, media)| media.account == caller.account && media.message == message)
        .map(|(sid, media)| {
            let uri = format!("/2010-04-01/Accounts/{account}/Messages/{message}/Media/{sid}.json");
            json!({"sid": sid, "uri": uri, "content_type": media.content_type})
        })
        .collect();
    Json(json!({"media_list": listed})).into_response()
}

async fn redirect(
    caller: Caller,
    State(emulator): State<Emulator>,
    Path((_, message, sid)): Path<(String, String, String)>,
) -> Response {
    let mut state = emulator.state();
    let not_found = || problem(StatusCode::NOT_FOUND, 20404);
    let Some(media) = state.media.get_mut(&sid) else {
        return not_found();
    };
    if media.account != caller.account || media.message != message {
        return not_found();
    }
    if media.late > 0 {
        media.late -= 1;
        return not_found();
    }
    Redirect::temporary(&format!("{}/cdn/{sid}", emulator.url())).into_response()
}

pub async fn bytes(
    State(emulator): State<Emulator>,
    Path(sid): Path<String>,
    headers: HeaderMap,
) -> Response {
    // As Twilio's CDN does. It also shows that credentials stay with the API's host.
    if headers.contains_key(header::AUTHORIZATION) {
        return (StatusCode::BAD_REQUEST, "two ways of authorization").into_response();
    }
    let media = emulator.state().media.get(&sid).cloned();
    match media {
        Some(media) => ([(header::CONTENT_TYPE, media.content_type)], media.bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A file of ours as the provider fetches it: HEAD, then GET, without cookies.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub url: String,
    /// The content type of both responses.
    pub content_type: String,
    pub bytes: Vec<u8>,
}

/// Fetches URLs on this machine and skips others. `None`: a fetch failed.
pub async fn fetch(urls: &[String]) -> Option<Vec<Fetched>> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut fetched = Vec::new();
    for url in urls {
        if !url.starts_with("http://127.0.0.1:") {
            continue;
        }
        let head = client.head(url).send().await.ok()?;
        let answer = client.get(url).send().await.ok()?;
        if head.status() != 200 || answer.status() != 200 {
            return None;
        }
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(head.headers()["content-type"], kind.as_str());
        let length = head.headers()["content-length"]
            .to_str()
            .unwrap()
            .to_owned();
        let bytes = answer.bytes().await.ok()?.to_vec();
        assert_eq!(length, bytes.len().to_string());
        fetched.push(Fetched {
            url: url.clone(),
            content_type: kind,
            bytes,
        });
    }
    Some(fetched)
}

//! The part of Twilio's REST API that the server uses.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Emulator, Failure, media, messages, numbers, usage};

pub fn router(emulator: Emulator) -> Router {
    let accounts = Router::new()
        .route("/{account}", get(account))
        .merge(numbers::router())
        .merge(messages::router())
        .merge(media::router())
        .merge(usage::router());
    Router::new()
        .nest("/2010-04-01/Accounts", accounts)
        .nest("/v1/Services", numbers::services_router())
        .route("/cdn/{media}", get(media::bytes))
        .layer(middleware::from_fn_with_state(
            emulator.clone(),
            inject_faults,
        ))
        .with_state(emulator)
}

async fn inject_faults(State(emulator): State<Emulator>, request: Request, next: Next) -> Response {
    let failure = {
        let mut state = emulator.state();
        let call = format!("{} {}", request.method(), request.uri());
        let failure = match state.failures.pop_front() {
            Some(failure) => Some(failure),
            None => state.dice.as_mut().and_then(|dice| dice(&call)),
        };
        state.calls.push(call);
        failure
    };
    // Reads the body first: faults apply after the request was read.
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .unwrap_or_default();
    let request = Request::from_parts(parts, body.into());
    match failure {
        None => next.run(request).await,
        Some(Failure::Refuse { code, status }) => problem(status, code),
        Some(Failure::Busy { retry_after }) => {
            let mut response = problem(StatusCode::TOO_MANY_REQUESTS, 20429);
            if let Some(seconds) = retry_after {
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        // Only redirects use the Location.
        Some(Failure::Status(status)) => (
            status,
            [(header::LOCATION, "/elsewhere")],
            "<html>upstream</html>",
        )
            .into_response(),
        Some(Failure::AcceptThenStatus(status)) => {
            next.run(request).await;
            (status, "<html>upstream</html>").into_response()
        }
        Some(Failure::AcceptThenDrop) => {
            next.run(request).await;
            hang_up()
        }
        Some(Failure::AcceptThenHang) => {
            next.run(request).await;
            std::future::pending().await
        }
        Some(Failure::AcceptThenGarble) => {
            let status = next.run(request).await.status();
            (status, r#"{"sid": "SM0000"#).into_response()
        }
        Some(Failure::AcceptWithoutSid) => {
            let status = next.run(request).await.status();
            (status, Json(json!({"status": "queued"}))).into_response()
        }
        Some(Failure::AcceptThenSlow(pause)) => {
            let answer = next.run(request).await;
            tokio::time::sleep(pause).await;
            answer
        }
        Some(Failure::Drop) => hang_up(),
        Some(Failure::Hang) => std::future::pending().await,
        Some(Failure::Slow(pause)) => {
            tokio::time::sleep(pause).await;
            next.run(request).await
        }
    }
}

/// Ends the connection's task, and with it the connection, without output.
fn hang_up() -> ! {
    std::panic::resume_unwind(Box::new("hung up"))
}

/// The account of the Basic auth credentials. An account named in the path must be the same.
pub struct Caller {
    pub account: String,
}

impl FromRequestParts<Emulator> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, emulator: &Emulator) -> Result<Self, Response> {
        let account = signed_in(parts, emulator);
        let account = account.ok_or_else(|| problem(StatusCode::UNAUTHORIZED, 20003))?;
        let path = parts.uri.path();
        // The nested router strips the prefix.
        let named = path.split(['/', '.']).find(|part| part.starts_with("AC"));
        match named {
            Some(named) if named != account => Err(problem(StatusCode::UNAUTHORIZED, 20003)),
            _ => Ok(Self { account }),
        }
    }
}

fn signed_in(parts: &Parts, emulator: &Emulator) -> Option<String> {
    let header = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let decoded = STANDARD.decode(header.strip_prefix("Basic ")?).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (sid, token) = decoded.split_once(':')?;
    let state = emulator.state();
    let mut accounts = state.accounts.iter();
    let account = accounts.find(|account| account.sid == sid && account.token == token)?;
    Some(account.sid.clone())
}

async fn account(caller: Caller, State(emulator): State<Emulator>) -> Response {
    let state = emulator.state();
    let mut accounts = state.accounts.iter();
    let account = accounts
        .find(|account| account.sid == caller.account)
        .unwrap();
    Json(json!({
        "sid": account.sid,
        "friendly_name": account.name,
        "status": account.status,
        "type": account.kind,
        "auth_token": account.token,
        "owner_account_sid": account.sid,
    }))
    .into_response()
}

#[derive(Deserialize)]
pub struct Paging {
    #[serde(rename = "PageSize", default = "fifty")]
    size: usize,
    #[serde(rename = "Page", default)]
    page: usize,
}

fn fifty() -> usize {
    50
}

/// One page of `rows`, and the link to the next one.
pub fn page(
    emulator: &Emulator,
    paging: &Paging,
    rows: Vec<Value>,
    path: &str,
) -> (Vec<Value>, Option<String>) {
    let (most, repeats) = {
        let state = emulator.state();
        (state.page_size.unwrap_or(1000), state.repeats_pages)
    };
    let size = paging.size.clamp(1, most);
    let start = paging.page * size;
    let next = if repeats {
        paging.page
    } else {
        paging.page + 1
    };
    let link = (rows.len() > next * size || repeats)
        .then(|| format!("{path}?PageSize={size}&Page={next}&PageToken=PA{next}"));
    (rows.into_iter().skip(start).take(size).collect(), link)
}

pub fn problem(status: StatusCode, code: u32) -> Response {
    let problem = json!({
        "code": code,
        "message": format!("Twilio's own words about {code}"),
        "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
        "status": status.as_u16(),
    });
    (status, Json(problem)).into_response()
}

//! The part of Telnyx's REST API that the server uses.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Failure, Telnyx, messages, numbers, usage};

pub fn router(telnyx: Telnyx) -> Router {
    let api = Router::new()
        .route("/balance", get(balance))
        .merge(numbers::router())
        .merge(messages::router())
        .merge(usage::router());
    Router::new()
        .nest("/v2", api)
        .layer(middleware::from_fn_with_state(
            telnyx.clone(),
            inject_faults,
        ))
        .with_state(telnyx)
}

async fn inject_faults(State(telnyx): State<Telnyx>, request: Request, next: Next) -> Response {
    let failure = {
        let mut state = telnyx.state();
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
    let upstream = |status: StatusCode| {
        let elsewhere = [(header::LOCATION, "/elsewhere")];
        (status, elsewhere, "<html>upstream</html>").into_response()
    };
    match failure {
        None => next.run(request).await,
        Some(Failure::Refuse { code, status }) => problem(status, code),
        Some(Failure::Busy { retry_after }) => {
            let mut response = problem(StatusCode::TOO_MANY_REQUESTS, 10011);
            if let Some(seconds) = retry_after {
                let headers = response.headers_mut();
                headers.insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        Some(Failure::Status(status)) => upstream(status),
        Some(Failure::AcceptThenStatus(status)) => {
            next.run(request).await;
            upstream(status)
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
            (status, r#"{"data": {"record_type": "mess"#).into_response()
        }
        Some(Failure::AcceptWithoutSid) => {
            let status = next.run(request).await.status();
            let data = json!({"data": {"record_type": "message", "to": [{"status": "queued"}]}});
            (status, Json(data)).into_response()
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

/// The account index of the API key.
pub struct Caller(pub usize);

impl FromRequestParts<Telnyx> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, telnyx: &Telnyx) -> Result<Self, Response> {
        let header = parts.headers.get(header::AUTHORIZATION);
        let key = header.and_then(|header| header.to_str().ok()?.strip_prefix("Bearer "));
        let state = telnyx.state();
        let mut accounts = state.accounts.iter();
        let index = accounts.position(|account| Some(account.api_key.as_str()) == key);
        let index = index.ok_or_else(|| problem(StatusCode::UNAUTHORIZED, 10009))?;
        match state.accounts[index].refusal {
            Some((status, code)) => Err(problem(StatusCode::from_u16(status).unwrap(), code)),
            None => Ok(Self(index)),
        }
    }
}

async fn balance(Caller(index): Caller, State(telnyx): State<Telnyx>) -> Response {
    if telnyx.state().accounts[index].hides_balance {
        return problem(StatusCode::FORBIDDEN, 10010);
    }
    let balance = json!({"record_type": "balance", "balance": "300.00", "available_credit": "400.00", "currency": "USD"});
    Json(json!({"data": balance})).into_response()
}

/// One page of `rows`, by `page[number]` and `page[size]`.
pub fn page(telnyx: &Telnyx, query: &str, rows: Vec<Value>) -> Response {
    let parameter = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let (_, value) = pairs.find(|(field, _)| field == name)?;
        value.parse::<usize>().ok()
    };
    let state = telnyx.state();
    let size = parameter("page[size]").unwrap_or(20).min(250);
    let size = size.min(state.page_size.unwrap_or(size)).max(1);
    let number = match state.repeats_pages {
        true => 1,
        false => parameter("page[number]").unwrap_or(1).max(1),
    };
    let total = rows.len();
    let pages = if state.repeats_pages {
        9
    } else {
        total.div_ceil(size)
    };
    let rows: Vec<_> = rows
        .into_iter()
        .skip((number - 1) * size)
        .take(size)
        .collect();
    let meta = json!({"page_number": number, "page_size": size, "total_pages": pages, "total_results": total});
    Json(json!({"data": rows, "meta": meta})).into_response()
}

pub fn problem(status: StatusCode, code: u32) -> Response {
    let error = error(code);
    (status, Json(json!({"errors": [error]}))).into_response()
}

/// An error as in Telnyx's responses and events.
pub fn error(code: u32) -> Value {
    let title = match code {
        40300 => "Blocked due to STOP message".to_owned(),
        _ => format!("Telnyx's own words about {code}"),
    };
    json!({"code": code.to_string(), "title": title, "detail": null,
        "meta": {"url": format!("https://developers.telnyx.com/docs/overview/errors/{code}")}})
}

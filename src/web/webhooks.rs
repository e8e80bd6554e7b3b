//! Webhooks of the providers: find the integration, verify the signature, parse, store. Responds after the commit.
//!
//! Round trips: an inbound text 1, batched with others by the ingest writer; a status report 1, batched in
//! the same way. Numbers and credentials are cached, and the journal is written by the same
//! statements. A request with an invalid signature: 1, rate limited.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;

use super::json::Path;
use super::problem::{self, Problem};
use super::{AppState, guard};
use crate::domain::integrations::Account;
use crate::domain::messages::receive::Arrival;
use crate::domain::messages::status::Report;
use crate::domain::quarantine;
use crate::domain::webhooks::{self, Outcome, Via};
use crate::error::Error;
use crate::ids::IntegrationId;
use crate::language::t;
use crate::providers::{Hook, Inbound, Kind, SignedRequest, StatusReport, WebhookEvent, twilio};

/// Apart from the other routes: providers' requests are cross-origin, their signature is verified instead, and of the
/// many layers around pages they need few.
pub fn router(app_state: &AppState) -> Router {
    let of_integration = "/webhooks/{provider}/{integration_id}";
    Router::new()
        .route("/twilio/webhook", get(twilio_inbound).post(twilio_inbound))
        .route("/twilio/status", get(twilio_status).post(twilio_status))
        .route(
            &format!("{of_integration}/inbound"),
            get(inbound).post(inbound),
        )
        .route(
            &format!("{of_integration}/status"),
            get(status).post(status),
        )
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(middleware::from_fn_with_state(
            app_state.clone(),
            guard::webhook,
        ))
        .with_state(app_state.clone())
}

/// A provider's request, unparsed: the signature covers its bytes.
pub struct Call {
    url: String,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
}

impl axum::extract::FromRequest<AppState> for Call {
    type Rejection = Problem;

    async fn from_request(request: Request, app_state: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = app_state.app.config.public(path);
        let body = axum::body::to_bytes(body, super::LARGEST_BODY);
        let body = tokio::time::timeout(guard::MAX_SILENCE, body)
            .await
            .map_err(|_| guard::incomplete())?;
        Ok(Self {
            url,
            // HEAD is GET without a response body.
            method: match parts.method {
                Method::HEAD => Method::GET,
                method => method,
            },
            headers: parts.headers,
            body: body.map_err(unreadable)?,
        })
    }
}

fn unreadable(error: axum::Error) -> Problem {
    if error.into_inner().is::<http_body_util::LengthLimitError>() {
        let detail = t!("Webhook calls can be at most 256 kB");
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail);
    }
    let detail = t!("The body is incomplete, or its chunks can’t be read");
    Problem::new(StatusCode::BAD_REQUEST, "malformed", detail)
}

impl Call {
    fn signed(&self) -> SignedRequest<'_> {
        SignedRequest {
            public_url: &self.url,
            method: &self.method,
            headers: &self.headers,
            body: &self.body,
        }
    }
}

/// One URL for all workspaces: finds the integration by `AccountSid` and `To`.
async fn twilio_inbound(
    State(app_state): State<AppState>,
    call: Call,
) -> Result<Response, Problem> {
    let (account, to) = twilio::addressee(&call.signed()).map_err(malformed)?;
    let accounts = app_state.directory.accounts(Kind::Twilio, &account).await?;
    let mine: Vec<_> = accounts
        .into_iter()
        .filter(|account| account.number(to.as_str()).is_some())
        .collect();
    let account = verified(&app_state, &call, Hook::Inbound, mine).await?;
    process(&app_state, &account, Hook::Inbound, &call).await
}

/// One URL for all workspaces: finds the integration by `AccountSid`, the message by our id or `MessageSid`.
async fn twilio_status(State(app_state): State<AppState>, call: Call) -> Result<Response, Problem> {
    let report = twilio::parse_status(&call.signed()).map_err(malformed)?;
    let accounts = app_state
        .directory
        .accounts(Kind::Twilio, &report.account)
        .await?;
    let found: Vec<_> = accounts
        .iter()
        .filter(|account| account.verifies(&call.signed()))
        .collect();
    if found.is_empty() {
        return Err(refused(&app_state, &call, Hook::Status, &accounts).await);
    }
    for account in found {
        if take_report(&app_state, account, &report).await? {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
    Err(Error::NotFound(t!("a message with this MessageSid")).into())
}

/// The URL of one integration, configured at the provider by number sync.
async fn inbound(
    State(app_state): State<AppState>,
    Path((provider, id)): Path<(Kind, IntegrationId)>,
    call: Call,
) -> Result<Response, Problem> {
    let account = of_integration(&app_state, provider, id).await?;
    let account = verified(&app_state, &call, Hook::Inbound, vec![account]).await?;
    process(&app_state, &account, Hook::Inbound, &call).await
}

async fn status(
    State(app_state): State<AppState>,
    Path((provider, id)): Path<(Kind, IntegrationId)>,
    call: Call,
) -> Result<Response, Problem> {
    let account = of_integration(&app_state, provider, id).await?;
    let account = verified(&app_state, &call, Hook::Status, vec![account]).await?;
    process(&app_state, &account, Hook::Status, &call).await
}

/// Processes a verified request.
async fn process(
    app_state: &AppState,
    account: &Account,
    hook: Hook,
    call: &Call,
) -> Result<Response, Problem> {
    let db = &app_state.app.db;
    match account.provider.read(hook, &call.signed()) {
        Ok(WebhookEvent::Text(text)) => store(app_state, account, text).await,
        Ok(WebhookEvent::Report(report)) => match take_report(app_state, account, &report).await? {
            true => Ok(StatusCode::NO_CONTENT.into_response()),
            false => Err(Error::NotFound(t!("a message with this ID")).into()),
        },
        Ok(WebhookEvent::Nothing) => {
            let detail = t!("an event type that MessageHub doesn’t use");
            webhooks::note(db, account, kind(hook), Outcome::Ignored, &detail).await?;
            Ok(StatusCode::OK.into_response())
        }
        Err(wrong) => {
            webhooks::note(db, account, kind(hook), Outcome::Malformed, &wrong.0).await?;
            Err(malformed(wrong))
        }
    }
}

fn kind(hook: Hook) -> webhooks::Kind {
    match hook {
        Hook::Inbound => webhooks::Kind::Inbound,
        Hook::Status => webhooks::Kind::Status,
    }
}

async fn of_integration(
    app_state: &AppState,
    provider: Kind,
    id: IntegrationId,
) -> Result<Arc<Account>, Problem> {
    let account = app_state
        .directory
        .integration(id)
        .await?
        .filter(|account| account.provider.kind() == provider);
    Ok(account.ok_or(Error::NotFound(t!("an integration at this address")))?)
}

/// The account whose signature matches: several workspaces can have connected the same one.
async fn verified(
    app_state: &AppState,
    call: &Call,
    hook: Hook,
    accounts: Vec<Arc<Account>>,
) -> Result<Arc<Account>, Problem> {
    if accounts.is_empty() {
        return Err(Error::NotFound(t!("this number or account")).into());
    }
    let mut ours = accounts.iter();
    match ours.find(|account| account.verifies(&call.signed())) {
        Some(account) => Ok(Arc::clone(account)),
        None => Err(refused(app_state, call, hook, &accounts).await),
    }
}

/// Quarantines the request for an admin.
async fn refused(
    app_state: &AppState,
    call: &Call,
    hook: Hook,
    accounts: &[Arc<Account>],
) -> Problem {
    metrics::counter!("messagehub_webhooks_refused_total").increment(1);
    for account in accounts {
        let (db, rate_limiter) = (&app_state.app.db, &app_state.rate_limiter);
        match quarantine::store(db, rate_limiter, account, hook, &call.signed()).await {
            Ok(kept) => {
                tracing::info!(integration.id = %account.integration, kept, "invalid webhook signature");
            }
            // The provider retries after a server error.
            Err(error) => return error.into(),
        }
    }
    let detail = t!(
        "The signature doesn’t match. Check that BASE_URL is exactly the origin configured at the provider, that the credentials are current, and that this server’s clock is right."
    );
    Problem::new(StatusCode::FORBIDDEN, "bad_signature", detail)
}

fn malformed(wrong: crate::providers::Malformed) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed", wrong.0)
}

async fn store(
    app_state: &AppState,
    account: &Account,
    text: Inbound,
) -> Result<Response, Problem> {
    let Some(number) = account.number(text.to.as_str()) else {
        let detail = t!("a text to a number that isn’t part of this integration");
        let (kind, db) = (webhooks::Kind::Inbound, &app_state.app.db);
        webhooks::note(db, account, kind, Outcome::Ignored, &detail).await?;
        return Err(Error::NotFound(t!("this number")).into());
    };
    let stored = app_state
        .ingest
        .store(Arrival {
            workspace: account.workspace,
            integration: account.integration,
            number,
            provider: account.provider.kind(),
            text,
            via: Some(Via::Webhook),
        })
        .await?;
    metrics::counter!("messagehub_texts_received_total", "added" => if stored.added { "yes" } else { "no" }).increment(1);
    let receipt = account.provider.receipt();
    Ok(([(header::CONTENT_TYPE, receipt.content_type)], receipt.body).into_response())
}

async fn take_report(
    app_state: &AppState,
    account: &Account,
    report: &StatusReport,
) -> Result<bool, Problem> {
    if report.status.is_none() {
        tracing::info!(
            status = report.raw_status,
            "provider reported an unknown status"
        );
        metrics::counter!("messagehub_unknown_statuses_total").increment(1);
    }
    let report = Report {
        workspace: account.workspace,
        integration: account.integration,
        provider: account.provider.kind(),
        via: Via::Webhook,
        report: report.clone(),
    };
    Ok(app_state.reports.take(report).await?)
}

//! The providers' door: find whose it is, verify, parse, hand over. Answers after the commit.
//!
//! Round trips of an inbound text: 1 (the ingest writer's, shared with whatever else arrives at that moment); numbers and
//! credentials come from memory. Of a status report: 3 (begin, report, commit).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Doors;
use super::json::Path;
use super::problem::Problem;
use crate::domain::integrations::Account;
use crate::domain::messages::receive::Arrival;
use crate::domain::messages::status;
use crate::error::Error;
use crate::ids::IntegrationId;
use crate::providers::{Hook, Inbound, Kind, SignedRequest, StatusReport, Told, twilio};

/// A provider's call as it came: the signature covers its very bytes.
pub struct Call {
    url: String,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
}

impl axum::extract::FromRequest<Doors> for Call {
    type Rejection = Problem;

    async fn from_request(request: Request, doors: &Doors) -> Result<Self, Problem> {
        let original = request
            .extensions()
            .get::<OriginalUri>()
            .map_or_else(|| request.uri().clone(), |uri| uri.0.clone());
        let path = original.path_and_query().map_or("/", |path| path.as_str());
        let (parts, body) = request.into_parts();
        if !matches!(parts.method, Method::POST | Method::GET) {
            return Err(Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "providers POST here, or GET where they are set to",
            ));
        }
        let body = axum::body::to_bytes(body, super::LARGEST_BODY)
            .await
            .map_err(|_| {
                Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "payload_too_large",
                    "a webhook is at most 256 kB",
                )
            })?;
        Ok(Self {
            url: doors.app.config.public(path),
            method: parts.method,
            headers: parts.headers,
            body,
        })
    }
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

/// One URL for every workspace: found by `AccountSid` and `To`.
pub async fn twilio_inbound(State(doors): State<Doors>, call: Call) -> Result<Response, Problem> {
    let text = twilio::parse_inbound(&call.signed()).map_err(malformed)?;
    let accounts = doors
        .directory
        .accounts(Kind::Twilio, &text.account)
        .await?;
    let mine: Vec<_> = accounts
        .into_iter()
        .filter(|account| account.number(text.to.as_str()).is_some())
        .collect();
    let account = verified(&call, mine)?;
    store(&doors, &account, text).await
}

/// One URL for every workspace: found by `AccountSid`, then by our id or `MessageSid`.
pub async fn twilio_status(State(doors): State<Doors>, call: Call) -> Result<Response, Problem> {
    let report = twilio::parse_status(&call.signed()).map_err(malformed)?;
    let accounts = doors
        .directory
        .accounts(Kind::Twilio, &report.account)
        .await?;
    let mut found = Vec::new();
    for account in accounts {
        if account.verifies(&call.signed()) {
            found.push(account);
        }
    }
    if found.is_empty() {
        return Err(bad_signature());
    }
    for account in found {
        if take_report(&doors, &account, &report).await? {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
    Err(Error::NotFound("a message with this MessageSid").into())
}

/// An integration's own URL: what number sync configures at the provider.
pub async fn inbound(
    State(doors): State<Doors>,
    Path((provider, id)): Path<(Kind, IntegrationId)>,
    call: Call,
) -> Result<Response, Problem> {
    let account = of_integration(&doors, provider, id).await?;
    take(&doors, account, Hook::Inbound, call).await
}

pub async fn status(
    State(doors): State<Doors>,
    Path((provider, id)): Path<(Kind, IntegrationId)>,
    call: Call,
) -> Result<Response, Problem> {
    let account = of_integration(&doors, provider, id).await?;
    take(&doors, account, Hook::Status, call).await
}

async fn take(
    doors: &Doors,
    account: Arc<Account>,
    hook: Hook,
    call: Call,
) -> Result<Response, Problem> {
    let account = verified(&call, vec![account])?;
    let told = account.provider.read(hook, &call.signed());
    match told.map_err(malformed)? {
        Told::Text(text) => store(doors, &account, text).await,
        Told::Report(report) => match take_report(doors, &account, &report).await? {
            true => Ok(StatusCode::NO_CONTENT.into_response()),
            false => Err(Error::NotFound("a message with this id").into()),
        },
        Told::Nothing => Ok(StatusCode::OK.into_response()),
    }
}

async fn of_integration(
    doors: &Doors,
    provider: Kind,
    id: IntegrationId,
) -> Result<Arc<Account>, Problem> {
    let account = doors
        .directory
        .integration(id)
        .await?
        .filter(|account| account.provider.kind() == provider);
    Ok(account.ok_or(Error::NotFound("an integration at this address"))?)
}

/// Whichever of these the signature belongs to: two workspaces may have connected one account.
fn verified(call: &Call, accounts: Vec<Arc<Account>>) -> Result<Arc<Account>, Problem> {
    if accounts.is_empty() {
        return Err(Error::NotFound("a number or an account like this").into());
    }
    accounts
        .into_iter()
        .find(|account| account.verifies(&call.signed()))
        .ok_or_else(bad_signature)
}

fn bad_signature() -> Problem {
    metrics::counter!("messagehub_webhooks_refused_total").increment(1);
    let detail = "the signature does not fit: is BASE_URL the very origin that is configured at the provider, are the credentials the current ones, and is this server's clock right?";
    Problem::new(StatusCode::FORBIDDEN, "bad_signature", detail)
}

fn malformed(wrong: crate::providers::Malformed) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed", wrong.to_string())
}

async fn store(doors: &Doors, account: &Account, text: Inbound) -> Result<Response, Problem> {
    let number = account
        .number(text.to.as_str())
        .ok_or(Error::NotFound("a number like this"))?;
    let stored = doors
        .ingest
        .store(Arrival {
            workspace: account.workspace,
            integration: account.integration,
            number,
            provider: account.provider.kind(),
            text,
        })
        .await?;
    metrics::counter!("messagehub_texts_received_total", "added" => if stored.added { "yes" } else { "no" }).increment(1);
    let receipt = account.provider.receipt();
    Ok(([(header::CONTENT_TYPE, receipt.content_type)], receipt.body).into_response())
}

async fn take_report(
    doors: &Doors,
    account: &Account,
    report: &StatusReport,
) -> Result<bool, Problem> {
    if report.status.is_none() {
        tracing::info!(
            status = report.raw_status,
            "a provider reported a status that is not known here"
        );
        metrics::counter!("messagehub_unknown_statuses_total").increment(1);
    }
    Ok(status::report(
        &doors.app.db,
        account.workspace,
        account.integration,
        report,
    )
    .await?)
}

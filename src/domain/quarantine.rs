//! Calls about our numbers whose signature did not match. An admin decides: the provider called and our settings were
//! wrong, or the call is forged.
//!
//! Anyone can send such calls, so they are limited per minute, per number and in size.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_lc_rs::digest::{self, SHA256};
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Serialize;
use serde_json::json;

use crate::app::App;
use crate::clock;
use crate::db::purpose::{Jobs, Receive};
use crate::db::{Db, WorkspaceTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::integrations::{Account, Directory};
use crate::domain::members::Admin;
use crate::domain::messages::receive::{Arrival, Ingest};
use crate::domain::messages::status::{Report, Reports};
use crate::domain::string_enum;
use crate::domain::webhooks::{self, Via};
use crate::error::{Error, Result};
use crate::ids::{IntegrationId, NumberId, QuarantineId};
use crate::language::{Message, t};
use crate::listing::{Cursor, Page, Span, page, unless_empty};
use crate::phone;
use crate::providers::{self, Hook, SignatureMismatch, SignedRequest, WebhookEvent};

string_enum!(#[schema(as = QuarantineState)]
State { Waiting = "waiting", Released = "released", Discarded = "discarded" });

/// The most that wait for one number. The oldest calls stay, so that a flood cannot displace them.
const MAX_WAITING: i64 = 1_000;
/// The body of a text is about a tenth of this.
const MAX_BODY_SIZE: usize = 16 * 1024;
/// For one number, on this server.
const CALLS_PER_MINUTE: u32 = 120;
/// Beyond this, the rate limiter forgets the numbers that have been quiet longest.
const TRACKED_KEYS: u64 = 10_000;
/// The most that one request releases, because the admin waits for it.
const RELEASE_BATCH: i64 = 200;

/// Counts recent calls in memory, so that a flood does not reach the database.
#[derive(Clone)]
pub struct RateLimiter(Cache<RateKey, Arc<AtomicU32>>);

type RateKey = (IntegrationId, Option<NumberId>);

impl Default for RateLimiter {
    fn default() -> Self {
        let counts = Cache::builder()
            .max_capacity(TRACKED_KEYS)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(Duration::from_secs(60));
        Self(counts.build())
    }
}

impl RateLimiter {
    fn allows(&self, key: RateKey) -> bool {
        let count = self.0.get_with(key, Arc::default);
        count.fetch_add(1, Ordering::Relaxed) < CALLS_PER_MINUTE
    }
}

/// Stores a call that `account` could not verify, with the probable cause, if it is about one of its numbers or texts.
/// Returns whether the call waits for an admin. One round trip.
pub async fn store(
    db: &Db,
    rate_limiter: &RateLimiter,
    account: &Account,
    hook: Hook,
    request: &SignedRequest<'_>,
) -> Result<bool> {
    let Ok(event) = account.provider.read(hook, request) else {
        return Ok(false);
    };
    let (kind, number, sid, sender) = match &event {
        WebhookEvent::Text(text) => {
            let Some(number) = account.number(text.to.as_str()) else {
                return Ok(false);
            };
            let (sid, sender) = (text.provider_sid.as_str(), text.from.to_string());
            (webhooks::Kind::Inbound, Some(number), sid, sender)
        }
        WebhookEvent::Report(report) => {
            let sid = report.provider_sid.as_str();
            (webhooks::Kind::Status, None, sid, String::new())
        }
        WebhookEvent::Nothing => return Ok(false),
    };
    let fits_in = request.body.len() <= MAX_BODY_SIZE && request.public_url.len() <= 4_096;
    if !fits_in || !rate_limiter.allows((account.integration, number)) {
        metrics::counter!("messagehub_webhooks_not_kept_total").increment(1);
        return Ok(false);
    }
    let content_type = request.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    let kept = sqlx::query_scalar!(
        r#"with kept as (
               insert into quarantine (workspace_id, integration_id, number_id, provider, kind, provider_sid, sender, method, url,
                                       content_type, body, cause, fingerprint)
               select $1, $2, $3, $4, $5, $6, $7, $8, $9, left($10, 200), $11, $12, $13
                where (select count(*) from (select from quarantine q
                                              where q.workspace_id = $1 and q.integration_id = $2 and q.state = 'waiting'
                                                and q.number_id is not distinct from $3
                                              limit $14) t) < $14
                   or exists (select from quarantine q where q.workspace_id = $1 and q.fingerprint = $13)
                   on conflict on constraint quarantine_once do update set times = quarantine.times + 1
               returning times, cause
           ), journaled as (
               insert into webhooks (workspace_id, integration_id, number_id, provider, kind, via, provider_sid, outcome, detail)
               select $1, $2, $3, $4, $5, $15, $6, 'quarantined', k.cause from kept k where k.times = 1
           )
           select true as "kept!" from kept"#,
        account.workspace as _,
        account.integration as _,
        number as _,
        account.provider.kind() as _,
        kind as _,
        sid,
        sender,
        request.method.as_str(),
        request.public_url,
        content_type,
        request.body,
        cause(account.provider.signature_mismatch(request), request, account.provider.kind()).stored(),
        fingerprint(account, &event),
        MAX_WAITING,
        Via::Webhook as _,
    )
    .fetch_optional(db.system_pool(Receive))
    .await?;
    if kept.is_none() {
        metrics::counter!("messagehub_webhooks_not_kept_total").increment(1);
    }
    Ok(kept.is_some())
}

/// A hash of the content, not of the bytes: a provider's retry has a different time.
fn fingerprint(account: &Account, event: &WebhookEvent) -> Vec<u8> {
    let mut hash = digest::Context::new(&SHA256);
    hash.update(account.integration.0.as_bytes());
    hash.update(format!("{event:?}").as_bytes());
    hash.finish().as_ref().to_vec()
}

/// The probable cause of the mismatch, and how to fix it.
fn cause(
    signature_mismatch: SignatureMismatch,
    request: &SignedRequest<'_>,
    provider: providers::Kind,
) -> Message {
    let provider = provider.name();
    match signature_mismatch {
        SignatureMismatch::Unsigned => t!(
            "It carries no signature. {provider} signs every call: this was probably somebody else, or a proxy takes the header away.",
            provider = provider
        ),
        SignatureMismatch::OtherUrl(url) => {
            let (ours, theirs) = (origin(request.public_url), origin(&url));
            if ours == theirs {
                return t!(
                    "The signature fits {url}, which is not the address that we gave to {provider}: set the number’s webhook anew.",
                    url = url,
                    provider = provider
                );
            }
            t!(
                "The signature fits when {provider} called {theirs}, but BASE_URL says {ours}. Set BASE_URL to {theirs}, then release this.",
                provider = provider,
                theirs = theirs,
                ours = ours
            )
        }
        SignatureMismatch::OtherTime => t!(
            "The signature is {provider}’s, but it was made more than five minutes before or after it came: this server’s clock is wrong, or something held the call up.",
            provider = provider
        ),
        SignatureMismatch::WrongCredentials => t!(
            "The signature fits none of the usual forms of this address. Either the credentials here are not the current ones (were they rotated at {provider}?), or it was not {provider} who called.",
            provider = provider
        ),
    }
}

fn origin(url: &str) -> &str {
    let end = url
        .find("://")
        .and_then(|scheme| url[scheme + 3..].find(['/', '?']).map(|at| scheme + 3 + at));
    end.map_or(url, |end| &url[..end])
}

/// A call that waits for an admin, or was settled by one.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct QuarantinedCall {
    pub id: QuarantineId,
    pub integration_id: IntegrationId,
    /// `null` for a report.
    pub number_id: Option<NumberId>,
    pub phone_number: Option<String>,
    pub provider: providers::Kind,
    pub kind: webhooks::Kind,
    pub provider_sid: String,
    /// The sender of the text, as the call claims.
    pub sender: String,
    /// The URL that the signature was checked against.
    pub url: String,
    /// Why the signature probably did not match, and what to do about it.
    #[schema(value_type = String)]
    pub cause: Message,
    /// How often the same call was received.
    pub times: i32,
    pub state: State,
    pub settled_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// The parameters of the call. They are deleted when it is released or discarded.
    pub parameters: Vec<Parameter>,
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Parameter {
    pub name: String,
    pub value: String,
}

impl QuarantinedCall {
    pub fn formatted_number(&self) -> String {
        phone::display(self.phone_number.as_deref().unwrap_or_default())
    }

    pub fn formatted_sender(&self) -> String {
        phone::display(&self.sender)
    }

    pub fn is_text(&self) -> bool {
        self.kind == webhooks::Kind::Inbound
    }
}

struct Row {
    id: QuarantineId,
    integration_id: IntegrationId,
    number_id: Option<NumberId>,
    phone_number: Option<String>,
    provider: providers::Kind,
    kind: webhooks::Kind,
    provider_sid: String,
    sender: String,
    method: String,
    url: String,
    content_type: String,
    body: Vec<u8>,
    cause: Message,
    times: i32,
    state: State,
    settled_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl Row {
    fn method(&self) -> Method {
        self.method.parse().unwrap_or(Method::POST)
    }

    fn headers(&self) -> HeaderMap {
        let content_type = HeaderValue::from_str(&self.content_type).ok();
        content_type
            .filter(|content_type| !content_type.is_empty())
            .map(|content_type| (CONTENT_TYPE, content_type))
            .into_iter()
            .collect()
    }

    fn with_request<T>(&self, read: impl FnOnce(&SignedRequest<'_>) -> T) -> T {
        read(&SignedRequest {
            public_url: &self.url,
            method: &self.method(),
            headers: &self.headers(),
            body: &self.body,
        })
    }

    fn hook(&self) -> Hook {
        match self.kind {
            webhooks::Kind::Inbound => Hook::Inbound,
            webhooks::Kind::Status => Hook::Status,
        }
    }
}

impl From<Row> for QuarantinedCall {
    fn from(row: Row) -> Self {
        let parameters = match row.state {
            State::Waiting => row.with_request(|request| request.parameters()),
            State::Released | State::Discarded => Vec::new(),
        };
        Self {
            id: row.id,
            integration_id: row.integration_id,
            number_id: row.number_id,
            phone_number: row.phone_number,
            provider: row.provider,
            kind: row.kind,
            provider_sid: row.provider_sid,
            sender: row.sender,
            url: row.url,
            cause: row.cause,
            times: row.times,
            state: row.state,
            settled_at: row.settled_at,
            created_at: row.created_at,
            parameters: parameters
                .into_iter()
                .map(|(name, value)| Parameter { name, value })
                .collect(),
        }
    }
}

/// Filters of calls. All are optional.
#[derive(Debug, Default, Clone, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only calls about this number.
    #[serde(default, deserialize_with = "unless_empty")]
    pub number_id: Option<NumberId>,
    /// The default is `waiting`.
    #[serde(default, deserialize_with = "unless_empty")]
    pub state: Option<State>,
}

/// Newest first. Row-level security shows calls to admins only.
pub async fn list(
    tx: &mut WorkspaceTx,
    _: &Admin,
    filter: &Filter,
    span: &Span,
) -> Result<Page<QuarantinedCall>> {
    let (limit, after) = (span.limit()?, span.cursor()?);
    let state = filter.state.unwrap_or(State::Waiting);
    let after = after.map(|cursor| QuarantineId(cursor.id));
    let rows = read(tx, None, filter.number_id, Some(state), after, limit + 1).await?;
    let rows = rows.into_iter().map(QuarantinedCall::from).collect();
    Ok(page(rows, limit, |kept: &QuarantinedCall| Cursor {
        at: kept.created_at,
        id: kept.id.0,
    }))
}

pub async fn find(tx: &mut WorkspaceTx, _: &Admin, id: QuarantineId) -> Result<QuarantinedCall> {
    Ok(row(tx, id).await?.into())
}

async fn row(tx: &mut WorkspaceTx, id: QuarantineId) -> Result<Row> {
    read(tx, Some(id), None, None, None, 1)
        .await?
        .pop()
        .ok_or(Error::NotFound(t!("this call")))
}

async fn read(
    tx: &mut WorkspaceTx,
    id: Option<QuarantineId>,
    number: Option<NumberId>,
    state: Option<State>,
    before: Option<QuarantineId>,
    most: i64,
) -> Result<Vec<Row>> {
    Ok(sqlx::query_as!(
        Row,
        r#"select q.id, q.integration_id, q.number_id, n.phone_number as "phone_number?", q.provider, q.kind, q.provider_sid,
                  q.sender, q.method, q.url, q.content_type, q.body, q.cause, q.times, q.state, q.settled_at, q.created_at
             from quarantine q
             left join numbers n on n.workspace_id = q.workspace_id and n.id = q.number_id
            where ($1::uuid is null or q.id = $1)
              and ($2::uuid is null or q.number_id = $2)
              and ($3::text is null or q.state = $3)
              and ($4::uuid is null or q.id < $4)
            order by q.id desc
            limit $5"#,
        id as _,
        number as _,
        state as _,
        before as _,
        most,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// The handles for processing a released call.
pub struct ReleaseContext<'a> {
    pub app: &'a App,
    pub directory: &'a Directory,
    pub ingest: &'a Ingest,
    pub reports: &'a Reports,
}

/// Processes the call as if its signature had matched. Idempotent: a second release changes nothing.
pub async fn release(
    context: &ReleaseContext<'_>,
    admin: &Admin,
    id: QuarantineId,
) -> Result<QuarantinedCall> {
    let mut tx = context.app.db.workspace(admin.tenant()).await?;
    let row = row(&mut tx, id).await?;
    drop(tx);
    if row.state == State::Waiting {
        // Processed before it is settled: after a crash in between, the second release is a repeat.
        process(context, &row).await?;
        settle(&context.app.db, admin, &row, State::Released).await?;
    }
    let mut tx = context.app.db.workspace(admin.tenant()).await?;
    find(&mut tx, admin, id).await
}

/// How many were released or discarded, and how many still wait.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Settled {
    pub settled: i64,
    /// Calls that could not be processed, because their number is gone.
    pub failed: i64,
    pub waiting: i64,
}

/// Releases the oldest calls in order, as many as one request can process. Calls that fail move to the end of the
/// queue, so that the next request continues after them. Four round trips, plus those of storing the texts in batches.
pub async fn release_all(
    context: &ReleaseContext<'_>,
    admin: &Admin,
    number: Option<NumberId>,
) -> Result<Settled> {
    let mut tx = context.app.db.workspace(admin.tenant()).await?;
    let rows = oldest(&mut tx, number).await?;
    drop(tx);
    // The batch writers keep the order in which these futures are first polled.
    let outcomes = join_all(rows.iter().map(|row| process(context, row))).await;
    let (mut taken, mut failed, mut broken) = (Vec::new(), Vec::new(), None);
    for (row, outcome) in rows.iter().zip(outcomes) {
        match outcome {
            Ok(()) => taken.push(row.id),
            Err(Error::NotFound(_)) => failed.push(row.id),
            Err(error) => broken = Some(error),
        }
    }
    let mut tx = context.app.db.workspace(admin.tenant()).await?;
    delete_taken(&mut tx, &taken).await?;
    requeue(&mut tx, &failed).await?;
    let waiting = count_waiting(&mut tx, number).await?;
    tx.commit().await?;
    match broken {
        Some(error) => Err(error),
        None => Ok(Settled {
            settled: count_of(&taken),
            failed: count_of(&failed),
            waiting,
        }),
    }
}

fn count_of(calls: &[QuarantineId]) -> i64 {
    i64::try_from(calls.len()).unwrap_or(i64::MAX)
}

async fn oldest(tx: &mut WorkspaceTx, number: Option<NumberId>) -> Result<Vec<Row>> {
    Ok(sqlx::query_as!(
        Row,
        r#"select q.id, q.integration_id, q.number_id, n.phone_number as "phone_number?", q.provider, q.kind, q.provider_sid,
                  q.sender, q.method, q.url, q.content_type, q.body, q.cause, q.times, q.state, q.settled_at, q.created_at
             from quarantine q
             left join numbers n on n.workspace_id = q.workspace_id and n.id = q.number_id
            where q.state = 'waiting' and ($1::uuid is null or q.number_id = $1)
            order by q.tried_at nulls first, q.id
            limit $2"#,
        number as _,
        RELEASE_BATCH,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Like `settle`, for many processed calls.
async fn delete_taken(tx: &mut WorkspaceTx, taken: &[QuarantineId]) -> Result<()> {
    sqlx::query!(
        "with released as (
             update quarantine set state = 'released', settled_at = now(), body = ''
              where id = any ($1) and state = 'waiting'
             returning workspace_id, id, number_id, kind, provider_sid, sender
         )
         insert into audit_log (action, actor_name, subject, subject_id, after)
         select $2, u.name, r.provider_sid, r.id,
                jsonb_build_object('kind', r.kind, 'phone_number', n.phone_number, 'sender', r.sender)
           from released r
           join users u on u.id = current_user_id()
           left join numbers n on n.workspace_id = r.workspace_id and n.id = r.number_id
          order by r.id",
        taken as _,
        AuditAction::QuarantineReleased as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn requeue(tx: &mut WorkspaceTx, failed: &[QuarantineId]) -> Result<()> {
    sqlx::query!(
        "update quarantine set tried_at = clock_timestamp() where id = any ($1) and state = 'waiting'",
        failed as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn count_waiting(tx: &mut WorkspaceTx, number: Option<NumberId>) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "waiting!" from quarantine
            where state = 'waiting' and ($1::uuid is null or number_id = $1)"#,
        number as _,
    )
    .fetch_one(tx.conn())
    .await?)
}

async fn process(context: &ReleaseContext<'_>, row: &Row) -> Result<()> {
    let account = context
        .directory
        .integration(row.integration_id)
        .await?
        .ok_or(Error::NotFound(t!("its integration")))?;
    let event = row.with_request(|request| account.provider.read(row.hook(), request));
    let gone = |_| Error::Internal("the stored call can no longer be parsed".into());
    match event.map_err(gone)? {
        WebhookEvent::Text(mut text) => {
            let number = account
                .number(text.to.as_str())
                .ok_or(Error::NotFound(t!("its number")))?;
            text.at = Some(row.created_at);
            let arrival = Arrival {
                workspace: account.workspace,
                integration: account.integration,
                number,
                provider: account.provider.kind(),
                text,
                via: Some(Via::Release),
            };
            context.ingest.store(arrival).await?;
        }
        WebhookEvent::Report(report) => {
            let report = Report {
                workspace: account.workspace,
                integration: account.integration,
                provider: account.provider.kind(),
                via: Via::Release,
                report,
            };
            // A report of an unknown text is recorded in the journal.
            context.reports.take(report).await?;
        }
        WebhookEvent::Nothing => {}
    }
    Ok(())
}

pub async fn discard(db: &Db, admin: &Admin, id: QuarantineId) -> Result<QuarantinedCall> {
    let mut tx = db.workspace(admin.tenant()).await?;
    let row = row(&mut tx, id).await?;
    drop(tx);
    settle(db, admin, &row, State::Discarded).await?;
    let mut tx = db.workspace(admin.tenant()).await?;
    find(&mut tx, admin, id).await
}

pub async fn discard_all(db: &Db, admin: &Admin, number: Option<NumberId>) -> Result<Settled> {
    let mut tx = db.workspace(admin.tenant()).await?;
    let discarded = sqlx::query!(
        "update quarantine set state = 'discarded', settled_at = now(), body = ''
          where state = 'waiting' and ($1::uuid is null or number_id = $1)",
        number as _,
    )
    .execute(tx.conn())
    .await?
    .rows_affected();
    if discarded > 0 {
        let audit_record = AuditRecord {
            subject: "all that waited",
            after: Some(json!({"calls": discarded})),
            ..AuditRecord::default()
        };
        audit::record(&mut tx, AuditAction::QuarantineDiscarded, audit_record).await?;
    }
    let waiting = count_waiting(&mut tx, number).await?;
    tx.commit().await?;
    Ok(Settled {
        settled: i64::try_from(discarded).unwrap_or(i64::MAX),
        failed: 0,
        waiting,
    })
}

/// Marks the call as settled, deletes its body and writes the audit entry.
async fn settle(db: &Db, admin: &Admin, row: &Row, state: State) -> Result<()> {
    let mut tx = db.workspace(admin.tenant()).await?;
    let settled = sqlx::query!(
        "update quarantine set state = $2, settled_at = now(), body = '' where id = $1 and state = 'waiting'",
        row.id as _,
        state as _,
    )
    .execute(tx.conn())
    .await?;
    if settled.rows_affected() == 0 {
        return Ok(()); // settled by a concurrent request
    }
    let action = match state {
        State::Discarded => AuditAction::QuarantineDiscarded,
        State::Waiting | State::Released => AuditAction::QuarantineReleased,
    };
    let audit_record = AuditRecord {
        subject: &row.provider_sid,
        subject_id: Some(row.id.0),
        after: Some(
            json!({"kind": row.kind, "phone_number": row.phone_number, "sender": row.sender}),
        ),
        ..AuditRecord::default()
    };
    audit::record(&mut tx, action, audit_record).await?;
    tx.commit().await
}

pub async fn delete_expired(db: &Db) -> Result<()> {
    sqlx::query!(
        "delete from quarantine where created_at < $1",
        clock::now() - webhooks::RETENTION,
    )
    .execute(db.system_pool(Jobs))
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_limited_per_number() {
        let rate_limiter = RateLimiter::default();
        let (one, other) = (IntegrationId::new(), IntegrationId::new());
        let allowed = (0..1_000)
            .filter(|_| rate_limiter.allows((one, None)))
            .count();
        assert_eq!(allowed, CALLS_PER_MINUTE as usize);
        assert!(rate_limiter.allows((other, None)));
        assert!(rate_limiter.allows((one, Some(NumberId::new()))));
    }

    #[test]
    fn origin_matches_base_url() {
        assert_eq!(origin("https://hub.example/in?a=1"), "https://hub.example");
        assert_eq!(origin("http://[::1]:3000/"), "http://[::1]:3000");
        assert_eq!(origin("nonsense"), "nonsense");
    }
}

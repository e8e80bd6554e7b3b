//! Stores a call whose signature did not match.

use aws_lc_rs::digest::{self, SHA256};
use reqwest::header::CONTENT_TYPE;

use super::cause::cause;
use super::rate_limiter::RateLimiter;
use crate::db::Db;
use crate::db::purpose::Receive;
use crate::domain::integrations::Account;
use crate::domain::webhooks::{self, Via};
use crate::error::Result;
use crate::ids::NumberId;
use crate::providers::{Hook, SignedRequest, WebhookEvent};

/// The most that wait for one number. The oldest calls stay, so that a flood cannot displace them.
const MAX_WAITING: i64 = 1_000;
/// The body of a text is about a tenth of this.
const MAX_BODY_SIZE: usize = 16 * 1024;

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
    let Some(subject) = Subject::of(account, &event) else {
        return Ok(false);
    };
    let fits_in = request.body.len() <= MAX_BODY_SIZE && request.public_url.len() <= 4_096;
    if !fits_in || !rate_limiter.allows((account.integration, subject.number)) {
        metrics::counter!("messagehub_webhooks_not_kept_total").increment(1);
        return Ok(false);
    }
    let is_kept = insert(db, account, &subject, fingerprint(account, &event), request).await?;
    if !is_kept {
        metrics::counter!("messagehub_webhooks_not_kept_total").increment(1);
    }
    Ok(is_kept)
}

/// What the call is about.
struct Subject {
    kind: webhooks::Kind,
    number: Option<NumberId>,
    sid: String,
    sender: String,
}

impl Subject {
    /// `None` if it is about nothing of this account.
    fn of(account: &Account, event: &WebhookEvent) -> Option<Self> {
        match event {
            WebhookEvent::Text(text) => Some(Self {
                kind: webhooks::Kind::Inbound,
                number: Some(account.number(text.to.as_str())?),
                sid: text.provider_sid.clone(),
                sender: text.from.to_string(),
            }),
            WebhookEvent::Report(report) => Some(Self {
                kind: webhooks::Kind::Status,
                number: None,
                sid: report.provider_sid.clone(),
                sender: String::new(),
            }),
            WebhookEvent::Nothing => None,
        }
    }
}

/// Returns whether it was stored, or counted as a repetition.
async fn insert(
    db: &Db,
    account: &Account,
    subject: &Subject,
    fingerprint: Vec<u8>,
    request: &SignedRequest<'_>,
) -> Result<bool> {
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
        subject.number as _,
        account.provider.kind() as _,
        subject.kind as _,
        subject.sid,
        subject.sender,
        request.method.as_str(),
        request.public_url,
        content_type,
        request.body,
        cause(account.provider.signature_mismatch(request), request, account.provider.kind()).stored(),
        fingerprint,
        MAX_WAITING,
        Via::Webhook as _,
    )
    .fetch_optional(db.system_pool(Receive))
    .await?;
    Ok(kept.is_some())
}

/// A hash of the content, not of the bytes: a provider's retry has a different time.
fn fingerprint(account: &Account, event: &WebhookEvent) -> Vec<u8> {
    let mut hash = digest::Context::new(&SHA256);
    hash.update(account.integration.0.as_bytes());
    hash.update(format!("{event:?}").as_bytes());
    hash.finish().as_ref().to_vec()
}

//! Fetches texts that the provider received while the server was unreachable.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use serde_json::json;

use tokio::sync::Semaphore;

use super::receive::{Arrival, Ingest};
use crate::app::App;
use crate::db::purpose::Fetch;
use crate::db::{Db, WorkspaceTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::integrations::calls::CallCapacity;
use crate::domain::integrations::{Directory, Purpose};
use crate::domain::members::Admin;
use crate::domain::numbers;
use crate::domain::webhooks::Via;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{IntegrationId, NumberId, WorkspaceId};
use crate::language::t;
use crate::phone::Address;
use crate::providers::{Inbound, ListedText, Provider};

/// A number to compare with its provider's message list.
pub struct Due {
    workspace: WorkspaceId,
    integration: IntegrationId,
    number: NumberId,
    phone_number: String,
    since: DateTime<Utc>,
    /// By the database's clock. After the comparison, every text received before it is stored.
    asked_at: DateTime<Utc>,
}

/// Leases numbers that are due for five minutes, within the call capacity of each integration. One round trip, and one
/// index scan for each integration.
pub async fn due(db: &Db, capacity: &CallCapacity) -> Result<Vec<Due>> {
    Ok(sqlx::query_as!(
        Due,
        r#"with waiting as (
               select n.workspace_id, n.id
                 from integrations i
                cross join lateral (select n.workspace_id, n.id, n.catch_up_at from numbers n
                                     where n.workspace_id = i.workspace_id and n.integration_id = i.id
                                       and n.status = 'active' and n.sms and n.catch_up_at <= now()
                                     order by n.catch_up_at
                                     limit coalesce((select b.room from unnest($3::uuid[], $4::integer[]) as b (integration, room)
                                                      where b.integration = i.id), $2)) n
                where i.is_active and i.status = 'healthy'
                order by n.catch_up_at
                limit $1
           ), due as (
               select n.workspace_id, n.id
                 from waiting w
                 join numbers n on n.workspace_id = w.workspace_id and n.id = w.id
                -- Another server may have taken it since.
                where n.catch_up_at <= now()
                  for no key update of n skip locked
           )
           update numbers n set catch_up_at = now() + interval '5 minutes'
             from due d
            where n.workspace_id = d.workspace_id and n.id = d.id
           returning n.workspace_id as workspace, n.integration_id as integration, n.id as number, n.phone_number,
                     now() as "asked_at!",
                     -- The list lags behind, and its clock is another.
                     coalesce(n.compared_until, n.created_at) - interval '15 minutes' as "since!""#,
        i64::from(capacity.all),
        capacity.each,
        &capacity.integrations as _,
        &capacity.left,
    )
    .fetch_all(db.system_pool(Fetch))
    .await?)
}

/// Ends the leases of numbers that a stopping server did not compare, so that another one can do it at once.
pub async fn end_leases(db: &Db, numbers: &[(WorkspaceId, NumberId)]) -> Result<()> {
    let (workspaces, ids): (Vec<_>, Vec<_>) = numbers.iter().copied().unzip();
    sqlx::query!(
        "update numbers n set catch_up_at = now()
           from unnest($1::uuid[], $2::uuid[]) as t (workspace, id)
          where n.workspace_id = t.workspace and n.id = t.id and n.catch_up_at > now()",
        &workspaces as _,
        &ids as _,
    )
    .execute(db.system_pool(Fetch))
    .await?;
    Ok(())
}

pub struct Backlog {
    pub numbers: i64,
    pub seconds: f64,
}

pub async fn backlog(db: &Db) -> Result<Backlog> {
    Ok(sqlx::query_as!(
        Backlog,
        r#"select count(*) as "numbers!",
                  coalesce(extract(epoch from now() - min(n.catch_up_at)), 0)::double precision as "seconds!"
             from numbers n
             join integrations i on i.workspace_id = n.workspace_id and i.id = n.integration_id
            where n.status = 'active' and n.sms and n.catch_up_at <= now() and i.is_active and i.status = 'healthy'"#
    )
    .fetch_one(db.system_pool(Fetch))
    .await?)
}

/// Compares a number at an admin's request. Returns how many texts were added.
pub async fn now(
    app: &App,
    directory: &Directory,
    ingest: &Ingest,
    admin: &Admin,
    number: NumberId,
) -> Result<usize> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let due = lease_one(&mut tx, number).await?;
    tx.commit().await?;
    let brought_in = compare(app, directory, ingest, &due)
        .await?
        .ok_or_else(|| {
            Error::ProviderUnavailable(t!("This provider doesn’t offer a list of received texts."))
        })?;
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let audit_record = AuditRecord {
        subject: &due.phone_number,
        subject_id: Some(number.0),
        before: None,
        after: Some(json!({"brought_in": brought_in})),
    };
    audit::record(&mut tx, AuditAction::NumberCaughtUp, audit_record).await?;
    tx.commit().await?;
    Ok(brought_in)
}

async fn lease_one(tx: &mut WorkspaceTx, number: NumberId) -> Result<Due> {
    numbers::find(tx, number).await?;
    Ok(sqlx::query_as!(
        Due,
        r#"update numbers set catch_up_at = now() + interval '5 minutes' where id = $1
           returning workspace_id as workspace, integration_id as integration, id as number, phone_number,
                     now() as "asked_at!",
                     -- Whoever asks by hand misses something: a day is looked through.
                     least(coalesce(compared_until, created_at) - interval '15 minutes', now() - interval '1 day') as "since!""#,
        number as _,
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Compares a number; returns how many texts were added, or `None` if the provider keeps no list. One round trip finds
/// the texts that are stored already; they cost nothing else.
pub async fn compare(
    app: &App,
    directory: &Directory,
    ingest: &Ingest,
    due: &Due,
) -> Result<Option<usize>> {
    let account = directory
        .integration(due.integration)
        .await?
        .ok_or(Error::NotFound(t!("the integration")))?;
    let address: Address = due
        .phone_number
        .parse()
        .map_err(|_| Error::Internal("a stored number is not a valid address".into()))?;
    let provider = account.used_for(Purpose::CatchUp);
    let Some(mut received) = provider.received(&address, due.since).await? else {
        return Ok(None);
    };
    received.retain(|text| text.at.is_none_or(|at| at >= due.since));
    let mut last = None;
    for text in &mut received {
        text.at = text.at.map(|at| in_list_order(last, at));
        last = text.at.or(last);
    }
    let stored_or_deleted = stored_or_deleted(&app.db, due, &received).await?;
    received.retain(|text| !stored_or_deleted.contains(&text.provider_sid));
    let arrival = |text: Inbound| Arrival {
        workspace: due.workspace,
        integration: due.integration,
        number: due.number,
        provider: account.provider.kind(),
        text,
        via: Some(Via::CatchUp),
    };
    let (mut brought_in, mut failed) = (0, None);
    let mut received = received.into_iter().peekable();
    while received.peek().is_some() {
        let missing: Vec<_> = received.by_ref().take(CHUNK_SIZE).collect();
        let completed: Vec<_> = stream::iter(missing)
            .map(|listed| complete(provider, listed))
            .buffered(MAX_CONCURRENT_CALLS)
            .collect()
            .await;
        let mut texts = Vec::new();
        for text in completed {
            match text {
                Ok(Some(text)) if text.to == address => texts.push(text),
                Ok(_) => {}
                // The other texts do not wait for it.
                Err(error) => failed = Some(error),
            }
        }
        // In order, and many in one transaction. A text that arrived by webhook meanwhile is a no-op.
        let stored = texts.into_iter().map(|text| ingest.store(arrival(text)));
        for stored in join_all(stored).await {
            brought_in += usize::from(stored?.added);
        }
    }
    match failed {
        Some(error) => Err(error),
        None => {
            record_agreement(&app.db, due).await?;
            Ok(Some(brought_in))
        }
    }
}

/// The text of an entry of the list, with the entry's time where the text has none of its own.
async fn complete(provider: &dyn Provider, listed: ListedText) -> Result<Option<Inbound>> {
    let (at, is_incomplete) = (listed.at, listed.text.is_none());
    let text = provider.completed(listed).await?;
    Ok(text.map(|text| match text.at {
        Some(sent_at) if is_incomplete => Inbound {
            at: Some(sent_at),
            ..text
        },
        _ => Inbound { at, ..text },
    }))
}

const CHUNK_SIZE: usize = 64;
/// Concurrent calls to one provider for missing details.
const MAX_CONCURRENT_CALLS: usize = 4;
/// Database connections for all comparisons. Most of their time is spent waiting for the provider, so two are enough;
/// the other connections are left to requests and webhooks.
static CONNECTIONS: Semaphore = Semaphore::const_new(2);

/// Texts that are stored already, or were deleted with their contact. One round trip.
async fn stored_or_deleted(db: &Db, due: &Due, received: &[ListedText]) -> Result<HashSet<String>> {
    if received.is_empty() {
        return Ok(HashSet::new());
    }
    let sids: Vec<_> = received
        .iter()
        .map(|text| text.provider_sid.as_str())
        .collect();
    let _permit = CONNECTIONS.acquire().await;
    let stored_or_deleted = sqlx::query_scalar!(
        r#"select t.sid as "sid!" from unnest($3::text[]) as t (sid)
            where exists (select from messages m
                           where m.workspace_id = $1 and m.integration_id = $2 and m.provider_sid = t.sid)
               or exists (select from deleted_messages f
                           where f.workspace_id = $1 and f.integration_id = $2 and f.provider_sid = t.sid)"#,
        due.workspace as _,
        due.integration as _,
        &sids as _,
    )
    .fetch_all(db.system_pool(Fetch))
    .await?;
    Ok(stored_or_deleted.into_iter().collect())
}

/// Providers give whole seconds. Texts of the same second keep the list's order, a millisecond apart.
fn in_list_order(last: Option<DateTime<Utc>>, at: DateTime<Utc>) -> DateTime<Utc> {
    last.map_or(at, |last| at.max(last + TimeDelta::milliseconds(1)))
}

async fn record_agreement(db: &Db, due: &Due) -> Result<()> {
    let _permit = CONNECTIONS.acquire().await;
    sqlx::query!(
        "update numbers set compared_until = greatest(compared_until, $3) where workspace_id = $1 and id = $2",
        due.workspace as _,
        due.number as _,
        due.asked_at,
    )
    .execute(db.system_pool(Fetch))
    .await?;
    db.bus().publish(Event::NumberReceived {
        workspace: due.workspace,
        number: due.number,
    });
    Ok(())
}

impl Due {
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    pub fn integration(&self) -> IntegrationId {
        self.integration
    }

    pub fn number(&self) -> NumberId {
        self.number
    }
}

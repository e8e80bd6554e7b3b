//! Bringing in what the provider has and we have not: texts that came while we were away.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::receive::{Arrival, Ingest};
use crate::app::App;
use crate::db::{Db, WorkspaceTx};
use crate::domain::audit::{self, Action, Deed};
use crate::domain::integrations::{Directory, Purpose};
use crate::domain::members::Admin;
use crate::domain::numbers;
use crate::domain::webhooks::Via;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{IntegrationId, NumberId, WorkspaceId};
use crate::phone::Address;
use crate::providers::Inbound;

/// A number to be compared with its provider's list.
pub struct Due {
    workspace: WorkspaceId,
    integration: IntegrationId,
    number: NumberId,
    phone_number: String,
    since: DateTime<Utc>,
}

/// Takes numbers whose time has come; they are nobody else's for the next five minutes. One round trip.
pub async fn due(db: &Db, most: i64) -> Result<Vec<Due>> {
    Ok(sqlx::query_as!(
        Due,
        r#"with due as (
               select n.workspace_id, n.id from numbers n
                 join integrations i on i.workspace_id = n.workspace_id and i.id = n.integration_id
                where n.status = 'active' and n.sms and n.catch_up_at <= now()
                  and i.is_active and i.status = 'healthy'
                order by n.catch_up_at
                limit $1
                  for update of n skip locked
           )
           update numbers n set catch_up_at = now() + interval '5 minutes'
             from due d
            where n.workspace_id = d.workspace_id and n.id = d.id
           returning n.workspace_id as workspace, n.integration_id as integration, n.id as number, n.phone_number,
                     -- The list lags behind, and its clock is another.
                     coalesce(n.agreed_at, n.created_at) - interval '15 minutes' as "since!""#,
        most,
    )
    .fetch_all(db.system_pool())
    .await?)
}

/// Compares now, because an admin asks for it. Answers how many texts were brought in.
pub async fn now(
    app: &App,
    directory: &Directory,
    ingest: &Ingest,
    admin: &Admin,
    number: NumberId,
) -> Result<usize> {
    let mut tx = app.db.workspace(admin.seat()).await?;
    let due = take(&mut tx, number).await?;
    tx.commit().await?;
    let brought_in = number_at(app, directory, ingest, &due)
        .await?
        .ok_or_else(|| {
            Error::ProviderUnavailable("This provider keeps no list of what it received.".into())
        })?;
    let mut tx = app.db.workspace(admin.seat()).await?;
    let deed = Deed {
        subject: &due.phone_number,
        subject_id: Some(number.0),
        before: None,
        after: Some(json!({"brought_in": brought_in})),
    };
    audit::record(&mut tx, Action::NumberCaughtUp, deed).await?;
    tx.commit().await?;
    Ok(brought_in)
}

async fn take(tx: &mut WorkspaceTx, number: NumberId) -> Result<Due> {
    numbers::find(tx, number).await?;
    Ok(sqlx::query_as!(
        Due,
        r#"update numbers set catch_up_at = now() + interval '5 minutes' where id = $1
           returning workspace_id as workspace, integration_id as integration, id as number, phone_number,
                     -- Whoever asks by hand misses something: a day is looked through.
                     least(coalesce(agreed_at, created_at) - interval '15 minutes', now() - interval '1 day') as "since!""#,
        number as _,
    )
    .fetch_one(tx.conn())
    .await?)
}

/// How many texts were missing here and are no more; `None`: the provider keeps no list.
pub async fn number_at(
    app: &App,
    directory: &Directory,
    ingest: &Ingest,
    due: &Due,
) -> Result<Option<usize>> {
    let began = Utc::now();
    let account = directory
        .integration(due.integration)
        .await?
        .ok_or(Error::NotFound("the integration"))?;
    let address: Address = due
        .phone_number
        .parse()
        .map_err(|_| Error::Internal("a number of ours is none".into()))?;
    let Some(received) = account
        .used_for(Purpose::CatchUp)
        .received(&address, due.since)
        .await?
    else {
        return Ok(None);
    };
    let forgotten = forgotten(&app.db, due, &received).await?;
    let mut brought_in = 0;
    let mut last = None;
    for mut text in received {
        if forgotten.contains(&text.provider_sid) {
            continue;
        }
        text.at = text.at.map(|at| after(last, at));
        last = text.at;
        let arrival = Arrival {
            workspace: due.workspace,
            integration: due.integration,
            number: due.number,
            provider: account.provider.kind(),
            text,
            via: Some(Via::CatchUp),
        };
        // A text that is here already is a no-op, as when a provider repeats it.
        brought_in += usize::from(ingest.store(arrival).await?.added);
    }
    agree(&app.db, due, began).await?;
    Ok(Some(brought_in))
}

/// Those that were deleted here with their contact.
async fn forgotten(db: &Db, due: &Due, received: &[Inbound]) -> Result<HashSet<String>> {
    let sids: Vec<_> = received
        .iter()
        .map(|text| text.provider_sid.as_str())
        .collect();
    let forgotten = sqlx::query_scalar!(
        "select provider_sid from forgotten_texts
          where workspace_id = $1 and integration_id = $2 and provider_sid = any ($3)",
        due.workspace as _,
        due.integration as _,
        &sids as _,
    )
    .fetch_all(db.system_pool())
    .await?;
    Ok(forgotten.into_iter().collect())
}

/// Providers tell whole seconds. Of two in one, the list knows which came first, and so does the inbox.
fn after(last: Option<DateTime<Utc>>, at: DateTime<Utc>) -> DateTime<Utc> {
    last.map_or(at, |last| at.max(last + TimeDelta::milliseconds(1)))
}

async fn agree(db: &Db, due: &Due, at: DateTime<Utc>) -> Result<()> {
    sqlx::query!(
        "update numbers set agreed_at = greatest(agreed_at, $3) where workspace_id = $1 and id = $2",
        due.workspace as _,
        due.number as _,
        at,
    )
    .execute(db.system_pool())
    .await?;
    db.bus().publish(Event::NumberHeard {
        workspace: due.workspace,
        number: due.number,
    });
    Ok(())
}

impl Due {
    pub fn number(&self) -> NumberId {
        self.number
    }
}

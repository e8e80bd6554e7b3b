//! Releases calls: they are processed as if their signature had matched.

use futures_util::future::join_all;

use super::call::{QuarantinedCall, State};
use super::list::find;
use super::rows::{self, Row};
use super::settle::{Settled, settle};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::audit::AuditAction;
use crate::domain::integrations::Directory;
use crate::domain::members::Admin;
use crate::domain::messages::receive::{Arrival, Ingest};
use crate::domain::messages::status::{Report, Reports};
use crate::domain::webhooks::Via;
use crate::error::{Error, Result};
use crate::ids::{NumberId, QuarantineId};
use crate::language::t;
use crate::providers::WebhookEvent;

/// The most that one request releases, because the admin waits for it.
const RELEASE_BATCH: i64 = 200;

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
    let row = rows::row(&mut tx, id).await?;
    drop(tx);
    if row.state == State::Waiting {
        // Processed before it is settled: after a crash in between, the second release is a repeat.
        process(context, &row).await?;
        settle(&context.app.db, admin, &row, State::Released).await?;
    }
    let mut tx = context.app.db.workspace(admin.tenant()).await?;
    find(&mut tx, admin, id).await
}

/// Releases the oldest calls in order, as many as one request can process. Calls that fail move to the end of the
/// queue, so that the next request continues after them. Four round trips, plus those of storing the texts in batches.
pub async fn release_all(
    context: &ReleaseContext<'_>,
    admin: &Admin,
    number: Option<NumberId>,
) -> Result<Settled> {
    let mut tx = context.app.db.workspace(admin.tenant()).await?;
    let rows = rows::oldest(&mut tx, number, RELEASE_BATCH).await?;
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
    let waiting = rows::count_waiting(&mut tx, number).await?;
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

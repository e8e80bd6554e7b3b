//! Fetches and stores the files of inbound texts, in the background: the text itself is in the inbox already.
//!
//! A server leases a file by moving its `fetch_at` ahead. A file that the provider does not have yet is retried for
//! about 12 hours; after that the page says why it is missing.

use std::time::Duration;

use super::storage_key;
use super::store::{Stored, store};
use crate::app::App;
use crate::db::purpose::Fetch;
use crate::db::{Db, SystemTx};
use crate::domain::integrations::Directory;
use crate::domain::integrations::calls::CallCapacity;
use crate::domain::opt_outs;
use crate::error::Result;
use crate::events::Event;
use crate::ids::{IntegrationId, MediaId, MessageId, NumberId, WorkspaceId};
use crate::language::{Message, t};

/// Longer than fetching and storing can take (`WAIT_TIMEOUT`).
const LEASE: Duration = Duration::from_secs(180);
const WAIT_TIMEOUT: Duration = Duration::from_secs(120);

/// Between attempts, in seconds: the webhook may arrive before the file, and an outage can take hours.
const RETRY_DELAYS: [i32; 10] = [3, 10, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 14_400];

pub struct Due {
    pub workspace: WorkspaceId,
    pub id: MediaId,
    pub integration: IntegrationId,
    provider_sid: String,
    url: String,
    /// The content type that the provider claims.
    claimed: String,
    /// Counts from 1.
    attempt: i16,
}

/// Leases due files: the oldest first, as many per integration as it has capacity for. One round trip, with one index
/// lookup for each integration that has files to fetch.
pub async fn due(db: &Db, capacity: &CallCapacity) -> Result<Vec<Due>> {
    Ok(sqlx::query_as!(
        Due,
        r#"with recursive waiting as (
               (select d.integration_id from message_media d
                 where d.fetch_at is not null and d.integration_id is not null
                 order by d.integration_id limit 1)
               union all
               select n.integration_id
                 from waiting w
                cross join lateral (select d.integration_id from message_media d
                                     where d.fetch_at is not null and d.integration_id > w.integration_id
                                     order by d.integration_id limit 1) n
           ), owing as (
               select d.workspace_id, d.id
                 from waiting w
                cross join lateral (select d.workspace_id, d.id, d.fetch_at from message_media d
                                     where d.integration_id = w.integration_id and d.fetch_at <= now()
                                       and d.source_url is not null and d.message_id is not null
                                     order by d.fetch_at
                                     limit coalesce((select b.room from unnest($4::uuid[], $5::integer[]) as b (integration, room)
                                                      where b.integration = w.integration_id), $3)) d
                order by d.fetch_at
                limit $1
           ), due as (
               select d.workspace_id, d.id
                 from owing o
                 join message_media d on d.workspace_id = o.workspace_id and d.id = o.id
                -- Another server may have taken it since.
                where d.fetch_at <= now()
                  for no key update of d skip locked
           )
           update message_media d
              set fetch_at = now() + make_interval(secs => $2), attempts = d.attempts + 1
             from due u, messages m
            where d.workspace_id = u.workspace_id and d.id = u.id
              and m.workspace_id = d.workspace_id and m.id = d.message_id
           returning d.workspace_id as "workspace: WorkspaceId", d.id as "id: MediaId",
                     m.integration_id as "integration: IntegrationId", coalesce(m.provider_sid, '') as "provider_sid!",
                     d.source_url as "url!", d.content_type as claimed, d.attempts as attempt"#,
        i64::from(capacity.all),
        LEASE.as_secs_f64(),
        capacity.each,
        &capacity.integrations as _,
        &capacity.left,
    )
    .fetch_all(db.system_pool(Fetch))
    .await?)
}

/// At shutdown: another server may lease these files at once, and the attempt does not count.
pub async fn end_leases(db: &Db, files: &[(WorkspaceId, MediaId)]) -> Result<()> {
    let (workspaces, ids): (Vec<_>, Vec<_>) = files.iter().copied().unzip();
    sqlx::query!(
        "update message_media d set fetch_at = now(), attempts = d.attempts - 1
           from unnest($1::uuid[], $2::uuid[]) as t (workspace, id)
          where d.workspace_id = t.workspace and d.id = t.id and d.stored_at is null and d.fetch_at > now()",
        &workspaces as _,
        &ids as _,
    )
    .execute(db.system_pool(Fetch))
    .await?;
    Ok(())
}

/// Fetches a file and records the result. Returns whether it is stored.
pub async fn fetch(app: &App, directory: &Directory, due: &Due) -> Result<bool> {
    let fetched = tokio::time::timeout(WAIT_TIMEOUT, fetch_and_store(app, directory, due));
    match fetched
        .await
        .unwrap_or(Err(Missing::for_now(t!("the request timed out"))))
    {
        Ok(stored) => record_stored(&app.db, due, &stored).await,
        Err(missing) => {
            tracing::info!(media.id = %due.id, why = missing.why.english(), attempt = due.attempt, "media file is not available yet");
            postpone(&app.db, due, &missing).await?;
            Ok(false)
        }
    }
}

struct Missing {
    why: Message,
    is_transient: bool,
    /// The failure is not the file's, so this attempt does not count.
    is_uncounted: bool,
}

impl Missing {
    fn for_now(why: Message) -> Self {
        Self {
            why,
            is_transient: true,
            is_uncounted: true,
        }
    }
}

async fn fetch_and_store(app: &App, directory: &Directory, due: &Due) -> Result<Stored, Missing> {
    let account = directory
        .integration(due.integration)
        .await
        .map_err(|error| Missing::for_now(error.message()))?
        .filter(|account| account.workspace == due.workspace)
        .ok_or_else(|| Missing {
            why: t!("This file can’t be shown because its integration was removed."),
            is_transient: true,
            is_uncounted: false,
        })?;
    let bytes = app
        .providers
        .fetch_media(account.provider.as_ref(), &due.url, &due.provider_sid)
        .await
        .map_err(|error| Missing {
            why: error.message(),
            is_transient: error.is_retryable,
            is_uncounted: false,
        })?;
    store(app, due.workspace, due.id, bytes, due.claimed.clone())
        .await
        .map_err(|error| Missing::for_now(error.message()))
}

/// Phones send the text beside a picture as a part of its own. It is appended to the content of the message, where
/// search finds it. A message that is only a STOP opts out; one that may be an opt-out request is flagged for an agent.
/// Returns false if the part is gone. Two round trips for a STOP, else one.
async fn append_text(tx: &mut SystemTx<Fetch>, due: &Due, text: &str) -> Result<bool> {
    let changed = sqlx::query!(
        r#"with part as (
               delete from message_media where workspace_id = $1 and id = $2 returning workspace_id, message_id
           ), extended as (
               update messages m
                  set content = case when m.content = '' then $3 else m.content || E'\n' || $3 end, updated_at = now(),
                      message_type = case when exists (select from message_media d
                                                        where d.workspace_id = m.workspace_id and d.message_id = m.id and d.id <> $2)
                                          then m.message_type else 'text' end
                 from part p
                where m.workspace_id = p.workspace_id and m.id = p.message_id
               returning m.workspace_id, m.id, m.conversation_id, m.number_id, m.content,
                         (select d.content_type from message_media d
                           where d.workspace_id = m.workspace_id and d.message_id = m.id and d.id <> $2
                           order by d.position limit 1) as first_type
           )
           update conversations v
              set last_message_preview = case when v.last_message_id = e.id then preview_text(e.content, e.first_type)
                                              else v.last_message_preview end,
                  near_stop_id = case when $4 then e.id else v.near_stop_id end
             from extended e
            where v.workspace_id = e.workspace_id and v.id = e.conversation_id
           returning e.id as "message: MessageId", e.number_id as "number: NumberId", e.content as "content!""#,
        due.workspace as _,
        due.id as _,
        text,
        opt_outs::may_be_opt_out(text),
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(changed) = changed else {
        return Ok(false);
    };
    if opt_outs::is_stop(&changed.content) {
        opt_outs::record_late_stop(tx, due.workspace, changed.message).await?;
    }
    tx.announce(Event::MessageChanged {
        workspace: due.workspace,
        message: changed.message,
        number: changed.number,
    });
    Ok(true)
}

/// Stores the result and announces it. If the message was deleted meanwhile, the file is deleted again.
async fn record_stored(db: &Db, due: &Due, stored: &Stored) -> Result<bool> {
    let mut tx = db.system(Fetch).await?;
    if let Some(text) = &stored.text
        && append_text(&mut tx, due, text).await?
    {
        tx.commit().await?;
        return Ok(true);
    }
    let shown = sqlx::query!(
        "with kept as (
             update message_media
                set content_type = $3, size = $4, thumbnail = $5, width = $6, height = $7, stored_at = now(), fetch_at = null,
                    failure = null
              where workspace_id = $1 and id = $2
             returning workspace_id, message_id
         )
         update messages m set updated_at = now()
           from kept k
          where m.workspace_id = k.workspace_id and m.id = k.message_id
         returning m.id, m.number_id",
        due.workspace as _,
        due.id as _,
        stored.content_type,
        stored.size,
        stored.thumbnail,
        stored.width,
        stored.height,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(shown) = shown else {
        super::removed::remove(&mut tx, &storage_key(due.workspace, due.id)).await?;
        tx.commit().await?;
        return Ok(false);
    };
    tx.announce(Event::MessageChanged {
        workspace: due.workspace,
        message: shown.id,
        number: shown.number_id,
    });
    tx.commit().await?;
    Ok(true)
}

async fn postpone(db: &Db, due: &Due, missing: &Missing) -> Result<()> {
    let tried = usize::try_from(due.attempt).unwrap_or(1).saturating_sub(1);
    let delay = match RETRY_DELAYS.get(tried) {
        _ if missing.is_uncounted => Some(60),
        Some(delay) if missing.is_transient => Some(*delay),
        _ => None,
    };
    let mut tx = db.system(Fetch).await?;
    let changed = sqlx::query!(
        "with missing as (
             update message_media
                set fetch_at = now() + make_interval(secs => $3::integer), attempts = attempts - $4,
                    failure = case when $3::integer is null then $5 end
              where workspace_id = $1 and id = $2 and stored_at is null
             returning workspace_id, message_id, failure
         )
         update messages m set updated_at = now()
           from missing d
          where m.workspace_id = d.workspace_id and m.id = d.message_id and d.failure is not null
         returning m.id, m.number_id",
        due.workspace as _,
        due.id as _,
        delay,
        i16::from(missing.is_uncounted),
        missing.why.stored(),
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(changed) = changed {
        tx.announce(Event::MessageChanged {
            workspace: due.workspace,
            message: changed.id,
            number: changed.number_id,
        });
    }
    tx.commit().await
}

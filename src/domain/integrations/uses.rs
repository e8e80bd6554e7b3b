//! What credentials are used for, and by whom: counted in memory, off the hot paths, and flushed every few seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock;
use crate::db::purpose::{Credentials, Jobs};
use crate::db::{Db, WorkspaceTx};
use crate::domain::string_enum;
use crate::error::Result;
use crate::ids::{IntegrationId, UserId, WorkspaceId};
use crate::language::{Message, t};
use crate::listing::{Cursor, Page, Span, page, unless_empty};

/// A crash loses at most this much.
pub const FLUSH_INTERVAL: Duration = Duration::from_secs(5);

string_enum!(
    /// What credentials were used for.
    #[schema(as = CredentialPurpose)]
Purpose {
        /// To connect the account.
        Connect = "connect",
        /// To check whether they are still valid.
        Check = "check",
        /// To send texts.
        Send = "send",
        /// To look up the outcome of texts whose response was lost.
        LookUp = "look_up",
        /// To check the signatures of webhooks.
        Verify = "verify",
        /// To fetch pictures and files that came with texts.
        Media = "media",
        /// To compare a number with the provider's list of texts.
        CatchUp = "catch_up",
        /// To read, search, buy, set up and release numbers.
        Numbers = "numbers",
        /// To read what the provider charges.
        Usage = "usage",
    }
);

impl Purpose {
    pub const ALL: [Self; 9] = [
        Self::Connect,
        Self::Check,
        Self::Send,
        Self::LookUp,
        Self::Verify,
        Self::Media,
        Self::CatchUp,
        Self::Numbers,
        Self::Usage,
    ];

    pub fn sentence(self) -> Message {
        match self {
            Self::Connect => t!("Connected the account"),
            Self::Check => t!("Checked the credentials"),
            Self::Send => t!("Sent texts"),
            Self::LookUp => t!("Checked text delivery"),
            Self::Verify => t!("Verified webhook signatures"),
            Self::Media => t!("Fetched pictures and files"),
            Self::CatchUp => t!("Checked for missed texts"),
            Self::Numbers => t!("Managed numbers"),
            Self::Usage => t!("Fetched prices"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct UseKey {
    workspace: WorkspaceId,
    integration: IntegrationId,
    purpose: Purpose,
    actor: Option<UserId>,
    hour: DateTime<Utc>,
}

#[derive(Clone, Copy)]
struct Count {
    uses: i64,
    last: DateTime<Utc>,
}

#[derive(Clone, Default)]
pub struct Uses(Arc<Mutex<HashMap<UseKey, Count>>>);

impl Uses {
    /// Records a use by `actor`, or by the server itself.
    pub fn record(
        &self,
        workspace: WorkspaceId,
        integration: IntegrationId,
        purpose: Purpose,
        actor: Option<UserId>,
    ) {
        let now = clock::now();
        let used = UseKey {
            workspace,
            integration,
            purpose,
            actor,
            hour: now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now),
        };
        self.add(used, Count { uses: 1, last: now });
    }

    fn add(&self, used: UseKey, count: Count) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .entry(used)
            .and_modify(|known| {
                known.uses += count.uses;
                known.last = known.last.max(count.last);
            })
            .or_insert(count);
    }

    /// Stores the recorded uses. One round trip, or none if there are no uses. If it fails, they are kept.
    pub async fn flush(&self, db: &Db) -> Result<()> {
        let noted: Vec<_> = {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            counts.drain().collect()
        };
        if noted.is_empty() {
            return Ok(());
        }
        let written = insert(db, &noted).await;
        if written.is_err() {
            for (used, count) in noted {
                self.add(used, count);
            }
        }
        written
    }
}

async fn insert(db: &Db, noted: &[(UseKey, Count)]) -> Result<()> {
    fn each<T>(noted: &[(UseKey, Count)], field: impl Fn(&UseKey, &Count) -> T) -> Vec<T> {
        noted
            .iter()
            .map(|(used, count)| field(used, count))
            .collect()
    }
    sqlx::query!(
        "insert into credential_access_log as l (workspace_id, integration_id, purpose, actor_id, actor_name, hour, uses, last_at)
         select i.workspace_id, i.id, t.purpose, t.actor, coalesce(u.name, ''), t.hour, t.uses, t.last_at
           from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::timestamptz[], $6::bigint[], $7::timestamptz[])
                  as t (workspace, integration, purpose, actor, hour, uses, last_at)
           -- It may be gone by now.
           join integrations i on i.workspace_id = t.workspace and i.id = t.integration
           left join users u on u.id = t.actor
          -- In one order everywhere: two servers write the same rows.
          order by 1, 6, 2, 3, 4
             on conflict (workspace_id, hour, integration_id, purpose, coalesce(actor_id, '00000000-0000-0000-0000-000000000000'))
             do update set uses = l.uses + excluded.uses, last_at = greatest(l.last_at, excluded.last_at)",
        &each(noted, |used, _| used.workspace.0) as _,
        &each(noted, |used, _| used.integration.0) as _,
        &each(noted, |used, _| used.purpose.as_str().to_owned()) as _,
        &each(noted, |used, _| used.actor.map(|user| user.0)) as _,
        &each(noted, |used, _| used.hour) as _,
        &each(noted, |_, count| count.uses) as _,
        &each(noted, |_, count| count.last) as _,
    )
    .execute(db.system_pool(Credentials))
    .await?;
    Ok(())
}

pub async fn record(
    db: &Db,
    workspace: WorkspaceId,
    integration: IntegrationId,
    purpose: Purpose,
    actor: UserId,
) -> Result<()> {
    let uses = Uses::default();
    uses.record(workspace, integration, purpose, Some(actor));
    uses.flush(db).await
}

pub async fn delete_expired(db: &Db) -> Result<()> {
    sqlx::query!("delete from credential_access_log where hour < now() - interval '1 year'")
        .execute(db.system_pool(Jobs))
        .await?;
    Ok(())
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Access {
    pub id: Uuid,
    pub integration_id: IntegrationId,
    /// The current name of the integration.
    pub integration_name: String,
    pub purpose: Purpose,
    /// The admin who requested it; `null` for the server itself.
    pub actor_id: Option<UserId>,
    /// The admin's name at that time.
    pub actor_name: String,
    /// The beginning of the hour.
    pub hour: DateTime<Utc>,
    /// The number of uses in this hour.
    pub uses: i64,
    pub last_at: DateTime<Utc>,
}

/// Filters of uses. All are optional.
#[derive(Debug, Default, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    #[serde(default, deserialize_with = "unless_empty")]
    pub integration_id: Option<IntegrationId>,
    #[serde(default, deserialize_with = "unless_empty")]
    pub purpose: Option<Purpose>,
}

/// Newest hour first. Row-level security shows uses to admins only.
pub async fn list(tx: &mut WorkspaceTx, filter: &Filter, span: &Span) -> Result<Page<Access>> {
    let (limit, after) = (span.limit()?, span.cursor()?);
    let rows = sqlx::query_as!(
        Access,
        r#"select l.id, l.integration_id, i.name as integration_name, l.purpose, l.actor_id, l.actor_name, l.hour, l.uses, l.last_at
             from credential_access_log l
             join integrations i on i.workspace_id = l.workspace_id and i.id = l.integration_id
            where ($1::uuid is null or l.integration_id = $1)
              and ($2::text is null or l.purpose = $2)
              and ($3::timestamptz is null or (l.hour, l.id) < ($3, $4))
            order by l.hour desc, l.id desc
            limit $5::bigint + 1"#,
        filter.integration_id as _,
        filter.purpose as _,
        after.map(|cursor| cursor.at),
        after.map(|cursor| cursor.id),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(page(rows, limit, |access| Cursor {
        at: access.hour,
        id: access.id,
    }))
}

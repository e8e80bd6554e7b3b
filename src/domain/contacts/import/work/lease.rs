//! Leases an import, so that one server works on it.

use crate::db::Db;
use crate::db::purpose::Jobs;
use crate::error::Result;
use crate::ids::{ImportId, UserId, WorkspaceId};

/// Longer than a batch can take.
pub(super) const LEASE_SECONDS: f64 = 60.0;

pub struct Due {
    pub workspace: WorkspaceId,
    pub id: ImportId,
    pub(super) by: Option<UserId>,
}

/// Leases an import that has rows left. One round trip.
pub async fn due(db: &Db) -> Result<Option<Due>> {
    Ok(sqlx::query_as!(
        Due,
        r#"with due as (
               select i.workspace_id, i.id from contact_imports i
                where i.state in ('running', 'undoing') and (i.lease_until is null or i.lease_until < now())
                order by i.lease_until nulls first
                limit 1
                  for no key update of i skip locked
           )
           update contact_imports i set lease_until = now() + make_interval(secs => $1)
             from due d
            where i.workspace_id = d.workspace_id and i.id = d.id
           returning i.workspace_id as "workspace: WorkspaceId", i.id as "id: ImportId", case i.state when 'undoing' then i.undone_by else i.created_by end as "by: UserId""#,
        LEASE_SECONDS,
    )
    .fetch_optional(db.system_pool(Jobs))
    .await?)
}

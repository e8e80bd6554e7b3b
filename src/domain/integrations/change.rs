//! Renames an integration, switches it on and off, replaces its credentials.
//!
//! A provider may sign with the previous token for a while: it verifies webhooks for one more day, and is then deleted.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use super::sync::lock;
use super::{Integration, context, find};
use crate::app::App;
use crate::db::purpose::{Credentials, Jobs};
use crate::db::{Db, WorkspaceTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Admin;
use crate::error::{Check, Error, OnConstraint, Result};
use crate::events::Event;
use crate::ids::{IntegrationId, WorkspaceId};
use crate::language::t;
use crate::providers::Provider;

/// How long replaced credentials verify webhooks.
const PREVIOUS_CREDENTIALS_LIFETIME: Duration = Duration::from_secs(24 * 3600);

#[derive(Default, Deserialize, utoipa::ToSchema)]
#[schema(as = IntegrationChange)]
#[serde(deny_unknown_fields)]
pub struct IntegrationChange {
    /// 1 to 80 characters.
    pub name: Option<String>,
    /// `false`: nothing is sent or received until it is switched on again. Queued texts wait; texts that arrive
    /// meanwhile are fetched then.
    pub is_active: Option<bool>,
    /// New credentials of the same account, for example after a token rotation. They are checked at the provider before
    /// they replace the old ones, which verify webhooks for 24 more hours. Write-only.
    #[schema(value_type = Option<Object>)]
    pub credentials: Option<serde_json::Value>,
}

/// Changes the given fields. With valid credentials, an unhealthy integration becomes healthy and its queue is sent.
pub async fn update(
    app: &App,
    admin: &Admin,
    id: IntegrationId,
    change: IntegrationChange,
) -> Result<Integration> {
    let name = change.name.as_deref().map(str::trim);
    Check::default()
        .require(
            name.is_none_or(|name| {
                (1..=80).contains(&name.chars().count()) && !name.contains('\0')
            }),
            "name",
            t!("Use 1 to 80 characters"),
        )
        .finish()?;
    let fresh = match &change.credentials {
        Some(credentials) => Some(checked(app, admin, id, credentials).await?),
        None => None,
    };
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let before = lock(&mut tx, app, id).await?;
    sqlx::query!(
        "update integrations set name = coalesce($2, name), is_active = coalesce($3, is_active), updated_at = now() where id = $1",
        id as _,
        name,
        change.is_active,
    )
    .execute(tx.conn())
    .await
    .on_constraint("integrations_account_once", || {
        Error::field(
            "is_active",
            t!("This account is connected twice, and the other integration is in use. Turn that one off first."),
        )
    })?;
    if let Some(provider) = &fresh {
        replace_credentials(&mut tx, app, id, provider.as_ref()).await?;
    }
    if change.is_active == Some(true) && !before.is_active {
        // Fetches at once the texts that arrived meanwhile.
        sqlx::query!(
            "update numbers set catch_up_at = now() where integration_id = $1",
            id as _
        )
        .execute(tx.conn())
        .await?;
    }
    let after = find(&mut tx, &app.config, id).await?;
    let audit_json = |integration: &Integration| json!({"name": integration.name, "is_active": integration.is_active});
    let mut now = audit_json(&after);
    if fresh.is_some() {
        now["credentials"] = "replaced".into();
    }
    let audit_record = AuditRecord {
        subject: &after.name,
        subject_id: Some(id.0),
        before: Some(audit_json(&before)),
        after: Some(now),
    };
    audit::record(&mut tx, AuditAction::IntegrationChanged, audit_record).await?;
    let workspace = tx.workspace();
    tx.announce(Event::IntegrationChanged { workspace });
    tx.announce(Event::Queued);
    tx.commit().await?;
    Ok(after)
}

/// The account with its new credentials, if the provider accepts them.
async fn checked(
    app: &App,
    admin: &Admin,
    id: IntegrationId,
    credentials: &serde_json::Value,
) -> Result<Box<dyn Provider>> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let known = find(&mut tx, &app.config, id).await?;
    drop(tx);
    let provider = app
        .providers
        .open(known.provider, &credentials.to_string())?;
    if provider.account() != known.account {
        return Err(Error::field(
            "credentials",
            t!(
                "These credentials belong to another account. Connect it as a separate integration."
            ),
        ));
    }
    provider.validate().await?;
    Ok(provider)
}

async fn replace_credentials(
    tx: &mut WorkspaceTx,
    app: &App,
    id: IntegrationId,
    provider: &dyn Provider,
) -> Result<()> {
    let before = previous_credentials(tx.workspace(), app, id, provider).await?;
    let sealed = app
        .keys
        .seal(&provider.credentials(), &context(tx.workspace(), id));
    sqlx::query!(
        "update integrations
            set credentials = $2, hint = $3, status = 'healthy', status_reason = null, checked_at = now()
          where id = $1",
        id as _,
        sealed,
        provider.hint(),
    )
    .execute(tx.conn())
    .await?;
    if let Some(before) = before {
        sqlx::query!(
            "update integrations set former_credentials = $2, former_until = now() + make_interval(secs => $3) where id = $1",
            id as _,
            before,
            PREVIOUS_CREDENTIALS_LIFETIME.as_secs_f64(),
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// The current credentials, still encrypted; `None` if the new ones are the same. The caller holds the row's lock. The
/// query runs as the system role, because the members' role cannot read credentials.
async fn previous_credentials(
    workspace: WorkspaceId,
    app: &App,
    id: IntegrationId,
    provider: &dyn Provider,
) -> Result<Option<Vec<u8>>> {
    let sealed = sqlx::query_scalar!(
        "select credentials from integrations where workspace_id = $1 and id = $2",
        workspace as _,
        id as _,
    )
    .fetch_optional(app.db.system_pool(Credentials))
    .await?
    .flatten();
    let is_same = |sealed: &Vec<u8>| {
        let opened = app.keys.open(sealed, &context(workspace, id));
        opened.is_ok_and(|old| old.expose_secret() == provider.credentials().expose_secret())
    };
    Ok(sealed.filter(|sealed| !is_same(sealed)))
}

/// Deletes replaced credentials when their time is over.
pub async fn delete_previous_credentials(db: &Db) -> Result<()> {
    sqlx::query!(
        "update integrations set former_credentials = null, former_until = null where former_until <= now()"
    )
    .execute(db.system_pool(Jobs))
    .await?;
    Ok(())
}

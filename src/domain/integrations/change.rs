//! Renaming an account, switching it off and on, replacing its credentials.

use serde::Deserialize;
use serde_json::json;

use super::sync::lock;
use super::{Integration, context, find};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::audit::{self, Action, Deed};
use crate::domain::members::Admin;
use crate::error::{Check, Error, OnConstraint, Result};
use crate::events::Event;
use crate::ids::IntegrationId;
use crate::providers::Provider;

#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// 1 to 80 characters.
    pub name: Option<String>,
    /// `false`: nothing is sent or received until it is switched on again. Queued texts wait; texts that came meanwhile are
    /// brought in then.
    pub is_active: Option<bool>,
    /// New ones of the same account, such as after the token was rotated. Checked at the provider before they replace the old
    /// ones. Write-only.
    #[schema(value_type = Option<Object>)]
    pub credentials: Option<serde_json::Value>,
}

/// Changes what is given and keeps the rest. Good credentials bring an unhealthy integration back, and its queue with it.
pub async fn update(
    app: &App,
    admin: &Admin,
    id: IntegrationId,
    change: Change,
) -> Result<Integration> {
    let name = change.name.as_deref().map(str::trim);
    Check::default()
        .that(
            name.is_none_or(|name| {
                (1..=80).contains(&name.chars().count()) && !name.contains('\0')
            }),
            "name",
            "1 to 80 characters",
        )
        .done()?;
    let fresh = match &change.credentials {
        Some(credentials) => Some(checked(app, admin, id, credentials).await?),
        None => None,
    };
    let mut tx = app.db.workspace(admin.seat()).await?;
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
            "this account is connected a second time and in use there: switch that one off first",
        )
    })?;
    if let Some(provider) = &fresh {
        replace_credentials(&mut tx, app, id, provider.as_ref()).await?;
    }
    if change.is_active == Some(true) && !before.is_active {
        // What came meanwhile is brought in at once.
        sqlx::query!(
            "update numbers set catch_up_at = now() where integration_id = $1",
            id as _
        )
        .execute(tx.conn())
        .await?;
    }
    let after = find(&mut tx, &app.config, id).await?;
    let told = |of: &Integration| json!({"name": of.name, "is_active": of.is_active});
    let mut now = told(&after);
    if fresh.is_some() {
        now["credentials"] = "replaced".into();
    }
    let deed = Deed {
        subject: &after.name,
        subject_id: Some(id.0),
        before: Some(told(&before)),
        after: Some(now),
    };
    audit::record(&mut tx, Action::IntegrationChanged, deed).await?;
    let workspace = tx.workspace();
    tx.announce(Event::IntegrationChanged { workspace });
    tx.announce(Event::Queued);
    tx.commit().await?;
    Ok(after)
}

/// The account under its new credentials, if the provider accepts them.
async fn checked(
    app: &App,
    admin: &Admin,
    id: IntegrationId,
    credentials: &serde_json::Value,
) -> Result<Box<dyn Provider>> {
    let mut tx = app.db.workspace(admin.seat()).await?;
    let known = find(&mut tx, &app.config, id).await?;
    drop(tx);
    let provider = app
        .providers
        .open(known.provider, &credentials.to_string())?;
    if provider.account() != known.account {
        return Err(Error::field(
            "credentials",
            "these are of another account: connect that one by itself",
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
    Ok(())
}

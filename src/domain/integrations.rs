//! A workspace's accounts at providers, with their sealed credentials.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;

use crate::app::App;
use crate::config::Config;
use crate::db::purpose::{Credentials, Notify};
use crate::db::{Db, WorkspaceTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Admin;
use crate::domain::string_enum;
use crate::error::{Error, Field, Result};
use crate::events::Event;
use crate::ids::{IntegrationId, WorkspaceId};
use crate::language::{Message, t};
use crate::providers::{self, Provider, WebhookUrls};

pub mod calls;
mod change;
mod connect;
mod directory;
mod disconnect;
mod doctor;
mod number_orders;
mod sync;
pub mod uses;
mod webhook_setup;
pub use change::{IntegrationChange, delete_previous_credentials, update};
pub use connect::{Connect, Connected, Imported, connect, import};
pub(crate) use connect::{insert, insert_numbers};
pub use directory::{Account, Directory};
pub use disconnect::disconnect;
pub use doctor::{Diagnosis, Finding, State, Subject, examine, has_received_since, set_webhook};
pub use number_orders::{Purchase, Search, buy, release, search};
pub use sync::{Synced, sync};
pub use uses::Purpose;
use uses::Uses;

string_enum!(Health { Healthy = "healthy", Unhealthy = "unhealthy" });

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Integration {
    pub id: IntegrationId,
    pub workspace_id: WorkspaceId,
    pub provider: providers::Kind,
    pub name: String,
    /// The provider's public id of the account, such as Twilio's `AC…` or Telnyx's public key.
    pub account: String,
    /// The last four characters of the secret. No more of it is ever shown.
    pub hint: String,
    pub status: Health,
    /// Why it is unhealthy.
    #[schema(value_type = Option<String>)]
    pub status_reason: Option<Message>,
    pub is_active: bool,
    /// Where the provider posts inbound texts for this integration.
    pub webhook_url: String,
    pub created_at: DateTime<Utc>,
}

struct Row {
    id: IntegrationId,
    workspace_id: WorkspaceId,
    provider: providers::Kind,
    name: String,
    account: String,
    hint: String,
    status: Health,
    status_reason: Option<Message>,
    is_active: bool,
    created_at: DateTime<Utc>,
}

impl Row {
    fn into_integration(self, config: &Config) -> Integration {
        Integration {
            webhook_url: webhook_urls(config, self.provider, self.id).inbound,
            id: self.id,
            workspace_id: self.workspace_id,
            provider: self.provider,
            name: self.name,
            account: self.account,
            hint: self.hint,
            status: self.status,
            status_reason: self.status_reason,
            is_active: self.is_active,
            created_at: self.created_at,
        }
    }
}

/// The URLs that are configured at the provider, one pair per integration.
pub fn webhook_urls(config: &Config, provider: providers::Kind, id: IntegrationId) -> WebhookUrls {
    WebhookUrls {
        inbound: config.public(&format!("/webhooks/{provider}/{id}/inbound")),
        status: config.public(&format!("/webhooks/{provider}/{id}/status")),
    }
}

/// Binds encrypted credentials to their row.
fn context(workspace: WorkspaceId, id: IntegrationId) -> [u8; 32] {
    let mut context = [0; 32];
    context[..16].copy_from_slice(workspace.0.as_bytes());
    context[16..].copy_from_slice(id.0.as_bytes());
    context
}

/// Checks the credentials at the provider. If valid, an unhealthy integration becomes healthy and its queue is sent.
pub async fn test(
    app: &App,
    admin: &Admin,
    directory: &Directory,
    id: IntegrationId,
) -> Result<Integration> {
    let account = account(app, admin, directory, id).await?;
    let refusal = match account
        .used_by(admin.user(), Purpose::Check)
        .validate()
        .await
    {
        Ok(_) => None,
        Err(providers::Error::Refused { text, .. }) => Some(text),
        Err(error) => return Err(error.into()),
    };
    let mut tx = app.db.workspace(admin.tenant()).await?;
    sqlx::query!(
        "update integrations
            set status = case when $2::text is null then 'healthy' else 'unhealthy' end, status_reason = $2,
                checked_at = now(), updated_at = now()
          where id = $1",
        id as _,
        refusal as _,
    )
    .execute(tx.conn())
    .await?;
    let integration = find(&mut tx, &app.config, id).await?;
    let audit_record = AuditRecord {
        subject: &integration.name,
        subject_id: Some(id.0),
        before: None,
        after: Some(json!({"status": integration.status})),
    };
    audit::record(&mut tx, AuditAction::IntegrationChecked, audit_record).await?;
    let workspace = tx.workspace();
    tx.announce(Event::IntegrationChanged { workspace });
    tx.announce(Event::Queued);
    tx.commit().await?;
    Ok(integration)
}

/// The workspace's own account, with decrypted credentials.
async fn account(
    app: &App,
    admin: &Admin,
    directory: &Directory,
    id: IntegrationId,
) -> Result<Arc<Account>> {
    let account = directory.integration(id).await?;
    match account.filter(|account| account.workspace == admin.workspace()) {
        Some(account) => Ok(account),
        None => {
            let mut tx = app.db.workspace(admin.tenant()).await?;
            find(&mut tx, &app.config, id).await?;
            Err(Error::IntegrationOff)
        }
    }
}

pub async fn list(tx: &mut WorkspaceTx, _: &Admin, config: &Config) -> Result<Vec<Integration>> {
    let rows = sqlx::query_as!(
        Row,
        "select id, workspace_id, provider, name, account, hint, status, status_reason, is_active, created_at
           from integrations
          where disconnected_at is null
          order by created_at, id"
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| row.into_integration(config))
        .collect())
}

pub async fn find(tx: &mut WorkspaceTx, config: &Config, id: IntegrationId) -> Result<Integration> {
    sqlx::query_as!(
        Row,
        "select id, workspace_id, provider, name, account, hint, status, status_reason, is_active, created_at
           from integrations where id = $1 and disconnected_at is null",
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .map(|row| row.into_integration(config))
    .ok_or(Error::NotFound(t!("the integration")))
}

impl From<providers::Error> for Error {
    fn from(error: providers::Error) -> Self {
        match error {
            providers::Error::Refused { text, .. } => Self::InvalidCredentials(text),
            error => Self::ProviderUnavailable(error.message()),
        }
    }
}

impl From<providers::InvalidCredentials> for Error {
    fn from(wrong: providers::InvalidCredentials) -> Self {
        Self::Invalid(
            wrong
                .0
                .into_iter()
                .map(|wrong| Field {
                    field: wrong.field,
                    message: wrong.message,
                })
                .collect(),
        )
    }
}

struct Sealed {
    workspace: WorkspaceId,
    id: IntegrationId,
    kind: providers::Kind,
    credentials: Vec<u8>,
}

impl Sealed {
    fn open(self, app: &App) -> Result<Box<dyn Provider>> {
        use secrecy::ExposeSecret;
        let credentials: SecretString = app
            .keys
            .open(&self.credentials, &context(self.workspace, self.id))
            .map_err(|error| Error::Internal(error.to_string()))?;
        Ok(app.providers.open(self.kind, credentials.expose_secret())?)
    }
}

/// Encrypts the credentials that are not yet under the first master key. Returns how many integrations there were.
pub(in crate::domain) async fn reseal(app: &App) -> Result<usize> {
    let rows = sqlx::query!(
        r#"select workspace_id, id, credentials as "credentials!", former_credentials as former from integrations
            where credentials is not null order by workspace_id, id"#
    )
    .fetch_all(app.db.system_pool(Credentials))
    .await?;
    let mut resealed = 0;
    for row in rows {
        let context = context(row.workspace_id, row.id);
        let reencrypt = |sealed: &[u8]| -> Result<Vec<u8>> {
            if app.keys.is_current(sealed) {
                return Ok(sealed.to_vec());
            }
            let opened = app.keys.open(sealed, &context);
            let secret = opened
                .map_err(|error| Error::Internal(format!("the integration {}: {error}", row.id)))?;
            Ok(app.keys.seal(&secret, &context))
        };
        let (credentials, former) = (
            reencrypt(&row.credentials)?,
            row.former.as_deref().map(reencrypt).transpose()?,
        );
        if credentials == row.credentials && former == row.former {
            continue;
        }
        // Credentials that were changed meanwhile are under the newest key already.
        let done = sqlx::query!(
            "update integrations set credentials = $3, former_credentials = $4
              where workspace_id = $1 and id = $2 and credentials = $5 and former_credentials is not distinct from $6",
            row.workspace_id as _,
            row.id as _,
            credentials,
            former,
            row.credentials,
            row.former,
        )
        .execute(app.db.system_pool(Credentials))
        .await?;
        resealed += usize::from(done.rows_affected() == 1);
    }
    Ok(resealed)
}

/// A notification to the admins: the integration is unhealthy and its queue waits.
pub struct Failed {
    pub name: String,
    pub reason: String,
    pub workspace_name: String,
    pub slug: String,
    pub emails: Vec<String>,
    /// The languages of the admins, in the same order; empty where none was chosen.
    pub languages: Vec<String>,
}

pub async fn failure_recipients(
    db: &Db,
    workspace: WorkspaceId,
    id: IntegrationId,
) -> Result<Option<Failed>> {
    Ok(sqlx::query_as!(
        Failed,
        r#"select i.name, coalesce(i.status_reason, '') as "reason!", w.name as workspace_name, w.slug,
                  array(select u.email from workspace_members m join users u on u.id = m.user_id
                         where m.workspace_id = w.id and m.role = 'admin' order by u.id) as "emails!",
                  array(select coalesce(u.language, '') from workspace_members m join users u on u.id = m.user_id
                         where m.workspace_id = w.id and m.role = 'admin' order by u.id) as "languages!: Vec<String>"
             from integrations i
             join workspaces w on w.id = i.workspace_id
            where i.workspace_id = $1 and i.id = $2"#,
        workspace as _,
        id as _,
    )
    .fetch_optional(db.system_pool(Notify))
    .await?)
}

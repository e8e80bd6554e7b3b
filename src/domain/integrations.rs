//! A workspace's accounts at providers, with their sealed credentials.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::stream;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::app::App;
use crate::config::Config;
use crate::db::WorkspaceTx;
use crate::domain::members::Admin;
use crate::domain::numbers::{self, Number, WebhookState};
use crate::domain::words;
use crate::error::{Check, Error, Field, OnConstraint, Result};
use crate::events::Event;
use crate::ids::{IntegrationId, NumberId, WorkspaceId};
use crate::keys::MasterKeys;
use crate::providers::{self, Provider, RemoteNumber, Webhook, WebhookUrls};

mod directory;
pub use directory::{Account, Directory};

words!(Health { Healthy = "healthy", Unhealthy = "unhealthy" });

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Integration {
    pub id: IntegrationId,
    pub workspace_id: WorkspaceId,
    pub provider: providers::Kind,
    pub name: String,
    /// The provider's public name for the account, such as Twilio's `AC…`.
    pub account: String,
    /// The secret's last four characters: all that is ever shown of it.
    pub hint: String,
    pub status: Health,
    /// Why it is unhealthy, in words.
    pub status_reason: Option<String>,
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
    status_reason: Option<String>,
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

/// The addresses that number sync configures at the provider: one pair per integration.
pub fn webhook_urls(config: &Config, provider: providers::Kind, id: IntegrationId) -> WebhookUrls {
    WebhookUrls {
        inbound: config.public(&format!("/webhooks/{provider}/{id}/inbound")),
        status: config.public(&format!("/webhooks/{provider}/{id}/status")),
    }
}

/// Binds sealed credentials to their row.
fn context(workspace: WorkspaceId, id: IntegrationId) -> [u8; 32] {
    let mut context = [0; 32];
    context[..16].copy_from_slice(workspace.0.as_bytes());
    context[16..].copy_from_slice(id.0.as_bytes());
    context
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// `twilio`, or `sandbox`, which needs no account.
    pub provider: String,
    /// What admins call it: 1 to 80 characters. Without it the account's name at the provider.
    pub name: Option<String>,
    /// For `twilio`: `{"account_sid": "AC…", "auth_token": "…"}`; for `sandbox`: `{}`. Write-only.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub credentials: serde_json::Value,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Connected {
    pub integration: Integration,
    pub numbers: Vec<Number>,
}

/// Checks the credentials at the provider, stores them sealed with all numbers, and has their texts delivered to us.
/// Credentials that the provider refuses change nothing here.
pub async fn connect(app: &App, admin: &Admin, form: Connect) -> Result<Connected> {
    let kind: providers::Kind = form
        .provider
        .parse()
        .map_err(|wrong: providers::UnknownKind| Error::field("provider", wrong.to_string()))?;
    Check::default()
        .that(
            form.name
                .as_deref()
                .is_none_or(|name| name.trim().chars().count() <= 80 && !name.contains('\0')),
            "name",
            "at most 80 characters",
        )
        .done()?;
    let credentials = match form.credentials {
        serde_json::Value::Null => "{}".into(),
        credentials => credentials.to_string(),
    };
    let provider = app.providers.open(kind, &credentials)?;
    let account = provider.validate().await?;
    let remote = provider.list_numbers().await?;
    let name = form
        .name
        .filter(|name| !name.trim().is_empty())
        .unwrap_or(account.name);
    let id = IntegrationId::new();
    let mut tx = app.db.workspace(admin.seat()).await?;
    let workspace = tx.workspace();
    insert(
        tx.conn(),
        &app.keys,
        workspace,
        id,
        provider.as_ref(),
        name.trim(),
    )
    .await?;
    let numbers = insert_numbers(tx.conn(), workspace, id, &remote).await?;
    tx.announce(Event::IntegrationChanged { workspace });
    tx.commit().await?;
    // The provider's side takes a while; whoever asked may go away, and it is done all the same.
    tokio::spawn(configure(
        app.clone(),
        admin.clone(),
        id,
        Arc::from(provider),
        remote,
        numbers,
    ))
    .await
    .map_err(|error| Error::Internal(error.to_string()))??;
    let mut tx = app.db.workspace(admin.seat()).await?;
    let numbers = numbers::list(&mut tx).await?;
    Ok(Connected {
        integration: find(&mut tx, &app.config, id).await?,
        numbers: numbers
            .into_iter()
            .filter(|number| number.integration_id == id)
            .collect(),
    })
}

/// Stores the account with its credentials sealed.
pub(super) async fn insert(
    conn: &mut PgConnection,
    keys: &MasterKeys,
    workspace: WorkspaceId,
    id: IntegrationId,
    provider: &dyn Provider,
    name: &str,
) -> Result<()> {
    let name: String = name.chars().take(80).collect();
    let sealed = keys.seal(&provider.credentials(), &context(workspace, id));
    sqlx::query!(
        "insert into integrations (workspace_id, id, provider, name, account, hint, credentials)
         values ($1, $2, $3, $4, $5, $6, $7)",
        workspace as _,
        id as _,
        provider.kind() as _,
        if name.is_empty() {
            provider.kind().as_str().to_owned()
        } else {
            name
        },
        provider.account(),
        provider.hint(),
        sealed,
    )
    .execute(conn)
    .await
    .on_constraint("integrations_account_once", || {
        Error::field(
            "credentials",
            "this account is connected already: see the list of integrations",
        )
    })?;
    Ok(())
}

/// Stores every number of the account; the first one of a workspace that can text becomes its default.
pub(super) async fn insert_numbers(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    integration: IntegrationId,
    remote: &[RemoteNumber],
) -> Result<Vec<NumberId>> {
    let ids: Vec<_> = remote.iter().map(|_| NumberId::new()).collect();
    sqlx::query!(
        "insert into numbers (workspace_id, id, integration_id, provider_number_id, phone_number, friendly_name, sms, mms, voice, is_default)
         select $1, t.id, $2, t.provider_number_id, t.phone_number, left(t.friendly_name, 80), t.sms, t.mms, t.voice,
                t.sms and not exists (select from numbers n where n.workspace_id = $1 and n.is_default)
                      and row_number() over (partition by t.sms order by t.place) = 1
           from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::bool[], $9::bool[])
                with ordinality as t (id, provider_number_id, phone_number, friendly_name, sms, mms, voice, place)",
        workspace as _,
        integration as _,
        &ids as _,
        &remote.iter().map(|number| number.provider_id.clone()).collect::<Vec<_>>(),
        &remote.iter().map(|number| number.phone_number.to_string()).collect::<Vec<_>>(),
        &remote.iter().map(named).collect::<Vec<_>>(),
        &remote.iter().map(|number| number.capabilities.sms).collect::<Vec<_>>(),
        &remote.iter().map(|number| number.capabilities.mms).collect::<Vec<_>>(),
        &remote.iter().map(|number| number.capabilities.voice).collect::<Vec<_>>(),
    )
    .execute(conn)
    .await?;
    Ok(ids)
}

/// A provider's own default for the name is the number once more: then it has none.
fn named(number: &RemoteNumber) -> String {
    let digits = |text: &str| {
        text.chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
    };
    let name = number.friendly_name.trim();
    let repeats = !name.is_empty()
        && !name.contains(char::is_alphabetic)
        && digits(number.phone_number.as_str()).ends_with(&digits(name));
    if repeats {
        String::new()
    } else {
        name.replace('\0', "")
    }
}

/// Webhooks that are set at the same time.
const AT_ONCE: usize = 6;

/// Sets the webhook of each number that can text, a few at a time, and writes down what came of it.
async fn configure(
    app: App,
    admin: Admin,
    id: IntegrationId,
    provider: Arc<dyn Provider>,
    remote: Vec<RemoteNumber>,
    ids: Vec<NumberId>,
) -> Result<()> {
    let urls = webhook_urls(&app.config, provider.kind(), id);
    let texting = remote
        .into_iter()
        .zip(ids)
        .filter(|(number, _)| number.capabilities.sms);
    let calls = texting.map(|(number, id)| {
        let (provider, urls) = (Arc::clone(&provider), urls.clone());
        let unreachable = (!app.config.is_reachable()
            && provider.kind() != providers::Kind::Sandbox)
            .then(|| {
                providers::Error::Unreachable(format!(
                    "The provider cannot reach {}: set BASE_URL to a public address.",
                    app.config.public("")
                ))
            });
        async move {
            match unreachable {
                Some(error) => (id, Err(error)),
                None => (id, provider.configure_webhook(&number, &urls).await),
            }
        }
    });
    let mut settled = stream::iter(calls).buffer_unordered(AT_ONCE);
    while let Some((number, answer)) = settled.next().await {
        let (state, detail, previous) = match answer {
            Ok(Webhook::Configured { previous }) => (WebhookState::Configured, None, previous),
            Ok(Webhook::Unchanged) => (WebhookState::Configured, None, None),
            Ok(Webhook::Shadowed { by }) => (WebhookState::Shadowed, Some(by), None),
            Err(error) => (WebhookState::Failed, Some(error.to_string()), None),
        };
        let mut tx = app.db.workspace(admin.seat()).await?;
        sqlx::query!(
            "update numbers
                set webhook = $2, webhook_detail = $3, previous_webhook_url = coalesce($4, previous_webhook_url), updated_at = now()
              where id = $1",
            number as _,
            state as _,
            detail,
            previous,
        )
        .execute(tx.conn())
        .await?;
        let workspace = tx.workspace();
        tx.announce(Event::NumberChanged { workspace, number });
        tx.commit().await?;
    }
    Ok(())
}

/// Asks the provider once more. Good credentials bring an unhealthy integration back, and its queue with it.
pub async fn test(
    app: &App,
    admin: &Admin,
    directory: &Directory,
    id: IntegrationId,
) -> Result<Integration> {
    let account = directory
        .integration(id)
        .await?
        .filter(|account| account.workspace == admin.workspace())
        .ok_or(Error::NotFound("the integration"))?;
    let refusal = match account.provider.validate().await {
        Ok(_) => None,
        Err(providers::Error::Refused { text, .. }) => Some(text),
        Err(error) => return Err(error.into()),
    };
    let mut tx = app.db.workspace(admin.seat()).await?;
    sqlx::query!(
        "update integrations
            set status = case when $2::text is null then 'healthy' else 'unhealthy' end, status_reason = $2,
                checked_at = now(), updated_at = now()
          where id = $1",
        id as _,
        refusal,
    )
    .execute(tx.conn())
    .await?;
    let integration = find(&mut tx, &app.config, id).await?;
    let workspace = tx.workspace();
    tx.announce(Event::IntegrationChanged { workspace });
    tx.announce(Event::Queued);
    tx.commit().await?;
    Ok(integration)
}

pub async fn list(tx: &mut WorkspaceTx, _: &Admin, config: &Config) -> Result<Vec<Integration>> {
    let rows = sqlx::query_as!(
        Row,
        "select id, workspace_id, provider, name, account, hint, status, status_reason, is_active, created_at
           from integrations
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
           from integrations where id = $1",
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .map(|row| row.into_integration(config))
    .ok_or(Error::NotFound("the integration"))
}

impl From<providers::Error> for Error {
    fn from(error: providers::Error) -> Self {
        match error {
            providers::Error::Refused { text, .. } => Self::InvalidCredentials(text),
            error => Self::ProviderUnavailable(error.to_string()),
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

/// Credentials as they lie in the database.
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

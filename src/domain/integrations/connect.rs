//! Connects an account: checks its credentials, stores them encrypted, imports its numbers, sets their webhooks.

use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;

use super::webhook_setup::set_up_webhooks;
use super::{Integration, Purpose, context, find, uses, webhook_urls};
use crate::app::App;
use crate::db::purpose::Setup;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::{self, Admin};
use crate::domain::numbers::{self, Number};
use crate::error::{Check, Error, OnConstraint, Result};
use crate::events::Event;
use crate::ids::{IntegrationId, NumberId, WorkspaceId};
use crate::keys::MasterKeys;
use crate::language::t;
use crate::providers::{self, Provider, RemoteNumber};

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// `twilio`, `telnyx`, or `sandbox`, which needs no account.
    pub provider: String,
    /// Its name for admins: 1 to 80 characters. The default is the account's name at the provider.
    pub name: Option<String>,
    /// For `twilio`: `{"account_sid": "AC…", "auth_token": "…"}`; for `telnyx`: `{"api_key": "KEY…", "public_key": "…"}`;
    /// for `sandbox`: `{}`. Write-only.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub credentials: serde_json::Value,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct Connected {
    pub integration: Integration,
    pub numbers: Vec<Number>,
}

/// Checks the credentials at the provider, stores them encrypted with all numbers, and sets the webhooks. If the
/// provider refuses them, nothing changes.
pub async fn connect(app: &App, admin: &Admin, form: Connect) -> Result<Connected> {
    let provider = open(app, &form)?;
    let account = provider.validate().await?;
    let remote = provider.list_numbers().await?;
    let name = form
        .name
        .filter(|name| !name.trim().is_empty())
        .unwrap_or(account.name);
    let id = IntegrationId::new();
    let mut tx = app.db.workspace(admin.tenant()).await?;
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
    let audit_record = AuditRecord {
        subject: name.trim(),
        subject_id: Some(id.0),
        before: None,
        after: Some(
            json!({"provider": provider.kind(), "account": provider.account(), "numbers": numbers.len()}),
        ),
    };
    audit::record(&mut tx, AuditAction::IntegrationConnected, audit_record).await?;
    tx.announce(Event::IntegrationChanged { workspace });
    tx.commit().await?;
    // Setting the webhooks takes a while.
    let (by, provider) = (admin.clone(), Arc::from(provider));
    app.complete(move |app| configure(app, by, id, provider, remote, numbers))
        .await?;
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let numbers = numbers::list(&mut tx).await?;
    Ok(Connected {
        integration: find(&mut tx, &app.config, id).await?,
        numbers: numbers
            .into_iter()
            .filter(|number| number.integration_id == id)
            .collect(),
    })
}

fn open(app: &App, form: &Connect) -> Result<Box<dyn Provider>> {
    let kind: providers::Kind = form
        .provider
        .parse()
        .map_err(|wrong: providers::UnknownKind| Error::field("provider", wrong.message()))?;
    let is_name = |name: &str| name.trim().chars().count() <= 80 && !name.contains('\0');
    Check::default()
        .require(
            form.name.as_deref().is_none_or(is_name),
            "name",
            t!("Use at most 80 characters"),
        )
        .finish()?;
    let credentials = match &form.credentials {
        serde_json::Value::Null => "{}".into(),
        credentials => credentials.to_string(),
    };
    Ok(app.providers.open(kind, &credentials)?)
}

pub(crate) async fn insert(
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
            t!("This account is already connected. See your list of integrations."),
        )
    })?;
    Ok(())
}

/// Stores all numbers of the account. The first one that can text becomes the default of a workspace without one.
pub(crate) async fn insert_numbers(
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
        &remote.iter().map(friendly_name).collect::<Vec<_>>(),
        &remote.iter().map(|number| number.capabilities.sms).collect::<Vec<_>>(),
        &remote.iter().map(|number| number.capabilities.mms).collect::<Vec<_>>(),
        &remote.iter().map(|number| number.capabilities.voice).collect::<Vec<_>>(),
    )
    .execute(conn)
    .await?;
    Ok(ids)
}

/// Empty if the provider's name only repeats the number, as its default does.
fn friendly_name(number: &RemoteNumber) -> String {
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

/// Sets the webhook of each number that can text and has another one, and stores the results.
async fn configure(
    app: App,
    admin: Admin,
    id: IntegrationId,
    provider: Arc<dyn Provider>,
    remote: Vec<RemoteNumber>,
    ids: Vec<NumberId>,
) -> Result<()> {
    uses::record(
        &app.db,
        admin.workspace(),
        id,
        Purpose::Connect,
        admin.user(),
    )
    .await?;
    let urls = webhook_urls(&app.config, provider.kind(), id);
    let mut results = pin!(set_up_webhooks(&app, provider.as_ref(), &urls, &remote));
    while let Some(group) = results.next().await {
        let mut tx = app.db.workspace(admin.tenant()).await?;
        for (index, setup) in group {
            let (Some(setup), Some(&number)) = (setup, ids.get(index)) else {
                continue;
            };
            sqlx::query!(
                "update numbers
                    set webhook = $2, webhook_detail = $3, previous_webhook_url = coalesce($4, previous_webhook_url), updated_at = now()
                  where id = $1",
                number as _,
                setup.state as _,
                setup.detail as _,
                setup.previous,
            )
            .execute(tx.conn())
            .await?;
            let workspace = tx.workspace();
            tx.announce(Event::NumberChanged { workspace, number });
        }
        tx.commit().await?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// Connected now, with this many numbers.
    New(usize),
    Known,
}

/// Imports a Twilio account into a workspace, with `phone_number` as the default.
pub async fn import(
    app: &App,
    workspace: &str,
    account_sid: &str,
    auth_token: &str,
    phone_number: &str,
) -> Result<Imported> {
    let mut tx = app.db.system(Setup).await?;
    let admin = members::first_admin(&mut tx, workspace).await?;
    drop(tx);
    let form = Connect {
        provider: "twilio".into(),
        name: None,
        credentials: json!({"account_sid": account_sid, "auth_token": auth_token}),
    };
    let imported = if is_connected(app, &admin, account_sid).await? {
        Imported::Known
    } else {
        Imported::New(connect(app, &admin, form).await?.numbers.len())
    };
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let numbers = numbers::list(&mut tx).await?;
    let number = numbers
        .into_iter()
        .find(|number| number.phone_number == phone_number)
        .ok_or_else(|| {
            Error::field(
                "TWILIO_PHONE_NUMBER",
                t!("This account doesn’t have that number. Write it like +15105550100."),
            )
        })?;
    let default = numbers::NumberChange {
        is_default: Some(true),
        ..numbers::NumberChange::default()
    };
    numbers::update(&mut tx, &admin, number.id, default).await?;
    tx.commit().await?;
    Ok(imported)
}

async fn is_connected(app: &App, admin: &Admin, account: &str) -> Result<bool> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    Ok(sqlx::query_scalar!(
        r#"select exists (select from integrations where provider = 'twilio' and account = $1 and is_active) as "is!""#,
        account
    )
    .fetch_one(tx.conn())
    .await?)
}

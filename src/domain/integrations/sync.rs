//! Synchronizes our list of an account's numbers with the provider's. The history of removed numbers stays.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::stream;
use serde::Serialize;
use serde_json::json;

use super::webhook_setup::{WebhookSetup, set_up_webhooks};
use super::{Account, Directory, Purpose, account, find, insert_numbers, webhook_urls};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::db::purpose::Fetch;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Admin;
use crate::domain::numbers::{self, Number};
use crate::error::Result;
use crate::events::Event;
use crate::ids::{IntegrationId, NumberId};
use crate::language::Message;
use crate::providers::RemoteNumber;

/// The result of a sync.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Synced {
    pub added: usize,
    /// Their capabilities or webhooks changed, or they came back.
    pub updated: usize,
    /// They are inactive now. Their history stays.
    pub removed: usize,
    /// All numbers of the integration.
    pub numbers: Vec<Number>,
}

/// Compares the two lists and sets the webhooks that differ. If the provider cannot be reached, nothing changes.
pub async fn sync(
    app: &App,
    admin: &Admin,
    directory: &Directory,
    id: IntegrationId,
) -> Result<Synced> {
    let account = account(app, admin, directory, id).await?;
    let admin = admin.clone();
    // Changes at the provider must be stored.
    app.complete(async move |app| apply_sync(&app, &admin, &account).await)
        .await
}

async fn apply_sync(app: &App, admin: &Admin, account: &Account) -> Result<Synced> {
    let asked_at = sqlx::query_scalar!(r#"select now() as "now!""#)
        .fetch_one(app.db.system_pool(Fetch))
        .await?;
    let mut seen = HashSet::new();
    let provider = account.used_by(admin.user(), Purpose::Numbers);
    let mut remote = match provider.lists_all_numbers() {
        true => provider.list_numbers().await?,
        false => Vec::new(),
    };
    remote.retain(|number| seen.insert(number.phone_number.to_string()));
    let found = set_up_all(app, account, remote).await;

    let mut tx = app.db.workspace(admin.tenant()).await?;
    let integration = lock(&mut tx, app, account.integration).await?;
    let (added, updated) = keep(&mut tx, account.integration, &found).await?;
    let removed = match account.provider.lists_all_numbers() {
        true => remove_missing(&mut tx, account.integration, &seen, asked_at).await?,
        false => Vec::new(),
    };
    let audit_record = AuditRecord {
        subject: &integration.name,
        subject_id: Some(account.integration.0),
        before: None,
        after: Some(
            json!({"added": added.len(), "updated": updated.len(), "removed": removed.len()}),
        ),
    };
    audit::record(&mut tx, AuditAction::IntegrationSynced, audit_record).await?;
    let workspace = tx.workspace();
    for &number in added.iter().chain(&updated).chain(&removed) {
        tx.announce(Event::NumberChanged { workspace, number });
    }
    tx.announce(Event::IntegrationChanged { workspace });
    let mut numbers = numbers::list(&mut tx).await?;
    numbers.retain(|number| number.integration_id == account.integration);
    tx.commit().await?;
    Ok(Synced {
        added: added.len(),
        updated: updated.len(),
        removed: removed.len(),
        numbers,
    })
}

/// A number at the provider, and the result of setting its webhook.
pub(super) struct Found {
    pub number: RemoteNumber,
    pub setup: Option<WebhookSetup>,
}

async fn set_up_all(app: &App, account: &Account, remote: Vec<RemoteNumber>) -> Vec<Found> {
    let provider = account.provider.as_ref();
    let urls = webhook_urls(&app.config, provider.kind(), account.integration);
    let mut setups: HashMap<usize, Option<WebhookSetup>> =
        set_up_webhooks(app, provider, &urls, &remote)
            .flat_map(stream::iter)
            .collect()
            .await;
    let found = remote.into_iter().enumerate();
    found
        .map(|(index, number)| Found {
            number,
            setup: setups.remove(&index).flatten(),
        })
        .collect()
}

/// Locks the integration: concurrent changes of its numbers wait here.
pub(super) async fn lock(
    tx: &mut WorkspaceTx,
    app: &App,
    id: IntegrationId,
) -> Result<super::Integration> {
    sqlx::query!(
        "select id from integrations where id = $1 for no key update",
        id as _
    )
    .fetch_optional(tx.conn())
    .await?;
    find(tx, &app.config, id).await
}

/// Stores the numbers. Returns which ones are new and which ones changed.
pub(super) async fn keep(
    tx: &mut WorkspaceTx,
    integration: IntegrationId,
    found: &[Found],
) -> Result<(Vec<NumberId>, Vec<NumberId>)> {
    let known: HashSet<String> = sqlx::query_scalar!(
        "select phone_number from numbers where integration_id = $1",
        integration as _
    )
    .fetch_all(tx.conn())
    .await?
    .into_iter()
    .collect();
    let fresh: Vec<RemoteNumber> = found
        .iter()
        .map(|found| found.number.clone())
        .filter(|number| !known.contains(number.phone_number.as_str()))
        .collect();
    let workspace = tx.workspace();
    let added = insert_numbers(tx.conn(), workspace, integration, &fresh).await?;
    let capability = |read: fn(&RemoteNumber) -> bool| -> Vec<bool> {
        found.iter().map(|found| read(&found.number)).collect()
    };
    let setup = |read: fn(&WebhookSetup) -> Option<String>| -> Vec<Option<String>> {
        let setups = found.iter().map(|found| found.setup.as_ref());
        setups.map(|setup| setup.and_then(read)).collect()
    };
    let mut updated = sqlx::query_scalar!(
        "update numbers n
            set provider_number_id = t.provider_number_id, sms = t.sms, mms = t.mms, voice = t.voice,
                status = case when n.gone_at is null and n.status <> 'pending' then n.status else 'active' end, gone_at = null,
                webhook = coalesce(t.webhook, 'unset'), webhook_detail = t.webhook_detail,
                previous_webhook_url = coalesce(t.previous, n.previous_webhook_url), updated_at = now()
           from unnest($2::text[], $3::text[], $4::bool[], $5::bool[], $6::bool[], $7::text[], $8::text[], $9::text[], $10::bool[])
                as t (phone_number, provider_number_id, sms, mms, voice, webhook, webhook_detail, previous, written)
          where n.integration_id = $1 and n.phone_number = t.phone_number
            and (t.written or n.gone_at is not null or n.status = 'pending'
                 or (n.provider_number_id, n.sms, n.mms, n.voice, n.webhook, n.webhook_detail)
                    is distinct from (t.provider_number_id, t.sms, t.mms, t.voice, coalesce(t.webhook, 'unset'), t.webhook_detail))
         returning n.id",
        integration as _,
        &found.iter().map(|found| found.number.phone_number.to_string()).collect::<Vec<_>>(),
        &found.iter().map(|found| found.number.provider_id.clone()).collect::<Vec<_>>(),
        &capability(|number| number.capabilities.sms),
        &capability(|number| number.capabilities.mms),
        &capability(|number| number.capabilities.voice),
        &setup(|setup| Some(setup.state.as_str().to_owned())) as _,
        &setup(|setup| setup.detail.as_ref().map(Message::stored)) as _,
        &setup(|setup| setup.previous.clone()) as _,
        &found.iter().map(|found| found.setup.as_ref().is_some_and(|setup| setup.written)).collect::<Vec<_>>(),
    )
    .fetch_all(tx.conn())
    .await?;
    updated.retain(|id| !added.contains(id));
    Ok((added, updated))
}

/// Retires the numbers that the provider no longer has, but none that was added after the provider was asked. An
/// ordered number has a day to appear.
async fn remove_missing(
    tx: &mut WorkspaceTx,
    integration: IntegrationId,
    seen: &HashSet<String>,
    asked_at: DateTime<Utc>,
) -> Result<Vec<NumberId>> {
    let seen: Vec<String> = seen.iter().cloned().collect();
    Ok(sqlx::query_scalar!(
        "update numbers
            set status = 'inactive', is_default = false, gone_at = now(), webhook = 'unset', webhook_detail = null, updated_at = now()
          where integration_id = $1 and gone_at is null and phone_number <> all ($2) and updated_at < $3
            and (status <> 'pending' or updated_at < $3 - interval '1 day')
         returning id",
        integration as _,
        &seen,
        asked_at,
    )
    .fetch_all(tx.conn())
    .await?)
}

//! Disconnects an account. Its history stays; its credentials are deleted.

use std::collections::HashMap;

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::json;

use super::sync::lock;
use super::webhook_setup::{CONCURRENCY, groups};
use super::{Directory, Purpose, Sealed, uses, webhook_urls};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::db::purpose::Credentials;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Admin;
use crate::error::Result;
use crate::events::Event;
use crate::ids::{IntegrationId, NumberId};
use crate::providers::Provider;

/// Deletes the credentials and retires the numbers. The sender fails waiting texts and returns their credits. Then the
/// previous webhooks are restored, as far as the provider allows.
pub async fn disconnect(
    app: &App,
    admin: &Admin,
    directory: &Directory,
    id: IntegrationId,
) -> Result<()> {
    let (admin, directory) = (admin.clone(), directory.clone());
    app.complete(async move |app| disconnect_account(&app, &admin, &directory, id).await)
        .await
}

async fn disconnect_account(
    app: &App,
    admin: &Admin,
    directory: &Directory,
    id: IntegrationId,
) -> Result<()> {
    // The last use of the credentials. If they cannot be decrypted, the account is disconnected all the same.
    let provider = match open(app, admin, id).await {
        Ok(provider) => provider,
        Err(error) if error.is_outage() => return Err(error),
        Err(error) => {
            tracing::warn!(%error, integration.id = %id, "could not decrypt the credentials: webhooks are not restored");
            None
        }
    };
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let integration = lock(&mut tx, app, id).await?;
    let routed = routed_numbers(&mut tx, id).await?;
    let numbers = retire(&mut tx, id).await?;
    let audit_record = AuditRecord {
        subject: &integration.name,
        subject_id: Some(id.0),
        before: Some(
            json!({"provider": integration.provider, "account": integration.account, "numbers": numbers.len()}),
        ),
        after: None,
    };
    audit::record(&mut tx, AuditAction::IntegrationDisconnected, audit_record).await?;
    let workspace = tx.workspace();
    tx.announce(Event::IntegrationChanged { workspace });
    for number in numbers {
        tx.announce(Event::NumberChanged { workspace, number });
    }
    tx.announce(Event::Queued);
    tx.commit().await?;
    directory.invalidate_integration(id).await;
    if let Some(provider) = provider {
        restore_webhooks(app, provider.as_ref(), id, routed).await;
    }
    Ok(())
}

async fn open(app: &App, admin: &Admin, id: IntegrationId) -> Result<Option<Box<dyn Provider>>> {
    let sealed = sqlx::query_as!(
        Sealed,
        r#"select workspace_id as workspace, id, provider as kind, credentials as "credentials!"
             from integrations
            where workspace_id = $1 and id = $2 and credentials is not null"#,
        admin.workspace() as _,
        id as _,
    )
    .fetch_optional(app.db.system_pool(Credentials))
    .await?;
    audit::credentials_opened(app.db.system_pool(Credentials), &[id]).await?;
    uses::record(
        &app.db,
        admin.workspace(),
        id,
        Purpose::Numbers,
        admin.user(),
    )
    .await?;
    sealed.map(|sealed| sealed.open(app)).transpose()
}

/// A number whose webhook is ours, and the webhook it had before.
struct RoutedNumber {
    provider_number_id: String,
    previous_webhook_url: Option<String>,
}

async fn routed_numbers(tx: &mut WorkspaceTx, id: IntegrationId) -> Result<Vec<RoutedNumber>> {
    Ok(sqlx::query_as!(
        RoutedNumber,
        "select provider_number_id, previous_webhook_url from numbers
          where integration_id = $1 and gone_at is null and webhook = 'configured'",
        id as _,
    )
    .fetch_all(tx.conn())
    .await?)
}

async fn retire(tx: &mut WorkspaceTx, id: IntegrationId) -> Result<Vec<NumberId>> {
    sqlx::query!(
        "update integrations
            set credentials = null, former_credentials = null, former_until = null, hint = '', is_active = false, disconnected_at = now(), updated_at = now()
          where id = $1",
        id as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(sqlx::query_scalar!(
        "update numbers
            set status = 'inactive', is_default = false, gone_at = now(), webhook = 'unset', webhook_detail = null,
                previous_webhook_url = null, updated_at = now()
          where integration_id = $1 and gone_at is null
         returning id",
        id as _,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Best effort: the account is disconnected in any case. The provider's list says which webhooks are still ours; beyond
/// it, one call for each restored webhook.
async fn restore_webhooks(
    app: &App,
    provider: &dyn Provider,
    id: IntegrationId,
    numbers: Vec<RoutedNumber>,
) {
    if numbers.is_empty() {
        return;
    }
    let urls = webhook_urls(&app.config, provider.kind(), id);
    let mut remote = match provider.list_numbers().await {
        Ok(remote) => remote,
        Err(error) => {
            tracing::warn!(%error, integration.id = %id, "could not list the numbers: webhooks are not restored");
            return;
        }
    };
    let mut previous: HashMap<_, _> = numbers
        .into_iter()
        .map(|number| (number.provider_number_id, number.previous_webhook_url))
        .collect();
    remote.retain(|number| previous.contains_key(&number.provider_id));
    let calls = groups(&remote).into_iter().map(|group| {
        // Of numbers that share a webhook, one may have the previous URL.
        let known = group
            .iter()
            .find_map(|&index| previous.get_mut(&remote[index].provider_id)?.take());
        let (urls, number) = (&urls, &remote[group[0]]);
        async move {
            provider
                .restore_webhook(number, urls, known.as_deref())
                .await
        }
    });
    let calls: Vec<_> = calls.collect();
    let mut answers = stream::iter(calls).buffer_unordered(CONCURRENCY);
    while let Some(answer) = answers.next().await {
        if let Err(error) = answer {
            tracing::warn!(%error, integration.id = %id, "could not restore a webhook");
        }
    }
}

//! The journal of provider callbacks and their outcomes, to trace texts. Texts and reports are recorded by the
//! statements that store them; other calls are recorded from here.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::clock;
use crate::db::purpose::{Jobs, Receive};
use crate::db::{Db, WorkspaceTx};
use crate::domain::integrations::Account;
use crate::domain::members::Admin;
use crate::domain::string_enum;
use crate::error::{Check, Result};
use crate::ids::{ConversationId, IntegrationId, MessageId, NumberId, WebhookId, WorkspaceId};
use crate::language::{Message, t};
use crate::listing::{Cursor, Page, Span, page, unless_empty};
use crate::providers;

string_enum!(#[schema(as = WebhookKind)]
Kind { Inbound = "inbound", Status = "status" });

string_enum!(
    /// How the call reached us.
    Via {
        /// The provider called our webhook.
        Webhook = "webhook",
        /// It was in the provider’s list, but had not been delivered.
        CatchUp = "catch_up",
        /// An admin released it from the quarantine.
        Release = "release",
    }
);

string_enum!(
    /// The outcome of the call.
    Outcome {
        /// The text is in the inbox.
        Stored = "stored",
        /// It was received before. Nothing changed.
        Repeat = "repeat",
        /// The report was stored.
        Applied = "applied",
        /// It concerns no message here.
        Ignored = "ignored",
        /// The provider’s call could not be parsed; `detail` says why.
        Malformed = "malformed",
        /// Its signature did not match.
        Quarantined = "quarantined",
    }
);

pub const RETENTION: TimeDelta = TimeDelta::days(30);

/// A call of a provider. Its text is in the message.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Webhook {
    pub id: WebhookId,
    pub integration_id: IntegrationId,
    /// `null`: a report of an unknown message, or a call whose number could not be read.
    pub number_id: Option<NumberId>,
    /// Our number that the call is about.
    pub phone_number: Option<String>,
    pub provider: providers::Kind,
    pub kind: Kind,
    pub via: Via,
    /// The provider’s id of the text.
    pub provider_sid: String,
    pub outcome: Outcome,
    /// The reported status, or the error.
    #[schema(value_type = String)]
    pub detail: Message,
    /// The message that was stored, or that the call is about.
    pub message_id: Option<MessageId>,
    pub conversation_id: Option<ConversationId>,
    pub created_at: DateTime<Utc>,
}

/// Filters of calls. All are optional.
#[derive(Debug, Default, Clone, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only calls about this number.
    #[serde(default, deserialize_with = "unless_empty")]
    pub number_id: Option<NumberId>,
    #[serde(default, deserialize_with = "unless_empty")]
    pub kind: Option<Kind>,
    #[serde(default, deserialize_with = "unless_empty")]
    pub outcome: Option<Outcome>,
    /// The provider’s full id of a text, such as Twilio’s `MessageSid`.
    #[serde(default, deserialize_with = "unless_empty")]
    pub provider_sid: Option<String>,
}

/// Newest first. Row-level security shows calls to admins only. Two round trips. A page may be shorter than its limit
/// although another one follows (`list_webhooks`).
pub async fn list(
    tx: &mut WorkspaceTx,
    _: &Admin,
    filter: &Filter,
    span: &Span,
) -> Result<Page<Webhook>> {
    let (limit, after) = (span.limit()?, span.cursor()?);
    let sid = filter.provider_sid.as_deref();
    Check::default()
        .require(
            sid.is_none_or(|sid| sid.len() <= 64 && !sid.contains('\0')),
            "provider_sid",
            t!("Enter the ID of one text, at most 64 characters"),
        )
        .finish()?;
    let found = sqlx::query!(
        r#"select ids as "ids!: Vec<WebhookId>", resume_at
             from list_webhooks($1, $2, $3, $4, $5, $6::bigint::integer)"#,
        filter.number_id as _,
        filter.kind as _,
        filter.outcome as _,
        sid,
        after.map(|cursor| cursor.id),
        limit + 1,
    )
    .fetch_one(tx.conn())
    .await?;
    let rows = sqlx::query_as!(
        Webhook,
        r#"select w.id, w.integration_id, w.number_id, n.phone_number as "phone_number?", w.provider, w.kind, w.via,
                  w.provider_sid, w.outcome, w.detail, w.message_id, m.conversation_id as "conversation_id?", w.created_at
             from unnest($1::uuid[]) with ordinality as k (id, place)
             join webhooks w on w.id = k.id
             left join numbers n on n.workspace_id = w.workspace_id and n.id = w.number_id
             left join messages m on m.workspace_id = w.workspace_id and m.id = w.message_id
            order by k.place"#,
        &found.ids as _,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut page = page(rows, limit, |webhook| Cursor {
        at: webhook.created_at,
        id: webhook.id.0,
    });
    page.resume_at(found.resume_at);
    Ok(page)
}

/// Records a verified call that could not be parsed, or that had no content. One round trip.
pub async fn note(
    db: &Db,
    account: &Account,
    kind: Kind,
    outcome: Outcome,
    detail: &Message,
) -> Result<()> {
    sqlx::query!(
        "insert into webhooks (workspace_id, integration_id, provider, kind, via, outcome, detail)
         values ($1, $2, $3, $4, $5, $6, left($7, 500))",
        account.workspace as _,
        account.integration as _,
        account.provider.kind() as _,
        kind as _,
        Via::Webhook as _,
        outcome as _,
        detail.stored(),
    )
    .execute(db.system_pool(Receive))
    .await?;
    Ok(())
}

/// Deletes expired calls. Ids sort by time, so only the deleted part is read.
pub async fn delete_expired(db: &Db) -> Result<()> {
    let workspaces = sqlx::query_scalar!(r#"select id as "id: WorkspaceId" from workspaces"#)
        .fetch_all(db.system_pool(Jobs))
        .await?;
    for workspace in workspaces {
        sqlx::query!(
            "delete from webhooks where workspace_id = $1 and id < $2",
            workspace as _,
            WebhookId::at(clock::now() - RETENTION) as _,
        )
        .execute(db.system_pool(Jobs))
        .await?;
    }
    Ok(())
}

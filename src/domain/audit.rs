//! The audit log: who did what, when, from where. An entry is written in the transaction of its action, and is never
//! changed: the database refuses.
//!
//! `before` and `after` hold what changed, never a secret.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::db::purpose::SystemPurpose;
use crate::db::{SystemTx, WorkspaceTx};
use crate::domain::string_enum;
use crate::error::{Check, Result};
use crate::ids::{AuditId, IntegrationId, UserId, WorkspaceId};
use crate::language::{Message, t};
use crate::listing::{Cursor, Page, Span, page, unless_empty};

string_enum!(AuditAction {
    SignedIn = "signed_in",
    SignInFailed = "sign_in_failed",
    SignedOut = "signed_out",
    SessionEnded = "session_ended",
    SessionsEnded = "sessions_ended",
    RefreshTokenReused = "refresh_token_reused",
    PasswordChanged = "password_changed",
    PasswordReset = "password_reset",
    PasswordLinkMade = "password_link_made",
    TwoFactorEnabled = "two_factor_enabled",
    TwoFactorDisabled = "two_factor_disabled",
    MemberInvited = "member_invited",
    InvitationWithdrawn = "invitation_withdrawn",
    MemberJoined = "member_joined",
    MemberRoleChanged = "member_role_changed",
    MemberRemoved = "member_removed",
    MemberLeft = "member_left",
    NumberAssigned = "number_assigned",
    NumberUnassigned = "number_unassigned",
    NumberChanged = "number_changed",
    DefaultNumberChanged = "default_number_changed",
    NumberBought = "number_bought",
    NumberReleased = "number_released",
    NumberCaughtUp = "number_caught_up",
    IntegrationConnected = "integration_connected",
    IntegrationChecked = "integration_checked",
    IntegrationChanged = "integration_changed",
    IntegrationDisconnected = "integration_disconnected",
    IntegrationSynced = "integration_synced",
    CredentialsOpened = "credentials_opened",
    TextHandedOver = "text_handed_over",
    CreditsChanged = "credits_changed",
    QuarantineReleased = "quarantine_released",
    QuarantineDiscarded = "quarantine_discarded",
    OptOutsImported = "opt_outs_imported",
    OptOutLifted = "opt_out_lifted",
    ContactOptedOut = "contact_opted_out",
    ContactOptedIn = "contact_opted_in",
    TemplateShared = "template_shared",
    TemplateChanged = "template_changed",
    TemplateRemoved = "template_removed",
    ContactCreated = "contact_created",
    ContactRenamed = "contact_renamed",
    ContactNumberChanged = "contact_number_changed",
    ContactsMerged = "contacts_merged",
    ContactDeleted = "contact_deleted",
    ContactsDeleted = "contacts_deleted",
    ContactsTagged = "contacts_tagged",
    ContactsUntagged = "contacts_untagged",
    ContactsImported = "contacts_imported",
    ContactImportUndone = "contact_import_undone",
    ContactsExported = "contacts_exported",
    OptOutsExported = "opt_outs_exported",
    ConversationsExported = "conversations_exported",
    TagCreated = "tag_created",
    TagChanged = "tag_changed",
    ContactFieldChanged = "contact_field_changed",
    WorkspaceCreated = "workspace_created",
    WorkspaceChanged = "workspace_changed",
});

impl AuditAction {
    /// The verb of the entry's sentence: "Jo Park … Sam Ortiz".
    pub fn sentence(self) -> Message {
        match self {
            Self::SignedIn => t!("signed in"),
            Self::SignInFailed => t!("Sign-in failed for"),
            Self::SignedOut => t!("signed out"),
            Self::SessionEnded => t!("signed out one of their sessions"),
            Self::SessionsEnded => t!("signed out everywhere"),
            Self::RefreshTokenReused => {
                t!("A refresh token was reused, so a session was ended for")
            }
            Self::PasswordChanged => t!("changed the password"),
            Self::PasswordReset => t!("reset their password with a link"),
            Self::PasswordLinkMade => t!("made a link to set a new password for"),
            Self::TwoFactorEnabled => t!("turned on two-factor authentication"),
            Self::TwoFactorDisabled => t!("turned off two-factor authentication"),
            Self::MemberInvited => t!("invited"),
            Self::InvitationWithdrawn => t!("revoked the invitation of"),
            Self::MemberJoined => t!("joined as"),
            Self::MemberRoleChanged => t!("changed the role of"),
            Self::MemberRemoved => t!("removed"),
            Self::MemberLeft => t!("left the workspace"),
            Self::NumberAssigned => t!("gave access to a number to"),
            Self::NumberUnassigned => t!("removed access to a number from"),
            Self::NumberChanged => t!("changed the number"),
            Self::DefaultNumberChanged => t!("changed the default number of"),
            Self::NumberBought => t!("bought the number"),
            Self::NumberReleased => t!("released the number"),
            Self::NumberCaughtUp => t!("checked for missed texts on"),
            Self::IntegrationConnected => t!("connected"),
            Self::IntegrationChecked => t!("checked the credentials of"),
            Self::IntegrationChanged => t!("changed the integration"),
            Self::IntegrationDisconnected => t!("disconnected"),
            Self::IntegrationSynced => t!("synced the numbers of"),
            Self::CredentialsOpened => t!("The server used the credentials of"),
            Self::TextHandedOver => t!("Another number was used for a text to"),
            Self::CreditsChanged => t!("changed the credits of"),
            Self::QuarantineReleased => t!("released from quarantine"),
            Self::QuarantineDiscarded => t!("discarded from quarantine"),
            Self::ContactCreated => t!("added the contact"),
            Self::ContactRenamed => t!("renamed the contact"),
            Self::ContactOptedOut => t!("opted out"),
            Self::ContactOptedIn => t!("opted back in"),
            Self::ContactNumberChanged => t!("changed the phone number of"),
            Self::ContactsMerged => t!("merged two contacts into"),
            Self::ContactDeleted => t!("deleted the contact"),
            Self::ContactsDeleted => t!("deleted several contacts"),
            Self::ContactsTagged => t!("added to several contacts the tag"),
            Self::ContactsUntagged => t!("removed from several contacts the tag"),
            Self::ContactImportUndone => t!("undid the import of contacts from"),
            Self::ContactsImported => t!("imported contacts from"),
            Self::ContactsExported | Self::ConversationsExported => t!("exported"),
            Self::OptOutsExported => t!("exported the opt-outs"),
            Self::TagCreated => t!("created the tag"),
            Self::TagChanged => t!("changed the tag"),
            Self::ContactFieldChanged => t!("changed the contact field"),
            Self::OptOutsImported => t!("imported opt-outs from"),
            Self::OptOutLifted => t!("removed the remembered opt-out of"),
            Self::TemplateShared => t!("shared the template"),
            Self::TemplateChanged => t!("changed the template"),
            Self::TemplateRemoved => t!("removed the template"),
            Self::WorkspaceCreated => t!("created the workspace"),
            Self::WorkspaceChanged => t!("changed the workspace"),
        }
    }
}

/// The object of an action, by its display name, before and after.
#[derive(Default)]
pub struct AuditRecord<'a> {
    pub subject: &'a str,
    pub subject_id: Option<Uuid>,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// An action of the transaction's user. One round trip.
pub async fn record(
    tx: &mut WorkspaceTx,
    action: AuditAction,
    audit_record: AuditRecord<'_>,
) -> Result<()> {
    sqlx::query!(
        "insert into audit_log (action, actor_name, subject, subject_id, before, after)
         select $1, u.name, $2, $3, $4, $5 from users u where u.id = current_user_id()",
        action as _,
        audit_record.subject,
        audit_record.subject_id,
        audit_record.before,
        audit_record.after,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// An action of a user outside of a workspace: adds an entry in each of their workspaces.
pub async fn record_everywhere<P: SystemPurpose>(
    tx: &mut SystemTx<P>,
    user: UserId,
    action: AuditAction,
    address: &str,
) -> Result<()> {
    // Only an authenticated user is recorded as the actor.
    let proven = !matches!(
        action,
        AuditAction::SignInFailed | AuditAction::RefreshTokenReused
    );
    sqlx::query!(
        "insert into audit_log (workspace_id, action, actor_id, actor_name, subject, subject_id, address)
         select m.workspace_id, $2, case when $3 then u.id end, case when $3 then u.name else '' end,
                case when $3 then '' else u.email end, u.id, $4
           from workspace_members m
           join users u on u.id = m.user_id
          where m.user_id = $1",
        user as _,
        action as _,
        proven,
        address,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// An action of a user in a transaction without their rights: they have no access yet, or the verb needs more.
pub async fn record_in<P: SystemPurpose>(
    tx: &mut SystemTx<P>,
    workspace: WorkspaceId,
    user: UserId,
    action: AuditAction,
    address: Option<&str>,
    audit_record: AuditRecord<'_>,
) -> Result<()> {
    sqlx::query!(
        "insert into audit_log (workspace_id, action, actor_id, actor_name, subject, subject_id, address, before, after)
         select $1, $3, u.id, u.name, $4, $5, $6, $7, $8 from users u where u.id = $2",
        workspace as _,
        user as _,
        action as _,
        audit_record.subject,
        audit_record.subject_id,
        address,
        audit_record.before,
        audit_record.after,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// An action of the server itself.
pub async fn record_by_server<P: SystemPurpose>(
    tx: &mut SystemTx<P>,
    workspace: WorkspaceId,
    action: AuditAction,
    audit_record: AuditRecord<'_>,
) -> Result<()> {
    sqlx::query!(
        "insert into audit_log (workspace_id, action, subject, subject_id, before, after) values ($1, $2, $3, $4, $5, $6)",
        workspace as _,
        action as _,
        audit_record.subject,
        audit_record.subject_id,
        audit_record.before,
        audit_record.after,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The server decrypted these integrations' credentials, to send or to verify. It does so whenever its cache has
/// expired, so at most one entry per integration and hour is added.
pub async fn credentials_opened(db: &PgPool, integrations: &[IntegrationId]) -> Result<()> {
    sqlx::query!(
        "insert into audit_log (workspace_id, action, subject, subject_id)
         select i.workspace_id, $2, i.name, i.id
           from integrations i
          where i.id = any ($1)
            and not exists (select from audit_log a where a.workspace_id = i.workspace_id and a.action = $2
                               and a.subject_id = i.id and a.created_at > now() - interval '1 hour')",
        integrations as _,
        AuditAction::CredentialsOpened as _,
    )
    .execute(db)
    .await?;
    Ok(())
}

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuditEntry)]
pub struct Entry {
    pub id: AuditId,
    pub action: AuditAction,
    /// Who did it; `null` for a failed authentication and for the server itself.
    pub actor_id: Option<UserId>,
    /// The actor's name at that time.
    pub actor_name: String,
    /// The display name of the object of the action.
    pub subject: String,
    pub subject_id: Option<Uuid>,
    /// The network address of the request.
    pub address: Option<String>,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub created_at: DateTime<Utc>,
}

/// Filters of audit entries. All are optional.
#[derive(Debug, Default, Clone, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only actions of this user.
    #[serde(default, deserialize_with = "unless_empty")]
    pub actor: Option<UserId>,
    #[serde(default, deserialize_with = "unless_empty")]
    pub action: Option<AuditAction>,
    /// From the beginning of this day (UTC), such as 2026-11-01.
    #[serde(default, deserialize_with = "unless_empty")]
    pub from: Option<NaiveDate>,
    /// To the end of this day (UTC).
    #[serde(default, deserialize_with = "unless_empty")]
    pub to: Option<NaiveDate>,
}

/// Newest first. One index scan per page with any filter. Row-level security shows entries to admins only.
pub async fn list(tx: &mut WorkspaceTx, filter: &Filter, span: &Span) -> Result<Page<Entry>> {
    let (limit, after) = (span.limit()?, span.cursor()?);
    // Chrono accepts years that PostgreSQL does not.
    let is_day = |day: Option<NaiveDate>| day.is_none_or(|day| (1..=9999).contains(&day.year()));
    Check::default()
        .require(
            is_day(filter.from),
            "from",
            t!("Enter a date such as 2026-11-01"),
        )
        .require(
            is_day(filter.to),
            "to",
            t!("Enter a date such as 2026-11-30"),
        )
        .finish()?;
    let rows = sqlx::query_as!(
        Entry,
        "select id, action, actor_id, actor_name, subject, subject_id, address, before, after, created_at
           from audit_log
          where ($1::uuid is null or actor_id = $1)
            and ($2::text is null or action = $2)
            and ($3::date is null or created_at >= $3::date::timestamp at time zone 'UTC')
            and ($4::date is null or created_at < ($4::date + 1)::timestamp at time zone 'UTC')
            and ($5::timestamptz is null or (created_at, id) < ($5, $6))
          order by created_at desc, id desc
          limit $7::bigint + 1",
        filter.actor as _,
        filter.action as _,
        filter.from,
        filter.to,
        after.map(|cursor| cursor.at),
        after.map(|cursor| cursor.id),
        limit,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(page(rows, limit, |entry| Cursor {
        at: entry.created_at,
        id: entry.id.0,
    }))
}

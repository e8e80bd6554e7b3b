//! Credits: an agent spends one for each text. Admins spend none.
//!
//! A member's transaction writes them by `spend_credit`, `return_credit` and `grant_credits` in `db/functions/` only: a
//! credit is taken in the statement that queues the text, and is returned if the text is never sent. Balance and ledger
//! change together or not at all.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;

use crate::db::purpose::{Live, Notify};
use crate::db::{Db, WorkspaceTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::{Admin, Member, Role};
use crate::domain::string_enum;
use crate::error::{Check, Error, OnConstraint, Result};
use crate::events::Event;
use crate::ids::{ConversationId, EntryId, MessageId, UserId, WorkspaceId};
use crate::language::{Language, t};
use crate::listing::{Cursor, Page, Span, page};

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = CreditAccount)]
pub struct Account {
    pub user_id: UserId,
    pub name: String,
    pub email: String,
    pub role: Role,
    pub balance: i64,
    /// `true` for an admin, whose balance is kept but not spent.
    pub unlimited: bool,
    /// At or below the workspace's `low_credits_at`.
    pub is_low: bool,
}

pub async fn list(tx: &mut WorkspaceTx, _: &Admin) -> Result<Vec<Account>> {
    select(tx, None).await
}

/// A member's own account, or any account for an admin.
pub async fn of(tx: &mut WorkspaceTx, member: &Member, user: UserId) -> Result<Account> {
    may_see(member, user)?;
    select(tx, Some(user))
        .await?
        .pop()
        .ok_or(Error::NotFound(t!("the member")))
}

async fn select(tx: &mut WorkspaceTx, user: Option<UserId>) -> Result<Vec<Account>> {
    Ok(sqlx::query_as!(
        Account,
        r#"select m.user_id, u.name, u.email, m.role, coalesce(a.balance, 0) as "balance!", m.role = 'admin' as "unlimited!",
                  m.role <> 'admin' and coalesce(a.balance, 0) <= w.low_credits_at as "is_low!"
             from workspace_members m
             join users u on u.id = m.user_id
             join workspaces w on w.id = m.workspace_id
             left join credit_accounts a on a.workspace_id = m.workspace_id and a.user_id = m.user_id
            where $1::uuid is null or m.user_id = $1
            order by lower(u.name), m.user_id"#,
        user as _,
    )
    .fetch_all(tx.conn())
    .await?)
}

fn may_see(member: &Member, user: UserId) -> Result<()> {
    if user == member.user() || member.is_admin() {
        Ok(())
    } else {
        Err(Error::AdminOnly)
    }
}

/// The member's balance; `None` is unlimited.
pub async fn remaining(tx: &mut WorkspaceTx, member: &Member) -> Result<Option<i64>> {
    let account = of(tx, member, member.user()).await?;
    Ok((!account.unlimited).then_some(account.balance))
}

#[derive(Clone, Copy, Debug)]
pub struct Balance {
    pub left: i64,
    /// At or below the workspace's `low_credits_at`.
    pub is_low: bool,
}

/// For the live hub. `None` for an admin, who has no limit.
pub async fn look_up(db: &Db, workspace: WorkspaceId, user: UserId) -> Result<Option<Balance>> {
    Ok(sqlx::query_as!(
        Balance,
        r#"select coalesce(a.balance, 0) as "left!", coalesce(a.balance, 0) <= w.low_credits_at as "is_low!"
             from workspace_members m
             join workspaces w on w.id = m.workspace_id
             left join credit_accounts a on a.workspace_id = m.workspace_id and a.user_id = m.user_id
            where m.workspace_id = $1 and m.user_id = $2 and m.role = 'agent'"#,
        workspace as _,
        user as _,
    )
    .fetch_optional(db.system_pool(Live))
    .await?)
}

/// An agent who wants an email when their credits run low.
pub struct LowBalance {
    pub email: String,
    pub name: String,
    pub left: i64,
    pub workspace_name: String,
    pub slug: String,
    pub language: Option<Language>,
}

pub async fn low_balance_recipient(
    db: &Db,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<LowBalance>> {
    Ok(sqlx::query_as!(
        LowBalance,
        r#"select u.email, u.name, a.balance as "left", w.name as workspace_name, w.slug, u.language
             from credit_accounts a
             join workspaces w on w.id = a.workspace_id
             join users u on u.id = a.user_id
             left join member_settings s on s.workspace_id = a.workspace_id and s.user_id = a.user_id
            where a.workspace_id = $1 and a.user_id = $2 and coalesce(s.mail_when_credits_low, true)"#,
        workspace as _,
        user as _,
    )
    .fetch_optional(db.system_pool(Notify))
    .await?)
}

#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreditChange)]
pub struct CreditChange {
    /// Adds this many credits, or takes them if negative. Give either this or `balance`.
    pub delta: Option<i64>,
    /// Sets the balance to this many credits.
    pub balance: Option<i64>,
    /// The reason, for the ledger: at most 200 characters.
    #[serde(default)]
    pub reason: String,
}

/// A larger amount is a typing error.
const MAX_CREDITS: u64 = 1_000_000_000;

pub async fn change(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    user: UserId,
    change: CreditChange,
) -> Result<Account> {
    let amount = change.delta.or(change.balance).unwrap_or_default();
    let field = if change.delta.is_some() {
        "delta"
    } else {
        "balance"
    };
    let reason = change.reason.trim();
    Check::default()
        .require(
            change.delta.is_some() != change.balance.is_some(),
            "delta",
            t!("Send either delta or balance, not both"),
        )
        .require(
            amount.unsigned_abs() <= MAX_CREDITS,
            field,
            t!("Use at most 1,000,000,000 credits"),
        )
        .require(
            reason.chars().count() <= 200 && !reason.contains('\0'),
            "reason",
            t!("Use at most 200 characters"),
        )
        .finish()?;
    let short = || Error::field(field, t!("The balance can’t fall below zero"));
    let changed = sqlx::query!(
        r#"select before as "before!", after as "after!" from grant_credits($1, $2, $3, $4)"#,
        user as _,
        change.delta,
        change.balance,
        reason,
    )
    .fetch_optional(tx.conn())
    .await
    .on_constraint("credit_accounts_balance_not_negative", short)?
    .ok_or(Error::NotFound(t!("the member")))?;
    let account = of(tx, admin, user).await?;
    if changed.after != changed.before {
        let audit_record = AuditRecord {
            subject: &account.name,
            subject_id: Some(user.0),
            before: Some(json!({"balance": changed.before})),
            after: Some(json!({"balance": changed.after, "reason": reason})),
        };
        audit::record(tx, AuditAction::CreditsChanged, audit_record).await?;
        let workspace = tx.workspace();
        tx.announce(Event::CreditsChanged {
            workspace,
            user,
            low: false,
        });
    }
    Ok(account)
}

string_enum!(#[schema(as = CreditKind)]
Kind {
    /// By an admin, or as starting credits.
    Granted = "granted",
    /// For a queued text.
    Spent = "spent",
    /// The text was never sent.
    Returned = "returned",
});

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = LedgerEntry)]
pub struct Entry {
    pub id: EntryId,
    pub delta: i64,
    /// The balance after this entry.
    pub balance: i64,
    pub kind: Kind,
    pub reason: String,
    pub message_id: Option<MessageId>,
    /// The conversation of the message, if it still exists and the caller may see it.
    pub conversation_id: Option<ConversationId>,
    /// The admin who changed the balance; `null` for the server itself.
    pub actor_id: Option<UserId>,
    pub actor_name: String,
    pub created_at: DateTime<Utc>,
}

pub async fn ledger(
    tx: &mut WorkspaceTx,
    member: &Member,
    user: UserId,
    span: &Span,
) -> Result<Page<Entry>> {
    let (limit, after) = (span.limit()?, span.cursor()?);
    of(tx, member, user).await?;
    let rows = sqlx::query_as!(
        Entry,
        r#"select l.id, l.delta, l.balance, l.kind, l.reason, l.message_id,
                  (select m.conversation_id from messages m
                    where m.workspace_id = l.workspace_id and m.id = l.message_id) as "conversation_id: _",
                  l.actor_id, l.actor_name, l.created_at
             from credit_ledger l
            where l.user_id = $1
              and ($2::timestamptz is null or (l.created_at, l.id) < ($2, $3))
            order by l.created_at desc, l.id desc
            limit $4::bigint + 1"#,
        user as _,
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

/// Returns the credit of a text that was not sent; a sent text keeps it. A second call returns nothing. The caller
/// announces the event.
pub(in crate::domain) async fn return_credit(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    message: MessageId,
) -> Result<Option<Event>> {
    Ok(return_credits(conn, workspace, &[message]).await?.pop())
}

/// The same for several texts, in one statement.
pub(in crate::domain) async fn return_credits(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    messages: &[MessageId],
) -> Result<Vec<Event>> {
    let returned = sqlx::query_scalar!(
        r#"select r.account as "account!: UserId"
             from unnest($2::uuid[]) as m (id)
            cross join lateral return_credit($1, m.id) r"#,
        workspace as _,
        messages as _,
    )
    .fetch_all(conn)
    .await?;
    let events = returned.into_iter().map(|user| Event::CreditsChanged {
        workspace,
        user,
        low: false,
    });
    Ok(events.collect())
}

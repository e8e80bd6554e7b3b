//! Members of a workspace and their roles. `Member` and `Admin` prove a right: only this module creates them.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::db::purpose::{Setup, SignIn, SystemPurpose};
use crate::db::{Db, SystemTx, TenantContext, WorkspaceTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::string_enum;
use crate::error::{Error, OnConstraint, Result};
use crate::events::Event;
use crate::fail_point;
use crate::ids::{SessionId, UserId, WorkspaceId};
use crate::language::t;

string_enum!(Role { Admin = "admin", Agent = "agent" });

/// A signed-in user in one of their workspaces.
#[derive(Clone, Debug)]
pub struct Member {
    tenant: TenantContext,
    pub role: Role,
    pub session: SessionId,
    pub name: String,
    pub email: String,
    pub workspace_name: String,
    pub slug: String,
    pub has_two_factor: bool,
    pub page_settings: PageSettings,
}

/// The member's settings that every page needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSettings {
    /// Whether single keys are shortcuts.
    pub single_key_shortcuts: bool,
    pub desktop_notifications: bool,
    pub sound: bool,
    /// Whether the next conversation opens after one was marked as done.
    pub open_next: bool,
}

impl Default for PageSettings {
    fn default() -> Self {
        Self {
            single_key_shortcuts: true,
            desktop_notifications: false,
            sound: false,
            open_next: true,
        }
    }
}

impl Member {
    /// Adds the caller's address, which audit entries record.
    pub fn at(mut self, address: IpAddr) -> Self {
        self.tenant.address = Some(address.to_canonical());
        self
    }

    pub fn tenant(&self) -> TenantContext {
        self.tenant
    }

    pub fn workspace(&self) -> WorkspaceId {
        self.tenant.workspace
    }

    pub fn user(&self) -> UserId {
        self.tenant.user
    }

    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// The caller's address, for the audit log.
    pub fn address(&self) -> Option<String> {
        self.tenant.address.map(|address| address.to_string())
    }
}

/// A member who may change the workspace itself. Functions for admins take this.
#[derive(Clone, Debug)]
pub struct Admin(Member);

impl std::ops::Deref for Admin {
    type Target = Member;
    fn deref(&self) -> &Member {
        &self.0
    }
}

impl TryFrom<Member> for Admin {
    type Error = Error;
    fn try_from(member: Member) -> Result<Self> {
        if member.is_admin() {
            Ok(Self(member))
        } else {
            Err(Error::AdminOnly)
        }
    }
}

/// How a request names its workspace: by id in the API, by slug in the pages' URLs.
pub enum WorkspaceRef<'a> {
    Id(WorkspaceId),
    Slug(&'a str),
}

/// The member of `place` that `session` belongs to. Requires an active session and a membership. One round trip.
pub async fn admit(db: &Db, session: SessionId, place: WorkspaceRef<'_>) -> Result<Member> {
    let (id, slug) = match place {
        WorkspaceRef::Id(id) => (Some(id), None),
        WorkspaceRef::Slug(slug) => (None, Some(slug)),
    };
    let row = sqlx::query!(
        r#"select u.id as "user!: UserId", u.name as "name!", u.email as "email!",
                  w.id as "workspace?: WorkspaceId", w.name as "workspace_name?", w.slug as "slug?",
                  m.role as "role?: Role", u.two_factor_at is not null as "has_two_factor!",
                  w.require_two_factor and u.two_factor_at is null as "must_set_up?",
                  coalesce(p.single_key_shortcuts, true) as "single_key_shortcuts!",
                  coalesce(p.desktop_notifications, false) as "desktop_notifications!", coalesce(p.sound, false) as "sound!",
                  coalesce(p.open_next, true) as "open_next!"
             from sessions s
             join users u on u.id = s.user_id
             left join workspaces w on w.id = $2 or w.slug = $3
             left join workspace_members m on m.workspace_id = w.id and m.user_id = u.id
             left join member_settings p on p.workspace_id = m.workspace_id and p.user_id = m.user_id
            where s.id = $1 and s.revoked_at is null and s.expires_at > now()"#,
        session as _,
        id as _,
        slug,
    )
    .fetch_optional(db.system_pool(SignIn))
    .await?
    .ok_or(Error::Unauthenticated)?;
    // A test skips this check, to show that row-level security holds without it.
    let role = row
        .role
        .or(fail_point::skips("membership").then_some(Role::Admin));
    let (Some(workspace), Some(workspace_name), Some(slug), Some(role)) =
        (row.workspace, row.workspace_name, row.slug, role)
    else {
        return Err(Error::NotAMember);
    };
    if row.must_set_up == Some(true) {
        return Err(Error::TwoFactorRequired);
    }
    Ok(Member {
        tenant: TenantContext {
            workspace,
            user: row.user,
            address: None,
        },
        role,
        session,
        name: row.name,
        email: row.email,
        workspace_name,
        slug,
        has_two_factor: row.has_two_factor,
        page_settings: PageSettings {
            single_key_shortcuts: row.single_key_shortcuts,
            desktop_notifications: row.desktop_notifications,
            sound: row.sound,
            open_next: row.open_next,
        },
    })
}

/// `Sam` of `Sam Osei`, `Maya` of `Dr. Maya Lin`.
pub fn first_name(name: &str) -> &str {
    let mut words = name.split_whitespace();
    words.find(|word| !word.ends_with('.')).unwrap_or(name)
}

/// A member as seen by other members.
#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Colleague {
    pub user_id: UserId,
    pub name: String,
    pub email: String,
    pub role: Role,
    /// Whether the second factor is enabled.
    pub two_factor: bool,
    pub created_at: DateTime<Utc>,
}

pub async fn list(tx: &mut WorkspaceTx) -> Result<Vec<Colleague>> {
    select(tx, None).await
}

pub async fn find(tx: &mut WorkspaceTx, user: UserId) -> Result<Colleague> {
    select(tx, Some(user))
        .await?
        .pop()
        .ok_or(Error::NotFound(t!("the member")))
}

async fn select(tx: &mut WorkspaceTx, user: Option<UserId>) -> Result<Vec<Colleague>> {
    Ok(sqlx::query_as!(
        Colleague,
        r#"select m.user_id, u.name, u.email, m.role, u.two_factor_at is not null as "two_factor!", m.created_at
             from workspace_members m
             join users u on u.id = m.user_id
            where $1::uuid is null or m.user_id = $1
            order by lower(u.name), m.user_id"#,
        user as _,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Returns whether `user` joined; one who is a member already keeps their role. A new agent gets the starting credits.
pub async fn add<P: SystemPurpose>(
    tx: &mut SystemTx<P>,
    workspace: WorkspaceId,
    user: UserId,
    role: Role,
    credits: Option<i32>,
) -> Result<bool> {
    let added = sqlx::query!(
        "insert into workspace_members (workspace_id, user_id, role) values ($1, $2, $3) on conflict do nothing",
        workspace as _,
        user as _,
        role as _,
    )
    .execute(tx.conn())
    .await?;
    let joined = added.rows_affected() == 1;
    if joined && role == Role::Agent {
        grant_first_credits(tx, workspace, user, credits).await?;
    }
    Ok(joined)
}

/// An agent who comes back has an account already: chosen credits are added to it, starting credits are not.
async fn grant_first_credits<P: SystemPurpose>(
    tx: &mut SystemTx<P>,
    workspace: WorkspaceId,
    user: UserId,
    chosen: Option<i32>,
) -> Result<()> {
    sqlx::query!(
        "with granted as (
             insert into credit_accounts (workspace_id, user_id, balance)
             select w.id, $2, coalesce($3, w.starting_credits) from workspaces w
              where w.id = $1 and coalesce($3, w.starting_credits) > 0
                 on conflict (workspace_id, user_id) do update
                set balance = credit_accounts.balance + $3, updated_at = now() where $3 is not null
             returning workspace_id, user_id, balance
         )
         insert into credit_ledger (workspace_id, user_id, delta, balance, kind, reason)
         select g.workspace_id, g.user_id, coalesce($3, g.balance), g.balance, 'granted', 'to begin with' from granted g",
        workspace as _,
        user as _,
        chosen,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Changes a member's role, with effect on open pages and sockets. The database refuses to demote the last admin.
pub async fn change_role(
    tx: &mut WorkspaceTx,
    _: &Admin,
    user: UserId,
    role: Role,
) -> Result<Colleague> {
    let before = find(tx, user).await?;
    if before.role == role {
        return Ok(before);
    }
    // Recorded first: an admin who demotes themselves may not write the entry afterwards.
    let audit_record = AuditRecord {
        subject: &before.name,
        subject_id: Some(user.0),
        before: Some(json!({"role": before.role})),
        after: Some(json!({"role": role})),
    };
    audit::record(tx, AuditAction::MemberRoleChanged, audit_record).await?;
    let changed = sqlx::query!(
        "update workspace_members set role = $2 where user_id = $1",
        user as _,
        role as _
    )
    .execute(tx.conn())
    .await
    .on_constraint("workspace_requires_an_admin", || Error::LastAdmin)?;
    if changed.rows_affected() == 0 {
        return Err(Error::RightLost); // a concurrent change: the caller is no admin any more, or the member has left
    }
    let workspace = tx.workspace();
    tx.announce(Event::AccessChanged { workspace });
    Ok(Colleague { role, ..before })
}

/// Removes a member, who loses access at once.
pub async fn remove(tx: &mut WorkspaceTx, admin: &Admin, user: UserId) -> Result<()> {
    if user == admin.user() {
        return leave(tx, admin).await;
    }
    end_membership(tx, user, AuditAction::MemberRemoved).await
}

/// Refused for the last admin.
pub async fn leave(tx: &mut WorkspaceTx, member: &Member) -> Result<()> {
    end_membership(tx, member.user(), AuditAction::MemberLeft).await
}

async fn end_membership(tx: &mut WorkspaceTx, user: UserId, action: AuditAction) -> Result<()> {
    let member = find(tx, user).await?;
    let audit_record = AuditRecord {
        subject: &member.name,
        subject_id: Some(user.0),
        before: Some(json!({"role": member.role, "email": member.email})),
        after: None,
    };
    audit::record(tx, action, audit_record).await?;
    let gone = sqlx::query!(
        "delete from workspace_members where user_id = $1",
        user as _
    )
    .execute(tx.conn())
    .await
    .on_constraint("workspace_requires_an_admin", || Error::LastAdmin)?;
    if gone.rows_affected() == 0 {
        return Err(Error::RightLost); // as in `change_role`
    }
    let workspace = tx.workspace();
    tx.announce(Event::AccessChanged { workspace });
    Ok(())
}

/// For the command line, which acts as the first admin of a workspace. Finds the workspace by slug or name.
pub async fn first_admin(tx: &mut SystemTx<Setup>, workspace: &str) -> Result<Admin> {
    let row = sqlx::query!(
        r#"select w.id as "workspace: WorkspaceId", w.name as workspace_name, w.slug, u.id as "user: UserId", u.name, u.email,
                  u.two_factor_at is not null as "has_two_factor!"
             from workspaces w
             join workspace_members m on m.workspace_id = w.id and m.role = 'admin'
             join users u on u.id = m.user_id
            where w.slug = $1 or w.name = $1
            order by w.slug = $1 desc, w.created_at, m.created_at, u.id
            limit 1"#,
        workspace.trim(),
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or_else(|| Error::field("workspace", t!("No workspace has this name or slug")))?;
    Admin::try_from(Member {
        tenant: TenantContext {
            workspace: row.workspace,
            user: row.user,
            address: None,
        },
        role: Role::Admin,
        session: SessionId(uuid::Uuid::nil()),
        name: row.name,
        email: row.email,
        workspace_name: row.workspace_name,
        slug: row.slug,
        has_two_factor: row.has_two_factor,
        page_settings: PageSettings::default(),
    })
}

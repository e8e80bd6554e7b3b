//! Workspaces, the tenants. Everything else belongs to exactly one.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use crate::app::App;
use crate::config::{Config, Signups};
use crate::db::purpose::{Setup, SignIn, SystemPurpose};
use crate::db::{Db, SystemTx, WorkspaceTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::{self, Admin, Role};
use crate::domain::string_enum;
use crate::error::{Check, Error, OnConstraint, Result};
use crate::events::Event;
use crate::ids::{UserId, WorkspaceId};
use crate::language::{Message, t};
use crate::phone::Region;

string_enum!(OptOutScope { Number = "number", Workspace = "workspace" });

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Workspace {
    pub id: WorkspaceId,
    pub name: String,
    pub slug: String,
    /// Two letters (ISO 3166): the region of phone numbers without a leading +.
    pub default_region: String,
    /// Whether members need a second factor to use the workspace.
    pub require_two_factor: bool,
    /// The credits of each new agent.
    pub starting_credits: i32,
    /// An agent is notified when their balance falls to this.
    pub low_credits_at: i32,
    /// Whether a STOP applies to the number that it was sent to, or to all numbers of the workspace.
    pub opt_out_scope: OptOutScope,
    /// How long a text may wait to be sent before it fails.
    pub text_validity_minutes: i32,
    /// Whether a waiting text is sent from another number if its own cannot send.
    pub failover: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A workspace in the list of one of its members.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct WorkspaceMembership {
    pub id: WorkspaceId,
    pub name: String,
    pub slug: String,
    pub role: Role,
}

pub async fn of_user(db: &Db, user: UserId) -> Result<Vec<WorkspaceMembership>> {
    Ok(sqlx::query_as!(
        WorkspaceMembership,
        "select w.id, w.name, w.slug, m.role
           from workspace_members m
           join workspaces w on w.id = m.workspace_id
          where m.user_id = $1
          order by m.created_at, w.id",
        user as _,
    )
    .fetch_all(db.system_pool(SignIn))
    .await?)
}

pub async fn current(tx: &mut WorkspaceTx) -> Result<Workspace> {
    sqlx::query_as!(
        Workspace,
        "select id, name, slug, default_region, require_two_factor, starting_credits, low_credits_at, text_validity_minutes,
                opt_out_scope, failover, created_at, updated_at
           from workspaces"
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotAMember)
}

#[derive(Debug, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WorkspaceChange)]
pub struct WorkspaceChange {
    pub name: Option<String>,
    /// Two letters (ISO 3166), such as `US`.
    pub default_region: Option<String>,
    /// `true` closes the workspace to members without a second factor, at once. Only an admin who has one can set it.
    pub require_two_factor: Option<bool>,
    /// 0 to 1,000,000 credits for each agent who joins from now on.
    pub starting_credits: Option<i32>,
    /// 0 to 1,000,000.
    pub low_credits_at: Option<i32>,
    /// `workspace`: a STOP to one number applies to all numbers, and so does a START.
    pub opt_out_scope: Option<OptOutScope>,
    /// 5 to 1,440 minutes (a day); the default is 240 (four hours). A text that cannot be sent for so long, because its
    /// provider is down or its queue is long, fails instead of arriving late, and its credit is returned. A scheduled
    /// text counts from its time. Applies to texts that are queued from now on.
    pub text_validity_minutes: Option<i32>,
    /// The default is `false`. `true`: a queued text whose number is inactive, or whose account at its provider needs
    /// attention, is sent from another active number of a healthy account. Its author must have access to that number,
    /// and the contact must not have opted out of it. The text moves to the conversation of that number; notes in both
    /// conversations say why.
    pub failover: Option<bool>,
}

pub async fn update(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    change: WorkspaceChange,
) -> Result<Workspace> {
    check(&change)?;
    if change.require_two_factor == Some(true) && !admin.has_two_factor {
        return Err(Error::field(
            "require_two_factor",
            t!("Turn on two-factor authentication for yourself first, or you’d lock yourself out"),
        ));
    }
    let before = current(tx).await?;
    let changed = sqlx::query!(
        "update workspaces
            set name = coalesce($1, name), default_region = coalesce($2, default_region),
                require_two_factor = coalesce($3, require_two_factor), starting_credits = coalesce($4, starting_credits),
                low_credits_at = coalesce($5, low_credits_at), text_validity_minutes = coalesce($6, text_validity_minutes),
                opt_out_scope = coalesce($7, opt_out_scope), failover = coalesce($8, failover), updated_at = now()",
        change.name.as_deref().map(str::trim),
        change.default_region,
        change.require_two_factor,
        change.starting_credits,
        change.low_credits_at,
        change.text_validity_minutes,
        change.opt_out_scope as _,
        change.failover,
    )
    .execute(tx.conn())
    .await?;
    if changed.rows_affected() == 0 {
        return Err(Error::NotAMember);
    }
    let after = current(tx).await?;
    let (was, is) = (settings(&before), settings(&after));
    if was == is {
        return Ok(after);
    }
    let audit_record = AuditRecord {
        subject: &after.name,
        subject_id: Some(after.id.0),
        before: Some(was),
        after: Some(is),
    };
    audit::record(tx, AuditAction::WorkspaceChanged, audit_record).await?;
    if after.require_two_factor && !before.require_two_factor {
        let workspace = tx.workspace();
        tx.announce(Event::AccessChanged { workspace });
    }
    // Any conversation may be opted out or in now, and texts that wait in it canceled.
    if after.opt_out_scope != before.opt_out_scope {
        if after.opt_out_scope == OptOutScope::Workspace {
            fail_opted_out_messages(tx).await?;
        }
        let workspace = tx.workspace();
        tx.announce(Event::Missed { workspace });
    }
    Ok(after)
}

/// An opt-out from one number holds for all now: what other numbers have queued for the contact fails.
async fn fail_opted_out_messages(tx: &mut WorkspaceTx) -> Result<()> {
    let workspace = tx.workspace();
    sqlx::query!(
        "select fail_opted_out_messages($1, array(select distinct contact_id from opt_outs))",
        workspace as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn check(change: &WorkspaceChange) -> Result<()> {
    let is_amount =
        |amount: Option<i32>| amount.is_none_or(|amount| (0..=1_000_000).contains(&amount));
    Check::default()
        .require(
            change.name.as_deref().is_none_or(is_name),
            "name",
            NAME_RULE,
        )
        .require(
            change.default_region.as_deref().is_none_or(|region| {
                region.len() == 2
                    && region
                        .parse::<Region>()
                        .is_ok_and(|known| known.to_string() == region)
            }),
            "default_region",
            t!("Use a two-letter country code in capitals (ISO 3166), such as US or DE"),
        )
        .require(
            is_amount(change.starting_credits),
            "starting_credits",
            t!("Enter a number from 0 to 1,000,000"),
        )
        .require(
            is_amount(change.low_credits_at),
            "low_credits_at",
            t!("Enter a number from 0 to 1,000,000"),
        )
        .require(
            change
                .text_validity_minutes
                .is_none_or(|minutes| (5..=1440).contains(&minutes)),
            "text_validity_minutes",
            t!("Enter 5 to 1,440 minutes"),
        )
        .finish()
}

fn settings(workspace: &Workspace) -> serde_json::Value {
    serde_json::json!({
        "name": workspace.name,
        "default_region": workspace.default_region,
        "require_two_factor": workspace.require_two_factor,
        "starting_credits": workspace.starting_credits,
        "low_credits_at": workspace.low_credits_at,
        "text_validity_minutes": workspace.text_validity_minutes,
        "opt_out_scope": workspace.opt_out_scope,
        "failover": workspace.failover,
    })
}

/// Deletes the workspace with all its data, but not its users: they may belong to other workspaces.
pub async fn delete(db: &Db, admin: &Admin, name: &str) -> Result<()> {
    for _ in 0..DEADLOCK_RETRIES {
        match try_delete(db, admin, name).await {
            Err(error) if error.is_deadlock() => {
                tracing::info!(%error, "workspace deletion deadlocked: retrying")
            }
            done => return done,
        }
    }
    try_delete(db, admin, name).await
}

/// A send locks its conversation before the workspace, a deletion the other way round: PostgreSQL aborts one of the
/// two. It hardly happens more often than this in a row.
const DEADLOCK_RETRIES: usize = 5;

async fn try_delete(db: &Db, admin: &Admin, name: &str) -> Result<()> {
    let mut tx = db.system(Setup).await?;
    let deleted = sqlx::query!(
        // The system role sees every tenant, so the statement itself checks the right.
        "delete from workspaces w
          where w.id = $1 and w.name = $2
            and exists (select from workspace_members m where m.workspace_id = w.id and m.user_id = $3 and m.role = 'admin')",
        admin.workspace() as _,
        name.trim(),
        admin.user() as _,
    )
    .execute(tx.conn())
    .await?;
    if deleted.rows_affected() == 0 {
        return Err(Error::field(
            "name",
            t!("Type the workspace name exactly as shown"),
        ));
    }
    let workspace = admin.workspace();
    // The journal has no foreign keys: each webhook would have to check them.
    sqlx::query!(
        "delete from webhooks where workspace_id = $1",
        workspace as _
    )
    .execute(tx.conn())
    .await?;
    tx.announce(Event::AccessChanged { workspace });
    tx.announce(Event::IntegrationChanged { workspace });
    tx.commit().await?;
    tracing::warn!(workspace.id = %workspace, user.id = %admin.user(), "workspace deleted");
    Ok(())
}

pub const NAME_RULE: Message = t!("Use 1 to 80 characters");

pub fn is_name(name: &str) -> bool {
    (1..=80).contains(&name.trim().chars().count()) && !name.contains('\0')
}

/// Creates a workspace for `user` if `SIGNUPS` and `WORKSPACES_PER_PERSON` allow it. `address` is the caller's, for the
/// audit log.
pub async fn create(
    app: &App,
    name: &str,
    user: UserId,
    address: &str,
) -> Result<WorkspaceMembership> {
    let mut tx = app.db.system(Setup).await?;
    // Locks the user: a concurrent request counts this workspace.
    sqlx::query!(
        "select from users where id = $1 for no key update",
        user as _
    )
    .execute(tx.conn())
    .await?;
    let right = creation(tx.conn(), user).await?;
    right.check(&app.config)?;
    let mine = found(&mut tx, name, user, Some(address)).await?;
    tx.commit().await?;
    Ok(mine)
}

pub async fn may_create(app: &App, user: UserId) -> Result<bool> {
    let mut conn = app.db.system_pool(SignIn).acquire().await?;
    let right = creation(&mut conn, user).await?;
    Ok(right.check(&app.config).is_ok())
}

struct Creation {
    made: i64,
    is_admin: bool,
    any_exists: bool,
}

async fn creation(conn: &mut PgConnection, user: UserId) -> Result<Creation> {
    Ok(sqlx::query_as!(
        Creation,
        r#"select (select count(*) from workspaces where created_by = $1) as "made!",
                  exists (select from workspace_members where user_id = $1 and role = 'admin') as "is_admin!",
                  exists (select from workspaces) as "any_exists!""#,
        user as _,
    )
    .fetch_one(conn)
    .await?)
}

impl Creation {
    fn check(&self, config: &Config) -> Result<()> {
        let signups = config.signups.unwrap_or(match self.any_exists {
            true => Signups::Invite,
            false => Signups::Open,
        });
        let allowed = match signups {
            Signups::Open => true,
            Signups::Invite => self.is_admin,
            Signups::Closed => false,
        };
        if !allowed {
            return Err(Error::WorkspacesClosed);
        }
        let most = config.workspaces_per_person;
        match self.made < i64::from(most) {
            true => Ok(()),
            false => Err(Error::TooManyWorkspaces(most)),
        }
    }
}

/// Serializes sign-ups while there is no workspace: one creates the first, the others are refused.
pub(in crate::domain) async fn lock_first_workspace<P: SystemPurpose>(
    tx: &mut SystemTx<P>,
) -> Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtext('the first workspace'))")
        .execute(tx.conn())
        .await?;
    let exists = sqlx::query_scalar!(r#"select exists (select from workspaces) as "exists!""#)
        .fetch_one(tx.conn())
        .await?;
    match exists {
        true => Err(Error::SignupsClosed),
        false => Ok(()),
    }
}

/// Creates a workspace with `founder` as its first admin. The right is checked by `create`.
pub async fn found<P: SystemPurpose>(
    tx: &mut SystemTx<P>,
    name: &str,
    founder: UserId,
    address: Option<&str>,
) -> Result<WorkspaceMembership> {
    Check::default()
        .require(is_name(name), "name", NAME_RULE)
        .finish()?;
    let id = WorkspaceId::new();
    let slug = free_slug(tx, name).await?;
    sqlx::query!(
        "insert into workspaces (id, name, slug, created_by) values ($1, $2, $3, $4)",
        id as _,
        name.trim(),
        slug,
        // Without an address it is the command line, whose workspaces are not counted.
        address.map(|_| founder) as _,
    )
    .execute(tx.conn())
    .await
    // A concurrent sign-up took the slug after the lookup.
    .on_constraint("workspaces_slug_key", || {
        Error::field("workspace_name", t!("This name was just taken. Try again."))
    })?;
    members::add(tx, id, founder, Role::Admin, None).await?;
    let made = AuditRecord {
        subject: name.trim(),
        subject_id: Some(id.0),
        ..AuditRecord::default()
    };
    audit::record_in(
        tx,
        id,
        founder,
        AuditAction::WorkspaceCreated,
        address,
        made,
    )
    .await?;
    Ok(WorkspaceMembership {
        id,
        name: name.trim().into(),
        slug,
        role: Role::Admin,
    })
}

pub async fn any_exists(db: &Db) -> Result<bool> {
    Ok(
        sqlx::query_scalar!(r#"select exists (select from workspaces) as "exists!""#)
            .fetch_one(db.system_pool(SignIn))
            .await?,
    )
}

/// The first of `harbor-dental`, `harbor-dental-2`, … that is free.
async fn free_slug<P: SystemPurpose>(tx: &mut SystemTx<P>, name: &str) -> Result<String> {
    let base = slug(name);
    // Locks the name: a concurrent request sees the slug that this one takes.
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtext('slug ' || $1))",
        base
    )
    .execute(tx.conn())
    .await?;
    let taken = sqlx::query_scalar!(
        "select slug from workspaces where slug = $1 or slug like $1 || '-%'",
        base
    )
    .fetch_all(tx.conn())
    .await?;
    Ok((1_u32..)
        .map(|n| match n {
            1 => base.clone(),
            n => format!("{base}-{n}"),
        })
        .find(|slug| !taken.contains(slug) && !is_id(slug))
        .expect("fewer than four billion workspaces share a name"))
}

/// Pages are found by slug or id, so a slug must not parse as an id, in any notation.
fn is_id(slug: &str) -> bool {
    slug.parse::<WorkspaceId>().is_ok()
}

/// `Harbor Dental & Co.` → `harbor-dental-co`. A name without a Latin letter or digit becomes `workspace`.
fn slug(name: &str) -> String {
    let spaced: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' })
        .collect();
    let slug: String = spaced.split_whitespace().collect::<Vec<_>>().join("-");
    match slug.get(..40).unwrap_or(&slug).trim_end_matches('-') {
        "" => "workspace".into(),
        slug => slug.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_id, slug};

    #[test]
    fn slug_that_parses_as_an_id_is_detected() {
        for id in [
            "0190a5c6-7b1e-7d3a-9c4f-2b6d8e0f1a3c",
            "0190a5c67b1e7d3a9c4f2b6d8e0f1a3c",
            "00000000000000000000000000000000",
        ] {
            assert!(is_id(id) && is_id(&slug(id)), "{id}");
            assert!(!is_id(&format!("{id}-2")), "{id}");
        }
        assert!(!is_id("harbor-dental"));
    }

    #[test]
    fn slug_is_derived_from_the_name() {
        assert_eq!(slug("Harbor Dental & Co."), "harbor-dental-co");
        assert_eq!(slug("  歯医者 "), "workspace");
        assert_eq!(
            slug(&"word ".repeat(40)),
            "word-word-word-word-word-word-word-word"
        );
    }
}

//! The tenant: everything else belongs to exactly one.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use crate::app::App;
use crate::config::{Config, Signups};
use crate::db::{Db, SystemTx, WorkspaceTx};
use crate::domain::accounts::{Caller, User};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::{Admin, Role};
use crate::domain::string_enum;
use crate::error::{Check, Error, OnConstraint, Result};
use crate::events::Event;
use crate::ids::{UserId, WorkspaceId};
use crate::language::english;
use crate::phone::Region;

string_enum!(OptOutScope { Number = "number", Workspace = "workspace" });

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Workspace {
    pub id: WorkspaceId,
    pub name: String,
    pub slug: String,
    /// Two letters (ISO 3166): how phone numbers without a leading + are read.
    pub default_region: String,
    /// Whether members need a second factor to come in.
    pub require_two_factor: bool,
    /// What each new agent begins with.
    pub starting_credits: i32,
    /// An agent is told when their balance falls to this.
    pub low_credits_at: i32,
    /// For which of our numbers a STOP holds: the one that it was sent to, or all.
    pub opt_out_scope: OptOutScope,
    /// How long a text may wait to be sent before it is given up on.
    pub text_validity_minutes: i32,
    /// Whether a text that waits at a number that cannot send leaves from another one.
    pub failover: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A workspace as one of its members finds it in their list.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Mine {
    pub id: WorkspaceId,
    pub name: String,
    pub slug: String,
    pub role: Role,
}

pub async fn of_user(db: &Db, user: UserId) -> Result<Vec<Mine>> {
    Ok(sqlx::query_as!(
        Mine,
        "select w.id, w.name, w.slug, m.role
           from workspace_members m
           join workspaces w on w.id = m.workspace_id
          where m.user_id = $1
          order by m.created_at, w.id",
        user as _,
    )
    .fetch_all(db.system_pool())
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
    /// `true` closes the workspace to members without a second factor, at once; only an admin who has one can ask for it.
    pub require_two_factor: Option<bool>,
    /// 0 to 1,000,000 credits for each agent who joins from now on.
    pub starting_credits: Option<i32>,
    /// 0 to 1,000,000.
    pub low_credits_at: Option<i32>,
    /// `workspace`: who texts STOP to one number is texted from none, and START to one lifts it for all.
    pub opt_out_scope: Option<OptOutScope>,
    /// 5 to 1,440 (a day); 240 (four hours) to begin with. A text that could not be sent for so long, because a provider was
    /// down or many others were before it, fails instead of arriving late, and its credit comes back. A scheduled text
    /// counts from its time. Counts for texts that are queued from now on.
    pub text_validity_minutes: Option<i32>,
    /// `false` to begin with. `true`: a queued text whose number is inactive, or whose account at its provider needs
    /// attention, is handed over to another active number of an account that is well, one that its writer may use and that
    /// the contact has not opted out of. It goes on in the conversation of that number; notes in both say why.
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
            "switch your own second factor on first, or you would lock yourself out",
        ));
    }
    let before = current(tx).await?;
    let after = sqlx::query_as!(
        Workspace,
        "update workspaces
            set name = coalesce($1, name), default_region = coalesce($2, default_region),
                require_two_factor = coalesce($3, require_two_factor), starting_credits = coalesce($4, starting_credits),
                low_credits_at = coalesce($5, low_credits_at), text_validity_minutes = coalesce($6, text_validity_minutes),
                opt_out_scope = coalesce($7, opt_out_scope), failover = coalesce($8, failover), updated_at = now()
          returning id, name, slug, default_region, require_two_factor, starting_credits, low_credits_at, text_validity_minutes,
                    opt_out_scope, failover, created_at, updated_at",
        change.name.as_deref().map(str::trim),
        change.default_region,
        change.require_two_factor,
        change.starting_credits,
        change.low_credits_at,
        change.text_validity_minutes,
        change.opt_out_scope as _,
        change.failover,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotAMember)?;
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
    // Any conversation may be opted out now, or no more, and what waited in it called off.
    if after.opt_out_scope != before.opt_out_scope {
        let workspace = tx.workspace();
        tx.announce(Event::Missed { workspace });
    }
    Ok(after)
}

fn check(change: &WorkspaceChange) -> Result<()> {
    let is_amount =
        |amount: Option<i32>| amount.is_none_or(|amount| (0..=1_000_000).contains(&amount));
    Check::default()
        .that(
            change.name.as_deref().is_none_or(is_name),
            "name",
            NAME_RULE,
        )
        .that(
            change.default_region.as_deref().is_none_or(|region| {
                region.len() == 2
                    && region
                        .parse::<Region>()
                        .is_ok_and(|known| known.to_string() == region)
            }),
            "default_region",
            "two capital letters (ISO 3166), such as US or DE",
        )
        .that(
            is_amount(change.starting_credits),
            "starting_credits",
            "0 to 1,000,000",
        )
        .that(
            is_amount(change.low_credits_at),
            "low_credits_at",
            "0 to 1,000,000",
        )
        .that(
            change
                .text_validity_minutes
                .is_none_or(|minutes| (5..=1440).contains(&minutes)),
            "text_validity_minutes",
            "5 to 1,440 minutes",
        )
        .done()
}

/// What can be changed, for the audit log.
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

/// Deletes the workspace with everything in it, for an admin who types its name. Nothing of it is left but the users, who
/// may belong to others; nothing of another is touched.
pub async fn delete(db: &Db, admin: &Admin, name: &str) -> Result<()> {
    for _ in 0..MEETINGS {
        match delete_at_once(db, admin, name).await {
            Err(error) if error.is_deadlock() => {
                tracing::info!(%error, "a deletion met a text halfway: once more")
            }
            done => return done,
        }
    }
    delete_at_once(db, admin, name).await
}

/// Texts lock their conversation before the workspace, a deletion the other way round: of two that meet, the database ends one.
/// More often than this, they hardly meet in a row.
const MEETINGS: usize = 5;

async fn delete_at_once(db: &Db, admin: &Admin, name: &str) -> Result<()> {
    let mut tx = db.system().await?;
    let deleted = sqlx::query!(
        // The role that deletes sees every tenant: the right is asked for once more, where it is used.
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
            "type the name of the workspace exactly as it is written",
        ));
    }
    let workspace = admin.workspace();
    tx.announce(Event::AccessChanged { workspace });
    tx.announce(Event::IntegrationChanged { workspace });
    tx.commit().await?;
    tracing::warn!(workspace.id = %workspace, user.id = %admin.user(), "a workspace was deleted");
    Ok(())
}

pub const NAME_RULE: &str = english("1 to 80 characters");

pub fn is_name(name: &str) -> bool {
    (1..=80).contains(&name.trim().chars().count()) && !name.contains('\0')
}

/// Makes a workspace for `user`, as far as `SIGNUPS` and `WORKSPACES_PER_PERSON` allow.
pub async fn create(app: &App, name: &str, user: &User, caller: &Caller) -> Result<Mine> {
    let mut tx = app.db.system().await?;
    // Of two at once the second one counts the first one's.
    sqlx::query!(
        "select from users where id = $1 for no key update",
        user.id as _
    )
    .execute(tx.conn())
    .await?;
    let right = creation(tx.conn(), user.id).await?;
    right.check(&app.config)?;
    let mine = found(&mut tx, name, user.id, Some(&caller.address())).await?;
    tx.commit().await?;
    Ok(mine)
}

/// Whether `user` may make a workspace now.
pub async fn may_create(app: &App, user: &User) -> Result<bool> {
    let mut conn = app.db.system_pool().acquire().await?;
    let right = creation(&mut conn, user.id).await?;
    Ok(right.check(&app.config).is_ok())
}

/// What the right to make a workspace depends on.
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

/// Of those who sign up while there is no workspace one is the first; the others are refused as soon as it is there.
pub(in crate::domain) async fn lock_first_workspace(tx: &mut SystemTx) -> Result<()> {
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

/// Makes a workspace with `founder`, who comes from `address`, as its first admin. Who may is asked by `create`.
pub async fn found(
    tx: &mut SystemTx,
    name: &str,
    founder: UserId,
    address: Option<&str>,
) -> Result<Mine> {
    Check::default()
        .that(is_name(name), "name", NAME_RULE)
        .done()?;
    let id = WorkspaceId::new();
    let slug = free_slug(tx, name).await?;
    sqlx::query!(
        "insert into workspaces (id, name, slug, created_by) values ($1, $2, $3, $4)",
        id as _,
        name.trim(),
        slug,
        // Without an address it was the command line, which is not counted.
        address.map(|_| founder) as _,
    )
    .execute(tx.conn())
    .await
    // Another sign-up took the address between the look and the insert.
    .on_constraint("workspaces_slug_key", || {
        Error::field(
            "workspace_name",
            "this name was taken a moment ago: try again",
        )
    })?;
    add_member(tx, id, founder, Role::Admin).await?;
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
    Ok(Mine {
        id,
        name: name.trim().into(),
        slug,
        role: Role::Admin,
    })
}

pub async fn add_member(
    tx: &mut SystemTx,
    workspace: WorkspaceId,
    user: UserId,
    role: Role,
) -> Result<()> {
    sqlx::query!(
        "insert into workspace_members (workspace_id, user_id, role) values ($1, $2, $3)",
        workspace as _,
        user as _,
        role as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn any_exists(db: &Db) -> Result<bool> {
    Ok(
        sqlx::query_scalar!(r#"select exists (select from workspaces) as "exists!""#)
            .fetch_one(db.system_pool())
            .await?,
    )
}

/// The first of `harbor-dental`, `harbor-dental-2`, … that nobody has.
async fn free_slug(tx: &mut SystemTx, name: &str) -> Result<String> {
    let wanted = slug(name);
    // Of two with one name the second one sees what the first one took.
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtext('slug ' || $1))",
        wanted
    )
    .execute(tx.conn())
    .await?;
    let taken = sqlx::query_scalar!(
        "select slug from workspaces where slug = $1 or slug like $1 || '-%'",
        wanted
    )
    .fetch_all(tx.conn())
    .await?;
    Ok((1_u32..)
        .map(|n| match n {
            1 => wanted.clone(),
            n => format!("{wanted}-{n}"),
        })
        .find(|slug| !taken.contains(slug) && !is_id(slug))
        .expect("fewer than four billion workspaces have one name"))
}

/// Pages are found by slug or by id, so a slug must not read as an id, in whatever notation.
fn is_id(slug: &str) -> bool {
    slug.parse::<WorkspaceId>().is_ok()
}

/// `Harbor Dental & Co.` → `harbor-dental-co`. Names without a Latin letter or digit become `workspace`.
fn slug(name: &str) -> String {
    let words: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' })
        .collect();
    let slug: String = words.split_whitespace().collect::<Vec<_>>().join("-");
    match slug.get(..40).unwrap_or(&slug).trim_end_matches('-') {
        "" => "workspace".into(),
        slug => slug.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_id, slug};

    #[test]
    fn a_slug_that_reads_as_an_id_is_known() {
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
    fn a_slug_is_made_of_the_name() {
        assert_eq!(slug("Harbor Dental & Co."), "harbor-dental-co");
        assert_eq!(slug("  歯医者 "), "workspace");
        assert_eq!(
            slug(&"word ".repeat(40)),
            "word-word-word-word-word-word-word-word"
        );
    }
}

//! The tenant: everything else belongs to exactly one.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::db::{Db, SystemTx, WorkspaceTx};
use crate::domain::members::{Admin, Role};
use crate::error::{Check, Error, OnConstraint, Result};
use crate::ids::{UserId, WorkspaceId};
use crate::phone::Region;

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Workspace {
    pub id: WorkspaceId,
    pub name: String,
    pub slug: String,
    /// Two letters (ISO 3166): how phone numbers without a leading + are read.
    pub default_region: String,
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
        "select id, name, slug, default_region, created_at, updated_at from workspaces"
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotAMember)
}

#[derive(Debug, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub name: Option<String>,
    /// Two letters (ISO 3166), such as `US`.
    pub default_region: Option<String>,
}

pub async fn update(tx: &mut WorkspaceTx, _: &Admin, change: Change) -> Result<Workspace> {
    let name = change.name.as_deref().map(str::trim);
    Check::default()
        .that(name.is_none_or(is_name), "name", NAME_RULE)
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
        .done()?;
    sqlx::query_as!(
        Workspace,
        "update workspaces
            set name = coalesce($1, name), default_region = coalesce($2, default_region), updated_at = now()
          returning id, name, slug, default_region, created_at, updated_at",
        name,
        change.default_region,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotAMember)
}

pub const NAME_RULE: &str = "1 to 80 characters";

pub fn is_name(name: &str) -> bool {
    (1..=80).contains(&name.trim().chars().count()) && !name.contains('\0')
}

/// Makes a workspace with `founder` as its first admin.
pub async fn found(tx: &mut SystemTx, name: &str, founder: UserId) -> Result<Mine> {
    Check::default()
        .that(is_name(name), "name", NAME_RULE)
        .done()?;
    let id = WorkspaceId::new();
    let slug = free_slug(tx, name).await?;
    sqlx::query!(
        "insert into workspaces (id, name, slug) values ($1, $2, $3)",
        id as _,
        name.trim(),
        slug,
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
        .find(|slug| !taken.contains(slug))
        .expect("fewer than four billion workspaces have one name"))
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
    use super::slug;

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

//! Saved views of the inbox's list: a tab with filters and an order, under a name. Private, or shared with the workspace.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::list::Order;
use crate::db::WorkspaceTx;
use crate::domain::members::Member;
use crate::domain::string_enum;
use crate::error::{Check, Error, OnConstraint, Result};
use crate::ids::{NumberId, TagId, UserId, ViewId};
use crate::language::t;
use crate::unicode::composed;

string_enum!(
    /// A tab of the inbox's list.
    #[derive(Default)]
    #[schema(as = ListTab)]
    Tab {
        #[default]
        Open = "open",
        /// Open and assigned to the viewer.
        Mine = "mine",
        /// Open and assigned to nobody.
        Unassigned = "unassigned",
        /// Open, and the contact waits for an answer.
        Waiting = "waiting",
        Pending = "pending",
        Snoozed = "snoozed",
        Done = "done",
        /// Conversations with notes that mention the viewer.
        Mentions = "mentions",
    }
);

#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ListView)]
pub struct View {
    pub id: ViewId,
    pub name: String,
    /// Everybody sees it; otherwise only its creator. One with a number is shown to members who see that number.
    pub shared: bool,
    pub tab: Tab,
    pub number_id: Option<NumberId>,
    pub tag_id: Option<TagId>,
    /// `me`, `none` or a user's id.
    pub assignee: Option<String>,
    pub unread: bool,
    /// Only conversations whose last message is a text of ours that was not delivered.
    pub failed: bool,
    pub order: Order,
    pub created_by: Option<UserId>,
    pub created_at: DateTime<Utc>,
}

impl View {
    /// As the database confines it.
    pub fn is_editable_by(&self, member: &Member) -> bool {
        self.created_by == Some(member.user()) || (self.shared && member.is_admin())
    }
}

#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ListViewDraft)]
pub struct Draft {
    /// 1 to 60 characters.
    pub name: String,
    /// Shares it with the whole workspace; otherwise only you see it.
    #[serde(default)]
    pub shared: bool,
    #[serde(default)]
    pub tab: Tab,
    pub number_id: Option<NumberId>,
    pub tag_id: Option<TagId>,
    /// `me`, `none` or a user's id.
    pub assignee: Option<String>,
    #[serde(default)]
    pub unread: bool,
    #[serde(default)]
    pub failed: bool,
    #[serde(default)]
    pub order: Order,
}

#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ListViewChange)]
pub struct ViewChange {
    pub name: Option<String>,
}

/// Of those that a member sees.
pub const COUNT_LIMIT: i64 = 100;

/// The caller's and the shared ones, by name.
pub async fn list(tx: &mut WorkspaceTx) -> Result<Vec<View>> {
    Ok(sqlx::query_as!(
        View,
        r#"select id as "id: ViewId", name, owner_id is null as "shared!", tab as "tab: Tab", number_id as "number_id: NumberId",
                  tag_id as "tag_id: TagId", assignee, unread, failed, list_order as "order: Order",
                  created_by as "created_by: UserId", created_at
             from list_views order by lower(name), id limit $1"#,
        COUNT_LIMIT,
    )
    .fetch_all(tx.conn())
    .await?)
}

fn check_name(name: &str) -> Result<String> {
    let name = composed(name.trim()).into_owned();
    Check::default()
        .require(
            (1..=60).contains(&name.chars().count()) && !name.chars().any(char::is_control),
            "name",
            t!("Enter a name of 1 to 60 characters"),
        )
        .finish()?;
    Ok(name)
}

pub async fn create(tx: &mut WorkspaceTx, draft: Draft) -> Result<View> {
    let name = check_name(&draft.name)?;
    let assignee = draft.assignee.filter(|assignee| !assignee.is_empty());
    Check::default()
        .require(
            assignee
                .as_deref()
                .is_none_or(|who| matches!(who, "me" | "none") || who.parse::<UserId>().is_ok()),
            "assignee",
            t!("Use me, none or a user ID"),
        )
        .require(
            list(tx).await?.len() < COUNT_LIMIT as usize,
            "name",
            t!("You can save at most 100 views. Delete one you don’t need."),
        )
        .finish()?;
    let id = ViewId::new();
    sqlx::query!(
        "insert into list_views (id, name, owner_id, created_by, tab, number_id, tag_id, assignee, unread, failed, list_order)
         select $1, $2, case when $3 then null else current_user_id() end, current_user_id(), $4, $5, $6, $7, $8, $9, $10
          -- Of a number that the member does not see, or none of this workspace, nothing is stored.
          where $5::uuid is null or $5 = any (my_numbers())",
        id as _,
        name,
        draft.shared,
        draft.tab as _,
        draft.number_id as _,
        draft.tag_id as _,
        assignee.map(|who| who.to_lowercase()),
        draft.unread,
        draft.failed,
        draft.order as _,
    )
    .execute(tx.conn())
    .await
    .on_constraint("list_views_workspace_id_tag_id_fkey", || {
        Error::field("tag_id", t!("This tag isn’t part of this workspace"))
    })?;
    find(tx, id).await.map_err(|error| match error {
        Error::NotFound(_) => Error::field("number_id", t!("You don’t have access to this number")),
        error => error,
    })
}

async fn find(tx: &mut WorkspaceTx, id: ViewId) -> Result<View> {
    let all = list(tx).await?;
    all.into_iter()
        .find(|view| view.id == id)
        .ok_or(Error::NotFound(t!("the view")))
}

async fn find_editable(tx: &mut WorkspaceTx, member: &Member, id: ViewId) -> Result<View> {
    let view = find(tx, id).await?;
    match view.is_editable_by(member) {
        true => Ok(view),
        false => Err(Error::NotTheMaker),
    }
}

pub async fn update(
    tx: &mut WorkspaceTx,
    member: &Member,
    id: ViewId,
    change: ViewChange,
) -> Result<View> {
    let name = change.name.as_deref().map(check_name).transpose()?;
    find_editable(tx, member, id).await?;
    sqlx::query!(
        "update list_views set name = coalesce($2, name) where id = $1",
        id as _,
        name,
    )
    .execute(tx.conn())
    .await?;
    find(tx, id).await
}

pub async fn remove(tx: &mut WorkspaceTx, member: &Member, id: ViewId) -> Result<()> {
    find_editable(tx, member, id).await?;
    sqlx::query!("delete from list_views where id = $1", id as _)
        .execute(tx.conn())
        .await?;
    Ok(())
}

//! Templates for texts. Variables between {{ and }} are filled in for each text.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::db::WorkspaceTx;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::contacts::like;
use crate::domain::members::Member;
use crate::error::{Check, Error, Result};
use crate::ids::{ConversationId, TemplateId, UserId, WorkspaceId};
use crate::language::t;
use crate::listing::{Cursor, Page, Span, page};
use crate::phone;
use crate::unicode::composed;

pub mod variables;

use variables::{named, variables};

/// Variables with default values; any other one must be given.
pub const DEFAULT_VARIABLES: [&str; 5] = ["name", "first_name", "agent", "workspace", "number"];

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Template {
    pub id: TemplateId,
    pub workspace_id: WorkspaceId,
    pub name: String,
    /// With variables, such as `Hi {{first_name|there}}, see you at {{time}}`. The text after a bar is used if there is
    /// no value.
    pub content: String,
    /// Shared with the whole workspace; otherwise only its creator sees it.
    pub shared: bool,
    pub created_by: Option<UserId>,
    pub created_by_name: Option<String>,
    /// The names of its variables, in order. `name`, `first_name`, `agent`, `workspace` and `number` have defaults.
    pub variables: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Template {
    pub fn is_editable_by(&self, member: &Member) -> bool {
        self.created_by == Some(member.user()) || (self.shared && member.is_admin())
    }

    pub fn is_created_by(&self, user: &UserId) -> bool {
        self.created_by == Some(*user)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Row {
    id: TemplateId,
    workspace_id: WorkspaceId,
    name: String,
    content: String,
    shared: bool,
    created_by: Option<UserId>,
    created_by_name: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Row> for Template {
    fn from(row: Row) -> Self {
        Self {
            variables: variables(&row.content),
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            content: row.content,
            shared: row.shared,
            created_by: row.created_by,
            created_by_name: row.created_by_name,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TemplateDraft)]
pub struct Draft {
    /// 1 to 80 characters.
    pub name: String,
    /// 1 to 1,600 characters.
    pub content: String,
    /// Shares it with the whole workspace; otherwise only you see it.
    #[serde(default)]
    pub shared: bool,
}

#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TemplateChange)]
pub struct TemplateChange {
    pub name: Option<String>,
    pub content: Option<String>,
    /// Only its creator may set this to `false`.
    pub shared: Option<bool>,
}

fn check(name: Option<&str>, content: Option<&str>) -> Result<()> {
    Check::default()
        .require(
            name.is_none_or(|name| {
                (1..=80).contains(&name.trim().chars().count()) && !name.contains('\0')
            }),
            "name",
            t!("Enter a name of 1 to 80 characters"),
        )
        .require(
            content.is_none_or(|content| {
                !content.trim().is_empty()
                    && content.encode_utf16().count() <= 1600
                    && !content.contains('\0')
            }),
            "content",
            t!("Write a message of 1 to 1,600 characters"),
        )
        .finish()
}

/// Newest first; `q` matches any part of a name or text.
pub async fn list(tx: &mut WorkspaceTx, q: Option<&str>, span: &Span) -> Result<Page<Template>> {
    let (limit, cursor) = (span.limit()?, span.cursor()?);
    let rows = sqlx::query_as!(
        Row,
        r#"select t.id, t.workspace_id, t.name, t.content, t.owner_id is null as "shared!", t.created_by,
                  u.name as "created_by_name?", t.created_at, t.updated_at
             from templates t
             left join users u on u.id = t.created_by
            where ($1::text is null or t.name || ' ' || t.content ilike '%' || $1 || '%')
              and ($2::timestamptz is null or (t.created_at, t.id) < ($2, $3::uuid))
            order by t.created_at desc, t.id desc
            limit $4"#,
        q.filter(|q| !q.trim().is_empty()).map(like),
        cursor.map(|cursor| cursor.at),
        cursor.map(|cursor| cursor.id),
        limit + 1,
    )
    .fetch_all(tx.conn())
    .await?;
    let rows = rows.into_iter().map(Template::from).collect();
    Ok(page(rows, limit, |template: &Template| Cursor {
        at: template.created_at,
        id: template.id.0,
    }))
}

pub async fn find(tx: &mut WorkspaceTx, id: TemplateId) -> Result<Template> {
    sqlx::query_as!(
        Row,
        r#"select t.id, t.workspace_id, t.name, t.content, t.owner_id is null as "shared!", t.created_by,
                  u.name as "created_by_name?", t.created_at, t.updated_at
             from templates t
             left join users u on u.id = t.created_by
            where t.id = $1"#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .map(Template::from)
    .ok_or(Error::NotFound(t!("the template")))
}

pub async fn create(tx: &mut WorkspaceTx, mut draft: Draft) -> Result<Template> {
    draft.name = composed(&draft.name).into_owned();
    draft.content = composed(&draft.content).into_owned();
    check(Some(&draft.name), Some(&draft.content))?;
    let id = TemplateId::new();
    sqlx::query!(
        "insert into templates (id, name, content, owner_id, created_by)
         values ($1, trim($2), $3, case when $4 then null else current_user_id() end, current_user_id())",
        id as _,
        draft.name,
        draft.content.trim_end(),
        draft.shared,
    )
    .execute(tx.conn())
    .await?;
    let template = find(tx, id).await?;
    if template.shared {
        record(tx, AuditAction::TemplateShared, None, Some(&template)).await?;
    }
    Ok(template)
}

pub async fn update(
    tx: &mut WorkspaceTx,
    member: &Member,
    id: TemplateId,
    mut change: TemplateChange,
) -> Result<Template> {
    let compose = |text: String| composed(&text).into_owned();
    change.name = change.name.map(compose);
    change.content = change.content.map(compose);
    check(change.name.as_deref(), change.content.as_deref())?;
    let before = lock_if_editable(tx, member, id).await?;
    Check::default()
        .require(
            change.shared != Some(false) || before.is_created_by(&member.user()),
            "shared",
            t!("Only the person who created it can stop sharing it. You can delete it instead."),
        )
        .finish()?;
    sqlx::query!(
        "update templates
            set name = coalesce(trim($2), name), content = coalesce($3, content),
                owner_id = case when $4::boolean is null then owner_id when not $4 then created_by end, updated_at = now()
          where id = $1",
        id as _,
        change.name,
        change.content.as_deref().map(str::trim_end),
        change.shared,
    )
    .execute(tx.conn())
    .await?;
    let after = find(tx, id).await?;
    let (before_json, after_json) = (audit_json(&before), audit_json(&after));
    match (before.shared, after.shared) {
        (false, true) => record(tx, AuditAction::TemplateShared, None, Some(&after)).await?,
        (true, false) => record(tx, AuditAction::TemplateRemoved, Some(&before), None).await?,
        (true, true) if before_json != after_json => {
            record(
                tx,
                AuditAction::TemplateChanged,
                Some(&before),
                Some(&after),
            )
            .await?;
        }
        _ => {} // changes of a private template are not audited
    }
    Ok(after)
}

pub async fn remove(tx: &mut WorkspaceTx, member: &Member, id: TemplateId) -> Result<()> {
    let template = lock_if_editable(tx, member, id).await?;
    sqlx::query!("delete from templates where id = $1", id as _)
        .execute(tx.conn())
        .await?;
    if template.shared {
        record(tx, AuditAction::TemplateRemoved, Some(&template), None).await?;
    }
    Ok(())
}

/// The template, locked until the end of the transaction, if `member` may change it.
async fn lock_if_editable(
    tx: &mut WorkspaceTx,
    member: &Member,
    id: TemplateId,
) -> Result<Template> {
    sqlx::query!(
        "select id from templates where id = $1 for no key update",
        id as _
    )
    .fetch_optional(tx.conn())
    .await?;
    let template = find(tx, id).await?;
    if template.is_editable_by(member) {
        Ok(template)
    } else {
        Err(Error::NotTheMaker)
    }
}

fn audit_json(template: &Template) -> serde_json::Value {
    json!({"name": template.name, "content": template.content})
}

async fn record(
    tx: &mut WorkspaceTx,
    action: AuditAction,
    before: Option<&Template>,
    after: Option<&Template>,
) -> Result<()> {
    let Some(template) = after.or(before) else {
        return Ok(());
    };
    let audit_record = AuditRecord {
        subject: &template.name,
        subject_id: Some(template.id.0),
        before: before.map(audit_json),
        after: after.map(audit_json),
    };
    audit::record(tx, action, audit_record).await
}

/// Default values of variables: from the contact, the agent, the workspace and the number.
#[derive(Clone, Debug, Default)]
pub struct DefaultValues(pub BTreeMap<String, String>);

impl DefaultValues {
    pub fn new(contact: Option<&str>, agent: &str, workspace: &str, number: &str) -> Self {
        let contact = contact.unwrap_or_default().trim();
        let first = contact.split_whitespace().next().unwrap_or_default();
        let all = [
            ("name", contact),
            ("first_name", first),
            ("agent", agent),
            ("workspace", workspace),
            ("number", number),
        ];
        let known = all.into_iter().filter(|(_, value)| !value.is_empty());
        Self(
            known
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }

    /// Adds the given values, which override the defaults.
    fn with(mut self, given: &BTreeMap<String, String>) -> Self {
        for (name, value) in given {
            let name = named(name).unwrap_or_else(|| name.clone());
            self.0.insert(name, value.replace('\0', ""));
        }
        self
    }
}

/// The text of `template` for `conversation`. The error names the missing variables. One round trip.
pub async fn render(
    tx: &mut WorkspaceTx,
    member: &Member,
    template: TemplateId,
    conversation: ConversationId,
    given: &BTreeMap<String, String>,
) -> Result<String> {
    let row = sqlx::query!(
        r#"select t.content, c.name as "contact?", n.friendly_name, n.phone_number
             from templates t
             join conversations v on v.id = $2
             join contacts c on c.workspace_id = v.workspace_id and c.id = v.contact_id
             join numbers n on n.workspace_id = v.workspace_id and n.id = v.number_id
            where t.id = $1"#,
        template as _,
        conversation as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound(t!("the template")))?;
    let number = phone::display(&row.phone_number);
    let known = DefaultValues::new(
        row.contact.as_deref(),
        &member.name,
        &member.workspace_name,
        &number,
    );
    variables::fill(&row.content, &known.with(given).0).map_err(|missing| {
        let names = missing.join(", ");
        Error::field(
            "variables",
            t!(
                "Fill in {names}. The template needs a value.",
                names = names,
            ),
        )
    })
}

//! Phone numbers, the unit of access: an agent sees the conversations of the numbers that are assigned to them.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::db::purpose::Live;
use crate::db::{Db, WorkspaceTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::{self, Admin, Colleague, Member, Role};
use crate::domain::string_enum;
use crate::error::{Check, Error, Result};
use crate::events::Event;
use crate::ids::{ContactId, IntegrationId, NumberId, UserId, WorkspaceId};
use crate::language::{Message, t};
use crate::phone;
use crate::providers;

string_enum!(#[schema(as = NumberStatus)]
Status { Active = "active", Pending = "pending", Inactive = "inactive" });

string_enum!(
    /// Where the provider delivers this number's texts.
    WebhookState {
        /// To this server.
        Configured = "configured",
        /// A setting at the provider overrides the number's own; `webhook_detail` says which one.
        Overridden = "overridden",
        /// The provider refused the change; `webhook_detail` says why.
        Failed = "failed",
        Unset = "unset",
    }
);

/// As `number_json` in the database writes it.
#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Number {
    pub id: NumberId,
    pub workspace_id: WorkspaceId,
    pub integration_id: IntegrationId,
    pub provider: providers::Kind,
    /// E.164, or a short code.
    pub phone_number: String,
    pub friendly_name: String,
    pub capabilities: Capabilities,
    pub is_default: bool,
    pub status: Status,
    pub webhook: WebhookState,
    #[schema(value_type = Option<String>)]
    pub webhook_detail: Option<Message>,
    /// When the number was removed from the provider's account. Its history stays.
    pub gone_at: Option<DateTime<Utc>>,
    /// When the newest text arrived by webhook.
    pub last_inbound_at: Option<DateTime<Utc>>,
    /// When the newest text arrived that only a comparison with the provider's list found.
    #[serde(skip_serializing)]
    pub last_missed_at: Option<DateTime<Utc>>,
    /// Up to this time, every text that the provider received for this number is here.
    pub compared_until: Option<DateTime<Utc>>,
    /// The sending rate; `null`: the usual rate of its kind.
    pub messages_per_second: Option<f64>,
    /// The usual rate: 1 for a long code, 3 for a toll-free number, 100 for a short code.
    pub usual_messages_per_second: f64,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Capabilities {
    pub sms: bool,
    pub mms: bool,
    pub voice: bool,
}

impl Number {
    /// The display name: the number's name, or the formatted number.
    pub fn title(&self) -> String {
        if self.friendly_name.is_empty() {
            self.formatted_number()
        } else {
            self.friendly_name.clone()
        }
    }

    /// Where a number is chosen: its name and the formatted number, since names may be the same.
    pub fn described(&self) -> String {
        match self.friendly_name.is_empty() {
            true => self.formatted_number(),
            false => format!("{} · {}", self.friendly_name, self.formatted_number()),
        }
    }

    pub fn formatted_number(&self) -> String {
        phone::display(&self.phone_number)
    }

    /// When the newest text arrived, if no webhook delivered it. Both times are kept to the minute.
    pub fn missing_texts_since(&self) -> Option<DateTime<Utc>> {
        let is_newer = |missed: &DateTime<Utc>| {
            self.last_inbound_at
                .is_none_or(|delivered| *missed > delivered + TimeDelta::minutes(1))
        };
        self.last_missed_at.filter(is_newer)
    }
}

/// Which numbers a member may see. The live hub checks it for each event; lists check it in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visible {
    All,
    Only(std::collections::HashSet<NumberId>),
}

impl Default for Visible {
    fn default() -> Self {
        Self::Only(Default::default())
    }
}

impl Visible {
    pub fn includes(&self, number: NumberId) -> bool {
        match self {
            Self::All => true,
            Self::Only(numbers) => numbers.contains(&number),
        }
    }
}

/// What each user may see in the workspace beside them. Users who are no members are left out. One statement for all.
pub async fn visible(
    db: &Db,
    of: &[(WorkspaceId, UserId)],
) -> Result<HashMap<(WorkspaceId, UserId), Visible>> {
    let (workspaces, users): (Vec<_>, Vec<_>) = of.iter().copied().unzip();
    let rows = sqlx::query!(
        r#"select m.workspace_id as "workspace: WorkspaceId", m.user_id as "user: UserId", m.role,
                  array(select a.number_id from number_members a
                         where a.workspace_id = m.workspace_id and a.user_id = m.user_id) as "numbers!: Vec<NumberId>"
             from unnest($1::uuid[], $2::uuid[]) as asked (workspace_id, user_id)
             join workspace_members m using (workspace_id, user_id)
             join workspaces w on w.id = m.workspace_id
             join users u on u.id = m.user_id
            where not w.require_two_factor or u.two_factor_at is not null"#,
        &workspaces as _,
        &users as _,
    )
    .fetch_all(db.system_pool(Live))
    .await?;
    let visible = rows.into_iter().map(|row| {
        let visible = match row.role {
            Role::Admin => Visible::All,
            Role::Agent => Visible::Only(row.numbers.into_iter().collect()),
        };
        ((row.workspace, row.user), visible)
    });
    Ok(visible.collect())
}

/// The numbers that the member may see, the default first.
pub async fn list(tx: &mut WorkspaceTx) -> Result<Vec<Number>> {
    let workspace = tx.workspace();
    select(tx.conn(), workspace, None).await
}

/// For the live hub, which shows it to the members who may see it.
pub async fn look_up(db: &Db, workspace: WorkspaceId, id: NumberId) -> Result<Option<Number>> {
    let mut conn = db.system_pool(Live).acquire().await?;
    Ok(select(&mut conn, workspace, Some(id)).await?.pop())
}

pub async fn find(tx: &mut WorkspaceTx, id: NumberId) -> Result<Number> {
    let workspace = tx.workspace();
    select(tx.conn(), workspace, Some(id))
        .await?
        .pop()
        .ok_or(Error::NotFound(t!("the number")))
}

async fn select(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: Option<NumberId>,
) -> Result<Vec<Number>> {
    let numbers = sqlx::query_scalar!(
        r#"select number_json(n, i.provider) as "number!: Json<Number>"
             from numbers n
             join integrations i on i.workspace_id = n.workspace_id and i.id = n.integration_id
            where n.workspace_id = $1 and ($2::uuid is null or n.id = $2)
            order by n.is_default desc, n.created_at, n.id"#,
        workspace as _,
        id as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(numbers.into_iter().map(|Json(number)| number).collect())
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[schema(as = NumberChange)]
#[serde(deny_unknown_fields)]
pub struct NumberChange {
    pub friendly_name: Option<String>,
    /// `true` makes it the workspace's default, in place of the current one.
    pub is_default: Option<bool>,
    pub status: Option<Status>,
    /// 0.01 to 1,000: as fast as the provider lets it send. `null`: the usual rate of its kind, which is 1 for a long
    /// code, 3 for a toll-free number, 100 for a short code.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>)]
    pub messages_per_second: Option<Option<f64>>,
}

/// Distinguishes `null` from a missing field.
fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

pub async fn update(
    tx: &mut WorkspaceTx,
    _: &Admin,
    id: NumberId,
    change: NumberChange,
) -> Result<Number> {
    check(&change)?;
    if change.is_default == Some(true) {
        // Locks all numbers: a concurrent change of the default waits here and sees this one.
        sqlx::query!("select id from numbers order by id for no key update")
            .fetch_all(tx.conn())
            .await?;
    }
    let before = find(tx, id).await?;
    check_allowed(&before, &change)?;
    store_change(tx, id, &change).await?;
    let after = find(tx, id).await?;
    let audit_json = |number: &Number| json!({"friendly_name": number.friendly_name, "is_default": number.is_default, "status": number.status, "messages_per_second": number.messages_per_second});
    let (was, is) = (audit_json(&before), audit_json(&after));
    if was == is {
        return Ok(after);
    }
    let audit_record = AuditRecord {
        subject: &after.formatted_number(),
        subject_id: Some(id.0),
        before: Some(was),
        after: Some(is),
    };
    audit::record(tx, AuditAction::NumberChanged, audit_record).await?;
    let workspace = tx.workspace();
    tx.announce(Event::NumberChanged {
        workspace,
        number: id,
    });
    tx.announce(Event::Queued); // texts may have waited for an active or a faster number
    Ok(after)
}

fn check(change: &NumberChange) -> Result<()> {
    Check::default()
        .require(
            change
                .friendly_name
                .as_deref()
                .is_none_or(|name| name.chars().count() <= 80 && !name.contains('\0')),
            "friendly_name",
            t!("Use at most 80 characters"),
        )
        .require(
            change.status != Some(Status::Pending),
            "status",
            t!("Use active or inactive. A number that is still being set up becomes active automatically."),
        )
        .require(
            change
                .messages_per_second
                .flatten()
                .is_none_or(|rate| (0.01..=1000.0).contains(&rate)),
            "messages_per_second",
            t!("Enter 0.01 to 1,000, or null for the default of this kind of number"),
        )
        .finish()
}

/// Whether the number's own state allows the change.
fn check_allowed(before: &Number, change: &NumberChange) -> Result<()> {
    let activates = change.status == Some(Status::Active) || change.is_default == Some(true);
    Check::default()
        .require(
            before.gone_at.is_none() || !activates,
            "status",
            t!("The provider account no longer has this number"),
        )
        .require(
            before.status != Status::Pending || change.status.is_none(),
            "status",
            t!("The provider is still setting up this number. Sync in a few minutes."),
        )
        .finish()
}

async fn store_change(tx: &mut WorkspaceTx, id: NumberId, change: &NumberChange) -> Result<()> {
    if change.is_default == Some(true) {
        sqlx::query!("update numbers set is_default = false, updated_at = now() where is_default and id <> $1", id as _)
            .execute(tx.conn())
            .await?;
    }
    sqlx::query!(
        "update numbers
            set friendly_name = coalesce(trim($2), friendly_name), is_default = coalesce($3, is_default),
                status = coalesce($4, status),
                messages_per_second = case when $5 then $6 else messages_per_second end, updated_at = now()
          where id = $1",
        id as _,
        change.friendly_name,
        change.is_default,
        change.status as _,
        change.messages_per_second.is_some(),
        change.messages_per_second.flatten(),
    )
    .execute(tx.conn())
    .await?;
    if change.messages_per_second.is_some() {
        // A delay that was computed at the old rate may be too long at the new one.
        sqlx::query!(
            "update number_buckets set refilled_at = least(refilled_at, now()) where number_id = $1",
            id as _
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// Lets `user` see and answer this number's conversations.
pub async fn assign(tx: &mut WorkspaceTx, _: &Admin, number: NumberId, user: UserId) -> Result<()> {
    let (number, member) = (find(tx, number).await?, members::find(tx, user).await?);
    let assigned = sqlx::query!(
        "insert into number_members (number_id, user_id) values ($1, $2) on conflict do nothing",
        number.id as _,
        user as _,
    )
    .execute(tx.conn())
    .await?;
    if assigned.rows_affected() == 1 {
        access_changed(tx, AuditAction::NumberAssigned, &number, &member).await?;
    }
    Ok(())
}

pub async fn unassign(
    tx: &mut WorkspaceTx,
    _: &Admin,
    number: NumberId,
    user: UserId,
) -> Result<()> {
    let (number, member) = (find(tx, number).await?, members::find(tx, user).await?);
    let taken = sqlx::query!(
        "delete from number_members where number_id = $1 and user_id = $2",
        number.id as _,
        user as _
    )
    .execute(tx.conn())
    .await?;
    if taken.rows_affected() == 1 {
        access_changed(tx, AuditAction::NumberUnassigned, &number, &member).await?;
    }
    Ok(())
}

async fn access_changed(
    tx: &mut WorkspaceTx,
    action: AuditAction,
    number: &Number,
    member: &Colleague,
) -> Result<()> {
    let audit_record = AuditRecord {
        subject: &member.name,
        subject_id: Some(member.user_id.0),
        before: None,
        after: Some(json!({"number": number.phone_number, "number_id": number.id})),
    };
    audit::record(tx, action, audit_record).await?;
    let workspace = tx.workspace();
    tx.announce(Event::AccessChanged { workspace });
    Ok(())
}

pub async fn assignments(tx: &mut WorkspaceTx, _: &Admin) -> Result<Vec<(NumberId, UserId)>> {
    Ok(
        sqlx::query!("select number_id, user_id from number_members")
            .fetch_all(tx.conn())
            .await?
            .into_iter()
            .map(|row| (row.number_id, row.user_id))
            .collect(),
    )
}

pub async fn assignments_among(
    tx: &mut WorkspaceTx,
    _: &Admin,
    numbers: &[NumberId],
    users: &[UserId],
) -> Result<Vec<(NumberId, UserId)>> {
    Ok(sqlx::query!(
        "select number_id, user_id from number_members where number_id = any ($1) and user_id = any ($2)",
        numbers as _,
        users as _,
    )
    .fetch_all(tx.conn())
    .await?
    .into_iter()
    .map(|row| (row.number_id, row.user_id))
    .collect())
}

/// How many agents see each of `numbers`. Numbers without agents are left out.
pub async fn agent_counts(
    tx: &mut WorkspaceTx,
    _: &Admin,
    numbers: &[NumberId],
) -> Result<Vec<(NumberId, i64)>> {
    Ok(sqlx::query!(
        r#"select a.number_id, count(*) as "agents!"
             from number_members a
             join workspace_members m on m.workspace_id = a.workspace_id and m.user_id = a.user_id
            where a.number_id = any ($1) and m.role = 'agent'
            group by a.number_id"#,
        numbers as _,
    )
    .fetch_all(tx.conn())
    .await?
    .into_iter()
    .map(|row| (row.number_id, row.agents))
    .collect())
}

pub async fn members(tx: &mut WorkspaceTx, _: &Admin, number: NumberId) -> Result<Vec<Colleague>> {
    find(tx, number).await?;
    Ok(sqlx::query_as!(
        Colleague,
        r#"select m.user_id, u.name, u.email, m.role, u.two_factor_at is not null as "two_factor!", m.created_at
             from number_members a
             join workspace_members m on m.workspace_id = a.workspace_id and m.user_id = a.user_id
             join users u on u.id = m.user_id
            where a.number_id = $1
            order by lower(u.name), m.user_id"#,
        number as _,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// All members of the workspace, and whether they see this number's conversations.
pub async fn viewers(tx: &mut WorkspaceTx, number: NumberId) -> Result<Vec<Viewer>> {
    Ok(sqlx::query_as!(
        Viewer,
        r#"select m.user_id, u.name,
                  exists (select from number_viewers(m.workspace_id, $1) v where v.user_id = m.user_id) as "sees!"
             from workspace_members m
             join users u on u.id = m.user_id
            order by lower(u.name), m.user_id"#,
        number as _,
    )
    .fetch_all(tx.conn())
    .await?)
}

#[derive(Clone, Debug, Deserialize)]
pub struct Viewer {
    pub user_id: UserId,
    pub name: String,
    pub sees: bool,
}

/// The number of a new conversation: the requested one, else the member's default, else the workspace's default, else
/// the oldest one that can send.
pub async fn default_sender(
    tx: &mut WorkspaceTx,
    member: &Member,
    wanted: Option<NumberId>,
) -> Result<NumberId> {
    let row = sqlx::query!(
        r#"select n.id as "id: NumberId", n.status = 'active' and i.is_active as "usable!"
             from numbers n
             join integrations i on i.workspace_id = n.workspace_id and i.id = n.integration_id
             left join member_settings s on s.workspace_id = n.workspace_id and s.user_id = $2
            where ($1::uuid is null and n.status = 'active' and i.is_active) or n.id = $1
            order by n.id = s.default_number_id desc nulls last, n.is_default desc, n.created_at, n.id
            limit 1"#,
        wanted as _,
        member.user() as _,
    )
    .fetch_optional(tx.conn())
    .await?;
    match row {
        Some(row) if row.usable => Ok(row.id),
        Some(_) => Err(Error::IntegrationNotConfigured),
        // Row-level security hides both cases; only an admin may know which one it is.
        None if wanted.is_some() && !member.is_admin() => Err(Error::NumberNotAssigned),
        None if wanted.is_some() => Err(Error::NotFound(t!("the number"))),
        None => Err(Error::IntegrationNotConfigured),
    }
}

/// Picks a number to send from: that of the latest conversation with `contact`, else the one with the shortest queue
/// for its rate, else the one that was idle longest. A sandbox number is used only if there is no other.
pub async fn least_busy(
    tx: &mut WorkspaceTx,
    contact: ContactId,
    has_files: bool,
) -> Result<NumberId> {
    sqlx::query_scalar!(
        r#"select n.id as "id: NumberId"
             from numbers n
             join integrations i on i.workspace_id = n.workspace_id and i.id = n.integration_id
             left join conversations v on v.workspace_id = n.workspace_id and v.number_id = n.id and v.contact_id = $1
             left join number_buckets p on p.workspace_id = n.workspace_id and p.number_id = n.id
            cross join lateral (select count(*) as texts from messages m
                                 where m.workspace_id = n.workspace_id and m.number_id = n.id and m.status = 'queued') q
            where n.status = 'active' and n.sms and (n.mms or not $2) and i.is_active and i.status = 'healthy'
            order by i.provider = $3, v.last_message_at desc nulls last,
                     q.texts / coalesce(n.messages_per_second, default_send_rate(i.provider, n.phone_number)),
                     p.refilled_at nulls first, n.id
            limit 1"#,
        contact as _,
        has_files,
        providers::Kind::Sandbox as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::IntegrationNotConfigured)
}

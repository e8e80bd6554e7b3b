//! The settings of a member in a workspace.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::db::WorkspaceTx;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::{self, Admin, Member};
use crate::domain::numbers;
use crate::error::{Check, Error, Result};
use crate::ids::{NumberId, UserId};
use crate::language::t;
use crate::unicode::composed;

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Settings {
    /// The number that new conversations of the member start from, as long as the member may see it.
    pub default_number_id: Option<NumberId>,
    /// Added below every text that the member sends.
    pub signature: String,
    pub notifications: Notifications,
    /// Whether single keys such as `e` and `j` are shortcuts on the pages. Off for members who dictate; Ctrl-K and
    /// Ctrl-Enter stay.
    pub single_key_shortcuts: bool,
    /// Whether the next conversation opens after one was marked as done.
    pub open_next_after_done: bool,
    /// Whether a conversation that is assigned to nobody is assigned to the member who answers it.
    pub assign_when_answering: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_number_id: None,
            signature: String::new(),
            notifications: Notifications::default(),
            single_key_shortcuts: true,
            open_next_after_done: true,
            assign_when_answering: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub struct Notifications {
    /// Browser notifications of inbound texts.
    pub desktop: bool,
    pub sound: bool,
    /// An email when the member's credits run low.
    pub mail_when_credits_low: bool,
    /// Whether pushes show the sender and the text.
    pub push_preview: bool,
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            desktop: false,
            sound: false,
            mail_when_credits_low: true,
            push_preview: false,
        }
    }
}

pub async fn of(tx: &mut WorkspaceTx, member: &Member) -> Result<Settings> {
    let row = sqlx::query!(
        "select default_number_id, signature, desktop_notifications, sound, mail_when_credits_low, push_preview,
                single_key_shortcuts, open_next, assign_when_answering
           from member_settings where user_id = $1",
        member.user() as _,
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map_or_else(Settings::default, |row| Settings {
        default_number_id: row.default_number_id,
        signature: row.signature,
        notifications: Notifications {
            desktop: row.desktop_notifications,
            sound: row.sound,
            mail_when_credits_low: row.mail_when_credits_low,
            push_preview: row.push_preview,
        },
        single_key_shortcuts: row.single_key_shortcuts,
        open_next_after_done: row.open_next,
        assign_when_answering: row.assign_when_answering,
    }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SettingsChange)]
pub struct SettingsChange {
    /// `null` removes it: then the workspace's default applies.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<NumberId>)]
    pub default_number_id: Option<Option<NumberId>>,
    /// At most 160 characters; empty for none.
    pub signature: Option<String>,
    pub notifications: Option<NotificationsChange>,
    pub single_key_shortcuts: Option<bool>,
    pub open_next_after_done: Option<bool>,
    pub assign_when_answering: Option<bool>,
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotificationsChange {
    pub desktop: Option<bool>,
    pub sound: Option<bool>,
    pub mail_when_credits_low: Option<bool>,
    pub push_preview: Option<bool>,
}

/// Distinguishes `null` from a missing field.
pub fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Changes the given fields and keeps the rest.
pub async fn update(
    tx: &mut WorkspaceTx,
    member: &Member,
    change: SettingsChange,
) -> Result<Settings> {
    let signature = change.signature.as_deref().map(composed);
    let signature = signature.as_deref().map(str::trim_end);
    Check::default()
        .require(
            signature.is_none_or(|text| text.chars().count() <= 160 && !text.contains('\0')),
            "signature",
            t!("Use at most 160 characters"),
        )
        .finish()?;
    if let Some(Some(number)) = change.default_number_id {
        must_see(tx, number).await?;
    }
    let notifications = change.notifications.unwrap_or_default();
    sqlx::query!(
        "insert into member_settings as s (user_id, default_number_id, signature, desktop_notifications, sound, mail_when_credits_low, push_preview, single_key_shortcuts,
                                           open_next, assign_when_answering)
         values ($1, $3, coalesce($4, ''), coalesce($5, false), coalesce($6, false), coalesce($7, true), coalesce($8, false), coalesce($9, true), coalesce($10, true), coalesce($11, false))
         on conflict (workspace_id, user_id) do update
            set default_number_id = case when $2 then $3 else s.default_number_id end,
                signature = coalesce($4, s.signature), desktop_notifications = coalesce($5, s.desktop_notifications),
                sound = coalesce($6, s.sound), mail_when_credits_low = coalesce($7, s.mail_when_credits_low),
                push_preview = coalesce($8, s.push_preview), single_key_shortcuts = coalesce($9, s.single_key_shortcuts),
                open_next = coalesce($10, s.open_next), assign_when_answering = coalesce($11, s.assign_when_answering),
                updated_at = now()",
        member.user() as _,
        change.default_number_id.is_some(),
        change.default_number_id.flatten() as _,
        signature,
        notifications.desktop,
        notifications.sound,
        notifications.mail_when_credits_low,
        notifications.push_preview,
        change.single_key_shortcuts,
        change.open_next_after_done,
        change.assign_when_answering,
    )
    .execute(tx.conn())
    .await?;
    of(tx, member).await
}

async fn must_see(tx: &mut WorkspaceTx, number: NumberId) -> Result<()> {
    match numbers::find(tx, number).await {
        Err(Error::NotFound(_)) => Err(Error::field(
            "default_number_id",
            t!("Choose one of the numbers you have access to"),
        )),
        found => found.map(drop),
    }
}

/// Sets the number that `user`'s new conversations start from; `None`: the workspace's default.
pub async fn set_default_number(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    user: UserId,
    number: Option<NumberId>,
) -> Result<()> {
    let member = members::find(tx, user).await?;
    let title = match number {
        Some(number) => Some(numbers::find(tx, number).await?.title()),
        None => None,
    };
    let before = default_numbers(tx, admin)
        .await?
        .into_iter()
        .find_map(|(owner, number)| (owner == user).then_some(number));
    if before == number {
        return Ok(());
    }
    let before = match before {
        Some(number) => Some(numbers::find(tx, number).await?.title()),
        None => None,
    };
    sqlx::query!(
        "insert into member_settings (user_id, default_number_id) values ($1, $2)
         on conflict (workspace_id, user_id) do update set default_number_id = excluded.default_number_id, updated_at = now()",
        user as _,
        number as _,
    )
    .execute(tx.conn())
    .await?;
    let audit_record = AuditRecord {
        subject: &member.name,
        subject_id: Some(user.0),
        before: Some(json!({"default_number": before})),
        after: Some(json!({"default_number": title})),
    };
    audit::record(tx, AuditAction::DefaultNumberChanged, audit_record).await
}

pub async fn default_numbers(tx: &mut WorkspaceTx, _: &Admin) -> Result<Vec<(UserId, NumberId)>> {
    Ok(sqlx::query!(
        r#"select user_id, default_number_id as "number!: NumberId" from member_settings where default_number_id is not null"#
    )
    .fetch_all(tx.conn())
    .await?
    .into_iter()
    .map(|row| (row.user_id, row.number))
    .collect())
}

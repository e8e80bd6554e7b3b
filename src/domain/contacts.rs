//! Contacts: one address in a workspace each, plus the addresses of the contacts that were merged into them.
//!
//! **A contact's number may change** to one that no other contact has. The conversations stay with the contact. An
//! opt-out holds for the contact and for the old address, so the next contact at that address is not texted either. A
//! text that was already handed to the provider goes to the old number; a queued one goes to the new number.

pub mod bulk;
pub mod export;
pub mod fields;
pub mod import;
pub mod list;
mod lock;
pub mod merge;
pub mod remove;
pub mod tags;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::types::Json;

use crate::db::purpose::Live;
use crate::db::{Db, WorkspaceTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::workspaces;
use crate::error::{Check, Error, OnConstraint, Result};
use crate::events::Event;
use crate::ids::{ContactId, ConversationId, NumberId, WorkspaceId};
use crate::language::t;
use crate::phone::search::SearchInput;
use crate::phone::{self, Phone, Region};
use crate::unicode::composed;
use tags::Tag;

#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Contact {
    pub id: ContactId,
    pub workspace_id: WorkspaceId,
    pub name: Option<String>,
    /// E.164; or a short code, a sender name or another address that a network sets, which cannot be answered.
    pub phone_number: String,
    /// Numbers of contacts that were merged into this one. Texts from them belong to this contact; replies go to
    /// `phone_number`.
    pub other_numbers: Vec<String>,
    pub email: Option<String>,
    pub notes: String,
    #[schema(value_type = Vec<Tag>)]
    pub tags: Json<Vec<Tag>>,
    /// The values of the workspace's own fields (see `/contact-fields`), by key.
    #[schema(value_type = BTreeMap<String, String>)]
    pub custom_fields: Json<BTreeMap<String, String>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// As `contact_json` in the database writes it.
impl From<Json<Contact>> for Contact {
    fn from(Json(contact): Json<Contact>) -> Self {
        contact
    }
}

impl Contact {
    pub fn title(&self) -> String {
        title(self.name.as_deref(), &self.phone_number)
    }

    pub fn formatted_number(&self) -> String {
        phone::display(&self.phone_number)
    }

    pub fn can_be_answered(&self) -> bool {
        phone::is_answerable(&self.phone_number)
    }

    pub fn field(&self, key: &str) -> &str {
        self.custom_fields.get(key).map_or("", String::as_str)
    }
}

pub fn title(name: Option<&str>, phone_number: &str) -> String {
    name.map_or_else(|| phone::display(phone_number), str::to_owned)
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactDraft)]
pub struct Draft {
    /// In any common notation. Without a leading + it is read in the workspace's default region. Old forms of a number
    /// (`+52 1 …`) are stored as the new one. An extension (`x12`) is dropped.
    pub phone_number: String,
    pub name: Option<String>,
    pub email: Option<String>,
    pub notes: Option<String>,
    /// Values of the workspace's own fields, by key.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    pub custom_fields: fields::Values,
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactChange)]
pub struct ContactChange {
    /// An empty string removes the name.
    pub name: Option<String>,
    /// A number that no other contact has. Conversations and opt-outs stay; queued texts go to the new number.
    pub phone_number: Option<String>,
    /// An empty string removes the address.
    pub email: Option<String>,
    pub notes: Option<String>,
    /// Only the given fields change; `null` or an empty string removes a value.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    pub custom_fields: fields::Values,
    /// The contact's `updated_at` as the client last saw it. If it has changed since, the request is refused (409
    /// `contact_changed`).
    pub updated_at: Option<DateTime<Utc>>,
}

pub(in crate::domain) fn check(
    name: Option<&str>,
    email: Option<&str>,
    notes: Option<&str>,
) -> Result<()> {
    let is_clean = |text: Option<&str>| text.is_none_or(|text| !text.contains('\0'));
    Check::default()
        .require(
            name.is_none_or(|name| name.trim().chars().count() <= 120) && is_clean(name),
            "name",
            t!("Use at most 120 characters and no NUL characters"),
        )
        .require(
            email.is_none_or(|email| email.trim().is_empty() || is_email(email.trim())),
            "email",
            t!("Enter an email address such as maya@example.com"),
        )
        .require(
            notes.is_none_or(|notes| notes.chars().count() <= 5000) && is_clean(notes),
            "notes",
            t!("Use at most 5,000 characters and no NUL characters"),
        )
        .finish()
}

/// Catches typing mistakes; only a delivered email proves an address.
pub fn is_email(text: &str) -> bool {
    let parts = text.split_once('@');
    text.len() <= 254
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
        && parts.is_some_and(|(user, host)| {
            !user.is_empty()
                && !host.contains('@')
                && host.contains('.')
                && !host.starts_with('.')
                && !host.ends_with('.')
        })
}

pub async fn create(tx: &mut WorkspaceTx, draft: Draft) -> Result<Contact> {
    let name = draft.name.as_deref().map(composed);
    check(
        name.as_deref(),
        draft.email.as_deref(),
        draft.notes.as_deref(),
    )?;
    let phone = parse_phone(tx, &draft.phone_number).await?;
    let values = fields::read(tx, draft.custom_fields).await?;
    let id = ContactId::new();
    sqlx::query!(
        "insert into contacts (id, phone_number, name, email, notes, custom_fields, created_by)
         values ($1, $2, nullif(trim($3), ''), nullif(trim($4), ''), coalesce($5, ''), jsonb_strip_nulls($6), current_user_id())",
        id as _,
        phone.as_str(),
        name.as_deref(),
        draft.email,
        draft.notes,
        Json(values) as _,
    )
    .execute(tx.conn())
    .await
    .on_constraint("contacts_phone_number_key", || {
        Error::field("phone_number", t!("A contact with this number already exists"))
    })?;
    announce(tx, id);
    let contact = find(tx, id).await?;
    let audit_record = AuditRecord {
        subject: &contact.title(),
        subject_id: Some(id.0),
        ..AuditRecord::default()
    };
    audit::record(tx, AuditAction::ContactCreated, audit_record).await?;
    Ok(contact)
}

/// The contact with this phone number. The search index knows a new contact a moment later only.
pub async fn with_phone(tx: &mut WorkspaceTx, phone: &Phone) -> Result<Option<ContactId>> {
    Ok(sqlx::query_scalar!(
        r#"select contact_at($1) as "contact: ContactId""#,
        phone.as_str()
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Finds the contact with this number, or creates it.
pub async fn find_or_create(tx: &mut WorkspaceTx, phone: &Phone) -> Result<ContactId> {
    sqlx::query_scalar!(
        r#"select find_or_create_contact($1, $2) as "id: ContactId""#,
        ContactId::new() as _,
        phone.as_str(),
    )
    .fetch_one(tx.conn())
    .await?
    .ok_or(Error::NotAMember)
}

/// Parses `text` as a phone number; one without a country code is read in the workspace's default region.
pub async fn parse_phone(tx: &mut WorkspaceTx, text: &str) -> Result<Phone> {
    let region = workspaces::current(tx).await?.default_region;
    let region = region.parse().unwrap_or(Region::US);
    Phone::parse(text, &region).map_err(|wrong| Error::field("phone_number", wrong.message()))
}

pub async fn find(tx: &mut WorkspaceTx, id: ContactId) -> Result<Contact> {
    let workspace = tx.workspace();
    find_in(tx.conn(), workspace, id).await
}

async fn find_in(
    conn: &mut sqlx::PgConnection,
    workspace: WorkspaceId,
    id: ContactId,
) -> Result<Contact> {
    by_ids(conn, workspace, &[id])
        .await?
        .pop()
        .ok_or(Error::NotFound(t!("the contact")))
}

/// The contacts that exist, in the order of `ids`.
async fn by_ids(
    conn: &mut sqlx::PgConnection,
    workspace: WorkspaceId,
    ids: &[ContactId],
) -> Result<Vec<Contact>> {
    let contacts = sqlx::query_scalar!(
        r#"select contact_json(c) as "contact!: Json<Contact>"
             from unnest($2::uuid[]) with ordinality as k (id, place)
             join contacts c on c.workspace_id = $1 and c.id = k.id
            order by k.place"#,
        workspace as _,
        ids as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(contacts.into_iter().map(Contact::from).collect())
}

/// The contact that this one was merged into.
pub async fn merged_contact(tx: &mut WorkspaceTx, id: ContactId) -> Result<Option<ContactId>> {
    Ok(
        sqlx::query_scalar!(r#"select survivor_of($1) as "id: ContactId""#, id as _)
            .fetch_one(tx.conn())
            .await?,
    )
}

/// The contacts among `ids` that the member may see, in this order. One round trip.
pub async fn find_many(tx: &mut WorkspaceTx, ids: &[ContactId]) -> Result<Vec<Contact>> {
    let workspace = tx.workspace();
    by_ids(tx.conn(), workspace, ids).await
}

/// For the live hub: the contact, and the numbers of its conversations.
pub async fn look_up(
    db: &Db,
    workspace: WorkspaceId,
    id: ContactId,
) -> Result<Option<(Contact, Vec<NumberId>)>> {
    let mut conn = db.system_pool(Live).acquire().await?;
    let contact = by_ids(&mut conn, workspace, &[id]).await?.pop();
    let numbers = sqlx::query_scalar!(
        "select number_id from conversations where workspace_id = $1 and contact_id = $2",
        workspace as _,
        id as _,
    )
    .fetch_all(&mut *conn)
    .await?;
    Ok(contact.map(|contact| (contact, numbers)))
}

pub async fn update(tx: &mut WorkspaceTx, id: ContactId, change: ContactChange) -> Result<Contact> {
    let name = change.name.as_deref().map(composed);
    check(
        name.as_deref(),
        change.email.as_deref(),
        change.notes.as_deref(),
    )?;
    let values = fields::read(tx, change.custom_fields).await?;
    let (before, old_name) = lock(tx, id, change.updated_at).await?;
    let phone = match &change.phone_number {
        // The stored address may be a sender name, which does not parse as a number.
        Some(text) if text.trim() != before && text.trim() != phone::display(&before) => {
            Some(parse_phone(tx, text).await?).filter(|phone| phone.as_str() != before)
        }
        _ => None,
    };
    if phone.is_some() {
        remember_opt_outs(tx, id).await?;
    }
    sqlx::query!(
        "update contacts
            set name = case when $2::text is null then name else nullif(trim($2), '') end,
                email = case when $3::text is null then email else nullif(trim($3), '') end,
                notes = coalesce($4, notes), phone_number = coalesce($5, phone_number),
                custom_fields = jsonb_strip_nulls(custom_fields || $6),
                updated_at = clock_timestamp(), updated_by = current_user_id()
          where id = $1",
        id as _,
        name.as_deref(),
        change.email,
        change.notes,
        phone.as_ref().map(Phone::as_str),
        Json(values) as _,
    )
    .execute(tx.conn())
    .await
    .on_constraint("contacts_phone_number_key", || {
        Error::field(
            "phone_number",
            t!("Another contact has this number. Merge the two, or correct the other one first."),
        )
    })?;
    let contact = find(tx, id).await?;
    record_change(tx, &contact, old_name, phone.map(|_| before)).await?;
    announce(tx, id);
    Ok(contact)
}

/// Writes audit entries for a new name and a new number.
async fn record_change(
    tx: &mut WorkspaceTx,
    contact: &Contact,
    old_name: Option<String>,
    old_number: Option<String>,
) -> Result<()> {
    if contact.name != old_name {
        let audit_record = AuditRecord {
            subject: &contact.title(),
            subject_id: Some(contact.id.0),
            before: Some(json!({"name": old_name})),
            after: Some(json!({"name": contact.name})),
        };
        audit::record(tx, AuditAction::ContactRenamed, audit_record).await?;
    }
    if let Some(old_number) = old_number {
        let audit_record = AuditRecord {
            subject: &contact.title(),
            subject_id: Some(contact.id.0),
            before: Some(json!({"phone_number": old_number})),
            after: Some(json!({"phone_number": contact.phone_number})),
        };
        audit::record(tx, AuditAction::ContactNumberChanged, audit_record).await?;
        // The previous owner of the new number may have opted out.
        consent_changed(tx, contact.id).await?;
    }
    Ok(())
}

/// Opt-outs also hold for the number that the contact leaves. A trigger applies those of the number that it gets.
async fn remember_opt_outs(tx: &mut WorkspaceTx, contact: ContactId) -> Result<()> {
    sqlx::query!("select remember_opt_outs($1)", contact as _)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Announces the change with one conversation of the contact; the hub finds the others. One round trip.
pub(in crate::domain) async fn consent_changed(
    tx: &mut WorkspaceTx,
    contact: ContactId,
) -> Result<()> {
    let conversation = sqlx::query_scalar!(
        r#"select id as "id: ConversationId" from conversations where contact_id = $1 limit 1"#,
        contact as _,
    )
    .fetch_optional(tx.conn())
    .await?;
    let workspace = tx.workspace();
    if let Some(conversation) = conversation {
        tx.announce(Event::ConsentChanged {
            workspace,
            conversation,
        });
    }
    Ok(())
}

/// Locks the contact and returns its number and name. Refuses if it changed since `seen`.
async fn lock(
    tx: &mut WorkspaceTx,
    id: ContactId,
    seen: Option<DateTime<Utc>>,
) -> Result<(String, Option<String>)> {
    let row = sqlx::query!(
        r#"select c.phone_number, c.name, c.updated_at, (select u.name from users u where u.id = c.updated_by) as by
             from contacts c where c.id = $1
              for no key update of c"#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound(t!("the contact")))?;
    match seen {
        Some(seen) if seen != row.updated_at => Err(Error::ContactChanged {
            by: row.by.unwrap_or_else(|| "Someone".into()),
        }),
        _ => Ok((row.phone_number, row.name)),
    }
}

fn announce(tx: &mut WorkspaceTx, contact: ContactId) {
    tx.announce(Event::ContactChanged {
        workspace: tx.workspace(),
        contact,
    });
}

/// The name of the user who created the contact; `None` if it came from an inbound text.
pub async fn creator_name(tx: &mut WorkspaceTx, id: ContactId) -> Result<Option<String>> {
    Ok(sqlx::query_scalar!(
        "select u.name from contacts c join users u on u.id = c.created_by where c.id = $1",
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Parses a search for contacts. A number in it is read in the workspace's region: one round trip, none without digits.
pub async fn search_input(tx: &mut WorkspaceTx, q: &str) -> Result<SearchInput> {
    let mut region = Region::US;
    if q.chars().any(char::is_numeric) {
        let region_code = workspaces::current(tx).await?.default_region;
        region = region_code.parse().unwrap_or(region);
    }
    Ok(phone::search::read(q, &region))
}

/// Escapes the input for a `like` pattern. A phone number is reduced to its digits.
pub fn like(q: &str) -> String {
    let q = q.trim().replace('\0', "");
    let looks_like_a_number = q.chars().any(|c| c.is_ascii_digit())
        && q.chars()
            .all(|c| c.is_ascii_digit() || "+()-. ".contains(c));
    let q = if looks_like_a_number {
        q.chars().filter(char::is_ascii_digit).collect()
    } else {
        q
    };
    q.replace('\\', r"\\")
        .replace('%', r"\%")
        .replace('_', r"\_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_what_was_typed_and_no_more() {
        assert_eq!(like(" 100%_\\ "), r"100\%\_\\");
        assert_eq!(like("(415) 555-01"), "41555501");
        assert_eq!(like("Maya"), "Maya");
    }

    #[test]
    fn addresses_are_checked_for_slips() {
        assert!(is_email("maya@okafor.test"));
        for wrong in [
            "maya",
            "@okafor.test",
            "maya@",
            "maya@test",
            "ma ya@okafor.test",
            "a@b@c.de",
            "a@.de",
        ] {
            assert!(!is_email(wrong), "{wrong}");
        }
    }
}

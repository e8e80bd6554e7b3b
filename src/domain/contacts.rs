//! People outside: one address in a workspace each.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::db::{Db, WorkspaceTx};
use crate::domain::workspaces;
use crate::error::{Check, Error, OnConstraint, Result};
use crate::events::Event;
use crate::ids::{ContactId, NumberId, WorkspaceId};
use crate::listing::{Cursor, Page, Span, page};
use crate::phone::{self, Phone, Region};

#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Contact {
    pub id: ContactId,
    pub workspace_id: WorkspaceId,
    pub name: Option<String>,
    /// E.164, or a short code or sender name, which cannot be answered.
    pub phone_number: String,
    pub email: Option<String>,
    pub notes: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Contact {
    /// Their name, or the number as people write it.
    pub fn title(&self) -> String {
        title(self.name.as_deref(), &self.phone_number)
    }

    pub fn formatted_number(&self) -> String {
        phone::display(&self.phone_number)
    }

    pub fn can_be_answered(&self) -> bool {
        phone::is_answerable(&self.phone_number)
    }
}

pub fn title(name: Option<&str>, phone_number: &str) -> String {
    name.map_or_else(|| phone::display(phone_number), str::to_owned)
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactDraft)]
pub struct Draft {
    /// In any common notation; without a leading + it is read in the workspace's default region.
    pub phone_number: String,
    pub name: Option<String>,
    pub email: Option<String>,
    pub notes: Option<String>,
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactChange)]
pub struct Change {
    /// Empty takes the name away.
    pub name: Option<String>,
    /// Empty takes the address away.
    pub email: Option<String>,
    pub notes: Option<String>,
}

fn check(name: Option<&str>, email: Option<&str>, notes: Option<&str>) -> Result<()> {
    Check::default()
        .that(
            name.is_none_or(|name| name.trim().chars().count() <= 120),
            "name",
            "at most 120 characters",
        )
        .that(
            email.is_none_or(|email| email.trim().is_empty() || is_email(email.trim())),
            "email",
            "an e-mail address such as maya@example.com",
        )
        .that(
            notes.is_none_or(|notes| notes.chars().count() <= 5000),
            "notes",
            "at most 5,000 characters",
        )
        .that(
            [name, email, notes]
                .iter()
                .flatten()
                .all(|text| !text.contains('\0')),
            "name",
            "no NUL characters",
        )
        .done()
}

/// Good enough to catch a slip; only a mail that arrives proves an address.
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
    check(
        draft.name.as_deref(),
        draft.email.as_deref(),
        draft.notes.as_deref(),
    )?;
    let phone = parse_phone(tx, &draft.phone_number).await?;
    let id = ContactId::new();
    let contact = sqlx::query_as!(
        Contact,
        "insert into contacts (id, phone_number, name, email, notes, created_by)
         values ($1, $2, nullif(trim($3), ''), nullif(trim($4), ''), coalesce($5, ''), current_user_id())
         returning id, workspace_id, name, phone_number, email, notes, created_at, updated_at",
        id as _,
        phone.as_str(),
        draft.name,
        draft.email,
        draft.notes,
    )
    .fetch_one(tx.conn())
    .await
    .on_constraint("contacts_phone_number_key", || {
        Error::field("phone_number", "a contact with this number exists already")
    })?;
    tx.announce(Event::ContactChanged {
        workspace: tx.workspace(),
        contact: id,
    });
    Ok(contact)
}

/// The contact with this number, made if there is none.
pub async fn meet(tx: &mut WorkspaceTx, phone: &Phone) -> Result<ContactId> {
    sqlx::query_scalar!(
        r#"select meet_contact($1, $2) as "id: ContactId""#,
        ContactId::new() as _,
        phone.as_str(),
    )
    .fetch_one(tx.conn())
    .await?
    .ok_or(Error::NotAMember)
}

/// Reads `text` as a phone number, in the workspace's region where it has no country of its own.
pub async fn parse_phone(tx: &mut WorkspaceTx, text: &str) -> Result<Phone> {
    let region = workspaces::current(tx).await?.default_region;
    let region = region.parse().unwrap_or(Region::US);
    Phone::parse(text, &region).map_err(|wrong| Error::field("phone_number", wrong.to_string()))
}

pub async fn find(tx: &mut WorkspaceTx, id: ContactId) -> Result<Contact> {
    sqlx::query_as!(
        Contact,
        "select id, workspace_id, name, phone_number, email, notes, created_at, updated_at
           from contacts where id = $1",
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound("the contact"))
}

/// Whatever of these I may see, in one round trip and no order.
pub async fn these(tx: &mut WorkspaceTx, ids: &[ContactId]) -> Result<Vec<Contact>> {
    Ok(sqlx::query_as!(
        Contact,
        "select c.id, c.workspace_id, c.name, c.phone_number, c.email, c.notes, c.created_at, c.updated_at
           from unnest($2::uuid[]) as k (id)
           join contacts c on c.workspace_id = $1 and c.id = k.id",
        tx.workspace() as _,
        ids as _,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// For the live hub: the contact, and the numbers whose members see a conversation with them.
pub async fn look_up(
    db: &Db,
    workspace: WorkspaceId,
    id: ContactId,
) -> Result<Option<(Contact, Vec<NumberId>)>> {
    let contact = sqlx::query_as!(
        Contact,
        "select id, workspace_id, name, phone_number, email, notes, created_at, updated_at
           from contacts where workspace_id = $1 and id = $2",
        workspace as _,
        id as _,
    )
    .fetch_optional(db.system_pool())
    .await?;
    let numbers = sqlx::query_scalar!(
        "select number_id from conversations where workspace_id = $1 and contact_id = $2",
        workspace as _,
        id as _,
    )
    .fetch_all(db.system_pool())
    .await?;
    Ok(contact.map(|contact| (contact, numbers)))
}

pub async fn update(tx: &mut WorkspaceTx, id: ContactId, change: Change) -> Result<Contact> {
    check(
        change.name.as_deref(),
        change.email.as_deref(),
        change.notes.as_deref(),
    )?;
    let contact = sqlx::query_as!(
        Contact,
        "update contacts
            set name = case when $2::text is null then name else nullif(trim($2), '') end,
                email = case when $3::text is null then email else nullif(trim($3), '') end,
                notes = coalesce($4, notes), updated_at = now()
          where id = $1
          returning id, workspace_id, name, phone_number, email, notes, created_at, updated_at",
        id as _,
        change.name,
        change.email,
        change.notes,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound("the contact"))?;
    tx.announce(Event::ContactChanged {
        workspace: tx.workspace(),
        contact: id,
    });
    Ok(contact)
}

/// Newest first; `q` finds any part of a name or number.
pub async fn list(tx: &mut WorkspaceTx, q: Option<&str>, span: &Span) -> Result<Page<Contact>> {
    let (limit, cursor) = (span.limit()?, span.cursor()?);
    let rows = sqlx::query_as!(
        Contact,
        "select id, workspace_id, name, phone_number, email, notes, created_at, updated_at
           from contacts
          where ($1::text is null or coalesce(name, '') || ' ' || phone_number ilike '%' || $1 || '%')
            and ($2::timestamptz is null or (created_at, id) < ($2, $3::uuid))
          order by created_at desc, id desc
          limit $4",
        q.map(like),
        cursor.map(|cursor| cursor.at),
        cursor.map(|cursor| cursor.id),
        limit + 1,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(page(rows, limit, |contact| Cursor {
        at: contact.created_at,
        id: contact.id.0,
    }))
}

/// What people type, as a pattern: its own wildcards are plain characters, and a number may be written with spaces.
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

//! Tags of contacts: a workspace's own, in a few colours. Every member may create and assign one; only admins rename or
//! delete one, because that affects all members.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::fields::read_name;
use crate::db::WorkspaceTx;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Admin;
use crate::domain::{contacts, string_enum};
use crate::error::{Check, Error, OnConstraint, Result};
use crate::events::Event;
use crate::ids::{ContactId, ConversationId, TagId};
use crate::language::{Message, t};

string_enum!(#[schema(as = TagColor)]
Color {
    Gray = "gray",
    Red = "red",
    Orange = "orange",
    Yellow = "yellow",
    Green = "green",
    Teal = "teal",
    Blue = "blue",
    Purple = "purple",
    Pink = "pink",
});

impl Color {
    pub const ALL: [Self; 9] = [
        Self::Gray,
        Self::Red,
        Self::Orange,
        Self::Yellow,
        Self::Green,
        Self::Teal,
        Self::Blue,
        Self::Purple,
        Self::Pink,
    ];

    pub fn label(self) -> Message {
        match self {
            Self::Gray => t!("Gray"),
            Self::Red => t!("Red"),
            Self::Orange => t!("Orange"),
            Self::Yellow => t!("Yellow"),
            Self::Green => t!("Green"),
            Self::Teal => t!("Teal"),
            Self::Blue => t!("Blue"),
            Self::Purple => t!("Purple"),
            Self::Pink => t!("Pink"),
        }
    }

    /// The default colour of a name is the same everywhere. Gray is never a default.
    fn default_for(name: &str) -> Self {
        let sum = name.to_lowercase().bytes().fold(7_usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        Self::ALL[1 + sum % (Self::ALL.len() - 1)]
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Tag {
    pub id: TagId,
    pub name: String,
    pub color: Color,
}

const COUNT_LIMIT: i64 = 500;
pub(super) const MAX_TAGS_PER_CONTACT: i64 = 50;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TagDraft)]
pub struct Draft {
    /// 1 to 40 characters, unique in the workspace regardless of case.
    pub name: String,
    /// If left out, a colour is chosen.
    pub color: Option<Color>,
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TagChange)]
pub struct TagChange {
    pub name: Option<String>,
    pub color: Option<Color>,
}

pub async fn list(tx: &mut WorkspaceTx) -> Result<Vec<Tag>> {
    Ok(sqlx::query_as!(
        Tag,
        "select id, name, color from tags order by lower(name), id"
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Tags and how many contacts visible to the member have each; counting stops at 1,000.
pub async fn list_with_uses(tx: &mut WorkspaceTx) -> Result<Vec<(Tag, i64)>> {
    let rows = sqlx::query!(
        r#"select t.id, t.name, t.color,
                  (select count(*) from (select from contact_tags o where o.workspace_id = t.workspace_id and o.tag_id = t.id limit 1000) n) as "uses!"
             from tags t order by lower(t.name), t.id"#
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let tag = Tag {
                id: row.id,
                name: row.name,
                color: row.color,
            };
            (tag, row.uses)
        })
        .collect())
}

pub async fn find(tx: &mut WorkspaceTx, id: TagId) -> Result<Tag> {
    sqlx::query_as!(
        Tag,
        "select id, name, color from tags where id = $1",
        id as _
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound(t!("the tag")))
}

fn name_taken() -> Error {
    Error::field("name", t!("A tag with this name already exists"))
}

pub async fn create(tx: &mut WorkspaceTx, draft: Draft) -> Result<Tag> {
    let name = read_name(&draft.name)?;
    refuse_too_many(tx).await?;
    let tag = sqlx::query_as!(
        Tag,
        "insert into tags (name, color) values ($1, $2) returning id, name, color",
        name,
        draft.color.unwrap_or_else(|| Color::default_for(&name)) as _,
    )
    .fetch_one(tx.conn())
    .await
    .on_constraint("tags_name_key", name_taken)?;
    record_creation(tx, &tag).await?;
    Ok(tag)
}

async fn record_creation(tx: &mut WorkspaceTx, tag: &Tag) -> Result<()> {
    let audit_record = AuditRecord {
        subject: &tag.name,
        subject_id: Some(tag.id.0),
        ..AuditRecord::default()
    };
    audit::record(tx, AuditAction::TagCreated, audit_record).await
}

/// The tag that a member typed by name. Creating a new one is audited.
pub async fn find_or_create_audited(tx: &mut WorkspaceTx, name: &str) -> Result<Tag> {
    let known = list(tx).await?;
    let tag = find_or_create(tx, name).await?;
    if !known.iter().any(|known| known.id == tag.id) {
        record_creation(tx, &tag).await?;
    }
    Ok(tag)
}

async fn refuse_too_many(tx: &mut WorkspaceTx) -> Result<()> {
    let count = sqlx::query_scalar!(r#"select count(*) as "count!" from tags"#)
        .fetch_one(tx.conn())
        .await?;
    Check::default()
        .require(
            count < COUNT_LIMIT,
            "name",
            t!("A workspace can have at most 500 tags. Delete one you don’t need."),
        )
        .finish()
}

/// Finds the tag by name, or creates it. An import may create many, so only the import itself is audited.
pub async fn find_or_create(tx: &mut WorkspaceTx, name: &str) -> Result<Tag> {
    let name = read_name(name)?;
    let found = sqlx::query_as!(
        Tag,
        "select id, name, color from tags where lower(name) = lower($1)",
        name
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(tag) = found {
        return Ok(tag);
    }
    refuse_too_many(tx).await?;
    Ok(sqlx::query_as!(
        Tag,
        "insert into tags (name, color) values ($1, $2)
             on conflict (workspace_id, lower(name)) do update set name = tags.name
         returning id, name, color",
        name,
        Color::default_for(&name) as _,
    )
    .fetch_one(tx.conn())
    .await?)
}

pub async fn update(tx: &mut WorkspaceTx, _: &Admin, id: TagId, change: TagChange) -> Result<Tag> {
    let before = find(tx, id).await?;
    let name = change.name.as_deref().map(read_name).transpose()?;
    let after = sqlx::query_as!(
        Tag,
        "update tags set name = coalesce($2, name), color = coalesce($3, color) where id = $1 returning id, name, color",
        id as _,
        name,
        change.color as _,
    )
    .fetch_one(tx.conn())
    .await
    .on_constraint("tags_name_key", name_taken)?;
    if before != after {
        record_change(tx, Some(&before), Some(&after)).await?;
    }
    Ok(after)
}

pub async fn remove(tx: &mut WorkspaceTx, _: &Admin, id: TagId) -> Result<()> {
    let before = find(tx, id).await?;
    sqlx::query!("delete from tags where id = $1", id as _)
        .execute(tx.conn())
        .await?;
    record_change(tx, Some(&before), None).await
}

/// Any page may show the tag, so all clients refetch.
async fn record_change(
    tx: &mut WorkspaceTx,
    before: Option<&Tag>,
    after: Option<&Tag>,
) -> Result<()> {
    let audit_json = |tag: &Tag| json!({"name": tag.name, "color": tag.color});
    let audit_record = AuditRecord {
        subject: before.or(after).map_or("", |tag| &tag.name),
        subject_id: before.or(after).map(|tag| tag.id.0),
        before: before.map(audit_json),
        after: after.map(audit_json),
    };
    audit::record(tx, AuditAction::TagChanged, audit_record).await?;
    tx.announce(Event::Missed {
        workspace: tx.workspace(),
    });
    Ok(())
}

/// Adds a tag to a contact; no error if the contact has it already.
pub async fn assign(tx: &mut WorkspaceTx, contact: ContactId, tag: TagId) -> Result<()> {
    contacts::find(tx, contact).await?;
    find(tx, tag).await?;
    sqlx::query!(
        "insert into contact_tags (contact_id, tag_id)
         select $1, $2 where (select count(*) from contact_tags where contact_id = $1) < $3
             on conflict do nothing",
        contact as _,
        tag as _,
        MAX_TAGS_PER_CONTACT,
    )
    .execute(tx.conn())
    .await?;
    contacts::announce(tx, contact);
    Ok(())
}

/// Adds a tag to the contacts of these conversations, of which the member sees all. Returns those whose contact did not have
/// it. Two round trips.
pub async fn assign_all(
    tx: &mut WorkspaceTx,
    conversations: &[ConversationId],
    tag: TagId,
) -> Result<Vec<ConversationId>> {
    find(tx, tag).await?;
    let tagged = sqlx::query!(
        r#"with tagged as (
               insert into contact_tags (contact_id, tag_id)
               select distinct v.contact_id, $2::uuid
                 from conversations v
                where v.id = any($1)
                  and (select count(*) from contact_tags o where o.contact_id = v.contact_id) < $3
               on conflict do nothing
               returning contact_id
           )
           select t.contact_id as "contact: ContactId", v.id as "conversation: ConversationId"
             from tagged t
             join conversations v on v.contact_id = t.contact_id and v.id = any($1)"#,
        conversations as _,
        tag as _,
        MAX_TAGS_PER_CONTACT,
    )
    .fetch_all(tx.conn())
    .await?;
    for row in &tagged {
        contacts::announce(tx, row.contact);
    }
    Ok(tagged.into_iter().map(|row| row.conversation).collect())
}

/// Removes a tag from the contacts of these conversations, of which the member sees all.
pub async fn unassign_all(
    tx: &mut WorkspaceTx,
    conversations: &[ConversationId],
    tag: TagId,
) -> Result<()> {
    let untagged = sqlx::query_scalar!(
        r#"delete from contact_tags
            where tag_id = $2 and contact_id in (select v.contact_id from conversations v where v.id = any($1))
           returning contact_id as "contact: ContactId""#,
        conversations as _,
        tag as _,
    )
    .fetch_all(tx.conn())
    .await?;
    for contact in untagged {
        contacts::announce(tx, contact);
    }
    Ok(())
}

/// Removes a tag from a contact; no error if the contact does not have it.
pub async fn unassign(tx: &mut WorkspaceTx, contact: ContactId, tag: TagId) -> Result<()> {
    contacts::find(tx, contact).await?;
    sqlx::query!(
        "delete from contact_tags where contact_id = $1 and tag_id = $2",
        contact as _,
        tag as _,
    )
    .execute(tx.conn())
    .await?;
    contacts::announce(tx, contact);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_compared_by_graphemes() {
        assert_eq!(read_name("  New   patient ").unwrap(), "New patient");
        for wrong in ["", "   ", "a\u{7}b", &"x".repeat(41)] {
            assert!(read_name(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn color_is_parsed_in_any_case() {
        assert_eq!(Color::default_for("VIP"), Color::default_for("vip"));
        assert_ne!(Color::default_for("VIP"), Color::Gray);
    }
}

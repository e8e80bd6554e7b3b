//! Changes to several contacts at once. The statements are as many for ten thousand contacts as for one.

use serde_json::json;

use super::announce;
use super::list::{self, Filter};
use super::tags::{self, MAX_TAGS_PER_CONTACT, Tag};
use crate::db::WorkspaceTx;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Member;
use crate::error::{Check, Error, Result};
use crate::events::Event;
use crate::ids::ContactId;
use crate::language::t;

/// What one request changes at most.
pub const LIMIT: i64 = 10_000;
/// Beyond it clients refetch: an event for each contact would be too many.
pub(super) const EVENT_LIMIT: usize = 100;

/// Contacts that a member has chosen.
#[derive(Clone, Debug)]
pub enum Selection {
    Ids(Vec<ContactId>),
    /// All that match a filter of the list.
    All(Filter),
}

impl Selection {
    /// The chosen contacts that the member may see. One that is not visible refuses all. Up to three round trips.
    pub async fn resolve(&self, tx: &mut WorkspaceTx, member: &Member) -> Result<Vec<ContactId>> {
        let ids = match self {
            Self::Ids(ids) => visible(tx, ids).await?,
            Self::All(filter) => list::ids(tx, member, filter, LIMIT + 1).await?,
        };
        Check::default()
            .require(!ids.is_empty(), "ids", t!("Select at least one contact"))
            .require(
                ids.len() as i64 <= LIMIT,
                "ids",
                t!("Select at most 10,000 contacts at a time. Use the filters to select fewer."),
            )
            .finish()?;
        Ok(ids)
    }
}

async fn visible(tx: &mut WorkspaceTx, ids: &[ContactId]) -> Result<Vec<ContactId>> {
    let found = sqlx::query_scalar!(
        r#"select id from contacts where id = any ($1) and merged_into is null"#,
        ids as _,
    )
    .fetch_all(tx.conn())
    .await?;
    match found.len() == ids.len() {
        true => Ok(found),
        false => Err(Error::NotFound(t!("the contact"))),
    }
}

/// Adds a tag; returns how many contacts did not have it. A contact that has the most tags already stays as it is.
pub async fn tag(tx: &mut WorkspaceTx, contacts: &[ContactId], tag: &Tag) -> Result<usize> {
    let tagged = sqlx::query_scalar!(
        r#"insert into contact_tags (contact_id, tag_id)
           select c, $2::uuid from unnest($1::uuid[]) as t (c)
            where (select count(*) from contact_tags o where o.contact_id = c) < $3
               on conflict do nothing
           returning contact_id as "contact: ContactId""#,
        contacts as _,
        tag.id as _,
        MAX_TAGS_PER_CONTACT,
    )
    .fetch_all(tx.conn())
    .await?;
    record(tx, AuditAction::ContactsTagged, tag, &tagged).await?;
    Ok(tagged.len())
}

/// Removes a tag; returns how many contacts had it.
pub async fn untag(tx: &mut WorkspaceTx, contacts: &[ContactId], tag: &Tag) -> Result<usize> {
    let untagged = sqlx::query_scalar!(
        r#"delete from contact_tags where contact_id = any ($1) and tag_id = $2
           returning contact_id as "contact: ContactId""#,
        contacts as _,
        tag.id as _,
    )
    .fetch_all(tx.conn())
    .await?;
    record(tx, AuditAction::ContactsUntagged, tag, &untagged).await?;
    Ok(untagged.len())
}

async fn record(
    tx: &mut WorkspaceTx,
    action: AuditAction,
    tag: &Tag,
    changed: &[ContactId],
) -> Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    let audit_record = AuditRecord {
        subject: &tag.name,
        subject_id: Some(tag.id.0),
        before: None,
        after: Some(json!({"contacts": changed.len()})),
    };
    audit::record(tx, action, audit_record).await?;
    match changed.len() {
        ..=EVENT_LIMIT => changed.iter().for_each(|contact| announce(tx, *contact)),
        _ => tx.announce(Event::Missed {
            workspace: tx.workspace(),
        }),
    }
    Ok(())
}

/// The tag with this name, created if it is missing, or an existing one by its id.
pub async fn tag_of(tx: &mut WorkspaceTx, id_or_name: &str) -> Result<Tag> {
    match id_or_name.parse() {
        Ok(id) => tags::find(tx, id).await,
        Err(_) => tags::find_or_create_audited(tx, id_or_name).await,
    }
}

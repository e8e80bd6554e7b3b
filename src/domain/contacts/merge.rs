//! Merges two contacts that are the same person.
//!
//! Conversations with the same number are joined; texts keep their order, because their ids sort by time. An opt-out of
//! either contact holds for both. Inbound texts from the merged contact's number belong to the survivor. Replies go to
//! the survivor's number; texts that are queued or in flight go to the number that they were written for.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::types::Json;

use self::conversations::Moved;
use super::{Contact, fields, find, find_in, lock};
use crate::app::App;
use crate::db::purpose::Contacts;
use crate::db::{SystemTx, WorkspaceTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Member;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{ContactId, WorkspaceId};
use crate::language::t;
use crate::unicode::composed;

mod conversations;

#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactMerge)]
pub struct Merge {
    /// The contact that is merged into this one and removed.
    pub contact_id: ContactId,
    /// The new name. If left out, it stays, or comes from the other contact if this one has none. The same holds for
    /// `email` and `custom_fields`.
    pub name: Option<String>,
    pub email: Option<String>,
    /// If left out, the notes of both are joined.
    pub notes: Option<String>,
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, Option<String>>)]
    pub custom_fields: fields::Values,
}

/// What would move to the survivor.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
#[schema(as = ContactMergePreview)]
pub struct Preview {
    pub conversations: i64,
    /// How many of these are joined with a conversation of the survivor.
    pub joined: i64,
    pub messages: i64,
    /// Texts that wait to be sent.
    pub waiting: i64,
    pub opt_outs: i64,
    /// Whether the caller may merge them: they must see every conversation of both.
    pub may_merge: bool,
}

/// Counting stops at 10,000 texts.
pub async fn preview(
    tx: &mut WorkspaceTx,
    survivor: ContactId,
    merged: ContactId,
) -> Result<Preview> {
    Ok(sqlx::query_as!(
        Preview,
        r#"select (select count(*) from conversations where contact_id = $2) as "conversations!",
                  (select count(*) from conversations g
                     join conversations s on s.workspace_id = g.workspace_id and s.number_id = g.number_id and s.contact_id = $1
                    where g.contact_id = $2) as "joined!",
                  (select count(*) from (select from conversations v
                     join messages m on m.workspace_id = v.workspace_id and m.conversation_id = v.id
                    where v.contact_id = $2 limit 10000) t) as "messages!",
                  (select count(*) from conversations v
                     join messages m on m.workspace_id = v.workspace_id and m.conversation_id = v.id
                      and m.direction = 'outbound' and m.status in ('queued', 'scheduled')
                    where v.contact_id = $2) as "waiting!",
                  (select count(*) from opt_outs where contact_id = $2) as "opt_outs!",
                  sees_all_conversations_of(array[$1::uuid, $2::uuid]) as "may_merge!""#,
        survivor as _,
        merged as _,
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Runs in one transaction. Inbound texts wait for its end and then belong to the survivor.
pub async fn merge(
    app: &App,
    member: &Member,
    survivor: ContactId,
    request: Merge,
) -> Result<Contact> {
    let mut attempt = 1;
    loop {
        match try_merge(app, member, survivor, request.clone()).await {
            Err(error) if error.is_deadlock() && attempt < lock::MAX_ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

async fn try_merge(
    app: &App,
    member: &Member,
    survivor: ContactId,
    request: Merge,
) -> Result<Contact> {
    let (workspace, merged) = (member.workspace(), request.contact_id);
    let mut tx = app.db.workspace(member.tenant()).await?;
    check_visible(&mut tx, survivor, merged).await?;
    let request = read(&mut tx, request).await?;
    let mut tx = tx.with_system_rights(Contacts).await?;
    let (own, other) = lock_both(&mut tx, workspace, survivor, merged).await?;
    let moved = conversations::move_all(&mut tx, workspace, survivor, merged).await?;
    move_consents(&mut tx, workspace, survivor, merged).await?;
    move_tags(&mut tx, workspace, survivor, merged).await?;
    keep_as_number(&mut tx, workspace, survivor, merged).await?;
    update_survivor(&mut tx, member, &own, &other, request).await?;
    let after = find_in(tx.conn(), workspace, survivor).await?;
    record(&mut tx, member, &other, &after, moved.len()).await?;
    announce(&mut tx, workspace, survivor, merged, &moved).await?;
    tx.commit().await?;
    Ok(after)
}

async fn check_visible(tx: &mut WorkspaceTx, survivor: ContactId, merged: ContactId) -> Result<()> {
    find(tx, survivor).await?;
    if survivor == merged {
        return Err(Error::field(
            "contact_id",
            t!("Choose another contact. A contact can’t be merged with itself."),
        ));
    }
    find(tx, merged).await.map_err(|error| match error {
        Error::NotFound(_) => Error::NotFound(t!("the contact to merge")),
        error => error,
    })?;
    Ok(())
}

/// The request with its values as they are stored.
async fn read(tx: &mut WorkspaceTx, request: Merge) -> Result<Merge> {
    let name = request.name.map(|name| composed(&name).into_owned());
    super::check(
        name.as_deref(),
        request.email.as_deref(),
        request.notes.as_deref(),
    )?;
    let custom_fields = fields::read(tx, request.custom_fields).await?;
    Ok(Merge {
        name,
        custom_fields,
        ..request
    })
}

/// Refuses if there are conversations that the member may not see.
async fn lock_both(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    survivor: ContactId,
    merged: ContactId,
) -> Result<(Contact, Contact)> {
    if !lock::with_conversations(tx, workspace, &[survivor, merged]).await? {
        return Err(Error::NotFound(t!("the contact")));
    }
    let sees_all = sqlx::query_scalar!(
        r#"select sees_all_conversations_of(array[$1::uuid, $2::uuid]) as "sees_all!""#,
        survivor as _,
        merged as _,
    )
    .fetch_one(tx.conn())
    .await?;
    if !sees_all {
        return Err(Error::ContactShared);
    }
    let own = find_in(tx.conn(), workspace, survivor).await?;
    let other = find_in(tx.conn(), workspace, merged).await?;
    Ok((own, other))
}

/// An opt-out of either contact holds.
async fn move_consents(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    survivor: ContactId,
    merged: ContactId,
) -> Result<()> {
    sqlx::query!(
        "update consents set contact_id = $2 where workspace_id = $1 and contact_id = $3",
        workspace as _,
        survivor as _,
        merged as _,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "with moved as (
             delete from opt_outs where workspace_id = $1 and contact_id = $3
             returning number_id, source, proof, created_at
         )
         insert into opt_outs (workspace_id, contact_id, number_id, source, proof, created_at)
         select $1, $2, number_id, source, proof, created_at from moved
             on conflict do nothing",
        workspace as _,
        survivor as _,
        merged as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn move_tags(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    survivor: ContactId,
    merged: ContactId,
) -> Result<()> {
    sqlx::query!(
        "with moved as (
             delete from contact_tags where workspace_id = $1 and contact_id = $3
             returning tag_id
         )
         insert into contact_tags (workspace_id, contact_id, tag_id)
         select $1, $2, tag_id from moved
             on conflict do nothing",
        workspace as _,
        survivor as _,
        merged as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The merged contact stays as a phone number of the survivor, as do those merged into it before.
async fn keep_as_number(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    survivor: ContactId,
    merged: ContactId,
) -> Result<()> {
    sqlx::query!(
        "update contacts
            set merged_into = $2, name = null, email = null, notes = '', custom_fields = '{}', updated_at = now()
          where workspace_id = $1 and (id = $3 or merged_into = $3)",
        workspace as _,
        survivor as _,
        merged as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Stores the survivor's values: the chosen ones, else its own, else the other contact's.
async fn update_survivor(
    tx: &mut SystemTx<Contacts>,
    member: &Member,
    own: &Contact,
    other: &Contact,
    request: Merge,
) -> Result<()> {
    let name = request.name.or(own.name.clone()).or(other.name.clone());
    let email = request.email.or(own.email.clone()).or(other.email.clone());
    let notes = request
        .notes
        .unwrap_or_else(|| join_notes(&own.notes, &other.notes));
    let mut values = request.custom_fields;
    for (key, value) in own.custom_fields.iter().chain(other.custom_fields.iter()) {
        values
            .entry(key.clone())
            .or_insert_with(|| Some(value.clone()));
    }
    sqlx::query!(
        "update contacts c
            set name = nullif(trim($3), ''), email = nullif(trim($4), ''), notes = $5, custom_fields = jsonb_strip_nulls($6),
                texted = exists (select from conversations v where v.workspace_id = $1 and v.contact_id = $2),
                updated_at = clock_timestamp(), updated_by = $7
          where c.workspace_id = $1 and c.id = $2",
        own.workspace_id as _,
        own.id as _,
        name,
        email,
        notes,
        Json(values) as _,
        member.user() as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub fn join_notes(own: &str, other: &str) -> String {
    let notes = match (own.trim(), other.trim()) {
        (own, "") => own.to_owned(),
        ("", other) => other.to_owned(),
        (own, other) if own == other => own.to_owned(),
        (own, other) => format!("{own}\n\n{other}"),
    };
    notes.chars().take(5000).collect()
}

async fn record(
    tx: &mut SystemTx<Contacts>,
    member: &Member,
    other: &Contact,
    after: &Contact,
    conversations: usize,
) -> Result<()> {
    let audit_record = AuditRecord {
        subject: &after.title(),
        subject_id: Some(after.id.0),
        before: Some(json!({"merged": other.title(), "phone_number": other.phone_number})),
        after: Some(
            json!({"name": after.title(), "phone_number": after.phone_number, "conversations": conversations}),
        ),
    };
    audit::record_in(
        tx,
        member.workspace(),
        member.user(),
        AuditAction::ContactsMerged,
        member.address().as_deref(),
        audit_record,
    )
    .await
}

async fn announce(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    survivor: ContactId,
    merged: ContactId,
    moved: &[Moved],
) -> Result<()> {
    tx.announce(Event::ContactRemoved {
        workspace,
        contact: merged,
        merged_into: Some(survivor),
        numbers: moved.iter().map(|moved| moved.number).collect(),
    });
    for gone in moved.iter().filter(|moved| moved.joined_to.is_some()) {
        tx.announce(Event::ConversationRemoved {
            workspace,
            conversation: gone.id,
            number: gone.number,
        });
    }
    tx.announce(Event::ContactChanged {
        workspace,
        contact: survivor,
    });
    // The merge may have opted the survivor out: the event carries each conversation's state and what was canceled.
    let conversation = sqlx::query_scalar!(
        "select id from conversations where workspace_id = $1 and contact_id = $2 limit 1",
        workspace as _,
        survivor as _,
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(conversation) = conversation {
        tx.announce(Event::ConsentChanged {
            workspace,
            conversation,
        });
    }
    tx.announce(Event::Queued);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::join_notes;

    #[test]
    fn notes_of_both_are_kept() {
        assert_eq!(join_notes("", "Allergic to latex"), "Allergic to latex");
        assert_eq!(join_notes("Same", "Same"), "Same");
        assert_eq!(join_notes("One", "Two"), "One\n\nTwo");
        assert_eq!(join_notes(&"x".repeat(4000), &"y".repeat(4000)).len(), 5000);
    }
}

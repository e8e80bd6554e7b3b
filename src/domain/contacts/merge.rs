//! Merges two contacts that are the same person.
//!
//! Conversations with the same number are joined; texts keep their order, because their ids sort by time. An opt-out of
//! either contact holds for both. Inbound texts from the merged contact's number belong to the survivor. Replies go to
//! the survivor's number; texts that are queued or in flight go to the number that they were written for.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::types::Json;

use super::{Contact, fields, find};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Member;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{ContactId, ConversationId, NumberId};
use crate::language::t;

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

/// Attempts when the merge and an inbound text deadlock.
const MAX_ATTEMPTS: usize = 4;

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
            Err(error) if error.is_deadlock() && attempt < MAX_ATTEMPTS => attempt += 1,
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
    let merged = request.contact_id;
    let mut tx = app.db.workspace(member.tenant()).await?;
    let before = find(&mut tx, survivor).await?;
    if survivor == merged {
        return Err(Error::field(
            "contact_id",
            t!("another contact: one cannot be merged with itself"),
        ));
    }
    let other = find(&mut tx, merged).await.map_err(|error| match error {
        Error::NotFound(_) => Error::NotFound(t!("the contact who is to go")),
        error => error,
    })?;
    let moved = conversations_of(&mut tx, merged).await?;
    let joined: Vec<_> = {
        let kept = conversations_of(&mut tx, survivor).await?;
        let is_kept = |number| kept.iter().any(|(_, other)| *other == number);
        moved
            .iter()
            .filter(|(_, number)| is_kept(*number))
            .copied()
            .collect()
    };
    let outcome = sqlx::query_scalar!(
        r#"select merge_contacts($1, $2) as "outcome!""#,
        survivor as _,
        merged as _,
    )
    .fetch_one(tx.conn())
    .await?;
    match outcome.as_str() {
        "merged" => {}
        "hidden" => return Err(Error::ContactShared),
        _ => return Err(Error::NotFound(t!("the contact"))),
    }
    let after = update_survivor(&mut tx, &before, &other, request).await?;
    let audit_record = AuditRecord {
        subject: &after.title(),
        subject_id: Some(survivor.0),
        before: Some(json!({"merged": other.title(), "phone_number": other.phone_number})),
        after: Some(
            json!({"name": after.title(), "phone_number": after.phone_number, "conversations": moved.len()}),
        ),
    };
    audit::record(&mut tx, AuditAction::ContactsMerged, audit_record).await?;
    announce(&mut tx, survivor, merged, &moved, &joined).await?;
    tx.commit().await?;
    Ok(after)
}

async fn conversations_of(
    tx: &mut WorkspaceTx,
    contact: ContactId,
) -> Result<Vec<(ConversationId, NumberId)>> {
    let rows = sqlx::query!(
        r#"select id as "id: ConversationId", number_id as "number: NumberId" from conversations where contact_id = $1"#,
        contact as _,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.number)).collect())
}

/// Stores the survivor's values: the chosen ones, else its own, else the other contact's.
async fn update_survivor(
    tx: &mut WorkspaceTx,
    own: &Contact,
    other: &Contact,
    request: Merge,
) -> Result<Contact> {
    let name = request.name.or(own.name.clone()).or(other.name.clone());
    let email = request.email.or(own.email.clone()).or(other.email.clone());
    let notes = request
        .notes
        .unwrap_or_else(|| join_notes(&own.notes, &other.notes));
    super::check(name.as_deref(), email.as_deref(), Some(&notes))?;
    let mut values = fields::read(tx, request.custom_fields).await?;
    for (key, value) in own.custom_fields.iter().chain(other.custom_fields.iter()) {
        values
            .entry(key.clone())
            .or_insert_with(|| Some(value.clone()));
    }
    sqlx::query!(
        "update contacts
            set name = nullif(trim($2), ''), email = nullif(trim($3), ''), notes = $4,
                custom_fields = jsonb_strip_nulls($5), updated_at = clock_timestamp(), updated_by = current_user_id()
          where id = $1",
        own.id as _,
        name,
        email,
        notes,
        Json(values) as _,
    )
    .execute(tx.conn())
    .await?;
    find(tx, own.id).await
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

async fn announce(
    tx: &mut WorkspaceTx,
    survivor: ContactId,
    merged: ContactId,
    moved: &[(ConversationId, NumberId)],
    joined: &[(ConversationId, NumberId)],
) -> Result<()> {
    let workspace = tx.workspace();
    tx.announce(Event::ContactRemoved {
        workspace,
        contact: merged,
        merged_into: Some(survivor),
        numbers: moved.iter().map(|(_, number)| *number).collect(),
    });
    for (conversation, number) in joined {
        tx.announce(Event::ConversationRemoved {
            workspace,
            conversation: *conversation,
            number: *number,
        });
    }
    super::announce(tx, survivor);
    // The merge may have opted the survivor out: the event carries each conversation's state and what was canceled.
    if let Some((conversation, _)) = conversations_of(tx, survivor).await?.first() {
        tx.announce(Event::ConsentChanged {
            workspace,
            conversation: *conversation,
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

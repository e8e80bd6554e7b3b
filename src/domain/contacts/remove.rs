//! Deletes contacts with their conversations.
//!
//! Queued texts are canceled and their credits returned. The media fetcher deletes the files from the store. An opt-out
//! stays, by address alone, so the next contact at that address is not texted. A provider's message log does not
//! restore anything.

use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;

use super::bulk::{EVENT_LIMIT, Selection};
use super::{Contact, find, lock};
use crate::app::App;
use crate::db::purpose::{Contacts, Jobs};
use crate::db::{Db, SystemTx, WorkspaceTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::credits;
use crate::domain::members::Member;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{ContactId, ConversationId, MessageId, NumberId, WorkspaceId};
use crate::language::t;

/// What would be deleted, and what would stay.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ContactRemoval)]
pub struct Preview {
    pub conversations: i64,
    /// Counting stops at 10,000.
    pub messages: i64,
    pub media: i64,
    /// Texts that wait to be sent. They are canceled and their credits are returned.
    pub waiting: i64,
    /// Opt-outs that stay, stored by address.
    pub opt_outs: i64,
    /// Whether the caller may delete the contact. Admins may; agents only a contact of their own without texts.
    pub may_remove: bool,
}

pub async fn preview(tx: &mut WorkspaceTx, member: &Member, contact: ContactId) -> Result<Preview> {
    count(tx.conn(), member, contact).await
}

async fn count(conn: &mut PgConnection, member: &Member, contact: ContactId) -> Result<Preview> {
    Ok(sqlx::query_as!(
        Preview,
        r#"with texts as (
               select m.id, m.workspace_id, m.direction, m.status
                 from conversations v
                 join messages m on m.workspace_id = v.workspace_id and m.conversation_id = v.id
                where v.workspace_id = $1 and v.contact_id = $2
                limit 10000
           )
           select (select count(*) from conversations where workspace_id = $1 and contact_id = $2) as "conversations!",
                  (select count(*) from texts) as "messages!",
                  (select count(*) from texts t join message_media d on d.workspace_id = t.workspace_id and d.message_id = t.id) as "media!",
                  (select count(*) from texts where direction = 'outbound' and status in ('queued', 'scheduled')) as "waiting!",
                  (select count(*) from opt_outs where workspace_id = $1 and contact_id = $2) as "opt_outs!",
                  $4 or exists (select from contacts
                                 where workspace_id = $1 and id = $2 and created_by = $3 and not texted) as "may_remove!""#,
        member.workspace() as _,
        contact as _,
        member.user() as _,
        member.is_admin(),
    )
    .fetch_one(conn)
    .await?)
}

pub async fn remove(app: &App, member: &Member, contact: ContactId) -> Result<()> {
    let mut attempt = 1;
    loop {
        match try_remove(app, member, contact).await {
            Err(error) if error.is_deadlock() && attempt < lock::MAX_ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

async fn try_remove(app: &App, member: &Member, id: ContactId) -> Result<()> {
    let workspace = member.workspace();
    let mut tx = app.db.workspace(member.tenant()).await?;
    let contact = find(&mut tx, id).await?;
    let mut tx = tx.with_system_rights(Contacts).await?;
    if !lock::with_conversations(&mut tx, workspace, &[id]).await? {
        return Err(Error::NotFound(t!("the contact")));
    }
    let removal = count(tx.conn(), member, id).await?;
    if !removal.may_remove {
        return Err(Error::AdminOnly);
    }
    delete_with_conversations(&mut tx, workspace, &[id]).await?;
    record(&mut tx, member, &contact, &removal).await?;
    tx.commit().await
}

/// What became of a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    pub deleted: usize,
    /// Contacts that only an admin may delete.
    pub kept: usize,
}

/// Deletes all contacts of a selection that the member may delete.
pub async fn remove_all(app: &App, member: &Member, selection: &Selection) -> Result<Removed> {
    let mut attempt = 1;
    loop {
        match try_remove_all(app, member, selection).await {
            Err(error) if error.is_deadlock() && attempt < lock::MAX_ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

async fn try_remove_all(app: &App, member: &Member, selection: &Selection) -> Result<Removed> {
    let workspace = member.workspace();
    let mut tx = app.db.workspace(member.tenant()).await?;
    let chosen = selection.resolve(&mut tx, member).await?;
    let mut tx = tx.with_system_rights(Contacts).await?;
    lock::with_conversations(&mut tx, workspace, &chosen).await?;
    let ids = removable(&mut tx, member, &chosen).await?;
    if ids.is_empty() {
        return Err(Error::AdminOnly);
    }
    let conversations = delete_with_conversations(&mut tx, workspace, &ids).await?;
    let audit_record = AuditRecord {
        before: Some(json!({"contacts": ids.len(), "conversations": conversations})),
        ..AuditRecord::default()
    };
    audit::record_in(
        &mut tx,
        workspace,
        member.user(),
        AuditAction::ContactsDeleted,
        member.address().as_deref(),
        audit_record,
    )
    .await?;
    tx.commit().await?;
    Ok(Removed {
        deleted: ids.len(),
        kept: chosen.len() - ids.len(),
    })
}

/// Admins delete any contact; agents only those of their own without texts.
async fn removable(
    tx: &mut SystemTx<Contacts>,
    member: &Member,
    contacts: &[ContactId],
) -> Result<Vec<ContactId>> {
    Ok(sqlx::query_scalar!(
        "select id from contacts
          where workspace_id = $1 and id = any ($2) and merged_into is null and ($4 or (created_by = $3 and not texted))",
        member.workspace() as _,
        contacts as _,
        member.user() as _,
        member.is_admin(),
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Deletes locked contacts; returns how many conversations they had. Eight round trips.
pub(super) async fn delete_with_conversations(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contacts: &[ContactId],
) -> Result<usize> {
    let conversations = conversations_of(tx, workspace, contacts).await?;
    let canceled = cancel_waiting(tx, workspace, contacts).await?;
    remember_texts(tx, workspace, contacts).await?;
    remember_opt_outs(tx, workspace, contacts).await?;
    remember_usage(tx, workspace, contacts).await?;
    // Accounts are locked last.
    let returned = credits::return_credits(tx.conn(), workspace, &canceled).await?;
    delete(tx, workspace, contacts).await?;
    for event in returned {
        tx.announce(event);
    }
    announce(tx, workspace, contacts, &conversations);
    Ok(conversations.len())
}

async fn conversations_of(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contacts: &[ContactId],
) -> Result<Vec<(ConversationId, ContactId, NumberId)>> {
    let rows = sqlx::query!(
        "select id, contact_id, number_id from conversations where workspace_id = $1 and contact_id = any ($2)",
        workspace as _,
        contacts as _,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.id, row.contact_id, row.number_id))
        .collect())
}

async fn cancel_waiting(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contacts: &[ContactId],
) -> Result<Vec<MessageId>> {
    Ok(sqlx::query_scalar!(
        "update messages m set status = 'canceled', due_at = null, updated_at = now()
           from conversations v
          where v.workspace_id = $1 and v.contact_id = any ($2)
            and m.workspace_id = v.workspace_id and m.conversation_id = v.id
            and m.direction = 'outbound' and m.status in ('scheduled', 'queued')
         returning m.id",
        workspace as _,
        contacts as _,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// So that a provider's list does not bring them back. It does not reach further than a month.
async fn remember_texts(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contacts: &[ContactId],
) -> Result<()> {
    sqlx::query!(
        "insert into deleted_messages (workspace_id, integration_id, provider_sid)
         select m.workspace_id, m.integration_id, m.provider_sid
           from conversations v
           join messages m on m.workspace_id = v.workspace_id and m.conversation_id = v.id
          where v.workspace_id = $1 and v.contact_id = any ($2) and m.direction = 'inbound'
            and m.created_at > now() - interval '30 days'
             on conflict do nothing",
        workspace as _,
        contacts as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Forgets the deleted texts that are too old for a provider's list to bring them back.
pub async fn forget_expired(db: &Db) -> Result<()> {
    sqlx::query!("delete from deleted_messages where created_at < now() - interval '40 days'")
        .execute(db.system_pool(Jobs))
        .await?;
    Ok(())
}

/// By address: those of the contacts and of those that were merged into them.
async fn remember_opt_outs(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contacts: &[ContactId],
) -> Result<()> {
    sqlx::query!(
        "insert into remembered_opt_outs (workspace_id, address, number_id, source, proof, created_at)
         select o.workspace_id, c.phone_number, o.number_id, o.source, o.proof, o.created_at
           from contacts c
           join opt_outs o on o.workspace_id = c.workspace_id and o.contact_id = coalesce(c.merged_into, c.id)
          where c.workspace_id = $1 and (c.id = any ($2) or c.merged_into = any ($2))
             on conflict do nothing",
        workspace as _,
        contacts as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The same messages and days as in `usage::count`. Older days are never counted again.
async fn remember_usage(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contacts: &[ContactId],
) -> Result<()> {
    sqlx::query!(
        "insert into deleted_usage (workspace_id, number_id, day, direction, currency, texts, segments, price)
         select m.workspace_id, m.number_id, (coalesce(m.scheduled_at, m.created_at) at time zone 'UTC')::date, m.direction,
                case when m.price is null then '' else coalesce(m.price_unit, 'USD') end,
                count(*), coalesce(sum(m.segments), 0), coalesce(sum(m.price), 0)
           from conversations v
           join messages m on m.workspace_id = v.workspace_id and m.conversation_id = v.id
          where v.workspace_id = $1 and v.contact_id = any ($2) and m.direction <> 'note' and m.provider_sid is not null
            and coalesce(m.scheduled_at, m.created_at) > now() - interval '70 days'
          group by 1, 2, 3, 4, 5",
        workspace as _,
        contacts as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// With the contacts that were merged into them. All else goes by `on delete cascade`.
async fn delete(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contacts: &[ContactId],
) -> Result<()> {
    sqlx::query!(
        "delete from contacts where workspace_id = $1 and (id = any ($2) or merged_into = any ($2))",
        workspace as _,
        contacts as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn announce(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contacts: &[ContactId],
    conversations: &[(ConversationId, ContactId, NumberId)],
) {
    tx.announce(Event::Queued);
    if contacts.len() + conversations.len() > EVENT_LIMIT {
        return tx.announce(Event::Missed { workspace });
    }
    for (conversation, _, number) in conversations {
        tx.announce(Event::ConversationRemoved {
            workspace,
            conversation: *conversation,
            number: *number,
        });
    }
    for contact in contacts {
        let own = conversations.iter().filter(|(_, of, _)| of == contact);
        tx.announce(Event::ContactRemoved {
            workspace,
            contact: *contact,
            merged_into: None,
            numbers: own.map(|(.., number)| *number).collect(),
        });
    }
}

/// The audit entry holds the name but not the number: the contact may have asked for its deletion.
async fn record(
    tx: &mut SystemTx<Contacts>,
    member: &Member,
    contact: &Contact,
    removal: &Preview,
) -> Result<()> {
    let audit_record = AuditRecord {
        subject: contact
            .name
            .as_deref()
            .unwrap_or("a contact without a name"),
        subject_id: Some(contact.id.0),
        before: Some(json!({
            "conversations": removal.conversations, "messages": removal.messages, "media": removal.media,
            "texts_canceled": removal.waiting, "opt_outs_kept": removal.opt_outs,
        })),
        after: None,
    };
    audit::record_in(
        tx,
        member.workspace(),
        member.user(),
        AuditAction::ContactDeleted,
        member.address().as_deref(),
        audit_record,
    )
    .await
}

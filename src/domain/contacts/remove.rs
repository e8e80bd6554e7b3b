//! Deletes a contact with its conversations.
//!
//! Queued texts are canceled and their credits returned. The media fetcher deletes the files from the store. An opt-out
//! stays, by address alone, so the next contact at that address is not texted. A provider's message log does not
//! restore anything.

use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;

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
    let conversations = conversations_of(&mut tx, workspace, id).await?;
    let canceled = cancel_waiting(&mut tx, workspace, id).await?;
    remember_texts(&mut tx, workspace, id).await?;
    remember_opt_outs(&mut tx, workspace, id).await?;
    remember_usage(&mut tx, workspace, id).await?;
    // Accounts are locked last.
    let returned = credits::return_credits(tx.conn(), workspace, &canceled).await?;
    delete(&mut tx, workspace, id).await?;
    record(&mut tx, member, &contact, &removal).await?;
    for event in returned {
        tx.announce(event);
    }
    announce(&mut tx, workspace, id, &conversations);
    tx.commit().await
}

async fn conversations_of(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contact: ContactId,
) -> Result<Vec<(ConversationId, NumberId)>> {
    let rows = sqlx::query!(
        "select id, number_id from conversations where workspace_id = $1 and contact_id = $2",
        workspace as _,
        contact as _,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.id, row.number_id))
        .collect())
}

async fn cancel_waiting(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contact: ContactId,
) -> Result<Vec<MessageId>> {
    Ok(sqlx::query_scalar!(
        "update messages m set status = 'canceled', due_at = null, updated_at = now()
           from conversations v
          where v.workspace_id = $1 and v.contact_id = $2
            and m.workspace_id = v.workspace_id and m.conversation_id = v.id
            and m.direction = 'outbound' and m.status in ('scheduled', 'queued')
         returning m.id",
        workspace as _,
        contact as _,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// So that a provider's list does not bring them back. It does not reach further than a month.
async fn remember_texts(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contact: ContactId,
) -> Result<()> {
    sqlx::query!(
        "insert into deleted_messages (workspace_id, integration_id, provider_sid)
         select m.workspace_id, m.integration_id, m.provider_sid
           from conversations v
           join messages m on m.workspace_id = v.workspace_id and m.conversation_id = v.id
          where v.workspace_id = $1 and v.contact_id = $2 and m.direction = 'inbound'
            and m.created_at > now() - interval '30 days'
             on conflict do nothing",
        workspace as _,
        contact as _,
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

/// By address: those of the contact and of the contacts that were merged into it.
async fn remember_opt_outs(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contact: ContactId,
) -> Result<()> {
    sqlx::query!(
        "insert into remembered_opt_outs (workspace_id, address, number_id, source, proof, created_at)
         select o.workspace_id, c.phone_number, o.number_id, o.source, o.proof, o.created_at
           from contacts c
           join opt_outs o on o.workspace_id = c.workspace_id and o.contact_id = $2
          where c.workspace_id = $1 and (c.id = $2 or c.merged_into = $2)
             on conflict do nothing",
        workspace as _,
        contact as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The same messages and days as in `usage::count`. Older days are never counted again.
async fn remember_usage(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contact: ContactId,
) -> Result<()> {
    sqlx::query!(
        "insert into deleted_usage (workspace_id, number_id, day, direction, currency, texts, segments, price)
         select m.workspace_id, m.number_id, (coalesce(m.scheduled_at, m.created_at) at time zone 'UTC')::date, m.direction,
                case when m.price is null then '' else coalesce(m.price_unit, 'USD') end,
                count(*), coalesce(sum(m.segments), 0), coalesce(sum(m.price), 0)
           from conversations v
           join messages m on m.workspace_id = v.workspace_id and m.conversation_id = v.id
          where v.workspace_id = $1 and v.contact_id = $2 and m.direction <> 'note' and m.provider_sid is not null
            and coalesce(m.scheduled_at, m.created_at) > now() - interval '70 days'
          group by 1, 2, 3, 4, 5",
        workspace as _,
        contact as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// With the contacts that were merged into it. All else goes by `on delete cascade`.
async fn delete(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contact: ContactId,
) -> Result<()> {
    sqlx::query!(
        "delete from contacts where workspace_id = $1 and (id = $2 or merged_into = $2)",
        workspace as _,
        contact as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

fn announce(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    contact: ContactId,
    conversations: &[(ConversationId, NumberId)],
) {
    for (conversation, number) in conversations {
        tx.announce(Event::ConversationRemoved {
            workspace,
            conversation: *conversation,
            number: *number,
        });
    }
    tx.announce(Event::ContactRemoved {
        workspace,
        contact,
        merged_into: None,
        numbers: conversations.iter().map(|(_, number)| *number).collect(),
    });
    tx.announce(Event::Queued);
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
            "canceled": removal.waiting, "opt_outs_kept": removal.opt_outs,
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

//! Deletes a contact with its conversations.
//!
//! Queued texts are canceled and their credits returned. The media fetcher deletes the files from the store. An opt-out
//! stays, by address alone, so the next contact at that address is not texted. A provider's message log does not
//! restore anything.

use serde::Serialize;
use serde_json::json;

use super::{Contact, find};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Member;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{ContactId, ConversationId, NumberId, UserId};

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
    Ok(sqlx::query_as!(
        Preview,
        r#"with texts as (
               select m.id, m.workspace_id, m.direction, m.status
                 from conversations v
                 join messages m on m.workspace_id = v.workspace_id and m.conversation_id = v.id
                where v.contact_id = $1
                limit 10000
           )
           select (select count(*) from conversations where contact_id = $1) as "conversations!",
                  (select count(*) from texts) as "messages!",
                  (select count(*) from texts t join message_media d on d.workspace_id = t.workspace_id and d.message_id = t.id) as "media!",
                  (select count(*) from texts where direction = 'outbound' and status in ('queued', 'scheduled')) as "waiting!",
                  (select count(*) from opt_outs where contact_id = $1) as "opt_outs!",
                  $2 or exists (select from contacts where id = $1 and created_by = current_user_id() and not texted) as "may_remove!""#,
        contact as _,
        member.is_admin(),
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Attempts when the deletion and an inbound text deadlock.
const MAX_ATTEMPTS: usize = 4;

pub async fn remove(app: &App, member: &Member, contact: ContactId) -> Result<()> {
    let mut attempt = 1;
    loop {
        match try_remove(app, member, contact).await {
            Err(error) if error.is_deadlock() && attempt < MAX_ATTEMPTS => attempt += 1,
            done => return done,
        }
    }
}

async fn try_remove(app: &App, member: &Member, id: ContactId) -> Result<()> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let contact = find(&mut tx, id).await?;
    sqlx::query_scalar!(r#"select lock_my_contact($1) as "locked!""#, id as _,)
        .fetch_one(tx.conn())
        .await?;
    let removal = preview(&mut tx, member, id).await?;
    if !removal.may_remove {
        return Err(Error::AdminOnly);
    }
    let conversations = sqlx::query!(
        r#"select id as "id: ConversationId", number_id as "number: NumberId" from conversations where contact_id = $1"#,
        id as _,
    )
    .fetch_all(tx.conn())
    .await?;
    let returned = sqlx::query!(
        r#"select account as "account!: UserId", balance as "balance!" from delete_contact($1)"#,
        id as _,
    )
    .fetch_all(tx.conn())
    .await?;
    record(&mut tx, &contact, &removal).await?;
    let workspace = tx.workspace();
    for row in returned {
        tx.announce(Event::CreditsChanged {
            workspace,
            user: row.account,
            low: false,
        });
    }
    for conversation in &conversations {
        tx.announce(Event::ConversationRemoved {
            workspace,
            conversation: conversation.id,
            number: conversation.number,
        });
    }
    tx.announce(Event::ContactRemoved {
        workspace,
        contact: id,
        merged_into: None,
        numbers: conversations.iter().map(|row| row.number).collect(),
    });
    tx.announce(Event::Queued);
    tx.commit().await
}

/// The audit entry holds the name but not the number: the contact may have asked for its deletion.
async fn record(tx: &mut WorkspaceTx, contact: &Contact, removal: &Preview) -> Result<()> {
    let audit_record = AuditRecord {
        subject: contact
            .name
            .as_deref()
            .unwrap_or("a contact without a name"),
        subject_id: Some(contact.id.0),
        before: Some(json!({
            "conversations": removal.conversations, "messages": removal.messages, "media": removal.media,
            "called_off": removal.waiting, "opt_outs_kept": removal.opt_outs,
        })),
        after: None,
    };
    audit::record(tx, AuditAction::ContactDeleted, audit_record).await
}

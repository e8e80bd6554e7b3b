//! Failover: queued texts of a number that cannot send move to another number, if the workspace allows it.
//!
//! A conversation belongs to one number, so the text moves to the contact's conversation with the other number. It
//! keeps its id, its credit and its place in the queue.

use serde_json::json;

use super::Direction;
use crate::db::purpose::Delivery;
use crate::db::{Db, SystemTx};
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::error::Result;
use crate::events::{Carried, Event};
use crate::ids::{ContactId, ConversationId, IntegrationId, MessageId, NumberId, WorkspaceId};
use crate::phone;
use crate::providers::Kind;

const BATCH: i64 = 50;

struct StrandedText {
    workspace: WorkspaceId,
    id: MessageId,
    contact: ContactId,
    recipient: String,
    preview: String,
    conversation: ConversationId,
    number: NumberId,
    integration: IntegrationId,
    provider: Kind,
    from: String,
    why: String,
    to_number: NumberId,
    to_integration: IntegrationId,
    to_provider: Kind,
    to_from: String,
}

/// Moves queued texts of numbers that cannot send, and returns how many there were. Texts without a suitable number
/// stay queued. One round trip, and seven for each text.
pub async fn move_stranded(db: &Db) -> Result<usize> {
    let mut tx = db.system(Delivery).await?;
    let stranded = stranded(&mut tx).await?;
    for text in &stranded {
        let conversation = move_conversation(&mut tx, text).await?;
        record_failover(&mut tx, text, conversation).await?;
    }
    if !stranded.is_empty() {
        tx.announce(Event::Queued);
    }
    tx.commit().await?;
    Ok(stranded.len())
}

/// Stranded texts with their new number: the one that the contact last wrote with, else the default, else the oldest.
async fn stranded(tx: &mut SystemTx<Delivery>) -> Result<Vec<StrandedText>> {
    Ok(sqlx::query_as!(
        StrandedText,
        r#"select m.workspace_id as "workspace: _", m.id as "id: _", m.contact_id as "contact: _", coalesce(m.address, c.phone_number) as "recipient!",
                  preview_of(m.workspace_id, m.id, m.content) as "preview!", m.conversation_id as "conversation: _", m.number_id as "number: _",
                  m.integration_id as "integration: _", m.provider as "provider: _", n.phone_number as "from",
                  case when n.status = 'active' then i.name else '' end as "why!",
                  t.id as "to_number: _", t.integration_id as "to_integration: _", t.provider as "to_provider: _",
                  t.phone_number as to_from
             from workspaces w
             join integrations i on i.workspace_id = w.id
             join numbers n on n.workspace_id = i.workspace_id and n.integration_id = i.id
             join messages m on m.workspace_id = n.workspace_id and m.number_id = n.id and m.status = 'queued'
             join contacts c on c.workspace_id = m.workspace_id and c.id = m.contact_id
            cross join lateral (
                  select o.id, o.integration_id, p.provider, o.phone_number
                    from numbers o
                    join integrations p on p.workspace_id = o.workspace_id and p.id = o.integration_id
                   where o.workspace_id = m.workspace_id and o.id <> m.number_id and o.status = 'active' and o.sms
                     and (o.mms or m.message_type = 'text')
                     and p.is_active and p.status = 'healthy'
                     -- Nobody real gets what is sent there.
                     and (p.provider = $2) = (i.provider = $2)
                     and not exists (select from opt_outs x where x.workspace_id = m.workspace_id and x.contact_id = m.contact_id
                                        and x.number_id in (o.id, m.number_id))
                     and exists (select from number_viewers(o.workspace_id, o.id) v where v.user_id = m.created_by)
                   order by (select v.last_message_at from conversations v
                              where v.workspace_id = m.workspace_id and v.contact_id = m.contact_id and v.number_id = o.id) desc nulls last,
                            o.is_default desc, o.created_at, o.id
                   limit 1) t
            where w.failover and (i.status = 'unhealthy' or not i.is_active or n.status = 'inactive')
              and (m.expires_at is null or m.expires_at > now())
              -- What is under way before it keeps its place.
              and not exists (select from messages e where e.workspace_id = m.workspace_id
                                 and e.conversation_id = m.conversation_id and e.status = 'sending')
            order by m.id
            limit $1
              for no key update of m skip locked"#,
        BATCH,
        Kind::Sandbox as _,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Moves the text and returns its new conversation. The old conversation shows its previous message as the last one.
async fn move_conversation(
    tx: &mut SystemTx<Delivery>,
    text: &StrandedText,
) -> Result<ConversationId> {
    let conversation = sqlx::query_scalar!(
        r#"insert into conversations (workspace_id, id, contact_id, number_id) values ($1, $2, $3, $4)
           on conflict (workspace_id, contact_id, number_id) do update set updated_at = now()
           returning id as "id: ConversationId""#,
        text.workspace as _,
        ConversationId::new() as _,
        text.contact as _,
        text.to_number as _,
    )
    .fetch_one(tx.conn())
    .await?;
    sqlx::query!(
        "update messages
            set conversation_id = $3, number_id = $4, integration_id = $5, provider = $6, due_at = now(), updated_at = now()
          where workspace_id = $1 and id = $2",
        text.workspace as _,
        text.id as _,
        conversation as _,
        text.to_number as _,
        text.to_integration as _,
        text.to_provider as _,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "update conversations v
            set last_message_id = m.id, last_message_at = now(), last_message_preview = $4, last_message_direction = 'outbound',
                last_message_status = 'queued', updated_at = now()
           from messages m
          where v.workspace_id = $1 and v.id = $2 and m.workspace_id = $1 and m.id = $3",
        text.workspace as _,
        conversation as _,
        text.id as _,
        text.preview,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "update conversations v
            set last_message_id = m.id, last_message_preview = coalesce(preview_of($1, m.id, m.content), ''),
                last_message_direction = coalesce(m.direction, 'outbound'), last_message_status = coalesce(m.status, 'received'),
                updated_at = now()
           from (select 1) one
           left join lateral (select e.id, e.content, e.direction, e.status from messages e
                               where e.workspace_id = $1 and e.conversation_id = $2 and e.direction <> 'note' and e.status <> 'scheduled'
                               order by e.id desc
                               limit 1) m on true
          where v.workspace_id = $1 and v.id = $2 and v.last_message_id = $3",
        text.workspace as _,
        text.conversation as _,
        text.id as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(conversation)
}

/// Adds a note to both conversations and an audit entry.
async fn record_failover(
    tx: &mut SystemTx<Delivery>,
    text: &StrandedText,
    conversation: ConversationId,
) -> Result<()> {
    let (from, instead) = (phone::display(&text.from), phone::display(&text.to_from));
    let why = match text.why.as_str() {
        "" => format!("{from} is turned off"),
        account => format!("{account} was down"),
    };
    let words = &text.preview;
    let source = NotePlace {
        conversation: text.conversation,
        number: text.number,
        integration: text.integration,
        provider: text.provider,
    };
    let left = format!(
        "Sent from {instead} instead because {why}: \u{201c}{words}\u{201d}. It continues in the conversation with that number."
    );
    add_note(tx, text, source, left).await?;
    let target = NotePlace {
        conversation,
        number: text.to_number,
        integration: text.to_integration,
        provider: text.to_provider,
    };
    let arrived = format!(
        "Sent from {instead} because {why}: \u{201c}{words}\u{201d}. It was written for {from}."
    );
    add_note(tx, text, target, arrived).await?;
    tx.announce(Event::MessageAdded {
        workspace: text.workspace,
        message: text.id,
        number: text.to_number,
        row: Carried::default(),
    });
    let audit_record = AuditRecord {
        subject: &phone::display(&text.recipient),
        subject_id: Some(text.id.0),
        before: Some(json!({"number": text.from})),
        after: Some(json!({"number": text.to_from})),
    };
    audit::record_by_server(
        tx,
        text.workspace,
        AuditAction::TextHandedOver,
        audit_record,
    )
    .await
}

struct NotePlace {
    conversation: ConversationId,
    number: NumberId,
    integration: IntegrationId,
    provider: Kind,
}

async fn add_note(
    tx: &mut SystemTx<Delivery>,
    text: &StrandedText,
    place: NotePlace,
    note: String,
) -> Result<()> {
    let id = MessageId::new();
    sqlx::query!(
        "insert into messages (workspace_id, id, conversation_id, contact_id, number_id, integration_id, provider, direction,
                               status, content)
         values ($1, $2, $3, $4, $5, $6, $7, $8, 'received', $9)",
        text.workspace as _,
        id as _,
        place.conversation as _,
        text.contact as _,
        place.number as _,
        place.integration as _,
        place.provider as _,
        Direction::Note as _,
        note,
    )
    .execute(tx.conn())
    .await?;
    let workspace = text.workspace;
    tx.announce(Event::MessageAdded {
        workspace,
        message: id,
        number: place.number,
        row: Carried::default(),
    });
    tx.announce(Event::ConversationChanged {
        workspace,
        conversation: place.conversation,
        number: place.number,
    });
    Ok(())
}

//! Events of an opt-out or opt-in: the changed conversations and the queued texts that failed.

use std::collections::HashSet;

use crate::db::Db;
use crate::db::purpose::Live;
use crate::error::Result;
use crate::events::Event;
use crate::ids::{ConversationId, MessageId, NumberId, UserId, WorkspaceId};

/// For the live hub: the contacts of these conversations have just opted out or in. An opt-out may hold for every
/// number, so each conversation of a contact gets an event. Events may repeat. One round trip, none for an empty list.
pub async fn consent_events(db: &Db, by: &[(WorkspaceId, ConversationId)]) -> Result<Vec<Event>> {
    if by.is_empty() {
        return Ok(Vec::new());
    }
    let (workspaces, conversations): (Vec<_>, Vec<_>) = by.iter().copied().unzip();
    let rows = sqlx::query!(
        r#"select v.workspace_id as "workspace: WorkspaceId", v.id as "conversation: ConversationId",
                  v.number_id as "number: NumberId", m.id as "failed_text?: MessageId", m.created_by as "writer?: UserId"
             from (select distinct t.workspace_id, t.contact_id
                     from unnest($1::uuid[], $2::uuid[]) as k (workspace_id, id)
                     join conversations t on t.workspace_id = k.workspace_id and t.id = k.id) c
             join conversations v on v.workspace_id = c.workspace_id and v.contact_id = c.contact_id
             left join messages m on m.workspace_id = v.workspace_id and m.conversation_id = v.id
                                 and m.error_code = 'contact_opted_out' and m.updated_at > now() - interval '1 minute'"#,
        &workspaces as _,
        &conversations as _,
    )
    .fetch_all(db.system_pool(Live))
    .await?;
    let (mut announcements, mut conversation_events) = (Vec::with_capacity(rows.len()), Vec::new());
    let (mut conversations_seen, mut refunded) = (HashSet::new(), HashSet::new());
    for row in rows {
        let (workspace, number) = (row.workspace, row.number);
        if let Some(message) = row.failed_text {
            announcements.push(Event::MessageChanged {
                workspace,
                message,
                number,
            });
        }
        // The credit of the text was returned.
        if let Some(user) = row.writer
            && refunded.insert((workspace, user))
        {
            announcements.push(Event::CreditsChanged {
                workspace,
                user,
                low: false,
            });
        }
        if conversations_seen.insert(row.conversation) {
            conversation_events.push(Event::ConversationChanged {
                workspace,
                conversation: row.conversation,
                number,
            });
        }
    }
    announcements.append(&mut conversation_events);
    Ok(announcements)
}

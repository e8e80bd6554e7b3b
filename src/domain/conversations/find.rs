//! Finds conversations by their ids, contact or number.

use sqlx::types::Json;

use super::conversation::{Conversation, Status};
use crate::db::purpose::Live;
use crate::db::{Db, WorkspaceTx};
use crate::domain::contacts::Contact;
use crate::domain::messages;
use crate::error::{Error, Result};
use crate::ids::{ContactId, ConversationId, MessageId, NumberId, UserId, WorkspaceId};
use crate::language::t;

/// The conversations `v` of the rows `k`, which the first argument joins.
macro_rules! conversations_of {
    ($rows:literal, $order:literal, $($arguments:tt)*) => {
        sqlx::query_as!(
            Conversation,
            r#"select v.id as "id!: ConversationId", v.workspace_id as "workspace_id!: WorkspaceId",
                      v.contact_id as "contact_id!: ContactId", contact_json(c) as "contact!: Json<Contact>",
                      v.number_id as "number_id!: NumberId", n.friendly_name as "number_name!", n.phone_number as "number_phone!",
                      v.status as "status!: Status", v.assignee_id as "assignee_id?: UserId",
                      (select u.name from users u where u.id = v.assignee_id) as assignee_name, v.snoozed_until as "snoozed_until?",
                      v.unread_count as "unread_count!", v.last_message_at as "last_message_at!",
                      v.last_message_preview as "last_message_preview!",
                      v.last_message_direction as "last_message_direction!: messages::Direction",
                      v.last_message_status as "last_message_status!: messages::Status",
                      v.last_message_id as "last_message_id?: MessageId", a.created_by as "last_message_by?: UserId",
                      a.name as "last_message_by_name?", v.waiting_since as "waiting_since?", v.near_stop_id as "near_stop_id?: MessageId",
                      is_opted_out(v.workspace_id, v.contact_id, v.number_id) as "opted_out!",
                      v.created_at as "created_at!", v.updated_at as "updated_at!"
                 from "# + $rows + r#"
                 join contacts c on c.workspace_id = v.workspace_id and c.id = v.contact_id
                 join numbers n on n.workspace_id = v.workspace_id and n.id = v.number_id
                 left join lateral (select m.created_by, u.name
                                      from messages m
                                      left join users u on u.id = m.created_by
                                     where v.last_message_direction = 'outbound'
                                       and m.workspace_id = v.workspace_id and m.id = v.last_message_id
                                     limit 1) a on true"# + $order,
            $($arguments)*
        )
    };
}
pub(super) use conversations_of;

pub async fn find(tx: &mut WorkspaceTx, id: ConversationId) -> Result<Conversation> {
    let workspace = tx.workspace();
    by_ids(tx.conn(), &[workspace], &[id])
        .await?
        .pop()
        .ok_or(Error::NotFound(t!("the conversation")))
}

/// A conversation, and the contact's others that the member may see, newest first. One round trip.
pub async fn find_with_others(
    tx: &mut WorkspaceTx,
    id: ConversationId,
) -> Result<(Conversation, Vec<Conversation>)> {
    let mut all = conversations_of!(
        "conversations k
         join conversations v on v.workspace_id = k.workspace_id and v.contact_id = k.contact_id",
        " where k.workspace_id = current_workspace() and k.id = $1
          order by v.id = $1 desc, v.last_message_at desc, v.id desc
          limit 50",
        id as _,
    )
    .fetch_all(tx.conn())
    .await?;
    match all.first() {
        Some(first) if first.id == id => {
            let found = all.remove(0);
            Ok((found, all))
        }
        _ => Err(Error::NotFound(t!("the conversation"))),
    }
}

/// The conversations among `ids` that the member may see, unordered. One round trip.
pub async fn find_many(tx: &mut WorkspaceTx, ids: &[ConversationId]) -> Result<Vec<Conversation>> {
    let workspaces = vec![tx.workspace(); ids.len()];
    by_ids(tx.conn(), &workspaces, ids).await
}

/// The newest visible conversation of each contact.
pub async fn newest_of(
    tx: &mut WorkspaceTx,
    contacts: &[ContactId],
) -> Result<Vec<(ContactId, ConversationId)>> {
    Ok(sqlx::query!(
        r#"select distinct on (v.contact_id) v.contact_id, v.id
             from unnest($2::uuid[]) as k (contact_id)
             join conversations v on v.workspace_id = $1 and v.contact_id = k.contact_id
            order by v.contact_id, v.last_message_at desc"#,
        tx.workspace() as _,
        contacts as _,
    )
    .fetch_all(tx.conn())
    .await?
    .into_iter()
    .map(|row| (row.contact_id, row.id))
    .collect())
}

/// The conversation that this one was joined to when its contact was merged.
pub async fn joined_to(tx: &mut WorkspaceTx, id: ConversationId) -> Result<Option<ConversationId>> {
    Ok(sqlx::query_scalar!(
        r#"select into_id as "id: ConversationId" from merged_conversations where id = $1"#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// For the live hub: the conversations that exist. One round trip.
pub async fn look_up(db: &Db, keys: &[(WorkspaceId, ConversationId)]) -> Result<Vec<Conversation>> {
    let (workspaces, ids): (Vec<_>, Vec<_>) = keys.iter().copied().unzip();
    by_ids(
        &mut *db.system_pool(Live).acquire().await?,
        &workspaces,
        &ids,
    )
    .await
}

pub(super) async fn by_ids(
    conn: &mut sqlx::PgConnection,
    workspaces: &[WorkspaceId],
    ids: &[ConversationId],
) -> Result<Vec<Conversation>> {
    Ok(conversations_of!(
        "unnest($1::uuid[], $2::uuid[]) as k (workspace_id, id)
         join conversations v on v.workspace_id = k.workspace_id and v.id = k.id",
        "",
        workspaces as _,
        ids as _,
    )
    .fetch_all(conn)
    .await?)
}

/// Finds the conversation of a contact with one of our numbers, or creates it.
pub async fn find_or_create(
    tx: &mut WorkspaceTx,
    contact: ContactId,
    number: NumberId,
) -> Result<ConversationId> {
    sqlx::query_scalar!(
        r#"insert into conversations (id, contact_id, number_id) values ($1, $2, $3)
           on conflict (workspace_id, contact_id, number_id) do update set updated_at = now()
           returning id as "id: ConversationId""#,
        ConversationId::new() as _,
        contact as _,
        number as _,
    )
    .fetch_optional(tx.conn())
    .await?
    // The contact was deleted concurrently.
    .ok_or(Error::NotFound(t!("the contact")))
}

pub async fn between(
    tx: &mut WorkspaceTx,
    contact: ContactId,
    number: NumberId,
) -> Result<Option<ConversationId>> {
    Ok(sqlx::query_scalar!(
        "select id from conversations where contact_id = $1 and number_id = $2",
        contact as _,
        number as _,
    )
    .fetch_optional(tx.conn())
    .await?)
}

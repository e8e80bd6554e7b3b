//! Moves the conversations of the merged contact to the survivor.

use crate::db::SystemTx;
use crate::db::purpose::Contacts;
use crate::error::Result;
use crate::ids::{ContactId, ConversationId, NumberId, WorkspaceId};

/// A conversation of the merged contact.
#[derive(Clone, Copy)]
pub(super) struct Moved {
    pub id: ConversationId,
    pub number: NumberId,
    /// The survivor's conversation with the same number, which takes over all it holds.
    pub joined_to: Option<ConversationId>,
}

/// The caller has locked both contacts with their conversations.
pub(super) async fn move_all(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    survivor: ContactId,
    merged: ContactId,
) -> Result<Vec<Moved>> {
    keep_recipients(tx, workspace, merged).await?;
    let moved = to_move(tx, workspace, survivor, merged).await?;
    for conversation in &moved {
        let from = conversation.id;
        match conversation.joined_to {
            None => move_to_survivor(tx, workspace, from, survivor).await?,
            Some(into) => {
                let join = Join {
                    workspace,
                    from,
                    into,
                };
                join.run(tx).await?;
            }
        }
    }
    Ok(moved)
}

/// Texts under way go to the number that they were written to.
async fn keep_recipients(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    merged: ContactId,
) -> Result<()> {
    sqlx::query!(
        "update messages m set address = c.phone_number
           from contacts c
           join conversations v on v.workspace_id = c.workspace_id and v.contact_id = c.id
          where c.workspace_id = $1 and c.id = $2
            and m.workspace_id = v.workspace_id and m.conversation_id = v.id and m.address is null
            and m.status in ('scheduled', 'queued', 'sending', 'unconfirmed')",
        workspace as _,
        merged as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn to_move(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    survivor: ContactId,
    merged: ContactId,
) -> Result<Vec<Moved>> {
    Ok(sqlx::query_as!(
        Moved,
        r#"select g.id, g.number_id as number, s.id as "joined_to?"
             from conversations g
             left join conversations s on s.workspace_id = g.workspace_id and s.contact_id = $2 and s.number_id = g.number_id
            where g.workspace_id = $1 and g.contact_id = $3
            order by g.id"#,
        workspace as _,
        survivor as _,
        merged as _,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Its messages follow by `on update cascade`.
async fn move_to_survivor(
    tx: &mut SystemTx<Contacts>,
    workspace: WorkspaceId,
    conversation: ConversationId,
    survivor: ContactId,
) -> Result<()> {
    sqlx::query!(
        "update conversations set contact_id = $3, updated_at = now() where workspace_id = $1 and id = $2",
        workspace as _,
        conversation as _,
        survivor as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Two conversations with the same number become one.
#[derive(Clone, Copy)]
struct Join {
    workspace: WorkspaceId,
    from: ConversationId,
    into: ConversationId,
}

impl Join {
    async fn run(self, tx: &mut SystemTx<Contacts>) -> Result<()> {
        self.move_messages(tx).await?;
        self.move_activity(tx).await?;
        self.join_drafts(tx).await?;
        self.join_state(tx).await?;
        self.redirect(tx).await
    }

    async fn move_messages(self, tx: &mut SystemTx<Contacts>) -> Result<()> {
        sqlx::query!(
            "update messages m set conversation_id = s.id, contact_id = s.contact_id
               from conversations s
              where s.workspace_id = $1 and s.id = $3 and m.workspace_id = $1 and m.conversation_id = $2",
            self.workspace as _,
            self.from as _,
            self.into as _,
        )
        .execute(tx.conn())
        .await?;
        Ok(())
    }

    async fn move_activity(self, tx: &mut SystemTx<Contacts>) -> Result<()> {
        sqlx::query!(
            "update conversation_events set conversation_id = $3 where workspace_id = $1 and conversation_id = $2",
            self.workspace as _,
            self.from as _,
            self.into as _,
        )
        .execute(tx.conn())
        .await?;
        sqlx::query!(
            "update mentions set conversation_id = $3 where workspace_id = $1 and conversation_id = $2",
            self.workspace as _,
            self.from as _,
            self.into as _,
        )
        .execute(tx.conn())
        .await?;
        Ok(())
    }

    /// A user's draft moves, or is appended to the one that they have in the other conversation.
    async fn join_drafts(self, tx: &mut SystemTx<Contacts>) -> Result<()> {
        sqlx::query!(
            "update drafts d
                set content = left(concat_ws(E'\\n', nullif(d.content, ''), nullif(o.content, '')), 5000),
                    media_ids = (d.media_ids || o.media_ids)[1:10], updated_at = clock_timestamp()
               from drafts o
              where d.workspace_id = $1 and d.conversation_id = $3
                and o.workspace_id = $1 and o.conversation_id = $2 and o.user_id = d.user_id",
            self.workspace as _,
            self.from as _,
            self.into as _,
        )
        .execute(tx.conn())
        .await?;
        sqlx::query!(
            "update drafts o set conversation_id = $3
              where o.workspace_id = $1 and o.conversation_id = $2
                and not exists (select from drafts d
                                 where d.workspace_id = $1 and d.conversation_id = $3 and d.user_id = o.user_id)",
            self.workspace as _,
            self.from as _,
            self.into as _,
        )
        .execute(tx.conn())
        .await?;
        Ok(())
    }

    /// The status is the one that asks for more attention.
    async fn join_state(self, tx: &mut SystemTx<Contacts>) -> Result<()> {
        sqlx::query!(
            "update conversations s
                set unread_count = s.unread_count + g.unread_count,
                    status = case when 'open' in (s.status, g.status) then 'open'
                                  when 'pending' in (s.status, g.status) then 'pending'
                                  when 'snoozed' in (s.status, g.status) then 'snoozed'
                                  else 'done' end,
                    snoozed_until = case when s.status in ('open', 'pending') or g.status in ('open', 'pending') then null
                                         else least(s.snoozed_until, g.snoozed_until) end,
                    assignee_id = coalesce(s.assignee_id, g.assignee_id),
                    near_stop_id = greatest(s.near_stop_id, g.near_stop_id),
                    waiting_since = least(s.waiting_since, g.waiting_since),
                    (last_message_at, last_message_preview, last_message_direction, last_message_status, last_message_id)
                        = (select n.last_message_at, n.last_message_preview, n.last_message_direction, n.last_message_status,
                                  n.last_message_id
                             from conversations n
                            where n.workspace_id = $1 and n.id in ($2, $3)
                            order by n.last_message_at desc, n.id = $3 desc
                            limit 1),
                    created_at = least(s.created_at, g.created_at), updated_at = now()
               from conversations g
              where s.workspace_id = $1 and s.id = $3 and g.workspace_id = $1 and g.id = $2",
            self.workspace as _,
            self.from as _,
            self.into as _,
        )
        .execute(tx.conn())
        .await?;
        Ok(())
    }

    /// Old links lead to the conversation that stays.
    async fn redirect(self, tx: &mut SystemTx<Contacts>) -> Result<()> {
        sqlx::query!(
            "update merged_conversations set into_id = $3 where workspace_id = $1 and into_id = $2",
            self.workspace as _,
            self.from as _,
            self.into as _,
        )
        .execute(tx.conn())
        .await?;
        sqlx::query!(
            "insert into merged_conversations (workspace_id, id, into_id) values ($1, $2, $3)",
            self.workspace as _,
            self.from as _,
            self.into as _,
        )
        .execute(tx.conn())
        .await?;
        sqlx::query!(
            "delete from conversations where workspace_id = $1 and id = $2",
            self.workspace as _,
            self.from as _,
        )
        .execute(tx.conn())
        .await?;
        Ok(())
    }
}

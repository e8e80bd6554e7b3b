//! Cancels texts that were not sent yet.

use super::{Message, find};
use crate::db::WorkspaceTx;
use crate::domain::credits;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{ConversationId, MessageId, NumberId};

/// Cancels a scheduled or queued text and returns its credit. A text that a sender has leased is sent.
pub async fn cancel(tx: &mut WorkspaceTx, id: MessageId) -> Result<Message> {
    // The row lock decides between this and the sender's lease.
    let canceled = sqlx::query!(
        r#"update messages set status = 'canceled', due_at = null, updated_at = now()
            where id = $1 and direction = 'outbound' and status in ('scheduled', 'queued')
            returning number_id as "number: NumberId", conversation_id as "conversation: ConversationId""#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(canceled) = canceled else {
        find(tx, id).await?;
        return Err(Error::TooLate);
    };
    sqlx::query!(
        "update conversations set last_message_status = 'canceled' where id = $1 and last_message_id = $2",
        canceled.conversation as _,
        id as _,
    )
    .execute(tx.conn())
    .await?;
    let workspace = tx.workspace();
    if let Some(returned) = credits::return_credit(tx.conn(), workspace, id).await? {
        tx.announce(returned);
    }
    tx.announce(Event::MessageChanged {
        workspace,
        message: id,
        number: canceled.number,
    });
    tx.announce(Event::Queued); // the conversation's next text may be sent now
    find(tx, id).await
}

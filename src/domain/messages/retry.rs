//! Retries texts that were not delivered.

use super::send::{Draft, QueuedMessage, send_again};
use super::{Direction, Message, Status, find};
use crate::db::WorkspaceTx;
use crate::domain::credits;
use crate::domain::members::Member;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::MessageId;
use crate::language::t;

/// Queues a new text with the same content, because a status never moves back. The checks of any text apply. A second
/// retry returns the first one's text.
pub async fn retry(tx: &mut WorkspaceTx, member: &Member, id: MessageId) -> Result<QueuedMessage> {
    let (message, existing) = lock(tx, id).await?;
    if let Some(existing) = existing {
        return Ok(QueuedMessage {
            message: find(tx, existing).await?,
            credits_remaining: credits::remaining(tx, member).await?,
        });
    }
    match message.status {
        Status::Failed | Status::Undelivered | Status::Canceled => {}
        Status::Unconfirmed => fail_unconfirmed(tx, &message).await?,
        _ => return Err(Error::TooLate),
    }
    let draft = Draft {
        conversation_id: Some(message.conversation_id),
        content: message.content,
        ..Draft::default()
    };
    let sent = send_again(tx, member, draft, id).await?;
    sqlx::query!(
        "update messages set retried_as = $2, updated_at = now() where id = $1",
        id as _,
        sent.message.id as _,
    )
    .execute(tx.conn())
    .await?;
    let workspace = tx.workspace();
    tx.announce(Event::MessageChanged {
        workspace,
        message: id,
        number: message.number_id,
    });
    Ok(sent)
}

/// The text, and its retry if there is one. The row lock makes a concurrent retry wait.
async fn lock(tx: &mut WorkspaceTx, id: MessageId) -> Result<(Message, Option<MessageId>)> {
    let existing = sqlx::query_scalar!(
        r#"select retried_as as "before: MessageId" from messages where id = $1 for no key update"#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound(t!("the message")))?;
    let message = find(tx, id).await?;
    if message.direction != Direction::Outbound {
        return Err(Error::TooLate);
    }
    Ok((message, existing))
}

/// Fails the unconfirmed text. It may have been delivered, so its credit stays spent.
async fn fail_unconfirmed(tx: &mut WorkspaceTx, message: &Message) -> Result<()> {
    sqlx::query!(
        "update messages
            set status = 'failed', error_code = 'given_up', updated_at = now(),
                error_message = 'We don’t know whether this arrived. It was sent again.'
          where id = $1 and status = 'unconfirmed'",
        message.id as _,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

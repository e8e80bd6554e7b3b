//! What providers report of texts on their way. A status only moves forward, in whatever order reports arrive.

use super::{Direction, Status};
use crate::db::{Db, SystemTx};
use crate::domain::credits;
use crate::error::Result;
use crate::events::Event;
use crate::ids::{IntegrationId, MessageId, NumberId, WorkspaceId};
use crate::providers::{self, ErrorClass, StatusReport};

impl From<providers::Status> for Status {
    fn from(status: providers::Status) -> Self {
        match status {
            providers::Status::Scheduled => Self::Scheduled,
            providers::Status::Queued => Self::Queued,
            providers::Status::Sending => Self::Sending,
            providers::Status::Sent => Self::Sent,
            // Who read it got it.
            providers::Status::Delivered | providers::Status::Read => Self::Delivered,
            providers::Status::Undelivered => Self::Undelivered,
            providers::Status::Failed => Self::Failed,
            providers::Status::Canceled => Self::Canceled,
        }
    }
}

impl Status {
    /// Whatever the provider says of a text, it has taken it: that alone is our `sent`.
    pub fn at_least_sent(self) -> Self {
        match self {
            Self::Scheduled | Self::Queued | Self::Sending | Self::Unconfirmed => Self::Sent,
            later => later,
        }
    }
}

/// Takes a verified report. It finds its message by our id in the callback's URL, which may come before the answer to the
/// send did, or by the provider's id. Answers whether there is such a message. One round trip and the commit.
pub async fn report(
    db: &Db,
    workspace: WorkspaceId,
    integration: IntegrationId,
    report: &StatusReport,
) -> Result<bool> {
    let status = report
        .status
        .map(|status| Status::from(status).at_least_sent());
    let mut tx = db.system().await?;
    let found = sqlx::query!(
        r#"with known as (
               select m.workspace_id, m.id, m.status, m.number_id
                 from messages m
                where m.workspace_id = $1 and m.integration_id = $2 and m.direction = $9
                  and (m.provider_sid = $4 or (m.id = $3 and m.provider_sid is null))
                limit 1
                  for update
           ), changed as (
               update messages m
                  set status = case when status_rank($5) > status_rank(m.status) then $5 else m.status end,
                      provider_sid = coalesce(m.provider_sid, $4), provider_status = $6,
                      error_code = coalesce(m.error_code, $7), error_message = coalesce(m.error_message, $8),
                      lease_until = case when status_rank($5) > status_rank(m.status) then null else m.lease_until end,
                      updated_at = now()
                 from known k
                where m.workspace_id = k.workspace_id and m.id = k.id and m.status not in ('delivered', 'canceled')
               returning m.workspace_id, m.conversation_id, m.id, m.status
           ), shown as (
               update conversations v set last_message_status = c.status
                 from changed c
                where v.workspace_id = c.workspace_id and v.id = c.conversation_id and v.last_message_id = c.id
           )
           select k.id as "id: MessageId", k.number_id as "number: NumberId", k.status as "before: Status",
                  c.status as "after?: Status"
             from known k left join changed c on c.id = k.id"#,
        workspace as _,
        integration as _,
        report.our_id,
        report.provider_sid,
        status as _,
        report.raw_status,
        report.error.as_ref().map(|refusal| refusal.code.as_str()),
        report.error.as_ref().map(|refusal| refusal.text.as_str()),
        Direction::Outbound as _,
    )
    .fetch_optional(tx.conn())
    .await?;
    let Some(found) = found else {
        return Ok(false);
    };
    if report
        .error
        .as_ref()
        .is_some_and(|refusal| refusal.class == ErrorClass::OptedOut)
    {
        let code = report
            .error
            .as_ref()
            .map_or("", |refusal| refusal.code.as_str());
        record_opt_out(&mut tx, workspace, found.id, code).await?;
    }
    if found.after.is_some_and(|after| after != found.before) {
        // One that the provider called off never went out after all.
        if found.after == Some(Status::Canceled)
            && let Some(returned) = credits::give_back(tx.conn(), workspace, found.id).await?
        {
            tx.announce(returned);
        }
        tx.announce(Event::MessageChanged {
            workspace,
            message: found.id,
            number: found.number,
        });
        tx.announce(Event::Queued);
    }
    tx.commit().await?;
    Ok(true)
}

/// The provider says that this text's recipient opted out: nothing more is sent to them from that number.
pub(super) async fn record_opt_out(
    tx: &mut SystemTx,
    workspace: WorkspaceId,
    message: MessageId,
    code: &str,
) -> Result<()> {
    let told = sqlx::query!(
        "select m.conversation_id, m.number_id
           from messages m
          where m.workspace_id = $1 and m.id = $2 and hear_wish($1, $2, 'stop', 'provider', $3)",
        workspace as _,
        message as _,
        code,
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(row) = told {
        tx.announce(Event::ConversationChanged {
            workspace,
            conversation: row.conversation_id,
            number: row.number_id,
        });
    }
    Ok(())
}

//! Status reports of providers. A status only moves forward, in whatever order reports arrive.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Status;
use super::batch::{BatchSender, Batched, Writer};
use crate::app::App;
use crate::db::purpose::SystemPurpose;
use crate::db::{Db, SystemTx};
use crate::domain::credits;
use crate::domain::webhooks::Via;
use crate::error::Result;
use crate::events::Event;
use crate::ids::{ConversationId, IntegrationId, MessageId, NumberId, WorkspaceId};
use crate::providers::{self, ErrorClass, StatusReport};

impl From<providers::Status> for Status {
    fn from(status: providers::Status) -> Self {
        match status {
            providers::Status::Scheduled => Self::Scheduled,
            providers::Status::Queued => Self::Queued,
            providers::Status::Sending => Self::Sending,
            providers::Status::Sent => Self::Sent,
            // A text that was read was delivered.
            providers::Status::Delivered | providers::Status::Read => Self::Delivered,
            providers::Status::Undelivered => Self::Undelivered,
            providers::Status::Failed => Self::Failed,
            providers::Status::Canceled => Self::Canceled,
        }
    }
}

impl Status {
    /// Any status from the provider means that it accepted the text, which is our `sent`.
    pub fn at_least_sent(self) -> Self {
        match self {
            Self::Scheduled | Self::Queued | Self::Sending | Self::Unconfirmed => Self::Sent,
            later => later,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Report {
    pub workspace: WorkspaceId,
    pub integration: IntegrationId,
    pub provider: providers::Kind,
    pub via: Via,
    pub report: StatusReport,
}

/// The handle of the writer of reports, which share transactions under load.
#[derive(Clone)]
pub struct Reports(BatchSender<Report>);

impl Reports {
    /// Returns the handle, and the writer, which the caller must run.
    pub fn new(app: &App) -> (Self, Writer<Report>) {
        let (sender, writer) = BatchSender::new(app.db.clone(), app.background.clone());
        (Self(sender), writer)
    }

    /// Finds the message by our id in the callback URL, which works before the response to the send has arrived, or by
    /// the provider's id. Returns after the commit whether the message exists.
    pub async fn take(&self, report: Report) -> Result<bool> {
        self.0.write(report).await
    }
}

impl Batched for Report {
    type Written = bool;

    fn write<'a>(db: &'a Db, batch: &'a [&'a Self]) -> BoxFuture<'a, Result<Vec<bool>>> {
        take(db, batch).boxed()
    }
}

/// Three round trips for a batch of any size (begin, all reports, commit), and one for each canceled text.
async fn take(db: &Db, reports: &[&Report]) -> Result<Vec<bool>> {
    let each = || reports.iter();
    let each_report = || reports.iter().map(|report| &report.report);
    let refusals = || each_report().map(|report| report.error.as_ref());
    let mut tx = db.ingest().await?;
    let rows = sqlx::query!(
        r#"select place as "place!", message_id as "message: MessageId", number_id as "number: NumberId",
                  conversation_id as "conversation: ConversationId", changed as "changed!", canceled as "canceled!",
                  opted_out as "opted_out!"
             from apply_delivery_reports($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::text[]::numeric[], $13, $14)"#,
        &each().map(|report| report.workspace).collect::<Vec<_>>() as _,
        &each().map(|report| report.integration).collect::<Vec<_>>() as _,
        &each()
            .map(|report| report.provider.as_str())
            .collect::<Vec<_>>() as _,
        &each_report()
            .map(|report| report.provider_sid.as_str())
            .collect::<Vec<_>>() as _,
        &each_report().map(|report| report.our_id).collect::<Vec<_>>() as _,
        &each_report().map(status).collect::<Vec<_>>() as _,
        &each_report()
            .map(|report| report.raw_status.as_str())
            .collect::<Vec<_>>() as _,
        &refusals()
            .map(|refusal| refusal.map(|refusal| refusal.code.as_str()))
            .collect::<Vec<_>>() as _,
        &refusals()
            .map(|refusal| refusal.map(|refusal| refusal.text.stored()))
            .collect::<Vec<_>>() as _,
        &refusals()
            .map(|refusal| refusal.is_some_and(|refusal| refusal.class == ErrorClass::OptedOut))
            .collect::<Vec<_>>(),
        &each_report().map(segments).collect::<Vec<_>>() as _,
        &each_report()
            .map(|report| report.price.as_ref().map(|price| price.amount.as_str()))
            .collect::<Vec<_>>() as _,
        &each_report()
            .map(|report| report.price.as_ref().map(|price| price.currency.as_str()))
            .collect::<Vec<_>>() as _,
        &each().map(|report| report.via).collect::<Vec<_>>() as _,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut found = vec![false; reports.len()];
    for row in rows {
        let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
        let (Some(report), Some(found)) = (reports.get(place), found.get_mut(place)) else {
            continue;
        };
        let (Some(message), Some(number), Some(conversation)) =
            (row.message, row.number, row.conversation)
        else {
            continue;
        };
        *found = true;
        let workspace = report.workspace;
        // The provider canceled it, so it was never sent.
        if row.canceled
            && let Some(returned) = credits::return_credit(tx.conn(), workspace, message).await?
        {
            tx.announce(returned);
        }
        if row.opted_out {
            tx.announce(Event::ConsentChanged {
                workspace,
                conversation,
            });
        }
        if row.changed {
            tx.announce(Event::MessageChanged {
                workspace,
                message,
                number,
            });
            tx.announce(Event::Queued);
        }
    }
    tx.commit().await?;
    Ok(found)
}

/// `None` if the provider's status is unknown.
fn status(report: &StatusReport) -> Option<Status> {
    Some(Status::from(report.status?).at_least_sent())
}

fn segments(report: &StatusReport) -> Option<i16> {
    let segments = i16::try_from(report.segments?).ok()?;
    (segments > 0).then_some(segments)
}

/// Records that the recipient opted out according to the provider: that number sends them nothing more.
pub(super) async fn record_opt_out<P: SystemPurpose>(
    tx: &mut SystemTx<P>,
    workspace: WorkspaceId,
    message: MessageId,
    code: &str,
) -> Result<()> {
    let conversation = sqlx::query_scalar!(
        "select m.conversation_id
           from messages m
          where m.workspace_id = $1 and m.id = $2 and record_consent($1, $2, 'stop', 'provider', $3)",
        workspace as _,
        message as _,
        code,
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(conversation) = conversation {
        tx.announce(Event::ConsentChanged {
            workspace,
            conversation,
        });
    }
    Ok(())
}

/// Records an opt-out from content that was fetched after its text, unless the sender's consent has changed since.
pub async fn record_late_stop<P: SystemPurpose>(
    tx: &mut SystemTx<P>,
    workspace: WorkspaceId,
    message: MessageId,
) -> Result<()> {
    let conversation = sqlx::query_scalar!(
        r#"select m.conversation_id as "conversation: ConversationId"
             from messages m
            where m.workspace_id = $1 and m.id = $2
              and not exists (select from consents c
                               where c.workspace_id = m.workspace_id and c.contact_id = m.contact_id and c.number_id = m.number_id
                                 and c.created_at > m.created_at)
              and record_consent($1, $2, 'stop')"#,
        workspace as _,
        message as _,
    )
    .fetch_optional(tx.conn())
    .await?;
    if let Some(conversation) = conversation {
        tx.announce(Event::ConsentChanged {
            workspace,
            conversation,
        });
    }
    Ok(())
}

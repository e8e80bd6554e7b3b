//! Status reports of providers. A status only moves forward, in whatever order reports arrive.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::postgres::{PgHasArrayType, PgTypeInfo, Postgres};

use super::Status;
use super::batch::{BatchSender, Batched, Writer};
use crate::app::App;
use crate::db::purpose::SystemPurpose;
use crate::db::{Db, SystemTx};
use crate::domain::webhooks::Via;
use crate::error::Result;
use crate::events::Event;
use crate::ids::{ConversationId, IntegrationId, MessageId, NumberId, UserId, WorkspaceId};
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

    /// If the commit succeeded, the provider's retry changes nothing and announces nothing, so clients must refetch.
    fn on_uncertain_commit(&self, db: &Db) {
        db.bus().publish(Event::Missed {
            workspace: self.workspace,
        });
    }
}

/// The argument of the SQL function `apply_delivery_reports`.
#[derive(sqlx::Encode)]
#[sqlx(type_name = "delivery_report")]
struct DeliveryReport<'a> {
    workspace_id: WorkspaceId,
    integration_id: IntegrationId,
    provider: &'static str,
    provider_sid: &'a str,
    our_id: Option<uuid::Uuid>,
    status: Option<Status>,
    raw_status: &'a str,
    error_code: Option<&'a str>,
    error_message: Option<String>,
    is_opt_out: bool,
    segments: Option<i16>,
    price: Option<&'a str>,
    price_unit: Option<&'a str>,
    via: Via,
}

impl sqlx::Type<Postgres> for DeliveryReport<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("delivery_report")
    }
}

impl PgHasArrayType for DeliveryReport<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::array_of("delivery_report")
    }
}

impl<'a> DeliveryReport<'a> {
    fn new(given: &'a Report) -> Self {
        let report = &given.report;
        let (error, price) = (report.error.as_ref(), report.price.as_ref());
        Self {
            workspace_id: given.workspace,
            integration_id: given.integration,
            provider: given.provider.as_str(),
            provider_sid: &report.provider_sid,
            our_id: report.our_id,
            status: status(report),
            raw_status: &report.raw_status,
            error_code: error.map(|refusal| refusal.code.as_str()),
            error_message: error.map(|refusal| refusal.text.stored()),
            is_opt_out: error.is_some_and(|refusal| refusal.class == ErrorClass::OptedOut),
            segments: segments(report),
            price: price.map(|price| price.amount.as_str()),
            price_unit: price.map(|price| price.currency.as_str()),
            via: given.via,
        }
    }
}

/// One round trip for a batch of any size.
async fn take(db: &Db, reports: &[&Report]) -> Result<Vec<bool>> {
    let given: Vec<_> = reports
        .iter()
        .map(|report| DeliveryReport::new(report))
        .collect();
    let rows = sqlx::query!(
        r#"select place as "place!", message_id as "message!: MessageId", number_id as "number!: NumberId",
                  conversation_id as "conversation!: ConversationId", changed as "changed!", opted_out as "opted_out!",
                  credited as "credited: UserId"
             from apply_delivery_reports($1)"#,
        &given as _,
    )
    .fetch_all(db.ingest_pool())
    .await?;
    let mut found = vec![false; reports.len()];
    let mut any_changed = false;
    for row in rows {
        let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
        let (Some(report), Some(found)) = (reports.get(place), found.get_mut(place)) else {
            continue;
        };
        *found = true;
        let workspace = report.workspace;
        if let Some(user) = row.credited {
            db.bus().publish(Event::CreditsChanged {
                workspace,
                user,
                low: false,
            });
        }
        if row.opted_out {
            db.bus().publish(Event::ConsentChanged {
                workspace,
                conversation: row.conversation,
            });
        }
        if row.changed {
            any_changed = true;
            db.bus().publish(Event::MessageChanged {
                workspace,
                message: row.message,
                number: row.number,
            });
        }
    }
    if any_changed {
        // Later texts of the same conversations may be waiting for these.
        db.bus().publish(Event::Queued);
    }
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

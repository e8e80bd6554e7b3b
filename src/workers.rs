//! Background jobs. `all` lists them all.

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock::{MEASURE_INTERVAL, measure};
use crate::db::purpose::Jobs;
use crate::domain::integrations::{Directory, uses};
use crate::domain::messages::batch::Writer;
use crate::domain::messages::receive::{Arrival, Ingest};
use crate::domain::messages::status::Report;
use crate::web::live::Hub;
use crate::web::ops::{SUM_INTERVAL, sum_metrics};

pub mod clock;
pub mod email_notifier;
pub mod housekeeping;
pub mod importer;
pub mod leased_calls;
pub mod media_fetcher;
pub mod outcome_resolver;
pub mod push_notifier;
pub mod reconciler;
pub mod runner;
pub mod search_indexer;
pub mod sender;
pub mod supervisor;
pub mod usage_sync;

use leased_calls::LeasedCalls;
use media_fetcher::MediaFetcher;
use outcome_resolver::OutcomeResolver;
use reconciler::Reconciler;
use runner::Worker;
use sender::Sender;
use usage_sync::UsageSync;

/// What the workers work with.
pub struct Parts<'a> {
    pub app: &'a App,
    pub directory: &'a Directory,
    pub hub: &'a Hub,
    pub ingest: &'a Ingest,
    pub ingest_writer: &'a Writer<Arrival>,
    pub report_writer: &'a Writer<Report>,
    pub calling: &'a Calling,
    pub stopping: &'a CancellationToken,
}

pub struct Workers {
    /// Run from the start of the server.
    pub at_start: Vec<Worker>,
    /// Run from `Server::start_calls`: they call providers, or queue messages.
    pub on_start_calls: Vec<Worker>,
}

/// All workers. `every` runs once per interval; `continuous` waits for its work by itself; `leasing` shares work with
/// other servers, polls at least once per interval, and ends its leases when the server stops.
#[rustfmt::skip] // a line per worker
pub fn all(parts: &Parts) -> Workers {
    let &Parts { app, directory, hub, ingest, ingest_writer, report_writer, calling, stopping } = parts;
    let (mail, push) = ((app.mail.clone(), stopping.clone()), (app.clone(), hub.clone()));
    Workers {
        at_start: vec![
            Worker::continuous("ingest", ingest_writer, Writer::run),
            Worker::continuous("reports", report_writer, Writer::run),
            Worker::continuous("directory", directory, Directory::invalidate_on_events),
            Worker::continuous("live", hub, Hub::run),
            Worker::continuous("mail", &mail, |(mail, stopping)| mail.run(stopping)),
            Worker::continuous("email_notifier", app, email_notifier::run),
            Worker::continuous("push_notifier", &push, |(app, hub)| push_notifier::run(app, hub)),
            Worker::every("credential_use_flusher", uses::FLUSH_INTERVAL, directory, async |directory| directory.flush_uses().await),
            Worker::every("metrics", SUM_INTERVAL, &(), async |()| { sum_metrics(); Ok(()) }),
            Worker::every("time", MEASURE_INTERVAL, app, async |app| measure(app.db.system_pool(Jobs)).await),
            Worker::every("search_indexer", search_indexer::INTERVAL, &(app.clone(), ingest.clone()), async |(app, ingest)| search_indexer::run_once(&app, &ingest).await),
            Worker::every("housekeeping", housekeeping::INTERVAL, app, async |app| housekeeping::tidy(&app).await),
        ],
        on_start_calls: vec![
            Worker::leasing("sender", sender::POLL_INTERVAL, &calling.sender),
            Worker::leasing("outcome_resolver", outcome_resolver::POLL_INTERVAL, &calling.outcome_resolver),
            Worker::leasing("media_fetcher", media_fetcher::POLL_INTERVAL, &calling.media_fetcher),
            Worker::leasing("reconciler", reconciler::POLL_INTERVAL, &calling.reconciler),
            Worker::leasing("usage_sync", usage_sync::POLL_INTERVAL, &calling.usage_sync),
            Worker::every("clock", clock::TICK, app, async |app| clock::run_once(&app).await),
            Worker::every("importer", importer::POLL_INTERVAL, app, async |app| importer::run_once(&app).await.map(drop)),
        ],
    }
}

/// The workers that call providers. Tests step them by hand.
pub struct Calling {
    pub sender: LeasedCalls<Sender>,
    pub outcome_resolver: LeasedCalls<OutcomeResolver>,
    pub media_fetcher: LeasedCalls<MediaFetcher>,
    pub reconciler: LeasedCalls<Reconciler>,
    pub usage_sync: LeasedCalls<UsageSync>,
}

impl Calling {
    pub fn new(
        app: &App,
        directory: &Directory,
        ingest: Ingest,
        stopping: &CancellationToken,
    ) -> Self {
        let sender = Sender::new(app, directory, stopping);
        let outcome_resolver = OutcomeResolver::new(app, directory);
        let media_fetcher = MediaFetcher::new(app, directory);
        let reconciler = Reconciler::new(app, directory, ingest);
        let usage_sync = UsageSync::new(app, directory);
        Self {
            sender: LeasedCalls::new(sender, app.db.bus(), stopping),
            outcome_resolver: LeasedCalls::new(outcome_resolver, app.db.bus(), stopping),
            media_fetcher: LeasedCalls::new(media_fetcher, app.db.bus(), stopping),
            reconciler: LeasedCalls::new(reconciler, app.db.bus(), stopping),
            usage_sync: LeasedCalls::new(usage_sync, app.db.bus(), stopping),
        }
    }
}

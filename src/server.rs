//! A running server: web layer, workers and live hub around an `App`.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::messages::receive::Ingest;
use crate::domain::messages::status::Reports;
use crate::domain::quarantine::RateLimiter;
use crate::files::{self, Shares};
use crate::web::listen::ClientTimeouts;
use crate::web::live::{Caps, Hub};
use crate::web::{self, Components};
use crate::workers::leased_calls::LeasedCalls;
use crate::workers::media_fetcher::MediaFetcher;
use crate::workers::outcome_resolver::OutcomeResolver;
use crate::workers::reconciler::Reconciler;
use crate::workers::runner::{Running, Worker};
use crate::workers::sender::Sender;
use crate::workers::usage_sync::UsageSync;
use crate::workers::{self, Calling};

/// How long pending requests may take after the server begins to stop.
const REQUEST_DRAIN: Duration = Duration::from_secs(8);

/// How long queued emails may take after that.
const MAIL_DRAIN: Duration = Duration::from_secs(2);

pub struct Server {
    pub app: App,
    pub address: SocketAddr,
    pub sender: LeasedCalls<Sender>,
    pub outcome_resolver: LeasedCalls<OutcomeResolver>,
    pub media_fetcher: LeasedCalls<MediaFetcher>,
    pub reconciler: LeasedCalls<Reconciler>,
    pub usage_sync: LeasedCalls<UsageSync>,
    directory: Directory,
    stopping: CancellationToken,
    http: JoinHandle<()>,
    running: Running,
    /// The workers that `start_calls` starts.
    waiting: Vec<Worker>,
}

impl Server {
    /// Wires everything, and listens. The workers that call providers wait for `start_calls`.
    #[expect(clippy::disallowed_methods, reason = "`stop` waits for the task")]
    pub fn start(app: App, listener: TcpListener) -> std::io::Result<Self> {
        web::ops::begin();
        let address = listener.local_addr()?;
        let stopping = CancellationToken::new();
        let directory = Directory::new(app.clone());
        let (ingest, ingest_writer) = Ingest::new(&app);
        let (reports, report_writer) = Reports::new(&app);
        let files = Shares::of(files::limit(), app.config.database_connections);
        let hub = Hub::new(
            app.db.clone(),
            Caps {
                per_member: app.config.sockets_per_member,
                per_address: app.config.sockets_per_address,
                in_all: files.sockets,
            },
        );
        let calling = Calling::new(&app, &directory, ingest.clone(), &stopping);
        let workers = workers::all(&workers::Parts {
            app: &app,
            directory: &directory,
            hub: &hub,
            ingest: &ingest,
            ingest_writer: &ingest_writer,
            report_writer: &report_writer,
            calling: &calling,
            stopping: &stopping,
        });
        let mut running = Running::default();
        running.start(workers.at_start);
        let components = Components {
            app: app.clone(),
            directory: directory.clone(),
            ingest,
            reports,
            rate_limiter: RateLimiter::default(),
            hub,
            stopping: stopping.clone(),
            health: running.health.clone(),
        };
        let router = web::router(components.into());
        let http = web::listen::serve(
            listener,
            router,
            stopping.clone(),
            files.connections,
            ClientTimeouts::default(),
        );
        Ok(Self {
            sender: calling.sender,
            outcome_resolver: calling.outcome_resolver,
            media_fetcher: calling.media_fetcher,
            reconciler: calling.reconciler,
            usage_sync: calling.usage_sync,
            app,
            address,
            directory,
            stopping,
            http: tokio::spawn(http),
            running,
            waiting: workers.on_start_calls,
        })
    }

    /// Starts the workers that call providers or queue messages.
    pub fn start_calls(&mut self) {
        self.running.start(std::mem::take(&mut self.waiting));
    }

    /// Stops accepting, finishes pending requests and sends, closes sockets and the database.
    pub async fn stop(mut self) {
        self.stopping.cancel();
        if timeout(REQUEST_DRAIN, self.drain()).await.is_err() {
            tracing::warn!("shutdown timed out: aborting pending requests");
        }
        self.http.abort();
        self.running.abort().await;
        if let Err(error) = self.directory.flush_uses().await {
            tracing::warn!(%error, "the last credential uses could not be stored");
        }
        self.app.db.close().await;
    }

    async fn drain(&mut self) {
        let _ = (&mut self.http).await;
        self.running.wait_for_leases().await;
        self.app.background.close();
        self.app.background.wait().await;
        // The last requests may have queued emails.
        let _ = timeout(MAIL_DRAIN, self.app.mail.wait_until_empty()).await;
    }
}

//! MessageHub: a multi-tenant SMS inbox.
//!
//! Modules in layer order; imports point down this page only.

// ── adapters: they translate, they decide nothing ──
pub mod web; //       every route; JSON, pages, the WebSocket, the providers' webhooks
pub mod workers; //   background jobs: sender, clock, outcome resolver, media fetcher, reconciler, notifiers, housekeeping

// ── domain: nouns and verbs of the product ──
pub mod domain; //    members ← accounts ← workspaces ← numbers, credits, contacts ← conversations ← messages

pub mod app; //       handles shared by adapters, workers and verbs that call providers

// ── infrastructure: knows no tenant data ──
pub mod addresses; // internal and reserved IP addresses and host names
pub mod clock; //     the current time, by the database's clock
pub mod config; //    all settings, read once
pub mod db; //        WorkspaceTx, SystemTx; migrations; the embedded PostgreSQL
pub mod error; //     the errors of the domain
pub mod events; //    domain events, ids only
pub mod fail_point; //     aborts and panics that tests inject
pub mod files; //     the open file limit and its shares
pub mod fold; //      text folding for search: case and accents removed
pub mod ids; //       an id type per noun
pub mod keys; //      access tokens, encryption of credentials
pub mod language; //  translation of messages
pub mod listing; //   pagination, cursors
pub mod logging; //   the log on standard error; logging never blocks
pub mod mail; //      e-mail
pub mod passwords; // password hashes, a few at a time
pub mod phone; //     phone numbers and other addresses
pub mod pictures; //  file types; metadata removal, thumbnails
pub mod providers; // trait Provider: Twilio, Telnyx, sandbox
pub mod push; //      web push notifications
pub mod sheet; //     reading and writing CSV files
pub mod storage; //   media storage: a directory or a bucket
pub mod unicode; //   the composed form of text (NFC)

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::config::Config;
use crate::db::Db;
use crate::domain::integrations::Directory;
use crate::domain::messages::receive::Ingest;
use crate::domain::messages::status::Reports;
use crate::domain::quarantine::RateLimiter;
use crate::events::Bus;
use crate::files::Shares;
use crate::keys::{MasterKeys, Tokens};
use crate::mail::Mailer;
use crate::passwords::Passwords;
use crate::providers::{Hosts, Providers};
use crate::push::{PushSender, VapidKey};
use crate::storage::Storage;
use crate::web::AppState;
use crate::web::listen::ClientTimeouts;
use crate::web::live::{Caps, Hub};
use crate::workers::media_fetcher::MediaFetcher;
use crate::workers::outcome_resolver::OutcomeResolver;
use crate::workers::reconciler::Reconciler;
use crate::workers::sender::Sender;
use crate::workers::supervisor::{Health, every, keep_running};
use crate::workers::usage_sync::UsageSync;

/// How long pending requests may take after the server begins to stop.
const REQUEST_DRAIN: Duration = Duration::from_secs(8);

/// How long queued e-mails may take after that.
const MAIL_DRAIN: Duration = Duration::from_secs(2);

/// Opens everything that `config` names. The schema must be up to date.
pub async fn open(config: Config, database: PgConnectOptions) -> anyhow::Result<App> {
    let (tokens, keys, vapid) = secrets(&config)?;
    let hosts = Hosts {
        twilio: config.twilio_api.to_string(),
        telnyx: config.telnyx_api.to_string(),
    };
    Ok(App {
        db: Db::open(database, config.database_connections, Bus::new()).await?,
        providers: Providers::new(hosts),
        mail: Mailer::new(config.mail_from.clone(), config.smtp.clone()),
        push: PushSender::new(
            vapid,
            config.base_url.to_string(),
            config.push_inside.clone(),
        ),
        storage: Storage::open(&config.media).map_err(anyhow::Error::msg)?,
        passwords: Passwords::default(),
        background: TaskTracker::new(),
        config: Arc::new(config),
        tokens,
        keys,
    })
}

/// The server's own secrets: from the configuration, or from files in `DATA_DIR` that the first start creates.
fn secrets(config: &Config) -> anyhow::Result<(Tokens, Arc<MasterKeys>, VapidKey)> {
    let stored_secret = |name: &str, make: fn() -> String| -> anyhow::Result<SecretString> {
        let file = config.data_dir.join(name);
        std::fs::create_dir_all(&config.data_dir)
            .and_then(|()| keys::read_or_create(&file, make))
            .with_context(|| {
                format!(
                    "DATA_DIR={} must be a directory that this user can write to",
                    config.data_dir.display()
                )
            })
    };
    let jwt = match &config.jwt_secret {
        Some(secret) => secret.clone(),
        None => stored_secret("jwt_secret", keys::random)?,
    };
    let master = match &config.master_keys {
        Some(keys) => Arc::clone(keys),
        None => {
            let text = stored_secret("master_keys", || format!("k1:{}", keys::random()))?;
            Arc::new(
                MasterKeys::parse(text.expose_secret())
                    .context("the file master_keys in DATA_DIR was damaged")?,
            )
        }
    };
    let vapid = match &config.vapid_key {
        Some(key) => key.clone(),
        None => stored_secret("vapid_key", push::new_key)?,
    };
    let vapid = VapidKey::parse(vapid.expose_secret())
        .map_err(|_| anyhow::anyhow!("the file vapid_key in DATA_DIR was damaged"))?;
    Ok((Tokens::new(&jwt), master, vapid))
}

pub struct Server {
    pub app: App,
    pub address: SocketAddr,
    pub sender: Sender,
    pub outcome_resolver: OutcomeResolver,
    pub media_fetcher: MediaFetcher,
    pub reconciler: Reconciler,
    pub usage_sync: UsageSync,
    directory: Directory,
    stopping: CancellationToken,
    http: JoinHandle<()>,
    health: Health,
    /// Workers that release their leases when the server stops.
    leasing: JoinSet<()>,
    background: JoinSet<()>,
}

/// Wires web layer, workers and live hub around `app`, and listens. The workers that send and fetch wait for
/// `Server::send`.
pub fn start(app: App, listener: TcpListener) -> std::io::Result<Server> {
    web::ops::begin();
    let stopping = CancellationToken::new();
    let address = listener.local_addr()?;
    let directory = Directory::new(app.clone());
    let (ingest, writer) = Ingest::new(app.db.clone());
    let (reports, report_writer) = Reports::new(app.db.clone());
    let files = Shares::of(files::limit(), app.config.database_connections);
    let hub = Hub::new(
        app.db.clone(),
        Caps {
            per_member: app.config.sockets_per_member,
            per_address: app.config.sockets_per_address,
            in_all: files.sockets,
        },
    );
    let health = Health::default();
    let mut background = JoinSet::new();
    let (writer, report_writer) = (
        Arc::new(tokio::sync::Mutex::new(writer)),
        Arc::new(tokio::sync::Mutex::new(report_writer)),
    );
    supervise(&mut background, &health, "ingest", move || {
        let writer = Arc::clone(&writer);
        async move { writer.lock().await.run().await }
    });
    supervise(&mut background, &health, "reports", move || {
        let writer = Arc::clone(&report_writer);
        async move { writer.lock().await.run().await }
    });
    let cached = directory.clone();
    supervise(&mut background, &health, "directory", move || {
        cached.clone().invalidate_on_events()
    });
    let live = hub.clone();
    supervise(&mut background, &health, "live", move || live.clone().run());
    let (mail, until) = (app.mail.clone(), stopping.clone());
    supervise(&mut background, &health, "mail", move || {
        mail.clone().run(until.clone())
    });
    let notifier_app = app.clone();
    supervise(&mut background, &health, "email_notifier", move || {
        workers::email_notifier::run(notifier_app.clone())
    });
    let (push_app, live) = (app.clone(), hub.clone());
    supervise(&mut background, &health, "push_notifier", move || {
        workers::push_notifier::run(push_app.clone(), live.clone())
    });
    let flushed = directory.clone();
    background.spawn(every(
        health.clone(),
        "credential_use_flusher",
        workers::credential_use_flusher::INTERVAL,
        move || {
            let flushed = flushed.clone();
            async move { flushed.flush_uses().await }
        },
    ));
    let db = app.db.clone();
    background.spawn(every(
        health.clone(),
        "time",
        clock::MEASURE_INTERVAL,
        move || {
            let db = db.clone();
            async move { clock::measure(db.system_pool()).await }
        },
    ));
    let housekeeping_app = app.clone();
    background.spawn(every(
        health.clone(),
        "housekeeping",
        workers::housekeeping::INTERVAL,
        move || {
            let app = housekeeping_app.clone();
            async move { workers::housekeeping::tidy(&app).await }
        },
    ));
    let app_state = AppState {
        app: app.clone(),
        directory: directory.clone(),
        ingest: ingest.clone(),
        reports,
        rate_limiter: RateLimiter::default(),
        hub,
        stopping: stopping.clone(),
        health: health.clone(),
    };
    let http = web::listen::serve(
        listener,
        web::router(app_state),
        stopping.clone(),
        files.connections,
        ClientTimeouts::default(),
    );
    Ok(Server {
        sender: Sender::new(app.clone(), directory.clone()),
        outcome_resolver: OutcomeResolver::new(app.clone(), directory.clone()),
        media_fetcher: MediaFetcher::new(app.clone(), directory.clone()),
        reconciler: Reconciler::new(app.clone(), directory.clone(), ingest),
        usage_sync: UsageSync::new(app.clone(), directory.clone()),
        directory,
        app,
        address,
        stopping,
        http: tokio::spawn(http),
        health,
        leasing: JoinSet::new(),
        background,
    })
}

fn supervise<Run>(
    workers: &mut JoinSet<()>,
    health: &Health,
    name: &'static str,
    worker: impl Fn() -> Run + Send + Sync + 'static,
) where
    Run: Future<Output = ()> + Send + 'static,
{
    let worker = Arc::new(worker);
    workers.spawn(keep_running(health.clone(), name, move || {
        let worker = Arc::clone(&worker);
        async move {
            worker().await;
            Ok(())
        }
    }));
}

impl Server {
    /// Starts the workers that call providers: sender, outcome resolver, media fetcher, reconciler, usage sync; and the
    /// clock and the importer.
    pub fn send(&mut self) {
        let stopping = || self.stopping.clone();
        let (sender, until) = (self.sender.clone(), stopping());
        supervise(&mut self.leasing, &self.health, "sender", move || {
            sender.clone().run(until.clone())
        });
        let (media_fetcher, until) = (self.media_fetcher.clone(), stopping());
        self.leasing.spawn(keep_running(
            self.health.clone(),
            "media_fetcher",
            move || media_fetcher.clone().run(until.clone()),
        ));
        let (reconciler, until) = (self.reconciler.clone(), stopping());
        self.leasing
            .spawn(keep_running(self.health.clone(), "reconciler", move || {
                reconciler.clone().run(until.clone())
            }));
        let (usage_sync, until) = (self.usage_sync.clone(), stopping());
        self.leasing
            .spawn(keep_running(self.health.clone(), "usage_sync", move || {
                usage_sync.clone().run(until.clone())
            }));
        let outcome_resolver = self.outcome_resolver.clone();
        self.background.spawn(keep_running(
            self.health.clone(),
            "outcome_resolver",
            move || outcome_resolver.clone().run(),
        ));
        let app = self.app.clone();
        self.background.spawn(every(
            self.health.clone(),
            "clock",
            workers::clock::TICK,
            move || {
                let app = app.clone();
                async move { workers::clock::run_once(&app).await }
            },
        ));
        let app = self.app.clone();
        self.background.spawn(every(
            self.health.clone(),
            "importer",
            workers::importer::POLL_INTERVAL,
            move || {
                let app = app.clone();
                async move { workers::importer::run_once(&app).await.map(drop) }
            },
        ));
    }

    /// Stops accepting, finishes pending requests and sends, closes sockets and the database.
    pub async fn stop(mut self) {
        self.stopping.cancel();
        let leasing = &mut self.leasing;
        let drain = async {
            let _ = (&mut self.http).await;
            while leasing.join_next().await.is_some() {}
            self.app.background.close();
            self.app.background.wait().await;
            // The last requests may have queued e-mails.
            let _ = tokio::time::timeout(MAIL_DRAIN, self.app.mail.wait_until_empty()).await;
        };
        if tokio::time::timeout(REQUEST_DRAIN, drain).await.is_err() {
            tracing::warn!("shutdown timed out: aborting pending requests");
        }
        self.http.abort();
        self.leasing.shutdown().await;
        self.background.shutdown().await;
        if let Err(error) = self.directory.flush_uses().await {
            tracing::warn!(%error, "the last credential uses could not be stored");
        }
        self.app.db.close().await;
    }
}

//! The embedded PostgreSQL: a private cluster under `DATA_DIR` that starts, stops and recovers with the server.
//!
//! A file lock admits one server per directory. The peer of the cluster's Unix socket, the only way in, identifies its
//! postmaster; pid files are not trusted.

mod cluster;
mod error;
mod postmaster;
mod programs;

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Uid;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use cluster::{Cluster, DATABASE, LOGIN};
use error::unusable;
pub use error::{Error, Result};
use postmaster::Postmaster;
pub use programs::programs;

/// A running cluster. Dropping it without [`Embedded::stop`] stops it in the background.
pub struct Embedded {
    options: PgConnectOptions,
    url: String,
    stopping: DropGuard,
    supervisor: JoinHandle<()>,
}

impl Embedded {
    /// Starts the cluster under `data_dir`; creates it on the first start.
    pub async fn start(data_dir: &Path) -> Result<Self> {
        Self::start_with(data_dir, &[]).await
    }

    /// The same with other server settings, such as `("fsync", "off")` for tests.
    pub async fn start_with(data_dir: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let data_dir = private_dir(data_dir)?;
        let server_lock = lock(&data_dir.join("lock"), &data_dir).await?;
        let cluster = Cluster::open(&data_dir, settings).await?;
        // A copy of the directory may share the cluster through its symlink.
        let cluster_lock = lock(&cluster.dir, &data_dir).await?;

        postmaster::stop_orphan(&cluster).await;
        cluster.restore_password().await?;
        let postmaster = Postmaster::start(&cluster).await?;
        let options = options(&cluster);
        let url = url(&cluster);
        try_login(&options, &cluster).await?;

        let stopping = CancellationToken::new();
        let until = stopping.clone();
        #[expect(clippy::disallowed_methods, reason = "`stop` waits for the task")]
        let supervisor = tokio::spawn(async move {
            postmaster.supervise(&cluster, &until).await;
            drop((server_lock, cluster_lock));
        });
        Ok(Self {
            options,
            url,
            stopping: stopping.drop_guard(),
            supervisor,
        })
    }

    /// Connects as the owner of the database `messagehub`, who may create databases and roles but is no superuser.
    pub fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Ends all connections and returns when PostgreSQL has stopped.
    pub async fn stop(self) {
        drop(self.stopping);
        if let Err(error) = self.supervisor.await {
            tracing::error!(%error, "PostgreSQL's supervisor failed");
        }
    }
}

fn private_dir(data_dir: &Path) -> Result<PathBuf> {
    // As root, PostgreSQL's account must reach the cluster through it; all secrets in it are 0600 files.
    let mode = if Uid::effective().is_root() {
        0o711
    } else {
        0o700
    };
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(data_dir)
        .and_then(|()| data_dir.canonicalize())
        .map_err(unusable(data_dir))
}

/// A lock that is held while the file is open; the kernel releases it however the process ends.
///
/// A child being spawned while the previous holder exits inherits it for an instant, so this retries for a second.
async fn lock(path: &Path, data_dir: &Path) -> Result<File> {
    let file = if path.is_dir() {
        File::open(path)
    } else {
        cluster::private_file().open(path)
    }
    .map_err(unusable(path))?;
    for _ in 0..50 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(TryLockError::Error(source)) => return Err(unusable(path)(source)),
        }
    }
    Err(Error::InUse {
        dir: data_dir.to_owned(),
    })
}

fn options(cluster: &Cluster) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(&cluster.socket_dir)
        .port(cluster::PORT)
        .username(LOGIN)
        .password(&cluster.password)
        .database(DATABASE)
        .ssl_mode(PgSslMode::Disable)
}

fn url(cluster: &Cluster) -> String {
    let host = cluster.socket_dir.to_string_lossy();
    let host = utf8_percent_encode(&host, NON_ALPHANUMERIC);
    let (password, port) = (&cluster.password, cluster::PORT);
    format!("postgres://{LOGIN}:{password}@{host}:{port}/{DATABASE}?sslmode=disable")
}

async fn try_login(options: &PgConnectOptions, cluster: &Cluster) -> Result<()> {
    let attempt = async { options.connect().await?.close().await };
    attempt.await.map_err(|source| Error::LoginRefused {
        password: cluster.password_file.clone(),
        source,
    })
}

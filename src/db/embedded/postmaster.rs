//! The postmaster process: start, supervision, restart, stop.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::fail_point;

use super::cluster::{Cluster, PORT};
use super::error::{Error, Result, unusable};
use super::programs::error_line;

const SETTINGS: [(&str, &str); 14] = [
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("max_connections", "100"),
    ("shared_buffers", "128MB"),
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("wal_compression", "on"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("lc_messages", "C"),
    ("log_checkpoints", "off"),
    // An error's detail quotes rows, and phone numbers must not be logged.
    ("log_error_verbosity", "terse"),
    ("cluster_name", "messagehub"),
];

const POLL: Duration = Duration::from_millis(10);

/// How long a start waits for backends of a killed postmaster to end.
const BACKEND_EXIT_TIMEOUT: Duration = Duration::from_secs(60);

/// Fast, immediate and forced shutdown, with the time that each is given.
const SHUTDOWN: [(Signal, Duration); 3] = [
    (Signal::SIGINT, Duration::from_secs(8)),
    (Signal::SIGQUIT, Duration::from_secs(6)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];

const MIN_RESTART_DELAY: Duration = Duration::from_millis(100);
const MAX_RESTART_DELAY: Duration = Duration::from_secs(10);

const LOG_MAX: u64 = 10 * 1024 * 1024;

/// A running postmaster, as a child process. Stopped on drop.
pub(super) struct Postmaster(Child);

impl Drop for Postmaster {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ = kill(pid, Signal::SIGINT);
        }
    }
}

impl Postmaster {
    /// Returns when it accepts connections. Crash recovery has no time limit.
    pub async fn start(cluster: &Cluster) -> Result<Self> {
        let deadline = Instant::now() + BACKEND_EXIT_TIMEOUT;
        loop {
            match Self::try_start(cluster).await {
                // Backends of a killed postmaster end by themselves, at the latest with their statement.
                Err(Error::NotStarted { reason, .. })
                    if reason.contains("shared memory block") && Instant::now() < deadline =>
                {
                    // Or a killed server had just started it, and it did not listen yet when we looked.
                    stop_orphan(cluster).await;
                    sleep(5 * POLL).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_start(cluster: &Cluster) -> Result<Self> {
        cluster.remove_stale_pid_files();
        rotate_log(&cluster.log).map_err(unusable(&cluster.log))?;
        let mut log = open_log(&cluster.log).map_err(unusable(&cluster.log))?;
        let log_offset = log.seek(SeekFrom::End(0)).unwrap_or_default();

        let mut postgres = cluster.program("postgres");
        postgres.arg("-D").arg(&cluster.dir);
        postgres.arg("-p").arg(PORT.to_string());
        let socket_dir = cluster.socket_dir.to_string_lossy().replace('"', "\"\"");
        postgres.arg(format!("--unix_socket_directories=\"{socket_dir}\""));
        postgres.args(SETTINGS.map(|(name, value)| format!("--{name}={value}")));
        postgres.args(
            cluster
                .settings
                .iter()
                .map(|(name, value)| format!("--{name}={value}")),
        );
        let not_started = |reason| Error::NotStarted {
            reason,
            log: cluster.log.clone(),
        };
        let child = log
            .try_clone()
            .and_then(|stdout| postgres.stdout(stdout).stderr(log).spawn())
            .map_err(|error| not_started(error.to_string()))?;
        fail_point::abort_after("while PostgreSQL starts", POLL).await;

        let mut postmaster = Self(child);
        loop {
            if let Ok(Some(status)) = postmaster.0.try_wait() {
                let output_text = read_from(&cluster.log, log_offset).unwrap_or_default();
                let reason = error_line(&output_text).or(output_text.lines().next_back());
                return Err(not_started(
                    reason.map_or(status.to_string(), str::to_owned),
                ));
            }
            if postmaster.is_ready(cluster) {
                return Ok(postmaster);
            }
            sleep(POLL).await;
        }
    }

    /// Line 1 of `postmaster.pid` is its pid, line 8 its state.
    fn is_ready(&self, cluster: &Cluster) -> bool {
        let Ok(file) = fs::read_to_string(cluster.dir.join("postmaster.pid")) else {
            return false;
        };
        let mut lines = file.lines().map(str::trim);
        lines.next() == self.pid().map(|pid| pid.to_string()).as_deref()
            && lines.nth(6) == Some("ready")
    }

    /// Restarts PostgreSQL whenever it ends, until `stopping`; then stops it. The socket path is stable, so pools
    /// reconnect.
    pub async fn supervise(mut self, cluster: &Cluster, stopping: &CancellationToken) {
        let mut log_watch = interval(Duration::from_secs(60));
        loop {
            tokio::select! {
                () = stopping.cancelled() => return self.stop().await,
                _ = log_watch.tick() => {
                    if let Err(error) = rotate_log(&cluster.log) {
                        tracing::warn!(%error, log = %cluster.log.display(), "cannot rotate PostgreSQL's log");
                    }
                }
                status = self.0.wait() => {
                    let status = status.map_or_else(|error| error.to_string(), |it| it.to_string());
                    tracing::error!(status, "PostgreSQL exited: restarting it");
                    tokio::select! {
                        () = stopping.cancelled() => return,
                        again = restart(cluster) => self = again,
                    }
                }
            }
        }
    }

    async fn stop(mut self) {
        let Some(pid) = self.pid() else { return };
        let gone = async {
            let _ = self.0.wait().await;
        };
        shut_down(pid, gone).await;
    }

    fn pid(&self) -> Option<Pid> {
        self.0
            .id()
            .and_then(|id| Some(Pid::from_raw(id.try_into().ok()?)))
    }
}

async fn restart(cluster: &Cluster) -> Postmaster {
    sleep(MIN_RESTART_DELAY).await;
    let delays = ExponentialBuilder::new()
        .with_min_delay(MIN_RESTART_DELAY * 2)
        .with_max_delay(MAX_RESTART_DELAY)
        .without_max_times();
    let postmaster = (|| Postmaster::start(cluster))
        .retry(delays)
        .notify(|error, _| tracing::error!(%error, "PostgreSQL cannot be restarted yet"))
        .await
        .expect("it is retried until it starts");
    tracing::info!("PostgreSQL was restarted");
    postmaster
}

/// Stops the postmaster of a killed server. The socket's peer identifies it; a pid file could name an unrelated
/// process.
pub(super) async fn stop_orphan(cluster: &Cluster) {
    let Some(pid) = listener_pid(cluster).await else {
        return;
    };
    tracing::info!(%pid, "stopping the PostgreSQL of a killed server");
    let gone = async {
        while listener_pid(cluster).await.is_some() {
            sleep(POLL).await;
        }
    };
    shut_down(pid, gone).await;
}

async fn listener_pid(cluster: &Cluster) -> Option<Pid> {
    let socket = cluster.socket_dir.join(format!(".s.PGSQL.{PORT}"));
    let connection = UnixStream::connect(socket).await.ok()?;
    let pid = connection.peer_cred().ok()?.pid()?;
    (pid > 1).then(|| Pid::from_raw(pid))
}

async fn shut_down(pid: Pid, gone: impl Future<Output = ()>) {
    let mut gone = pin!(gone);
    for (signal, grace) in SHUTDOWN {
        let _ = kill(pid, signal); // it may have just ended
        if timeout(grace, &mut gone).await.is_ok() {
            return;
        }
        tracing::warn!(%pid, %signal, "PostgreSQL does not stop");
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

/// Rotates the log by copying: PostgreSQL keeps the file open and appends.
fn rotate_log(path: &Path) -> io::Result<()> {
    let log = open_log(path)?;
    if log.metadata()?.len() > LOG_MAX {
        let mut previous = PathBuf::from(path).into_os_string();
        previous.push(".1");
        fs::copy(path, previous)?;
        log.set_len(0)?;
    }
    Ok(())
}

fn read_from(path: &Path, offset: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

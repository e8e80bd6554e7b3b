//! A private PostgreSQL with its default settings, reached over TCP as one on another machine would be.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::figures::percentile;

pub const SUPERUSER: &str = "bench";
/// The server's login: no superuser, as in `docs/DEPLOY.md`.
const SERVER_LOGIN: &str = "messagehub";

pub struct Cluster {
    postgres: Child,
    pub address: SocketAddr,
    pub programs: PathBuf,
    /// Deleted when dropped.
    home: TempDir,
    pub fsync: String,
}

impl Cluster {
    /// In `/var/tmp`, which is on a disk and which PostgreSQL's account can reach, or in `BENCH_DIR`.
    pub async fn start(autovacuum: bool) -> Self {
        let parent = std::env::var_os("BENCH_DIR").unwrap_or_else(|| "/var/tmp".into());
        let home = tempfile::Builder::new()
            .prefix("messagehub-bench-")
            .permissions(fs::Permissions::from_mode(0o711))
            .tempdir_in(parent)
            .unwrap();
        let fsync = fsync_times(&home);
        let programs = messagehub::db::embedded::programs().unwrap();
        let address = unused_address();
        create(&programs, &home).await;
        let mut postgres = program(&programs, "postgres");
        postgres
            .arg("-D")
            .arg(home.path().join("cluster"))
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", "max_connections=200"])
            .arg("-p")
            .arg(address.port().to_string());
        if !autovacuum {
            postgres.args(["-c", "autovacuum=off"]);
        }
        let log = File::create(home.path().join("log")).unwrap();
        let postgres = postgres.stderr(log).spawn().unwrap();
        let cluster = Self {
            postgres,
            address,
            programs,
            home,
            fsync,
        };
        cluster.wait_until_ready().await;
        let login = format!("create role {SERVER_LOGIN} login createrole");
        execute(&mut cluster.connect("postgres").await, &login).await;
        cluster
    }

    async fn wait_until_ready(&self) {
        let begun = Instant::now();
        while PgConnection::connect_with(&self.options("postgres"))
            .await
            .is_err()
        {
            let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "PostgreSQL does not start: {log}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn pid(&self) -> u32 {
        self.postgres.id().unwrap()
    }

    /// A new database that belongs to the server's login.
    pub async fn create_database(&self, name: &str) {
        let mut connection = self.connect("postgres").await;
        let create = format!("create database {name} owner {SERVER_LOGIN}");
        execute(&mut connection, &create).await;
        let owner = format!("alter schema public owner to {SERVER_LOGIN}");
        execute(&mut self.connect(name).await, &owner).await;
    }

    pub async fn drop_database(&self, name: &str) {
        let drop = format!("drop database {name} with (force)");
        execute(&mut self.connect("postgres").await, &drop).await;
    }

    /// The server's `DATABASE_URL`, at `address` or at a proxy of it.
    pub fn url(&self, database: &str, address: SocketAddr) -> String {
        format!("postgres://{SERVER_LOGIN}@{address}/{database}")
    }

    pub async fn connect(&self, database: &str) -> PgConnection {
        PgConnection::connect_with(&self.options(database))
            .await
            .unwrap()
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.address.port())
            .username(SUPERUSER)
            .database(database)
    }

    /// The version, and that commits are durable.
    pub async fn description(&self) -> String {
        let settings: String = sqlx::query_scalar(
            "select string_agg(name || ' ' || current_setting(name), ', ')
               from unnest(array['fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers']) as name",
        )
        .fetch_one(&mut self.connect("postgres").await)
        .await
        .unwrap();
        let durable = "fsync on, synchronous_commit on, full_page_writes on";
        assert!(settings.starts_with(durable), "{settings}");
        let version: String = sqlx::query_scalar("show server_version")
            .fetch_one(&mut self.connect("postgres").await)
            .await
            .unwrap();
        format!("PostgreSQL {version} over TCP, {settings}")
    }

    /// A file for the output of a program.
    pub fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub async fn stop(mut self) {
        let pid = Pid::from_raw(self.pid().try_into().unwrap());
        // A fast shutdown: ends all sessions.
        kill(pid, Signal::SIGINT).unwrap();
        self.postgres.wait().await.unwrap();
    }
}

/// Runs any number of statements.
pub async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .unwrap();
}

pub fn unused_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

async fn create(programs: &std::path::Path, home: &TempDir) {
    let cluster = home.path().join("cluster");
    fs::create_dir(&cluster).unwrap();
    if let Some(account) = account() {
        std::os::unix::fs::chown(
            &cluster,
            Some(account.uid.as_raw()),
            Some(account.gid.as_raw()),
        )
        .unwrap();
    }
    let output = program(programs, "initdb")
        .args(["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"])
        .arg(format!("--username={SUPERUSER}"))
        .arg("-D")
        .arg(cluster)
        .stderr(Stdio::piped())
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "initdb: {errors}");
}

/// A program of PostgreSQL, which refuses to run as root.
fn program(programs: &std::path::Path, name: &str) -> Command {
    let mut command = Command::new(programs.join(name));
    command
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    if let Some(account) = account() {
        command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    command
}

fn account() -> Option<User> {
    if !Uid::effective().is_root() {
        return None;
    }
    let named = |name| User::from_name(name).ok().flatten();
    Some(
        named("postgres")
            .or_else(|| named("nobody"))
            .expect("an account for PostgreSQL, such as postgres"),
    )
}

/// How long the disk takes to store a block of 8 kB, as PostgreSQL does at each commit.
fn fsync_times(home: &TempDir) -> String {
    let file = File::create(home.path().join("fsync")).unwrap();
    file.write_all_at(&[0; 64 * 8192], 0).unwrap();
    file.sync_all().unwrap();
    let times: Vec<_> = (0..300)
        .map(|nth| {
            let begun = Instant::now();
            file.write_all_at(&[1; 8192], nth % 64 * 8192).unwrap();
            file.sync_data().unwrap();
            begun.elapsed()
        })
        .collect();
    let microseconds = |share| percentile(&times, share) * 1e3;
    format!(
        "{:.0} µs (p99 {:.0} µs)",
        microseconds(0.5),
        microseconds(0.99)
    )
}

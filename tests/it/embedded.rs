//! The embedded PostgreSQL on real clusters: first start, kills, and refusals.

mod directories;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use messagehub::db::embedded::{Embedded, Error, programs};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::hub::until_some;

/// A data directory in a temporary one that PostgreSQL's user may traverse.
struct ClusterDir(TempDir);

impl ClusterDir {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o711)).expect("its mode");
        Self(dir)
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }

    async fn start(&self) -> Embedded {
        start(&self.data()).await.expect("PostgreSQL starts")
    }

    async fn refusal(&self) -> Error {
        start(&self.data()).await.err().expect("a refusal")
    }

    fn postmaster(&self) -> Pid {
        let file = fs::read_to_string(self.file("postgres/postmaster.pid")).expect("a pid file");
        let pid = file.lines().next().expect("a first line");
        Pid::from_raw(pid.parse().expect("a number"))
    }
}

/// Without fsync: no test here cuts the power.
async fn start(data_dir: &Path) -> Result<Embedded, Error> {
    Embedded::start_with(data_dir, &[("fsync", "off")]).await
}

async fn connect(database: &Embedded) -> PgConnection {
    PgConnection::connect_with(&database.options())
        .await
        .expect("a connection")
}

async fn write(database: &Embedded, text: &'static str) {
    let mut connection = connect(database).await;
    sqlx::query("create table if not exists notes (text text)")
        .execute(&mut connection)
        .await
        .expect("a table");
    sqlx::query("insert into notes values ($1)")
        .bind(text)
        .execute(&mut connection)
        .await
        .expect("a row");
}

async fn read(database: &Embedded) -> Vec<String> {
    sqlx::query_scalar("select text from notes")
        .fetch_all(&mut connect(database).await)
        .await
        .expect("rows")
}

async fn eventually<T>(what: &str, attempt: impl AsyncFn() -> Option<T>) -> T {
    until_some(Duration::from_secs(60), what, attempt).await
}

async fn came_back(database: &Embedded) -> PgConnection {
    eventually("PostgreSQL restarts", async || {
        PgConnection::connect_with(&database.options()).await.ok()
    })
    .await
}

/// Whether the process runs; a zombie does not.
fn alive(pid: Pid) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

async fn gone(pid: Pid) {
    eventually("the process ends", async || (!alive(pid)).then_some(())).await;
}

#[tokio::test]
async fn first_start_creates_a_durable_private_cluster() {
    let cluster_dir = ClusterDir::new();
    let database = Embedded::start(&cluster_dir.data()).await.expect("a start");

    let mut connection = connect(&database).await;
    for (setting, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("timezone", "UTC"),
        ("server_encoding", "UTF8"),
        ("is_superuser", "off"),
    ] {
        let (found,): (String,) = sqlx::query_as("select current_setting($1)")
            .bind(setting)
            .fetch_one(&mut connection)
            .await
            .expect("a setting");
        assert_eq!(found, value, "{setting}");
    }
    let (upper,): (String,) = sqlx::query_as("select upper('äöé')")
        .fetch_one(&mut connection)
        .await
        .expect("letters");
    assert_eq!(upper, "ÄÖÉ");

    let stranger = database.options().password("wrong");
    assert!(PgConnection::connect_with(&stranger).await.is_err());
    for file in ["postgres.password", "postgres.log", "lock"] {
        let mode = fs::metadata(cluster_dir.file(file)).expect(file).mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    drop(connection);
    database.stop().await;
}

#[tokio::test]
async fn login_role_can_run_migrations() {
    let cluster_dir = ClusterDir::new();
    let database = cluster_dir.start().await;
    let mut connection = connect(&database).await;
    for statement in [
        "create role people nologin",
        "grant people to current_user",
        "set role people",
        "reset role",
        "create table owned (id int)",
        "create database template_of_tests",
    ] {
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .expect(statement);
    }
    drop(connection);
    database.stop().await;
}

#[tokio::test]
async fn url_works_for_postgresql_client_programs() {
    let cluster_dir = ClusterDir::new();
    let database = cluster_dir.start().await;
    let psql = programs().expect("programs").join("psql");
    let output = tokio::process::Command::new(psql)
        .args([
            &database.url(),
            "-Atc",
            "select current_database(), current_user",
        ])
        .output()
        .await
        .expect("psql");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "messagehub|messagehub\n"
    );
    PgConnection::connect(&database.url())
        .await
        .expect("sqlx takes it too");
    database.stop().await;
}

#[tokio::test]
async fn restart_keeps_data() {
    let cluster_dir = ClusterDir::new();
    let database = cluster_dir.start().await;
    write(&database, "kept").await;
    let postmaster = cluster_dir.postmaster();
    assert!(alive(postmaster));
    database.stop().await;
    assert!(!alive(postmaster), "a stop waits for the end");
    assert!(!cluster_dir.file("postgres/postmaster.pid").exists());

    let database = cluster_dir.start().await;
    assert_eq!(read(&database).await, ["kept"]);
    database.stop().await;
}

#[tokio::test]
async fn killed_postmaster_restarts_with_committed_data() {
    let cluster_dir = ClusterDir::new();
    let database = cluster_dir.start().await;
    for round in 1..=2 {
        write(&database, "committed").await;
        let killed = cluster_dir.postmaster();
        kill(killed, Signal::SIGKILL).expect("it was there");

        eventually("another postmaster", async || {
            let file = fs::read_to_string(cluster_dir.file("postgres/postmaster.pid")).ok()?;
            (!file.starts_with(&killed.to_string())).then_some(())
        })
        .await;
        came_back(&database).await;
        assert_eq!(read(&database).await.len(), round);
    }
    database.stop().await;
}

#[tokio::test]
async fn restart_waits_for_backends_of_the_killed_postmaster() {
    let cluster_dir = ClusterDir::new();
    let database = cluster_dir.start().await;
    let mut busy = connect(&database).await;
    let backend: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut busy)
        .await
        .expect("its pid");
    // It keeps counting and does not notice the death of its postmaster.
    let counting = tokio::spawn(async move {
        sqlx::query("select count(*) from generate_series(1, 12000000) a(i) where i % 7 = 0")
            .execute(&mut busy)
            .await
    });
    eventually("the query runs", async || {
        let running = "select true from pg_stat_activity where pid = $1 and state = 'active' and query like '%12000000%'";
        sqlx::query_scalar::<_, bool>(running)
            .bind(backend)
            .fetch_optional(&mut connect(&database).await)
            .await
            .expect("an answer")
    })
    .await;

    kill(cluster_dir.postmaster(), Signal::SIGKILL).expect("it was there");
    eventually("PostgreSQL reports the old backend", async || {
        let log = fs::read_to_string(cluster_dir.file("postgres.log")).ok()?;
        log.contains("shared memory block").then_some(())
    })
    .await;
    came_back(&database).await;
    assert!(!alive(Pid::from_raw(backend)), "the old backend has ended");
    let _ = counting.await;
    database.stop().await;
}

/// Not a test: the process that the next test kills.
#[tokio::test]
#[ignore = "runs in a child process of another test"]
async fn a_server_to_be_killed() {
    let Some(data_dir) = std::env::var_os("DATA_DIR_OF_THE_KILLED") else {
        return;
    };
    let database = start(Path::new(&data_dir)).await.expect("a start");
    write(&database, "before the kill").await;
    println!("\nready");
    std::future::pending::<()>().await;
}

fn server_to_be_killed(cluster_dir: &ClusterDir) -> Child {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "embedded::a_server_to_be_killed"])
        .args(["--ignored", "--nocapture"])
        .env("DATA_DIR_OF_THE_KILLED", cluster_dir.data())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let stdout = BufReader::new(child.stdout.take().expect("its output"));
    assert!(
        stdout.lines().map_while(Result::ok).any(|it| it == "ready"),
        "the child starts"
    );
    child
}

#[tokio::test]
async fn next_server_replaces_an_orphaned_postmaster() {
    let cluster_dir = ClusterDir::new();
    let mut server = server_to_be_killed(&cluster_dir);
    let orphan = cluster_dir.postmaster();
    server.kill().expect("killed");
    server.wait().expect("reaped");
    assert!(alive(orphan), "PostgreSQL still runs");

    let database = cluster_dir.start().await;
    gone(orphan).await;
    assert_ne!(cluster_dir.postmaster(), orphan);
    assert_eq!(read(&database).await, ["before the kill"]);
    database.stop().await;
}

#[tokio::test]
async fn pid_file_of_another_process_is_ignored() {
    let cluster_dir = ClusterDir::new();
    cluster_dir.start().await.stop().await;
    let cluster = fs::metadata(cluster_dir.file("postgres")).expect("the cluster");
    let mut sleep = Command::new("sleep");
    sleep.arg("600");
    if Uid::effective().is_root() {
        sleep.uid(cluster.uid()); // PostgreSQL checks only processes of its own user
    }
    let mut stranger = sleep.spawn().expect("another process");
    let dir = cluster_dir.file("postgres");
    for name in ["postmaster.pid", ".s.PGSQL.5432.lock"] {
        let file = dir.join(name);
        let text = format!("{}\n{}\n1700000000\n5432\n", stranger.id(), dir.display());
        fs::write(&file, text).expect("a stale file");
        chown(&file, Some(cluster.uid()), Some(cluster.gid())).expect("its owner");
    }

    let database = cluster_dir.start().await;
    assert!(
        stranger.try_wait().expect("its state").is_none(),
        "the other process still runs"
    );
    stranger.kill().expect("killed");
    stranger.wait().expect("reaped");
    database.stop().await;
}

#[tokio::test]
async fn second_server_on_the_directory_is_refused() {
    let cluster_dir = ClusterDir::new();
    let data_dir = cluster_dir.data();
    let (first, at_once) = tokio::join!(start(&data_dir), start(&data_dir));
    let first = first.expect("a start");
    assert!(matches!(at_once, Err(Error::InUse { .. })));

    let refusal = cluster_dir.refusal().await;
    assert!(matches!(refusal, Error::InUse { .. }), "{refusal}");
    assert_eq!(
        refusal.to_string(),
        format!(
            "another server already runs on {}: stop it, or set DATA_DIR to a directory of this one's own",
            cluster_dir.data().display()
        )
    );
    write(&first, "untroubled").await;
    first.stop().await;
    cluster_dir.start().await.stop().await;
}

#[tokio::test]
async fn dropped_server_stops_its_postmaster() {
    let cluster_dir = ClusterDir::new();
    let database = cluster_dir.start().await;
    let postmaster = cluster_dir.postmaster();
    assert!(alive(postmaster));
    drop(database);
    gone(postmaster).await;
}

#[tokio::test]
async fn ended_runtime_stops_its_postmaster() {
    let cluster_dir = ClusterDir::new();
    let server = || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        std::mem::forget(runtime.block_on(cluster_dir.start()));
        let postmaster = cluster_dir.postmaster();
        assert!(alive(postmaster));
        postmaster
    };
    let postmaster = std::thread::scope(|scope| scope.spawn(server).join()).expect("no panic");
    gone(postmaster).await;
}

#[tokio::test]
async fn large_log_is_truncated() {
    let cluster_dir = ClusterDir::new();
    fs::create_dir(cluster_dir.data()).expect("a directory");
    fs::write(cluster_dir.file("postgres.log"), vec![b'x'; 11 << 20]).expect("written");
    cluster_dir.start().await.stop().await;
    let size = |name| fs::metadata(cluster_dir.file(name)).expect("a log").len();
    assert!(size("postgres.log") < 1 << 20);
    assert_eq!(size("postgres.log.1"), 11 << 20);
}

#[test]
fn server_starts_after_a_kill_during_its_first_start() {
    // Kills while programs create or start the cluster.
    for point in ["while the cluster is made", "while PostgreSQL starts"] {
        let data_dir = crate::process::DataDir::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(crate::process::run_until_abort(
            &data_dir.data(),
            &[("DIES_AT", point)],
        ));
        let server = crate::process::Process::start(&data_dir.data(), &[]);
        let (code, _) = server.terminate();
        assert_eq!(code, Some(0), "after it was killed {point}");
        assert_eq!(incomplete_clusters(&data_dir.data()), 0, "{point}");
    }
    for after in [60, 250, 500, 900, 1400] {
        let data_dir = crate::process::DataDir::new();
        crate::process::Process::start_and_kill(&data_dir.data(), Duration::from_millis(after));
        let server = crate::process::Process::start(&data_dir.data(), &[]);
        let (code, _) = server.terminate();
        assert_eq!(code, Some(0), "after it was killed within {after} ms");
    }
}

/// Directories of unfinished clusters.
fn incomplete_clusters(data: &Path) -> usize {
    let entries = fs::read_dir(data).expect("the data directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("postgres.new"))
        .count()
}

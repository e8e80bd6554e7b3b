//! One PostgreSQL for the whole run, whose tests may be processes of their own. It ends with the run, even if that is
//! killed.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use messagehub::db::embedded::Embedded;
use messagehub::db::migrate;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// Speed, not durability: crash tests use clusters of their own.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    // A new database is logged page by page.
    ("wal_compression", "off"),
    ("max_connections", "200"),
    // tests/it/plans/log.rs reads the plans of its database.
    ("log_line_prefix", "%m:%d:"),
];

static CLUSTER: LazyLock<PgConnectOptions> = LazyLock::new(|| {
    let run = Run::of_this_process();
    fs::create_dir_all(&run.dir).unwrap();
    let lock = File::create(run.dir.join("lock")).unwrap();
    lock.lock().unwrap();
    let url_file = run.dir.join("url");
    if !url_file.exists() {
        fs::write(&url_file, start_cluster(&run)).unwrap();
    }
    fs::read_to_string(&url_file).unwrap().parse().unwrap()
});

struct Run {
    /// The process that runs the tests.
    owner: u32,
    dir: PathBuf,
}

impl Run {
    /// cargo-nextest runs each test as a child of its own, `cargo test` all of them in one process.
    fn of_this_process() -> Self {
        let (owner, name) = match std::env::var("NEXTEST_RUN_ID") {
            Ok(run) => (parent_id(), run),
            Err(_) => (std::process::id(), std::process::id().to_string()),
        };
        let dir = std::env::temp_dir().join(format!("messagehub-tests-{name}"));
        Self { owner, dir }
    }
}

/// Starts the cluster and creates the template; returns the cluster's URL.
fn start_cluster(run: &Run) -> String {
    // PostgreSQL runs as another user, who must be able to traverse the directory.
    fs::set_permissions(&run.dir, PermissionsExt::from_mode(0o711)).unwrap();
    remove_after(run.owner, &run.dir);
    let (ready, started) = std::sync::mpsc::channel();
    let dir = run.dir.join("cluster");
    // Its own thread and runtime: the runtime of the first test ends with that test.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let cluster = Embedded::start_with(&dir, SETTINGS).await.unwrap();
            let template = create(&cluster.options(), "template", "template1").await;
            migrate::run(&template).await.unwrap();
            raise_default_rate(&template).await;
            ready.send(cluster.url()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    started.recv().unwrap()
}

/// Tests that set no rate send 1,000 texts per second instead of the default rate.
async fn raise_default_rate(template: &PgConnectOptions) {
    let mut owner = template.connect().await.unwrap();
    let sql = "alter table numbers alter column messages_per_second set default 1000";
    sqlx::query(sql).execute(&mut owner).await.unwrap();
    owner.close().await.unwrap();
}

/// Stops the cluster and removes it when the process `owner` has ended.
#[expect(
    clippy::zombie_processes,
    reason = "it outlives this process, that is its purpose"
)]
fn remove_after(owner: u32, dir: &Path) {
    let script = r#"while kill -0 "$1" 2>/dev/null; do sleep 0.5; done
        kill -INT "$(head -n 1 "$0/cluster/postgres/postmaster.pid")"; sleep 2; rm -rf "$0""#;
    Command::new("sh")
        .args(["-c", script])
        .arg(dir)
        .arg(owner.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
}

/// Creates a database from `template`; returns its connect options.
async fn create(cluster: &PgConnectOptions, name: &str, template: &str) -> PgConnectOptions {
    let mut owner = cluster.connect().await.unwrap();
    let sql = format!("create database {name} template {template}");
    sqlx::query(AssertSqlSafe(sql))
        .execute(&mut owner)
        .await
        .unwrap();
    owner.close().await.unwrap();
    cluster.clone().database(name)
}

/// A migrated database for one test.
pub async fn empty_database() -> PgConnectOptions {
    database_from("template").await
}

/// A database of its own without any schema.
pub async fn bare_database() -> PgConnectOptions {
    database_from("template1").await
}

async fn database_from(template: &str) -> PgConnectOptions {
    let cluster = tokio::task::spawn_blocking(|| CLUSTER.clone())
        .await
        .unwrap();
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    create(&cluster, &name, template).await
}

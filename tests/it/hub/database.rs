//! One PostgreSQL for the whole run. It ends with this process, even if that is killed.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use messagehub::db::embedded::Embedded;
use messagehub::db::migrate;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::sync::Mutex;

/// Speed, not durability: crash tests use clusters of their own.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "200"),
];

static CLUSTER: LazyLock<PgConnectOptions> = LazyLock::new(|| {
    let (ready, started) = std::sync::mpsc::channel();
    // Its own thread and runtime: the runtime of the first test ends with that test.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let dir = tempfile::Builder::new()
                .prefix("messagehub-tests-")
                .tempdir()
                .unwrap()
                .keep();
            // PostgreSQL runs as another user, who must be able to traverse the directory.
            std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o711)).unwrap();
            let cluster = Embedded::start_with(&dir, SETTINGS).await.unwrap();
            watch(&dir);
            let template = create(&cluster.options(), "template", "template1").await;
            migrate::run(&template).await.unwrap();
            raise_default_rate(&template).await;
            ready.send(cluster.options()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    started.recv().unwrap()
});

/// Tests that set no rate send 1,000 texts per second instead of the default rate.
async fn raise_default_rate(template: &PgConnectOptions) {
    let mut owner = template.connect().await.unwrap();
    let sql = "alter table numbers alter column messages_per_second set default 1000";
    sqlx::query(sql).execute(&mut owner).await.unwrap();
    owner.close().await.unwrap();
}

#[expect(
    clippy::zombie_processes,
    reason = "it outlives this process, that is its purpose"
)]
/// Stops and removes the cluster when this process ends, which closes its end of the pipe.
fn watch(dir: &Path) {
    let script =
        r#"read _; kill -INT "$(head -n 1 "$0/postgres/postmaster.pid")"; sleep 2; rm -rf "$0""#;
    let watchdog = Command::new("sh")
        .args(["-c", script])
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    std::mem::forget(watchdog.stdin);
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
    static COUNT: AtomicU32 = AtomicU32::new(1);
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
    let cluster = tokio::task::spawn_blocking(|| CLUSTER.clone())
        .await
        .unwrap();
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let _one = ONE_AT_A_TIME.lock().await;
    create(&cluster, &name, template).await
}

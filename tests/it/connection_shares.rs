//! One workspace cannot take all database connections: while its requests hang, other workspaces are served, and so
//! are its other requests.

use serde_json::Value;
use sqlx::{Connection, PgConnection};

use crate::hub::{Hub, empty_database, superuser};

/// Locks a table that only `GET …/usage` reads.
const HOLD_UP: &str = "lock table number_usage in access exclusive mode";

#[tokio::test]
async fn hanging_requests_of_one_workspace_do_not_block_others() {
    let database = empty_database().await;
    let mut root = PgConnection::connect_with(&superuser(&database))
        .await
        .unwrap();
    let hub = Hub::start_with(database, &[("DATABASE_CONNECTIONS", "6")]).await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let other = hub.workspace("Okafor Dental").await;
    let usage = harbor.path("/usage");
    harbor.admin.get(&usage).await.expect_status(200);

    let mut lock = root.begin().await.unwrap();
    sqlx::query(HOLD_UP).execute(&mut *lock).await.unwrap();
    let hanging: Vec<_> = (0..20)
        .map(|_| {
            let request = harbor.admin.request(reqwest::Method::GET, &usage);
            tokio::spawn(async move { request.send().await.unwrap() })
        })
        .collect();
    // Waits until the first of them hang in the database.
    while waiting(&hub).await == 0 {
        tokio::task::yield_now().await;
    }

    other
        .admin
        .get(&other.path("/conversations"))
        .await
        .expect_status(200);
    harbor
        .admin
        .get(&harbor.path("/conversations"))
        .await
        .expect_status(200);
    harbor
        .receive_text("+14155550142", "Is anybody there?")
        .await;
    hub.workspace("Signed up meanwhile").await;
    assert!(waiting(&hub).await > 0, "the requests still hang");

    for answer in hanging {
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 503);
        assert!(answer.headers().contains_key("retry-after"));
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], "busy", "{problem}");
    }
    lock.rollback().await.unwrap();
    harbor.admin.get(&usage).await.expect_status(200);
}

/// Number of statements that wait for a lock.
async fn waiting(hub: &Hub) -> i64 {
    hub.count(
        "select count(*) from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'",
    )
    .await
}

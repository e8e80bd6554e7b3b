//! The cache of accounts and numbers.

use serde_json::json;

use super::RECALL;
use crate::hub::{FRONT_DESK, Hub, MAYA, until};

#[tokio::test]
async fn change_invalidates_only_the_directory_of_its_workspace() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let bright = hub.workspace("Bright Smiles").await;
    bright.connect_twilio(RECALL).await;
    harbor.receive_text(MAYA, "It is known from now on").await;
    // A new lookup would fail to decrypt the credentials.
    hub.execute_sql("update integrations set credentials = '\\x00' where name <> '' and workspace_id = (select id from workspaces where name = 'Harbor Dental')")
        .await;

    let path = bright.integration_path("").await;
    for name in ["One", "Two", "Three"] {
        bright
            .admin
            .patch(&path, json!({"name": name}))
            .await
            .expect_status(200);
    }
    let number = bright.number(RECALL).await;
    let path = bright.path(&format!("/numbers/{number}"));
    let named = json!({"friendly_name": "Recall"});
    bright.admin.patch(&path, named).await.expect_status(200);
    bright.syncs().await;
    // Events are processed in order: once one more change of theirs has reached the cache, all have.
    hub.execute_sql("update integrations set credentials = '\\x00' where workspace_id = (select id from workspaces where name = 'Bright Smiles')")
        .await;
    let path = bright.integration_path("").await;
    let last = json!({"name": "Four"});
    bright.admin.patch(&path, last).await.expect_status(200);
    until("their credentials are read anew", async || {
        hub.twilio.text(MAYA, RECALL, "Hi").await.status() != 200
    })
    .await;

    harbor.receive_text(MAYA, "Still known").await;
    let path = harbor.integration_path("").await;
    let change = json!({"name": "Renamed"});
    harbor.admin.patch(&path, change).await.expect_status(200);
    until("its own change invalidates the cache", async || {
        let answer = hub.twilio.text(MAYA, FRONT_DESK, "Looked up anew").await;
        answer.status() != 200
    })
    .await;
}

#[tokio::test]
async fn concurrent_directory_lookups_share_one_query() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let mut lock = hub.superuser_pool.begin().await.unwrap();
    sqlx::query("lock table integrations in access exclusive mode")
        .execute(&mut *lock)
        .await
        .unwrap();
    let twilio = hub.twilio.clone();
    let texts = tokio::spawn(async move {
        let texts = (0..20).map(|_| twilio.text(MAYA, FRONT_DESK, "Hi"));
        futures_util::future::join_all(texts).await
    });
    let waiting = "select count(*) from pg_stat_activity
                    where datname = current_database() and wait_event_type = 'Lock' and query like '%former_credentials%'";
    let mut most = 0;
    // A second query would wait, too; nothing marks that none will come.
    for _ in 0..20 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        most = most.max(hub.count(waiting).await);
    }
    lock.rollback().await.unwrap();
    for answer in texts.await.unwrap() {
        assert_eq!(answer.status(), 200, "{}", harbor.slug);
    }
    assert_eq!(most, 1);
}

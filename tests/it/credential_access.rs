//! The credential access log: each use with purpose, actor and count; never the credentials.

use std::time::Duration;

use serde_json::{Value, json};

use crate::hub::{FRONT_DESK, Hub, MAYA, TOKEN, Workspace, until_some};

/// Waits until `enough` holds for the log; returns its entries.
async fn log(harbor: &Workspace<'_>, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    until_some(Duration::from_secs(30), "the log is complete", async || {
        let list = harbor.admin.get(&harbor.path("/credential-access")).await;
        let uses = list.expect_status(200)["data"].as_array().unwrap().clone();
        enough(&uses).then_some(uses)
    })
    .await
}

fn times(uses: &[Value], purpose: &str, actor: &Value) -> i64 {
    uses.iter()
        .filter(|used| used["purpose"] == purpose && used["actor_id"] == *actor)
        .map(|used| used["uses"].as_i64().unwrap())
        .sum()
}

#[tokio::test]
async fn credential_uses_are_counted_by_purpose_and_actor() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let integrations = harbor.admin.get(&harbor.path("/integrations")).await;
    let integration = integrations.expect_status(200)["data"][0]["id"].clone();
    let maya = harbor.receive_text(MAYA, "Hello?").await;
    for answer in ["One", "Two", "Three"] {
        harbor.reply(&harbor.admin, &maya, answer).await;
    }
    assert_eq!(hub.run_sender().await, 3);
    let path = harbor.path(&format!(
        "/integrations/{}/test",
        integration.as_str().unwrap()
    ));
    harbor.admin.post(&path, json!({})).await.expect_status(200);

    let (jo, server) = (json!(harbor.admin.id), Value::Null);
    let uses = log(&harbor, |uses| {
        times(uses, "send", &server) == 3 && times(uses, "check", &jo) == 1
    })
    .await;

    assert_eq!(times(&uses, "connect", &jo), 1, "{uses:#?}");
    assert_eq!(times(&uses, "verify", &server), 1, "one webhook: {uses:#?}");
    for used in &uses {
        assert_eq!(used["integration_id"], integration);
        assert!(!used.to_string().contains(TOKEN));
    }
    let sent: Vec<_> = uses
        .iter()
        .filter(|used| used["purpose"] == "send")
        .collect();
    assert!(sent.len() <= 2, "counted by the hour: {sent:#?}");
    let sends = harbor.path("/credential-access?purpose=send");
    let only = harbor.admin.get(&sends).await.expect_status(200)["data"].clone();
    assert_eq!(only.as_array().unwrap().len(), sent.len());
    let other = harbor.path(&format!(
        "/credential-access?integration_id={}",
        uuid::Uuid::now_v7()
    ));
    assert_eq!(
        harbor.admin.get(&other).await.expect_status(200)["data"],
        json!([])
    );
    let wrong = harbor.path("/credential-access?purpose=mischief");
    harbor
        .admin
        .get(&wrong)
        .await
        .refused(422, "validation_failed");
}

#[tokio::test]
async fn credential_access_log_is_admin_only_and_read_only() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    log(&harbor, |uses| !uses.is_empty()).await;
    let path = harbor.path("/credential-access");
    sam.get(&path).await.refused(403, "admin_only");

    for (person, sees) in [(&sam, 0), (&harbor.admin, 1)] {
        let mut tx = hub.with_rights_of(person, &harbor).await;
        let seen: i64 = sqlx::query_scalar("select count(*) from credential_access_log")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        assert_eq!(seen, sees);
        let changed = sqlx::query("update credential_access_log set uses = 1")
            .execute(&mut *tx)
            .await;
        assert!(changed.is_err(), "{changed:?}");
    }
}

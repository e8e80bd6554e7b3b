//! Workspace scope: a STOP or START to one number applies to all numbers.

use serde_json::{Value, json};

use crate::hub::{FRONT_DESK, Hub, MAYA, Person, Workspace};

pub const RECALL: &str = "+16285550177";

pub async fn set_scope(harbor: &Workspace<'_>, scope: &str) {
    let change = json!({"opt_out_scope": scope});
    let changed = harbor
        .admin
        .patch(&harbor.path(""), change)
        .await
        .expect_status(200);
    assert_eq!(changed["opt_out_scope"], scope);
}

/// A workspace with two numbers; Sam has access to the front desk.
pub async fn workspace_with_two_numbers<'a>(hub: &'a Hub) -> (Workspace<'a>, Person) {
    let harbor = hub.workspace("Harbor Dental").await;
    hub.twilio
        .account(&harbor.account, crate::hub::TOKEN)
        .number(RECALL);
    let harbor = harbor.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    (harbor, sam)
}

pub async fn draft(harbor: &Workspace<'_>, number: &str) -> Value {
    json!({"to": MAYA, "number_id": harbor.number(number).await, "content": "Hello"})
}

#[tokio::test]
async fn workspace_scope_applies_an_opt_out_to_all_numbers() {
    let hub = Hub::start().await;
    let (harbor, sam) = workspace_with_two_numbers(&hub).await;
    harbor.receive_text(MAYA, "Hi").await;
    let (messages, front_desk) = (harbor.path("/messages"), draft(&harbor, FRONT_DESK).await);
    hub.twilio.text(MAYA, RECALL, "STOP").await;
    let queued = sam
        .post(&messages, front_desk.clone())
        .await
        .expect_status(202)["message"]
        .clone();
    let at = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    let mut scheduled = front_desk.clone();
    scheduled["scheduled_at"] = at.to_rfc3339().into();
    let scheduled = sam.post(&messages, scheduled).await.expect_status(202)["message"].clone();

    set_scope(&harbor, "workspace").await;

    let failed = harbor.message(&queued["id"]).await;
    assert_eq!(
        (&failed["status"], &failed["error_code"]),
        (&json!("failed"), &json!("contact_opted_out"))
    );
    let credits = harbor.path(&format!("/credits/{}", sam.id));
    let credits = sam.get(&credits).await.expect_status(200);
    assert_eq!(credits["balance"], 999, "only the scheduled text is paid");
    // Sam has no access to the other number and is refused all the same.
    sam.post(&messages, front_desk.clone())
        .await
        .refused(409, "contact_opted_out");
    let mut conversations = sam
        .get(&harbor.path("/conversations"))
        .await
        .expect_status(200);
    assert_eq!(
        conversations["data"].as_array_mut().unwrap()[0]["opted_out"],
        true
    );
    hub.execute_sql("update messages set due_at = now() where status = 'scheduled'")
        .await;
    messagehub::domain::messages::schedule::queue_due(&hub.server.app.db)
        .await
        .unwrap();
    let refused = harbor.message(&scheduled["id"]).await;
    assert_eq!(
        (&refused["status"], &refused["error_code"]),
        (&json!("failed"), &json!("contact_opted_out"))
    );

    // START to any number.
    hub.twilio.text(MAYA, FRONT_DESK, "START").await;
    sam.post(&messages, front_desk.clone())
        .await
        .expect_status(202);
    let recall = draft(&harbor, RECALL).await;
    harbor
        .admin
        .post(&messages, recall.clone())
        .await
        .expect_status(202);

    // Back to one number at a time.
    hub.twilio.text(MAYA, RECALL, "STOP").await;
    sam.post(&messages, front_desk.clone())
        .await
        .refused(409, "contact_opted_out");
    set_scope(&harbor, "number").await;
    sam.post(&messages, front_desk).await.expect_status(202);
    harbor
        .admin
        .post(&messages, recall)
        .await
        .refused(409, "contact_opted_out");
}

#[tokio::test]
async fn agent_lifts_opt_outs_beyond_their_numbers_and_it_is_audited() {
    let hub = Hub::start().await;
    let (harbor, sam) = workspace_with_two_numbers(&hub).await;
    set_scope(&harbor, "workspace").await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    hub.twilio.text(MAYA, RECALL, "STOP").await;
    let path = harbor.path(&format!(
        "/contacts/{}/consent",
        maya["contact_id"].as_str().unwrap()
    ));
    let consent =
        json!({"number_id": maya["number_id"], "consent_kind": "start", "reason": "They called"});

    sam.post(&path, consent).await.expect_status(200);

    sam.post(&harbor.path("/messages"), draft(&harbor, FRONT_DESK).await)
        .await
        .expect_status(202);
    let history = harbor.admin.get(&path).await.expect_status(200);
    let newest = &history["data"][0];
    assert_eq!(
        (&newest["consent_kind"], &newest["number"]),
        (&json!("start"), &json!(RECALL))
    );
    assert_eq!(newest["actor_id"], sam.id);
    let change = json!({"opt_out_scope": "all"});
    harbor
        .admin
        .patch(&harbor.path(""), change)
        .await
        .refused(422, "validation_failed");
}

//! Send deadline: an expired text is not sent, and its credit is refunded.

use chrono::{Duration, Utc};
use messagehub::domain::messages::schedule;
use serde_json::{Value, json};

use crate::emulator::Failure;
use crate::hub::{FRONT_DESK, Hub, MAYA, Person, Workspace};
use crate::telnyx;

/// Expires every queued and unconfirmed text.
async fn expire_all(hub: &Hub) {
    hub.execute_sql("update messages set expires_at = now() - interval '1 second', due_at = now() where status in ('queued', 'unconfirmed')")
        .await;
}

async fn assert_expired(harbor: &Workspace<'_>, message: &Value) {
    let result = harbor.message(&message["id"]).await;
    assert_eq!(
        (result["status"].as_str(), result["error_code"].as_str()),
        (Some("failed"), Some("expired")),
        "{result}"
    );
    let reason = result["error_message"].as_str().unwrap();
    assert!(reason.contains("waited too long"), "{reason}");
}

async fn balance(harbor: &Workspace<'_>, agent: &Person) -> Value {
    let path = harbor.path(&format!("/credits/{}", agent.id));
    harbor.admin.get(&path).await.expect_status(200)["balance"].clone()
}

#[tokio::test]
async fn expired_text_fails_with_reason_and_refund() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    harbor.set_credits(&sam, 5).await;
    let first = harbor.reply(&sam, &maya, "We have 3:30 free").await;
    let second = harbor.reply(&sam, &maya, "Or 4:15").await;
    assert_eq!(balance(&harbor, &sam).await, 3);
    // Twilio stays down.
    hub.execute_sql("update integrations set status = 'unhealthy'")
        .await;
    assert_eq!(hub.run_sender().await, 0);
    expire_all(&hub).await;
    assert_eq!(hub.run_sender().await, 0);

    assert_expired(&harbor, &first).await;
    assert_expired(&harbor, &second).await;
    assert_eq!(balance(&harbor, &sam).await, 5);
    let shown = harbor.conversation_with(MAYA).await;
    assert_eq!(shown["last_message_status"], "failed");
    hub.execute_sql("update integrations set status = 'healthy'")
        .await;
    assert_eq!(hub.run_sender().await, 0, "not after the recovery");
    assert!(hub.twilio.messages().is_empty());

    let path = harbor.path(&format!(
        "/messages/{}/retry",
        first["id"].as_str().unwrap()
    ));
    sam.post(&path, json!({})).await.expect_status(202);
    assert_eq!(hub.run_sender().await, 1, "a user can resend it");
}

#[tokio::test]
async fn provider_gets_the_remaining_validity_of_the_workspace_setting() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let result = |text: &str| hub.twilio.sent(text)[0].validity.unwrap();
    harbor.reply(&harbor.admin, &maya, "Four hours").await;
    assert_eq!(hub.run_sender().await, 1);
    assert!((14_300..=14_400).contains(&result("Four hours")));

    for (minutes, least, most) in [(5, 200, 300), (1440, 36_000, 36_000)] {
        let change = json!({"text_validity_minutes": minutes});
        let workspace = harbor
            .admin
            .patch(&harbor.path(""), change)
            .await
            .expect_status(200);
        assert_eq!(workspace["text_validity_minutes"], minutes);
        let text = format!("{minutes} minutes");
        harbor.reply(&harbor.admin, &maya, &text).await;
        assert_eq!(hub.run_sender().await, 1);
        assert!((least..=most).contains(&result(&text)), "{}", result(&text));
    }
    for wrong in [4, 0, -1, 1441] {
        let change = json!({"text_validity_minutes": wrong});
        let answer = harbor.admin.patch(&harbor.path(""), change).await;
        let problem = answer.refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], "text_validity_minutes");
    }
}

#[tokio::test]
async fn validity_of_a_scheduled_text_starts_at_its_time() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let mut scheduled = Vec::new();
    for hours_late in [3, 5] {
        let at = Utc::now() + Duration::days(hours_late);
        let draft = json!({"conversation_id": maya["id"], "content": format!("{hours_late} hours late"), "scheduled_at": at.to_rfc3339()});
        let answer = harbor.admin.post(&harbor.path("/messages"), draft).await;
        scheduled.push(answer.expect_status(202)["message"].clone());
    }
    // The server was down at their time.
    hub.execute_sql("update messages set due_at = now() - (left(content, 1) || ' hours')::interval where status = 'scheduled'")
        .await;
    assert_eq!(schedule::queue_due(&hub.server.app.db).await.unwrap(), 2);
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(hub.twilio.sent("3 hours late").len(), 1);
    assert_expired(&harbor, &scheduled[1]).await;
}

#[tokio::test]
async fn unaccepted_text_is_not_sent_after_its_deadline() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let message = harbor.reply(&harbor.admin, &maya, "We open at 8").await;
    hub.twilio.fails(Failure::Drop);
    assert_eq!(hub.run_sender().await, 1);
    for _ in 0..4 {
        expire_all(&hub).await;
        hub.server.outcome_resolver.run_once().await.unwrap();
    }
    expire_all(&hub).await;
    assert_eq!(hub.run_sender().await, 0);
    assert_expired(&harbor, &message).await;
    assert!(hub.twilio.messages().is_empty());
}

#[tokio::test]
async fn first_attempt_is_not_repeated_after_the_deadline() {
    let hub = Hub::start().await;
    let (harbor, _) = telnyx::front_desk(&hub).await;
    let maya = telnyx::receive_text(&harbor, "Hi").await;
    let message = harbor.reply(&harbor.admin, &maya, "We open at 8").await;
    hub.telnyx.fails(Failure::Drop);
    assert_eq!(hub.run_sender().await, 1);
    expire_all(&hub).await;
    assert_eq!(hub.server.outcome_resolver.run_once().await.unwrap(), 0);
    assert!(hub.telnyx.messages().is_empty());
    let result = harbor.message(&message["id"]).await;
    assert_eq!(result["status"], "unconfirmed", "left for a user to decide");
}

//! Texts that are refused, with the reason.

use serde_json::json;

use crate::hub::{FRONT_DESK, Hub, MAYA};

#[tokio::test]
async fn stale_reply_is_refused() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let conversation = harbor.receive_text(MAYA, "Any time today?").await;
    let seen = harbor.thread(&conversation).await[0]["id"].clone();
    harbor.reply(&sam, &conversation, "3:30 is free").await;

    let stale = json!({"conversation_id": conversation["id"], "content": "4:15 is free", "seen_message_id": seen});
    harbor
        .admin
        .post(&harbor.path("/messages"), stale.clone())
        .await
        .refused(409, "conversation_moved");

    assert_eq!(harbor.thread(&conversation).await.len(), 2);
    let mut anyway = stale;
    anyway["seen_message_id"] = harbor.thread(&conversation).await[1]["id"].clone();
    harbor
        .admin
        .post(&harbor.path("/messages"), anyway)
        .await
        .expect_status(202);
}

#[tokio::test]
async fn invalid_drafts_are_refused_with_reasons() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await["id"].clone();
    let messages = harbor.path("/messages");
    let emoji = "👋".repeat(801);
    let cases = [
        (json!({"content": "Hi"}), "conversation_id"),
        (
            json!({"conversation_id": conversation, "to": MAYA, "content": "Hi"}),
            "conversation_id",
        ),
        (
            json!({"conversation_id": conversation, "content": " \n "}),
            "content",
        ),
        (
            json!({"conversation_id": conversation, "content": "a".repeat(1_601)}),
            "content",
        ),
        (
            json!({"conversation_id": conversation, "content": emoji}),
            "content",
        ),
        (json!({"to": "not a number", "content": "Hi"}), "to"),
        (json!({"to": "", "content": "Hi"}), "to"),
        (
            json!({"conversation_id": conversation, "content": "Hi", "colour": "red"}),
            "body",
        ),
        (json!({"conversation_id": "1", "content": "Hi"}), "body"),
        (json!([]), "body"),
    ];
    for (draft, field) in cases {
        let problem = harbor
            .admin
            .post(&messages, draft.clone())
            .await
            .refused(422, "validation_failed");
        let mut fields = problem["errors"].as_array().unwrap().iter();
        assert!(
            fields.any(|error| error["field"] == field),
            "{draft}: {problem}"
        );
    }
    let unknown_id = "01890000-0000-7000-8000-000000000000";
    harbor
        .admin
        .post(
            &messages,
            json!({"conversation_id": unknown_id, "content": "Hi"}),
        )
        .await
        .refused(404, "not_found");
    harbor
        .admin
        .post(
            &messages,
            json!({"contact_id": unknown_id, "content": "Hi"}),
        )
        .await
        .refused(404, "not_found");
    let from = json!({"to": MAYA, "content": "Hi", "number_id": unknown_id});
    harbor
        .admin
        .post(&messages, from)
        .await
        .refused(404, "not_found");
    assert_eq!(
        hub.count("select count(*) from messages where direction = 'outbound'")
            .await,
        0
    );
}

#[tokio::test]
async fn send_requires_a_number() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let draft = json!({"to": MAYA, "content": "Hi"});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .refused(409, "integration_not_configured");
}

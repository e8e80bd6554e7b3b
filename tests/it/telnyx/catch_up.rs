//! Telnyx lists no messages, only failed deliveries: catch-up stores those.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{front_desk, receive_text};
use crate::hub::{FRONT_DESK, Hub, MAYA, Workspace};

const AGO: fn(i64) -> TimeDelta = TimeDelta::minutes;

async fn catch_up(hub: &Hub) -> usize {
    hub.execute_sql("update numbers set catch_up_at = now()")
        .await;
    hub.server.reconciler.run_once().await.unwrap()
}

async fn texts(harbor: &Workspace<'_>) -> Vec<String> {
    let maya = harbor.conversation_with(MAYA).await;
    let texts = harbor.thread(&maya).await;
    let contents = texts.iter().map(|text| text["content"].as_str().unwrap());
    contents.map(str::to_owned).collect()
}

async fn compared_until(harbor: &Workspace<'_>) -> Value {
    let numbers = harbor
        .admin
        .get(&harbor.path("/numbers"))
        .await
        .expect_status(200);
    numbers["data"][0]["compared_until"].clone()
}

#[tokio::test]
async fn undelivered_telnyx_texts_are_stored_in_order() {
    let hub = Hub::start().await;
    let (harbor, customer) = front_desk(&hub).await;
    customer.number("+16285550177");
    let text = |body: &str| hub.telnyx.inbound_text(MAYA, FRONT_DESK, body);
    hub.telnyx.pages_by(2);
    let first = || text("First").id("0b7a5e52-0000-4000-8000-000000000001");
    // Each delivery attempt is listed.
    for ago in [9, 8, 7] {
        first().record_undelivered_ago(AGO(ago));
    }
    text("Second").record_undelivered_ago(AGO(6));
    text("A lost STOP")
        .with("text", "STOP".into())
        .record_undelivered_ago(AGO(5));
    hub.telnyx
        .inbound_text(MAYA, "+16285550177", "To another number")
        .record_undelivered_ago(AGO(4));
    text("of a whole other kind")
        .of_type("message.read")
        .record_undelivered_ago(AGO(3));
    text("Long over").record_undelivered_ago(AGO(60 * 24));
    receive_text(&harbor, "Last").await;
    assert_eq!(compared_until(&harbor).await, Value::Null);

    assert_eq!(catch_up(&hub).await, 3);

    assert_eq!(texts(&harbor).await, ["First", "Second", "STOP", "Last"]);
    let maya = harbor.conversation_with(MAYA).await;
    assert_eq!(
        (&maya["opted_out"], &maya["unread_count"]),
        (&json!(true), &json!(4))
    );
    assert!(compared_until(&harbor).await.is_string());
    assert_eq!(catch_up(&hub).await, 0, "no text is stored twice");
}

#[tokio::test]
async fn messages_are_fetched_where_the_list_has_ids_only() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    receive_text(&harbor, "Before").await;
    hub.telnyx.hides_payloads();
    let lost = hub.telnyx.inbound_text(MAYA, FRONT_DESK, "Lost");
    lost.record_undelivered_ago(AGO(5));
    assert_eq!(catch_up(&hub).await, 1);
    assert_eq!(texts(&harbor).await, ["Lost", "Before"]);
}

#[tokio::test]
async fn missing_permission_is_reported_and_not_marked_complete() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    hub.telnyx.hides_deliveries();
    assert_eq!(catch_up(&hub).await, 0);
    assert_eq!(compared_until(&harbor).await, Value::Null);
    let number = harbor.number(FRONT_DESK).await;
    let path = harbor.path(&format!("/numbers/{number}/catch-up"));
    let refused = harbor.admin.post(&path, json!({})).await;
    refused.refused(503, "provider_unavailable");
}

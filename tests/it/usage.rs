//! Usage: prices per text, sums per number and month, and the provider's charges.

use serde_json::{Value, json};

use crate::emulator::Failure;
use crate::hub::{FRONT_DESK, Hub, MAYA, Workspace};
use crate::telnyx;

async fn sync_usage(hub: &Hub) {
    hub.execute_sql("update integrations set usage_due_at = now()")
        .await;
    hub.server.usage_sync.run_once().await.unwrap();
}

async fn usage(harbor: &Workspace<'_>) -> Value {
    harbor
        .admin
        .get(&harbor.path("/usage"))
        .await
        .expect_status(200)
}

/// Three outbound texts, one of them not yet delivered, and two inbound ones.
async fn with_texts(harbor: &Workspace<'_>) -> Vec<Value> {
    let maya = harbor.receive_text(MAYA, "Hello?").await;
    harbor.receive_text(MAYA, "Anybody there?").await;
    let mut texts = Vec::new();
    for answer in ["One", "Two", "Three"] {
        texts.push(harbor.reply(&harbor.admin, &maya, answer).await);
    }
    assert_eq!(harbor.hub.run_sender().await, 3);
    for message in &harbor.hub.twilio.messages()[..2] {
        harbor.hub.twilio.delivers(&message.sid).await;
    }
    texts
}

#[tokio::test]
async fn prices_are_recorded_per_text_and_summed_per_number() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let texts = with_texts(&harbor).await;
    let price = async |text: &Value| harbor.message(&text["id"]).await["price"].clone();
    assert_eq!(price(&texts[0]).await, Value::Null, "not known yet");
    assert_eq!(usage(&harbor).await["numbers"], json!([]));

    // A second sync changes nothing: days are recounted, not added.
    for _ in 0..2 {
        sync_usage(&hub).await;

        assert_eq!(price(&texts[0]).await, "0.00750");
        assert_eq!(price(&texts[2]).await, Value::Null, "on its way");
        let usage = usage(&harbor).await;
        assert!(usage["counted_at"].is_string(), "{usage}");
        let [number] = usage["numbers"].as_array().unwrap().as_slice() else {
            panic!("{usage}");
        };
        assert_eq!(number["phone_number"], FRONT_DESK);
        assert_eq!(
            (&number["sent"], &number["received"]),
            (&json!(3), &json!(2))
        );
        assert_eq!(number["segments"], 5);
        let cost = json!([{"amount": "0.015", "currency": "USD"}]);
        assert_eq!(number["costs"], cost);
        assert_eq!(number["without_price"], 3);

        let items: Vec<_> = usage["charges"][0]["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|charged| {
                (
                    &charged["item"],
                    &charged["count"],
                    &charged["cost"]["amount"],
                )
            })
            .map(|(item, count, amount)| json!([item, count, amount]))
            .collect();
        assert_eq!(
            Value::from(items),
            json!([
                ["carrier_fees", 3, "0.009"],
                ["texts_received", 2, "0.014"],
                ["texts_sent", 3, "0.024"],
                ["total", null, "0.047"],
            ]),
            "each item once, and no parent category"
        );
        assert_eq!(usage["charges"][0]["error"], Value::Null);
        let today = chrono::Utc::now().date_naive().to_string();
        assert_eq!(usage["charges"][0]["until"], today);
    }
}

#[tokio::test]
async fn telnyx_prices_come_with_reports_and_charges_by_day() {
    let hub = Hub::start().await;
    let (harbor, _) = telnyx::front_desk(&hub).await;
    let draft = json!({"to": MAYA, "content": "Hello"});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    assert_eq!(hub.run_sender().await, 1);

    sync_usage(&hub).await;

    let usage = usage(&harbor).await;
    assert_eq!(usage["numbers"][0]["sent"], 1);
    assert_eq!(
        usage["charges"][0]["items"],
        json!([
            {"item": "carrier_fees", "count": null, "cost": {"amount": "0.0025", "currency": "USD"}},
            {"item": "texts_sent", "count": 1, "cost": {"amount": "0.004", "currency": "USD"}},
        ])
    );
}

#[tokio::test]
async fn failed_usage_sync_is_retried_and_shown() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    with_texts(&harbor).await;
    hub.twilio.fails(Failure::Drop);
    sync_usage(&hub).await;

    let first = usage(&harbor).await;
    assert_eq!(first["numbers"][0]["sent"], 3, "counted despite the error");
    assert_eq!(first["charges"][0]["items"], json!([]));
    let error = first["charges"][0]["error"].as_str().unwrap();
    assert!(error.contains("Twilio couldn’t be reached"), "{error}");

    sync_usage(&hub).await;
    let second = usage(&harbor).await;
    assert_eq!(second["charges"][0]["error"], Value::Null);
    assert_eq!(second["charges"][0]["items"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn usage_counts_texts_on_their_sending_day_and_no_unsent_ones() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hello?").await;
    harbor.reply(&harbor.admin, &maya, "Written long ago").await;
    assert_eq!(hub.run_sender().await, 1);
    hub.execute_sql(
        "update messages set scheduled_at = now(), created_at = now() - interval '100 days', id = uuidv7_of_long_ago.id
           from (select '01900000-0000-7000-8000-000000000000'::uuid as id) uuidv7_of_long_ago
          where direction = 'outbound'",
    )
    .await;
    hub.twilio.refuses(21211, 400);
    harbor.reply(&harbor.admin, &maya, "To nobody").await;
    assert_eq!(hub.run_sender().await, 1);
    harbor.reply(&harbor.admin, &maya, "Waits").await;

    sync_usage(&hub).await;

    let number = usage(&harbor).await["numbers"][0].clone();
    assert_eq!(
        (&number["sent"], &number["received"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn usage_is_admin_only_and_by_utc_month() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    sam.get(&harbor.path("/usage"))
        .await
        .refused(403, "admin_only");
    for month in [
        "2026-13",
        "november",
        "2026-1",
        "0000-01",
        "9999-12",
        "２０２６-11",
    ] {
        let path = harbor.path(&format!("/usage?month={month}"));
        let problem = harbor
            .admin
            .get(&path)
            .await
            .refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], "month", "{problem}");
    }
    let path = harbor.path("/usage?month=2025-02");
    let before = harbor.admin.get(&path).await.expect_status(200);
    assert_eq!(
        (&before["month"], &before["numbers"]),
        (&json!("2025-02"), &json!([]))
    );
}

#[tokio::test]
async fn usage_of_deleted_contacts_is_kept() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    with_texts(&harbor).await;
    sync_usage(&hub).await;
    let totals = |usage: Value| {
        let number = usage["numbers"][0].clone();
        ["sent", "received", "segments", "costs", "without_price"]
            .map(|field| number[field].clone())
    };
    let before = totals(usage(&harbor).await);
    assert_eq!(before[0], 3);
    let maya = harbor.conversation_with(MAYA).await;
    let path = harbor.path(&format!(
        "/contacts/{}",
        maya["contact_id"].as_str().unwrap()
    ));
    harbor.admin.delete(&path).await.expect_status(204);
    for _ in 0..2 {
        sync_usage(&hub).await;
        assert_eq!(totals(usage(&harbor).await), before);
    }
    // Including the texts of a new contact of the same day.
    harbor.receive_text(MAYA, "It is me again").await;
    sync_usage(&hub).await;
    assert_eq!(totals(usage(&harbor).await)[1], 3);
}

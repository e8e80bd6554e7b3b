//! Throughput: the rate of a number across all servers, holds, and priorities.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::emulator::Failure;
use crate::hub::{FRONT_DESK, Hub, MAYA, TOKEN, Workspace, serve, until};

const BILLING: &str = "+16285550101";

/// Queues texts to this many contacts, each in a conversation of its own.
async fn queue_texts(harbor: &Workspace<'_>, from: &str, people: usize, bulk: bool) -> Vec<Value> {
    let number = harbor.number(from).await;
    let mut queued = Vec::new();
    for n in 0..people {
        let draft = json!({"to": format!("+1415555{:04}", 100 + n), "number_id": number, "bulk": bulk,
            "content": format!("Reminder {n} from {from}")});
        let answer = harbor.admin.post(&harbor.path("/messages"), draft).await;
        queued.push(answer.expect_status(202)["message"].clone());
    }
    queued
}

async fn set_rate(harbor: &Workspace<'_>, number: &str, rate: Value) -> Value {
    let path = harbor.path(&format!("/numbers/{}", harbor.number(number).await));
    let change = json!({"messages_per_second": rate});
    harbor.admin.patch(&path, change).await.expect_status(200)
}

async fn make_next_due(hub: &Hub) {
    hub.execute_sql("update number_buckets set refilled_at = now()")
        .await;
}

/// Ends the holds that providers asked for.
async fn end_holds(hub: &Hub) {
    hub.execute_sql("update number_buckets set held_until = now()")
        .await;
    hub.execute_sql("update integrations set held_until = now()")
        .await;
    hub.execute_sql("update messages set due_at = now() where status = 'queued'")
        .await;
}

fn bodies(hub: &Hub) -> Vec<String> {
    let messages = hub.twilio.messages().into_iter();
    messages.map(|message| message.body).collect()
}

#[tokio::test]
async fn number_sends_at_its_default_or_configured_rate() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let account = hub.twilio.account(&harbor.account, TOKEN);
    account
        .number(FRONT_DESK)
        .number("+18005550100")
        .number("+16285550102");
    harbor.connect_with(TOKEN).await.expect_status(201);
    // A short code, which Twilio lists elsewhere.
    hub.execute_sql(
        "update numbers set phone_number = '72345' where phone_number = '+16285550102'",
    )
    .await;
    for (number, usual) in [(FRONT_DESK, 1_u8), ("+18005550100", 3), ("72345", 100)] {
        let shown = set_rate(&harbor, number, Value::Null).await;
        assert_eq!(shown["messages_per_second"], Value::Null);
        assert_eq!(shown["usual_messages_per_second"], json!(f64::from(usual)));
        queue_texts(&harbor, number, usize::from(usual) + 2, false).await;
        let room = hub
            .count("select count(*) from claim_queued_messages(1000)")
            .await;
        assert_eq!(room, i64::from(usual), "a second's worth of {number}");
        hub.execute_sql("update messages set status = 'sent' where status = 'queued'")
            .await;
    }
    let shown = set_rate(&harbor, FRONT_DESK, json!(7.5)).await;
    assert_eq!(shown["messages_per_second"], 7.5);
    let renamed = harbor.path(&format!("/numbers/{}", harbor.number(FRONT_DESK).await));
    let renamed = harbor
        .admin
        .patch(&renamed, json!({"friendly_name": "Front desk"}))
        .await;
    assert_eq!(
        renamed.expect_status(200)["messages_per_second"],
        7.5,
        "omitted fields are kept"
    );
    let path = harbor.path(&format!("/numbers/{}", harbor.number(FRONT_DESK).await));
    for wrong in [json!(0), json!(-1), json!(0.009), json!(1000.5)] {
        let answer = harbor
            .admin
            .patch(&path, json!({"messages_per_second": wrong}))
            .await;
        let problem = answer.refused(422, "validation_failed");
        assert_eq!(
            problem["errors"][0]["field"], "messages_per_second",
            "{wrong}"
        );
    }
    let audit = harbor
        .admin
        .get(&harbor.path("/audit"))
        .await
        .expect_status(200);
    let entries = audit["data"].as_array().unwrap();
    let result = entries
        .iter()
        .any(|entry| entry["after"]["messages_per_second"] == 7.5);
    assert!(result, "{audit}");
}

#[tokio::test]
async fn sandbox_has_no_rate_limit() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let sandbox = json!({"provider": "sandbox", "credentials": {}});
    let made = harbor
        .admin
        .post(&harbor.path("/integrations"), sandbox)
        .await
        .expect_status(201);
    let number = made["numbers"][0]["phone_number"].as_str().unwrap();
    set_rate(&harbor, number, Value::Null).await;
    queue_texts(&harbor, number, 25, false).await;
    assert_eq!(hub.run_sender().await, 25);
}

#[tokio::test]
async fn two_servers_share_the_rate_of_a_number() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let other = serve(&hub.database, &hub.twilio, &[]).await;
    set_rate(&harbor, FRONT_DESK, json!(0.01)).await;
    queue_texts(&harbor, FRONT_DESK, 12, false).await;
    for round in 1..=8 {
        make_next_due(&hub).await;
        let both = tokio::join!(hub.run_sender(), other.sender.run_once());
        assert_eq!(
            both.0 + both.1.unwrap(),
            1,
            "one server sends: round {round}"
        );
        assert_eq!(
            hub.run_sender().await + other.sender.run_once().await.unwrap(),
            0
        );
    }
    set_rate(&harbor, FRONT_DESK, json!(1000)).await;
    let both = tokio::join!(hub.run_sender(), other.sender.run_once());
    assert_eq!(both.0 + both.1.unwrap(), 4, "the new rate applies at once");
    assert_eq!(hub.twilio.messages().len(), 12);
    other.stop().await;
}

#[tokio::test]
async fn slow_number_keeps_order_and_delays_no_other() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let account = hub.twilio.account(&harbor.account, TOKEN);
    account.number(FRONT_DESK).number(BILLING);
    harbor.connect_with(TOKEN).await.expect_status(201);
    set_rate(&harbor, FRONT_DESK, json!(0.01)).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let texts: Vec<_> = (0..4).map(|n| format!("Part {n}")).collect();
    for text in &texts {
        harbor.reply(&harbor.admin, &maya, text).await;
    }
    queue_texts(&harbor, BILLING, 3, false).await;
    assert_eq!(hub.run_sender().await, 1 + 3);
    for _ in 1..4 {
        make_next_due(&hub).await;
        assert_eq!(hub.run_sender().await, 1);
    }
    let mut sent = bodies(&hub);
    sent.retain(|body| body.starts_with("Part"));
    assert_eq!(sent, texts);
}

#[tokio::test]
async fn sender_wakes_for_each_text_of_a_slow_number() {
    let mut hub = Hub::start().await;
    hub.server.start_calls();
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    set_rate(&harbor, FRONT_DESK, json!(2)).await;
    let began = Instant::now();
    queue_texts(&harbor, FRONT_DESK, 6, false).await;
    until("six texts are sent", async || {
        hub.twilio.messages().len() == 6
    })
    .await;
    let took = began.elapsed();
    assert!(
        took > Duration::from_millis(1500),
        "two at once, then two each second: {took:?}"
    );
    assert!(
        took < Duration::from_secs(12),
        "not only at the next poll: {took:?}"
    );
}

#[tokio::test]
async fn retry_after_of_the_provider_holds_the_account() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let account = hub.twilio.account(&harbor.account, TOKEN);
    account.number(FRONT_DESK).number(BILLING);
    harbor.connect_with(TOKEN).await.expect_status(201);
    queue_texts(&harbor, FRONT_DESK, 1, false).await;
    hub.twilio.is_busy(Some(60));
    assert_eq!(hub.run_sender().await, 1);
    queue_texts(&harbor, FRONT_DESK, 2, false).await;
    queue_texts(&harbor, BILLING, 2, false).await;
    hub.execute_sql("update messages set due_at = now() where status = 'queued'")
        .await;
    assert_eq!(
        hub.run_sender().await,
        0,
        "nothing is sent before Retry-After"
    );
    assert!(hub.twilio.messages().is_empty());
    let held = "select extract(epoch from held_until - now())::bigint from integrations";
    assert!((50..=63).contains(&hub.count(held).await));
    let tries = "select max(attempts)::bigint from messages";
    assert_eq!(hub.count(tries).await, 1, "waiting costs no attempt");
    end_holds(&hub).await;
    assert_eq!(hub.run_sender().await, 5);
}

#[tokio::test]
async fn full_queue_of_a_number_holds_that_number() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let account = hub.twilio.account(&harbor.account, TOKEN);
    account.number(FRONT_DESK).number(BILLING);
    harbor.connect_with(TOKEN).await.expect_status(201);
    queue_texts(&harbor, FRONT_DESK, 1, false).await;
    hub.twilio.refuses(21611, 400);
    assert_eq!(hub.run_sender().await, 1);
    queue_texts(&harbor, FRONT_DESK, 2, false).await;
    queue_texts(&harbor, BILLING, 2, false).await;
    assert_eq!(hub.run_sender().await, 2, "the other number sends");
    assert!(bodies(&hub).iter().all(|body| body.contains(BILLING)));
    end_holds(&hub).await;
    assert_eq!(hub.run_sender().await, 3);
    // A transient error of the network delays that text only.
    queue_texts(&harbor, FRONT_DESK, 1, false).await;
    hub.twilio.fails(Failure::Busy { retry_after: None });
    assert_eq!(hub.run_sender().await, 1);
    queue_texts(&harbor, FRONT_DESK, 3, false).await;
    assert_eq!(
        hub.run_sender().await,
        2,
        "all but the one of its conversation"
    );
}

#[tokio::test]
async fn direct_messages_precede_bulk_except_within_a_conversation() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    set_rate(&harbor, FRONT_DESK, json!(0.01)).await;
    queue_texts(&harbor, FRONT_DESK, 3, true).await;
    let bulk = json!({"conversation_id": maya["id"], "content": "Closed on Friday", "bulk": true});
    harbor
        .admin
        .post(&harbor.path("/messages"), bulk)
        .await
        .expect_status(202);
    let draft = json!({"to": "+14155550177", "content": "We have 3:30 free"});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    harbor
        .reply(&harbor.admin, &maya, "Of course you can")
        .await;
    for _ in 0..6 {
        make_next_due(&hub).await;
        assert_eq!(hub.run_sender().await, 1);
    }
    let sent = bodies(&hub);
    // The bulk text ahead of Maya's answer does not wait behind other bulk texts.
    assert_eq!(
        sent[..3],
        ["Closed on Friday", "We have 3:30 free", "Of course you can"]
    );
    assert!(
        sent[3..].iter().all(|body| body.starts_with("Reminder")),
        "{sent:?}"
    );
}

//! The webhook journal: every call with its outcome.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::hub::{FRONT_DESK, Hub, MAYA, Workspace};

async fn journal(harbor: &Workspace<'_>, query: &str) -> Vec<Value> {
    let path = harbor.path(&format!("/webhooks?{query}"));
    let page = harbor.admin.get(&path).await.expect_status(200);
    page["data"].as_array().unwrap().clone()
}

fn outcomes(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .map(|line| line["outcome"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn every_call_is_journaled_with_its_outcome() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sid = "SM000000000000000000000000000000aa";
    for _ in 0..2 {
        let text = hub
            .twilio
            .inbound_text(MAYA, FRONT_DESK, "Our code is 4711");
        assert_eq!(text.sid(sid).send().await.status(), 200);
    }
    let lines = journal(&harbor, "").await;
    assert_eq!(outcomes(&lines), ["repeat", "stored"]);
    let maya = harbor.conversation_with(MAYA).await;
    for line in &lines {
        assert_eq!(line["provider_sid"], sid);
        assert_eq!(
            (&line["kind"], &line["via"]),
            (&json!("inbound"), &json!("webhook"))
        );
        assert_eq!(line["phone_number"], FRONT_DESK);
        assert_eq!(line["conversation_id"], maya["id"]);
        assert_eq!(line["message_id"], maya["last_message_id"]);
        assert!(
            !line.to_string().contains("4711"),
            "the journal contains no text"
        );
    }

    harbor.reply(&harbor.admin, &maya, "Hello").await;
    hub.run_sender().await;
    let ours = hub.twilio.sent("Hello")[0].sid.clone();
    for status in ["delivered", "delivered", "sent"] {
        hub.twilio.reports(&ours, status).await;
    }
    let lines = journal(&harbor, "kind=status").await;
    assert_eq!(outcomes(&lines), ["repeat", "repeat", "applied"]);
    assert_eq!(lines[0]["detail"], "sent");
    assert_eq!(lines[2]["provider_sid"], ours);
    assert_eq!(
        journal(&harbor, &format!("provider_sid={ours}"))
            .await
            .len(),
        3
    );
    assert_eq!(journal(&harbor, "outcome=stored").await.len(), 1);
    let number = harbor.number(FRONT_DESK).await;
    assert_eq!(
        journal(&harbor, &format!("number_id={number}")).await.len(),
        5
    );

    // For an unknown text.
    let integration = lines[0]["integration_id"].as_str().unwrap();
    let url = hub.url(&format!("/webhooks/twilio/{integration}/status"));
    let text = hub
        .twilio
        .inbound_text(MAYA, FRONT_DESK, "")
        .sid("SMnobody");
    let stray = text
        .with("MessageStatus", "delivered")
        .at(&url)
        .send()
        .await;
    assert_eq!(stray.status(), 404);
    let lines = journal(&harbor, "outcome=ignored").await;
    assert_eq!(lines[0]["provider_sid"], "SMnobody");
    assert_eq!(lines[0]["message_id"], Value::Null);

    // Validly signed, without a required field.
    let half = hub
        .twilio
        .inbound_text(MAYA, FRONT_DESK, "")
        .without("From");
    assert_eq!(half.send().await.status(), 400);
    let lines = journal(&harbor, "outcome=malformed").await;
    assert!(
        lines[0]["detail"].as_str().unwrap().contains("From"),
        "{lines:?}"
    );

    // To a number that the integration does not have.
    let other = hub
        .twilio
        .inbound_text(MAYA, FRONT_DESK, "")
        .with("To", "+16285550999");
    assert_eq!(other.send().await.status(), 404);
    assert_eq!(journal(&harbor, "outcome=ignored").await.len(), 2);
}

#[tokio::test]
async fn journal_is_paginated_and_admin_only() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    join_all((0..30).map(|n| {
        let sid = format!("SM{n:032x}");
        hub.twilio
            .inbound_text(MAYA, FRONT_DESK, "Hi")
            .sid(&sid)
            .send()
    }))
    .await;
    let mut cursor = String::new();
    let mut sids = Vec::new();
    loop {
        let path = harbor.path(&format!("/webhooks?limit=7&cursor={cursor}"));
        let page = harbor.admin.get(&path).await.expect_status(200);
        let lines = page["data"].as_array().unwrap().iter();
        sids.extend(lines.map(|line| line["provider_sid"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.into(),
            None => break,
        }
    }
    assert_eq!(sids.len(), 30);
    sids.sort();
    sids.dedup();
    assert_eq!(sids.len(), 30, "each once");

    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let path = harbor.path("/webhooks");
    sam.get(&path).await.refused(403, "admin_only");
    let mut tx = hub.with_rights_of(&sam, &harbor).await;
    let seen: i64 = sqlx::query_scalar("select count(*) from webhooks")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(seen, 0, "row-level security hides it");
    for wrong in [
        "outcome=lost",
        "number_id=1",
        "limit=0",
        "cursor=x",
        "provider_sid=%00",
    ] {
        let path = harbor.path(&format!("/webhooks?{wrong}"));
        harbor
            .admin
            .get(&path)
            .await
            .refused(422, "validation_failed");
    }
}

#[tokio::test]
async fn journal_entries_expire_after_a_month() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Long ago").await;
    let forged = hub.twilio.inbound_text(MAYA, FRONT_DESK, "Long ago");
    forged.signed_with("another token").send().await;
    harbor.receive_text(MAYA, "Today").await;
    assert_eq!(journal(&harbor, "").await.len(), 3);
    // Ids contain the time. Housekeeping may run by itself from now on.
    hub.execute_sql(
        "update webhooks set id = overlay(id::text placing '01900000-0000' from 1 for 13)::uuid, created_at = now() - interval '31 days'
          where id < (select id from webhooks order by id desc limit 1)",
    )
    .await;
    hub.execute_sql("update quarantine set created_at = now() - interval '31 days'")
        .await;

    messagehub::workers::housekeeping::tidy(&hub.server.app)
        .await
        .unwrap();

    assert_eq!(journal(&harbor, "").await.len(), 1);
    assert_eq!(hub.count("select count(*) from quarantine").await, 0);
    assert_eq!(
        hub.count("select count(*) from messages").await,
        2,
        "texts stay"
    );
}

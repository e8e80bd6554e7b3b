//! Failover: a failed number hands its texts over to another one where the workspace allows it.

use serde_json::{Value, json};

use crate::hub::{FRONT_DESK, Hub, MAYA, Person, Workspace, serve};

const KEY: &str = "KEY0192A3B4C5D6E7F8_abcdefghijklmnop";
const BILLING: &str = "+16285550101";

/// The front desk at Twilio, and another number at Telnyx.
async fn two_providers<'a>(hub: &'a Hub, failover: bool) -> Workspace<'a> {
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let telnyx = hub.telnyx.account(KEY);
    telnyx.number(BILLING);
    let credentials = json!({"api_key": KEY, "public_key": telnyx.public_key()});
    let form = json!({"provider": "telnyx", "credentials": credentials});
    let path = harbor.path("/integrations");
    harbor.admin.post(&path, form).await.expect_status(201);
    let change = json!({"failover": failover});
    let shown = harbor
        .admin
        .patch(&harbor.path(""), change)
        .await
        .expect_status(200);
    assert_eq!(shown["failover"], failover);
    harbor
}

/// Twilio accepts nothing more.
async fn twilio_is_down(hub: &Hub) {
    hub.execute_sql("update integrations set status = 'unhealthy', status_reason = 'Refused' where provider = 'twilio'")
        .await;
}

async fn agent(harbor: &Workspace<'_>, numbers: &[&str]) -> Person {
    let sam = harbor.agent("Sam").await;
    for number in numbers {
        harbor.assign_number(number, &sam).await;
    }
    harbor.set_credits(&sam, 5).await;
    sam
}

fn contents(thread: &[Value]) -> Vec<&str> {
    let texts = thread.iter();
    texts
        .map(|text| text["content"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn queued_texts_of_a_failed_number_use_another_and_record_it() {
    let hub = Hub::start().await;
    let harbor = two_providers(&hub, true).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let sam = agent(&harbor, &[FRONT_DESK, BILLING]).await;
    let first = harbor.reply(&sam, &maya, "We have 3:30 free").await;
    let second = harbor.reply(&sam, &maya, "Or 4:15").await;
    twilio_is_down(&hub).await;
    assert_eq!(hub.run_sender().await, 2);

    let sent: Vec<_> = hub.telnyx.messages().into_iter().collect();
    let sent_texts: Vec<_> = sent
        .iter()
        .map(|m| (m.from.as_str(), m.to.as_str(), m.text.as_str()))
        .collect();
    assert_eq!(
        sent_texts,
        [
            (BILLING, MAYA, "We have 3:30 free"),
            (BILLING, MAYA, "Or 4:15")
        ]
    );
    assert!(hub.twilio.messages().is_empty());
    for message in [&first, &second] {
        let now = harbor.message(&message["id"]).await;
        assert_eq!(
            (&now["status"], &now["provider"]),
            (&json!("sent"), &json!("telnyx"))
        );
        assert_ne!(now["conversation_id"], maya["id"]);
    }
    let old = harbor.thread(&maya).await;
    assert_eq!(old[0]["content"], "Hi");
    assert_eq!(old[1]["direction"], "note");
    let note = old[1]["content"].as_str().unwrap();
    assert!(
        note.contains("Sent from") && note.contains("was down") && note.contains("3:30"),
        "{note}"
    );
    let new = json!({"id": harbor.message(&first["id"]).await["conversation_id"]});
    let new = harbor.thread(&new).await;
    let texts: Vec<_> = new
        .iter()
        .filter(|text| text["direction"] == "outbound")
        .cloned()
        .collect();
    assert_eq!(contents(&texts), ["We have 3:30 free", "Or 4:15"]);
    assert!(new.iter().any(|text| text["direction"] == "note"));
    let left = sam
        .get(&harbor.path(&format!("/credits/{}", sam.id)))
        .await
        .expect_status(200);
    assert_eq!(left["balance"], 3, "each is charged once");
    let audit = harbor
        .admin
        .get(&harbor.path("/audit?action=text_handed_over"))
        .await
        .expect_status(200);
    assert_eq!(audit["data"].as_array().unwrap().len(), 2);
    assert_eq!(audit["data"][0]["after"]["number"], BILLING);
    let shown = sam
        .get(&harbor.path(&format!("/conversations/{}", maya["id"].as_str().unwrap())))
        .await
        .expect_status(200);
    assert_eq!(
        shown["last_message_preview"], "Hi",
        "the last text of that conversation"
    );
}

#[tokio::test]
async fn disabled_number_fails_over() {
    let hub = Hub::start().await;
    let harbor = two_providers(&hub, true).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.reply(&harbor.admin, &maya, "Hello").await;
    let number = harbor.path(&format!("/numbers/{}", harbor.number(FRONT_DESK).await));
    let change = json!({"status": "inactive"});
    harbor.admin.patch(&number, change).await.expect_status(200);
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(hub.telnyx.sent("Hello").len(), 1);
}

#[tokio::test]
async fn failover_happens_only_where_allowed() {
    // Not enabled by the workspace; no access of the author; an opt-out from either number; a sandbox number.
    for reason in [
        "workspace",
        "writer",
        "opted out there",
        "opted out here",
        "sandbox",
    ] {
        let hub = Hub::start().await;
        let harbor = two_providers(&hub, reason != "workspace").await;
        let maya = harbor.receive_text(MAYA, "Hi").await;
        let numbers: &[&str] = if reason == "writer" {
            &[FRONT_DESK]
        } else {
            &[FRONT_DESK, BILLING]
        };
        let sam = agent(&harbor, numbers).await;
        let message = harbor.reply(&sam, &maya, "Hello").await;
        let contact = maya["contact_id"].as_str().unwrap();
        let opts_out = async |number: &str| {
            let consent = json!({"number_id": harbor.number(number).await, "consent_kind": "stop", "reason": "Said so on the phone"});
            let path = harbor.path(&format!("/contacts/{contact}/consent"));
            let answer = harbor.admin.post(&path, consent).await;
            assert!(answer.status < 300, "{}", answer.status);
        };
        match reason {
            "opted out there" => opts_out(BILLING).await,
            "opted out here" => opts_out(FRONT_DESK).await,
            // Sandbox texts reach nobody.
            "sandbox" => {
                hub.execute_sql(
                    "update integrations set provider = 'sandbox' where provider = 'telnyx'",
                )
                .await
            }
            _ => {}
        }
        twilio_is_down(&hub).await;
        assert_eq!(hub.run_sender().await, 0, "{reason}");
        let now = harbor.message(&message["id"]).await;
        assert_ne!(now["status"], "sent", "{reason}");
        assert_eq!(
            now["conversation_id"], maya["id"],
            "{reason}: it stays in its conversation"
        );
        assert!(hub.telnyx.messages().is_empty(), "{reason}");
    }
}

#[tokio::test]
async fn two_servers_fail_over_once() {
    let hub = Hub::start().await;
    let harbor = two_providers(&hub, true).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    for n in 0..6 {
        harbor
            .reply(&harbor.admin, &maya, &format!("Part {n}"))
            .await;
    }
    let settings = [("TELNYX_API_BASE_URL", hub.telnyx.url())];
    let other = serve(&hub.database, &hub.twilio, &settings).await;
    twilio_is_down(&hub).await;
    let both = tokio::join!(hub.run_sender(), other.sender.run_once());
    let rest = hub.run_sender().await + other.sender.run_once().await.unwrap();
    assert_eq!(both.0 + both.1.unwrap() + rest, 6);
    let sent: Vec<_> = hub.telnyx.messages().into_iter().map(|m| m.text).collect();
    let parts: Vec<_> = (0..6).map(|n| format!("Part {n}")).collect();
    assert_eq!(sent, parts, "each once, in order");
    let notes = "select count(*) from messages where direction = 'note'";
    assert_eq!(hub.count(notes).await, 12);
    other.stop().await;
}

#[tokio::test]
async fn scheduled_text_of_a_failed_number_uses_another() {
    let hub = Hub::start().await;
    let harbor = two_providers(&hub, true).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let at = (chrono::Utc::now() + chrono::Duration::days(1)).to_rfc3339();
    let draft = json!({"conversation_id": maya["id"], "content": "See you", "scheduled_at": at});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    hub.execute_sql("update integrations set is_active = false where provider = 'twilio'")
        .await;
    hub.execute_sql("update messages set due_at = now() where status = 'scheduled'")
        .await;
    messagehub::domain::messages::schedule::queue_due(&hub.server.app.db)
        .await
        .unwrap();
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(hub.telnyx.sent("See you").len(), 1);
}

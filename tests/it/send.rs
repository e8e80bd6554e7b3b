//! Outbound texts: queued once and sent once, despite faults of the provider and the network.

mod refusals;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::emulator::Failure;
use crate::hub::{Hub, MAYA, Workspace};

async fn end_retry_delays(hub: &Hub) {
    hub.execute_sql("update messages set due_at = now() where status = 'queued'")
        .await;
    hub.execute_sql("update integrations set held_until = now()")
        .await;
}

async fn expire_leases(hub: &Hub) {
    sqlx::query(
        "update messages set lease_until = now() - interval '1 second' where status = 'sending'",
    )
    .execute(&hub.superuser_pool)
    .await
    .unwrap();
}

async fn status(harbor: &Workspace<'_>, message: &Value) -> String {
    harbor.message(&message["id"]).await["status"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn text_is_sent_while_another_transaction_refers_to_it() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let message = harbor.reply(&harbor.admin, &conversation, "Hello").await;
    // As the search index does: the foreign key locks the key of the message.
    let mut other = hub.superuser_pool.begin().await.unwrap();
    sqlx::query("select from messages where content = 'Hello' for key share")
        .execute(&mut *other)
        .await
        .unwrap();

    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(status(&harbor, &message).await, "sent");
    let sid = &hub.twilio.messages()[0].sid;
    hub.twilio.reports(sid, "delivered").await;
    assert_eq!(status(&harbor, &message).await, "delivered");
    other.rollback().await.unwrap();
}

#[tokio::test]
async fn repeated_idempotency_key_sends_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let draft = json!({"conversation_id": conversation["id"], "content": "Hello Maya"});

    let answers =
        join_all((0..20).map(|_| harbor.admin.send_with_key(&harbor, "one-key", &draft))).await;

    let ids: std::collections::HashSet<String> = answers
        .into_iter()
        .map(|answer| answer.expect_status(202)["message"]["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(hub.twilio.sent("Hello Maya").len(), 1);
    let other = json!({"conversation_id": conversation["id"], "content": "Something else"});
    harbor
        .admin
        .send_with_key(&harbor, "one-key", &other)
        .await
        .refused(422, "idempotency_key_reused");
    harbor
        .admin
        .send_with_key(&harbor, "another-key", &draft)
        .await
        .expect_status(202);
    assert_eq!(hub.run_sender().await, 1, "another key is another text");
}

#[tokio::test]
async fn texts_of_a_conversation_keep_their_order() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let texts: Vec<_> = (0..12).map(|n| format!("Part {n}")).collect();
    for text in &texts {
        harbor.reply(&harbor.admin, &conversation, text).await;
    }
    // The first is refused as busy: those behind it wait.
    hub.twilio.is_busy(Some(1));
    assert_eq!(hub.run_sender().await, 1);
    end_retry_delays(&hub).await;
    assert_eq!(hub.run_sender().await, 12);
    let sent: Vec<_> = hub
        .twilio
        .messages()
        .into_iter()
        .map(|message| message.body)
        .collect();
    assert_eq!(sent, texts);
}

#[tokio::test]
async fn unsent_text_is_retried_after_its_delay() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let message = harbor
        .reply(&harbor.admin, &conversation, "See you at 3:30")
        .await;

    hub.twilio.is_busy(None);
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(status(&harbor, &message).await, "queued");
    assert_eq!(hub.run_sender().await, 0, "not before the delay ends");
    end_retry_delays(&hub).await;
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(status(&harbor, &message).await, "sent");
    assert_eq!(hub.twilio.sent("See you at 3:30").len(), 1);
}

#[tokio::test]
async fn permanent_refusal_fails_at_once_with_reason() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let message = harbor.reply(&harbor.admin, &conversation, "Hello").await;
    hub.twilio.refuses(21614, 400);
    assert_eq!(hub.run_sender().await, 1);

    let failed = harbor.message(&message["id"]).await;
    assert_eq!(
        (failed["status"].as_str(), failed["error_code"].as_str()),
        (Some("failed"), Some("21614"))
    );
    assert!(
        failed["error_message"].as_str().unwrap().contains(' '),
        "a sentence"
    );
    end_retry_delays(&hub).await;
    assert_eq!(hub.run_sender().await, 0);
    assert_eq!(
        harbor.conversation_with(MAYA).await["last_message_status"],
        "failed"
    );
}

#[tokio::test]
async fn contact_opted_out_at_provider_is_not_texted_again() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    harbor.reply(&harbor.admin, &conversation, "Hello").await;
    hub.twilio.refuses(21610, 400);
    hub.run_sender().await;

    assert_eq!(harbor.conversation_with(MAYA).await["opted_out"], true);
    let draft = json!({"conversation_id": conversation["id"], "content": "Hello?"});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .refused(409, "contact_opted_out");
}

/// Twilio accepts the text and the response is lost, in each of these ways.
#[tokio::test]
async fn unknown_outcome_is_not_resent_and_resolved_by_callback() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let failures = [
        Failure::AcceptThenDrop,
        Failure::AcceptThenGarble,
        Failure::AcceptWithoutSid,
        Failure::AcceptThenStatus(reqwest::StatusCode::BAD_GATEWAY),
    ];
    for (n, failure) in failures.into_iter().enumerate() {
        let text = format!("Text {n}");
        let message = harbor.reply(&harbor.admin, &conversation, &text).await;
        hub.twilio.fails(failure);
        assert_eq!(hub.run_sender().await, 1);
        assert_eq!(status(&harbor, &message).await, "unconfirmed", "{text}");
        end_retry_delays(&hub).await;
        expire_leases(&hub).await;
        assert_eq!(hub.run_sender().await, 0, "it is not resent");

        let sent = hub.twilio.sent(&text);
        assert_eq!(sent.len(), 1);
        assert!(
            hub.twilio
                .reports(&sent[0].sid, "delivered")
                .await
                .status()
                .is_success()
        );
        let resolved = harbor.message(&message["id"]).await;
        assert_eq!(
            (
                resolved["status"].as_str(),
                resolved["provider_sid"].as_str()
            ),
            (Some("delivered"), Some(sent[0].sid.as_str()))
        );
    }
}

#[tokio::test]
async fn in_flight_text_after_a_crash_is_unconfirmed_not_resent() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let message = harbor
        .reply(&harbor.admin, &conversation, "In flight")
        .await;
    let next = harbor
        .reply(&harbor.admin, &conversation, "Waits behind it")
        .await;
    // The state after a `kill -9` during the request.
    sqlx::query("update messages set status = 'sending', attempts = 1, lease_until = now() + interval '1 minute' where content = 'In flight'")
        .execute(&hub.superuser_pool)
        .await
        .unwrap();
    assert_eq!(hub.run_sender().await, 0, "the lease still runs");
    expire_leases(&hub).await;

    assert_eq!(hub.run_sender().await, 1, "the next text is sent");
    assert_eq!(status(&harbor, &message).await, "unconfirmed");
    assert_eq!(status(&harbor, &next).await, "sent");
    assert!(hub.twilio.sent("In flight").is_empty());
}

#[tokio::test]
async fn status_never_goes_backwards() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let message = harbor.reply(&harbor.admin, &conversation, "Hello").await;
    hub.run_sender().await;
    let sid = hub.twilio.sent("Hello")[0].sid.clone();
    for (report, expected) in [
        ("queued", "sent"),
        ("something-new", "sent"),
        ("undelivered", "undelivered"),
        ("delivered", "undelivered"),
        ("sent", "undelivered"),
        ("failed", "undelivered"),
    ] {
        assert!(hub.twilio.reports(&sid, report).await.status().is_success());
        assert_eq!(status(&harbor, &message).await, expected, "after {report}");
    }
}

#[tokio::test]
async fn failure_has_a_readable_reason() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let message = harbor.reply(&harbor.admin, &conversation, "Hello").await;
    hub.run_sender().await;
    let sid = hub.twilio.sent("Hello")[0].sid.clone();
    assert!(
        hub.twilio
            .reports_failure(&sid, "undelivered", 30003)
            .await
            .status()
            .is_success()
    );
    let result = harbor.message(&message["id"]).await;
    assert_eq!(result["error_code"], "30003");
    assert!(result["error_message"].as_str().unwrap().len() > 20);
}

#[tokio::test]
async fn rejected_credentials_pause_the_queue_until_replaced() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let message = harbor.reply(&harbor.admin, &conversation, "Hello").await;
    // Both the send and the check of the account are refused.
    hub.twilio.refuses(20003, 401).refuses(20003, 401);
    hub.run_sender().await;

    let integration = harbor
        .admin
        .get(&harbor.path("/integrations"))
        .await
        .expect_status(200)["data"][0]
        .clone();
    assert_eq!(integration["status"], "unhealthy");
    assert!(integration["status_reason"].as_str().unwrap().len() > 10);
    let mail = hub.mail_server.mail_to(&harbor.admin.email).await;
    let mail = if mail.subject.contains("wait") {
        mail
    } else {
        hub.mail_server.mail_to(&harbor.admin.email).await
    };
    assert!(mail.subject.contains("needs attention"), "{}", mail.subject);
    assert!(mail.link().contains("/admin/integrations"), "{}", mail.text);
    end_retry_delays(&hub).await;
    assert_eq!(hub.run_sender().await, 0, "the queue waits");
    assert_eq!(status(&harbor, &message).await, "queued");

    let path = harbor.path(&format!(
        "/integrations/{}/test",
        integration["id"].as_str().unwrap()
    ));
    assert_eq!(
        harbor.admin.post(&path, json!({})).await.expect_status(200)["status"],
        "healthy"
    );
    end_retry_delays(&hub).await;
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(status(&harbor, &message).await, "sent");
}

#[tokio::test]
async fn text_to_a_new_number_creates_its_contact() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let draft = json!({"to": "415.555.0192", "content": "Welcome!"});
    let message = harbor
        .admin
        .post(&harbor.path("/messages"), draft.clone())
        .await
        .expect_status(202)["message"]
        .clone();
    let again = harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202)["message"]
        .clone();
    assert_eq!(message["conversation_id"], again["conversation_id"]);
    assert_eq!(
        harbor.conversation_with(MAYA).await["contact"]["phone_number"],
        MAYA
    );
}

#[tokio::test]
async fn accents_are_composed_before_counting_storing_and_sending() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hola").await;
    let jo = &harbor.admin;
    let (composed, decomposed) = ("é".repeat(70), "e\u{301}".repeat(70));
    let sends = async |draft: Value| {
        jo.post(&harbor.path("/messages"), draft)
            .await
            .expect_status(202)["message"]
            .clone()
    };
    let to = |content: &str| json!({"conversation_id": conversation["id"], "content": content});
    for content in [&composed, &decomposed] {
        let message = sends(to(content)).await;
        assert_eq!(
            (&message["content"], &message["segments"]),
            (&json!(composed), &json!(1))
        );
        hub.run_sender().await;
        assert_eq!(hub.twilio.messages().last().unwrap().body, composed);
    }
    // 1,600 letters of two code points each fit.
    sends(to(&"e\u{301}".repeat(1600))).await;

    // Signature, template and variables.
    let settings = json!({"signature": "Rene\u{301}"});
    assert_eq!(
        jo.patch(&harbor.path("/settings"), settings)
            .await
            .expect_status(200)["signature"],
        "René"
    );
    let template = json!({"name": "Cafe\u{301}", "content": "Hola {{quien}}: cafe\u{301}"});
    let template = jo
        .post(&harbor.path("/templates"), template)
        .await
        .expect_status(201);
    assert_eq!(
        (&template["name"], &template["content"]),
        (&json!("Café"), &json!("Hola {{quien}}: café"))
    );
    let draft = json!({"conversation_id": conversation["id"], "template_id": template["id"], "variables": {"quien": "Jose\u{301}"}});
    assert_eq!(sends(draft).await["content"], "Hola José: café\nRené");

    // A scheduled text, a draft and a note.
    let mut later = to("Sí");
    later["scheduled_at"] = json!(chrono::Utc::now() + chrono::Duration::days(1));
    let planned = sends(later).await;
    let path = harbor.path(&format!("/messages/{}", planned["id"].as_str().unwrap()));
    let changed = jo
        .patch(&path, json!({"content": decomposed}))
        .await
        .expect_status(200);
    assert_eq!(
        (&changed["content"], &changed["segments"]),
        (&json!(composed), &json!(1))
    );
    let path = harbor.path(&format!(
        "/conversations/{}/draft",
        conversation["id"].as_str().unwrap()
    ));
    let saved = jo
        .ask(
            jo.request(reqwest::Method::PUT, &path)
                .json(&json!({"content": decomposed})),
        )
        .await
        .expect_status(200);
    assert_eq!(saved["content"], composed);
    assert_eq!(
        harbor.add_note(&conversation, "cafe\u{301}").await["content"],
        "café"
    );
}

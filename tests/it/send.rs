//! Outbound texts: queued once and sent once, despite faults of the provider and the network.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::emulator::Failure;
use crate::hub::{FRONT_DESK, Hub, MAYA, Workspace};

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

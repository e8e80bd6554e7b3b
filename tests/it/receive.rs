//! Inbound texts: stored once, unchanged, and committed before the 200.

use futures_util::future::join_all;
use serde_json::json;

use crate::hub::{FRONT_DESK, Hub, MAYA, TOKEN};

#[tokio::test]
async fn fifty_concurrent_copies_store_one_text_and_get_200() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let mut live = harbor.admin.join_workspace(&harbor).await;
    let sid = "SM000000000000000000000000000000aa";

    let copies = (0..50).map(|_| {
        hub.twilio
            .inbound_text(MAYA, FRONT_DESK, "Hello?")
            .sid(sid)
            .send()
    });
    let answers = join_all(copies).await;

    assert!(answers.iter().all(|answer| answer.status() == 200));
    assert_eq!(hub.count("select count(*) from messages").await, 1);
    assert_eq!(harbor.conversation_with(MAYA).await["unread_count"], 1);
    live.wait_for("new_message").await;
    // A second event of the first text would arrive before this one.
    hub.twilio.text(MAYA, FRONT_DESK, "Anyone there?").await;
    assert_eq!(
        live.wait_for("new_message").await["message"]["content"],
        "Anyone there?"
    );
}

#[tokio::test]
async fn concurrent_first_texts_create_one_contact_and_conversation() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;

    let texts: Vec<_> = (0..20).map(|n| format!("Text {n}")).collect();
    let answers = join_all(
        texts
            .iter()
            .map(|text| hub.twilio.text(MAYA, FRONT_DESK, text)),
    )
    .await;

    assert!(answers.iter().all(|answer| answer.status() == 200));
    assert_eq!(hub.count("select count(*) from contacts").await, 1);
    assert_eq!(hub.count("select count(*) from conversations").await, 1);
    let conversation = harbor.conversation_with(MAYA).await;
    assert_eq!(conversation["unread_count"], 20);
    let thread = harbor.thread(&conversation).await;
    let mut contents: Vec<_> = thread
        .iter()
        .map(|text| text["content"].as_str().unwrap())
        .collect();
    contents.sort_unstable();
    let mut expected: Vec<_> = texts.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(contents, expected);
}

#[tokio::test]
async fn response_is_empty_twiml() {
    let hub = Hub::start().await;
    let _harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let answer = hub.twilio.text(MAYA, FRONT_DESK, "Hi").await;
    assert!(
        answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/xml")
    );
    assert_eq!(
        answer.text().await.unwrap(),
        r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#
    );
}

#[tokio::test]
async fn one_url_serves_every_workspace() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let bay = hub.workspace("Bay Optics").await;
    bay.connect_twilio("+16285550177").await;

    let url = hub.url("/twilio/webhook");
    let to_harbor = hub
        .twilio
        .inbound_text(MAYA, FRONT_DESK, "For Harbor")
        .at(&url)
        .send()
        .await;
    let to_bay = hub
        .twilio
        .inbound_text(MAYA, "+16285550177", "For Bay")
        .at(&url)
        .send()
        .await;

    assert_eq!(
        (to_harbor.status().as_u16(), to_bay.status().as_u16()),
        (200, 200)
    );
    assert_eq!(
        harbor.conversation_with(MAYA).await["last_message_preview"],
        "For Harbor"
    );
    assert_eq!(
        bay.conversation_with(MAYA).await["last_message_preview"],
        "For Bay"
    );
}

#[tokio::test]
async fn wrong_signature_gets_403_and_unknown_number_404() {
    let hub = Hub::start().await;
    let _harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let text = || hub.twilio.inbound_text(MAYA, FRONT_DESK, "Hi");

    for at in [hub.url("/twilio/webhook"), String::new()] {
        let aimed = |text: crate::emulator::Text| if at.is_empty() { text } else { text.at(&at) };
        assert_eq!(
            aimed(text())
                .signed_with("another token")
                .send()
                .await
                .status(),
            403
        );
        assert_eq!(aimed(text()).with_signature("").send().await.status(), 403);
        assert_eq!(
            aimed(text())
                .with("To", "+16285550999")
                .send()
                .await
                .status(),
            404
        );
        assert_eq!(aimed(text()).without("From").send().await.status(), 400);
    }
    let stranger = "AC99999999999999999999999999999999";
    let elsewhere = text()
        .at(&hub.url("/twilio/webhook"))
        .with("AccountSid", stranger)
        .signed_with(TOKEN);
    assert_eq!(elsewhere.send().await.status(), 404);
    assert_eq!(hub.count("select count(*) from messages").await, 0);
    assert_eq!(text().send().await.status(), 200, "a valid text is stored");
}

#[tokio::test]
async fn unusual_texts_are_stored_unchanged() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let long = "я".repeat(1_600);
    let cases = [
        ("", ""),
        ("nul \0 inside", "nul  inside"),
        ("  spaces kept  ", "  spaces kept  "),
        ("👨‍👩‍👧‍👦 \u{202e}مرحبا", "👨‍👩‍👧‍👦 \u{202e}مرحبا"),
        ("line\r\nbreak\ttab", "line\r\nbreak\ttab"),
        ("'; drop table messages; --", "'; drop table messages; --"),
        (long.as_str(), long.as_str()),
    ];
    for (sent, stored) in cases {
        let conversation = harbor.receive_text(MAYA, sent).await;
        let thread = harbor.thread(&conversation).await;
        assert_eq!(thread.last().unwrap()["content"], stored);
    }
}

#[tokio::test]
async fn unusual_parameters_are_harmless() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for media in ["-1", "99999999999999999999", "many", ""] {
        let text = hub
            .twilio
            .inbound_text(MAYA, FRONT_DESK, "Hi")
            .with("NumMedia", media)
            .with("FutureParameter", "1");
        assert_eq!(text.send().await.status(), 200, "NumMedia={media}");
    }
    let thread = harbor.thread(&harbor.conversation_with(MAYA).await).await;
    assert!(thread.len() == 4 && thread.iter().all(|text| text["message_type"] == "text"));
}

#[tokio::test]
async fn unanswerable_senders_are_stored_and_replies_refused() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for sender in ["262966", "ACME Dental"] {
        let conversation = harbor.receive_text(sender, "Your code is 1234").await;
        let draft = json!({"conversation_id": conversation["id"], "content": "Thanks"});
        harbor
            .admin
            .post(&harbor.path("/messages"), draft)
            .await
            .refused(409, "contact_unreachable");
    }
    assert_eq!(hub.run_sender().await, 0);
}

#[tokio::test]
async fn media_arrives_with_its_text_and_is_proxied() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let urls = [
        "https://api.twilio.com/media/1",
        "https://api.twilio.com/media/2",
    ];
    assert_eq!(
        hub.twilio
            .inbound_text(MAYA, FRONT_DESK, "")
            .media(&urls)
            .send()
            .await
            .status(),
        200
    );

    let conversation = harbor.conversation_with(MAYA).await;
    let text = &harbor.thread(&conversation).await[0];
    assert_eq!(text["message_type"], "media");
    assert_eq!(text["media"].as_array().unwrap().len(), 2);
    let picture = &text["media"][1];
    let ours = harbor.path(&format!("/media/{}", picture["id"].as_str().unwrap()));
    assert_eq!(picture["url"], ours, "the provider's URL is not disclosed");
    let source_url: String =
        sqlx::query_scalar("select source_url from message_media where position = 1")
            .fetch_one(&hub.superuser_pool)
            .await
            .unwrap();
    assert_eq!(source_url, urls[1]);
    // Not media of this message at the provider: a webhook could name any URL, so it is not fetched.
    harbor
        .admin
        .get(&ours)
        .await
        .refused(503, "provider_unavailable");
    assert!(
        !conversation["last_message_preview"]
            .as_str()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn inbound_text_reopens_a_done_conversation() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Thanks!").await;
    let path = harbor.path(&format!(
        "/conversations/{}",
        conversation["id"].as_str().unwrap()
    ));
    assert_eq!(
        harbor
            .admin
            .patch(&path, json!({"status": "done"}))
            .await
            .expect_status(200)["status"],
        "done"
    );

    assert_eq!(
        harbor.receive_text(MAYA, "One more thing").await["status"],
        "open"
    );
}

#[tokio::test]
async fn other_methods_and_content_types_get_clear_errors() {
    let hub = Hub::start().await;
    let _harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = hub.url("/twilio/webhook");
    for method in [
        reqwest::Method::PUT,
        reqwest::Method::DELETE,
        reqwest::Method::PATCH,
    ] {
        assert_eq!(
            client.request(method, &url).send().await.unwrap().status(),
            405
        );
    }
    assert_eq!(client.get(&url).send().await.unwrap().status(), 400);
    assert_eq!(
        client.post(&url).send().await.unwrap().status(),
        400,
        "no body"
    );
    for (kind, body) in [
        ("application/json", "{\"Body\":1}"),
        ("text/plain", "hello"),
        ("multipart/form-data; boundary=x", "--x--"),
    ] {
        let answer = client
            .post(&url)
            .header("content-type", kind)
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 400, "{kind}");
    }
    let huge = "Body=".to_owned() + &"a".repeat(300 * 1024);
    let form = "application/x-www-form-urlencoded";
    let answer = client
        .post(&url)
        .header("content-type", form)
        .body(huge)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 413);
}

#[tokio::test]
async fn reaction_is_shown_without_notification() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let path = harbor.path(&format!("/conversations/{}", maya["id"].as_str().unwrap()));
    harbor.admin.post(&format!("{path}/read"), json!({})).await;
    let until = (chrono::Utc::now() + chrono::TimeDelta::days(30)).to_rfc3339();
    for (status, change) in [
        ("open", json!({"status": "open"})),
        ("done", json!({"status": "done"})),
        (
            "snoozed",
            json!({"status": "snoozed", "snoozed_until": until}),
        ),
    ] {
        harbor.admin.patch(&path, change).await.expect_status(200);
        for reaction in [
            "Liked “Harbor Dental: see you Tue 9:00. Reply STOP to opt out.”",
            "Le gustó “Responda STOP”",
            "\u{200b}👍\u{200b} to “\u{200a}Reply STOP to opt out.\u{200a}”",
        ] {
            let maya = harbor.receive_text(MAYA, reaction).await;
            assert_eq!(maya["status"], status, "{reaction}");
            assert_eq!(maya["unread_count"], 0, "{reaction}");
            assert_eq!(maya["near_stop_id"], json!(null), "{reaction}");
            assert_eq!(maya["opted_out"], false);
            assert_eq!(
                harbor.thread(&maya).await.last().unwrap()["content"],
                reaction
            );
        }
    }
    assert_eq!(harbor.conversation_with(MAYA).await["status"], "snoozed");

    // Other texts still reopen the conversation, count as unread, and are flagged.
    let maya = harbor
        .receive_text(MAYA, "Loved the visit, but please stop texting me")
        .await;
    assert_eq!(
        (&maya["status"], &maya["unread_count"]),
        (&json!("open"), &json!(1))
    );
    assert_eq!(maya["near_stop_id"], maya["last_message_id"]);
}

/// The text has found its conversation, and waits for another transaction, when the contact is deleted with its history.
#[tokio::test]
async fn text_of_a_contact_deleted_meanwhile_starts_a_new_conversation() {
    const SID: &str = "SM000000000000000000000000000000ab";
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Forget me").await;
    harbor.receive_text("+14155550193", "Hello").await;
    let mut other = hub.superuser_pool.begin().await.unwrap();
    sqlx::query(
        "insert into messages (workspace_id, id, conversation_id, contact_id, number_id, integration_id, direction, content, status,
                               provider, provider_sid)
         select m.workspace_id, gen_random_uuid(), m.conversation_id, m.contact_id, m.number_id, m.integration_id, 'inbound', '', 'received',
                m.provider, $1
           from messages m where m.content = 'Hello'",
    )
    .bind(SID)
    .execute(&mut *other)
    .await
    .unwrap();

    let text = hub
        .twilio
        .inbound_text(MAYA, FRONT_DESK, "Me again")
        .sid(SID);
    let delete = async {
        hub.wait_for_count(
            "select count(*) from pg_stat_activity
              where datname = current_database() and query like '%receive_texts%' and wait_event_type = 'Lock'",
            1,
        )
        .await;
        harbor
            .admin
            .delete(&harbor.contact_path(&maya, ""))
            .await
            .expect_status(204);
        other.rollback().await.unwrap();
    };
    let (answer, ()) = tokio::join!(text.send(), delete);

    assert_eq!(answer.status(), 200);
    let conversation = harbor.conversation_with(MAYA).await;
    assert_ne!(conversation["id"], maya["id"]);
    assert_eq!(conversation["unread_count"], 1);
    let thread = harbor.thread(&conversation).await;
    assert_eq!(thread.len(), 1);
    assert_eq!(thread[0]["content"], "Me again");
}

//! Live events over the WebSocket, limited to members with access.

use futures_util::future::join_all;
use serde_json::json;

use crate::hub::{FRONT_DESK, Hub, MAYA, Person, TOKEN};

#[tokio::test]
async fn socket_requires_authentication() {
    let hub = Hub::start().await;
    let mut anonymous = Person::anonymous(&hub);
    for token in [None, Some("rubbish".to_owned()), Some(String::new())] {
        anonymous.token = token;
        match anonymous.try_socket(None).await {
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => {
                assert_eq!(answer.status(), 401)
            }
            other => panic!("expected a 401, got {:?}", other.map(|_| "a socket")),
        }
    }
}

#[tokio::test]
async fn send_by_socket_is_idempotent_and_reports_errors() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let mut live = harbor.admin.join_workspace(&harbor).await;
    let text = json!({"type": "send_message", "workspace_id": harbor.id, "conversation_id": conversation["id"],
                      "content": "By socket", "client_ref": "ref-1"});
    live.send(text.clone()).await;
    let sent = live.wait_for("message_sent").await;
    assert_eq!(
        (
            sent["client_ref"].as_str(),
            sent["message"]["status"].as_str()
        ),
        (Some("ref-1"), Some("queued"))
    );
    assert!(sent["credits_remaining"].is_null());
    // A repeat after a lost connection returns the same message.
    live.send(text).await;
    assert_eq!(
        live.wait_for("message_sent").await["message"]["id"],
        sent["message"]["id"]
    );
    assert_eq!(hub.run_sender().await, 1);

    let empty = json!({"type": "send_message", "workspace_id": harbor.id, "conversation_id": conversation["id"],
                       "content": "", "client_ref": "ref-2"});
    live.send(empty).await;
    let refused = live.wait_for("message_error").await;
    assert_eq!(
        (
            refused["client_ref"].as_str(),
            refused["error"]["code"].as_str()
        ),
        (Some("ref-2"), Some("validation_failed"))
    );
}

#[tokio::test]
async fn read_and_typing_events_reach_other_members() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let (mut jo, mut other) = (
        harbor.admin.join_workspace(&harbor).await,
        sam.join_workspace(&harbor).await,
    );

    other.send(json!({"type": "typing", "workspace_id": harbor.id, "conversation_id": conversation["id"]})).await;
    let typing = jo.wait_for("typing").await;
    assert_eq!(
        (typing["user_id"].as_str(), &typing["conversation_id"]),
        (Some(sam.id.as_str()), &conversation["id"])
    );

    jo.send(json!({"type": "mark_read", "workspace_id": harbor.id, "conversation_id": conversation["id"]})).await;
    assert_eq!(
        other.wait_for("conversation_updated").await["unread_count"],
        0
    );
}

#[tokio::test]
async fn admin_of_another_workspace_cannot_join() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let bay = hub.workspace("Bay Optics").await;
    let mut spy = bay.admin.join_workspace(&bay).await;
    let mut jo = harbor.admin.join_workspace(&harbor).await;

    for command in [
        json!({"type": "join_workspace", "workspace_id": harbor.id}),
        json!({"type": "mark_read", "workspace_id": harbor.id, "conversation_id": harbor.id}),
    ] {
        spy.send(command).await;
        assert_eq!(spy.wait_for("error").await["code"], "not_a_member");
    }
    hub.twilio.text(MAYA, FRONT_DESK, "A secret").await;
    jo.wait_for("new_message").await;
    assert!(spy.received_so_far(&bay).await.is_empty());
}

#[tokio::test]
async fn agent_receives_events_of_numbers_once_assigned() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    let (mut jo, mut agent) = (
        harbor.admin.join_workspace(&harbor).await,
        sam.join_workspace(&harbor).await,
    );
    hub.twilio.text(MAYA, FRONT_DESK, "Before").await;
    jo.wait_for("new_message").await;

    harbor.assign_number(FRONT_DESK, &sam).await;
    agent.wait_for("resync").await;
    hub.twilio.text(MAYA, FRONT_DESK, "After").await;
    assert_eq!(
        agent.wait_for("new_message").await["message"]["content"],
        "After"
    );
    jo.wait_for("new_message").await;

    let path = harbor.path(&format!(
        "/numbers/{}/members/{}",
        harbor.number(FRONT_DESK).await,
        sam.id
    ));
    harbor.admin.delete(&path).await.expect_status(204);
    agent.wait_for("resync").await;
    hub.twilio.text(MAYA, FRONT_DESK, "Deducted").await;
    jo.wait_for("new_message").await;
    assert!(agent.received_so_far(&harbor).await.is_empty());
}

#[tokio::test]
async fn revoked_session_closes_its_sockets() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let elsewhere = Person::sign_in(&hub, &harbor.admin.email).await;
    let (mut here, mut there) = (
        harbor.admin.join_workspace(&harbor).await,
        elsewhere.join_workspace(&harbor).await,
    );

    harbor
        .admin
        .post("/api/auth/logout", json!({}))
        .await
        .expect_status(204);

    assert_eq!(here.wait_for_close().await, 1008);
    harbor
        .admin
        .get("/api/auth/me")
        .await
        .refused(401, "unauthenticated");
    there
        .send(json!({"type": "leave_workspace", "workspace_id": harbor.id}))
        .await;
    there.wait_for("workspace_left").await;
}

#[tokio::test]
async fn malformed_frame_gets_an_error_and_keeps_the_socket() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let mut live = harbor.admin.join_workspace(&harbor).await;
    for rubbish in [
        "",
        "{",
        "null",
        "[]",
        r#"{"type":"fly"}"#,
        r#"{"type":"join_workspace"}"#,
        r#"{"type":"join_workspace","workspace_id":7}"#,
    ] {
        live.send_text(rubbish).await;
        assert_eq!(
            live.wait_for("error").await["code"],
            "malformed",
            "{rubbish}"
        );
    }
}

#[tokio::test]
async fn slow_client_receives_resync() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let mut slow = harbor.admin.slow_socket().await;
    slow.send(json!({"type": "join_workspace", "workspace_id": harbor.id}))
        .await;
    slow.wait_for("workspace_joined").await;
    // Eight megabytes of frames: more than the socket buffers and the queue hold while the client does not read.
    let contact = harbor.receive_text(MAYA, "Hi").await["contact_id"].clone();
    let path = harbor.path(&format!("/contacts/{}", contact.as_str().unwrap()));
    let notes = json!({"notes": "👋".repeat(5_000)});
    for _ in 0..8 {
        join_all((0..50).map(|_| harbor.admin.patch(&path, notes.clone()))).await;
    }
    slow.wait_for("resync").await;
    hub.twilio.text(MAYA, FRONT_DESK, "Fresh").await;
    loop {
        if slow.wait_for("new_message").await["message"]["content"] == "Fresh" {
            break;
        }
    }
}

#[tokio::test]
async fn browser_receives_events_as_html_fragments() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let mut browser = harbor
        .admin
        .try_socket(Some("messagehub.fragments"))
        .await
        .unwrap();
    browser
        .send(json!({"type": "join_workspace", "workspace_id": harbor.id}))
        .await;
    browser.wait_for("workspace_joined").await;

    hub.twilio.text(MAYA, FRONT_DESK, "Tom & <b>Maya</b>").await;

    let html = browser.next_text().await;
    assert!(html.contains("<turbo-stream"), "{html}");
    assert!(
        html.contains("Tom &") && !html.contains("<b>Maya</b>"),
        "customer text is escaped: {html}"
    );
}

#[tokio::test]
async fn ping_is_answered_in_both_protocols_with_or_without_room() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    for protocol in [None, Some("messagehub.fragments")] {
        let mut live = harbor.admin.try_socket(protocol).await.unwrap();
        for _ in 0..200 {
            live.send(json!({"type": "ping"})).await;
        }
        for _ in 0..200 {
            assert_eq!(live.next().await, json!({"type": "pong"}));
        }
        live.send(json!({"type": "join_workspace", "workspace_id": harbor.id}))
            .await;
        live.wait_for("workspace_joined").await;
        live.send(json!({"type": "ping"})).await;
        live.wait_for("pong").await;
    }
}

#[tokio::test]
async fn text_that_travels_with_its_event_is_shown_as_it_is_stored() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let id = conversation["id"].as_str().unwrap();
    let path = harbor.path(&format!("/conversations/{id}"));
    let done = json!({"status": "done", "assignee_id": harbor.admin.id});
    harbor.admin.patch(&path, done).await.expect_status(200);
    let contact = harbor.path(&format!(
        "/contacts/{}",
        conversation["contact_id"].as_str().unwrap()
    ));
    let change =
        json!({"name": "Maya <Okafor>", "notes": "Ring twice", "email": "maya@example.net"});
    harbor
        .admin
        .patch(&contact, change)
        .await
        .expect_status(200);
    let mut live = harbor.admin.join_workspace(&harbor).await;
    let sid = format!("MM{}", uuid::Uuid::now_v7().simple());
    let account = hub.twilio.account(&harbor.account, TOKEN);
    let picture = account.media(&sid, "image/jpeg", b"a picture");
    let card = account.media(&sid, "text/vcard", b"a card");
    let files = [(picture.as_str(), "image/jpeg"), (&card, "text/vcard")];
    for body in ["Look 👋", "Again"] {
        let text = hub.twilio.inbound_text(MAYA, FRONT_DESK, body);
        let text = match body {
            "Again" => text,
            _ => text.sid(&sid).files(&files),
        };
        assert_eq!(text.send().await.status(), 200);
        let frame = live.wait_for("new_message").await;
        if body != "Again" {
            assert_eq!(frame["message"]["media"].as_array().unwrap().len(), 2);
            let event = live.wait_for("conversation_event").await;
            assert_eq!(event["event"]["kind"], "reopened");
            assert_eq!(event["event"]["cause"], "text");
        }
        let message = frame["message"]["id"].as_str().unwrap();
        let message = harbor.path(&format!("/messages/{message}"));
        let stored = harbor.admin.get(&message).await.expect_status(200);
        assert_eq!(frame["message"], stored);
        assert_eq!(stored["content"], body);
        let stored = harbor.admin.get(&path).await.expect_status(200);
        assert_eq!(frame["conversation"], stored);
        assert_eq!(frame["contact"], stored["contact"]);
        assert_eq!(stored["status"], "open");
    }
}

//! Settings of a member: signature, default number and notifications.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::hub::{FRONT_DESK, Hub, MAYA, Person, TOKEN, Workspace};

const RECALL: &str = "+16285550101";

/// A workspace with two numbers, of which the front desk is the default; and an agent with access to both.
async fn two_numbers<'a>(hub: &'a Hub) -> (Workspace<'a>, Person) {
    let harbor = hub.workspace("Harbor Dental").await;
    hub.twilio
        .account(&harbor.account, TOKEN)
        .number(FRONT_DESK)
        .number(RECALL);
    harbor.connect_with(TOKEN).await.expect_status(201);
    let number = harbor.path(&format!("/numbers/{}", harbor.number(FRONT_DESK).await));
    harbor
        .admin
        .patch(&number, json!({"is_default": true}))
        .await
        .expect_status(200);
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    harbor.assign_number(RECALL, &sam).await;
    (harbor, sam)
}

async fn change_settings(who: &Person, harbor: &Workspace<'_>, change: Value) -> Value {
    who.patch(&harbor.path("/settings"), change)
        .await
        .expect_status(200)
}

/// The number that a text to a new contact is sent from.
async fn chosen_number(who: &Person, harbor: &Workspace<'_>, draft: Value) -> String {
    let sent = who
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    sent["message"]["number_id"].as_str().unwrap().into()
}

#[tokio::test]
async fn settings_are_per_member_and_workspace() {
    let hub = Hub::start().await;
    let (harbor, sam) = two_numbers(&hub).await;
    let bay = hub.workspace("Bay Optics").await;
    let link = bay.invite(&sam.email, "agent").await;
    hub.verify_email(&sam.email).await;
    sam.post(&format!("/api/invitations/{link}/accept"), json!({}))
        .await
        .expect_status(200);
    let untouched = json!({
        "default_number_id": null, "signature": "",
        "notifications": {"desktop": false, "sound": false, "push_preview": false, "mail_when_credits_low": true},
        "single_key_shortcuts": true, "open_next_after_done": true, "assign_when_answering": false,
    });
    assert_eq!(
        sam.get(&harbor.path("/settings")).await.expect_status(200),
        untouched
    );

    let recall = harbor.number(RECALL).await;
    change_settings(&sam, &harbor, json!({"signature": "Sam\n"})).await;
    change_settings(&sam, &harbor, json!({"notifications": {"sound": true}})).await;
    change_settings(&sam, &harbor, json!({"default_number_id": recall})).await;
    change_settings(&sam, &harbor, json!({"single_key_shortcuts": false})).await;
    change_settings(&sam, &harbor, json!({"open_next_after_done": false})).await;
    change_settings(&sam, &harbor, json!({"assign_when_answering": true})).await;
    let after = change_settings(
        &sam,
        &harbor,
        json!({"notifications": {"mail_when_credits_low": false}}),
    )
    .await;
    assert_eq!(
        after,
        json!({
            "default_number_id": recall, "signature": "Sam",
            "notifications": {"desktop": false, "sound": true, "push_preview": false, "mail_when_credits_low": false},
            "single_key_shortcuts": false, "open_next_after_done": false, "assign_when_answering": true,
        })
    );
    assert_eq!(
        change_settings(&sam, &harbor, json!({})).await,
        after,
        "nothing given, nothing changed"
    );
    assert_eq!(
        sam.get(&harbor.path("/settings")).await.expect_status(200),
        after
    );
    assert_eq!(
        sam.get(&bay.path("/settings")).await.expect_status(200),
        untouched
    );
    assert_eq!(
        harbor
            .admin
            .get(&harbor.path("/settings"))
            .await
            .expect_status(200),
        untouched
    );

    let cleared = json!({"default_number_id": null, "signature": ""});
    let after = change_settings(&sam, &harbor, cleared).await;
    assert_eq!(
        (&after["default_number_id"], &after["signature"]),
        (&Value::Null, &json!(""))
    );
}

#[tokio::test]
async fn invalid_values_are_refused_and_change_nothing() {
    let hub = Hub::start().await;
    let (harbor, sam) = two_numbers(&hub).await;
    let before = change_settings(&sam, &harbor, json!({"signature": "x".repeat(160)})).await;
    for (change, field) in [
        (json!({"signature": "x".repeat(161)}), "signature"),
        (json!({"signature": "🦷".repeat(161)}), "signature"),
        (json!({"signature": "a\u{0}b"}), "signature"),
        (json!({"signature": 7}), "body"),
        (json!({"default_number_id": "front desk"}), "body"),
        (json!({"default_number_id": ""}), "body"),
        (
            json!({"default_number_id": "01890000-0000-7000-8000-000000000000"}),
            "default_number_id",
        ),
        (json!({"single_key_shortcuts": "off"}), "body"),
        (json!({"notifications": true}), "body"),
        (json!({"notifications": {"sound": "loud"}}), "body"),
        (json!({"notifications": {"mail": true}}), "body"),
        (
            json!({"user_id": harbor.admin.id, "signature": "Jo"}),
            "body",
        ),
        (json!([]), "body"),
        (
            json!({"signature": "Sam", "default_number_id": "01890000-0000-7000-8000-000000000000"}),
            "default_number_id",
        ),
    ] {
        let problem = sam
            .patch(&harbor.path("/settings"), change.clone())
            .await
            .refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field, "{change}");
    }
    assert_eq!(
        sam.get(&harbor.path("/settings")).await.expect_status(200),
        before
    );
}

#[tokio::test]
async fn signature_is_appended_once() {
    let hub = Hub::start().await;
    let (harbor, sam) = two_numbers(&hub).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    change_settings(&sam, &harbor, json!({"signature": "Sam, front desk"})).await;
    let draft = json!({"conversation_id": conversation["id"], "content": "3:30 is free \n"});

    let answers = join_all((0..5).map(|_| sam.send_with_key(&harbor, "a-key", &draft))).await;
    for answer in answers {
        assert_eq!(
            answer.expect_status(202)["message"]["content"],
            "3:30 is free\nSam, front desk"
        );
    }
    // Refused as busy at first, and sent on the second try.
    hub.twilio.is_busy(None);
    hub.run_sender().await;
    hub.execute_sql("update messages set due_at = now() where status = 'queued'")
        .await;
    hub.run_sender().await;
    assert_eq!(hub.twilio.messages().len(), 1);
    assert_eq!(
        hub.twilio.messages()[0].body,
        "3:30 is free\nSam, front desk"
    );

    let mut live = sam.join_workspace(&harbor).await;
    live.send(json!({"type": "send_message", "workspace_id": harbor.id, "conversation_id": conversation["id"],
                     "content": "See you", "client_ref": "ref-1"}))
        .await;
    let sent = live.wait_for("message_sent").await;
    assert_eq!(sent["message"]["content"], "See you\nSam, front desk");
    let message = harbor.reply(&harbor.admin, &conversation, "Jo here").await;
    assert_eq!(message["content"], "Jo here", "signatures are per member");
    change_settings(&sam, &harbor, json!({"signature": " \n "})).await;
    let message = harbor.reply(&sam, &conversation, "Bye").await;
    assert_eq!(message["content"], "Bye");
}

#[tokio::test]
async fn resent_text_keeps_one_signature() {
    let hub = Hub::start().await;
    let (harbor, sam) = two_numbers(&hub).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    change_settings(&sam, &harbor, json!({"signature": "Sam"})).await;
    change_settings(&harbor.admin, &harbor, json!({"signature": "Jo"})).await;
    let message = harbor.reply(&sam, &conversation, "3:30 is free").await;
    let mut id = message["id"].clone();
    for who in [&sam, &harbor.admin] {
        hub.twilio.refuses(21614, 400);
        hub.run_sender().await;
        let path = harbor.path(&format!("/messages/{}/retry", id.as_str().unwrap()));
        let again = who.post(&path, json!({})).await.expect_status(202)["message"].clone();
        assert_eq!(again["content"], "3:30 is free\nSam");
        id = again["id"].clone();
    }
}

#[tokio::test]
async fn signature_counts_for_limit_and_segments() {
    let hub = Hub::start().await;
    let (harbor, sam) = two_numbers(&hub).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let sends = async |length: usize| {
        let draft = json!({"conversation_id": conversation["id"], "content": "a".repeat(length)});
        sam.post(&harbor.path("/messages"), draft).await
    };
    assert_eq!(
        sends(160).await.expect_status(202)["message"]["segments"],
        1
    );
    let sent = sends(1_600).await.expect_status(202);
    change_settings(&sam, &harbor, json!({"signature": "1234567890"})).await;
    assert_eq!(
        sends(149).await.expect_status(202)["message"]["segments"],
        1
    );
    assert_eq!(
        sends(150).await.expect_status(202)["message"]["segments"],
        2
    );

    let last = sends(1_589).await.expect_status(202);
    assert_eq!(last["message"]["content"].as_str().unwrap().len(), 1_600);
    let problem = sends(1_590).await.refused(422, "validation_failed");
    assert_eq!(problem["errors"][0]["field"], "content");
    let next = sends(1).await.expect_status(202);
    assert_eq!(
        next["credits_remaining"].as_i64().unwrap(),
        last["credits_remaining"].as_i64().unwrap() - 1,
        "what was refused cost nothing"
    );
    assert!(sent["credits_remaining"].is_i64());
}

#[tokio::test]
async fn new_conversation_uses_the_members_default_number() {
    let hub = Hub::start().await;
    let (harbor, sam) = two_numbers(&hub).await;
    let (desk, recall) = (harbor.number(FRONT_DESK).await, harbor.number(RECALL).await);
    let to = |n: u32| json!({"to": format!("+141555502{n:02}"), "content": "Hello"});
    assert_eq!(chosen_number(&sam, &harbor, to(1)).await, desk);
    change_settings(&sam, &harbor, json!({"default_number_id": recall})).await;
    assert_eq!(chosen_number(&sam, &harbor, to(2)).await, recall);
    assert_eq!(
        chosen_number(&harbor.admin, &harbor, to(3)).await,
        desk,
        "default numbers are per member"
    );

    // A number in the request takes precedence, and a conversation keeps its own.
    let mut draft = to(4);
    draft["number_id"] = json!(desk);
    assert_eq!(chosen_number(&sam, &harbor, draft).await, desk);
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let answer = harbor.reply(&sam, &conversation, "Hello").await;
    assert_eq!(answer["number_id"], desk);

    let number = harbor.path(&format!("/numbers/{recall}"));
    let status = |status: &str| harbor.admin.patch(&number, json!({"status": status}));
    status("inactive").await.expect_status(200);
    assert_eq!(
        chosen_number(&sam, &harbor, to(5)).await,
        desk,
        "the number cannot send"
    );
    status("active").await.expect_status(200);
    assert_eq!(chosen_number(&sam, &harbor, to(6)).await, recall);
    harbor
        .admin
        .delete(&format!("{number}/members/{}", sam.id))
        .await
        .expect_status(204);
    assert_eq!(
        chosen_number(&sam, &harbor, to(7)).await,
        desk,
        "the number was unassigned"
    );
    harbor.assign_number(RECALL, &sam).await;
    assert_eq!(chosen_number(&sam, &harbor, to(8)).await, recall);
}

#[tokio::test]
async fn default_number_requires_access() {
    let hub = Hub::start().await;
    let (harbor, _) = two_numbers(&hub).await;
    let bay = hub.workspace("Bay Optics").await;
    bay.connect_twilio("+16285550177").await;
    let lin = harbor.agent("Lin").await;
    harbor.assign_number(FRONT_DESK, &lin).await;
    let (recall, theirs) = (
        harbor.number(RECALL).await,
        bay.number("+16285550177").await,
    );
    for number in [&recall, &theirs] {
        let problem = lin
            .patch(
                &harbor.path("/settings"),
                json!({"default_number_id": number}),
            )
            .await
            .refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], "default_number_id");
    }
    let member = harbor.path(&format!("/members/{}", lin.id));
    harbor
        .admin
        .patch(&member, json!({"default_number_id": theirs}))
        .await
        .refused(404, "not_found");
    lin.patch(&member, json!({"default_number_id": recall}))
        .await
        .refused(403, "admin_only");

    // An admin may set it in advance: it applies once the number is assigned.
    harbor
        .admin
        .patch(&member, json!({"default_number_id": recall}))
        .await
        .expect_status(200);
    let to = |n: u32| json!({"to": format!("+141555502{n:02}"), "content": "Hello"});
    let desk = harbor.number(FRONT_DESK).await;
    assert_eq!(chosen_number(&lin, &harbor, to(1)).await, desk);
    harbor.assign_number(RECALL, &lin).await;
    assert_eq!(chosen_number(&lin, &harbor, to(2)).await, recall);
    harbor
        .admin
        .patch(&member, json!({"default_number_id": null}))
        .await
        .expect_status(200);
    assert_eq!(chosen_number(&lin, &harbor, to(3)).await, desk);
}

#[tokio::test]
async fn row_level_security_protects_settings() {
    let hub = Hub::start().await;
    let (harbor, sam) = two_numbers(&hub).await;
    let lin = harbor.agent("Lin").await;
    change_settings(&sam, &harbor, json!({"signature": "Sam"})).await;
    let mut tx = hub.with_rights_of(&lin, &harbor).await;
    let seen: i64 = sqlx::query_scalar("select count(*) from member_settings")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(seen, 0);
    let changed = sqlx::query("update member_settings set signature = 'Lin was here'")
        .execute(&mut *tx)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 0);
    let forged = sqlx::query(
        "insert into member_settings (user_id, signature) values ($1::uuid, 'Lin was here')",
    )
    .bind(&harbor.admin.id)
    .execute(&mut *tx)
    .await
    .unwrap_err();
    assert!(
        forged.to_string().contains("row-level security"),
        "{forged}"
    );
}

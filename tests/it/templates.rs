//! Templates and drafts: access, sharing and variables.

use reqwest::Method;
use serde_json::{Value, json};

use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, Person, Workspace};

async fn create_template(
    who: &Person,
    harbor: &Workspace<'_>,
    content: &str,
    shared: bool,
) -> Value {
    let template = json!({"name": "Reminder", "content": content, "shared": shared});
    who.post(&harbor.path("/templates"), template)
        .await
        .expect_status(201)
}

fn path(harbor: &Workspace<'_>, template: &Value) -> String {
    harbor.path(&format!("/templates/{}", template["id"].as_str().unwrap()))
}

async fn names(who: &Person, harbor: &Workspace<'_>, query: &str) -> Vec<String> {
    let found = who
        .get(&harbor.path(&format!("/templates{query}")))
        .await
        .expect_status(200);
    let found = found["data"].as_array().unwrap().clone();
    found
        .iter()
        .map(|template| template["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn templates_are_private_or_shared() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    let own = create_template(&sam, &harbor, "Hi {{ First name }}, {{time}}", false).await;
    assert_eq!(own["variables"], json!(["first_name", "time"]));
    assert_eq!(
        (&own["shared"], &own["created_by_name"]),
        (&json!(false), &json!("Sam"))
    );

    for other in [&lin, &harbor.admin] {
        assert!(names(other, &harbor, "").await.is_empty());
        other
            .get(&path(&harbor, &own))
            .await
            .refused(404, "not_found");
        other
            .patch(&path(&harbor, &own), json!({"name": "Mine"}))
            .await
            .refused(404, "not_found");
        other
            .delete(&path(&harbor, &own))
            .await
            .refused(404, "not_found");
    }
    assert_eq!(names(&sam, &harbor, "").await, ["Reminder"]);

    sam.patch(
        &path(&harbor, &own),
        json!({"shared": true, "name": " Appointment "}),
    )
    .await
    .expect_status(200);
    assert_eq!(names(&lin, &harbor, "").await, ["Appointment"]);
    lin.patch(&path(&harbor, &own), json!({"name": "Mine"}))
        .await
        .refused(403, "admin_only");
    lin.delete(&path(&harbor, &own))
        .await
        .refused(403, "admin_only");
    let changed = harbor
        .admin
        .patch(&path(&harbor, &own), json!({"content": "See you"}))
        .await
        .expect_status(200);
    assert_eq!(
        (&changed["name"], &changed["content"]),
        (&json!("Appointment"), &json!("See you"))
    );
    harbor
        .admin
        .patch(&path(&harbor, &own), json!({"shared": false}))
        .await
        .refused(422, "validation_failed");
    sam.patch(&path(&harbor, &own), json!({"shared": false}))
        .await
        .expect_status(200);
    assert!(names(&lin, &harbor, "").await.is_empty());

    // Changes of shared templates are audited, those of private ones are not.
    let log = harbor
        .admin
        .get(&harbor.path("/audit"))
        .await
        .expect_status(200);
    let entries: Vec<_> = log["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["action"].as_str())
        .filter(|action| action.starts_with("template"))
        .collect();
    assert_eq!(
        entries,
        ["template_removed", "template_changed", "template_shared"]
    );

    // A removed member's private templates are deleted; shared ones stay.
    let shared = create_template(&sam, &harbor, "Stays", true).await;
    harbor
        .admin
        .delete(&harbor.path(&format!("/members/{}", sam.id)))
        .await
        .expect_status(204);
    assert_eq!(hub.count("select count(*) from templates").await, 1);
    harbor
        .admin
        .delete(&path(&harbor, &shared))
        .await
        .expect_status(204);
    assert_eq!(hub.count("select count(*) from templates").await, 0);
}

#[tokio::test]
async fn templates_are_searched_and_paginated() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    for (name, content) in [
        ("Parking", "Left side"),
        ("Opening hours", "9 to 5"),
        ("100%", "All_of it"),
    ] {
        harbor
            .admin
            .post(
                &harbor.path("/templates"),
                json!({"name": name, "content": content}),
            )
            .await
            .expect_status(201);
    }
    for (query, found) in [
        ("?q=park", vec!["Parking"]),
        ("?q=LEFT", vec!["Parking"]),
        ("?q=100%25", vec!["100%"]),
        ("?q=_", vec!["100%"]),
        ("?q=zzz", vec![]),
        ("?q=", vec!["100%", "Opening hours", "Parking"]),
    ] {
        assert_eq!(names(&harbor.admin, &harbor, query).await, found, "{query}");
    }
    let first = harbor
        .admin
        .get(&harbor.path("/templates?limit=2"))
        .await
        .expect_status(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(
        names(&harbor.admin, &harbor, &format!("?limit=2&cursor={cursor}")).await,
        ["Parking"]
    );
    for wrong in [
        json!({"name": "", "content": "Hi"}),
        json!({"name": "x".repeat(81), "content": "Hi"}),
        json!({"name": "Hi", "content": " "}),
        json!({"name": "Hi", "content": "x".repeat(1601)}),
        json!({"name": "a\u{0}b", "content": "Hi"}),
        json!({"name": "Hi"}),
    ] {
        harbor
            .admin
            .post(&harbor.path("/templates"), wrong)
            .await
            .refused(422, "validation_failed");
    }
}

async fn send_template(
    who: &Person,
    harbor: &Workspace<'_>,
    maya: &Value,
    template: &Value,
    variables: Value,
) -> Answer {
    let draft = json!({"conversation_id": maya["id"], "template_id": template["id"], "variables": variables});
    who.post(&harbor.path("/messages"), draft).await
}

#[tokio::test]
async fn template_requires_all_variables() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let template = create_template(&harbor.admin, &harbor, "Hi {{first_name|there}}, {{doctor}} sees you at {{time}}. {{agent}}, {{workspace}}, {{number}}", true).await;

    let refused = send_template(&sam, &harbor, &maya, &template, json!({}))
        .await
        .refused(422, "validation_failed");
    assert_eq!(refused["errors"][0]["field"], "variables");
    let result = refused["errors"][0]["message"].as_str().unwrap();
    assert!(result.contains("doctor, time"), "{result}");
    assert_eq!(
        hub.count("select count(*) from messages where direction = 'outbound'")
            .await,
        0
    );

    let given = json!({"Doctor": "Dr. Lin", "time": "{{agent}}"});
    let sent = send_template(&sam, &harbor, &maya, &template, given)
        .await
        .expect_status(202);
    let expected = "Hi there, Dr. Lin sees you at {{agent}}. Sam, Harbor Dental, (628) 555-0100";
    assert_eq!(sent["message"]["content"], expected);
    let contact = harbor.path(&format!(
        "/contacts/{}",
        maya["contact_id"].as_str().unwrap()
    ));
    harbor
        .admin
        .patch(&contact, json!({"name": "Maya Okafor"}))
        .await
        .expect_status(200);
    sam.patch(&harbor.path("/settings"), json!({"signature": "– Sam"}))
        .await
        .expect_status(200);
    let greeting = create_template(&sam, &harbor, "Hi {{name}}", false).await;
    let sent = send_template(&sam, &harbor, &maya, &greeting, json!({}))
        .await
        .expect_status(202);
    assert_eq!(sent["message"]["content"], "Hi Maya Okafor\n– Sam");

    send_template(&harbor.admin, &harbor, &maya, &greeting, json!({}))
        .await
        .refused(404, "not_found");
    for wrong in [
        json!({"template_id": greeting["id"], "content": "Hi"}),
        json!({"content": "Hi", "variables": {"name": "Maya"}}),
        json!({"template_id": greeting["id"], "variables": {"name": "x".repeat(1600)}}),
        json!({"template_id": greeting["id"], "variables": {"name": 7}}),
    ] {
        let mut draft = wrong.clone();
        draft["conversation_id"] = maya["id"].clone();
        sam.post(&harbor.path("/messages"), draft)
            .await
            .refused(422, "validation_failed");
    }
    assert_eq!(hub.run_sender().await, 2);
    assert_eq!(hub.twilio.sent(expected).len(), 1);
}

#[tokio::test]
async fn repeated_key_sends_once_after_a_template_change() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let template = create_template(&harbor.admin, &harbor, "At {{time}}", true).await;
    let draft = json!({"conversation_id": maya["id"], "template_id": template["id"], "variables": {"time": "9"}});
    let first = harbor
        .admin
        .send_with_key(&harbor, "once", &draft)
        .await
        .expect_status(202);
    harbor
        .admin
        .delete(&path(&harbor, &template))
        .await
        .expect_status(204);
    let again = harbor
        .admin
        .send_with_key(&harbor, "once", &draft)
        .await
        .expect_status(202);
    assert_eq!(again["message"]["id"], first["message"]["id"]);
    let other = json!({"conversation_id": maya["id"], "template_id": template["id"], "variables": {"time": "10"}});
    harbor
        .admin
        .send_with_key(&harbor, "once", &other)
        .await
        .refused(422, "idempotency_key_reused");
}

async fn save_draft(
    who: &Person,
    harbor: &Workspace<'_>,
    draft_path: &str,
    draft: Value,
) -> Answer {
    let path = harbor.path(draft_path);
    who.ask(who.request(Method::PUT, &path).json(&draft)).await
}

#[tokio::test]
async fn draft_follows_its_author_and_is_private() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let draft_path = format!("/conversations/{}/draft", maya["id"].as_str().unwrap());
    let empty = sam.get(&harbor.path(&draft_path)).await.expect_status(200);
    assert_eq!(
        (&empty["content"], &empty["updated_at"]),
        (&json!(""), &Value::Null)
    );

    save_draft(&sam, &harbor, &draft_path, json!({"content": "Let me"}))
        .await
        .expect_status(200);
    let upload = sam
        .upload_to(&harbor.path("/media"), crate::hub::PNG)
        .await
        .expect_status(201);
    let kept = save_draft(
        &sam,
        &harbor,
        &draft_path,
        json!({"content": "Let me look", "media_ids": [upload["id"]]}),
    )
    .await
    .expect_status(200);
    save_draft(&sam, &harbor, "/drafts/new", json!({"to": "(415) 555", "content": "Hello", "number_id": harbor.number(FRONT_DESK).await})).await.expect_status(200);
    let elsewhere = Person::sign_in(&hub, &sam.email).await;
    assert_eq!(
        elsewhere
            .get(&harbor.path(&draft_path))
            .await
            .expect_status(200),
        kept
    );
    assert_eq!(kept["media"][0]["id"], upload["id"]);
    let all = elsewhere
        .get(&harbor.path("/drafts"))
        .await
        .expect_status(200);
    let all: Vec<_> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|draft| draft["content"].clone())
        .collect();
    assert_eq!(all, [json!("Hello"), json!("Let me look")]);

    // A draft changed elsewhere is not overwritten.
    let moved = json!({"content": "Older", "seen_at": null});
    save_draft(&sam, &harbor, &draft_path, moved)
        .await
        .refused(409, "draft_moved");
    let moved = json!({"content": "", "seen_at": "2026-01-01T00:00:00Z"});
    save_draft(&sam, &harbor, &draft_path, moved)
        .await
        .refused(409, "draft_moved");
    let same = json!({"content": "Let me look", "media_ids": [upload["id"]], "seen_at": kept["updated_at"]});
    save_draft(&sam, &harbor, &draft_path, same)
        .await
        .expect_status(200);

    // Admins cannot read it; row-level security enforces that.
    assert_eq!(
        harbor
            .admin
            .get(&harbor.path(&draft_path))
            .await
            .expect_status(200)["content"],
        ""
    );
    assert_eq!(
        harbor
            .admin
            .get(&harbor.path("/drafts"))
            .await
            .expect_status(200)["data"],
        json!([])
    );
    let mut tx = hub.with_rights_of(&harbor.admin, &harbor).await;
    let seen: i64 = sqlx::query_scalar("select count(*) from drafts")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(seen, 0);
    let changed = sqlx::query("update drafts set content = 'Mine now'")
        .execute(&mut *tx)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 0);
    drop(tx);

    // Its files are kept as long as the draft.
    hub.execute_sql("update message_media set created_at = now() - interval '2 days'")
        .await;
    messagehub::domain::media::removed::forget_unused(&hub.server.app.db)
        .await
        .unwrap();
    assert_eq!(
        sam.get(&harbor.path(&draft_path)).await.expect_status(200)["media"][0]["id"],
        upload["id"]
    );

    // Without access to the conversation there is no access to the draft.
    let number = harbor.number(FRONT_DESK).await;
    let assignment = harbor.path(&format!("/numbers/{number}/members/{}", sam.id));
    harbor.admin.delete(&assignment).await.expect_status(204);
    sam.get(&harbor.path(&draft_path))
        .await
        .refused(404, "not_found");
    assert_eq!(
        sam.get(&harbor.path("/drafts")).await.expect_status(200)["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    harbor.admin.put(&assignment).await.expect_status(204);

    for wrong in [
        json!({"content": "x".repeat(5001)}),
        json!({"content": "Hi", "to": "Maya"}),
        json!({"media_ids": [upload["id"], upload["id"]]}),
        json!({"media_ids": [maya["id"]]}),
        json!({"text": "Hi"}),
    ] {
        save_draft(&sam, &harbor, &draft_path, wrong)
            .await
            .refused(422, "validation_failed");
    }
    assert_eq!(
        save_draft(&sam, &harbor, &draft_path, json!({"content": " "}))
            .await
            .expect_status(200)["updated_at"],
        Value::Null
    );
    sam.delete(&harbor.path("/drafts/new"))
        .await
        .expect_status(204);
    assert_eq!(hub.count("select count(*) from drafts").await, 0);
    messagehub::domain::media::removed::forget_unused(&hub.server.app.db)
        .await
        .unwrap();
    assert_eq!(hub.count("select count(*) from message_media").await, 0);
}

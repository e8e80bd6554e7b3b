//! Internal notes and mentions.

use serde_json::{Value, json};

use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, Person, Workspace};

async fn add_note(who: &Person, harbor: &Workspace<'_>, to: &Value, note: Value) -> Answer {
    let id = to["id"].as_str().unwrap();
    who.post(&harbor.path(&format!("/conversations/{id}/notes")), note)
        .await
}

/// The conversations that mention `who`.
async fn mentioning(who: &Person, harbor: &Workspace<'_>) -> Vec<Value> {
    let path = harbor.path("/conversations?mentioned=true");
    let found = who.get(&path).await.expect_status(200)["data"].clone();
    found.as_array().unwrap().clone()
}

#[tokio::test]
async fn note_is_internal_and_changes_nothing_else() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let mut live = harbor.admin.join_workspace(&harbor).await;

    let note = json!({"content": " Ask Dr. Lin.\n\u{0} "});
    let note = add_note(&sam, &harbor, &maya, note)
        .await
        .expect_status(201);

    assert_eq!(
        ["direction", "content", "status", "created_by"].map(|field| note[field].clone()),
        [
            json!("note"),
            json!("Ask Dr. Lin."),
            json!("received"),
            json!(sam.id)
        ]
    );
    let received = live.wait_for("new_message").await;
    assert_eq!(received["message"]["id"], note["id"]);
    let after = harbor.conversation_with(MAYA).await;
    assert_eq!(after, maya, "unread count, preview and order are unchanged");
    assert_eq!(hub.run_sender().await, 0);
    assert_eq!(harbor.thread(&maya).await.last().unwrap()["id"], note["id"]);
    let credits = harbor.path(&format!("/credits/{}", sam.id));
    assert_eq!(sam.get(&credits).await.expect_status(200)["balance"], 1000);
}

#[tokio::test]
async fn repeated_note_is_stored_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let id = maya["id"].as_str().unwrap();
    let path = harbor.path(&format!("/conversations/{id}/notes"));
    let post_note = async |content: &str| {
        let request = harbor.admin.request(reqwest::Method::POST, &path);
        let request = request.header("idempotency-key", "n-1");
        harbor
            .admin
            .ask(request.json(&json!({"content": content})))
            .await
    };
    let (one, other) = tokio::join!(post_note("Once"), post_note("Once"));
    assert_eq!(one.expect_status(201)["id"], other.expect_status(201)["id"]);
    post_note("Something else")
        .await
        .refused(422, "idempotency_key_reused");
    assert_eq!(
        hub.count("select count(*) from messages where direction = 'note'")
            .await,
        1
    );
}

#[tokio::test]
async fn mention_notifies_and_is_listed_until_seen() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    for agent in [&sam, &lin] {
        harbor.assign_number(FRONT_DESK, agent).await;
    }
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.receive_text("+14155550177", "Hello").await;
    let (mut sams, mut lins) = (
        sam.join_workspace(&harbor).await,
        lin.join_workspace(&harbor).await,
    );

    let content = format!(
        "@sam and @[Somebody]({}), please. Not jo@sam.test",
        harbor.admin.id
    );
    let note = add_note(&harbor.admin, &harbor, &maya, json!({"content": content}))
        .await
        .expect_status(201);

    assert_eq!(
        note["content"],
        "@Sam and @Jo Park, please. Not jo@sam.test"
    );
    assert_eq!(
        note["mentions"],
        json!([{"user_id": sam.id, "name": "Sam"}]),
        "authors do not mention themselves"
    );
    let received = sams.wait_for("mentioned").await;
    assert_eq!(
        (&received["message"]["id"], &received["user_id"]),
        (&note["id"], &json!(sam.id))
    );
    lins.wait_for("new_message").await;
    let others = lins.received_so_far(&harbor).await;
    assert!(
        others.iter().all(|frame| frame["type"] != "mentioned"),
        "{others:?}"
    );

    let found = mentioning(&sam, &harbor).await;
    assert_eq!((found.len(), &found[0]["id"]), (1, &maya["id"]));
    assert!(mentioning(&lin, &harbor).await.is_empty());
    assert!(mentioning(&harbor.admin, &harbor).await.is_empty());
    let unseen = "select count(*) from mentions where seen_at is null";
    let id = maya["id"].as_str().unwrap();
    let read = harbor.path(&format!("/conversations/{id}/read"));
    lin.post(&read, json!({})).await.expect_status(204);
    assert_eq!(hub.count(unseen).await, 1, "another member has read it");
    sam.post(&read, json!({})).await.expect_status(204);
    sams.wait_for("mentions_seen").await;
    assert_eq!(hub.count(unseen).await, 0);
    assert_eq!(mentioning(&sam, &harbor).await.len(), 1, "it stays listed");
}

#[tokio::test]
async fn mention_requires_access_and_a_unique_name() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, _lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    sam.patch("/api/auth/me", json!({"name": "Sam Reed"}))
        .await
        .expect_status(200);
    let second = harbor.agent("Kim").await;
    harbor.assign_number(FRONT_DESK, &second).await;
    second
        .patch("/api/auth/me", json!({"name": "Sam Stone"}))
        .await
        .expect_status(200);
    let bay = hub.workspace("Bay Optics").await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    for (note, says) in [
        (
            json!({"content": "@Lin, please"}),
            "Lin doesn’t have access to this number",
        ),
        (
            json!({"content": "@Sam"}),
            "More than one teammate is named Sam",
        ),
        (
            json!({"content": "x", "mentions": [bay.admin.id]}),
            "Choose a member",
        ),
        (
            json!({"content": format!("@[Jo]({})", bay.admin.id)}),
            "No teammate",
        ),
        (json!({"content": ""}), "1 to 5,000"),
        (json!({"content": "\u{0} "}), "1 to 5,000"),
        (json!({"content": "x".repeat(5001)}), "1 to 5,000"),
        (
            json!({"content": "x", "mentions": ["nobody"]}),
            "mentions[0]",
        ),
        (json!({"content": "x", "to": MAYA}), "unknown field `to`"),
        (json!({}), "missing field `content`"),
    ] {
        let problem = add_note(&harbor.admin, &harbor, &maya, note.clone())
            .await
            .refused(422, "validation_failed");
        assert!(problem.to_string().contains(says), "{note}: {problem}");
    }
    assert_eq!(
        hub.count("select count(*) from messages where direction = 'note'")
            .await,
        0
    );
    assert_eq!(hub.count("select count(*) from mentions").await, 0);

    // `mentions` resolves an ambiguous name. Members who lose the number lose its mentions.
    let note = json!({"content": "@Sam?", "mentions": [sam.id]});
    add_note(&harbor.admin, &harbor, &maya, note)
        .await
        .expect_status(201);
    assert_eq!(mentioning(&sam, &harbor).await.len(), 1);
    let number = harbor.number(FRONT_DESK).await;
    let path = harbor.path(&format!("/numbers/{number}/members/{}", sam.id));
    harbor.admin.delete(&path).await.expect_status(204);
    assert!(mentioning(&sam, &harbor).await.is_empty());
}

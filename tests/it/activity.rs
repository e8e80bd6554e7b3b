//! The activity of a conversation: one entry per action, written in its transaction.

use serde_json::{Value, json};

use crate::hub::{FRONT_DESK, Hub, MAYA, Person, Workspace};

async fn changes(who: &Person, harbor: &Workspace<'_>, conversation: &Value, change: Value) {
    let id = conversation["id"].as_str().unwrap();
    let path = harbor.path(&format!("/conversations/{id}"));
    who.patch(&path, change).await.expect_status(200);
}

/// Kind, cause, actor and assignee of each entry.
fn summary(lines: &[Value]) -> Vec<[&str; 4]> {
    let row = |line| ["kind", "cause", "actor_name", "assignee_name"].map(|key| field(line, key));
    lines.iter().map(row).collect()
}

fn field<'a>(line: &'a Value, key: &str) -> &'a str {
    line[key].as_str().unwrap_or_default()
}

#[tokio::test]
async fn each_action_records_one_activity_entry() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.receive_text(MAYA, "Again").await;
    harbor.reply(&sam, &maya, "Hello").await;
    harbor.add_note(&maya, "Nice").await;
    assert!(harbor.activity(&maya).await.is_empty());

    let jo = &harbor.admin;
    for (who, change) in [
        (&sam, json!({"assignee_id": sam.id})),
        (&sam, json!({"assignee_id": sam.id})),
        (jo, json!({"assignee_id": jo.id})),
        (jo, json!({"status": "pending"})),
        (jo, json!({"assignee_id": sam.id})),
        (jo, json!({"assignee_id": null})),
        (jo, json!({"status": "done"})),
    ] {
        changes(who, &harbor, &maya, change).await;
    }
    harbor.receive_text(MAYA, "One more thing").await;
    let later = json!({"status": "snoozed", "snoozed_until": "2027-01-01T09:00:00Z"});
    for change in [
        json!({"status": "done"}),
        json!({"status": "open"}),
        later.clone(),
        later,
    ] {
        changes(&sam, &harbor, &maya, change).await;
    }
    harbor.receive_text(MAYA, "STOP").await;
    harbor.receive_text(MAYA, "START").await;
    let contact = maya["contact_id"].as_str().unwrap();
    let path = harbor.path(&format!("/contacts/{contact}/consent"));
    let opt_out =
        json!({"number_id": maya["number_id"], "consent_kind": "stop", "reason": "On the phone"});
    jo.post(&path, opt_out).await.expect_status(200);

    let lines = harbor.activity(&maya).await;
    assert_eq!(
        summary(&lines),
        [
            ["assigned", "", "Sam", "Sam"],
            ["assigned", "", "Jo Park", "Jo Park"],
            ["pending", "", "Jo Park", ""],
            ["assigned", "", "Jo Park", "Sam"],
            ["unassigned", "", "Jo Park", "Sam"],
            ["done", "", "Jo Park", ""],
            ["reopened", "text", "", ""],
            ["done", "", "Sam", ""],
            ["reopened", "", "Sam", ""],
            ["snoozed", "", "Sam", ""],
            ["unsnoozed", "text", "", ""],
            ["opted_out", "text", "", ""],
            ["opted_in", "text", "", ""],
            ["opted_out", "member", "Jo Park", ""],
        ]
    );
    assert_eq!(
        (&lines[1]["previous_name"], &lines[9]["until"]),
        (&json!("Sam"), &json!("2027-01-01T09:00:00Z"))
    );
    // Ids sort activity entries among the messages.
    let thread = harbor.thread(&maya).await;
    let id_of = |content: &str| {
        let found = thread.iter().find(|text| text["content"] == content);
        found.unwrap()["id"].as_str().unwrap()
    };
    let id = |at: usize| field(&lines[at], "id");
    assert!(id_of("Nice") < id(0) && id(5) < id_of("One more thing") && id(9) < id_of("STOP"));
}

#[tokio::test]
async fn activity_reaches_viewers_of_the_number_and_is_paginated() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let (mut sams, mut lins) = (
        sam.join_workspace(&harbor).await,
        lin.join_workspace(&harbor).await,
    );

    changes(&harbor.admin, &harbor, &maya, json!({"status": "done"})).await;
    let received = sams.wait_for("conversation_event").await;
    assert_eq!(
        (&received["event"]["kind"], &received["workspace_id"]),
        (&json!("done"), &json!(harbor.id))
    );
    hub.twilio.text(MAYA, FRONT_DESK, "Oh").await;
    while sams.wait_for("conversation_event").await["event"]["kind"] != "reopened" {}
    assert!(lins.received_so_far(&harbor).await.is_empty());

    let id = maya["id"].as_str().unwrap();
    let path = harbor.path(&format!("/conversations/{id}/events?limit=1"));
    let newest = sam.get(&path).await.expect_status(200);
    assert_eq!(newest["data"][0]["kind"], "reopened");
    let cursor = newest["next_cursor"].as_str().unwrap();
    let before = sam
        .get(&format!("{path}&cursor={cursor}"))
        .await
        .expect_status(200);
    assert_eq!(
        (&before["data"][0]["kind"], &before["next_cursor"]),
        (&json!("done"), &Value::Null)
    );
}

#[tokio::test]
async fn activity_is_immutable_and_keeps_names_of_former_members() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    changes(&sam, &harbor, &maya, json!({"assignee_id": sam.id})).await;
    for sql in [
        "update conversation_events set kind = 'done'",
        "delete from conversation_events",
        "insert into conversation_events (conversation_id, number_id, kind) select id, number_id, 'done' from conversations",
    ] {
        let mut tx = hub.with_rights_of(&harbor.admin, &harbor).await;
        let refused = sqlx::query(sql).execute(&mut *tx).await.unwrap_err();
        assert!(
            refused.to_string().contains("permission denied"),
            "{refused}"
        );
    }
    let member = harbor.path(&format!("/members/{}", sam.id));
    harbor.admin.delete(&member).await.expect_status(204);
    assert_eq!(
        summary(&harbor.activity(&maya).await),
        [
            ["assigned", "", "Sam", "Sam"],
            ["unassigned", "", "Jo Park", "Sam"]
        ]
    );
}

//! Several agents in one conversation: assignment, replies, snoozing and presence.

use messagehub::domain::conversations::snooze;
use serde_json::{Value, json};

use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, Person, Workspace};

async fn change_conversation(
    who: &Person,
    harbor: &Workspace<'_>,
    it: &Value,
    change: Value,
) -> Answer {
    let id = it["id"].as_str().unwrap();
    who.patch(&harbor.path(&format!("/conversations/{id}")), change)
        .await
}

#[tokio::test]
async fn concurrent_assignment_has_one_winner_and_names_them() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    for agent in [&sam, &lin] {
        harbor.assign_number(FRONT_DESK, agent).await;
    }
    let maya = harbor.receive_text(MAYA, "Hi").await;
    for round in 0..10 {
        let free = json!({"assignee_id": null});
        change_conversation(&harbor.admin, &harbor, &maya, free)
            .await
            .expect_status(200);
        let take = |who: &Person| json!({"assignee_id": who.id, "expected_assignee_id": null});
        let (one, other) = tokio::join!(
            change_conversation(&sam, &harbor, &maya, take(&sam)),
            change_conversation(&lin, &harbor, &maya, take(&lin))
        );
        let ((winner, name), refused) = match (one.status, other.status) {
            (200, 409) => ((&sam, "Sam"), other),
            (409, 200) => ((&lin, "Lin"), one),
            other => panic!("round {round}: expected one winner, got {other:?}"),
        };
        let problem = refused.refused(409, "conversation_taken");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.starts_with(&format!("{name} assigned this to themselves just now"))
                || detail.starts_with(&format!("{name} assigned this to themselves 1 s ago")),
            "{detail}"
        );
        let now = harbor.conversation_with(MAYA).await;
        assert_eq!(now["assignee_id"], winner.id.as_str());
    }
    // Repeating one's own assignment succeeds; an assignment without an expected assignee overrides.
    let has = harbor.conversation_with(MAYA).await["assignee_id"].clone();
    let (winner, loser) = if has == sam.id.as_str() {
        (&sam, &lin)
    } else {
        (&lin, &sam)
    };
    let again = json!({"assignee_id": winner.id, "expected_assignee_id": null});
    change_conversation(winner, &harbor, &maya, again)
        .await
        .expect_status(200);
    let override_assignment = json!({"assignee_id": loser.id});
    assert_eq!(
        change_conversation(loser, &harbor, &maya, override_assignment)
            .await
            .expect_status(200)["assignee_id"],
        loser.id.as_str()
    );
    // A conflict refuses the other changes of the request as well.
    let both = json!({"assignee_id": winner.id, "expected_assignee_id": null, "status": "done"});
    change_conversation(winner, &harbor, &maya, both)
        .await
        .refused(409, "conversation_taken");
    assert_eq!(harbor.conversation_with(MAYA).await["status"], "open");
}

#[tokio::test]
async fn conversation_is_not_assigned_to_members_without_access() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let lin = harbor.agent("Lin").await;
    let bay = hub.workspace("Bay Optics").await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    for who in [&lin.id, &bay.admin.id] {
        change_conversation(&harbor.admin, &harbor, &maya, json!({"assignee_id": who}))
            .await
            .refused(422, "validation_failed");
    }
    harbor.assign_number(FRONT_DESK, &lin).await;
    change_conversation(
        &harbor.admin,
        &harbor,
        &maya,
        json!({"assignee_id": lin.id}),
    )
    .await
    .expect_status(200);
}

#[tokio::test]
async fn stale_reply_is_refused_and_names_the_other_author() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.reply(&sam, &maya, "Hello Maya").await;
    let draft = json!({"conversation_id": maya["id"], "content": "Hello!", "seen_message_id": maya["last_message_id"]});
    let path = harbor.path("/messages");
    for (age, says) in [
        ("0 s", "Sam replied just now"),
        ("20 s", "Sam replied 20 s ago"),
        ("3 min", "Sam replied 3 min ago"),
        ("5 h", "Sam replied 5 h ago"),
        ("2 d", "Sam replied 2 d ago"),
    ] {
        sqlx::query("update messages set created_at = now() - $1::text::interval where direction = 'outbound'")
            .bind(age)
            .execute(&hub.superuser_pool)
            .await
            .unwrap();
        let problem = harbor
            .admin
            .post(&path, draft.clone())
            .await
            .refused(409, "conversation_moved");
        assert!(
            problem["detail"].as_str().unwrap().starts_with(says),
            "{problem}"
        );
    }
    // An agent's own replies do not make their draft stale.
    sam.post(&path, draft).await.expect_status(202);
}

#[tokio::test]
async fn snoozed_conversation_returns_once_at_its_time() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let id = maya["id"].as_str().unwrap();
    let read = harbor.path(&format!("/conversations/{id}/read"));
    harbor.admin.post(&read, json!({})).await.expect_status(204);
    for until in [
        json!("2020-01-01T00:00:00Z"),
        json!("2100-01-01T00:00:00Z"),
        json!("tomorrow"),
        json!(null),
    ] {
        let change = json!({"status": "snoozed", "snoozed_until": until});
        change_conversation(&harbor.admin, &harbor, &maya, change)
            .await
            .refused(422, "validation_failed");
    }
    let until = (chrono::Utc::now() + chrono::Duration::hours(1)).to_rfc3339();
    let change = json!({"status": "snoozed", "snoozed_until": until});
    change_conversation(&harbor.admin, &harbor, &maya, change.clone())
        .await
        .expect_status(200);
    let db = &hub.server.app.db;
    assert_eq!(snooze::end_due(db).await.unwrap(), 0, "not due yet");
    let mut live = harbor.admin.join_workspace(&harbor).await;

    // Two runs at once, as by two servers. An event reaches the sockets of its own server only.
    hub.execute_sql("update conversations set snoozed_until = now() - interval '1 second'")
        .await;
    let (one, two) = tokio::join!(snooze::end_due(db), snooze::end_due(db));
    assert_eq!(one.unwrap() + two.unwrap(), 1);

    let unsnoozed = live.wait_for("conversation_updated").await;
    assert_eq!(
        (
            &unsnoozed["status"],
            &unsnoozed["snoozed_until"],
            &unsnoozed["unread_count"]
        ),
        (&json!("open"), &Value::Null, &json!(1)),
        "the conversation is unread again"
    );
    let lines = harbor.activity(&maya).await;
    assert_eq!(
        lines
            .iter()
            .filter(|line| line["kind"] == "unsnoozed")
            .count(),
        1
    );
    assert_eq!(
        {
            let unsnoozed = lines.last().unwrap();
            (&unsnoozed["cause"], &unsnoozed["actor_id"])
        },
        (&json!("time"), &Value::Null)
    );

    // An inbound text ends the snooze at once.
    change_conversation(&harbor.admin, &harbor, &maya, change)
        .await
        .expect_status(200);
    let unsnoozed = harbor.receive_text(MAYA, "Still there?").await;
    assert_eq!(
        (&unsnoozed["status"], &unsnoozed["snoozed_until"]),
        (&json!("open"), &Value::Null)
    );
}

/// Waits for the next presence frame; returns whether the user is viewing.
async fn presence(live: &mut crate::hub::SocketClient, who: &Person) -> bool {
    let frame = live.wait_for("presence").await;
    assert_eq!(frame["user_id"], who.id.as_str(), "{frame}");
    frame["viewing"].as_bool().unwrap()
}

#[tokio::test]
async fn presence_is_visible_to_viewers_and_counts_each_user_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let tom = harbor.receive_text("+14155550177", "Hello").await;
    let viewing = |at: &Value| json!({"type": "viewing", "workspace_id": harbor.id, "conversation_id": at["id"]});
    let mut jo = harbor.admin.join_workspace(&harbor).await;
    let mut lins = lin.join_workspace(&harbor).await;
    let mut first = sam.join_workspace(&harbor).await;
    let mut second = sam.join_workspace(&harbor).await;

    first.send(viewing(&maya)).await;
    let frame = jo.wait_for("presence").await;
    assert_eq!(
        (
            &frame["conversation_id"],
            &frame["user_id"],
            &frame["viewing"]
        ),
        (&maya["id"], &json!(sam.id), &json!(true))
    );
    // Repeated viewing and a second window send no event, nor does the first of two windows that leaves.
    second.send(viewing(&maya)).await;
    let joins = json!({"type": "join_workspace", "workspace_id": harbor.id});
    second.send(joins).await;
    second.wait_for("workspace_joined").await;
    first.send(viewing(&maya)).await;
    first.send(viewing(&tom)).await;
    let frame = jo.wait_for("presence").await;
    assert_eq!(
        (&frame["conversation_id"], &frame["viewing"]),
        (&tom["id"], &json!(true))
    );
    // A new subscriber receives the current presence.
    let mut late_subscriber = harbor.admin.join_workspace(&harbor).await;
    let mut there = [
        late_subscriber.wait_for("presence").await["conversation_id"].clone(),
        late_subscriber.wait_for("presence").await["conversation_id"].clone(),
    ];
    there.sort_by_key(ToString::to_string);
    let mut both = [maya["id"].clone(), tom["id"].clone()];
    both.sort_by_key(ToString::to_string);
    assert_eq!(there, both);
    // Presence ends when the last window leaves, by a frame or by closing.
    first
        .send(json!({"type": "viewing", "workspace_id": harbor.id, "conversation_id": null}))
        .await;
    assert!(!presence(&mut jo, &sam).await);
    drop(second);
    let gone = jo.wait_for("presence").await;
    assert_eq!(
        (&gone["conversation_id"], &gone["viewing"]),
        (&maya["id"], &json!(false))
    );

    // Members without access receive no presence and cannot announce theirs; nor can a socket that has not joined.
    lins.send(viewing(&maya)).await;
    assert_eq!(lins.wait_for("error").await["code"], "not_found");
    assert!(
        lins.received_so_far(&harbor)
            .await
            .iter()
            .all(|frame| frame["type"] != "presence")
    );
    let mut unjoined = sam.socket().await;
    unjoined.send(viewing(&maya)).await;
    assert_eq!(
        unjoined.wait_for("error").await["code"],
        "validation_failed"
    );

    // Losing the number ends presence.
    first.send(viewing(&maya)).await;
    assert!(presence(&mut jo, &sam).await);
    let number = harbor.number(FRONT_DESK).await;
    let path = harbor.path(&format!("/numbers/{number}/members/{}", sam.id));
    harbor.admin.delete(&path).await.expect_status(204);
    assert!(!presence(&mut jo, &sam).await);
}

//! What needs an answer: waits, the order of the longest, marking as unread, many conversations at once, saved views.

use messagehub::domain::messages::schedule;
use serde_json::{Value, json};

use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, Person, TOKEN, Workspace};

const TOM: &str = "+14155550177";
const LEE: &str = "+14155550178";
const RECALL: &str = "+16285550177";

fn id(it: &Value) -> &str {
    it["id"].as_str().unwrap()
}

async fn change(who: &Person, harbor: &Workspace<'_>, it: &Value, change: Value) -> Value {
    let path = harbor.path(&format!("/conversations/{}", id(it)));
    who.patch(&path, change).await.expect_status(200)
}

async fn mark_unread(who: &Person, harbor: &Workspace<'_>, it: &Value) -> Answer {
    let path = harbor.path(&format!("/conversations/{}/unread", id(it)));
    who.post(&path, json!({})).await
}

/// The contacts of a list, in its order.
async fn listed(who: &Person, harbor: &Workspace<'_>, query: &str) -> Vec<String> {
    let path = harbor.path(&format!("/conversations?{query}"));
    let found = who.get(&path).await.expect_status(200);
    let rows = found["data"].as_array().unwrap().iter();
    rows.map(|row| row["contact"]["phone_number"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn wait_ends_with_an_answer_or_done_and_not_by_looking() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let since = maya["waiting_since"].clone();
    assert_eq!(since, maya["last_message_at"], "since the first text");

    harbor.receive_text(MAYA, "Hello?").await;
    let read = harbor.path(&format!("/conversations/{}/read", id(&maya)));
    harbor.admin.post(&read, json!({})).await.expect_status(204);
    harbor.add_note(&maya, "Let me ask").await;
    let later = json!({"conversation_id": maya["id"], "content": "Soon", "scheduled_at": "2036-01-01T00:00:00Z"});
    let too_late = harbor.admin.post(&harbor.path("/messages"), later).await;
    assert_eq!(too_late.status, 422, "at most a year ahead");
    let tomorrow = chrono::Utc::now() + chrono::Duration::days(1);
    let later = json!({"conversation_id": maya["id"], "content": "Soon", "scheduled_at": tomorrow});
    harbor
        .admin
        .post(&harbor.path("/messages"), later)
        .await
        .expect_status(202);
    change(&harbor.admin, &harbor, &maya, json!({"status": "pending"})).await;
    let still = harbor.conversation_with(MAYA).await;
    assert_eq!(
        still["waiting_since"], since,
        "reading, notes and plans are no answer"
    );
    hub.execute_sql("update messages set due_at = now() where status = 'scheduled'")
        .await;
    assert_eq!(schedule::queue_due(&hub.server.app.db).await.unwrap(), 1);
    let still = harbor.conversation_with(MAYA).await;
    assert_eq!(
        still["waiting_since"], since,
        "nor is a scheduled text that goes out"
    );

    harbor.reply(&harbor.admin, &maya, "Yes, it is yours").await;
    assert_eq!(
        harbor.conversation_with(MAYA).await["waiting_since"],
        Value::Null
    );
    // A reaction begins no wait; the next text does.
    let reaction = "Liked “Yes, it is yours”";
    let after = harbor.receive_text(MAYA, reaction).await;
    assert_eq!(after["waiting_since"], Value::Null);
    let stopped = harbor.receive_text(TOM, "STOP").await;
    assert_eq!(stopped["waiting_since"], Value::Null, "cannot be answered");
    let again = harbor.receive_text(MAYA, "Which room?").await;
    assert_eq!(again["waiting_since"], again["last_message_at"]);
    let done = change(&harbor.admin, &harbor, &maya, json!({"status": "done"})).await;
    assert_eq!(done["waiting_since"], Value::Null);
    let reopened = change(&harbor.admin, &harbor, &maya, json!({"status": "open"})).await;
    assert_eq!(reopened["waiting_since"], Value::Null);
}

#[tokio::test]
async fn longest_wait_is_first_and_pages_follow_it() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for phone in [MAYA, TOM, LEE] {
        harbor.receive_text(phone, "Hello?").await;
    }
    // Writing again does not shorten the wait.
    harbor.receive_text(MAYA, "Anybody?").await;
    let who = &harbor.admin;
    assert_eq!(listed(who, &harbor, "waiting=true").await, [MAYA, LEE, TOM]);
    assert_eq!(
        listed(who, &harbor, "order=waiting").await,
        [MAYA, TOM, LEE]
    );
    assert_eq!(listed(who, &harbor, "order=newest").await, [MAYA, LEE, TOM]);

    let first = harbor.path("/conversations?order=waiting&limit=1");
    let mut page = who.get(&first).await.expect_status(200);
    let mut seen = Vec::new();
    while let Some(cursor) = page["next_cursor"].as_str() {
        seen.push(page["data"][0]["contact"]["phone_number"].clone());
        page = who
            .get(&format!("{first}&cursor={cursor}"))
            .await
            .expect_status(200);
    }
    seen.push(page["data"][0]["contact"]["phone_number"].clone());
    assert_eq!(seen, [json!(MAYA), json!(TOM), json!(LEE)]);

    let tom = harbor.conversation_with(TOM).await;
    harbor.reply(who, &tom, "Here").await;
    assert_eq!(listed(who, &harbor, "order=waiting").await, [MAYA, LEE]);
    assert_eq!(
        listed(who, &harbor, "waiting=true&status=open").await,
        [MAYA, LEE]
    );
    hub.index_contacts().await;
    assert_eq!(listed(who, &harbor, "order=waiting&q=0178").await, [LEE]);
    let wrong = harbor.path("/conversations?order=oldest");
    who.get(&wrong).await.refused(422, "validation_failed");
}

#[tokio::test]
async fn list_of_failed_texts_follows_their_status() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hello?").await;
    harbor.receive_text(TOM, "Hello?").await;
    harbor.reply(&harbor.admin, &maya, "Here").await;
    assert_eq!(hub.run_sender().await, 1);
    assert!(
        listed(&harbor.admin, &harbor, "failed=true")
            .await
            .is_empty()
    );
    let sid = &hub.twilio.messages()[0].sid;
    hub.twilio.reports_failure(sid, "undelivered", 30003).await;
    assert_eq!(listed(&harbor.admin, &harbor, "failed=true").await, [MAYA]);
    harbor.reply(&harbor.admin, &maya, "Again").await;
    assert!(
        listed(&harbor.admin, &harbor, "failed=true")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn marked_as_unread_is_unread_for_everybody_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Hello?").await;
    let read = harbor.path(&format!("/conversations/{}/read", id(&maya)));
    sam.post(&read, json!({})).await.expect_status(204);
    assert_eq!(harbor.conversation_with(MAYA).await["unread_count"], 0);
    let mut live = harbor.admin.join_workspace(&harbor).await;

    mark_unread(&sam, &harbor, &maya).await.expect_status(204);
    assert_eq!(
        live.wait_for("conversation_updated").await["unread_count"],
        1
    );
    mark_unread(&sam, &harbor, &maya).await.expect_status(204);
    assert_eq!(harbor.conversation_with(MAYA).await["unread_count"], 1);
    mark_unread(&lin, &harbor, &maya)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn assignee_is_notified_and_nobody_else() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    for agent in [&sam, &lin] {
        harbor.assign_number(FRONT_DESK, agent).await;
    }
    let maya = harbor.receive_text(MAYA, "Hello?").await;
    let (mut sams, mut lins) = (
        sam.join_workspace(&harbor).await,
        lin.join_workspace(&harbor).await,
    );

    change(
        &harbor.admin,
        &harbor,
        &maya,
        json!({"assignee_id": sam.id}),
    )
    .await;

    let frame = sams.wait_for("assigned").await;
    assert_eq!(
        (
            &frame["user_id"],
            &frame["event"]["actor_name"],
            &frame["conversation"]["id"]
        ),
        (&json!(sam.id), &json!("Jo Park"), &maya["id"])
    );
    // Of one's own assignment, and of one that was there before, nobody is notified.
    change(&sam, &harbor, &maya, json!({"assignee_id": sam.id})).await;
    change(&lin, &harbor, &maya, json!({"assignee_id": lin.id})).await;
    for frames in [
        sams.received_so_far(&harbor).await,
        lins.received_so_far(&harbor).await,
    ] {
        assert!(
            frames.iter().all(|frame| frame["type"] != "assigned"),
            "{frames:?}"
        );
    }
}

#[tokio::test]
async fn answering_assigns_if_the_member_wants_it() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let (maya, tom) = (
        harbor.receive_text(MAYA, "Hello?").await,
        harbor.receive_text(TOM, "Hello?").await,
    );
    harbor.reply(&sam, &maya, "Here").await;
    assert_eq!(
        harbor.conversation_with(MAYA).await["assignee_id"],
        Value::Null
    );
    let settings = harbor.path("/settings");
    let defaults = sam.get(&settings).await.expect_status(200);
    assert_eq!(
        (
            &defaults["assign_when_answering"],
            &defaults["open_next_after_done"]
        ),
        (&json!(false), &json!(true))
    );
    let on = json!({"assign_when_answering": true});
    sam.patch(&settings, on).await.expect_status(200);

    harbor.reply(&sam, &maya, "Still here").await;
    let answered = harbor.conversation_with(MAYA).await;
    assert_eq!(answered["assignee_id"], sam.id.as_str());
    assert_eq!(
        (
            &answered["last_message_by"],
            &answered["last_message_by_name"]
        ),
        (&json!(sam.id), &json!("Sam"))
    );
    change(
        &harbor.admin,
        &harbor,
        &tom,
        json!({"assignee_id": harbor.admin.id}),
    )
    .await;
    harbor.reply(&sam, &tom, "Here").await;
    let tom = harbor.conversation_with(TOM).await;
    assert_eq!(
        tom["assignee_id"],
        harbor.admin.id.as_str(),
        "it was somebody's"
    );
}

#[tokio::test]
async fn batch_changes_all_or_nothing() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    hub.twilio.account(&harbor.account, TOKEN).number(RECALL);
    let harbor = harbor.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let (maya, tom) = (
        harbor.receive_text(MAYA, "Hello?").await,
        harbor.receive_text(TOM, "Hello?").await,
    );
    hub.twilio.text(LEE, RECALL, "Hello?").await;
    let lee = harbor.conversation_with(LEE).await;
    let tag = harbor.tag("Recall").await;
    let batch = harbor.path("/conversations/batch");
    let ids = json!([maya["id"], tom["id"], maya["id"]]);

    let both = json!({"conversation_ids": ids, "change": {"status": "done", "assignee_id": sam.id}, "add_tag_id": tag});
    let changed = harbor.admin.post(&batch, both).await.expect_status(200);

    let changed = changed["data"].as_array().unwrap();
    assert_eq!(changed.len(), 2);
    for one in changed {
        assert_eq!(
            (
                &one["status"],
                &one["assignee_id"],
                &one["waiting_since"],
                &one["contact"]["tags"][0]["name"]
            ),
            (
                &json!("done"),
                &json!(sam.id),
                &Value::Null,
                &json!("Recall")
            )
        );
    }
    // One that the assignee or the caller does not see stops all.
    let three = json!([maya["id"], tom["id"], lee["id"]]);
    let assign =
        json!({"conversation_ids": three, "change": {"assignee_id": sam.id, "status": "open"}});
    harbor
        .admin
        .post(&batch, assign)
        .await
        .refused(422, "validation_failed");
    let open = json!({"conversation_ids": three, "change": {"status": "open"}});
    sam.post(&batch, open).await.refused(404, "not_found");
    assert_eq!(harbor.conversation_with(MAYA).await["status"], "done");
    for wrong in [
        json!({"conversation_ids": []}),
        json!({"conversation_ids": [uuid::Uuid::now_v7()], "change": {"status": "snoozed"}}),
        json!({"conversation_ids": three, "change": {"expected_assignee_id": null}}),
    ] {
        harbor
            .admin
            .post(&batch, wrong)
            .await
            .refused(422, "validation_failed");
    }
}

#[tokio::test]
async fn view_is_private_or_shared_with_those_who_see_its_number() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    let number = harbor.number(FRONT_DESK).await;
    let views = harbor.path("/views");
    let names = async |who: &Person| {
        let found = who.get(&views).await.expect_status(200);
        let all = found["data"].as_array().unwrap().clone();
        all.iter()
            .map(|view| view["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let make = async |who: &Person, view: Value| who.post(&views, view).await;

    make(
        &sam,
        json!({"name": " My waits ", "tab": "waiting", "assignee": "me"}),
    )
    .await
    .expect_status(201);
    let desk = json!({"name": "Desk", "shared": true, "number_id": number, "unread": true, "order": "waiting"});
    let desk = make(&sam, desk).await.expect_status(201);
    assert_eq!(
        (&desk["tab"], &desk["order"], &desk["failed"]),
        (&json!("open"), &json!("waiting"), &json!(false))
    );
    let all = make(
        &harbor.admin,
        json!({"name": "All failed", "shared": true, "failed": true}),
    )
    .await
    .expect_status(201);

    assert_eq!(names(&sam).await, ["All failed", "Desk", "My waits"]);
    assert_eq!(names(&harbor.admin).await, ["All failed", "Desk"]);
    assert_eq!(names(&lin).await, ["All failed"]);
    for wrong in [
        json!({"name": ""}),
        json!({"name": "x".repeat(61)}),
        json!({"name": "x", "assignee": "somebody"}),
        json!({"name": "x", "tag_id": uuid::Uuid::now_v7()}),
        json!({"name": "x", "number_id": number}),
    ] {
        make(&lin, wrong).await.refused(422, "validation_failed");
    }
    let at = |view: &Value| format!("{views}/{}", id(view));
    sam.delete(&at(&all)).await.refused(403, "admin_only");
    let renamed = sam
        .patch(&at(&desk), json!({"name": "Front desk"}))
        .await
        .expect_status(200);
    assert_eq!(renamed["name"], "Front desk");
    lin.patch(&at(&desk), json!({"name": "Mine"}))
        .await
        .refused(404, "not_found");
    harbor.admin.delete(&at(&desk)).await.expect_status(204);
    assert_eq!(names(&sam).await, ["All failed", "My waits"]);
}

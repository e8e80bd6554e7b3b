//! Merging two contacts.

use reqwest::Method;
use serde_json::{Value, json};

use super::TOM;
use crate::emulator::Failure;
use crate::hub::{FRONT_DESK, Hub, MAYA, Person, Workspace};

const RECALL: &str = "+16285550101";

async fn merge(who: &Person, harbor: &Workspace<'_>, kept: &Value, gone: &Value) -> Value {
    let request = json!({"contact_id": gone["contact_id"]});
    let path = harbor.contact_path(kept, "/merge");
    who.post(&path, request).await.expect_status(200)
}

#[tokio::test]
async fn merge_moves_all_messages() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = &harbor.admin;
    let maya = harbor.receive_text(MAYA, "One").await;
    let other = harbor.receive_text(TOM, "Two").await;
    harbor.receive_text(MAYA, "Three").await;
    harbor.receive_text(TOM, "Four").await;
    let tag = harbor.tag("VIP").await;
    jo.put(&harbor.contact_path(&other, &format!("/tags/{tag}")))
        .await
        .expect_status(204);
    let noted = json!({"name": "Maya Okafor", "notes": "Latex", "email": "maya@okafor.test"});
    jo.patch(&harbor.contact_path(&other, ""), noted)
        .await
        .expect_status(200);
    jo.patch(&harbor.contact_path(&maya, ""), json!({"notes": "Tall"}))
        .await
        .expect_status(200);
    let mut frames = jo.join_workspace(&harbor).await;
    let gone = other["contact_id"].as_str().unwrap();
    let moving = jo
        .get(&harbor.contact_path(&maya, &format!("/merge/{gone}")))
        .await
        .expect_status(200);
    assert_eq!(
        (
            &moving["conversations"],
            &moving["joined"],
            &moving["messages"]
        ),
        (&json!(1), &json!(1), &json!(2))
    );

    let kept = merge(jo, &harbor, &maya, &other).await;

    assert_eq!(kept["id"], maya["contact_id"]);
    assert_eq!(kept["name"], "Maya Okafor");
    assert_eq!(kept["notes"], "Tall\n\nLatex");
    assert_eq!(kept["other_numbers"], json!([TOM]));
    assert_eq!(kept["tags"][0]["name"], "VIP");
    let removed = frames.wait_for("contact_removed").await;
    assert_eq!(removed["merged_into"], maya["contact_id"]);
    let removed = frames.wait_for("conversation_removed").await;
    assert_eq!(removed["conversation_id"], other["id"]);
    let contents: Vec<_> = harbor.thread(&maya).await;
    let contents: Vec<_> = contents
        .iter()
        .map(|text| text["content"].clone())
        .collect();
    assert_eq!(contents, ["One", "Two", "Three", "Four"]);
    let joined = harbor.conversation_with(MAYA).await;
    assert_eq!(joined["unread_count"], 4);
    assert_eq!(joined["last_message_preview"], "Four");

    // Old links redirect to the remaining contact, and so does the number.
    for (old, new) in [
        (
            harbor.contact_path(&other, ""),
            harbor.contact_path(&maya, ""),
        ),
        (
            harbor.path(&format!("/conversations/{}", other["id"].as_str().unwrap())),
            harbor.path(&format!("/conversations/{}", maya["id"].as_str().unwrap())),
        ),
    ] {
        let moved = jo.get(&old).await;
        assert_eq!(moved.status, 308, "{}", moved.body);
        assert_eq!(moved.headers["location"], new);
    }
    hub.twilio.text(TOM, FRONT_DESK, "Five").await;
    assert_eq!(harbor.thread(&maya).await.len(), 5);
    assert_eq!(hub.count("select count(*) from conversations").await, 1);
    jo.post(&harbor.path("/contacts"), json!({"phone_number": TOM}))
        .await
        .refused(422, "validation_failed");
    let sent = json!({"to": TOM, "content": "To the one whom we know"});
    let sent = jo
        .post(&harbor.path("/messages"), sent)
        .await
        .expect_status(202);
    assert_eq!(sent["message"]["contact_id"], maya["contact_id"]);
    hub.run_sender().await;
    assert_eq!(hub.twilio.sent("To the one whom we know")[0].to, MAYA);
    let audit = jo
        .get(&harbor.path("/audit?action=contacts_merged"))
        .await
        .expect_status(200);
    assert_eq!(audit["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn merge_moves_notes_and_assignments() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (jo, sam) = (&harbor.admin, harbor.agent("Sam").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let other = harbor.receive_text(TOM, "Hi").await;
    let conversation_path = |conversation: &Value, what: &str| {
        let id = conversation["id"].as_str().unwrap();
        harbor.path(&format!("/conversations/{id}{what}"))
    };
    jo.patch(
        &conversation_path(&other, ""),
        json!({"assignee_id": sam.id}),
    )
    .await
    .expect_status(200);
    jo.post(
        &conversation_path(&other, "/notes"),
        json!({"content": "@Sam it is Maya"}),
    )
    .await
    .expect_status(201);
    for (who, at, content) in [
        (jo, &maya, "See you"),
        (jo, &other, "on Thursday"),
        (&sam, &other, "Only there"),
    ] {
        let draft = who.request(Method::PUT, &conversation_path(at, "/draft"));
        who.ask(draft.json(&json!({"content": content})))
            .await
            .expect_status(200);
    }

    merge(jo, &harbor, &maya, &other).await;

    let events = jo
        .get(&conversation_path(&maya, "/events"))
        .await
        .expect_status(200);
    let assigned = events["data"].as_array().unwrap().iter();
    let assigned = assigned.filter(|event| event["kind"] == "assigned");
    assert_eq!(
        assigned.count(),
        2,
        "the assignment, and its transfer by the merge: {events}"
    );
    let mentioned = sam
        .get(&harbor.path("/conversations?mentioned=true"))
        .await
        .expect_status(200);
    assert_eq!(mentioned["data"][0]["id"], maya["id"], "{mentioned}");
    let draft = jo
        .get(&conversation_path(&maya, "/draft"))
        .await
        .expect_status(200);
    assert_eq!(draft["content"], "See you\non Thursday");
    let draft = sam
        .get(&conversation_path(&maya, "/draft"))
        .await
        .expect_status(200);
    assert_eq!(draft["content"], "Only there");
}

#[tokio::test]
async fn merge_moves_scheduled_texts_and_consents() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    hub.twilio
        .account(&harbor.account, crate::hub::TOKEN)
        .number(RECALL);
    harbor.connect_with(crate::hub::TOKEN).await;
    let integration = harbor
        .admin
        .get(&harbor.path("/integrations"))
        .await
        .expect_status(200);
    let integration = integration["data"][0]["id"].as_str().unwrap().to_owned();
    let sync = harbor.path(&format!("/integrations/{integration}/sync"));
    harbor.admin.post(&sync, json!({})).await.expect_status(200);
    let jo = &harbor.admin;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let other = harbor.receive_text(TOM, "Hi").await;
    assert_eq!(hub.twilio.text(TOM, RECALL, "STOP").await.status(), 200);
    harbor.reply(jo, &other, "It waits").await;
    let at = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).to_rfc3339();
    let later = json!({"conversation_id": other["id"], "content": "Later", "scheduled_at": at});
    jo.post(&harbor.path("/messages"), later)
        .await
        .expect_status(202);

    merge(jo, &harbor, &maya, &other).await;

    hub.execute_sql(
        "update messages set due_at = now(), scheduled_at = now() where status = 'scheduled'",
    )
    .await;
    messagehub::domain::messages::schedule::queue_due(&hub.server.app.db)
        .await
        .unwrap();
    while hub.run_sender().await > 0 {}
    assert_eq!(
        hub.twilio.sent("It waits")[0].to,
        TOM,
        "the number it was written to"
    );
    assert_eq!(hub.twilio.sent("Later")[0].to, TOM);
    let recall = harbor.number(RECALL).await;
    let draft = json!({"to": MAYA, "number_id": recall, "content": "No"});
    jo.post(&harbor.path("/messages"), draft)
        .await
        .refused(409, "contact_opted_out");
    let consent = jo
        .get(&harbor.contact_path(&maya, "/consent"))
        .await
        .expect_status(200);
    assert_eq!(consent["data"][0]["proof"], "STOP");
}

#[tokio::test]
async fn merge_requires_access_to_all_conversations_of_both() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let bay = hub.workspace("Bay Optics").await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    let sandbox = json!({"provider": "sandbox", "credentials": {}});
    let sandbox = harbor
        .admin
        .post(&harbor.path("/integrations"), sandbox)
        .await
        .expect_status(201);
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let other = harbor.receive_text(TOM, "Hi").await;
    let hidden = json!({"contact_id": other["contact_id"], "number_id": sandbox["numbers"][0]["id"], "content": "Hi"});
    harbor
        .admin
        .post(&harbor.path("/messages"), hidden)
        .await
        .expect_status(202);
    let theirs = bay.adds(&bay.admin, MAYA, "Maya").await;
    let path = harbor.contact_path(&maya, "/merge");
    let with = |id: &Value| json!({"contact_id": id});
    sam.post(&path, with(&other["contact_id"]))
        .await
        .refused(403, "admin_only");
    lin.post(&path, with(&other["contact_id"]))
        .await
        .refused(404, "not_found");
    for foreign in [&theirs["id"], &maya["id"]] {
        harbor
            .admin
            .post(&path, with(foreign))
            .await
            .refused(404, "not_found");
    }
    let itself = harbor.admin.post(&path, with(&maya["contact_id"])).await;
    itself.refused(422, "validation_failed");
    assert_eq!(hub.count("select count(*) from contacts").await, 3);

    // Concurrent merges in both directions: one succeeds, the other gets 404.
    let back = harbor.contact_path(&other, "/merge");
    let (one, two) = tokio::join!(
        harbor.admin.post(&path, with(&other["contact_id"])),
        harbor.admin.post(&back, with(&maya["contact_id"])),
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404]);
    assert_eq!(
        hub.count("select count(*) from contacts where merged_into is null")
            .await,
        2
    );
}

/// Texts arrive from both numbers during the merge: each is stored once, with the remaining contact.
#[tokio::test]
async fn texts_received_during_a_merge_are_kept() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = &harbor.admin;
    for round in 0..6 {
        let (a, b) = (format!("+1415555{round}010"), format!("+1415555{round}020"));
        let maya = harbor.receive_text(&a, "Hi").await;
        // Half of them have no texts yet: their conversation is created during the merge.
        let other = match round % 2 {
            0 => harbor.receive_text(&b, "Hi").await["contact_id"].clone(),
            _ => harbor.adds(jo, &b, "Tom").await["id"].clone(),
        };
        let texts = async {
            let twilio = &hub.twilio;
            let each = (0..20).map(|n| {
                let from = if n % 2 == 0 { &a } else { &b };
                async move {
                    let body = format!("Text {n}");
                    twilio.text(from, FRONT_DESK, &body).await.status()
                }
            });
            futures_util::future::join_all(each).await
        };
        let request = json!({"contact_id": other});
        let path = harbor.contact_path(&maya, "/merge");
        let (statuses, merged) = tokio::join!(texts, jo.post(&path, request));
        merged.expect_status(200);
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
        let kept = harbor.conversation_with(&a).await;
        let before = if round % 2 == 0 { 2 } else { 1 };
        assert_eq!(harbor.thread(&kept).await.len(), before + 20);
        assert_eq!(kept["unread_count"], before + 20);
    }
    assert_eq!(
        hub.count("select count(*) from conversations v join contacts c on c.id = v.contact_id where c.merged_into is not null").await,
        0
    );
}

/// A text of the merged contact is at the provider: it is looked up later by the number it was sent to.
#[tokio::test]
async fn text_in_flight_during_a_merge_is_sent_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = &harbor.admin;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let other = harbor.receive_text(TOM, "Hi").await;
    harbor.reply(jo, &other, "Only once").await;
    hub.twilio.fails(Failure::AcceptThenDrop);
    hub.run_sender().await;
    merge(jo, &harbor, &maya, &other).await;
    hub.execute_sql("update messages set due_at = now(), updated_at = now() - interval '1 minute' where status = 'unconfirmed'")
        .await;
    assert_eq!(
        hub.server.outcome_resolver.run_once().await.unwrap(),
        1,
        "its outcome is found"
    );
    while hub.run_sender().await > 0 {}
    assert_eq!(hub.twilio.sent("Only once").len(), 1);
    let text = harbor.thread(&maya).await;
    let text = text.iter().find(|text| text["content"] == "Only once");
    assert_eq!(text.unwrap()["status"], "sent");
}

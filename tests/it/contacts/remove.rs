//! Deleting a contact: what is removed and what is kept.

use serde_json::json;

use super::TOM;
use crate::hub::{FRONT_DESK, Hub, MAYA};

#[tokio::test]
async fn deletion_removes_everything_but_the_opt_out() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (jo, sam) = (&harbor.admin, harbor.agent("Sam").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    harbor.receive_picture().await;
    assert_eq!(hub.fetch_media().await, 1);
    let maya = harbor.conversation_with(MAYA).await;
    harbor.receive_text(TOM, "I stay").await;
    let at = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).to_rfc3339();
    let later = json!({"conversation_id": maya["id"], "content": "Later", "scheduled_at": at});
    sam.post(&harbor.path("/messages"), later)
        .await
        .expect_status(202);
    harbor.receive_text(MAYA, "STOP").await;
    let path = harbor.contact_path(&maya, "");
    let going = jo
        .get(&harbor.contact_path(&maya, "/removal"))
        .await
        .expect_status(200);
    assert_eq!(
        (
            &going["conversations"],
            &going["messages"],
            &going["media"],
            &going["waiting"],
            &going["opt_outs"]
        ),
        (&json!(1), &json!(3), &json!(1), &json!(1), &json!(1))
    );
    let mut frames = jo.join_workspace(&harbor).await;
    sam.delete(&path).await.refused(403, "admin_only");
    jo.delete(&path).await.expect_status(204);
    jo.delete(&path).await.refused(404, "not_found");

    let gone = frames.wait_for("conversation_removed").await;
    assert_eq!(gone["conversation_id"], maya["id"]);
    frames.wait_for("contact_removed").await;
    assert_eq!(hub.count("select count(*) from messages").await, 1);
    assert_eq!(hub.count("select count(*) from message_media").await, 0);
    hub.fetch_media().await;
    let files = walk(hub.media.path());
    assert!(files.is_empty(), "{files:?}");
    let credits = harbor.path(&format!("/credits/{}", sam.id));
    assert_eq!(
        jo.get(&credits).await.expect_status(200)["balance"],
        1000,
        "refunded"
    );

    // The opt-out outlives adding, importing and texting the contact again.
    let draft = json!({"to": MAYA, "content": "Hello again"});
    for _ in 0..2 {
        jo.post(&harbor.path("/messages"), draft.clone())
            .await
            .refused(409, "contact_opted_out");
        let found = jo
            .get(&harbor.path("/contacts?q=5550192"))
            .await
            .expect_status(200);
        if let Some(contact) = found["data"].as_array().unwrap().first() {
            jo.delete(&harbor.contact_path(contact, ""))
                .await
                .expect_status(204);
        }
    }
    harbor
        .upload_contacts(format!("phone_number\n{MAYA}\n"), "false")
        .await
        .expect_status(202);
    hub.run_imports().await;
    jo.post(&harbor.path("/messages"), draft.clone())
        .await
        .refused(409, "contact_opted_out");
    harbor.receive_text(MAYA, "START").await;
    jo.post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(walk(&path)),
            false => files.push(path),
        }
    }
    files
}

#[tokio::test]
async fn agents_delete_own_contacts_until_first_text() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let mine = harbor.adds(&sam, MAYA, "Maya").await;
    sam.delete(&harbor.contact_path(&mine, ""))
        .await
        .expect_status(204);
    let mine = harbor.adds(&sam, MAYA, "Maya").await;
    harbor.receive_text(MAYA, "Hi").await;
    sam.delete(&harbor.contact_path(&mine, ""))
        .await
        .refused(403, "admin_only");
}

#[tokio::test]
async fn catch_up_does_not_restore_deleted_texts() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Forget me").await;
    let lost = hub
        .twilio
        .inbound_text(MAYA, FRONT_DESK, "Nobody noticed this");
    lost.record_undelivered();
    let number = harbor.number(FRONT_DESK).await;
    let catch_up = harbor.path(&format!("/numbers/{number}/catch-up"));
    harbor
        .admin
        .delete(&harbor.contact_path(&maya, ""))
        .await
        .expect_status(204);
    harbor
        .admin
        .post(&catch_up, json!({}))
        .await
        .expect_status(200);
    let texts = harbor
        .admin
        .get(&harbor.path("/messages"))
        .await
        .expect_status(200);
    let texts: Vec<_> = texts["data"].as_array().unwrap().iter().collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(texts[0]["content"], "Nobody noticed this");
}

/// A text arrives during the deletion: it is stored with the contact or with a new one.
#[tokio::test]
async fn text_received_during_a_deletion_is_accepted() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for round in 0..8 {
        let phone = format!("+1415555{round}030");
        let contact = match round % 2 {
            0 => harbor.receive_text(&phone, "Hi").await,
            _ => harbor.adds(&harbor.admin, &phone, "Tom").await,
        };
        let path = harbor.contact_path(&contact, "");
        let (deleted, text) = tokio::join!(
            harbor.admin.delete(&path),
            hub.twilio.text(&phone, FRONT_DESK, "Still there?"),
        );
        deleted.expect_status(204);
        assert_eq!(text.status(), 200);
    }
}

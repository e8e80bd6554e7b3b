//! Live events of consent changes: canceled texts, and the opt-out state of each conversation.

use serde_json::{Value, json};

use super::import::imports;
use super::workspace_scope::{RECALL, draft, set_scope, workspace_with_two_numbers};
use crate::hub::{FRONT_DESK, Hub, MAYA, Person, SocketClient, Workspace};

async fn queue_text(harbor: &Workspace<'_>, who: &Person, number: &str) -> Value {
    let draft = draft(harbor, number).await;
    who.post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202)["message"]
        .clone()
}

/// The next status event of this text.
async fn events_of(frames: &mut SocketClient, message: &Value) -> Value {
    loop {
        let report = frames.wait_for("message_status").await;
        if report["message_id"] == message["id"] {
            return report;
        }
    }
}

/// Waits until the conversation is reported as opted out or in.
async fn wait_for_opt_out_state(frames: &mut SocketClient, conversation: &Value, opted_out: bool) {
    loop {
        let report = frames.wait_for("conversation_updated").await;
        if report["id"] == *conversation && report["opted_out"] == opted_out {
            return;
        }
    }
}

#[tokio::test]
async fn canceled_texts_are_announced_to_viewers_only() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let text = harbor.reply(&sam, &maya, "See you on Thursday").await;
    let (mut sams, mut lins) = (
        sam.join_workspace(&harbor).await,
        lin.join_workspace(&harbor).await,
    );

    hub.twilio.text(MAYA, FRONT_DESK, "STOP").await;

    let report = events_of(&mut sams, &text).await;
    assert_eq!(
        (&report["status"], &report["error_code"]),
        (&json!("failed"), &json!("contact_opted_out"))
    );
    assert_eq!(
        sams.wait_for("credits").await["balance"],
        1000,
        "the credit is refunded"
    );
    wait_for_opt_out_state(&mut sams, &maya["id"], true).await;
    hub.twilio.text(MAYA, FRONT_DESK, "START").await;
    wait_for_opt_out_state(&mut sams, &maya["id"], false).await;
    assert!(lins.received_so_far(&harbor).await.is_empty());
}

#[tokio::test]
async fn workspace_scope_announces_each_conversation_to_its_viewers() {
    let hub = Hub::start().await;
    let (harbor, sam) = workspace_with_two_numbers(&hub).await;
    set_scope(&harbor, "workspace").await;
    let lin = harbor.agent("Lin").await;
    harbor.assign_number(RECALL, &lin).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let text = queue_text(&harbor, &lin, RECALL).await;
    let (mut sams, mut lins) = (
        sam.join_workspace(&harbor).await,
        lin.join_workspace(&harbor).await,
    );
    let recall = &text["conversation_id"];

    hub.twilio.text(MAYA, FRONT_DESK, "STOP").await;
    assert_eq!(events_of(&mut lins, &text).await["status"], "failed");
    wait_for_opt_out_state(&mut lins, recall, true).await;
    wait_for_opt_out_state(&mut sams, &maya["id"], true).await;
    hub.twilio.text(MAYA, FRONT_DESK, "START").await;
    wait_for_opt_out_state(&mut lins, recall, false).await;

    // Recorded by an agent without access to the other conversation.
    let text = queue_text(&harbor, &lin, RECALL).await;
    let path = harbor.path(&format!(
        "/contacts/{}/consent",
        maya["contact_id"].as_str().unwrap()
    ));
    for (consent_kind, opted_out) in [("stop", true), ("start", false)] {
        let consent = json!({"number_id": maya["number_id"], "consent_kind": consent_kind, "reason": "On the phone"});
        sam.post(&path, consent).await.expect_status(200);
        wait_for_opt_out_state(&mut lins, recall, opted_out).await;
    }
    assert_eq!(harbor.message(&text["id"]).await["status"], "failed");
    let names = |frame: &Value, other: &Value| frame.to_string().contains(other.as_str().unwrap());
    let (of_sam, of_lin) = (
        sams.received_so_far(&harbor).await,
        lins.received_so_far(&harbor).await,
    );
    assert!(
        !of_sam.iter().any(|frame| names(frame, recall)),
        "{of_sam:?}"
    );
    assert!(
        !of_lin.iter().any(|frame| names(frame, &maya["id"])),
        "{of_lin:?}"
    );
}

#[tokio::test]
async fn imported_and_provider_opt_outs_are_announced() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let mut jo = harbor.admin.join_workspace(&harbor).await;

    let text = harbor.reply(&harbor.admin, &maya, "One").await;
    let file = format!("phone_number,at\n{MAYA},2026-01-02\n");
    let report = imports(&harbor.admin, &harbor, "old.csv", file.as_bytes()).await;
    assert_eq!(report.expect_status(200)["imported"], 1);
    assert_eq!(events_of(&mut jo, &text).await["status"], "failed");
    wait_for_opt_out_state(&mut jo, &maya["id"], true).await;
    hub.twilio.text(MAYA, FRONT_DESK, "START").await;
    wait_for_opt_out_state(&mut jo, &maya["id"], false).await;

    // The first is refused with 21610, so the second is canceled untried.
    harbor.reply(&harbor.admin, &maya, "Two").await;
    let text = harbor.reply(&harbor.admin, &maya, "Three").await;
    hub.twilio.refuses(21610, 400);
    assert_eq!(hub.run_sender().await, 1);
    let failed_text = harbor.message(&text["id"]).await;
    assert_eq!(
        failed_text["error_code"], "contact_opted_out",
        "{failed_text}"
    );
    let report = events_of(&mut jo, &text).await;
    assert_eq!(report["error_code"], "contact_opted_out");
    wait_for_opt_out_state(&mut jo, &maya["id"], true).await;
}

#[tokio::test]
async fn long_import_announces_resync() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let mut file = "phone_number\n".to_owned();
    for n in 0..101 {
        let phone = format!("+1415555{n:04}");
        hub.twilio.text(&phone, FRONT_DESK, "Hi").await;
        file += &format!("{phone}\n");
    }
    let mut jo = harbor.admin.join_workspace(&harbor).await;
    let report = imports(&harbor.admin, &harbor, "long.csv", file.as_bytes()).await;
    assert_eq!(report.expect_status(200)["imported"], 101);
    jo.wait_for("resync").await;
}

#[tokio::test]
async fn enabling_workspace_scope_cancels_queued_texts_of_other_numbers() {
    let hub = Hub::start().await;
    let (harbor, sam) = workspace_with_two_numbers(&hub).await;
    harbor.receive_text(MAYA, "Hi").await;
    hub.twilio.text(MAYA, RECALL, "STOP").await;
    let text = queue_text(&harbor, &sam, FRONT_DESK).await;
    let mut sams = sam.join_workspace(&harbor).await;

    set_scope(&harbor, "workspace").await;

    sams.wait_for("resync").await;
    let failed_text = harbor.message(&text["id"]).await;
    assert_eq!(
        (&failed_text["status"], &failed_text["error_code"]),
        (&json!("failed"), &json!("contact_opted_out"))
    );
    assert_eq!(hub.run_sender().await, 0);
    let credits = harbor.path(&format!("/credits/{}", sam.id));
    assert_eq!(
        harbor.admin.get(&credits).await.expect_status(200)["balance"],
        1000
    );
}

#[tokio::test]
async fn merge_with_an_opted_out_contact_is_announced() {
    let hub = Hub::start().await;
    let (harbor, sam) = workspace_with_two_numbers(&hub).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let tom = harbor.receive_text("+14155550193", "STOP").await;
    let text = harbor.reply(&sam, &maya, "See you on Thursday").await;
    let mut sams = sam.join_workspace(&harbor).await;
    let path = harbor.path(&format!(
        "/contacts/{}/merge",
        maya["contact_id"].as_str().unwrap()
    ));
    let merge = json!({"contact_id": tom["contact_id"]});
    harbor.admin.post(&path, merge).await.expect_status(200);
    assert_eq!(
        events_of(&mut sams, &text).await["error_code"],
        "contact_opted_out"
    );
    wait_for_opt_out_state(&mut sams, &maya["id"], true).await;
}

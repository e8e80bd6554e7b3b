//! What a change of mind does is told to whoever looks on, at once: what was called off, and how each conversation stands.

use serde_json::{Value, json};

use super::import::imports;
use super::wide::{RECALL, draft, for_all, office};
use crate::hub::{FRONT_DESK, Frames, Hub, MAYA, Person, Workspace};

/// A text of `who` from `number` to Maya, which waits for the sender.
async fn waits(harbor: &Workspace<'_>, who: &Person, number: &str) -> Value {
    let draft = draft(harbor, number).await;
    who.post(&harbor.path("/messages"), draft).await.is(202)["message"].clone()
}

/// The next that is told of this text.
async fn told_of(frames: &mut Frames, message: &Value) -> Value {
    loop {
        let told = frames.hears("message_status").await;
        if told["message_id"] == message["id"] {
            return told;
        }
    }
}

/// Waits until this conversation is told to be opted out, or in.
async fn stands(frames: &mut Frames, conversation: &Value, opted_out: bool) {
    loop {
        let told = frames.hears("conversation_updated").await;
        if told["id"] == *conversation && told["opted_out"] == opted_out {
            return;
        }
    }
}

#[tokio::test]
async fn what_a_stop_calls_off_is_told_and_nobody_else_hears_of_it() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assigns(FRONT_DESK, &sam).await;
    let maya = harbor.hears(MAYA, "Hi").await;
    let text = harbor.answers(&sam, &maya, "See you on Thursday").await;
    let (mut sams, mut lins) = (sam.listens(&harbor).await, lin.listens(&harbor).await);

    hub.twilio.text(MAYA, FRONT_DESK, "STOP").await;

    let told = told_of(&mut sams, &text).await;
    assert_eq!(
        (&told["status"], &told["error_code"]),
        (&json!("failed"), &json!("contact_opted_out"))
    );
    assert_eq!(
        sams.hears("credits").await["balance"],
        1000,
        "it is paid back"
    );
    stands(&mut sams, &maya["id"], true).await;
    hub.twilio.text(MAYA, FRONT_DESK, "START").await;
    stands(&mut sams, &maya["id"], false).await;
    assert!(lins.heard_so_far(&harbor).await.is_empty());
}

#[tokio::test]
async fn where_a_stop_holds_for_all_numbers_each_conversation_is_told_to_those_who_see_it() {
    let hub = Hub::start().await;
    let (harbor, sam) = office(&hub).await;
    for_all(&harbor, "workspace").await;
    let lin = harbor.agent("Lin").await;
    harbor.assigns(RECALL, &lin).await;
    let maya = harbor.hears(MAYA, "Hi").await;
    let text = waits(&harbor, &lin, RECALL).await;
    let (mut sams, mut lins) = (sam.listens(&harbor).await, lin.listens(&harbor).await);
    let recall = &text["conversation_id"];

    hub.twilio.text(MAYA, FRONT_DESK, "STOP").await;
    assert_eq!(told_of(&mut lins, &text).await["status"], "failed");
    stands(&mut lins, recall, true).await;
    stands(&mut sams, &maya["id"], true).await;
    hub.twilio.text(MAYA, FRONT_DESK, "START").await;
    stands(&mut lins, recall, false).await;

    // Written down by somebody who does not see the other conversation.
    let text = waits(&harbor, &lin, RECALL).await;
    let path = harbor.path(&format!(
        "/contacts/{}/consent",
        maya["contact_id"].as_str().unwrap()
    ));
    for (wish, opted_out) in [("stop", true), ("start", false)] {
        let said = json!({"number_id": maya["number_id"], "wish": wish, "reason": "On the phone"});
        sam.post(&path, said).await.is(200);
        stands(&mut lins, recall, opted_out).await;
    }
    assert_eq!(harbor.message(&text["id"]).await["status"], "failed");
    let of_other =
        |frame: &Value, other: &Value| frame.to_string().contains(other.as_str().unwrap());
    let (of_sam, of_lin) = (
        sams.heard_so_far(&harbor).await,
        lins.heard_so_far(&harbor).await,
    );
    assert!(
        !of_sam.iter().any(|frame| of_other(frame, recall)),
        "{of_sam:?}"
    );
    assert!(
        !of_lin.iter().any(|frame| of_other(frame, &maya["id"])),
        "{of_lin:?}"
    );
}

#[tokio::test]
async fn what_a_list_or_the_provider_says_is_told_as_well() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.hears(MAYA, "Hi").await;
    let mut jo = harbor.admin.listens(&harbor).await;

    let text = harbor.answers(&harbor.admin, &maya, "One").await;
    let file = format!("phone_number,at\n{MAYA},2026-01-02\n");
    let told = imports(&harbor.admin, &harbor, "old.csv", file.as_bytes()).await;
    assert_eq!(told.is(200)["imported"], 1);
    assert_eq!(told_of(&mut jo, &text).await["status"], "failed");
    stands(&mut jo, &maya["id"], true).await;
    hub.twilio.text(MAYA, FRONT_DESK, "START").await;
    stands(&mut jo, &maya["id"], false).await;

    // The first is refused with 21610, so the second need not be tried.
    harbor.answers(&harbor.admin, &maya, "Two").await;
    let text = harbor.answers(&harbor.admin, &maya, "Three").await;
    hub.twilio.refuses(21610, 400);
    assert_eq!(hub.sends().await, 1);
    let called_off = harbor.message(&text["id"]).await;
    assert_eq!(
        called_off["error_code"], "contact_opted_out",
        "{called_off}"
    );
    let told = told_of(&mut jo, &text).await;
    assert_eq!(told["error_code"], "contact_opted_out");
    stands(&mut jo, &maya["id"], true).await;
}

#[tokio::test]
async fn after_a_long_list_everybody_fetches_again() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let mut file = "phone_number\n".to_owned();
    for n in 0..101 {
        let phone = format!("+1415555{n:04}");
        hub.twilio.text(&phone, FRONT_DESK, "Hi").await;
        file += &format!("{phone}\n");
    }
    let mut jo = harbor.admin.listens(&harbor).await;
    let told = imports(&harbor.admin, &harbor, "long.csv", file.as_bytes()).await;
    assert_eq!(told.is(200)["imported"], 101);
    jo.hears("resync").await;
}

#[tokio::test]
async fn from_when_a_stop_holds_for_all_numbers_what_waits_at_the_others_is_called_off() {
    let hub = Hub::start().await;
    let (harbor, sam) = office(&hub).await;
    harbor.hears(MAYA, "Hi").await;
    hub.twilio.text(MAYA, RECALL, "STOP").await;
    let text = waits(&harbor, &sam, FRONT_DESK).await;
    let mut sams = sam.listens(&harbor).await;

    for_all(&harbor, "workspace").await;

    sams.hears("resync").await;
    let called_off = harbor.message(&text["id"]).await;
    assert_eq!(
        (&called_off["status"], &called_off["error_code"]),
        (&json!("failed"), &json!("contact_opted_out"))
    );
    assert_eq!(hub.sends().await, 0);
    let credits = harbor.path(&format!("/credits/{}", sam.id));
    assert_eq!(harbor.admin.get(&credits).await.is(200)["balance"], 1000);
}

#[tokio::test]
async fn who_becomes_one_with_somebody_who_opted_out_is_told_to_be() {
    let hub = Hub::start().await;
    let (harbor, sam) = office(&hub).await;
    let maya = harbor.hears(MAYA, "Hi").await;
    let tom = harbor.hears("+14155550193", "STOP").await;
    let text = harbor.answers(&sam, &maya, "See you on Thursday").await;
    let mut sams = sam.listens(&harbor).await;
    let path = harbor.path(&format!(
        "/contacts/{}/merge",
        maya["contact_id"].as_str().unwrap()
    ));
    let merge = json!({"contact_id": tom["contact_id"]});
    harbor.admin.post(&path, merge).await.is(200);
    assert_eq!(
        told_of(&mut sams, &text).await["error_code"],
        "contact_opted_out"
    );
    stands(&mut sams, &maya["id"], true).await;
}

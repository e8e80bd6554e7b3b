//! Telnyx beside Twilio: the main flow, and what is different.

mod account;
mod catch_up;
mod events;
mod sending;

use std::time::Duration;

use futures_util::future::join_all;
use messagehub::providers::*;
use serde_json::{Value, json};

use crate::emulator::Failure;
use crate::emulator::telnyx::{Customer, Telnyx};
use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, Workspace};

const KEY: &str = "KEY0192A3B4C5D6E7F8_abcdefghijklmnop";

pub async fn front_desk<'a>(hub: &'a Hub) -> (Workspace<'a>, Customer) {
    let harbor = hub.workspace("Harbor Dental").await;
    let customer = hub.telnyx.account(KEY);
    customer.number(FRONT_DESK);
    connects(&harbor, KEY, &customer.public_key())
        .await
        .expect_status(201);
    (harbor, customer)
}

async fn connects(harbor: &Workspace<'_>, api_key: &str, public_key: &str) -> Answer {
    let credentials = json!({"api_key": api_key, "public_key": public_key});
    let form = json!({"provider": "telnyx", "credentials": credentials});
    harbor.admin.post(&harbor.path("/integrations"), form).await
}

/// Delivers a text from Maya to the front desk; returns the conversation.
pub async fn receive_text(harbor: &Workspace<'_>, text: &str) -> Value {
    let answer = harbor.hub.telnyx.text(MAYA, FRONT_DESK, text).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    harbor.conversation_with(MAYA).await
}

async fn status(harbor: &Workspace<'_>, message: &Value) -> String {
    let message = harbor.message(&message["id"]).await;
    message["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn text_is_received_answered_and_delivered() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    let mut live = harbor.admin.join_workspace(&harbor).await;

    let text = || {
        let text = hub
            .telnyx
            .inbound_text(MAYA, FRONT_DESK, "Can I come at 3:30? 😬");
        text.id("0b7a5e52-0000-4000-8000-000000000001").send()
    };
    let answers = join_all((0..50).map(|_| text())).await;
    assert!(answers.iter().all(|answer| answer.status() == 200));
    let received = live.wait_for("new_message").await;
    assert_eq!(received["message"]["content"], "Can I come at 3:30? 😬");
    assert_eq!(received["message"]["provider"], "telnyx");
    assert_eq!(hub.count("select count(*) from messages").await, 1);
    assert_eq!(harbor.conversation_with(MAYA).await["unread_count"], 1);

    let message = harbor
        .reply(&harbor.admin, &received["conversation"], "3:30 works.")
        .await;
    assert_eq!(hub.run_sender().await, 1);
    let sent = hub.telnyx.sent("3:30 works.");
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].from.as_str(), sent[0].to.as_str()),
        (FRONT_DESK, MAYA)
    );
    let our_id = message["id"].as_str().unwrap();
    assert_eq!(sent[0].key.as_deref(), Some(format!("{our_id}:1").as_str()));
    assert!(sent[0].webhook_url.as_deref().unwrap().contains(our_id));
    let known = harbor.message(&message["id"]).await;
    assert_eq!(known["status"], "sent");
    assert_eq!(known["provider_sid"], sent[0].id.as_str());
    assert_eq!(known["price"].as_str(), Some("0.0040"), "{known}");

    hub.telnyx.delivers(&sent[0].id).await;
    assert_eq!(status(&harbor, &message).await, "delivered");
}

#[tokio::test]
async fn invalid_credentials_are_refused_and_not_stored() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let customer = hub.telnyx.account(KEY);
    customer.number(FRONT_DESK);
    let public_key = customer.public_key();

    let wrong = "KEY_of_somebody_else";
    let problem = connects(&harbor, wrong, &public_key)
        .await
        .refused(422, "invalid_credentials");
    assert!(
        !problem.to_string().contains(wrong),
        "the key is not repeated"
    );
    for (api_key, public_key, field) in [
        (" ", public_key.as_str(), "api_key"),
        (KEY, "", "public_key"),
        (KEY, "bm90IGEga2V5", "public_key"),
        (&public_key, &public_key, "api_key"),
    ] {
        let problem = connects(&harbor, api_key, public_key)
            .await
            .refused(422, "validation_failed");
        assert!(problem["errors"].to_string().contains(field), "{problem}");
    }
    assert_eq!(hub.count("select count(*) from integrations").await, 0);
    assert_eq!(hub.count("select count(*) from numbers").await, 0);

    let connected = connects(&harbor, KEY, &public_key).await.expect_status(201);
    let integration = &connected["integration"];
    assert_eq!(integration["name"], "Telnyx");
    assert_eq!(integration["account"], public_key.as_str());
    assert_eq!(integration["hint"], KEY[KEY.len() - 4..]);
    assert!(!connected.to_string().contains(KEY));
    connects(&harbor, KEY, &public_key)
        .await
        .refused(422, "validation_failed");
}

#[tokio::test]
async fn all_pages_of_numbers_are_read_and_webhooks_are_set_or_overrides_reported() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let customer = hub.telnyx.pages_by(50).account(KEY);
    for line in 0..120 {
        customer.number(&format!("+1628555{line:04}"));
    }
    customer.moves("+16285550007", "");
    let reminders = customer.profile("Reminders");
    customer.moves("+16285550008", &reminders);
    customer.set_webhook("+16285550008", "https://elsewhere.example/in", "1");
    customer.set_webhook("+16285550000", "https://old.example/sms", "2");

    let connected = connects(&harbor, KEY, &customer.public_key())
        .await
        .expect_status(201);

    let numbers = connected["numbers"].as_array().unwrap();
    assert_eq!(numbers.len(), 120);
    let webhook = |phone: &str| {
        let mut all = numbers.iter();
        let number = all.find(|number| number["phone_number"] == phone).unwrap();
        let state = number["webhook"].as_str().unwrap().to_owned();
        (state, number["webhook_detail"].to_string())
    };
    assert_eq!(webhook("+16285550119").0, "configured");
    let (state, detail) = webhook("+16285550007");
    assert!(
        state == "overridden" && detail.contains("no messaging profile"),
        "{state}: {detail}"
    );
    let (state, detail) = webhook("+16285550008");
    assert!(
        state == "overridden" && detail.contains("elsewhere.example"),
        "{state}: {detail}"
    );
    let ours = connected["integration"]["webhook_url"].as_str().unwrap();
    assert_eq!(customer.webhook_of("+16285550119"), ours);
    assert_eq!(
        customer.webhook_of("+16285550008"),
        "https://elsewhere.example/in"
    );
    let kept =
        "select count(*) from numbers where previous_webhook_url = 'https://old.example/sms'";
    assert!(hub.count(kept).await >= 1);
}

#[tokio::test]
async fn two_providers_work_side_by_side() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    harbor.connect_twilio("+16285550177").await;

    receive_text(&harbor, "To the front desk").await;
    let answer = hub
        .twilio
        .text("+14155550193", "+16285550177", "To recall")
        .await;
    assert_eq!(answer.status(), 200);
    for who in [MAYA, "+14155550193"] {
        let conversation = harbor.conversation_with(who).await;
        harbor.reply(&harbor.admin, &conversation, "Hello").await;
    }
    assert_eq!(hub.run_sender().await, 2);
    assert_eq!(hub.telnyx.sent("Hello")[0].to, MAYA);
    assert_eq!(hub.twilio.sent("Hello")[0].to, "+14155550193");
}

#[tokio::test]
async fn stop_is_recorded_from_any_source() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    let conversation = receive_text(&harbor, "Hi").await;
    let draft = json!({"conversation_id": conversation["id"], "content": "Hello?"});
    let messages = harbor.path("/messages");

    // STOP to another number of the profile: only Telnyx has it.
    let message = harbor.reply(&harbor.admin, &conversation, "Hello").await;
    hub.telnyx.refuses(40300, 409);
    hub.run_sender().await;
    let failed = harbor.message(&message["id"]).await;
    assert_eq!(
        (failed["status"].as_str(), failed["error_code"].as_str()),
        (Some("failed"), Some("40300"))
    );
    assert!(failed["error_message"].as_str().unwrap().contains("STOP"));
    assert_eq!(harbor.conversation_with(MAYA).await["opted_out"], true);
    harbor
        .admin
        .post(&messages, draft.clone())
        .await
        .refused(409, "contact_opted_out");

    // Maya opts in and out again.
    assert_eq!(receive_text(&harbor, "START").await["opted_out"], false);
    assert_eq!(receive_text(&harbor, "Stop").await["opted_out"], true);
    harbor
        .admin
        .post(&messages, draft.clone())
        .await
        .refused(409, "contact_opted_out");

    // An error in a report counts as well.
    receive_text(&harbor, "start").await;
    let message = harbor
        .reply(&harbor.admin, &conversation, "Welcome back")
        .await;
    hub.run_sender().await;
    let id = hub.telnyx.sent("Welcome back")[0].id.clone();
    hub.telnyx
        .reports_failure(&id, "sending_failed", 40300)
        .await;
    assert_eq!(status(&harbor, &message).await, "failed");
    assert_eq!(harbor.conversation_with(MAYA).await["opted_out"], true);
}

#[tokio::test]
async fn media_is_listed_with_its_text() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    let urls = ["https://media.example/1.jpg", "https://media.example/2.jpg"];
    let answer = hub
        .telnyx
        .inbound_text(MAYA, FRONT_DESK, "")
        .media(&urls)
        .send()
        .await;
    assert_eq!(answer.status(), 200);

    let text = &harbor.thread(&harbor.conversation_with(MAYA).await).await[0];
    assert_eq!(text["message_type"], "media");
    assert_eq!(text["media"].as_array().unwrap().len(), 2);
    assert_eq!(text["media"][1]["content_type"], "image/jpeg");
}

/// Telnyx lifts its block for START and UNSTOP alone.
#[tokio::test]
async fn yes_does_not_opt_in_at_telnyx() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    assert_eq!(receive_text(&harbor, "STOP").await["opted_out"], true);
    assert_eq!(receive_text(&harbor, "Yes").await["opted_out"], true);
    assert_eq!(receive_text(&harbor, "UNSTOP").await["opted_out"], false);
}

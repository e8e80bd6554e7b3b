//! The sandbox number and its handset.

use fantoccini::key::Key;

use serde_json::json;

use super::Browser;
use crate::hub::Hub;

#[tokio::test]
async fn sandbox_number_is_one_click_and_its_handset_exchanges_texts() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.follows("Connect a provider").await;
    jo.clicks("Sandbox").await;
    jo.clicks("Get a sandbox number").await;
    jo.sees_in(".proof", "Open the test phone and text this number")
        .await;
    jo.sees_in(".live", "Live").await;

    jo.follows("Open test phone").await;
    jo.switches_to_window(1).await;
    jo.sees("Your customer’s phone").await;
    jo.fills("Text to", "Is 3:30 still free?").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".handset .message", "Is 3:30 still free?").await;

    jo.switches_to_window(0).await;
    jo.sees_in(".proof.good", "Receiving texts").await;
    jo.follows("Inbox").await;
    jo.sees_in(".row.unread", "Is 3:30 still free?").await;
    jo.follows("Is 3:30 still free?").await;
    jo.fills("Message to", "Yes, it is yours").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".message.outbound .state", "Queued").await;
    assert_eq!(hub.run_sender().await, 1);
    jo.sees_in(".message.outbound .state", "Delivered").await;

    jo.switches_to_window(1).await;
    jo.sees_in(".handset .message.outbound", "Yes, it is yours")
        .await;
    jo.fills("Text to", "Perfect").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".handset .message.inbound", "Perfect").await;
    jo.switches_to_window(0).await;
    jo.sees_in(".message.inbound", "Perfect").await;

    // The customer sees neither what has not left, nor the agent's controls.
    let number = harbor.admin.get(&harbor.path("/numbers")).await;
    let number = number.expect_status(200)["data"][0]["id"].clone();
    let later = chrono::Utc::now() + chrono::TimeDelta::hours(3);
    let draft = json!({"to": "(415) 555-0192", "content": "See you tomorrow", "number_id": number, "scheduled_at": later.to_rfc3339()});
    let scheduled = harbor.admin.post(&harbor.path("/messages"), draft).await;
    scheduled.expect_status(202);
    jo.sees_in(".scheduled-texts", "See you tomorrow").await;
    jo.switches_to_window(1).await;
    jo.reloads().await;
    jo.sees_in(".handset .message.inbound", "Perfect").await;
    jo.sees_no("body", "See you tomorrow").await;
    jo.finds_no(".handset .message form, .handset .message details")
        .await;
}

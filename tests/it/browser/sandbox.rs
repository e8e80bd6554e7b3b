//! The sandbox number and its handset.

use fantoccini::key::Key;

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
}

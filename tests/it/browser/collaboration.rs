//! Several agents in the same conversations.

use fantoccini::key::Key;
use serde_json::json;

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA, TOKEN};

#[tokio::test]
async fn changes_by_one_agent_appear_to_the_other_at_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let agent = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &agent).await;
    let (jo, sam) = Browser::pair(&hub.url("")).await;
    tokio::join!(jo.signs_in(&harbor.admin.email), sam.signs_in(&agent.email));
    for one in [&jo, &sam] {
        one.sees_in(".live", "Live").await;
        one.sees_in(".row .badge", "1").await;
        one.has_title("(1) Inbox · Harbor Dental").await;
    }

    // Read by one agent means read for all.
    sam.follows("Maya Okafor").await;
    sam.sees_in(".message.inbound", "Is 3:30 still free?").await;
    jo.finds_no(".row .badge").await;
    jo.has_title("Inbox · Harbor Dental").await;

    // A reply and its status appear to both agents.
    jo.follows("Maya Okafor").await;
    jo.sees_in(".message.inbound", "Is 3:30 still free?").await;
    sam.fills("Message to", "Yes, it is yours").await;
    sam.presses(Key::Enter).await;
    jo.sees_in(".message.outbound .bubble", "Yes, it is yours")
        .await;
    jo.sees_in(".message.outbound .meta", "· Sam").await;
    sam.sees_in(".message.outbound .meta", "· You").await;
    assert_eq!(hub.run_sender().await, 1);
    hub.twilio.delivers(&hub.twilio.messages()[0].sid).await;
    for one in [&jo, &sam] {
        one.sees_in(".message.outbound .state", "Delivered").await;
        let bubbles = one
            .evaluates("document.querySelectorAll('.message.outbound').length")
            .await;
        assert_eq!(bubbles, 1);
    }

    // Done applies to all members, until the customer writes again.
    jo.clicks("Done").await;
    for one in [&jo, &sam] {
        one.sees_no(".rows", "Maya Okafor").await;
    }
    sam.clicks("Views").await;
    sam.follows("Done").await;
    sam.sees_in(".rows .row", "Maya Okafor").await;
    hub.twilio.text(MAYA, FRONT_DESK, "One more thing").await;
    jo.sees_in(".rows .row", "One more thing").await;
    sam.sees_no(".rows", "Maya Okafor").await;
}

#[tokio::test]
async fn opt_out_at_another_number_closes_the_open_thread_and_lists_canceled_texts() {
    const RECALL: &str = "+16285550177";
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    hub.twilio.account(&harbor.account, TOKEN).number(RECALL);
    let harbor = harbor.with_front_desk().await;
    let everywhere = json!({"opt_out_scope": "workspace"});
    harbor
        .admin
        .patch(&harbor.path(""), everywhere)
        .await
        .expect_status(200);
    hub.twilio.text(MAYA, RECALL, "Is 3:30 still free?").await;
    let maya = harbor.conversation_with(MAYA).await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    for who in [&sam, &lin] {
        harbor.assign_number(RECALL, who).await;
    }
    harbor.reply(&sam, &maya, "Yes, it is yours").await;
    let browser = Browser::start(&hub.url("")).await;
    browser.signs_in(&lin.email).await;
    browser.opens(&harbor.inbox(Some(&maya))).await;
    browser.sees_in(".list .live", "Live").await;
    browser.sees_in(".message.outbound .state", "Queued").await;
    browser.sees_no(".below", "They opted out").await;

    hub.twilio.text(MAYA, FRONT_DESK, "STOP").await;

    browser
        .sees_in(".message.outbound .state", "Not delivered")
        .await;
    browser.sees_in(".below", "They opted out").await;
    hub.twilio.text(MAYA, FRONT_DESK, "START").await;
    browser.sees_no(".below", "They opted out").await;
}

//! Outages of the server and of the network lose nothing.

use fantoccini::key::Key;

use super::{Browser, Proxy};
use crate::hub::{FRONT_DESK, Hub, MAYA, serve};

#[tokio::test]
async fn reconnect_loads_missed_messages_and_keeps_drafts() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let text = async |body: &str| {
        let answer = hub.twilio.text(MAYA, FRONT_DESK, body).await;
        assert_eq!(answer.status(), 200);
    };

    // The browser uses a second server, not the one that the provider calls.
    let first = serve(&hub.database, &hub.twilio, &[]).await;
    let proxy = Proxy::to(first.address).await;
    let jo = Browser::start(&proxy.url).await;
    jo.expects_console("WebSocket connection to")
        .expects_console("net::ERR_");
    jo.signs_in(&harbor.admin.email).await;
    jo.follows("Maya Okafor").await;
    jo.sees_in(".message", "Is 3:30 still free?").await;
    jo.sees_in(".list .live", "Live").await;
    jo.fills("Message to", "Let me look").await;

    // The server stops, a text arrives, and another server takes over.
    first.stop().await;
    jo.sees_in(".list .live", "Reconnecting").await;
    text("Or Thursday?").await;
    let second = serve(&hub.database, &hub.twilio, &[]).await;
    proxy.leads_to(second.address);
    jo.sees_in(".list .live", "Live").await;
    jo.sees_in(".message.inbound", "Or Thursday?").await;
    jo.sees_in(".row", "Or Thursday?").await;
    jo.waits_until(
        "the draft is still there",
        "document.querySelector('.composer textarea').value === 'Let me look'",
    )
    .await;

    // Offline: a sent text is marked as unsent, and is sent once after the outage.
    jo.is_offline(true).await;
    jo.sees_in(".list .live", "Offline").await;
    text("Thursday at 5?").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".message.unsent", "Let me look").await;
    jo.sees_in(".message.unsent", "Not sent").await;
    jo.fills("Message to", "Thursday it is").await;
    jo.is_offline(false).await;
    jo.sees_in(".list .live", "Live").await;
    jo.sees_in(".message.inbound", "Thursday at 5?").await;
    jo.finds_no(".message.unsent").await;
    jo.sees_in(".message.outbound .state", "Queued").await;
    assert_eq!(
        hub.count("select count(*) from messages where direction = 'outbound'")
            .await,
        1
    );

    jo.reloads().await;
    jo.waits_until(
        "the draft is still there",
        "document.querySelector('.composer textarea').value === 'Thursday it is'",
    )
    .await;
    jo.sees_in(".list .live", "Live").await;
}

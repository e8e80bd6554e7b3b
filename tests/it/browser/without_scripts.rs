//! Without JavaScript: forms post, pages redirect.

use super::Browser;
use crate::hub::{Hub, MAYA};

#[tokio::test]
async fn sign_in_read_reply_and_close_work_without_scripts() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.has_no_scripts().await;

    jo.signs_in(&harbor.admin.email).await;
    jo.waits_until(
        "nothing that needs scripts is offered",
        "document.querySelector('.needs-script') && ![...document.querySelectorAll('.needs-script')].some((it) => it.checkVisibility())",
    )
    .await;
    jo.follows("Maya Okafor").await;
    jo.sees_in(".message.inbound", "Is 3:30 still free?").await;
    jo.clicks("Mark as read").await;
    jo.finds_no(".row .badge").await;

    jo.fills("Message to", "Yes, it is yours").await;
    jo.clicks("Send").await;
    jo.is_at(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".message.outbound .bubble", "Yes, it is yours")
        .await;
    jo.waits_until(
        "the composer is empty again",
        "document.querySelector('.composer textarea').value === ''",
    )
    .await;
    assert_eq!(hub.run_sender().await, 1);
    hub.twilio.delivers(&hub.twilio.messages()[0].sid).await;
    jo.reloads().await;
    jo.sees_in(".message.outbound .state", "Delivered").await;

    jo.clicks("Done").await;
    jo.opens(&harbor.inbox(None)).await;
    jo.sees("All done").await;
    jo.sees_no(".rows", "Maya Okafor").await;
}

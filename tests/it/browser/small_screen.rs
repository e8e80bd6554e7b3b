//! The inbox on a small screen.

use super::Browser;
use crate::hub::{Hub, MAYA};

#[tokio::test]
async fn small_screen_shows_one_pane_and_a_bottom_bar() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.has_a_screen_of(390, 844).await;
    jo.signs_in(&harbor.admin.email).await;

    jo.finds(".rows .row").await;
    jo.finds_no(".thread").await;
    jo.waits_until(
        "the bar is at the bottom",
        "(({ top, bottom, width }) => top > 700 && bottom === innerHeight && width === innerWidth)(document.querySelector('.rail').getBoundingClientRect())",
    )
    .await;

    jo.follows("Maya Okafor").await;
    jo.sees_in(".thread .message", "Is 3:30 still free?").await;
    jo.finds_no(".rows .row").await;
    jo.finds_no(".details").await;
    jo.clicks("Contact details").await;
    jo.sees_in(".details", "Can text").await;
    jo.clicks("Close").await;
    jo.finds_no(".details").await;
    jo.fills("Message to", "Yes, it is yours").await;
    jo.clicks("Send").await;
    jo.sees_in(".message.outbound .state", "Queued").await;

    jo.follows("Back to the list").await;
    jo.sees_in(".rows .row", "You: Yes, it is yours").await;
    jo.finds_no(".thread").await;

    // The browser's back button leads there, too, after Turbo has updated the history.
    jo.evaluates(
        "addEventListener('turbo:load', () => document.body.dataset.visited = location.pathname)",
    )
    .await;
    jo.follows("Maya Okafor").await;
    jo.sees_in(".thread .message", "Is 3:30 still free?").await;
    jo.waits_until(
        "the visit is complete",
        "document.body.dataset.visited === location.pathname",
    )
    .await;
    jo.goes_back().await;
    jo.finds(".rows .row").await;
    jo.finds_no(".thread").await;
}

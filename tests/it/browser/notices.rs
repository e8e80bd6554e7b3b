//! Whoever looks elsewhere is told of a text, if they want to be.

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA};

/// A browser that allows notifications and keeps what they said.
const ALLOWS: &str = "(() => {
    window.told = []
    window.Notification = class {
        static permission = 'granted'
        static async requestPermission() { return 'granted' }
        constructor(title, { body }) { told.push(`${title}: ${body}`) }
    }
})()";

#[tokio::test]
async fn a_text_is_told_to_whoever_looks_elsewhere_and_wants_it() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.follows("Settings").await;
    jo.measures(ALLOWS).await;
    jo.clicks("Desktop notification for new texts").await;
    jo.clicks("Save").await;
    jo.sees_in(".toast", "Saved").await;
    jo.notices("it was kept", "desktop.checked && !sound.checked")
        .await;

    jo.opens(&harbor.inbox(None)).await;
    jo.measures(ALLOWS).await;
    jo.sees_in(".live", "Live").await;
    hub.twilio
        .text(MAYA, FRONT_DESK, "Is 3:30 still free?")
        .await;
    jo.sees_in(".row", "Is 3:30 still free?").await;
    assert_eq!(jo.measures("told.length").await, 0, "they look at it");
    jo.measures("document.hasFocus = () => false").await;
    hub.twilio.text(MAYA, FRONT_DESK, "Or 4:15?").await;
    jo.notices(
        "they were told",
        "told.join() === '(415) 555-0192: Or 4:15?'",
    )
    .await;
}

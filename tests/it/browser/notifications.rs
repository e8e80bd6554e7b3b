//! Desktop notifications while no tab has the focus.

use serde_json::json;

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA};

/// Replaces Notification by a class that records what was shown.
const ALLOWS: &str = "(() => {
    window.shown = []
    window.Notification = class {
        static permission = 'granted'
        static async requestPermission() { return 'granted' }
        constructor(title, { body }) { shown.push(`${title}: ${body}`) }
    }
})()";

#[tokio::test]
async fn text_in_background_shows_a_desktop_notification() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.follows("Settings").await;
    jo.evaluates(ALLOWS).await;
    jo.clicks("Show desktop notifications for new messages")
        .await;
    jo.clicks("Save").await;
    jo.sees_in(".toast", "Saved").await;
    jo.waits_until("it was kept", "desktop.checked && !sound.checked")
        .await;

    jo.opens(&harbor.inbox(None)).await;
    jo.evaluates(ALLOWS).await;
    jo.sees_in(".live", "Live").await;
    hub.twilio
        .text(MAYA, FRONT_DESK, "Is 3:30 still free?")
        .await;
    jo.sees_in(".row", "Is 3:30 still free?").await;
    assert_eq!(
        jo.evaluates("shown.length").await,
        0,
        "the page has the focus"
    );
    jo.evaluates("document.hasFocus = () => false").await;
    hub.twilio.text(MAYA, FRONT_DESK, "Or 4:15?").await;
    jo.waits_until(
        "a notification was shown",
        "shown.join() === '(415) 555-0192: Or 4:15?'",
    )
    .await;
}

/// As on Android: the constructor of Notification throws.
const ANDROID: &str = "(() => {
    document.hasFocus = () => false
    window.Notification = class {
        static permission = 'granted'
        constructor() { throw new TypeError('Illegal constructor. Use ServiceWorkerRegistration.showNotification() instead.') }
    }
})()";
const SHOWN: &str = "navigator.serviceWorker.ready.then((worker) => worker.getNotifications()).then((all) => all.map(({ title, body, data }) => `${title}: ${body} ${data.url}`).join())";
const MARKED: &str = "(JSON.parse(localStorage.getItem('notify:shown')) ?? []).length";

#[tokio::test]
async fn service_worker_shows_notification_and_only_shown_ones_are_marked() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor
        .admin
        .patch(
            &harbor.path("/settings"),
            json!({"notifications": {"desktop": true}}),
        )
        .await
        .expect_status(200);
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let jo = Browser::start(&hub.url("")).await;
    let allowed = json!({"origin": hub.url(""), "permissions": ["notifications"]});
    jo.runs_command("Browser.grantPermissions", allowed).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;
    jo.evaluates("void navigator.serviceWorker.ready.then(() => (window.ready = true))")
        .await;
    jo.waits_until("the worker is there", "window.ready").await;
    jo.evaluates(ANDROID).await;

    // A failed notification is not marked as shown, so other tabs may show it.
    let may_not = "(() => { const { prototype } = ServiceWorkerRegistration; window.show = prototype.showNotification; prototype.showNotification = () => { window.tried = true; return Promise.reject(new TypeError('no')) } })()";
    jo.evaluates(may_not).await;
    harbor.receive_text(MAYA, "Or 4:15?").await;
    jo.waits_until("it was tried", "window.tried").await;
    assert_eq!(jo.evaluates(MARKED).await, 0);

    jo.evaluates("void (ServiceWorkerRegistration.prototype.showNotification = window.show)")
        .await;
    harbor.receive_text(MAYA, "Or Thursday?").await;
    jo.waits_until("it is marked", &format!("{MARKED} === 1"))
        .await;
    assert_eq!(
        jo.evaluates(SHOWN).await,
        format!("(415) 555-0192: Or Thursday? {}", harbor.inbox(Some(&maya)))
    );
}

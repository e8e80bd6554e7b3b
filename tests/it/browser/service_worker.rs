//! The service worker: offline page, push notifications, several tabs.

use super::{Browser, Proxy};
use crate::hub::{Hub, MAYA};

#[tokio::test]
async fn offline_page_appears_and_recovers_by_itself() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let proxy = Proxy::to(hub.server.address).await;
    let jo = Browser::start(&proxy.url).await;
    jo.expects_console("WebSocket connection to")
        .expects_console("net::ERR_");
    jo.signs_in(&harbor.admin.email).await;
    jo.waits_until(
        "the service worker serves this page",
        "navigator.serviceWorker.controller",
    )
    .await;
    let kept = "caches.keys().then((names) => Promise.all(names.map((name) => caches.open(name).then((cache) => cache.keys())))).then((all) => all.flat().map(({ url }) => new URL(url).pathname).filter((path) => !path.startsWith('/assets/')))";
    assert_eq!(
        jo.evaluates(kept).await,
        serde_json::json!(["/offline"]),
        "files and the offline page, nobody's data"
    );

    jo.evaluates("localStorage.setItem('unsent:1', JSON.stringify({ref: 'a', text: 'Hi'}))")
        .await;
    proxy.leads_to(([127, 0, 0, 1], 1).into());
    jo.reloads().await;
    jo.sees("You’re offline").await;
    jo.sees("1 text is waiting to be sent").await;
    jo.is_at("/inbox").await;
    jo.evaluates("localStorage.removeItem('unsent:1')").await;
    proxy.leads_to(hub.server.address);
    jo.sees_in(".list", "Is 3:30 still free?").await;
}

#[tokio::test]
async fn push_permission_is_requested_only_on_click_and_errors_are_shown() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor
        .admin
        .post(&harbor.path("/pushes"), crate::matrix::push_subscription())
        .await
        .expect_status(201);
    let jo = Browser::start(&hub.url("")).await;
    let counts_requests = "(() => {
        const request = Notification.requestPermission
        window.requests = 0
        Notification.requestPermission = () => (window.requests++, request.call(Notification))
    })()";
    jo.runs_command(
        "Page.addScriptToEvaluateOnNewDocument",
        serde_json::json!({"source": counts_requests}),
    )
    .await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&format!("/w/{}/settings", harbor.slug)).await;
    jo.sees_in("#away", "Browser").await;
    assert_eq!(jo.evaluates("window.requests").await, 0);
    jo.clicks("Turn on push for this browser").await;
    jo.sees_in("#away [role=alert]", "This browser blocks notifications")
        .await;
    assert_eq!(jo.evaluates("window.requests").await, 1);
    jo.clicks("Remove").await;
    jo.sees_in("#away", "None yet.").await;
}

#[tokio::test]
async fn one_tab_notifies_for_all_tabs() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor
        .admin
        .patch(
            &harbor.path("/settings"),
            serde_json::json!({"notifications": {"desktop": true}}),
        )
        .await
        .expect_status(200);
    harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;
    // No tab has the focus; both tabs record notifications in localStorage.
    let away = "(() => {
        document.hasFocus = () => false
        dispatchEvent(new Event('blur'))
        globalThis.Notification = class { static permission = 'granted'; constructor(title) {
            localStorage.setItem('shown', [localStorage.getItem('shown'), title].filter(Boolean).join()) } }
    })()";
    jo.evaluates(away).await;
    jo.evaluates("void open(location.href)").await;
    jo.switches_to_window(1).await;
    jo.sees_in(".live", "Live").await;
    jo.evaluates(away).await;
    harbor
        .receive_text("+14155550177", "My crown came off")
        .await;
    jo.sees_in(".rows", "My crown came off").await;
    jo.waits_until("a notification was shown", "localStorage.getItem('shown')")
        .await;
    jo.switches_to_window(0).await;
    jo.sees_in(".rows", "My crown came off").await;
    jo.evaluates("new Promise((done) => setTimeout(done, 300))")
        .await;
    assert_eq!(
        jo.evaluates("localStorage.getItem('shown')").await,
        "(415) 555-0177",
        "one notification"
    );
}

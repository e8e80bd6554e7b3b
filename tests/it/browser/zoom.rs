//! Zoom and reduced motion.

use serde_json::json;

use super::Browser;
use crate::hub::{Hub, MAYA};

#[tokio::test]
async fn layout_is_complete_at_200_percent_zoom() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    // 1280 × 800 at 200 %.
    jo.runs_command(
        "Emulation.setDeviceMetricsOverride",
        json!({"width": 640, "height": 400, "deviceScaleFactor": 2, "mobile": false}),
    )
    .await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".message.inbound", "Is 3:30 still free?").await;
    let inside = |selector: &str| {
        format!(
            "(({{ top, bottom, left, right, width, height }}) => width > 0 && height > 0 && top >= 0 && left >= 0 \
             && bottom <= innerHeight && right <= innerWidth)(document.querySelector('{selector}').getBoundingClientRect())"
        )
    };
    for selector in [
        ".thread-head h1",
        ".message.inbound .bubble",
        ".composer textarea",
        ".composer .send",
        // A thread that fills the page has the way back in place of the rail.
        ".thread-head .back",
    ] {
        jo.waits_until(&format!("{selector} is on the screen"), &inside(selector))
            .await;
    }
    jo.waits_until(
        "nothing is scrolled sideways",
        "document.documentElement.scrollWidth <= innerWidth",
    )
    .await;
    jo.fills("Message to", "Yes, it is yours").await;
    jo.clicks("Send").await;
    jo.sees_in(".message.outbound .state", "Queued").await;
}

#[tokio::test]
async fn reduced_motion_disables_animation() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    let moving = "document.getAnimations().filter(({ effect }) => effect.getComputedTiming().duration > 1).length \
        + [...document.querySelectorAll('*')].filter((it) => getComputedStyle(it).transitionDuration.split(',').some((time) => parseFloat(time) > 0.01)).length";
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    assert_ne!(
        jo.evaluates(moving).await,
        0,
        "without reduced motion something moves"
    );
    jo.runs_command(
        "Emulation.setEmulatedMedia",
        json!({"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}),
    )
    .await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    harbor.receive_text(MAYA, "Or at four?").await;
    jo.sees_in(".message.inbound", "Or at four?").await;
    assert_eq!(jo.evaluates(moving).await, 0);
}

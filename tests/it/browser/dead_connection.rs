//! A connection that died silently: the browser still reports it as open.

use super::{Browser, Proxy};
use crate::hub::{Hub, MAYA};

/// Records each connection state that the page shows.
const RECORDS_STATES: &str = "(() => {
    const state = document.querySelector('.list .live')
    window.states = []
    new MutationObserver(() => states.push(state.textContent)).observe(state, { childList: true })
})()";

#[tokio::test]
async fn dead_connection_is_detected_and_missed_messages_are_loaded() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let proxy = Proxy::to(hub.server.address).await;
    let jo = Browser::start(&proxy.url).await;
    jo.expects_console("WebSocket connection to")
        .expects_console("net::ERR_");
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.waits_until(
        "its state is a line of its own",
        "document.body.innerText.split('\\n').some((line) => line.trim() === 'Live')",
    )
    .await;
    jo.evaluates(RECORDS_STATES).await;

    // Detection by silence, shortened to 3 s. The next frame starts the timer.
    let silence_limit = |silence: u32| {
        format!(
            "document.querySelector('[data-controller~=live]').dataset.liveSilenceValue = {silence}"
        )
    };
    jo.evaluates(&silence_limit(3000)).await;
    harbor.receive_text(MAYA, "Or Thursday?").await;
    jo.sees_in(".message.inbound", "Or Thursday?").await;
    proxy.stalls_connections();
    harbor.receive_text(MAYA, "Thursday at 5?").await;
    jo.sees_in(".message.inbound", "Thursday at 5?").await;
    jo.sees_in(".row", "Thursday at 5?").await;
    jo.sees_in(".list .live", "Live").await;
    let states = jo.evaluates("states.splice(0).join()").await;
    assert_eq!(states, "Reconnecting,Live");

    // Detection at once after sleep: by a jump of the clock or by visibilitychange.
    jo.evaluates(&silence_limit(27_000)).await;
    for (text, wakes) in [
        (
            "Or Friday?",
            "document.dispatchEvent(new Event('visibilitychange'))",
        ),
        (
            "Friday at 5?",
            "(() => { const now = Date.now; Date.now = () => now() + 3_600_000 })()",
        ),
    ] {
        harbor.receive_text(MAYA, &format!("{text} Hello?")).await;
        jo.sees_in(".message.inbound", &format!("{text} Hello?"))
            .await;
        proxy.stalls_connections();
        harbor.receive_text(MAYA, text).await;
        jo.evaluates(wakes).await;
        jo.waits_until(
            "what was missed is here",
            &format!("[...document.querySelectorAll('.message.inbound .bubble')].some((it) => it.innerText === '{text}')"),
        )
        .await;
        let states = jo.evaluates("states.splice(0).join()").await;
        assert_eq!(states, "Reconnecting,Live");
    }
}

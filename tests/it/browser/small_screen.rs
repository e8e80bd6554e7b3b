//! The inbox on a small screen.

use serde_json::{Value, json};

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
    jo.waits_until(
        "the conversation has the whole screen, and its composer one row",
        "!document.querySelector('.rail').checkVisibility() && (({ bottom }) => bottom > innerHeight - 12)(document.querySelector('.composer').getBoundingClientRect()) && document.querySelector('.composer').offsetHeight < 56",
    )
    .await;
    jo.clicks("Actions").await;
    jo.sees_in(".status", "Snooze…").await;
    jo.sees_in(".status", "Mark as pending").await;
    jo.sees_in(".status", "Mark as unread").await;
    jo.waits_until(
        "it is a sheet at the bottom",
        "(({ left, bottom, width }) => left === 0 && width === innerWidth && bottom === innerHeight)(document.querySelector('.status').getBoundingClientRect())",
    )
    .await;
    jo.clicks("Contact details").await;
    jo.sees_in(".details", "Can text").await;
    jo.clicks("Close").await;
    jo.finds_no(".details").await;
    jo.presses(fantoccini::key::Key::Escape).await;
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

#[tokio::test]
async fn swipes_and_pulling_do_what_buttons_do() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.has_a_screen_of(390, 844).await;
    jo.runs_command(
        "Emulation.setTouchEmulationEnabled",
        json!({"enabled": true, "maxTouchPoints": 5}),
    )
    .await;
    jo.signs_in(&harbor.admin.email).await;
    jo.has_gestures().await;

    // Too short: nothing happens.
    jo.drags(100, 60, 0).await;
    jo.finds_no(".item[data-swipe]").await;
    jo.drags(60, 200, 0).await;
    jo.sees_in(".toast", "done").await;
    jo.sees_no(".rows", "Maya Okafor").await;
    jo.clicks("Undo").await;
    jo.sees_in(".rows .row", "Maya Okafor").await;
    jo.follows("Maya Okafor").await;
    jo.sees_in(".thread .message", "Is 3:30 still free?").await;
    jo.waits_until(
        "it is read",
        "document.querySelector('#rows .row:not(.unread)')",
    )
    .await;
    jo.follows("Back to the list").await;
    jo.finds(".rows .row:not(.unread)").await;
    jo.drags(300, -200, 0).await;
    jo.finds(".rows .row.unread").await;

    // A text that the page has not received is there after pulling.
    jo.evaluates("document.getElementById('rows').dataset.old = 'true'")
        .await;
    jo.drags(200, 0, 160).await;
    jo.finds(".rows:not([data-old]) .row").await;

    // Without motion the row stays in place. On a new page: nothing replaces the row under the finger.
    jo.runs_command(
        "Emulation.setEmulatedMedia",
        json!({"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}),
    )
    .await;
    jo.reloads().await;
    jo.has_gestures().await;
    jo.holds(60, 200).await;
    jo.waits_until(
        "the action is named, the row does not move",
        "((item) => item?.dataset.swipeWord === 'Done' && item.querySelector('.row').style.translate === '')(document.querySelector('.item[data-swipe]'))",
    )
    .await;
}

impl Browser {
    async fn has_gestures(&self) {
        self.sees_in(".rows .row", "Maya Okafor").await;
        self.waits_until(
            "the gestures are loaded, and what was missed",
            "performance.getEntriesByType('resource').some((it) => it.name.includes('/touch-')) && performance.getEntriesByType('resource').some((it) => it.name === location.href)",
        )
        .await;
    }

    /// Moves a finger from `x` on the first row.
    async fn drags(&self, x: i64, across: i64, down: i64) {
        self.holds_at(x, across, down).await;
        self.touches("touchEnd", json!([])).await;
    }

    /// Keeps the finger there.
    async fn holds(&self, x: i64, across: i64) {
        self.holds_at(x, across, 0).await;
    }

    async fn holds_at(&self, x: i64, across: i64, down: i64) {
        let y = self
            .evaluates("(({ top, height }) => Math.round(top + height / 2))(document.querySelector('.rows .row').getBoundingClientRect())")
            .await;
        let y = y.as_i64().unwrap();
        self.touches("touchStart", json!([{"x": x, "y": y}])).await;
        for step in 1..=4 {
            let point = json!([{"x": x + across * step / 4, "y": y + down * step / 4}]);
            self.touches("touchMove", point).await;
        }
    }

    async fn touches(&self, kind: &str, points: Value) {
        let event = json!({"type": kind, "touchPoints": points});
        self.runs_command("Input.dispatchTouchEvent", event).await;
    }
}

#[tokio::test]
async fn tablet_shows_the_whole_name_and_the_actions_in_a_menu() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor
        .names_contact(&maya, "Margaret Okafor-Lindqvist")
        .await;
    let jo = Browser::start(&hub.url("")).await;
    jo.has_a_screen_of(768, 1024).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    jo.waits_until(
        "the name is not cut, in the head and in the row",
        "['.thread-head h1', '.row .name'].every((name) => ((it) => it.scrollWidth <= it.clientWidth)(document.querySelector(name)))",
    )
    .await;
    jo.clicks("Actions").await;
    jo.clicks("Mark as pending").await;
    jo.clicks("Actions").await;
    jo.sees_in(".status", "Mark as open").await;
    jo.clicks("Done").await;
    jo.sees_in(".toast", "Done").await;
}

#[tokio::test]
async fn toast_covers_no_control_of_a_small_screen() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.has_a_screen_of(390, 844).await;
    jo.signs_in(&harbor.admin.email).await;
    let covers = "((toast) => [...document.querySelectorAll('a, button, input, textarea, select')].filter((it) => !toast.contains(it) && it.checkVisibility() && !it.closest('.row, .visually-hidden') && (({ left, right, top, bottom }, other) => right > left && bottom > top && left < other.right && right > other.left && top < other.bottom && bottom > other.top)(it.getBoundingClientRect(), toast.getBoundingClientRect())).map((it) => it.outerHTML.slice(0, 90)))(document.querySelector('.toast')).join()";
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.clicks("Actions").await;
    jo.clicks("Mark as pending").await;
    jo.finds(".toast").await;
    assert_eq!(jo.evaluates(covers).await, "", "in a conversation");
    jo.opens(&format!("{}?done=saved", harbor.admin_page("workspace")))
        .await;
    jo.sees_in(".toast", "Saved").await;
    assert_eq!(jo.evaluates(covers).await, "", "on a page of settings");
    jo.opens(&format!("/w/{}/contacts?done=saved", harbor.slug))
        .await;
    jo.sees_in(".toast", "Saved").await;
    assert_eq!(jo.evaluates(covers).await, "", "on contacts");
}

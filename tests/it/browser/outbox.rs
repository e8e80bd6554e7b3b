//! A line that breaks: what was written goes out once it carries again, from any page, in order, exactly once.

use fantoccini::key::Key;

use super::{Browser, Cable};
use crate::hub::{Hub, MAYA, Workspace};

/// What the provider was handed, in order.
async fn handed_over(hub: &Hub) -> Vec<String> {
    while hub.sends().await > 0 {}
    let sent = hub.twilio.messages();
    sent.iter().map(|message| message.body.clone()).collect()
}

async fn taken(hub: &Hub, wanted: i64) {
    for _ in 0..1000 {
        let count = hub
            .count("select count(*) from messages where direction = 'outbound'")
            .await;
        if count >= wanted {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the server never took {wanted} texts");
}

async fn writes(jo: &Browser, text: &str) {
    jo.fills("Message to", text).await;
    jo.presses(Key::Enter).await;
}

async fn at_the_thread<'a>(hub: &'a Hub, cable: &Cable) -> (Workspace<'a>, Browser, String) {
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.hears(MAYA, "Is 3:30 still free?").await;
    harbor.knows(&maya, "Maya Okafor").await;
    let jo = Browser::start(&cable.url).await;
    jo.foresees("net::ERR_")
        .foresees("WebSocket connection to")
        .foresees("Failed to fetch");
    jo.signs_in(&harbor.admin.email).await;
    let path = harbor.inbox(Some(&maya));
    jo.opens(&path).await;
    jo.sees_in(".list .live", "Live").await;
    (harbor, jo, path)
}

#[tokio::test]
async fn what_the_server_took_and_could_not_say_so_goes_out_once_from_another_page() {
    let hub = Hub::start().await;
    let cable = Cable::to(hub.server.address).await;
    let (harbor, jo, path) = at_the_thread(&hub, &cable).await;

    cable.loses_answers(true);
    writes(&jo, "First").await;
    taken(&hub, 1).await;
    jo.sees_in(".message.unsent", "Not sent").await;
    writes(&jo, "Second").await;
    jo.sees_in(".outbox-bar", "2 texts wait for the connection")
        .await;
    // The open row says nothing of itself; the thread does.
    jo.notices(
        "its row knows",
        "document.querySelector('.row .own.waits')?.textContent.includes('Second')",
    )
    .await;

    // The page is closed; another one, which shows no thread, sends them.
    cable.loses_answers(false);
    jo.opens(&format!("/w/{}/settings", harbor.slug)).await;
    taken(&hub, 2).await;
    jo.loses(".outbox-bar").await;
    jo.notices(
        "nothing waits any more",
        "!Object.keys(localStorage).some((key) => key.startsWith('unsent:'))",
    )
    .await;
    jo.opens(&path).await;
    jo.sees_in(".message.outbound[id^=message-]", "Second")
        .await;
    jo.loses(".message.unsent").await;
    assert_eq!(handed_over(&hub).await, ["First", "Second"]);
}

#[tokio::test]
async fn a_reload_in_the_middle_of_a_break_changes_nothing() {
    let hub = Hub::start().await;
    let cable = Cable::to(hub.server.address).await;
    let (_harbor, jo, path) = at_the_thread(&hub, &cable).await;
    for round in ["One", "Two", "Three"] {
        cable.loses_answers(true);
        writes(&jo, round).await;
        jo.sees_in(".message.unsent", round).await;
        cable.loses_answers(false);
        jo.opens(&path).await;
        jo.sees_in(".message.outbound[id^=message-]", round).await;
    }
    jo.loses(".message.unsent").await;
    jo.loses(".outbox-bar").await;
    assert_eq!(handed_over(&hub).await, ["One", "Two", "Three"]);
}

#[tokio::test]
async fn two_tabs_do_not_fight_over_what_waits() {
    let hub = Hub::start().await;
    let cable = Cable::to(hub.server.address).await;
    let (_harbor, jo, path) = at_the_thread(&hub, &cable).await;
    // Of what both write at once, one draft is refused.
    jo.foresees("status of 409");
    jo.measures(&format!("void open('{path}')")).await;
    jo.turns_to_window(1).await;
    jo.sees_in(".list .live", "Live").await;

    cable.loses_answers(true);
    jo.turns_to_window(0).await;
    for text in ["One", "Two", "Three"] {
        writes(&jo, text).await;
    }
    jo.sees_in(".outbox-bar", "3 texts wait for the connection")
        .await;
    jo.turns_to_window(1).await;
    jo.sees_in(".message.outbound", "Three").await;
    writes(&jo, "Four").await;
    jo.sees_in(".outbox-bar", "4 texts wait for the connection")
        .await;

    cable.loses_answers(false);
    for window in [0, 1] {
        jo.turns_to_window(window).await;
        jo.sees_in(".message.outbound[id^=message-]", "Four").await;
        jo.loses(".message.unsent").await;
        jo.loses(".outbox-bar").await;
        let shown = "[...document.querySelectorAll('.message.outbound .bubble')].map((it) => it.innerText).join()";
        jo.notices(
            "each is there once",
            &format!("{shown} === 'One,Two,Three,Four'"),
        )
        .await;
    }
    assert_eq!(handed_over(&hub).await, ["One", "Two", "Three", "Four"]);
}

#[tokio::test]
async fn what_is_refused_on_another_page_says_where_and_can_be_written_anew() {
    let hub = Hub::start().await;
    let cable = Cable::to(hub.server.address).await;
    let (harbor, jo, path) = at_the_thread(&hub, &cable).await;
    jo.foresees("status of 409");
    jo.is_offline(true).await;
    writes(&jo, "See you").await;
    jo.sees_in(".outbox-bar", "1 text waits for the connection")
        .await;
    harbor.hears(MAYA, "STOP").await;
    jo.is_offline(false).await;
    jo.opens(&format!("/w/{}/settings", harbor.slug)).await;
    jo.sees_in(".outbox-bar", "A text could not be sent").await;
    harbor.hears(MAYA, "START").await;
    jo.follows("Look at it").await;
    jo.is_at(&path).await;
    jo.sees_in(".message.unsent", "this contact opted out")
        .await;
    jo.clicks("Try again").await;
    jo.sees_in(".message.outbound[id^=message-]", "See you")
        .await;
    assert_eq!(handed_over(&hub).await, ["See you"]);
}

//! The outbox: after an outage texts are sent from any page, in order, exactly once.

use fantoccini::key::Key;

use super::{Browser, Proxy};
use crate::hub::{Hub, MAYA, Workspace, until};

/// Sends all queued messages; returns what the provider received, in order.
async fn sent_to_provider(hub: &Hub) -> Vec<String> {
    while hub.run_sender().await > 0 {}
    let sent = hub.twilio.messages();
    sent.iter().map(|message| message.body.clone()).collect()
}

async fn stores_texts(hub: &Hub, expected: i64) {
    until(&format!("the server stores {expected} texts"), async || {
        hub.count("select count(*) from messages where direction = 'outbound'")
            .await
            >= expected
    })
    .await;
}

async fn writes(jo: &Browser, text: &str) {
    jo.fills("Message to", text).await;
    jo.presses(Key::Enter).await;
}

async fn opens_thread<'a>(hub: &'a Hub, proxy: &Proxy) -> (Workspace<'a>, Browser, String) {
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let jo = Browser::start(&proxy.url).await;
    jo.expects_console("net::ERR_")
        .expects_console("WebSocket connection to")
        .expects_console("Failed to fetch")
        // A draft was saved and its response lost.
        .expects_console("409 (Conflict)");
    jo.signs_in(&harbor.admin.email).await;
    let path = harbor.inbox(Some(&maya));
    jo.opens(&path).await;
    jo.sees_in(".list .live", "Live").await;
    (harbor, jo, path)
}

#[tokio::test]
async fn text_without_response_is_sent_once_from_another_page() {
    let hub = Hub::start().await;
    let proxy = Proxy::to(hub.server.address).await;
    let (harbor, jo, path) = opens_thread(&hub, &proxy).await;

    proxy.loses_responses(true);
    writes(&jo, "First").await;
    stores_texts(&hub, 1).await;
    jo.sees_in(".message.unsent", "Not sent").await;
    writes(&jo, "Second").await;
    jo.sees_in(".outbox-bar", "2 texts are waiting for a connection")
        .await;
    // On the open row the mark exists but is hidden: the thread shows it.
    jo.waits_until(
        "its row is marked",
        "document.querySelector('.row .own.waits')?.textContent.includes('Second')",
    )
    .await;

    // Another page, without a thread, sends them.
    proxy.loses_responses(false);
    jo.opens(&format!("/w/{}/settings", harbor.slug)).await;
    stores_texts(&hub, 2).await;
    jo.finds_no(".outbox-bar").await;
    jo.waits_until(
        "nothing waits any more",
        "!Object.keys(localStorage).some((key) => key.startsWith('unsent:'))",
    )
    .await;
    jo.opens(&path).await;
    jo.sees_in(".message.outbound[id^=message-]", "Second")
        .await;
    jo.finds_no(".message.unsent").await;
    assert_eq!(sent_to_provider(&hub).await, ["First", "Second"]);
}

#[tokio::test]
async fn draft_save_with_lost_response_causes_no_conflict() {
    let hub = Hub::start().await;
    let proxy = Proxy::to(hub.server.address).await;
    let (harbor, jo, _path) = opens_thread(&hub, &proxy).await;
    let drafts = async |content: &str| {
        until(&format!("the draft “{content}” is saved"), async || {
            let kept: Option<String> = sqlx::query_scalar("select content from drafts")
                .fetch_optional(&hub.superuser_pool)
                .await
                .unwrap();
            kept.unwrap_or_default() == content
        })
        .await;
    };
    proxy.loses_responses(true);
    jo.fills("Message to", "Yes").await;
    drafts("Yes").await;
    jo.fills("Message to", "No").await;
    proxy.loses_responses(false);
    jo.opens(&format!("/w/{}/settings", harbor.slug)).await;
    drafts("No").await;
}

#[tokio::test]
async fn reload_during_an_outage_keeps_the_outbox() {
    let hub = Hub::start().await;
    let proxy = Proxy::to(hub.server.address).await;
    let (_harbor, jo, path) = opens_thread(&hub, &proxy).await;
    for round in ["One", "Two", "Three"] {
        proxy.loses_responses(true);
        writes(&jo, round).await;
        jo.sees_in(".message.unsent", round).await;
        proxy.loses_responses(false);
        jo.opens(&path).await;
        jo.sees_in(".message.outbound[id^=message-]", round).await;
    }
    jo.finds_no(".message.unsent").await;
    jo.finds_no(".outbox-bar").await;
    assert_eq!(sent_to_provider(&hub).await, ["One", "Two", "Three"]);
}

#[tokio::test]
async fn two_tabs_share_the_outbox_without_conflict() {
    let hub = Hub::start().await;
    let proxy = Proxy::to(hub.server.address).await;
    let (_harbor, jo, path) = opens_thread(&hub, &proxy).await;
    // One of two concurrent drafts is refused.
    jo.expects_console("status of 409");
    jo.evaluates(&format!("void open('{path}')")).await;
    jo.switches_to_window(1).await;
    jo.sees_in(".list .live", "Live").await;

    proxy.loses_responses(true);
    jo.switches_to_window(0).await;
    for text in ["One", "Two", "Three"] {
        writes(&jo, text).await;
    }
    jo.sees_in(".outbox-bar", "3 texts are waiting for a connection")
        .await;
    jo.switches_to_window(1).await;
    jo.sees_in(".message.outbound", "Three").await;
    writes(&jo, "Four").await;
    jo.sees_in(".outbox-bar", "4 texts are waiting for a connection")
        .await;

    proxy.loses_responses(false);
    for window in [0, 1] {
        jo.switches_to_window(window).await;
        jo.sees_in(".message.outbound[id^=message-]", "Four").await;
        jo.finds_no(".message.unsent").await;
        jo.finds_no(".outbox-bar").await;
        let shown = "[...document.querySelectorAll('.message.outbound .bubble')].map((it) => it.innerText).join()";
        jo.waits_until(
            "each is there once",
            &format!("{shown} === 'One,Two,Three,Four'"),
        )
        .await;
    }
    assert_eq!(
        sent_to_provider(&hub).await,
        ["One", "Two", "Three", "Four"]
    );
}

#[tokio::test]
async fn refusal_on_another_page_links_to_the_conversation_and_can_be_retried() {
    let hub = Hub::start().await;
    let proxy = Proxy::to(hub.server.address).await;
    let (harbor, jo, path) = opens_thread(&hub, &proxy).await;
    jo.expects_console("status of 409");
    jo.is_offline(true).await;
    writes(&jo, "See you").await;
    jo.sees_in(".outbox-bar", "1 text is waiting for a connection")
        .await;
    harbor.receive_text(MAYA, "STOP").await;
    jo.is_offline(false).await;
    jo.opens(&format!("/w/{}/settings", harbor.slug)).await;
    jo.sees_in(".outbox-bar", "A text couldn’t be sent").await;
    harbor.receive_text(MAYA, "START").await;
    jo.follows("View").await;
    jo.is_at(&path).await;
    jo.sees_in(".message.unsent", "This contact opted out")
        .await;
    jo.clicks("Try again").await;
    jo.sees_in(".message.outbound[id^=message-]", "See you")
        .await;
    assert_eq!(sent_to_provider(&hub).await, ["See you"]);
}

async fn opens_new_text<'a>(hub: &'a Hub, proxy: &Proxy) -> (Workspace<'a>, Browser, String) {
    let (harbor, jo, _) = opens_thread(hub, proxy).await;
    let page = format!("/w/{}/send", harbor.slug);
    jo.opens(&page).await;
    jo.finds("form.new-text[data-ready]").await;
    (harbor, jo, page)
}

async fn fills_new_text(jo: &Browser, to: &str, text: &str) {
    jo.fills("To", to).await;
    jo.fills("Text", text).await;
}

const NOTHING_WAITS: &str = "!Object.keys(localStorage).some((key) => key.startsWith('unsent:') || key.startsWith('draft:'))";

#[tokio::test]
async fn new_text_queued_offline_survives_reload_and_is_sent_once() {
    let hub = Hub::start().await;
    let proxy = Proxy::to(hub.server.address).await;
    let (harbor, jo, page) = opens_new_text(&hub, &proxy).await;
    proxy.loses_responses(true);
    fills_new_text(&jo, "(415) 555-0133", "Welcome").await;
    jo.clicks("Send").await;
    jo.sees_in(".unsent-texts", "Waiting for the connection")
        .await;
    jo.sees_in(".unsent-texts", "(415) 555-0133 Welcome").await;
    jo.sees_in(".outbox-bar", "1 text is waiting for a connection")
        .await;
    jo.waits_until(
        "the field is free",
        "document.querySelector('#content').value === ''",
    )
    .await;
    // The server has stored it; the response is lost.
    stores_texts(&hub, 1).await;
    proxy.loses_writes();
    jo.reloads().await;
    jo.sees_in(".unsent-texts", "Welcome").await;
    jo.waits_until(
        "the field is free",
        "document.querySelector('#content').value === ''",
    )
    .await;

    proxy.loses_responses(false);
    jo.opens(&format!("/w/{}/settings", harbor.slug)).await;
    jo.finds_no(".outbox-bar").await;
    jo.waits_until("nothing waits any more", NOTHING_WAITS)
        .await;
    assert_eq!(sent_to_provider(&hub).await, ["Welcome"]);
    jo.opens(&page).await;
    jo.finds("form.new-text[data-ready]").await;
    jo.finds_no(".unsent-texts").await;
    assert_eq!(hub.count("select count(*) from drafts").await, 0);
}

#[tokio::test]
async fn queued_new_text_can_be_edited_and_opens_its_conversation_once_sent() {
    let hub = Hub::start().await;
    let proxy = Proxy::to(hub.server.address).await;
    let (_harbor, jo, _) = opens_new_text(&hub, &proxy).await;
    jo.is_offline(true).await;
    fills_new_text(&jo, "(415) 555-0133", "Welcome").await;
    jo.clicks("Send").await;
    jo.sees_in(".unsent-texts", "Welcome").await;
    jo.clicks("Edit").await;
    jo.finds_no(".unsent-texts").await;
    jo.finds_no(".outbox-bar").await;
    jo.waits_until(
        "the recipient is in its field",
        "document.querySelector('#to').value === '(415) 555-0133'",
    )
    .await;
    jo.fills("Text", "Welcome back").await;
    jo.clicks("Send").await;
    jo.sees_in(".unsent-texts", "Welcome back").await;
    jo.is_offline(false).await;
    jo.sees_in(".message.outbound[id^=message-]", "Welcome back")
        .await;
    jo.sees_in(".thread-head", "(415) 555-0133").await;
    jo.waits_until("nothing waits any more", NOTHING_WAITS)
        .await;
    assert_eq!(sent_to_provider(&hub).await, ["Welcome back"]);
}

#[tokio::test]
async fn edited_text_that_the_server_has_is_not_sent_again() {
    let hub = Hub::start().await;
    let proxy = Proxy::to(hub.server.address).await;
    let (_harbor, jo, _) = opens_new_text(&hub, &proxy).await;
    jo.expects_console("status of 422");
    proxy.loses_responses(true);
    fills_new_text(&jo, "(415) 555-0133", "Welcome").await;
    jo.clicks("Send").await;
    stores_texts(&hub, 1).await;
    jo.sees_in(".unsent-texts", "Welcome").await;
    jo.clicks("Edit").await;
    jo.waits_until(
        "it is in the field again",
        "document.querySelector('#content').value === 'Welcome'",
    )
    .await;
    jo.fills("Text", "Welcome back").await;
    proxy.loses_responses(false);
    jo.clicks("Send").await;
    jo.sees_in(".notice", "This text was sent before your change")
        .await;
    jo.waits_until(
        "what was typed stands there",
        "document.querySelector('#content').value === 'Welcome back'",
    )
    .await;
    assert_eq!(sent_to_provider(&hub).await, ["Welcome"]);
}

#[tokio::test]
async fn new_text_refused_later_reappears_with_the_reason() {
    let hub = Hub::start().await;
    let proxy = Proxy::to(hub.server.address).await;
    let (harbor, jo, page) = opens_new_text(&hub, &proxy).await;
    jo.expects_console("status of 409");
    proxy.loses_writes();
    fills_new_text(&jo, "Maya Okafor", "See you").await;
    jo.clicks("Send").await;
    jo.sees_in(".outbox-bar", "1 text is waiting for a connection")
        .await;
    harbor.receive_text(MAYA, "STOP").await;
    jo.opens(&format!("/w/{}/settings", harbor.slug)).await;
    jo.sees_in(".outbox-bar", "1 text is waiting for a connection")
        .await;
    // No event reports the end of the outage: a timer retries.
    proxy.loses_responses(false);
    jo.sees_in(".outbox-bar", "A text couldn’t be sent").await;
    jo.follows("View").await;
    jo.is_at(&page).await;
    jo.sees_in(".notice", "opted out").await;
    jo.finds_no(".outbox-bar").await;
    harbor.receive_text(MAYA, "START").await;
    // The refused text is a draft again.
    jo.opens(&page).await;
    jo.waits_until(
        "what was typed stands there",
        "document.querySelector('#content').value === 'See you' && document.querySelector('#to').value === 'Maya Okafor'",
    )
    .await;
    jo.clicks("Send").await;
    jo.sees_in(".message.outbound[id^=message-]", "See you")
        .await;
    assert_eq!(sent_to_provider(&hub).await, ["See you"]);
}

#[tokio::test]
async fn new_text_typed_offline_survives_a_reload_and_is_saved_later() {
    let hub = Hub::start().await;
    let proxy = Proxy::to(hub.server.address).await;
    let (harbor, jo, page) = opens_new_text(&hub, &proxy).await;
    let is_shown = |what: &str| {
        format!(
            "document.querySelector('#to').value === '(415) 555-0133' && document.querySelector('#content').value === '{what}'"
        )
    };
    let kept = "select count(*) from drafts where content = 'Good morning' and recipient = '(415) 555-0133'";
    for query in ["", "?to=%2B14155550199"] {
        let page = format!("{page}{query}");
        jo.opens(&page).await;
        jo.finds("form.new-text[data-ready]").await;
        proxy.loses_writes();
        fills_new_text(&jo, "(415) 555-0133", "Good morning").await;
        jo.reloads().await;
        jo.waits_until("it is still there", &is_shown("Good morning"))
            .await;
        proxy.loses_responses(false);
    }
    jo.opens(&format!("/w/{}/settings", harbor.slug)).await;
    hub.wait_for_count(kept, 1).await;
}

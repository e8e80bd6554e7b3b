//! The emoji picker.

use fantoccini::key::Key;

use super::holds;
use crate::browser::Browser;
use crate::hub::{Hub, MAYA};

#[tokio::test]
async fn emoji_is_found_and_inserted_by_keyboard_and_remembered() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    let loaded =
        "performance.getEntriesByType('resource').some(({ name }) => name.includes('emoji'))";
    assert_eq!(
        jo.evaluates(loaded).await,
        false,
        "it is loaded when needed"
    );

    jo.fills("Message to", "See you ").await;
    jo.clicks("Emoji").await;
    jo.has_focus_on("Search emoji").await;
    jo.types("tooth").await;
    jo.waits_until(
        "the first match is marked, and announced",
        "document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).textContent === '🦷'",
    )
    .await;
    jo.presses(Key::Enter).await;
    jo.waits_until("it is in the text", &holds("See you 🦷"))
        .await;
    jo.finds_no(".emojis").await;

    // In the other language too; arrows move in the grid.
    jo.clicks("Emoji").await;
    jo.has_focus_on("Search emoji").await;
    jo.sees_in(".emojis", "Recently used").await;
    jo.is_accessible("emoji picker").await;
    jo.presses(Key::Escape).await;
    jo.clicks("Emoji").await;
    jo.has_focus_on("Search emoji").await;
    jo.presses(Key::Down).await;
    jo.presses(Key::Enter).await;
    jo.waits_until("the recent one is the first", &holds("See you 🦷🦷"))
        .await;
    jo.clicks("Emoji").await;
    jo.has_focus_on("Search emoji").await;
    jo.types("corazon roto").await;
    jo.presses(Key::Enter).await;
    jo.waits_until("it is found", &holds("See you 🦷🦷💔"))
        .await;
    jo.clicks("Emoji").await;
    jo.has_focus_on("Search emoji").await;
    jo.types("zzzz").await;
    jo.sees_in(".emojis", "No emoji found").await;
    jo.presses(Key::Escape).await;
    jo.finds_no(".emojis").await;
    jo.has_focus_on("Message to").await;

    // The draft is saved before the page is left.
    hub.wait_for_count("select count(*) from drafts where content like '%💔'", 1)
        .await;
    // In a new text as well, with two columns down from the first.
    jo.opens(&format!("/w/{}/send", harbor.slug)).await;
    jo.finds(".new-text[data-ready]").await;
    jo.clicks("Emoji").await;
    jo.has_focus_on("Search emoji").await;
    jo.types("calendar").await;
    jo.presses(Key::Right).await;
    jo.presses(Key::Left).await;
    jo.presses(Key::Enter).await;
    jo.waits_until("it is in the text", &holds("📅")).await;
}

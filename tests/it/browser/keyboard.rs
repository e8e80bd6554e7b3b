//! Keyboard use without a mouse.

use fantoccini::key::Key;
use serde_json::json;

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA, PASSWORD, TOKEN};

const ACCOUNT: &str = "AC0000000000000000000000000000f1d1";

#[tokio::test]
async fn onboarding_works_by_keyboard_alone() {
    let hub = Hub::start().await;
    let harbor = hub.twilio.account(ACCOUNT, TOKEN);
    harbor.number(FRONT_DESK);
    let jo = Browser::start(&hub.url("")).await;

    jo.opens("/").await;
    jo.is_at("/setup").await;
    for (field, typed) in [
        ("Workspace", "Harbor Dental"),
        ("Your name", "Jo Park"),
        ("Email", "jo@harbor.test"),
        ("Password", PASSWORD),
    ] {
        jo.tabs_to(field).await;
        jo.types(typed).await;
    }
    jo.presses(Key::Enter).await;

    jo.is_at("/w/harbor-dental/inbox").await;
    jo.sees_in(".live", "Live").await;
    jo.tabs_to("Connect a provider").await;
    jo.presses(Key::Enter).await;
    jo.is_at("/admin/integrations").await;
    jo.tabs_to("Account SID").await;
    jo.types(ACCOUNT).await;
    jo.tabs_to("Auth Token").await;
    jo.types(TOKEN).await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".number", "Webhook set").await;

    jo.tabs_to("Inbox").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".live", "Live").await;
    hub.twilio
        .text(MAYA, FRONT_DESK, "Is 3:30 still free?")
        .await;
    jo.sees_in(".row.unread", "Is 3:30 still free?").await;
    jo.types("j").await;
    jo.presses(Key::Enter).await;
    jo.has_focus_on("Message to").await;
    jo.types("Yes, it is yours").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".message.outbound .state", "Queued").await;
    assert_eq!(hub.run_sender().await, 1);
    let sent = hub.twilio.sent("Yes, it is yours");
    hub.twilio.delivers(&sent[0].sid).await;
    jo.sees_in(".message.outbound .state", "Delivered").await;
}

#[tokio::test]
async fn inbox_works_by_keyboard_alone() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    hub.twilio
        .text("+14155550177", FRONT_DESK, "My crown came off")
        .await;
    hub.twilio
        .text("+14155550178", FRONT_DESK, "Thank you!")
        .await;
    let jo = Browser::start(&hub.url("")).await;

    jo.opens("/login").await;
    jo.tabs_to("Email").await;
    jo.types(&harbor.admin.email).await;
    jo.tabs_to("Password").await;
    jo.types(PASSWORD).await;
    jo.presses(Key::Enter).await;
    jo.is_at("/inbox").await;
    jo.sees_in(".live", "Live").await;

    hub.index_contacts().await;
    jo.types("/").await;
    jo.has_focus_on("Search people and messages").await;
    jo.types("okaf").await;
    jo.sees_no(".rows", "My crown came off").await;
    jo.sees_in(".rows", "Maya Okafor").await;
    jo.presses(Key::Escape).await;
    jo.sees_in(".rows", "My crown came off").await;
    jo.presses(Key::Escape).await;

    for (key, row) in [
        ("j", "Thank you!"),
        ("j", "My crown came off"),
        ("j", "Maya Okafor"),
        ("k", "My crown came off"),
        ("j", "Maya Okafor"),
    ] {
        jo.types(key).await;
        jo.has_focus_on(row).await;
    }
    jo.presses(Key::Enter).await;
    jo.has_focus_on("Message to Maya Okafor").await;
    jo.types("Yes, it is yours").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".message.outbound .state", "Queued").await;
    jo.waits_until("the composer is empty and has the focus", "document.activeElement.matches('.composer textarea') && document.activeElement.value === ''").await;
    jo.presses(Key::Escape).await;
    jo.has_focus_on("Maya Okafor").await;
    jo.types("e").await;
    jo.sees_no(".rows", "Maya Okafor").await;

    jo.types("?").await;
    jo.sees_in("dialog[open]", "Keyboard shortcuts").await;
    jo.presses(Key::Escape).await;
    jo.finds_no("dialog[open]").await;
    jo.types("j").await;
    jo.waits_until(
        "the keys work again",
        "document.activeElement.matches('.row')",
    )
    .await;
}

#[tokio::test]
async fn every_tab_stop_shows_focus() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    for path in [
        harbor.inbox(Some(&maya)),
        format!("/w/{}/admin/integrations", harbor.slug),
        "/api/docs".into(),
    ] {
        jo.opens(&path).await;
        jo.evaluates("document.activeElement.blur()").await;
        let mut names = Vec::new();
        for _ in 0..25 {
            jo.presses(Key::Tab).await;
            names.push(jo.shows_its_focus().await);
        }
        names.dedup();
        assert!(names.len() > 8, "{path} has few tab stops: {names:?}");
    }
}

#[tokio::test]
async fn single_key_shortcuts_can_be_disabled() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".list .live", "Live").await;
    let at_the_row = "void document.querySelector('.row').focus()";
    jo.evaluates(at_the_row).await;
    jo.types("s").await;
    jo.finds("#snooze-menu").await;
    jo.presses(Key::Escape).await;
    jo.finds_no("#snooze-menu").await;
    jo.finds(".search kbd").await;

    // Disabling them in another tab applies to this page at once.
    jo.evaluates("void open(location.href)").await;
    jo.switches_to_window(1).await;
    jo.opens(&format!("/w/{}/settings", harbor.slug)).await;
    jo.clicks("Single-key shortcuts").await;
    jo.clicks("Save").await;
    jo.sees_in(".toast", "Saved").await;
    for window in [1, 0] {
        jo.switches_to_window(window).await;
        if window == 1 {
            jo.opens(&harbor.inbox(Some(&maya))).await;
            jo.sees_in(".list .live", "Live").await;
        }
        jo.waits_until("they are off", "document.body.dataset.shortcuts === 'off'")
            .await;
        jo.finds_no(".search kbd").await;
        jo.evaluates(at_the_row).await;
        jo.types("please snooze?").await;
        let nothing = "!document.querySelector(':popover-open, dialog[open]') && document.activeElement.matches('.row')";
        assert_eq!(jo.evaluates(nothing).await, true);
        jo.chord(Key::Control, 'k').await;
        jo.sees_in("#palette", "Keyboard shortcuts").await;
        jo.types("Keyboard short").await;
        jo.presses(Key::Enter).await;
        jo.sees_in("dialog[open]", "Single-key shortcuts are turned off")
            .await;
        jo.sees_no("dialog[open]", "Snooze").await;
        jo.presses(Key::Escape).await;
    }
    let conversation = harbor.conversation_with(MAYA).await;
    assert_eq!(
        (&conversation["status"], &conversation["assignee_id"]),
        (&json!("open"), &json!(null))
    );

    harbor
        .admin
        .patch(
            &harbor.path("/settings"),
            json!({"single_key_shortcuts": true}),
        )
        .await
        .expect_status(200);
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".list .live", "Live").await;
    jo.evaluates(at_the_row).await;
    jo.types("?").await;
    jo.sees_in("dialog[open]", "You can turn off single-key shortcuts")
        .await;
}

//! Actions apply to the intended conversation: on slow and broken connections, by keys, and after concurrent changes.

use fantoccini::key::Key;
use serde_json::json;

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA};

const TOM: &str = "+14155550177";
const ANN: &str = "+14155550178";

#[tokio::test]
async fn actions_on_a_slow_connection_apply_to_the_right_conversation() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let tom = harbor.receive_text(TOM, "Is my crown ready?").await;
    harbor.names_contact(&tom, "Tom Bello").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;
    jo.follows("Maya Okafor").await;
    jo.sees_in(".message", "Is 3:30 still free?").await;
    jo.has_focus_on("Message to Maya Okafor").await;

    jo.has_latency(1500).await;
    jo.follows("Tom Bello").await;
    jo.waits_until(
        "the other name is shown and the pane is inert",
        "document.getElementById('conversation').inert && document.querySelector('.thread-head h1').textContent === 'Tom Bello'",
    )
    .await;
    jo.types("e, n").await;
    jo.sees_in(".message", "Is my crown ready?").await;
    jo.has_focus_on("Message to Tom Bello").await;
    jo.has_latency(0).await;
    jo.types("It is").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".message.outbound", "It is").await;
    jo.sees_in(".message.outbound .state", "Queued").await;

    let thread = harbor.thread(&maya).await;
    assert_eq!(thread.len(), 1, "nothing went to Maya: {thread:?}");
    let maya = harbor.conversation_with(MAYA).await;
    assert_eq!(maya["status"], "open");
    assert_eq!(harbor.thread(&tom).await.len(), 2);
}

#[tokio::test]
async fn shortcut_shows_a_conversation_before_it_closes_it() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for (number, body) in [(ANN, "One"), (TOM, "Two"), (MAYA, "Three")] {
        harbor.receive_text(number, body).await;
    }
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;
    let later = "new Promise((go) => setTimeout(go, 600, true))";

    jo.types("jj").await;
    jo.types("e").await;
    jo.sees_in(".message", "Two").await;
    assert_eq!(harbor.conversation_with(TOM).await["status"], "open");
    jo.evaluates(later).await;
    jo.types("e").await;
    jo.sees_no(".rows", "Two").await;
    // The next one is shown. The key acts on it, wherever the focus is.
    jo.sees_in(".message", "One").await;
    jo.evaluates(later).await;
    jo.types("k").await;
    jo.types("e").await;
    jo.sees_no(".rows", "One").await;
    jo.sees_in(".rows", "Three").await;
    for (number, status) in [(ANN, "done"), (TOM, "done"), (MAYA, "open")] {
        assert_eq!(harbor.conversation_with(number).await["status"], status);
    }
}

#[tokio::test]
async fn failed_request_is_reported_and_changes_nothing() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let tom = harbor.receive_text(TOM, "Is my crown ready?").await;
    harbor.names_contact(&tom, "Tom Bello").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("net::ERR_")
        .expects_console("Failed to fetch")
        .expects_console("WebSocket connection to");
    let stay = serde_json::json!({"open_next_after_done": false});
    let settings = harbor.path("/settings");
    harbor.admin.patch(&settings, stay).await.expect_status(200);
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;
    jo.follows("Maya Okafor").await;
    jo.sees_in(".message", "Is 3:30 still free?").await;

    jo.is_offline(true).await;
    jo.follows("Tom Bello").await;
    jo.sees_in(".toast", "couldn’t be opened").await;
    jo.waits_until(
        "Maya's conversation is still open",
        "!document.getElementById('conversation').inert && document.querySelector('.thread-head h1').textContent === 'Maya Okafor'
            && document.querySelector('.row[aria-current] .name').textContent === 'Maya Okafor'",
    )
    .await;
    jo.clicks("Done").await;
    jo.sees_in(".toast", "Nothing was changed").await;
    jo.is_offline(false).await;
    jo.sees_in(".list .live", "Live").await;
    jo.clicks("Done").await;
    jo.sees_in(".thread-head", "Reopen").await;

    // A shortcut whose request failed has no later effect.
    jo.opens(&harbor.inbox(None)).await;
    jo.sees_in(".list .live", "Live").await;
    jo.evaluates(
        "[...document.querySelectorAll('.row')].find((it) => it.innerText.includes('Tom')).focus()",
    )
    .await;
    jo.is_offline(true).await;
    jo.types("a").await;
    jo.sees_in(".toast", "couldn’t be opened").await;
    jo.is_offline(false).await;
    jo.sees_in(".list .live", "Live").await;
    jo.follows("Tom Bello").await;
    jo.has_focus_on("Message to Tom Bello").await;
    // Nothing marks the end of what must not happen: a late request would come within a moment.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(harbor.conversation_with(TOM).await["status"], "open");
}

#[tokio::test]
async fn undelivered_text_can_be_retried_or_edited() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let fails = async |body: &str| {
        harbor.reply(&harbor.admin, &maya, body).await;
        hub.run_sender().await;
        let sid = hub.twilio.sent(body).pop().unwrap().sid;
        hub.twilio.reports_failure(&sid, "undelivered", 30003).await;
    };
    fails("Yes, it is yours").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    jo.sees_in(".message.failed", "Not delivered").await;
    jo.clicks("Reword").await;
    jo.waits_until(
        "the text is in the field",
        "document.querySelector('.composer textarea').value === 'Yes, it is yours'",
    )
    .await;
    jo.fills("Message to", "").await;
    jo.clicks("Try again").await;
    jo.sees_in(".message.outbound .state", "Queued").await;
    jo.finds_no(".retry-actions").await;
    hub.run_sender().await;
    assert_eq!(hub.twilio.sent("Yes, it is yours").len(), 2);

    fails("Are you there?").await;
    jo.has_no_scripts().await;
    jo.reloads().await;
    jo.clicks("Try again").await;
    jo.sees_in(".message.outbound .state", "Queued").await;
    hub.run_sender().await;
    assert_eq!(hub.twilio.sent("Are you there?").len(), 2);
}

#[tokio::test]
async fn open_thread_reports_deletion_by_a_colleague() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let desk = Browser::start(&hub.url("")).await;
    desk.expects_console("status of 404");
    desk.signs_in(&sam.email).await;
    desk.opens(&harbor.inbox(Some(&maya))).await;
    desk.sees_in(".live", "Live").await;
    desk.waits_until(
        "it has fetched missed changes",
        "performance.getEntriesByType('resource').some((it) => it.name === location.href)",
    )
    .await;

    let contact = harbor.contact_path(&maya, "");
    harbor.admin.delete(&contact).await.expect_status(204);
    desk.sees_in(".toast", "This conversation was deleted.")
        .await;
    desk.finds_no(".composer").await;
}

#[tokio::test]
async fn new_mention_appears_in_the_open_mentions_list() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let desk = Browser::start(&hub.url("")).await;
    desk.signs_in(&sam.email).await;
    desk.opens(&format!("{}?tab=mentions", harbor.inbox(None)))
        .await;
    desk.sees_in(".live", "Live").await;
    desk.sees_no(".rows", "555-0192").await;
    harbor.add_note(&maya, "@Sam can you look?").await;
    desk.sees_in(".rows", "555-0192").await;
}

#[tokio::test]
async fn unread_mark_precedes_the_first_of_60_unread_messages() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Seen").await;
    let read = format!("/conversations/{}/read", maya["id"].as_str().unwrap());
    harbor.admin.post(&harbor.path(&read), json!(null)).await;
    for n in 1..=60 {
        let answer = hub
            .twilio
            .text(MAYA, FRONT_DESK, &format!("Text {n}."))
            .await;
        assert_eq!(answer.status(), 200);
    }
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.waits_until(
        "the mark is above the first of them",
        "(() => { let next = document.querySelector('.unread-mark'); while (next && !next.matches('.message')) next = next.nextElementSibling; return next?.innerText.includes('Text 1.') })()",
    )
    .await;
}

#[tokio::test]
async fn partial_recipient_name_is_resolved_before_sending() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 422");
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&format!("/w/{}/send", harbor.slug)).await;
    jo.fills("Text", "See you").await;
    jo.fills("To", "oka").await;
    jo.presses(Key::Enter).await;
    jo.waits_until(
        "the name is complete and the text has the focus",
        "document.getElementById('to').value === 'Maya Okafor' && document.activeElement.id === 'content'",
    )
    .await;
    assert_eq!(harbor.thread(&maya).await.len(), 1);

    jo.has_no_scripts().await;
    jo.reloads().await;
    jo.fills("To", "oka").await;
    jo.fills("Text", "See you").await;
    jo.clicks("Send").await;
    jo.sees("Which contact?").await;
    assert_eq!(harbor.thread(&maya).await.len(), 1);
}

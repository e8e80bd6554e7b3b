//! Actions on a conversation by two agents: notes, assignment, snooze, presence, filters.

use fantoccini::key::Key;

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA, Person, Workspace};

/// Two browsers with Jo and Sam in the inbox, and a text of Maya.
async fn side_by_side<'a>(
    hub: &'a Hub,
) -> (Workspace<'a>, Person, serde_json::Value, Browser, Browser) {
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let agent = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &agent).await;
    let (jo, sam) = Browser::pair(&hub.url("")).await;
    tokio::join!(jo.signs_in(&harbor.admin.email), sam.signs_in(&agent.email));
    for one in [&jo, &sam] {
        one.sees_in(".list .live", "Live").await;
    }
    (harbor, agent, maya, jo, sam)
}

async fn both_open(one: &Browser, other: &Browser) {
    for browser in [one, other] {
        browser.follows("Maya Okafor").await;
        browser
            .sees_in(".message.inbound", "Is 3:30 still free?")
            .await;
    }
}

#[tokio::test]
async fn note_notifies_the_mentioned_colleague_at_once() {
    let hub = Hub::start().await;
    let (_harbor, _, _, jo, sam) = side_by_side(&hub).await;
    jo.follows("Maya Okafor").await;
    jo.sees_in(".message.inbound", "Is 3:30 still free?").await;
    jo.has_focus_on("Message to Maya Okafor").await;
    jo.types("Half a sentence").await;
    jo.presses(Key::Escape).await;

    jo.types("n").await;
    jo.has_focus_on("Internal note").await;
    jo.types("Can you look, @sa").await;
    jo.sees_in("#note-names [aria-selected=true]", "Sam").await;
    jo.presses(Key::Enter).await;
    jo.types("and call her?").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".message.note .bubble", "Can you look, @Sam and call her?")
        .await;
    jo.sees_in(".message.note .mention", "@Sam").await;
    jo.waits_until(
        "the draft of the text is still there",
        "document.activeElement.value === 'Half a sentence'",
    )
    .await;

    // Sam, without an open conversation, gets a toast.
    sam.sees_in(".toast", "Jo Park mentioned you: Maya Okafor")
        .await;
    sam.sees_in(".tabs", "Mentions 1").await;
    sam.follows("Mentions").await;
    sam.sees_in(".rows .row", "Maya Okafor").await;
    sam.follows("Maya Okafor").await;
    sam.sees_in(".message.note .mention.me", "@Sam").await;
    sam.sees_no(".tabs", "Mentions 1").await;

    // The draft of a note survives Escape and a reload.
    jo.presses(Key::Escape).await;
    jo.expects_console("status of 422");
    jo.types("n").await;
    jo.types(&"x".repeat(3)).await;
    jo.presses(Key::Escape).await;
    jo.has_focus_on("Message to Maya Okafor").await;
    jo.presses(Key::Escape).await;
    jo.reloads().await;
    jo.sees_in(".list .live", "Live").await;
    jo.clicks("Note").await;
    jo.waits_until(
        "the draft of the note is still there",
        "document.activeElement.value === 'xxx'",
    )
    .await;
}

#[tokio::test]
async fn concurrent_assignment_loser_is_notified_and_can_override() {
    let hub = Hub::start().await;
    let (_harbor, _, _, jo, sam) = side_by_side(&hub).await;
    for one in [&jo, &sam] {
        one.expects_console("status of 409");
    }
    both_open(&jo, &sam).await;
    // Disables live updates of the status, so that both see an unassigned conversation.
    for one in [&jo, &sam] {
        one.evaluates("document.querySelector('form.status').id = 'status-elsewhere'")
            .await;
    }
    tokio::join!(jo.clicks("Assign to me"), sam.clicks("Assign to me"));
    let lost = "[...document.querySelectorAll('.toast.bad')].some((it) => /^(Jo Park|Sam) assigned this to themselves /.test(it.innerText))";
    let done =
        "[...document.querySelectorAll('.toast')].some((it) => /^Assigned to/.test(it.innerText))";
    for one in [&jo, &sam] {
        one.waits_until("its result is shown", &format!("{lost} || {done}"))
            .await;
    }
    let (jo_lost, sam_lost) = (jo.evaluates(lost).await, sam.evaluates(lost).await);
    assert_ne!(jo_lost, sam_lost, "exactly one is the assignee");
    let (winner, loser, name) = if jo_lost == true {
        (&sam, &jo, "Jo Park")
    } else {
        (&jo, &sam, "Sam")
    };
    loser.clicks("Take over").await;
    for one in [winner, loser] {
        one.reloads().await;
    }
    for one in [winner, loser] {
        one.sees_in(".thread-head .btn", name).await;
        one.sees_in(".event", &format!("{name} took this over from"))
            .await;
        one.sees_in(".activity li", &format!("{name} took this over from"))
            .await;
    }
}

#[tokio::test]
async fn assignment_works_by_keyboard_and_can_be_undone() {
    let hub = Hub::start().await;
    let (harbor, agent, _, jo, sam) = side_by_side(&hub).await;
    both_open(&jo, &sam).await;
    jo.presses(Key::Escape).await;
    jo.types("a").await;
    jo.has_focus_on("Me").await;
    jo.presses(Key::Down).await;
    jo.has_focus_on("Sam").await;
    jo.presses(Key::Enter).await;
    for one in [&jo, &sam] {
        one.sees_in(".thread-head .btn", "Sam").await;
        one.sees_in(".event", "Jo Park assigned this to Sam").await;
    }
    jo.sees_in(".toast", "Assigned to Sam").await;
    let assigned = harbor.conversation_with(MAYA).await;
    assert_eq!(assigned["assignee_id"], agent.id.as_str());

    jo.evaluates("document.activeElement.blur()").await;
    jo.types("z").await;
    jo.sees_in(".toast", "Undone").await;
    sam.sees_in(".event", "Jo Park unassigned Sam").await;
    assert!(
        harbor.conversation_with(MAYA).await["assignee_id"].is_null(),
        "exactly as it was"
    );

    // Done, then undone by mouse; undo of Pending fails after a change by Sam.
    jo.clicks("Done").await;
    jo.sees_no(".rows", "Maya Okafor").await;
    jo.clicks("Undo").await;
    jo.sees_in(".rows", "Maya Okafor").await;
    jo.sees_in(".event", "Jo Park reopened this").await;
    jo.expects_console("status of 409");
    jo.clicks("Mark as pending").await;
    jo.sees_in(".toast", "Pending").await;
    sam.sees_in(".event", "Jo Park marked this as pending")
        .await;
    sam.clicks("Done").await;
    jo.sees_in(".event", "Sam marked this as done").await;
    jo.clicks("Undo").await;
    jo.sees_in(".toast.bad", "changed this conversation").await;
    assert_eq!(harbor.conversation_with(MAYA).await["status"], "done");
}

#[tokio::test]
async fn snoozed_conversation_waits_and_returns() {
    let hub = Hub::start().await;
    let (harbor, _, _, jo, sam) = side_by_side(&hub).await;
    both_open(&jo, &sam).await;
    jo.finds_no(".row .badge").await;
    jo.presses(Key::Escape).await;
    jo.types("s").await;
    jo.has_focus_on("In 1 hour").await;
    jo.presses(Key::Up).await;
    jo.presses(Key::Up).await;
    jo.has_focus_on("Tomorrow morning").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".toast", "Snoozed until").await;
    for one in [&jo, &sam] {
        one.sees_no(".rows", "Maya Okafor").await;
        one.sees_in(".event", "Jo Park snoozed this until").await;
    }
    let snoozed = harbor.conversation_with(MAYA).await;
    let nine = jo
        .evaluates(&format!(
            "new Date({}).getHours()",
            snoozed["snoozed_until"]
        ))
        .await;
    assert_eq!(
        nine, 9,
        "in the viewer's zone: {}",
        snoozed["snoozed_until"]
    );
    sam.clicks("Views").await;
    sam.follows("Snoozed").await;
    sam.sees_in(".rows .row", "Maya Okafor").await;

    hub.execute_sql("update conversations set snoozed_until = now()")
        .await;
    let ended = messagehub::domain::conversations::snooze::end_due(&hub.server.app.db);
    assert_eq!(ended.await.unwrap(), 1);
    sam.sees_no(".rows", "Maya Okafor").await;
    jo.sees_in(".rows .row", "Maya Okafor").await;
    jo.sees_in(".event", "Snooze ended").await;

    jo.clicks("Snooze").await;
    let at = "(() => { const at = document.getElementById('snooze-at'); const to = new Date(Date.now() + 3 * 86400000); \
        at.value = new Date(to - to.getTimezoneOffset() * 60000).toISOString().slice(0, 16); return new Date(at.value).toISOString() })()";
    let chosen = jo.evaluates(at).await;
    jo.evaluates("document.querySelector('.pick button').click()")
        .await;
    jo.sees_no(".rows", "Maya Okafor").await;
    let until = harbor.conversation_with(MAYA).await["snoozed_until"].clone();
    assert_eq!(
        until.as_str().unwrap()[..16],
        chosen.as_str().unwrap()[..16]
    );
}

#[tokio::test]
async fn presence_appears_and_disappears() {
    let hub = Hub::start().await;
    let (harbor, _, _, jo, sam) = side_by_side(&hub).await;
    sam.follows("Maya Okafor").await;
    sam.sees_in(".message.inbound", "Is 3:30 still free?").await;
    // On the row at once, and in the opened conversation.
    jo.sees_in(".row .faces", "S").await;
    jo.follows("Maya Okafor").await;
    jo.sees_in(".presence", "Sam is viewing this").await;
    sam.sees_in(".presence", "Jo Park is viewing this").await;
    jo.sees_no(".presence", "Jo Park").await;
    // Replacing the row keeps the avatar.
    hub.twilio.text(MAYA, FRONT_DESK, "Hello?").await;
    jo.sees_in(".row", "Hello?").await;
    jo.sees_in(".row .faces", "S").await;

    sam.opens(&harbor.inbox(None)).await;
    jo.finds_no(".presence").await;
    jo.finds_no(".row .faces .avatar").await;
    sam.sees_in(".row .faces", "JP").await;
}

#[tokio::test]
async fn stale_reply_is_held_and_can_be_sent_anyway() {
    let hub = Hub::start().await;
    let (harbor, agent, maya, jo, sam) = side_by_side(&hub).await;
    jo.expects_console("status of 409");
    both_open(&jo, &sam).await;
    jo.fills("Message to", "3:30 is yours").await;
    // Disables live updates of the thread: Jo does not see Sam's reply.
    jo.evaluates("document.querySelector('.messages').id = 'thread-elsewhere'")
        .await;
    harbor.reply(&agent, &maya, "Sorry, 3:30 is taken").await;
    sam.sees_in(".message.outbound", "3:30 is taken").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".message.unsent", "Sam replied").await;
    jo.evaluates(&format!(
        "document.querySelector('.messages').id = 'thread-{}'",
        maya["id"].as_str().unwrap()
    ))
    .await;
    assert_eq!(
        hub.count("select count(*) from messages where direction = 'outbound'")
            .await,
        1
    );
    // Jo sees the reply and sends anyway.
    jo.evaluates("dispatchEvent(new CustomEvent('live:missed'))")
        .await;
    jo.sees_in(".message.outbound", "3:30 is taken").await;
    jo.clicks("Send anyway").await;
    jo.finds_no(".message.unsent").await;
    jo.waits_until(
        "both are in the thread",
        "document.querySelectorAll('.message.outbound[id^=message-]').length === 2",
    )
    .await;
    assert_eq!(
        hub.count("select count(*) from messages where direction = 'outbound'")
            .await,
        2
    );
}

#[tokio::test]
async fn list_filter_is_in_the_url_and_applies_to_live_rows() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let tom = harbor
        .receive_text("+14155550177", "My crown came off")
        .await;
    harbor.names_contact(&tom, "Tom Reyes").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;
    jo.clicks("Filter").await;
    jo.follows("Unassigned").await;
    jo.sees_in(".active-filter", "Unassigned").await;
    jo.is_at("assignee=none").await;
    jo.sees_in(".rows", "Tom Reyes").await;
    let change = serde_json::json!({"assignee_id": harbor.admin.id});
    let path = harbor.path(&format!("/conversations/{}", maya["id"].as_str().unwrap()));
    harbor.admin.patch(&path, change).await.expect_status(200);
    jo.sees_no(".rows", "Maya Okafor").await;
    jo.sees_in(".rows", "Tom Reyes").await;
    jo.reloads().await;
    jo.sees_in(".rows", "Tom Reyes").await;
    jo.sees_no(".rows", "Maya Okafor").await;
    jo.clicks("Filter").await;
    jo.follows("Unread").await;
    jo.sees_in(".active-filter", "Unassigned · Unread").await;
    jo.follows("Tom Reyes").await;
    jo.finds_no(".row .badge").await;
    jo.sees_in(".rows", "Tom Reyes").await;
    jo.reloads().await;
    jo.sees("No matches").await;
    hub.twilio.text("+14155550177", FRONT_DESK, "Ouch").await;
    jo.sees_in(".rows", "Ouch").await;
    jo.follows("Show all").await;
    jo.sees_in(".rows", "Maya Okafor").await;
    for (tab, says) in [
        ("Snoozed", "Nothing snoozed"),
        ("Mentions", "No mentions yet"),
        ("Pending", "Nothing pending"),
    ] {
        jo.clicks("Views").await;
        jo.follows(tab).await;
        jo.sees(says).await;
    }
}

#[tokio::test]
async fn conversation_actions_work_without_scripts() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let lin = harbor.agent("Lin").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.has_no_scripts().await;
    jo.expects_console("status of 422")
        .expects_console("status of 409");
    jo.signs_in(&harbor.admin.email).await;
    jo.follows("Maya Okafor").await;

    jo.fills("Internal note", "Ask @Lin").await;
    jo.clicks("Add note").await;
    jo.sees_in(
        ".note-form .error",
        "Lin doesn’t have access to this number",
    )
    .await;
    harbor.assign_number(FRONT_DESK, &lin).await;
    jo.clicks("Add note").await;
    jo.sees_in(".message.note .mention", "@Lin").await;

    jo.clicks("Assign to me").await;
    jo.sees_in(".toast", "Assigned to Jo Park").await;
    jo.sees_in(".event", "Jo Park assigned this to themselves")
        .await;
    jo.sees_in(".activity li", "Jo Park assigned this to themselves")
        .await;
    jo.clicks("Undo").await;
    jo.sees_in(".event", "Jo Park unassigned themselves").await;
    assert!(harbor.conversation_with(MAYA).await["assignee_id"].is_null());

    let path = harbor.path(&format!("/conversations/{}", maya["id"].as_str().unwrap()));
    let taken = serde_json::json!({"assignee_id": lin.id});
    lin.patch(&path, taken).await.expect_status(200);
    jo.clicks("Assign to me").await;
    jo.sees_in(".notice", "Lin assigned this to themselves")
        .await;

    jo.clicks("Snooze").await;
    jo.types("\t").await;
    jo.clicks("Snooze").await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.clicks("Done").await;
    jo.sees_in(".toast", "Done").await;
    jo.clicks("Undo").await;
    jo.sees_in(".event", "Jo Park reopened this").await;
    assert_eq!(harbor.conversation_with(MAYA).await["status"], "open");
}

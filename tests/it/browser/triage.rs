//! Nobody lost and nobody answered twice, and triage of many conversations.

use fantoccini::key::Key;
use messagehub::domain::messages::schedule;
use serde_json::{Value, json};

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA, Person, TOKEN, Workspace};

const TOM: &str = "+14155550177";
const LEE: &str = "+14155550178";

fn id(it: &Value) -> &str {
    it["id"].as_str().unwrap()
}

impl Workspace<'_> {
    async fn named_text(&self, phone: &str, name: &str, body: &str) -> Value {
        let conversation = self.receive_text(phone, body).await;
        self.names_contact(&conversation, name).await;
        conversation
    }

    async fn change(&self, who: &Person, it: &Value, change: Value) {
        let path = self.path(&format!("/conversations/{}", id(it)));
        who.patch(&path, change).await.expect_status(200);
    }
}

impl Browser {
    /// Selects a conversation of the list.
    async fn ticks(&self, conversation: &Value) {
        let tick = format!(
            "document.querySelector('#item-{} .tick').click()",
            id(conversation)
        );
        self.evaluates(&tick).await;
    }
}

/// Three people who wait: Maya longest, Lee's text is the newest.
async fn three_waiting<'a>(hub: &'a Hub) -> (Workspace<'a>, [Value; 3], Browser) {
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor
        .named_text(MAYA, "Maya Okafor", "Is 3:30 still free?")
        .await;
    let tom = harbor
        .named_text(TOM, "Tom Reyes", "My crown came off")
        .await;
    let lee = harbor.named_text(LEE, "Lee Chan", "Thank you!").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;
    (harbor, [maya, tom, lee], jo)
}

#[tokio::test]
async fn answer_below_the_fold_shows_and_holds_a_reply_begun_before_it() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor
        .named_text(MAYA, "Maya Okafor", "Is 3:30 still free?")
        .await;
    for n in 0..30 {
        harbor.receive_text(MAYA, &format!("Line {n}")).await;
    }
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let browser = Browser::start(&hub.url("")).await;
    browser.expects_console("status of 409");
    browser.signs_in(&sam.email).await;
    browser.opens(&harbor.inbox(Some(&maya))).await;
    browser.sees_in(".list .live", "Live").await;
    browser.fills("Message to", "3:30 is yours").await;
    browser
        .evaluates("void (document.querySelector('.scroller').scrollTop = -800)")
        .await;

    harbor
        .reply(&harbor.admin, &maya, "Sorry, 3:30 is taken")
        .await;

    browser.sees_in(".news", "Jo Park replied").await;
    browser
        .evaluates("void document.querySelector('.composer textarea').focus()")
        .await;
    browser.presses(Key::Enter).await;
    browser.sees_in(".message.unsent", "Jo Park replied").await;
    let sent = "select count(*) from messages where direction = 'outbound'";
    assert_eq!(hub.count(sent).await, 1, "the reply is held");
    browser.clicks("Send anyway").await;
    browser.sees_in(".message.outbound .state", "Queued").await;
    browser.finds_no(".message.unsent").await;
    hub.wait_for_count(sent, 2).await;

    // What was in view when the reply was begun holds nothing.
    harbor
        .reply(&harbor.admin, &maya, "Shall I call you?")
        .await;
    browser
        .sees_in(".message.outbound", "Shall I call you?")
        .await;
    browser.finds_no(".news").await;
    browser.fills("Message to", "I will call").await;
    browser.presses(Key::Enter).await;
    browser
        .waits_until(
            "it was sent",
            "document.querySelectorAll('.message.outbound[id^=message-]').length === 4",
        )
        .await;
    browser.finds_no(".message.unsent").await;
}

#[tokio::test]
async fn every_page_tells_of_new_texts() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let on = json!({"notifications": {"desktop": true}});
    harbor
        .admin
        .patch(&harbor.path("/settings"), on)
        .await
        .expect_status(200);
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    for path in [
        format!("/w/{}/templates", harbor.slug),
        harbor.admin_page("members"),
    ] {
        jo.opens(&path).await;
        jo.waits_until("it is connected", "document.querySelector('.app')")
            .await;
        let joined = "new Promise((joined) => addEventListener('live:joined', () => joined(true), { once: true }))";
        jo.evaluates(&format!("(dispatchEvent(new Event('offline')), {joined})"))
            .await;
        jo.finds_no("[data-unread-dot]").await;
        let title = jo.evaluates("document.title").await;
        let title = title.as_str().unwrap().to_owned();
        jo.evaluates("(() => { window.shown = []; window.Notification = class { static permission = 'granted'; constructor(title, { body }) { shown.push(`${title}: ${body}`) } } })()").await;
        let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
        jo.finds("[data-unread-dot]").await;
        jo.has_title(&format!("(1) {title}")).await;
        jo.waits_until(
            "a notification was shown",
            "shown.join() === '(415) 555-0192: Is 3:30 still free?'",
        )
        .await;
        // Read elsewhere.
        let read = harbor.path(&format!("/conversations/{}/read", id(&maya)));
        harbor.admin.post(&read, json!({})).await.expect_status(204);
        jo.finds_no("[data-unread-dot]").await;
        jo.has_title(&title).await;
    }
}

#[tokio::test]
async fn done_opens_the_next_and_a_second_press_closes_nothing_unseen() {
    let hub = Hub::start().await;
    let (harbor, [maya, ..], jo) = three_waiting(&hub).await;
    jo.follows("Lee Chan").await;
    jo.sees_in(".message.inbound", "Thank you!").await;
    jo.presses(Key::Escape).await;
    jo.has_focus_on("Lee Chan").await;
    // The focus is on another row: the key acts on what is shown.
    jo.types("j").await;
    jo.has_focus_on("Tom Reyes").await;
    jo.types("ee").await;
    jo.sees_in(".thread-head", "Tom Reyes").await;
    jo.sees_in(".toast", "Done").await;
    jo.sees_no(".rows", "Lee Chan").await;
    jo.sees_in(".message.inbound", "My crown came off").await;
    let open = harbor.path("/conversations?status=open");
    let still = harbor.admin.get(&open).await.expect_status(200);
    assert_eq!(
        still["data"].as_array().unwrap().len(),
        2,
        "the second press closed nothing"
    );

    // The toast is gone; undo is not, once for each action.
    jo.evaluates("document.querySelector('.toast').remove()")
        .await;
    jo.types("z").await;
    jo.sees_in(".toast", "Undone").await;
    jo.sees_in(".rows", "Lee Chan").await;
    jo.types("z").await;
    jo.sees_in(".toast", "Nothing to undo").await;
    let lee = harbor.conversation_with(LEE).await;
    assert_eq!(
        (&lee["status"], lee["waiting_since"].is_string()),
        (&json!("open"), true)
    );

    // Undone by a click, it is not undone once more by the key.
    jo.clicks("Done").await;
    jo.sees_in(".toast", "Done").await;
    jo.clicks("Undo").await;
    jo.sees_in(".toast", "Undone").await;
    jo.evaluates("document.activeElement.blur()").await;
    jo.types("z").await;
    jo.sees_in(".toast", "Nothing to undo").await;

    // With the setting off the conversation stays.
    let off = json!({"open_next_after_done": false});
    harbor
        .admin
        .patch(&harbor.path("/settings"), off)
        .await
        .expect_status(200);
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".list .live", "Live").await;
    jo.clicks("Done").await;
    jo.sees_in(".toast", "Done").await;
    jo.sees_in(".thread-head", "Reopen").await;
    jo.sees_in(".thread-head", "Maya Okafor").await;
}

#[tokio::test]
async fn marked_as_unread_leaves_the_conversation_and_looking_does_not_answer() {
    let hub = Hub::start().await;
    let (harbor, [maya, ..], jo) = three_waiting(&hub).await;
    jo.sees_in(".tabs", "Needs answer 3").await;
    jo.follows("Maya Okafor").await;
    jo.sees_in(".message.inbound", "Is 3:30 still free?").await;
    let row = format!("#row-{}", id(&maya));
    jo.finds_no(&format!("{row} .badge")).await;
    jo.finds(&format!("{row} .needs-answer")).await;
    jo.sees_in(".tabs", "Needs answer 3").await;

    jo.presses(Key::Escape).await;
    jo.types("u").await;
    jo.sees_in(".toast", "Marked as unread").await;
    jo.sees_in(".thread.nothing", "Choose a conversation").await;
    jo.sees_in(&format!("{row} .badge"), "1").await;
    jo.has_title("(3) Inbox · Harbor Dental").await;

    // Longest first; an answer ends it.
    jo.follows("Needs answer").await;
    jo.waits_until(
        "Maya is first",
        "document.querySelector('.rows .row .name').textContent === 'Maya Okafor'",
    )
    .await;
    jo.sees_in(&row, "waiting").await;
    harbor.reply(&harbor.admin, &maya, "Yes").await;
    jo.sees_no(".rows", "Maya Okafor").await;
    jo.sees_in(".tabs", "Needs answer 2").await;
    harbor.receive_text(MAYA, "Thanks, and Thursday?").await;
    jo.waits_until(
        "she is last",
        "[...document.querySelectorAll('.rows .row .name')].at(-1).textContent === 'Maya Okafor'",
    )
    .await;
}

#[tokio::test]
async fn assignment_notifies_and_words_carry_the_name_of_their_writer() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor
        .named_text(MAYA, "Maya Okafor", "Is 3:30 still free?")
        .await;
    let agent = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &agent).await;
    let (jo, sam) = Browser::pair(&hub.url("")).await;
    tokio::join!(jo.signs_in(&harbor.admin.email), sam.signs_in(&agent.email));
    sam.opens(&format!("/w/{}/templates", harbor.slug)).await;
    sam.evaluates("new Promise((joined) => { addEventListener('live:joined', () => joined(true), { once: true }); dispatchEvent(new Event('offline')) })").await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".list .live", "Live").await;

    jo.clicks("Assign, unassigned").await;
    jo.clicks("Sam").await;

    sam.sees_in(
        ".toast",
        "Jo Park assigned a conversation to you: Maya Okafor",
    )
    .await;
    sam.follows("Open").await;
    sam.sees_in(".thread-head", "Maya Okafor").await;
    jo.sees_in(".row .assignee", "S").await;
    jo.sees_no(".toast", "assigned a conversation to you").await;
    harbor.reply(&agent, &maya, "Yes, it is yours").await;
    jo.sees_in(".row .preview", "Sam: Yes, it is yours").await;
    sam.sees_in(".row .preview", "You: Yes, it is yours").await;
    for (one, prefix) in [(&jo, "Sam:"), (&sam, "You:")] {
        one.opens(&harbor.inbox(None)).await;
        one.sees_in(".row .preview", prefix).await;
        one.fills("Search people and messages", "yours").await;
        one.sees_in(".hit .prefix", prefix).await;
    }
}

#[tokio::test]
async fn rows_name_their_number_and_views_keep_a_filter() {
    const RECALL: &str = "+16285550177";
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    hub.twilio.account(&harbor.account, TOKEN).number(RECALL);
    let harbor = harbor.with_front_desk().await;
    let number = harbor.path(&format!("/numbers/{}", harbor.number(RECALL).await));
    let name = json!({"friendly_name": "Recall line"});
    harbor.admin.patch(&number, name).await.expect_status(200);
    let maya = harbor
        .named_text(MAYA, "Maya Okafor", "Is 3:30 still free?")
        .await;
    let tom = harbor
        .named_text(TOM, "Tom Reyes", "My crown came off")
        .await;
    hub.twilio.text(LEE, RECALL, "Thank you!").await;
    let tag = harbor.tag("Hygiene").await;
    harbor
        .admin
        .put(&harbor.contact_path(&maya, &format!("/tags/{tag}")))
        .await
        .expect_status(204);
    harbor
        .change(&harbor.admin, &tom, json!({"assignee_id": harbor.admin.id}))
        .await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(RECALL, &sam).await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;
    jo.sees_in(".row", "Recall line").await;
    jo.sees_in(&format!("#row-{} .assignee", id(&tom)), "JP")
        .await;

    jo.follows("Unassigned").await;
    jo.sees_no(".rows", "Tom Reyes").await;
    jo.sees_in(".tabs", "Unassigned 2").await;
    harbor
        .change(
            &harbor.admin,
            &maya,
            json!({"assignee_id": harbor.admin.id}),
        )
        .await;
    jo.sees_no(".rows", "Maya Okafor").await;
    harbor
        .change(&harbor.admin, &maya, json!({"assignee_id": null}))
        .await;
    jo.sees_in(".rows", "Maya Okafor").await;

    // A tag filters; saved as a view it is found again, by colleagues too if it is shared.
    jo.follows("Open").await;
    jo.sees_in(".rows", "Tom Reyes").await;
    jo.evaluates("document.getElementById('filter-menu').showPopover()")
        .await;
    jo.follows("Hygiene").await;
    jo.sees_no(".rows", "Tom Reyes").await;
    jo.sees_in(".rows", "Maya Okafor").await;
    jo.sees_in(".active-filter", "Hygiene").await;
    jo.clicks("Views").await;
    jo.fills("Save this view", "Cleanings").await;
    jo.clicks("Share with everyone").await;
    jo.clicks("Save view").await;
    jo.waits_until(
        "the menu has it",
        "document.getElementById('views-menu').textContent.includes('Cleanings')",
    )
    .await;
    jo.clicks("Views").await;
    jo.sees_in("#views-menu [aria-current]", "Cleanings").await;
    jo.opens(&harbor.inbox(None)).await;
    jo.sees_in(".rows", "Tom Reyes").await;
    jo.clicks("Views").await;
    jo.sees_in("#views-menu", "Shared views").await;
    jo.follows("Cleanings").await;
    jo.is_at(&format!("tag={tag}")).await;
    jo.sees_no(".rows", "Tom Reyes").await;

    // An agent of one number sees no number on rows, and the view within their numbers.
    let browser = Browser::start(&hub.url("")).await;
    browser.signs_in(&sam.email).await;
    browser.sees_in(".rows", "Thank you!").await;
    browser.sees_no(".row", "Recall line").await;
    browser.clicks("Views").await;
    browser.follows("Cleanings").await;
    browser.sees("No matches").await;
}

#[tokio::test]
async fn selection_changes_many_and_can_be_undone() {
    let hub = Hub::start().await;
    let (harbor, [maya, tom, lee], jo) = three_waiting(&hub).await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    harbor.tag("Recall").await;
    jo.reloads().await;
    jo.sees_in(".live", "Live").await;

    // x and Shift with a click select a range.
    jo.types("j").await;
    jo.has_focus_on("Lee Chan").await;
    jo.types("x").await;
    jo.sees_in(".bulk", "1 selected").await;
    let shift_click = format!(
        "document.getElementById('row-{}').dispatchEvent(new MouseEvent('click', {{ bubbles: true, cancelable: true, shiftKey: true }}))",
        id(&maya)
    );
    jo.evaluates(&shift_click).await;
    jo.sees_in(".bulk", "3 selected").await;
    // A live update keeps the selection.
    harbor.receive_text(TOM, "It hurts").await;
    jo.sees_in(".rows", "It hurts").await;
    jo.sees_in(".bulk", "3 selected").await;

    jo.evaluates("document.querySelector('.bulk [popovertarget=bulk-assign]').click()")
        .await;
    jo.evaluates("[...document.querySelectorAll('#bulk-assign button')].find((one) => one.textContent.includes('Sam')).click()").await;
    jo.sees_in(".toast", "Assigned 3 conversations to Sam")
        .await;
    jo.finds_no(".bulk").await;
    for one in [MAYA, TOM, LEE] {
        assert_eq!(
            harbor.conversation_with(one).await["assignee_id"],
            sam.id.as_str()
        );
    }

    jo.ticks(&tom).await;
    jo.ticks(&lee).await;
    jo.evaluates("document.querySelector('.bulk [popovertarget=bulk-tag]').click()")
        .await;
    jo.evaluates("document.querySelector('#bulk-tag button').click()")
        .await;
    jo.sees_in(".toast", "Tagged 2 conversations").await;
    jo.sees_in(&format!("#row-{} .tag", id(&tom)), "Recall")
        .await;

    jo.ticks(&tom).await;
    jo.ticks(&lee).await;
    jo.types("e").await;
    jo.sees_in(".toast", "2 done, still waiting for an answer: 2")
        .await;
    jo.sees_no(".rows", "Tom Reyes").await;
    // One has changed since: it stays as it is.
    harbor
        .change(&harbor.admin, &lee, json!({"status": "pending"}))
        .await;
    jo.types("z").await;
    jo.sees_in(
        ".toast",
        "Undone, except for 1 conversation that has changed since",
    )
    .await;
    jo.sees_in(".rows", "Tom Reyes").await;
    let restored = harbor.conversation_with(TOM).await;
    assert!(restored["waiting_since"].is_string(), "{restored}");
    assert_eq!(harbor.conversation_with(LEE).await["status"], "pending");

    // The actions of a row act on it alone.
    jo.ticks(&maya).await;
    let hover = format!(
        "document.getElementById('row-{}').dispatchEvent(new PointerEvent('pointerover', {{ bubbles: true }}))",
        id(&tom)
    );
    jo.evaluates(&hover).await;
    jo.evaluates(&format!(
        "document.querySelector('#item-{} .row-acts [value=done]').click()",
        id(&tom)
    ))
    .await;
    jo.sees_no(".rows", "Tom Reyes").await;
    jo.sees_in(".rows", "Maya Okafor").await;
    jo.sees_in(".bulk", "1 selected").await;
    jo.presses(Key::Escape).await;
    jo.finds_no(".bulk").await;
}

#[tokio::test]
async fn selected_conversations_are_exported_and_the_export_is_audited() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor
        .named_text(MAYA, "Maya Okafor", "=HYPERLINK(\"x\")")
        .await;
    harbor
        .named_text(TOM, "Tom Reyes", "My crown came off")
        .await;
    let path = format!("/w/{}/inbox/export.csv", harbor.slug);
    let request = harbor.admin.request(reqwest::Method::POST, &path);
    let form = format!("ids={}", id(&maya));
    let request = request
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let answer = harbor.admin.ask(request).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let lines: Vec<_> = answer.body.lines().collect();
    assert_eq!(lines.len(), 2, "{}", answer.body);
    assert!(
        lines[1].starts_with("Maya Okafor,") && lines[1].contains("'=HYPERLINK"),
        "{}",
        lines[1]
    );
    let audit = harbor.path("/audit?action=conversations_exported");
    let audit = harbor.admin.get(&audit).await.expect_status(200);
    assert_eq!(audit["data"][0]["after"]["conversations"], 1);
}

#[tokio::test]
async fn send_and_done_closes_what_was_answered() {
    let hub = Hub::start().await;
    let (harbor, [_, tom, _], jo) = three_waiting(&hub).await;
    jo.follows("Tom Reyes").await;
    jo.has_focus_on("Message to Tom Reyes").await;
    jo.types("Come by at noon").await;
    jo.chord(Key::Control, char::from(Key::Enter)).await;
    jo.sees_in(".thread-head", "Maya Okafor").await;
    jo.sees_no(".rows", "Tom Reyes").await;
    let after = harbor.conversation_with(TOM).await;
    assert_eq!(
        (&after["status"], &after["last_message_preview"]),
        (&json!("done"), &json!("Come by at noon"))
    );
    // Undone, it is open and answered.
    jo.presses(Key::Escape).await;
    jo.types("z").await;
    jo.sees_in(".rows", "Tom Reyes").await;
    let after = harbor.conversation_with(TOM).await;
    assert_eq!(
        (&after["status"], &after["waiting_since"]),
        (&json!("open"), &Value::Null)
    );
    let _ = tom;
}

#[tokio::test]
async fn scheduled_text_stays_below_the_newest() {
    let hub = Hub::start().await;
    let (harbor, [maya, ..], jo) = three_waiting(&hub).await;
    let tomorrow = chrono::Utc::now() + chrono::Duration::days(1);
    let draft = |content: &str, hours| json!({"conversation_id": maya["id"], "content": content, "scheduled_at": tomorrow + chrono::Duration::hours(hours)});
    let messages = harbor.path("/messages");
    harbor
        .admin
        .post(&messages, draft("Second reminder", 2))
        .await
        .expect_status(202);
    jo.follows("Maya Okafor").await;
    jo.sees_in(".scheduled-texts .message", "Second reminder")
        .await;

    hub.twilio.text(MAYA, FRONT_DESK, "And parking?").await;
    jo.sees_in(".messages .message.inbound", "And parking?")
        .await;
    harbor
        .admin
        .post(&messages, draft("First reminder", 1))
        .await
        .expect_status(202);
    jo.sees_in(".scheduled-texts", "First reminder").await;
    let texts = "[...document.querySelectorAll('.scroller .message .bubble')].map((one) => one.textContent).slice(-3).join()";
    assert_eq!(
        jo.evaluates(texts).await,
        "And parking?,First reminder,Second reminder"
    );
    jo.reloads().await;
    jo.sees_in(".scheduled-texts", "First reminder").await;
    assert_eq!(
        jo.evaluates(texts).await,
        "And parking?,First reminder,Second reminder"
    );
    let first = jo
        .evaluates("document.querySelector('.scheduled-texts .message').id.slice(8)")
        .await;
    let send_now = harbor.path(&format!("/messages/{}/send-now", first.as_str().unwrap()));
    harbor
        .admin
        .post(&send_now, json!({}))
        .await
        .expect_status(200);
    schedule::queue_due(&hub.server.app.db).await.unwrap();
    jo.sees_no(".scheduled-texts", "First reminder").await;
    jo.sees_in(".messages .message.outbound", "First reminder")
        .await;

    // It stands where it was sent: after what came since it was written.
    hub.twilio.text(MAYA, FRONT_DESK, "Found it").await;
    jo.sees_in(".messages .message.inbound", "Found it").await;
    let sent = "And parking?,First reminder,Found it,Second reminder";
    let texts = texts.replace("-3", "-4");
    assert_eq!(jo.evaluates(&texts).await, sent);
    jo.reloads().await;
    jo.sees_in(".messages .message.inbound", "Found it").await;
    assert_eq!(jo.evaluates(&texts).await, sent);
}

#[tokio::test]
async fn scheduled_text_of_an_older_page_stands_where_it_was_sent() {
    let hub = Hub::start().await;
    let (harbor, [maya, ..], jo) = three_waiting(&hub).await;
    let tomorrow = chrono::Utc::now() + chrono::Duration::days(1);
    let reminder =
        json!({"conversation_id": maya["id"], "content": "Reminder", "scheduled_at": tomorrow});
    let scheduled = harbor
        .admin
        .post(&harbor.path("/messages"), reminder)
        .await
        .expect_status(202);
    for n in 0..45 {
        harbor.receive_text(MAYA, &format!("Text {n}")).await;
    }
    let send_now = harbor.path(&format!("/messages/{}/send-now", id(&scheduled["message"])));
    harbor
        .admin
        .post(&send_now, json!({}))
        .await
        .expect_status(200);
    schedule::queue_due(&hub.server.app.db).await.unwrap();
    harbor.receive_text(MAYA, "The last").await;

    // The newest page does not have it: it was written before the texts of that page.
    jo.follows("Maya Okafor").await;
    jo.sees_in(".messages .message", "The last").await;
    jo.evaluates("(() => { const scroller = document.querySelector('.scroller'); scroller.scrollTop = -scroller.scrollHeight })()").await;
    jo.waits_until(
        "with its page it comes to its place",
        "[...document.querySelectorAll('.messages .message .bubble')].map((one) => one.textContent).slice(-3).join() === 'Text 44,Reminder,The last'",
    )
    .await;
    jo.waits_until(
        "the page that it came with is there",
        "document.querySelector('.messages').textContent.includes('Is 3:30 still free?')",
    )
    .await;
}

#[tokio::test]
async fn bulk_assignment_leaves_what_a_colleague_has_taken_meanwhile() {
    let hub = Hub::start().await;
    let (harbor, [maya, tom, lee], jo) = three_waiting(&hub).await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    for agent in [&sam, &lin] {
        harbor.assign_number(FRONT_DESK, agent).await;
    }
    jo.reloads().await;
    jo.sees_in(".live", "Live").await;
    for one in [&maya, &tom, &lee] {
        jo.ticks(one).await;
    }
    jo.sees_in(".bulk", "3 selected").await;
    let taken = json!({"assignee_id": lin.id});
    harbor.change(&lin, &tom, taken).await;
    jo.waits_until(
        "the row shows it",
        &format!(
            "document.getElementById('row-{}').dataset.assignee === '{}'",
            id(&tom),
            lin.id
        ),
    )
    .await;
    let assign_to_sam = "[...document.querySelectorAll('#bulk-assign button')].find((one) => one.textContent.includes('Sam')).click()";
    jo.evaluates(assign_to_sam).await;
    jo.sees_in(
        ".toast",
        "Assigned 2 conversations to Sam. 1 was already someone else’s and wasn’t changed",
    )
    .await;
    assert_eq!(
        harbor.conversation_with(TOM).await["assignee_id"],
        lin.id.as_str()
    );
    // Undone: only what was done.
    jo.types("z").await;
    jo.sees_in(".toast", "Undone").await;
    assert_eq!(
        harbor.conversation_with(TOM).await["assignee_id"],
        lin.id.as_str()
    );
    assert_eq!(
        harbor.conversation_with(MAYA).await["assignee_id"],
        Value::Null
    );

    // Selected as it is now, it is reassigned.
    jo.ticks(&tom).await;
    jo.sees_in(".bulk", "1 selected").await;
    jo.evaluates(assign_to_sam).await;
    jo.sees_in(".toast", "Assigned 1 conversation to Sam").await;
    assert_eq!(
        harbor.conversation_with(TOM).await["assignee_id"],
        sam.id.as_str()
    );
}

#[tokio::test]
async fn unread_mark_and_tags_are_undone() {
    let hub = Hub::start().await;
    let (harbor, [maya, tom, _], jo) = three_waiting(&hub).await;
    harbor.tag("Recall").await;
    jo.reloads().await;
    jo.sees_in(".live", "Live").await;
    jo.follows("Maya Okafor").await;
    jo.finds("[data-title='Maya Okafor']").await;
    let unread = format!("#row-{} .badge", id(&maya));
    jo.finds_no(&unread).await;
    jo.evaluates("document.activeElement.blur()").await;
    jo.types("u").await;
    jo.finds(&unread).await;
    jo.sees_in(".toast", "Marked as unread").await;
    jo.types("z").await;
    jo.finds_no(&unread).await;
    jo.sees_in(".toast", "Undone").await;
    assert_eq!(harbor.conversation_with(MAYA).await["unread_count"], 0);

    // A text that has arrived since stays unread.
    jo.follows("Maya Okafor").await;
    jo.finds("[data-title='Maya Okafor']").await;
    jo.evaluates("document.activeElement.blur()").await;
    jo.types("u").await;
    jo.sees_in(".toast", "Marked as unread").await;
    harbor.receive_text(MAYA, "Hello?").await;
    jo.sees_in(".rows", "Hello?").await;
    jo.types("z").await;
    jo.sees_in(".toast", "Undone").await;
    assert_eq!(harbor.conversation_with(MAYA).await["unread_count"], 2);

    // A tag that is added, and removed.
    jo.follows("Tom Reyes").await;
    jo.finds("[data-title='Tom Reyes']").await;
    let tags = ".details .tags";
    jo.fills("Add tag", "Recall").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(tags, "Recall").await;
    jo.sees_in(".toast", "Tag “Recall” added").await;
    jo.evaluates("document.activeElement.blur()").await;
    jo.types("z").await;
    jo.sees_no(tags, "Recall").await;
    jo.sees_in(".toast", "Undone").await;
    jo.fills("Add tag", "Recall").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(tags, "Recall").await;
    jo.clicks("Remove tag Recall").await;
    jo.sees_no(tags, "Recall").await;
    jo.sees_in(".toast", "Tag “Recall” removed").await;
    jo.evaluates("document.activeElement.blur()").await;
    jo.types("z").await;
    jo.sees_in(tags, "Recall").await;

    // Of many: only those that did not have it lose it again.
    jo.ticks(&maya).await;
    jo.ticks(&tom).await;
    jo.evaluates("document.querySelector('#bulk-tag button').click()")
        .await;
    jo.sees_in(&format!("#row-{} .tag", id(&maya)), "Recall")
        .await;
    jo.types("z").await;
    jo.sees_no(&format!("#row-{} .tags", id(&maya)), "Recall")
        .await;
    jo.sees_in(&format!("#row-{} .tag", id(&tom)), "Recall")
        .await;
}

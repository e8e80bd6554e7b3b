//! Search in the inbox, and the command palette.

use fantoccini::key::Key;
use serde_json::{Value, json};

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA, Workspace};
use crate::media::photo;

const TOM: &str = "+14155550177";

async fn sets_status(harbor: &Workspace<'_>, conversation: &Value, status: &str) {
    let id = conversation["id"].as_str().unwrap();
    let path = harbor.path(&format!("/conversations/{id}"));
    let change = json!({"status": status});
    harbor.admin.patch(&path, change).await.expect_status(200);
}

#[tokio::test]
async fn search_result_opens_the_message_in_context() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let text = async |body: &str| {
        let answer = hub.twilio.text(MAYA, FRONT_DESK, body).await;
        assert_eq!(answer.status(), 200);
    };
    for nth in 1..=90 {
        match nth {
            25 => {
                text("The <b>gate</b> code is 4711").await;
                let maya = harbor.conversation_with(MAYA).await;
                harbor.add_note(&maya, "Changed on Monday").await;
                sets_status(&harbor, &maya, "pending").await;
            }
            _ => text(&format!("Text number {nth}.")).await,
        }
    }
    let maya = harbor.conversation_with(MAYA).await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let read = harbor.path(&format!(
        "/conversations/{}/read",
        maya["id"].as_str().unwrap()
    ));
    harbor.admin.post(&read, Value::Null).await;
    hub.twilio.text(TOM, FRONT_DESK, "Is the gate open?").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;

    jo.types("/").await;
    jo.types("gat").await;
    jo.sees_in(".found mark", "gat").await;
    jo.sees_in(".found", "The <b>gate</b> code is 4711").await;
    jo.sees_in(".found", "Is the gate open?").await;
    jo.waits_until("only texts are found", "[...document.querySelectorAll('.found h2')].map((it) => it.innerText).join() === 'Messages'").await;
    // New texts are not inserted into search results.
    hub.twilio
        .text("+14155550166", FRONT_DESK, "I am new here")
        .await;
    jo.has_title("(2) Inbox · Harbor Dental").await;
    jo.sees_no(".rows", "I am new here").await;

    jo.follows("Maya Okafor").await;
    jo.sees_in(".message.highlighted", "gate").await;
    let reading = "const scroller = document.querySelector('.scroller').getBoundingClientRect();
        const box = (text) => [...document.querySelectorAll('.message')].find((it) => it.innerText.includes(text))?.getBoundingClientRect();
        const shown = (text) => box(text) && box(text).top >= scroller.top && box(text).bottom <= scroller.bottom";
    let shown = |text: &str| format!("(() => {{ {reading}; return shown('{text}') }})()");
    let height_of =
        |text: &str| format!("(() => {{ {reading}; return Math.round(box('{text}').top) }})()");
    jo.waits_until("it is in view", &shown("code is 4711"))
        .await;
    jo.sees_in(".message", "Text number 24.").await;
    jo.sees_in(".message", "Text number 26.").await;
    jo.sees_in("a.news", "Jump to latest").await;
    let here = "[...document.querySelectorAll('.message')].some((it) => it.innerText.includes('Text number 90.'))";
    assert_eq!(
        jo.evaluates(here).await,
        false,
        "messages far below are not loaded"
    );

    // Notes and events around it are loaded, later events are not.
    jo.sees_in(".message.note", "Changed on Monday").await;
    jo.sees_in(".event", "Jo Park marked this as pending").await;
    jo.sees_in(".event", "Reopened by a new text").await;
    sets_status(&harbor, &maya, "done").await;

    // A new text is counted, not inserted across the gap.
    text("Hello from now").await;
    jo.sees_in("a.news", "1 new message").await;
    assert_eq!(
        jo.evaluates("document.querySelector('.messages').innerText.includes('Hello from now')")
            .await,
        false
    );

    // Newer messages load below; the reading position stays.
    let bottom = "document.querySelector('.scroller').scrollTo(0, 0)";
    jo.waits_until(
        "the gap ends below",
        "document.querySelector('.messages > .newer')",
    )
    .await;
    jo.evaluates("document.querySelector('.scroller').scrollTo(0, -30)")
        .await;
    let anchor = "Text number 44.";
    let before = jo.evaluates(&height_of(anchor)).await;
    jo.waits_until("newer ones are loaded", "[...document.querySelectorAll('.message')].some((it) => it.innerText.includes('Text number 50.'))").await;
    jo.waits_until(
        "the reading position stays",
        &format!("Math.abs(({}) - ({before})) <= 2", height_of(anchor)),
    )
    .await;
    for _ in 0..4 {
        jo.evaluates(bottom).await;
        jo.evaluates("new Promise((done) => setTimeout(done, 400))")
            .await;
    }
    jo.sees_in(".message", "Hello from now").await;
    jo.finds_no("a.news").await;
    let lines = "[...document.querySelectorAll('.messages > .message, .messages > .event')].map((it) => it.id)";
    let once = format!("new Set({lines}).size === {lines}.length");
    jo.waits_until("each is there once", &once).await;
    let bare = "(it) => it.slice(it.indexOf('-'))";
    let sorted = format!("{lines}.map({bare}).join() === {lines}.map({bare}).sort().join()");
    jo.waits_until("they are in order", &sorted).await;
    jo.sees_in(".event", "Jo Park marked this as done").await;
    // Without a gap new texts are inserted.
    text("And another").await;
    jo.sees_in(".message", "And another").await;
    jo.evaluates("document.querySelector('.scroller').scrollTo(0, -100000)")
        .await;
    jo.sees_in(".message", "Text number 1.").await;

    // A link leads from the middle to the newest message.
    jo.fills("Search people and messages", "4711").await;
    jo.sees_no(".found", "Is the gate open?").await;
    jo.sees_in(".found mark", "4711").await;
    jo.follows("Maya Okafor").await;
    jo.follows("Jump to latest").await;
    jo.sees_in(".message", "And another").await;
    jo.finds_no("a.news").await;
}

#[tokio::test]
async fn search_works_without_scripts_and_reports_no_results() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.has_no_scripts().await;
    jo.signs_in(&harbor.admin.email).await;

    jo.fills("Search people and messages", "0192").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".found h2", "People").await;
    jo.sees_in(".found h2", "Conversations").await;
    jo.sees_in(".found", "Maya Okafor").await;
    jo.fills("Search people and messages", "free").await;
    jo.presses(Key::Enter).await;
    jo.follows("Maya Okafor").await;
    jo.is_at("#message-").await;
    jo.sees_in(".message:target", "Is 3:30 still free?").await;
    jo.fills("Search people and messages", "zebra").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".list", "No results for “zebra”").await;
    jo.sees_in(".list", "all the messages and notes").await;
}

#[tokio::test]
async fn message_stays_in_view_while_images_load() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Where is the gate?").await;
    let photo = photo();
    for _ in 0..4 {
        let path = harbor.path("/media");
        let uploaded = harbor.admin.upload_to(&path, &photo).await;
        let id = uploaded.expect_status(201)["id"].clone();
        let draft = json!({"conversation_id": maya["id"], "media_ids": [id]});
        let sent = harbor.admin.post(&harbor.path("/messages"), draft).await;
        let sent = sent.expect_status(202);
        assert_eq!(sent["message"]["media"][0]["height"], 854);
    }
    let text = harbor.thread(&maya).await[0]["id"].clone();
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    let place = format!(
        "{}?at={}",
        harbor.inbox(Some(&maya)),
        text.as_str().unwrap()
    );
    let free = "[...document.querySelectorAll('.photo')].filter((it) => it.getBoundingClientRect().height > 100).length === 4";
    let in_view = "(() => {
        const scroller = document.querySelector('.scroller').getBoundingClientRect(), box = document.querySelector('.highlighted')?.getBoundingClientRect()
        return box?.top >= scroller.top && box.bottom <= scroller.bottom })()";

    jo.opens(&place).await;
    jo.waits_until("their space is reserved", free).await;
    jo.waits_until("it is in view", in_view).await;

    // Images of unknown size.
    hub.execute_sql("update message_media set width = null, height = null")
        .await;
    jo.reloads().await;
    jo.waits_until("the images are loaded", free).await;
    jo.waits_until("it is in view again", in_view).await;
}

#[tokio::test]
async fn palette_runs_commands_and_opens_pages_by_keyboard() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let tom = harbor.receive_text("+14155550177", "Hello").await;
    harbor.names_contact(&tom, "Tom Reyes").await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let jo = Browser::start(&hub.url("")).await;
    let stay = serde_json::json!({"open_next_after_done": false});
    harbor
        .admin
        .patch(&harbor.path("/settings"), stay)
        .await
        .expect_status(200);
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;
    let palette = async || {
        jo.chord(Key::Control, 'k').await;
        jo.has_focus_on("Search or run a command").await;
    };

    palette().await;
    jo.types("okaf").await;
    jo.sees_in("#palette [role=group][aria-label=People]", "Maya Okafor")
        .await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".thread h1", "Maya Okafor").await;
    palette().await;
    jo.types("assign sam").await;
    jo.sees_in("#palette [aria-selected=true]", "Assign to Sam")
        .await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".thread-head", "Sam").await;
    palette().await;
    jo.sees_in("#palette [aria-label=Recent]", "Assign to Sam")
        .await;
    for command in [
        "Snooze for 1 hour",
        "Snooze until next week",
        "Snooze…",
        "Write a note",
        "Send later…",
        "Insert a template",
        "Unassign",
        "Mark as pending",
        "Add tag",
        "Edit contact",
        "Opt out…",
        "Next conversation",
    ] {
        jo.sees_in("#palette [role=group]", command).await;
    }
    jo.types("next week").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".thread-head", "Unsnooze").await;
    palette().await;
    jo.types("unsnooze").await;
    jo.presses(Key::Enter).await;
    jo.finds_no(".thread-head [data-command=Unsnooze]").await;
    palette().await;
    jo.types("write a note").await;
    jo.presses(Key::Enter).await;
    jo.has_focus_on("Internal note about Maya Okafor").await;
    palette().await;
    jo.types("add tag").await;
    jo.presses(Key::Enter).await;
    jo.has_focus_on("Add tag").await;
    palette().await;
    jo.types("next conversation").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".thread h1", "Tom Reyes").await;
    palette().await;
    jo.types("previous").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".thread h1", "Maya Okafor").await;
    palette().await;
    jo.types("mark as done").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".thread-head", "Reopen").await;
    palette().await;
    jo.types("zzz").await;
    jo.sees_in("#palette [role=status]", "No results").await;
    jo.presses(Key::Escape).await;
    jo.finds_no("#palette").await;
    palette().await;
    jo.types("still free").await;
    jo.sees_in("#palette [aria-label=Messages]", "Is 3:30 still free?")
        .await;
    jo.presses(Key::Escape).await;
    jo.finds_no("#palette").await;
    palette().await;
    jo.types("members").await;
    jo.presses(Key::Down).await;
    jo.presses(Key::Up).await;
    jo.sees_in("#palette [aria-selected=true]", "Members").await;
    jo.presses(Key::Enter).await;
    jo.is_at("/admin/members").await;
    palette().await;
    jo.types("invite").await;
    jo.presses(Key::Enter).await;
    jo.waits_until(
        "the field has the focus",
        "document.activeElement.name === 'email'",
    )
    .await;
    jo.opens(&format!("/w/{}/contacts", harbor.slug)).await;
    jo.sees("All contacts in this workspace").await;
    palette().await;
    for command in ["New contact", "Import", "Export"] {
        jo.sees_in("#palette [aria-label='On this page']", command)
            .await;
    }
    jo.types("new contact").await;
    jo.presses(Key::Enter).await;
    jo.is_at("/contacts/new").await;
    palette().await;
    jo.types("dark").await;
    jo.presses(Key::Enter).await;
    jo.waits_until(
        "it is dark",
        "getComputedStyle(document.documentElement).colorScheme === 'dark'",
    )
    .await;
    jo.reloads().await;
    jo.waits_until(
        "it stays dark",
        "getComputedStyle(document.documentElement).colorScheme === 'dark'",
    )
    .await;
    palette().await;
    jo.types("zzzz").await;
    jo.sees_in("#palette [role=status]", "No results").await;
}

/// What is typed while a page loads would otherwise be taken for shortcuts.
#[tokio::test]
async fn palette_stays_open_when_another_page_arrives() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;
    jo.chord(Key::Control, 'k').await;
    jo.has_focus_on("Search or run a command").await;
    jo.presses(Key::Escape).await;
    jo.finds_no("#palette").await;

    jo.has_latency(1_000).await;
    jo.evaluates("document.querySelector('a[href$=\"/admin/members\"]').click()")
        .await;
    jo.chord(Key::Control, 'k').await;
    jo.has_focus_on("Search or run a command").await;
    jo.types("invi").await;
    jo.sees_in("h1", "Members").await;
    jo.has_latency(0).await;
    jo.has_focus_on("Search or run a command").await;
    jo.types("te").await;
    jo.sees_in("#palette [role=group]", "Invite").await;
    jo.presses(Key::Enter).await;
    jo.waits_until(
        "the field has the focus",
        "document.activeElement.name === 'email'",
    )
    .await;
}

#[tokio::test]
async fn search_results_are_reached_by_arrows_and_enter() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is the gate open?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let tom = harbor.receive_text(TOM, "The gate code?").await;
    harbor.names_contact(&tom, "Tom Reyes").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;
    jo.types("/").await;
    jo.types("gate").await;
    jo.sees_in(".found .name", "Maya Okafor").await;
    let focused = |name: &str| {
        format!("document.activeElement.querySelector('.name')?.textContent === '{name}'")
    };
    jo.presses(Key::Down).await;
    jo.waits_until("the first hit has the focus", &focused("Tom Reyes"))
        .await;
    jo.presses(Key::Down).await;
    jo.waits_until("the second one has it", &focused("Maya Okafor"))
        .await;
    jo.presses(Key::Up).await;
    jo.presses(Key::Up).await;
    jo.waits_until(
        "the field has it again",
        "document.activeElement.name === 'q'",
    )
    .await;
    jo.presses(Key::Down).await;
    jo.presses(Key::Down).await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".thread h1", "Maya Okafor").await;
    jo.evaluates("document.activeElement.blur()").await;
    jo.types("/").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".thread h1", "Tom Reyes").await;
}

#[tokio::test]
async fn palette_knows_every_page_and_ranks_it_before_contacts_and_messages() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let tom = harbor
        .receive_text(TOM, "It is dark, and my contacts need help")
        .await;
    harbor.names_contact(&tom, "Dark Contacts").await;
    hub.twilio.text(MAYA, FRONT_DESK, "Contacts?").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;

    // Every page that needs no choice.
    let pages: Vec<String> = crate::matrix::html::routes()
        .iter()
        .filter(|route| route.method == reqwest::Method::GET)
        .map(|route| route.name())
        .filter(|name| name.starts_with("GET ~/") && !name.contains('{'))
        .map(|name| name.trim_start_matches("GET ~").to_owned())
        .filter(|path| {
            !["/", "/send/people", "/templates/offer"].contains(&path.as_str())
                && !path.ends_with(".csv")
        })
        .collect();
    assert!(pages.len() > 15, "{pages:?}");
    let links = jo
        .evaluates("[...document.getElementById('palette-template').content.querySelectorAll('nav a')].map((link) => link.getAttribute('href').split('?')[0])")
        .await;
    for page in &pages {
        let there = format!("/w/{}{page}", harbor.slug);
        assert!(
            links.as_array().unwrap().iter().any(|link| link == &there),
            "{there} is not in the palette"
        );
    }

    let first_of = async |typed: &str| {
        jo.chord(Key::Control, 'k').await;
        jo.has_focus_on("Search or run a command").await;
        jo.types(typed).await;
        jo.sees_in(
            "#palette [role=group][aria-label=People], #palette [aria-label=Messages]",
            "",
        )
        .await;
        let first = "document.querySelector('#palette [aria-selected=true] .label').textContent";
        let first = jo.evaluates(first).await;
        jo.presses(Key::Escape).await;
        jo.finds_no("#palette").await;
        first
    };
    assert_eq!(first_of("contacts").await, "Contacts");
    assert_eq!(first_of("dark").await, "Dark theme");
    assert_eq!(first_of("help").await, "Keyboard shortcuts");
    jo.chord(Key::Control, 'k').await;
    jo.has_focus_on("Search or run a command").await;
    jo.types("tac").await;
    jo.sees_in("#palette [aria-label='Go to']", "Contacts")
        .await;
    jo.sees_in("#palette", "(415) 555-0177").await;
}

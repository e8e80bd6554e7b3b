//! Writing: templates, drafts, segments, numbers, scheduling, media.

mod emoji;
mod files;
mod new_text;
mod outside;

use fantoccini::key::Key;
use serde_json::{Value, json};

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA, TOKEN, Workspace, until};

const RECALL: &str = "+16285550101";

async fn adds_template(harbor: &Workspace<'_>, name: &str, content: &str) {
    let template = json!({"name": name, "content": content, "shared": true});
    harbor
        .admin
        .post(&harbor.path("/templates"), template)
        .await
        .expect_status(201);
}

fn holds(text: &str) -> String {
    format!(
        "document.querySelector('textarea[name=content]').value === {}",
        Value::from(text)
    )
}

#[tokio::test]
async fn slash_inserts_a_template_and_requires_its_variables() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    adds_template(
        &harbor,
        "Parking",
        "Parking is on the left, {{first_name}}.",
    )
    .await;
    adds_template(
        &harbor,
        "Reminder",
        "Hi {{first_name|there}}, {{doctor}} sees you at {{time}}.",
    )
    .await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;

    // By keyboard. Text after a slash that matches no template is left alone.
    jo.fills("Message to", "1/2 and /").await;
    jo.sees_in(".offers [aria-selected=true]", "Parking").await;
    jo.types("xyz").await;
    jo.finds_no(".offers").await;
    jo.fills("Message to", "/rem").await;
    jo.sees_in(".offers [aria-selected=true]", "Reminder").await;
    jo.sees_no(".offers", "Parking").await;
    jo.presses(Key::Escape).await;
    jo.finds_no(".offers").await;
    jo.fills("Message to", "/").await;
    jo.presses(Key::Down).await;
    jo.sees_in(".offers [aria-selected=true]", "Reminder").await;
    jo.waits_until(
        "the option is announced to screen readers",
        "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))?.textContent.includes('Reminder')",
    )
    .await;
    jo.presses(Key::Enter).await;
    jo.waits_until(
        "it is in the field",
        &holds("Hi Maya, {{doctor}} sees you at {{time}}."),
    )
    .await;

    jo.types("Dr. Lin").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".fill.asked", "time").await;
    jo.types("3:30").await;
    jo.finds_no(".fill").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(
        ".message.outbound[id^=message-]",
        "Hi Maya, Dr. Lin sees you at 3:30.",
    )
    .await;
    assert_eq!(hub.run_sender().await, 1);

    jo.fills("Message to", "Hello!").await;
    jo.clicks("Templates").await;
    jo.sees_in(".offers [role=option]", "Parking").await;
    jo.evaluates("document.querySelector('.offers [role=option]').dispatchEvent(new MouseEvent('mousedown', { bubbles: true, cancelable: true }))").await;
    jo.waits_until(
        "both are in the field",
        &holds("Hello! Parking is on the left, Maya."),
    )
    .await;
}

#[tokio::test]
async fn templates_are_created_found_changed_shared_and_deleted() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    let (jo, sams) = Browser::pair(&hub.url("")).await;
    jo.expects_console("status of 422");
    let page = format!("/w/{}/templates", harbor.slug);
    jo.signs_in(&harbor.admin.email).await;
    jo.follows("Templates").await;
    jo.sees("No templates yet").await;
    jo.follows("Create the first one").await;
    jo.fills("Name", "Parking").await;
    jo.fills("Text", "Hi {{first_name}}, park on the left.")
        .await;
    jo.sees_in(".preview .bubble", "Hi Maya, park on the left.")
        .await;
    jo.fills("Name", &"x".repeat(81)).await;
    jo.clicks("Save").await;
    jo.sees_in(".error", "Enter a name of 1 to 80 characters")
        .await;
    jo.waits_until(
        "what was typed is kept",
        &holds("Hi {{first_name}}, park on the left."),
    )
    .await;
    jo.fills("Name", "Parking").await;
    jo.clicks("Save").await;
    jo.sees_in(".toast", "Saved").await;
    jo.sees_in(".templates", "Only you").await;
    sams.signs_in(&sam.email).await;
    sams.opens(&page).await;
    sams.sees("No templates yet").await;

    jo.follows("Parking").await;
    jo.clicks("Share with everyone").await;
    jo.clicks("Save").await;
    jo.sees_in(".templates", "Shared").await;
    sams.reloads().await;
    sams.follows("Parking").await;
    sams.sees("Only its creator and admins can change it").await;
    sams.finds_no("form button.primary").await;
    jo.fills("Find by name", "zzz").await;
    jo.sees("No results for “zzz”").await;
    jo.fills("Find by name", "LEFT").await;
    jo.follows("Parking").await;
    jo.clicks("Delete…").await;
    jo.clicks("Delete “Parking”").await;
    jo.sees_in(".toast", "Template deleted").await;
    jo.sees("No templates yet").await;
}

/// Waits until the server has stored this draft.
async fn saves_draft(hub: &Hub, content: &str) {
    until(&format!("the draft “{content}” is saved"), async || {
        let found: i64 = sqlx::query_scalar("select count(*) from drafts where content = $1")
            .bind(content)
            .fetch_one(&hub.superuser_pool)
            .await
            .unwrap();
        found == 1
    })
    .await;
}

#[tokio::test]
async fn draft_follows_its_author_between_browsers() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let tom = harbor.receive_text("+14155550177", "Hello").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    harbor.names_contact(&tom, "Tom").await;
    let (desk, phone) = Browser::pair(&hub.url("")).await;
    for it in [&desk, &phone] {
        it.signs_in(&harbor.admin.email).await;
    }
    desk.expects_console("net::ERR_")
        .expects_console("WebSocket");
    // The older of two concurrent drafts is refused.
    desk.expects_console("status of 409");
    desk.follows("Maya Okafor").await;
    desk.sees_in(".live", "Live").await;
    desk.fills("Message to", "Let me look").await;
    desk.follows("Tom").await;
    desk.sees_in(".row .own.draft", "Draft: Let me look").await;

    saves_draft(&hub, "Let me look").await;
    phone.opens(&harbor.inbox(None)).await;
    phone.sees_in(".row", "Draft: Let me look").await;
    phone.follows("Maya Okafor").await;
    phone
        .waits_until("the draft is there", &holds("Let me look"))
        .await;
    phone.fills("Message to", "Let me look it up").await;
    phone.follows("Tom").await;
    saves_draft(&hub, "Let me look it up").await;
    desk.follows("Maya Okafor").await;
    desk.waits_until("the newest draft is shown", &holds("Let me look it up"))
        .await;

    // Concurrent edits: the newer draft is shown, the other one offered.
    desk.is_offline(true).await;
    desk.fills("Message to", "Written offline").await;
    phone.follows("Maya Okafor").await;
    phone
        .waits_until("it is there", &holds("Let me look it up"))
        .await;
    phone.fills("Message to", "Written on the phone").await;
    phone.follows("Tom").await;
    saves_draft(&hub, "Written on the phone").await;
    phone.opens(&harbor.inbox(Some(&tom))).await;
    phone.sees_in(".row", "Draft: Written on the phone").await;
    desk.is_offline(false).await;
    desk.opens(&harbor.inbox(Some(&maya))).await;
    desk.waits_until(
        "neither is lost",
        "[document.querySelector('textarea[name=content]').value, document.querySelector('.other-draft q').textContent].sort().join('|') === 'Written offline|Written on the phone'",
    )
    .await;
    desk.clicks("Use that draft").await;

    // A sent text is no draft in any browser.
    desk.fills("Message to", "See you").await;
    desk.presses(Key::Enter).await;
    desk.sees_in(".message.outbound[id^=message-]", "See you")
        .await;
    desk.waits_until("the field is empty", &holds("")).await;
    hub.wait_for_count("select count(*) from drafts", 0).await;
    phone.opens(&harbor.inbox(Some(&maya))).await;
    phone
        .waits_until("it is empty there, too", &holds(""))
        .await;
    phone.finds_no(".row .own").await;
}

#[tokio::test]
async fn segment_count_matches_the_server_and_offers_replacement() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    sam.patch(&harbor.path("/settings"), json!({"signature": "Sam"}))
        .await
        .expect_status(200);
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&sam.email).await;

    // The scripts agree with the vectors of the server.
    let vectors: Value = serde_json::from_str(include_str!("../../vectors/segments.json")).unwrap();
    let wrong = jo.evaluates(&format!("import('segments').then(({{ segments }}) => {vectors}.filter(({{ text, ...expected }}) => {{
        const found = segments(text.map(([piece, times]) => piece.repeat(times)).join(''))
        return ['encoding', 'units', 'segments', 'culprit'].some((key) => found[key] !== expected[key])
    }}))")).await;
    assert_eq!(wrong, json!([]));
    let vectors: Value =
        serde_json::from_str(include_str!("../../vectors/variables.json")).unwrap();
    let wrong = jo.evaluates(&format!("import('variables').then(({{ filled, missing }}) => {vectors}.filter((it) =>
        filled(it.text, it.values) !== it.filled || missing(it.text, it.values).join() !== it.missing.join()))")).await;
    assert_eq!(wrong, json!([]));

    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    jo.fills("Message to", "See you").await;
    // The signature counts: "See you", a newline, "Sam".
    jo.sees_in(
        ".composer .count",
        "149 characters left · with your signature · 1 credit",
    )
    .await;
    jo.fills("Message to", "See you – “soon”…").await;
    jo.sees_in(".replacement", "“–” is a special character: this text")
        .await;
    jo.clicks("Use “-”").await;
    jo.waits_until(
        "the characters are replaced",
        &holds("See you - \"soon\"..."),
    )
    .await;
    jo.finds_no(".replacement").await;
    jo.evaluates("document.execCommand('undo')").await;
    jo.waits_until("and can be undone", &holds("See you – “soon”…"))
        .await;
    jo.fills("Message to", &format!("{} 🎉 – ", "x".repeat(70)))
        .await;
    jo.sees_in(".replacement", "“🎉” is a special character")
        .await;
    jo.finds_no(".replacement button").await;

    // A text that is too long is marked, kept and not sent.
    jo.evaluates("(() => { const it = document.querySelector('.composer textarea'); it.value = 'x'.repeat(1600); it.dispatchEvent(new Event('input', { bubbles: true })) })()").await;
    jo.sees_in(".composer .count.bad", "4 over the limit").await;
    jo.clicks("Send").await;
    jo.waits_until(
        "it stays",
        "document.querySelector('.composer textarea').value.length === 1600",
    )
    .await;
    assert_eq!(
        hub.count("select count(*) from messages where direction = 'outbound'")
            .await,
        0
    );
}

#[tokio::test]
async fn switching_the_number_keeps_the_draft() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    hub.twilio
        .account(&harbor.account, TOKEN)
        .number(FRONT_DESK)
        .number(RECALL);
    harbor.connect_with(TOKEN).await.expect_status(201);
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;

    // The contact and the other number have no conversation: the first text creates it.
    jo.fills("Message to", "From the other one").await;
    jo.clicks("from (628) 555-0100").await;
    jo.clicks("(628) 555-0101").await;
    jo.is_at("/send?contact_id=").await;
    jo.sees_in("h1", "New text").await;
    jo.waits_until("it came along", &holds("From the other one"))
        .await;
    jo.waits_until(
        "the URL does not contain the text",
        "!/other/.test(location.href)",
    )
    .await;
    jo.goes_back().await;
    jo.sees_in(".thread-head", "to (628) 555-0100").await;
    jo.waits_until("it is still here", &holds("From the other one"))
        .await;
    jo.clicks("from (628) 555-0100").await;
    jo.clicks("(628) 555-0101").await;
    jo.is_at("/send?contact_id=").await;
    jo.waits_until("it came along", &holds("From the other one"))
        .await;
    assert_eq!(
        hub.count("select count(*) from conversations").await,
        1,
        "no conversation is created yet"
    );
    jo.clicks("Send").await;
    jo.sees_in(".message.outbound[id^=message-]", "From the other one")
        .await;
    jo.sees_in(".thread-head", "to (628) 555-0101").await;

    jo.fills("Message to", "And back").await;
    jo.clicks("from (628) 555-0101").await;
    jo.clicks("(628) 555-0100").await;
    jo.is_at(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".notice", "You’re now writing from another number")
        .await;
    jo.waits_until("it came along", &holds("And back")).await;
    assert_eq!(hub.count("select count(*) from drafts").await, 1);
}

#[tokio::test]
async fn scheduled_text_can_be_changed_sent_now_or_canceled() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 422");
    jo.runs_command(
        "Emulation.setTimezoneOverride",
        json!({"timezoneId": "America/Los_Angeles"}),
    )
    .await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    let page = format!("/w/{}/scheduled", harbor.slug);

    jo.fills("Message to", "Tomorrow then").await;
    jo.clicks("Send later").await;
    jo.sees_in("#later", "Date and time (PT)").await;
    jo.clicks("Tomorrow morning").await;
    jo.sees_in(".message.outbound .state", "Scheduled for")
        .await;
    jo.sees_in(".message.outbound .state", "9:00 AM").await;
    let nine: bool = sqlx::query_scalar("select extract(hour from scheduled_at at time zone 'America/Los_Angeles') = 9 from messages where status = 'scheduled'")
        .fetch_one(&hub.superuser_pool)
        .await
        .unwrap();
    assert!(nine, "nine in the zone of the browser");
    assert_eq!(hub.run_sender().await, 0);

    jo.fills("Message to", "Yesterday").await;
    jo.clicks("Send later").await;
    jo.evaluates("(() => { const it = document.querySelector('#later input'); it.value = '2020-01-01T09:00'; it.dispatchEvent(new Event('change', { bubbles: true })) })()").await;
    jo.clicks("Send at this time").await;
    jo.sees_in("#later .error", "Choose a date and time in the future")
        .await;
    jo.presses(Key::Escape).await;
    jo.fills("Message to", "").await;

    jo.clicks("Edit or cancel").await;
    jo.fills("Text", "Tomorrow at nine").await;
    jo.clicks("Save").await;
    jo.sees_in(".message.outbound .bubble", "Tomorrow at nine")
        .await;

    // Canceled on the page of scheduled texts; another one is sent now.
    jo.opens(&page).await;
    jo.sees_in(".plans", "Tomorrow at nine").await;
    jo.sees_in(".plans", "to Maya Okafor from (628) 555-0100")
        .await;
    jo.clicks("Edit or cancel").await;
    jo.clicks("Cancel").await;
    jo.sees_in(".toast", "Canceled").await;
    jo.sees("No scheduled texts").await;
    let later = (chrono::Utc::now() + chrono::Duration::days(2)).to_rfc3339();
    let draft =
        json!({"conversation_id": maya["id"], "content": "Right now", "scheduled_at": later});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    jo.follows("Mine").await;
    jo.clicks("Edit or cancel").await;
    jo.clicks("Send now").await;
    jo.sees_in(".toast", "Sending now").await;
    messagehub::domain::messages::schedule::queue_due(&hub.server.app.db)
        .await
        .unwrap();
    while hub.run_sender().await > 0 {}
    assert_eq!(hub.twilio.sent("Right now").len(), 1);
    assert_eq!(hub.twilio.messages().len(), 1);
}

//! A text to somebody new.

use fantoccini::key::Key;

use super::{adds_template, holds, saves_draft};
use crate::browser::Browser;
use crate::hub::{Hub, MAYA, PNG, until};

const TOM: &str = "+14155550177";

#[tokio::test]
async fn new_text_by_name_or_number_opens_its_conversation() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 422")
        .expects_console("status of 409");
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;
    jo.types("c").await;
    jo.is_at("/send").await;

    // Recent contacts are offered for an empty query.
    jo.sees_in("#people [role=option]", "Maya Okafor").await;
    jo.types("12").await;
    jo.fills("Text", "Welcome").await;
    jo.clicks("Send").await;
    jo.finds("#to[aria-invalid=true]").await;
    jo.finds("#to-error").await;
    jo.waits_until("what was typed is kept", &holds("Welcome"))
        .await;
    jo.fills("To", "Nobody").await;
    jo.clicks("Send").await;
    jo.sees_in("#to-error", "No contact named “Nobody”").await;
    jo.fills("To", "(415) 555-0133").await;
    jo.clicks("Send").await;
    jo.sees_in(".message.outbound[id^=message-]", "Welcome")
        .await;
    jo.sees_in(".thread-head", "(415) 555-0133").await;

    // By keyboard, to a contact; the draft survives a reload.
    jo.opens(&format!("/w/{}/send", harbor.slug)).await;
    jo.fills("To", "oka").await;
    jo.sees_in("#people[data-q=oka] [role=option]", "Maya Okafor")
        .await;
    jo.presses(Key::Down).await;
    jo.finds("#people [aria-selected=true]").await;
    jo.presses(Key::Enter).await;
    jo.waits_until(
        "she is chosen",
        "document.querySelector('#to').value === 'Maya Okafor'",
    )
    .await;
    jo.types("Hello Maya").await;
    saves_draft(&hub, "Hello Maya").await;
    jo.reloads().await;
    jo.waits_until("it is still there", &holds("Hello Maya"))
        .await;
    jo.clicks("Send").await;
    jo.is_at(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".message.outbound[id^=message-]", "Hello Maya")
        .await;
    assert_eq!(hub.count("select count(*) from drafts").await, 0);
    assert_eq!(hub.run_sender().await, 2);
}

#[tokio::test]
async fn new_text_schedule_and_template_work_without_scripts() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let tom = harbor.receive_text("+14155550177", "Hi").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    harbor.names_contact(&tom, "Maya Fischer").await;
    adds_template(
        &harbor,
        "Reminder",
        "Hi {{first_name}}, see you at {{time}}",
    )
    .await;
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 422");
    jo.has_no_scripts().await;
    jo.signs_in(&harbor.admin.email).await;
    jo.follows("New text").await;
    jo.fills("To", "Maya").await;
    jo.fills("Text", "Hello").await;
    jo.clicks("Send").await;
    jo.sees("Choose a contact").await;
    jo.clicks("Maya Okafor").await;
    jo.clicks("Send").await;
    jo.is_at(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".message.outbound .bubble", "Hello").await;

    // Missing variables are filled in by hand.
    jo.chooses("Or use a template", "Reminder").await;
    jo.clicks("Send").await;
    jo.sees_in(".composer-notice", "Fill in time").await;
    jo.waits_until("it is in the field", &holds("Hi Maya, see you at {{time}}"))
        .await;
    jo.fills("Message to", "Hi Maya, see you at 9").await;

    // Scheduled in UTC, the only zone that works without scripts.
    jo.clicks("Send later").await;
    jo.sees_in("#later", "Date and time (UTC)").await;
    jo.evaluates(
        "document.querySelector('#later input[type=datetime-local]').value = '2027-02-03T09:00'",
    )
    .await;
    jo.clicks("Send at this time").await;
    jo.sees_in(".message.outbound .state", "Scheduled for 3 Feb, 09:00 UTC")
        .await;
    jo.opens(&format!("/w/{}/scheduled", harbor.slug)).await;
    jo.clicks("Edit or cancel").await;
    jo.clicks("Cancel").await;
    jo.sees("No scheduled texts").await;

    jo.opens(&format!("/w/{}/templates/new", harbor.slug)).await;
    jo.fills("Name", "Parking").await;
    jo.fills("Text", "On the left").await;
    jo.clicks("Save").await;
    jo.sees("Parking").await;
}

#[tokio::test]
async fn new_text_opens_beside_the_list_and_enter_sends_it() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let tom = harbor.receive_text(TOM, "STOP").await;
    harbor.names_contact(&tom, "Tom Reyes").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;
    jo.types("c").await;
    jo.is_at("/send").await;
    jo.sees_in(".rows", "Maya Okafor").await;
    jo.has_title("(2) New text · Harbor Dental").await;
    jo.waits_until(
        "the sending number is shown",
        "document.querySelector('.new-text select').selectedOptions[0].text.startsWith('(628) 555-0100')",
    )
    .await;
    // The list is alive.
    harbor.receive_text(MAYA, "Or 4:00?").await;
    jo.sees_in(".rows", "Or 4:00?").await;

    // Who has opted out is marked.
    jo.fills("To", "tom").await;
    jo.sees_in("#people[data-q=tom] [role=option] .pill", "Opted out")
        .await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".addressing .error", "Tom Reyes has opted out")
        .await;

    // The number of the chosen person is shown.
    jo.fills("To", "oka").await;
    jo.presses(Key::Enter).await;
    jo.sees_in("#to-hint", "(415) 555-0192").await;
    jo.finds_no(".addressing .error").await;
    jo.types("4:00 is fine").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".message.outbound[id^=message-]", "4:00 is fine")
        .await;
    jo.is_at(&harbor.inbox(Some(&maya))).await;
    jo.opens(&format!("/w/{}/send", harbor.slug)).await;
    jo.follows("Close").await;
    jo.sees("Choose a conversation").await;

    // A phone shows it alone.
    jo.has_a_screen_of(390, 844).await;
    jo.follows("New text").await;
    jo.finds(".new-text[data-ready]").await;
    jo.finds_no(".rows").await;
    jo.follows("Back to the list").await;
    jo.finds(".rows").await;
}

#[tokio::test]
async fn new_text_to_several_is_a_text_for_each_and_names_the_refused() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let tom = harbor.receive_text(TOM, "Hi").await;
    harbor.names_contact(&tom, "Tom Reyes").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 409")
        .expects_console("status of 422");
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&format!("/w/{}/send", harbor.slug)).await;
    jo.finds(".new-text[data-ready]").await;
    jo.fills("To", "oka").await;
    jo.presses(Key::Enter).await;
    jo.waits_until("she is chosen", "document.activeElement.id === 'content'")
        .await;
    jo.clicks("Add another person").await;
    jo.sees_in(".recipient", "Maya Okafor").await;
    jo.sees_in("#people [role=option]", "Tom Reyes").await;
    jo.sees_no("#people", "Maya Okafor").await;
    jo.types("tom").await;
    jo.sees_in("#people[data-q=tom] [role=option]", "Tom Reyes")
        .await;
    jo.presses(Key::Enter).await;
    jo.clicks("Add another person").await;
    jo.types("(415) 555-0133;").await;
    jo.sees_in(".recipient", "(415) 555-0133").await;
    jo.types("123").await;
    jo.is_accessible("several recipients").await;

    // Meanwhile one of them opts out; the draft has all of them after a reload.
    harbor.receive_text(TOM, "STOP").await;
    jo.fills("Text", "We are closed tomorrow").await;
    saves_draft(&hub, "We are closed tomorrow").await;
    jo.reloads().await;
    jo.finds(".new-text[data-ready]").await;
    jo.sees_in(".recipient", "Tom Reyes").await;
    jo.fills("Text", "We are closed tomorrow").await;
    // A file goes to each of them.
    let drop = format!("(() => {{
            const data = new DataTransfer()
            data.items.add(new File([Uint8Array.from(atob('{}'), (c) => c.charCodeAt(0))], 'dot.png', {{ type: 'image/png' }}))
            document.querySelector('.so-far').dispatchEvent(new DragEvent('drop', {{ dataTransfer: data, bubbles: true, cancelable: true }}))
        }})()", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, PNG));
    jo.evaluates(&drop).await;
    jo.finds(".attachment img").await;

    // Pressed twice, it is sent once.
    jo.evaluates("document.querySelector('.new-text').requestSubmit() ?? document.querySelector('.new-text').requestSubmit()").await;
    jo.sees_in(".toast", "2 texts sent").await;
    jo.sees_in(
        ".so-far .notice",
        "Not sent to Tom Reyes: This contact opted out",
    )
    .await;
    jo.sees_in(".so-far .notice", "Not sent to 123:").await;
    jo.waits_until(
        "those refused stay in the form, with the text",
        "[...document.querySelectorAll('.recipient')].map((one) => one.dataset.to).join() === 'Tom Reyes' && document.getElementById('to').value === '123' && document.getElementById('content').value === 'We are closed tomorrow'",
    )
    .await;
    assert_eq!(
        hub.count("select count(*) from messages where content = 'We are closed tomorrow'")
            .await,
        2
    );
    assert_eq!(
        hub.count("select count(*) from messages m join message_media d on d.message_id = m.id")
            .await,
        2
    );
    assert_eq!(hub.run_sender().await, 2);
    assert_eq!(hub.twilio.sent("We are closed tomorrow").len(), 2);

    // To one of them again, who may be texted now.
    harbor.receive_text(TOM, "START").await;
    jo.fills("To", "").await;
    jo.presses(Key::Backspace).await;
    jo.presses(Key::Backspace).await;
    jo.waits_until(
        "he is in the field",
        "document.getElementById('to').value === 'Tom Reyes'",
    )
    .await;
    jo.fills("Text", "And on Friday").await;
    jo.presses(Key::Enter).await;
    jo.is_at(&harbor.inbox(Some(&tom))).await;
    jo.sees_in(".message.outbound[id^=message-]", "And on Friday")
        .await;
    until("nothing waits", async || {
        jo.evaluates("!Object.keys(localStorage).some((key) => key.startsWith('unsent:'))")
            .await
            == true
    })
    .await;
}

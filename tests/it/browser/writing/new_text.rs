//! A text to somebody new.

use fantoccini::key::Key;

use super::{adds_template, holds, saves_draft};
use crate::browser::Browser;
use crate::hub::{Hub, MAYA};

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

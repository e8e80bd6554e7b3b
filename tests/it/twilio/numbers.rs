//! The numbers of an account, and their webhooks.

use super::*;

#[tokio::test]
async fn all_pages_of_numbers_are_read() {
    let (twilio, harbor, client) = harbor().await;
    for line in 0..129 {
        harbor.number(&format!("+1415555{line:04}"));
    }
    twilio
        .account("AC00000000000000000000000000000002", "t")
        .number("+12125550100");
    twilio.pages_by(50);

    let numbers = client.list_numbers().await.unwrap();

    assert_eq!(numbers.len(), 130);
    assert_eq!(twilio.calls(&["GET", "IncomingPhoneNumbers.json"]), 3);
    let first = &numbers[0];
    assert_eq!(first.phone_number.as_str(), FRONT_DESK);
    assert!(first.provider_id.starts_with("PN"));
    let can = first.capabilities;
    assert!(
        can.sms && can.mms && can.voice,
        "names are matched in any case: {can:?}"
    );
}

#[tokio::test]
async fn circular_pagination_ends() {
    let (twilio, _, client) = harbor().await;
    twilio.repeats_pages();

    let error = client.list_numbers().await.unwrap_err();

    assert!(matches!(error, Error::Unreachable(_)), "{error}");
    assert!(twilio.calls(&["IncomingPhoneNumbers.json"]) <= 3);
}

#[tokio::test]
async fn webhook_is_written_once_and_the_previous_kept() {
    let (twilio, harbor, client) = harbor().await;
    harbor.set_webhook(FRONT_DESK, "https://old.example.com/sms");

    let previous = Some("https://old.example.com/sms".to_owned());
    assert_eq!(configured(&*client).await, Webhook::Configured { previous });
    assert_eq!(
        harbor.webhook_of(FRONT_DESK),
        "https://inbox.example.com/webhooks/twilio/1/inbound#rc=5&rp=5xx,ct,rt"
    );

    assert_eq!(configured(&*client).await, Webhook::Unchanged);
    assert_eq!(twilio.calls(&["POST", "IncomingPhoneNumbers"]), 1);
}

#[tokio::test]
async fn own_older_url_is_not_kept_as_previous() {
    let (_, harbor, client) = harbor().await;
    harbor.set_webhook(FRONT_DESK, &urls().inbound);

    let previous = None;
    assert_eq!(configured(&*client).await, Webhook::Configured { previous });
}

fn webhook_override(webhook: Webhook) -> String {
    match webhook {
        Webhook::Overridden { by } => by.english(),
        other => panic!("nothing overrides it: {other:?}"),
    }
}

#[tokio::test]
async fn number_in_a_messaging_service_is_left_alone() {
    let (twilio, harbor, client) = harbor().await;
    let service = harbor.service("Reminders", Some("https://else.example.com"), &[FRONT_DESK]);

    let by = format!("the messaging service “Reminders” ({service})");
    assert_eq!(webhook_override(configured(&*client).await), by);
    assert_eq!(twilio.calls(&["POST", "IncomingPhoneNumbers"]), 0);
}

#[tokio::test]
async fn service_that_drops_texts_overrides_too() {
    let (_, harbor, client) = harbor().await;
    harbor.service("Reminders", None, &[FRONT_DESK]);

    assert!(matches!(
        configured(&*client).await,
        Webhook::Overridden { .. }
    ));
}

#[tokio::test]
async fn service_that_defers_or_points_here_is_accepted() {
    let (_, harbor, client) = harbor().await;
    harbor.deferring_service("Reminders", &[FRONT_DESK]);
    assert!(matches!(
        configured(&*client).await,
        Webhook::Configured { .. }
    ));

    let (_, harbor, client) = super::harbor().await;
    harbor.service("Reminders", Some(&urls().inbound), &[FRONT_DESK]);
    assert_eq!(configured(&*client).await, Webhook::Unchanged);
}

#[tokio::test]
async fn number_with_an_application_is_left_alone() {
    let (_, harbor, client) = harbor().await;
    let before = only_number(&*client).await;
    harbor.gives_to_application(FRONT_DESK, "AP1");

    let by = "the TwiML application AP1";
    assert_eq!(webhook_override(configured(&*client).await), by);
    let stale = client.configure_webhook(&before, &urls()).await.unwrap();
    assert_eq!(
        webhook_override(stale),
        by,
        "noticed although it was set after the listing"
    );
}

#[tokio::test]
async fn numbers_are_listed_when_messaging_services_are_forbidden() {
    let (twilio, _, client) = harbor().await;
    twilio
        .fails(Failure::Slow(Duration::ZERO))
        .refuses(20403, 403);

    assert_eq!(only_number(&*client).await.webhook_override, None);
}

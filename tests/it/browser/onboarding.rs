//! From setup to a delivered text; connecting a provider.

use fantoccini::key::Key;

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA, PASSWORD, TOKEN};

const ACCOUNT: &str = "AC0000000000000000000000000000f1d0";

#[tokio::test]
async fn onboarding_works_from_first_start_to_delivery() {
    let hub = Hub::start().await;
    let harbor = hub.twilio.account(ACCOUNT, TOKEN);
    harbor.number(FRONT_DESK);
    let jo = Browser::start(&hub.url("")).await;

    jo.opens("/").await;
    jo.is_at("/setup").await;
    jo.sees("Welcome to MessageHub").await;
    jo.fills("Workspace", "Harbor Dental").await;
    jo.fills("Your name", "Jo Park").await;
    jo.fills("Email", "jo@harbor.test").await;
    jo.fills("Password", PASSWORD).await;
    jo.clicks("Create workspace").await;

    jo.is_at("/w/harbor-dental/inbox").await;
    jo.sees("Connect your first number").await;
    jo.follows("Connect a provider").await;
    jo.fills("Account SID", ACCOUNT).await;
    jo.fills("Auth Token", TOKEN).await;
    jo.clicks("Connect Twilio").await;
    jo.sees_in(".number", "(628) 555-0100").await;
    jo.sees_in(".number", "Webhook set").await;
    jo.sees_in(".proof", "Text this number").await;
    assert!(harbor.webhook_of(FRONT_DESK).contains("/webhooks/twilio/"));
    assert!(
        !jo.source().await.contains(TOKEN),
        "the token is never shown again"
    );

    jo.follows("Inbox").await;
    jo.sees("All done").await;
    jo.sees_in(".live", "Live").await;
    jo.has_title("Inbox · Harbor Dental").await;
    jo.evaluates("document.body.loadedOnce = true").await;

    let received = hub
        .twilio
        .text(MAYA, FRONT_DESK, "Is 3:30 still free?")
        .await;
    assert_eq!(received.status(), 200);
    jo.sees_in(".row.unread", "Is 3:30 still free?").await;
    jo.sees_in(".row .badge", "1").await;
    jo.finds_no(".rows .empty").await;
    jo.has_title("(1) Inbox · Harbor Dental").await;

    jo.follows("Is 3:30 still free?").await;
    jo.sees_in(".message.inbound", "Is 3:30 still free?").await;
    jo.finds_no(".row .badge").await;
    jo.has_title("(415) 555-0192 · Harbor Dental").await;
    jo.fills("Message to", "Yes, it is yours").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".message.outbound", "Yes, it is yours").await;
    jo.sees_in(".message.outbound .state", "Queued").await;
    jo.sees_in(".row", "You: Yes, it is yours").await;

    assert_eq!(hub.run_sender().await, 1);
    let sent = hub.twilio.sent("Yes, it is yours");
    assert_eq!((sent.len(), sent[0].to.as_str()), (1, MAYA));
    jo.sees_no(".message.outbound .state", "Queued").await;
    hub.twilio.delivers(&sent[0].sid).await;
    jo.sees_in(".message.outbound .state", "Delivered").await;
    let count = jo
        .evaluates("document.querySelectorAll('.message.outbound').length")
        .await;
    assert_eq!(
        count, 1,
        "the bubble that was shown at once changed in place"
    );
    assert_eq!(
        jo.evaluates("document.body.loadedOnce").await,
        true,
        "all of it without a reload"
    );
}

#[tokio::test]
async fn twilio_refusal_is_shown_beside_the_form_and_nothing_is_stored() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    hub.twilio.account(ACCOUNT, TOKEN).number(FRONT_DESK);
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 422");
    jo.signs_in(&harbor.admin.email).await;
    jo.opens("/w/harbor-dental/admin/integrations").await;
    let wrong = "ffffffffffffffffffffffffffffffff";
    jo.fills("Name", "Main line").await;
    jo.fills("Account SID", ACCOUNT).await;
    jo.fills("Auth Token", wrong).await;
    jo.clicks("Connect Twilio").await;

    jo.sees_in(".connect", "Twilio").await;
    jo.finds(".connect .error, .connect .notice.bad").await;
    jo.waits_until("what was typed is kept", &format!("account_sid.value === '{ACCOUNT}' && document.querySelector('#name').value === 'Main line'")).await;
    jo.waits_until("the token is not", "auth_token.value === ''")
        .await;
    assert!(!jo.source().await.contains(wrong));
    assert_eq!(hub.count("select count(*) from integrations").await, 0);
    assert_eq!(hub.count("select count(*) from numbers").await, 0);

    jo.fills("Auth Token", TOKEN).await;
    jo.clicks("Connect Twilio").await;
    jo.sees_in(".number", "(628) 555-0100").await;
}

#[tokio::test]
async fn connect_form_has_fields_by_provider_and_never_shows_keys_again() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let key = "KEY0192A3B4C5D6E7F8_abcdefghijklmnop";
    let customer = hub.telnyx.account(key);
    customer.number(FRONT_DESK);
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 422");
    jo.signs_in(&harbor.admin.email).await;
    jo.opens("/w/harbor-dental/admin/integrations").await;
    jo.waits_until(
        "the fields of Telnyx are hidden",
        "api_key.checkVisibility() === false && account_sid.checkVisibility()",
    )
    .await;
    jo.clicks("Telnyx").await;
    jo.waits_until(
        "the fields of Twilio are hidden",
        "api_key.checkVisibility() && account_sid.checkVisibility() === false",
    )
    .await;
    // Swapped keys are refused, and neither is shown again.
    jo.fills("API key", &customer.public_key()).await;
    jo.fills("Public key", key).await;
    jo.clicks("Connect Telnyx").await;
    jo.sees_in(".connect", "That’s the public key").await;
    assert!(!jo.source().await.contains(key));

    jo.fills("API key", key).await;
    jo.fills("Public key", &customer.public_key()).await;
    jo.clicks("Connect Telnyx").await;
    jo.sees_in(".number", "(628) 555-0100").await;
    jo.sees_in(".number", "Webhook set").await;
    jo.sees_in(".integration", "Telnyx").await;
    assert!(
        customer
            .webhook_of(FRONT_DESK)
            .contains("/webhooks/telnyx/")
    );
    assert!(!jo.source().await.contains(key));
}

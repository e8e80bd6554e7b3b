//! The Telnyx client: accounts and numbers, over real HTTP.

use super::*;

pub async fn harbor() -> (Telnyx, Customer, Box<dyn Provider>) {
    let telnyx = Telnyx::start().await;
    let harbor = telnyx.account(KEY);
    harbor.number(FRONT_DESK);
    let client = client(telnyx.url(), &harbor.public_key());
    (telnyx, harbor, client)
}

pub fn client(url: &str, public_key: &str) -> Box<dyn Provider> {
    client_with_timeout(url, public_key, Duration::from_secs(20))
}

pub fn client_with_timeout(url: &str, public_key: &str, timeout: Duration) -> Box<dyn Provider> {
    let hosts = Hosts {
        telnyx: url.into(),
        ..Hosts::default()
    };
    let credentials = json!({"api_key": KEY, "public_key": public_key});
    Providers::with_timeout(hosts, timeout)
        .open(Kind::Telnyx, &credentials.to_string())
        .unwrap()
}

fn urls() -> WebhookUrls {
    WebhookUrls {
        inbound: "https://inbox.example.com/webhooks/telnyx/1/inbound".into(),
        status: "https://inbox.example.com/webhooks/telnyx/1/status".into(),
    }
}

async fn only_number(client: &dyn Provider) -> RemoteNumber {
    let mut numbers = client.list_numbers().await.unwrap();
    assert_eq!(numbers.len(), 1);
    numbers.remove(0)
}

async fn configured(client: &dyn Provider) -> Webhook {
    let number = only_number(client).await;
    client.configure_webhook(&number, &urls()).await.unwrap()
}

fn webhook_override(webhook: Webhook) -> String {
    match webhook {
        Webhook::Overridden { by } => by.english(),
        other => panic!("nothing overrides it: {other:?}"),
    }
}

#[tokio::test]
async fn valid_key_without_balance_permission_is_accepted() {
    let (telnyx, harbor, client) = harbor().await;
    let account = client.validate().await.unwrap();
    assert_eq!(
        (account.id, account.name.as_str()),
        (harbor.public_key(), "Telnyx")
    );

    harbor.hides_balance();
    assert!(client.validate().await.is_ok());
    assert_eq!(telnyx.calls(&["GET", "messaging_profiles"]), 1);
}

#[tokio::test]
async fn invalid_key_is_refused_with_reason() {
    let (_, harbor, client) = harbor().await;
    for (status, code, word) in [
        (401, 20002, "revoked"),
        (401, 20006, "expired"),
        (403, 20012, "isn’t active"),
        (403, 20013, "blocked"),
        (401, 10009, "API key"),
    ] {
        harbor.is_refused(Some((status, code)));
        let error = client.validate().await.unwrap_err();
        let Error::Refused {
            code: code_seen,
            text,
        } = error
        else {
            panic!("not refused: {error}");
        };
        assert_eq!(code_seen, Some(code.to_string()));
        assert!(text.english().contains(word), "{text:?}");
    }
    harbor.is_refused(None);
    assert!(client.validate().await.is_ok());
    harbor.changes_key("another");
    assert!(matches!(
        client.validate().await,
        Err(Error::Refused { .. })
    ));
}

#[tokio::test]
async fn network_errors_are_not_refusals() {
    let (telnyx, harbor, _) = harbor().await;
    let client = client_with_timeout(
        telnyx.url(),
        &harbor.public_key(),
        Duration::from_millis(500),
    );

    telnyx.fails(Failure::Busy {
        retry_after: Some(7),
    });
    let busy = Error::Busy {
        retry_after: Some(Duration::from_secs(7)),
    };
    assert_eq!(client.validate().await.unwrap_err(), busy);
    telnyx.fails(Failure::Status(reqwest::StatusCode::BAD_GATEWAY));
    assert!(matches!(client.validate().await, Err(Error::Busy { .. })));
    for failure in [Failure::Hang, Failure::Drop, Failure::AcceptThenGarble] {
        telnyx.fails(failure.clone());
        let error = client.validate().await.unwrap_err();
        assert!(
            matches!(error, Error::Unreachable(_)),
            "{failure:?}: {error}"
        );
    }
    assert!(client.validate().await.is_ok());
}

#[tokio::test]
async fn all_pages_of_numbers_are_read_with_capabilities() {
    let (telnyx, harbor, client) = harbor().await;
    for line in 0..129 {
        harbor.number(&format!("+1415555{line:04}"));
    }
    harbor.ports_out("+14155550007");
    telnyx.account("another").number("+12125550100");
    telnyx.pages_by(50);

    let numbers = client.list_numbers().await.unwrap();

    assert_eq!(numbers.len(), 129);
    assert_eq!(telnyx.calls(&["/v2/phone_numbers?"]), 3);
    assert_eq!(telnyx.calls(&["/v2/phone_numbers/messaging?"]), 3);
    let desk = numbers
        .iter()
        .find(|one| one.phone_number.as_str() == FRONT_DESK);
    let desk = desk.unwrap();
    assert!(desk.capabilities.sms && !desk.capabilities.mms);
    assert_eq!(desk.webhook_override, None);
}

#[tokio::test]
async fn circular_pagination_ends() {
    let (telnyx, _, client) = harbor().await;
    telnyx.repeats_pages();
    let error = client.list_numbers().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error}");
    assert!(telnyx.calls(&["phone_numbers"]) <= 3);
}

#[tokio::test]
async fn webhook_is_written_once_and_the_previous_kept() {
    let (telnyx, harbor, client) = harbor().await;
    harbor.set_webhook(FRONT_DESK, "https://old.example.com/sms", "2");

    let previous = Some("https://old.example.com/sms".to_owned());
    assert_eq!(configured(&*client).await, Webhook::Configured { previous });
    assert_eq!(harbor.webhook_of(FRONT_DESK), urls().inbound);
    assert_eq!(configured(&*client).await, Webhook::Unchanged);
    assert_eq!(telnyx.calls(&["PATCH"]), 1);

    // An empty URL of an old API version becomes ours in the new version.
    harbor.set_webhook(FRONT_DESK, "", "1");
    assert_eq!(
        configured(&*client).await,
        Webhook::Configured { previous: None }
    );
    assert_eq!(configured(&*client).await, Webhook::Unchanged);
}

#[tokio::test]
async fn overriding_profile_is_reported_and_left_alone() {
    let (telnyx, harbor, client) = harbor().await;
    let before = only_number(&*client).await;
    harbor.set_webhook(FRONT_DESK, "https://else.example.com", "2010-04-01");
    let by = webhook_override(configured(&*client).await);
    assert!(
        by.contains("“Front desk”") && by.contains("else.example.com"),
        "{by}"
    );

    harbor
        .set_webhook(FRONT_DESK, "", "2")
        .switches_off_the_profile_of(FRONT_DESK);
    let by = webhook_override(configured(&*client).await);
    assert!(by.contains("turned off"), "{by}");

    harbor.moves(FRONT_DESK, "");
    assert!(only_number(&*client).await.webhook_override.is_some());
    let stale = client.configure_webhook(&before, &urls()).await.unwrap();
    let by = webhook_override(stale);
    assert!(
        by.contains("no messaging profile"),
        "noticed although it was set after the listing: {by}"
    );
    assert_eq!(telnyx.calls(&["PATCH"]), 0);
}

//! The Twilio client, over real HTTP.

mod numbers;
mod sending;
mod webhooks;

use std::time::Duration;

use messagehub::providers::*;
use uuid::Uuid;

use crate::emulator::{Customer, Emulator, Failure};

const SID: &str = "AC00000000000000000000000000000001";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const FRONT_DESK: &str = "+16285550100";
const MAYA: &str = "+14155550192";

async fn harbor() -> (Emulator, Customer, Box<dyn Provider>) {
    let twilio = Emulator::start().await;
    let harbor = twilio.account(SID, TOKEN);
    harbor.number(FRONT_DESK);
    let client = client(twilio.url(), TOKEN);
    (twilio, harbor, client)
}

fn client(url: &str, token: &str) -> Box<dyn Provider> {
    client_with_timeout(url, token, Duration::from_secs(20))
}

/// Has a short timeout, for calls that are never answered.
fn impatient_client(url: &str) -> Box<dyn Provider> {
    client_with_timeout(url, TOKEN, Duration::from_millis(500))
}

fn client_with_timeout(url: &str, token: &str, timeout: Duration) -> Box<dyn Provider> {
    let hosts = Hosts {
        twilio: url.into(),
        ..Hosts::default()
    };
    let credentials = serde_json::json!({"account_sid": SID, "auth_token": token});
    Providers::with_timeout(hosts, timeout)
        .open(Kind::Twilio, &credentials.to_string())
        .unwrap()
}

fn text(body: &str) -> Outgoing {
    Outgoing {
        our_id: Uuid::now_v7(),
        attempt: 1,
        from: FRONT_DESK.parse().unwrap(),
        to: MAYA.parse().unwrap(),
        text: body.into(),
        media: Vec::new(),
        valid_for: None,
        status_url: Some("http://127.0.0.1:9/status".into()),
    }
}

fn urls() -> WebhookUrls {
    WebhookUrls {
        inbound: "https://inbox.example.com/webhooks/twilio/1/inbound".into(),
        status: "https://inbox.example.com/webhooks/twilio/1/status".into(),
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

#[tokio::test]
async fn valid_credentials_return_their_account() {
    let (_, harbor, client) = harbor().await;
    harbor.is_named("Harbor Dental").is_on_trial();

    let account = client.validate().await.unwrap();

    assert_eq!(account.id, SID);
    assert_eq!(account.name, "Harbor Dental");
    assert_eq!(account.status, "active");
    assert!(account.trial);
}

#[tokio::test]
async fn invalid_credentials_are_refused_with_reason() {
    let (twilio, harbor, right) = harbor().await;

    let Error::Refused { code, text } = client(twilio.url(), "wrong").validate().await.unwrap_err()
    else {
        panic!("not refused");
    };
    assert_eq!(code.as_deref(), Some("20003"));
    assert!(text.english().contains("Auth Token"), "{text:?}");

    assert!(right.validate().await.is_ok());
    harbor.changes_token("another");
    assert!(matches!(right.validate().await, Err(Error::Refused { .. })));
}

#[tokio::test]
async fn suspended_account_is_refused() {
    let (_, harbor, client) = harbor().await;
    harbor.is("suspended");

    let error = client.validate().await.unwrap_err();

    assert!(error.to_string().contains("suspended"), "{error}");
}

#[tokio::test]
async fn network_errors_are_not_refusals() {
    let (twilio, _, _) = harbor().await;
    let client = impatient_client(twilio.url());

    twilio.is_busy(Some(7));
    let busy = Error::Busy {
        retry_after: Some(Duration::from_secs(7)),
    };
    assert_eq!(client.validate().await.unwrap_err(), busy);
    twilio.answers(502);
    assert!(matches!(client.validate().await, Err(Error::Busy { .. })));
    for failure in [Failure::Hang, Failure::Drop, Failure::AcceptThenGarble] {
        twilio.fails(failure.clone());
        let error = client.validate().await.unwrap_err();
        assert!(
            matches!(error, Error::Unreachable(_)),
            "{failure:?}: {error}"
        );
    }
    let unreachable = self::client("http://127.0.0.1:1", TOKEN);
    assert!(matches!(
        unreachable.validate().await,
        Err(Error::Unreachable(_))
    ));
    assert!(client.validate().await.is_ok());
}

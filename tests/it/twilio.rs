//! The client for Twilio, over real HTTP.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use chrono::{TimeDelta, Utc};
use messagehub::providers::{
    Error, ErrorClass, Hosts, Inbound, Kind, Outgoing, Provider, Providers, RemoteMessage,
    RemoteNumber, SendOutcome, SignedRequest, Status, StatusReport, Webhook, WebhookUrls,
};
use reqwest::Method;
use uuid::Uuid;

use crate::emulator::{Customer, Emulator, Failure};

const SID: &str = "AC00000000000000000000000000000001";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const FRONT_DESK: &str = "+16285550100";
const MAYA: &str = "+14155550192";

/// Harbor Dental at Twilio, with one number, and our client for it.
async fn harbor() -> (Emulator, Customer, Box<dyn Provider>) {
    let twilio = Emulator::start().await;
    let harbor = twilio.account(SID, TOKEN);
    harbor.number(FRONT_DESK);
    let client = client(twilio.url(), TOKEN);
    (twilio, harbor, client)
}

fn client(url: &str, token: &str) -> Box<dyn Provider> {
    let hosts = Hosts { twilio: url.into() };
    let credentials = serde_json::json!({"account_sid": SID, "auth_token": token});
    Providers::with_patience(hosts, Duration::from_millis(300))
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
async fn good_credentials_are_the_account_they_belong_to() {
    let (_, harbor, client) = harbor().await;
    harbor.is_named("Harbor Dental").is_on_trial();

    let account = client.validate().await.unwrap();

    assert_eq!(account.id, SID);
    assert_eq!(account.name, "Harbor Dental");
    assert_eq!(account.status, "active");
    assert!(account.trial);
}

#[tokio::test]
async fn wrong_credentials_are_refused_in_words() {
    let (twilio, harbor, right) = harbor().await;

    let Error::Refused { code, text } = client(twilio.url(), "wrong").validate().await.unwrap_err()
    else {
        panic!("not refused");
    };
    assert_eq!(code.as_deref(), Some("20003"));
    assert!(text.contains("Auth Token"), "{text}");

    assert!(right.validate().await.is_ok());
    harbor.changes_token("another");
    assert!(matches!(right.validate().await, Err(Error::Refused { .. })));
}

#[tokio::test]
async fn an_account_that_is_suspended_is_not_good() {
    let (_, harbor, client) = harbor().await;
    harbor.is("suspended");

    let error = client.validate().await.unwrap_err();

    assert!(error.to_string().contains("suspended"), "{error}");
}

#[tokio::test]
async fn trouble_on_the_way_is_not_taken_for_a_refusal() {
    let (twilio, _, client) = harbor().await;

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
    let nobody = self::client("http://127.0.0.1:1", TOKEN);
    assert!(matches!(
        nobody.validate().await,
        Err(Error::Unreachable(_))
    ));
    assert!(client.validate().await.is_ok());
}

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
async fn pages_that_go_round_in_circles_end() {
    let (twilio, _, client) = harbor().await;
    twilio.repeats_pages();

    let error = client.list_numbers().await.unwrap_err();

    assert!(matches!(error, Error::Unreachable(_)), "{error}");
    assert!(twilio.calls(&["IncomingPhoneNumbers.json"]) <= 3);
}

#[tokio::test]
async fn a_webhook_is_written_once_and_the_old_one_kept() {
    let (twilio, harbor, client) = harbor().await;
    harbor.points(FRONT_DESK, "https://old.example.com/sms");

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
async fn our_own_older_url_is_not_taken_for_the_customers() {
    let (_, harbor, client) = harbor().await;
    harbor.points(FRONT_DESK, &urls().inbound);

    let previous = None;
    assert_eq!(configured(&*client).await, Webhook::Configured { previous });
}

#[tokio::test]
async fn a_number_in_a_messaging_service_is_left_alone() {
    let (twilio, harbor, client) = harbor().await;
    let service = harbor.service("Reminders", Some("https://else.example.com"), &[FRONT_DESK]);

    let by = format!("the messaging service “Reminders” ({service})");
    assert_eq!(configured(&*client).await, Webhook::Shadowed { by });
    assert_eq!(twilio.calls(&["POST", "IncomingPhoneNumbers"]), 0);
}

#[tokio::test]
async fn a_service_that_drops_texts_shadows_too() {
    let (_, harbor, client) = harbor().await;
    harbor.service("Reminders", None, &[FRONT_DESK]);

    assert!(matches!(
        configured(&*client).await,
        Webhook::Shadowed { .. }
    ));
}

#[tokio::test]
async fn a_service_that_defers_or_points_here_is_no_obstacle() {
    let (_, harbor, client) = harbor().await;
    harbor.deferring_service("Reminders", &[FRONT_DESK]);
    assert!(matches!(
        configured(&*client).await,
        Webhook::Configured { .. }
    ));

    let (_, harbor, client) = self::harbor().await;
    harbor.service("Reminders", Some(&urls().inbound), &[FRONT_DESK]);
    assert_eq!(configured(&*client).await, Webhook::Unchanged);
}

#[tokio::test]
async fn a_number_with_an_application_is_left_alone() {
    let (_, harbor, client) = harbor().await;
    let before = only_number(&*client).await;
    harbor.gives_to_application(FRONT_DESK, "AP1");

    let by = "the TwiML application AP1".to_owned();
    assert_eq!(
        configured(&*client).await,
        Webhook::Shadowed { by: by.clone() }
    );
    let stale = client.configure_webhook(&before, &urls()).await.unwrap();
    assert_eq!(
        stale,
        Webhook::Shadowed { by },
        "seen although it was set after the listing"
    );
}

#[tokio::test]
async fn without_messaging_services_the_numbers_are_all_there_is() {
    let (twilio, _, client) = harbor().await;
    twilio
        .fails(Failure::Slow(Duration::ZERO))
        .refuses(20403, 403);

    assert_eq!(only_number(&*client).await.shadow, None);
}

#[tokio::test]
async fn a_text_arrives_at_twilio_as_it_was_written() {
    let (twilio, _, client) = harbor().await;
    let mut text = text("Grüße 👋 + & = %\r\n“done”");
    text.media = vec!["https://a.example/1".into(), "https://a.example/2".into()];

    let outcome = client.send(&text).await;

    let sent = &twilio.messages()[0];
    let accepted = SendOutcome::Accepted {
        provider_sid: sent.sid.clone(),
        status: Status::Queued,
        segments: Some(1),
        price: None,
    };
    assert_eq!(outcome, accepted);
    assert_eq!((sent.from.as_str(), sent.to.as_str()), (FRONT_DESK, MAYA));
    assert_eq!(sent.body, text.text);
    assert_eq!(sent.media, text.media);
    let callback = format!(
        "http://127.0.0.1:9/status?message={}&attempt=1#rc=5&rp=5xx,ct,rt",
        text.our_id
    );
    assert_eq!(sent.status_callback.as_ref(), Some(&callback));
}

#[tokio::test]
async fn what_twilio_refuses_is_refused_with_its_class() {
    let (twilio, harbor, client) = harbor().await;
    let refused = async |text: Outgoing| match client.send(&text).await {
        SendOutcome::Refused(refusal) => (refusal.code, refusal.class),
        other => panic!("not refused: {other:?}"),
    };

    let to = |to: &str| Outgoing {
        to: to.parse().unwrap(),
        ..text("hi")
    };
    assert_eq!(
        refused(to("262966")).await,
        ("21211".into(), ErrorClass::Permanent)
    );
    assert_eq!(
        refused(to(FRONT_DESK)).await,
        ("21266".into(), ErrorClass::Permanent)
    );
    let from_elsewhere = Outgoing {
        from: "+12125550100".parse().unwrap(),
        ..text("hi")
    };
    assert_eq!(
        refused(from_elsewhere).await,
        ("21606".into(), ErrorClass::Sender)
    );
    assert_eq!(
        refused(text("")).await,
        ("21602".into(), ErrorClass::Request)
    );
    let endless = text(&"a".repeat(1601));
    assert_eq!(
        refused(endless).await,
        ("21617".into(), ErrorClass::Permanent)
    );

    twilio.refuses(21611, 400);
    assert_eq!(
        refused(text("hi")).await,
        ("21611".into(), ErrorClass::RateLimited)
    );
    twilio.answers(404);
    assert_eq!(
        refused(text("hi")).await,
        ("http_404".into(), ErrorClass::Request)
    );
    twilio.answers(302);
    assert_eq!(
        refused(text("hi")).await,
        ("http_302".into(), ErrorClass::Auth)
    );
    harbor.is("suspended");
    assert_eq!(
        refused(text("hi")).await,
        ("20005".into(), ErrorClass::Auth)
    );
    harbor.is("active").changes_token("another");
    assert_eq!(
        refused(text("hi")).await,
        ("20003".into(), ErrorClass::Auth)
    );
    assert!(twilio.messages().is_empty());
}

#[tokio::test]
async fn what_was_turned_away_unread_was_not_sent() {
    let (twilio, _, client) = harbor().await;
    let not_sent = |seconds: Option<u64>| SendOutcome::NotSent {
        retry_after: seconds.map(Duration::from_secs),
    };

    twilio.is_busy(Some(7)).is_busy(None).refuses(20429, 400);
    assert_eq!(client.send(&text("hi")).await, not_sent(Some(7)));
    assert_eq!(client.send(&text("hi")).await, not_sent(None));
    assert_eq!(client.send(&text("hi")).await, not_sent(None));
    assert!(twilio.messages().is_empty());
}

#[tokio::test]
async fn what_never_left_was_not_sent() {
    let (twilio, _, _) = harbor().await;
    let without_tls = twilio.url().replace("http://", "https://");
    for url in [
        "http://127.0.0.1:1",
        "http://nowhere.invalid",
        &without_tls,
        "http://[",
    ] {
        let outcome = client(url, TOKEN).send(&text("hi")).await;
        assert_eq!(outcome, SendOutcome::NotSent { retry_after: None }, "{url}");
    }
}

#[tokio::test]
async fn what_may_have_been_sent_is_unknown() {
    let (twilio, _, client) = harbor().await;
    for (failure, taken) in [
        (Failure::AcceptThenDrop, 1),
        (Failure::AcceptThenHang, 1),
        (Failure::AcceptThenGarble, 1),
        (Failure::AcceptWithoutSid, 1),
        (
            Failure::AcceptThenStatus(axum::http::StatusCode::BAD_GATEWAY),
            1,
        ),
        (Failure::Drop, 0),
        (Failure::Hang, 0),
        (
            Failure::Status(axum::http::StatusCode::INTERNAL_SERVER_ERROR),
            0,
        ),
        (Failure::Status(axum::http::StatusCode::REQUEST_TIMEOUT), 0),
    ] {
        let body = format!("{failure:?}");
        twilio.fails(failure);
        assert_eq!(
            client.send(&text(&body)).await,
            SendOutcome::Unknown,
            "{body}"
        );
        assert_eq!(
            twilio.sent(&body).len(),
            taken,
            "{body}: nothing is repeated"
        );
    }
    twilio.refuses(20503, 503);
    assert_eq!(client.send(&text("hi")).await, SendOutcome::Unknown);
}

#[tokio::test]
async fn a_slow_answer_is_an_answer() {
    let (twilio, _, client) = harbor().await;
    twilio.fails(Failure::Slow(Duration::from_millis(100)));

    let outcome = client.send(&text("hi")).await;

    assert!(
        matches!(outcome, SendOutcome::Accepted { .. }),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn what_came_out_uncertain_can_be_found() {
    let (twilio, _, client) = harbor().await;
    let since = Utc::now();
    let lost = text("We have 3:30 free");
    twilio.fails(Failure::AcceptThenDrop);
    assert_eq!(client.send(&lost).await, SendOutcome::Unknown);
    client.send(&text("Something else")).await;
    client
        .send(&Outgoing {
            to: "+14155550193".parse().unwrap(),
            ..lost.clone()
        })
        .await;

    let found = async |since| -> Vec<String> {
        let found: Vec<RemoteMessage> = client.find_sent(&lost, since).await.unwrap();
        found
            .into_iter()
            .map(|message| message.provider_sid)
            .collect()
    };
    let sid = twilio.messages()[0].sid.clone();
    assert_eq!(found(since).await, std::slice::from_ref(&sid));
    assert!(found(since + TimeDelta::minutes(1)).await.is_empty());
    twilio.hides_sent(true);
    assert!(found(since).await.is_empty());

    twilio.hides_sent(false);
    client
        .send(&Outgoing {
            our_id: Uuid::now_v7(),
            ..lost.clone()
        })
        .await;
    let twice = found(since).await;
    assert_eq!(
        (twice.len(), &twice[0]),
        (2, &sid),
        "the same text twice, oldest first"
    );
}

#[tokio::test]
async fn a_message_can_be_looked_up() {
    let (twilio, _, client) = harbor().await;
    let silent = Outgoing {
        status_url: None,
        ..text("hi")
    };
    client.send(&silent).await;
    let sent = &twilio.messages()[0];
    assert_eq!(sent.status_callback, None);

    let message = client.lookup(&sent.sid).await.unwrap().unwrap();
    assert_eq!(message.status, Some(Status::Queued));
    assert_eq!(message.price, None);
    assert_eq!(client.lookup("SM404").await, Ok(None));
    assert_eq!(client.lookup("../../Balance").await, Ok(None));
}

/// A web server that only writes down what it is asked.
#[derive(Clone, Default)]
struct Door {
    calls: Arc<Mutex<Vec<(Uri, HeaderMap, Bytes)>>>,
    url: String,
}

impl Door {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            ..Self::default()
        };
        let calls = door.calls.clone();
        let note = async move |uri: Uri, headers: HeaderMap, body: Bytes| {
            calls.lock().unwrap().push((uri, headers, body));
        };
        let router = axum::Router::new().fallback(note);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        door
    }

    /// The last call, as the web server hands it to `read`.
    fn last<T>(&self, read: impl FnOnce(&SignedRequest<'_>) -> T) -> T {
        let calls = self.calls.lock().unwrap();
        let (uri, headers, body) = calls.last().expect("somebody called");
        read(&SignedRequest {
            public_url: &format!("{}{uri}", self.url),
            method: &Method::POST,
            headers,
            body,
        })
    }
}

#[tokio::test]
async fn a_text_is_delivered_where_the_webhook_points_and_signed() {
    let (twilio, _, client) = harbor().await;
    let door = Door::open().await;
    let urls = WebhookUrls {
        inbound: format!("{}/in?x=1", door.url),
        status: String::new(),
    };
    let number = only_number(&*client).await;
    client.configure_webhook(&number, &urls).await.unwrap();

    let answer = twilio
        .texting(MAYA, FRONT_DESK, " Grüße & 👋\r\n")
        .media(&["https://api.twilio.com/a"])
        .with("Unheard", "of")
        .sid("SM42")
        .send()
        .await;

    assert!(answer.status().is_success());
    assert!(door.last(|request| client.verify(request)));
    let text: Inbound = door.last(|request| client.parse_inbound(request)).unwrap();
    assert_eq!(
        (text.provider_sid.as_str(), text.account.as_str()),
        ("SM42", SID)
    );
    assert_eq!((text.from.as_str(), text.to.as_str()), (MAYA, FRONT_DESK));
    assert_eq!(text.text, " Grüße & 👋\r\n");
    assert_eq!(text.media[0].content_type, "image/jpeg");
}

#[tokio::test]
async fn a_text_that_somebody_else_signed_is_not_twilios() {
    let (twilio, _, client) = harbor().await;
    let door = Door::open().await;
    let url = format!("{}/in", door.url);
    let texting = || twilio.texting(MAYA, FRONT_DESK, "hi").at(&url);

    texting().send().await;
    assert!(door.last(|request| client.verify(request)));
    texting().signed_with("another token").send().await;
    assert!(!door.last(|request| client.verify(request)));
    texting().with_signature("bm9uc2Vuc2U=").send().await;
    assert!(!door.last(|request| client.verify(request)));
    texting().without("From").send().await;
    assert!(door.last(|request| client.verify(request)));
    let malformed = door
        .last(|request| client.parse_inbound(request))
        .unwrap_err();
    assert!(malformed.to_string().contains("From"), "{malformed}");
}

#[tokio::test]
async fn reports_come_to_the_url_that_names_our_message() {
    let (twilio, _, client) = harbor().await;
    let door = Door::open().await;
    let text = Outgoing {
        status_url: Some(format!("{}/status", door.url)),
        ..text("hi")
    };
    client.send(&text).await;
    let sid = &twilio.messages()[0].sid;

    twilio.reports_failure(sid, "undelivered", 30003).await;

    assert!(door.last(|request| client.verify(request)));
    let report: StatusReport = door.last(|request| client.parse_status(request)).unwrap();
    assert_eq!(report.our_id, Some(text.our_id));
    assert_eq!(&report.provider_sid, sid);
    assert_eq!(report.status, Some(Status::Undelivered));
    assert_eq!(report.error.unwrap().class, ErrorClass::Retryable);
    let message = client.lookup(sid).await.unwrap().unwrap();
    assert_eq!(message.price.unwrap().amount, "0.00750");
    assert_eq!(message.error.unwrap().code, "30003");
}

#[tokio::test]
async fn twilio_delivers_by_itself_when_told_to() {
    let (twilio, _, client) = harbor().await;
    let door = Door::open().await;
    twilio.delivers_by_itself();
    let text = Outgoing {
        status_url: Some(format!("{}/status", door.url)),
        ..text("hi")
    };
    client.send(&text).await;

    tokio::time::timeout(Duration::from_secs(5), async {
        while door.calls.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();

    let report = door.last(|request| client.parse_status(request)).unwrap();
    assert_eq!(report.status, Some(Status::Delivered));
}

#[tokio::test]
async fn twilio_refuses_to_text_those_who_texted_stop() {
    let (twilio, harbor, client) = harbor().await;
    let door = Door::open().await;
    harbor.points(FRONT_DESK, &door.url);
    let refused = async || match client.send(&text("hi")).await {
        SendOutcome::Refused(refusal) => Some(refusal.class),
        _ => None,
    };

    assert_eq!(refused().await, None);
    twilio.text(MAYA, FRONT_DESK, "stop").await;
    assert_eq!(refused().await, Some(ErrorClass::OptedOut));
    twilio.text(MAYA, FRONT_DESK, "Start").await;
    assert_eq!(refused().await, None);
}

#[tokio::test]
async fn a_picture_is_behind_credentials_and_a_redirect() {
    let (twilio, harbor, client) = harbor().await;
    let url = harbor.late_media("MM1", "image/png", b"pixels", 1);
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let fetch = async |url: &str, authorized: bool| {
        let authorization = client
            .media_authorization(url, "MM1")
            .filter(|_| authorized);
        let mut request = http.get(url);
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        request.send().await.unwrap()
    };

    assert_eq!(fetch(&url, false).await.status(), 401);
    assert_eq!(fetch(&url, true).await.status(), 404, "not there yet");
    let redirect = fetch(&url, true).await;
    assert_eq!(redirect.status(), 307);
    let cdn = redirect.headers()["Location"].to_str().unwrap();
    assert!(cdn.starts_with(twilio.url()));
    assert_eq!(client.media_authorization(cdn, "MM1"), None);
    let picture = fetch(cdn, true).await;
    assert_eq!(picture.headers()["Content-Type"], "image/png");
    assert_eq!(picture.bytes().await.unwrap(), "pixels");

    let elsewhere = harbor.media("MM2", "image/png", b"pixels");
    assert_eq!(client.media_authorization(&elsewhere, "MM1"), None);
}

//! Send outcomes: accepted, refused and unknown.

use axum::http::StatusCode;
use chrono::{TimeDelta, Utc};

use super::*;

#[tokio::test]
async fn text_is_sent_to_twilio_unchanged() {
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
async fn twilio_refusals_have_their_class() {
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
async fn rejected_request_counts_as_not_sent() {
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
async fn unsent_request_counts_as_not_sent() {
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
async fn lost_response_has_unknown_outcome() {
    let (twilio, _, _) = harbor().await;
    let client = impatient_client(twilio.url());
    for (failure, taken) in [
        (Failure::AcceptThenDrop, 1),
        (Failure::AcceptThenHang, 1),
        (Failure::AcceptThenGarble, 1),
        (Failure::AcceptWithoutSid, 1),
        (Failure::AcceptThenStatus(StatusCode::BAD_GATEWAY), 1),
        (Failure::Drop, 0),
        (Failure::Hang, 0),
        (Failure::Status(StatusCode::INTERNAL_SERVER_ERROR), 0),
        (Failure::Status(StatusCode::REQUEST_TIMEOUT), 0),
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
async fn slow_response_is_accepted() {
    let (twilio, _, client) = harbor().await;
    twilio.fails(Failure::Slow(Duration::from_millis(100)));

    let outcome = client.send(&text("hi")).await;

    assert!(
        matches!(outcome, SendOutcome::Accepted { .. }),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn text_with_unknown_outcome_can_be_found() {
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
        let SentLookup::Found(found) = client.find_sent(&lost, since).await.unwrap() else {
            panic!("Twilio has a list");
        };
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
async fn message_can_be_looked_up() {
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

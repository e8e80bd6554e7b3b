//! Send outcomes: accepted, refused, unknown; and repeats with the same key.

use axum::http::StatusCode;
use chrono::Utc;
use uuid::Uuid;

use super::account::{client, client_with_timeout, harbor};
use super::*;

fn text(body: &str) -> Outgoing {
    Outgoing {
        our_id: Uuid::now_v7(),
        attempt: 1,
        from: FRONT_DESK.parse().unwrap(),
        to: MAYA.parse().unwrap(),
        text: body.into(),
        media: Vec::new(),
        valid_for: None,
        status_url: None,
    }
}

async fn end_retry_delays(hub: &Hub) {
    hub.execute_sql("update messages set due_at = now() where status = 'queued'")
        .await;
    hub.execute_sql("update integrations set held_until = now()")
        .await;
}

#[tokio::test]
async fn text_is_sent_to_telnyx_unchanged() {
    let (telnyx, _, client) = harbor().await;
    let mut text = text("Grüße 👋 \"& = %\r\n“done”");
    text.media = vec!["https://a.example/1".into(), "https://a.example/2".into()];

    let outcome = client.send(&text).await;

    let sent = &telnyx.messages()[0];
    let accepted = SendOutcome::Accepted {
        provider_sid: sent.id.clone(),
        status: Status::Queued,
        segments: Some(1),
        price: Some(Price {
            amount: "0.0040".into(),
            currency: "USD".into(),
        }),
    };
    assert_eq!(outcome, accepted);
    assert_eq!(sent.text, text.text);
    assert_eq!(sent.media, text.media);
    let found = client.lookup(&sent.id).await.unwrap().unwrap();
    assert_eq!(found.status, Some(Status::Queued));
    assert_eq!(client.lookup("404").await, Ok(None));
    assert_eq!(client.lookup("../balance").await, Ok(None));
    assert_eq!(
        client.find_sent(&text, Utc::now()).await,
        Ok(SentLookup::Undetermined)
    );
}

#[tokio::test]
async fn telnyx_refusals_have_their_class() {
    let (telnyx, harbor, client) = harbor().await;
    let refused = async |text: Outgoing| match client.send(&text).await {
        SendOutcome::Refused(refusal) => (refusal.code, refusal.class),
        other => panic!("not refused: {other:?}"),
    };
    let to_short_code = Outgoing {
        to: "262966".parse().unwrap(),
        ..text("hi")
    };
    let from_elsewhere = Outgoing {
        from: "+12125550100".parse().unwrap(),
        ..text("hi")
    };
    for (text, code, class) in [
        (to_short_code, "40310", ErrorClass::Permanent),
        (from_elsewhere, "40305", ErrorClass::Sender),
        (text(""), "40316", ErrorClass::Request),
        (text(&"a".repeat(1531)), "40328", ErrorClass::Permanent),
    ] {
        assert_eq!(refused(text).await, (code.into(), class));
    }
    for (code, status, class) in [
        (40001, 400, ErrorClass::Permanent),
        (40002, 400, ErrorClass::RateLimited),
        (40008, 422, ErrorClass::Retryable),
        (40010, 400, ErrorClass::Sender),
        (40300, 403, ErrorClass::OptedOut),
        (40300, 422, ErrorClass::OptedOut),
        (40309, 400, ErrorClass::Permanent),
        (40318, 400, ErrorClass::RateLimited),
        (20100, 402, ErrorClass::Funds),
        (10015, 422, ErrorClass::Request),
        (49999, 400, ErrorClass::Permanent),
    ] {
        telnyx.refuses(code, status);
        assert_eq!(refused(text("hi")).await, (code.to_string(), class));
    }
    telnyx.fails(Failure::Status(StatusCode::NOT_FOUND));
    assert_eq!(
        refused(text("hi")).await,
        ("http_404".into(), ErrorClass::Request)
    );
    telnyx.fails(Failure::Status(StatusCode::FOUND));
    assert_eq!(
        refused(text("hi")).await,
        ("http_302".into(), ErrorClass::Auth)
    );
    harbor.changes_key("another");
    assert_eq!(
        refused(text("hi")).await,
        ("10009".into(), ErrorClass::Auth)
    );
    assert!(telnyx.messages().is_empty());
}

#[tokio::test]
async fn unsent_requests_count_as_not_sent() {
    let (telnyx, harbor, client) = harbor().await;
    let not_sent = |seconds: Option<u64>| SendOutcome::NotSent {
        retry_after: seconds.map(Duration::from_secs),
    };
    for retry_after in [Some(7), None] {
        telnyx.fails(Failure::Busy { retry_after });
        assert_eq!(client.send(&text("hi")).await, not_sent(retry_after));
    }
    telnyx.refuses(10011, 400);
    assert_eq!(client.send(&text("hi")).await, not_sent(None));
    let without_tls = telnyx.url().replace("http://", "https://");
    for url in ["http://127.0.0.1:1", "http://nowhere.invalid", &without_tls] {
        let client = self::client(url, &harbor.public_key());
        assert_eq!(client.send(&text("hi")).await, not_sent(None), "{url}");
    }
    assert!(telnyx.messages().is_empty());
}

#[tokio::test]
async fn unknown_outcome_is_resolved_by_its_repeat() {
    let (telnyx, harbor, _) = harbor().await;
    let client = client_with_timeout(
        telnyx.url(),
        &harbor.public_key(),
        Duration::from_millis(500),
    );
    for failure in [
        Failure::AcceptThenDrop,
        Failure::AcceptThenHang,
        Failure::AcceptThenGarble,
        Failure::AcceptWithoutSid,
        Failure::AcceptThenStatus(StatusCode::BAD_GATEWAY),
        Failure::Drop,
        Failure::Hang,
        Failure::Status(StatusCode::INTERNAL_SERVER_ERROR),
        Failure::Status(StatusCode::REQUEST_TIMEOUT),
    ] {
        let text = text(&format!("{failure:?}"));
        telnyx.fails(failure);
        assert_eq!(
            client.send(&text).await,
            SendOutcome::Unknown,
            "{}",
            text.text
        );
        let again = client.send(&text).await;
        let sent = telnyx.sent(&text.text);
        assert_eq!(sent.len(), 1, "{}", text.text);
        assert!(
            matches!(&again, SendOutcome::Accepted { provider_sid, .. } if *provider_sid == sent[0].id),
            "{again:?}"
        );
    }
    let slow = text("slow");
    telnyx.fails(Failure::Slow(Duration::from_millis(100)));
    assert!(matches!(
        client.send(&slow).await,
        SendOutcome::Accepted { .. }
    ));
}

#[tokio::test]
async fn repeat_during_the_first_request_is_inconclusive() {
    let (telnyx, harbor, _) = harbor().await;
    let client = client_with_timeout(
        telnyx.url(),
        &harbor.public_key(),
        Duration::from_millis(300),
    );
    telnyx.delay_next(Duration::from_millis(900));
    let text = text("We have 3:30 free");

    assert_eq!(client.send(&text).await, SendOutcome::Unknown);
    assert_eq!(
        client.send(&text).await,
        SendOutcome::Unknown,
        "409: in progress"
    );
    let resolved = async {
        loop {
            match client.send(&text).await {
                SendOutcome::Unknown => tokio::task::yield_now().await,
                other => return other,
            }
        }
    };
    let resolved = tokio::time::timeout(Duration::from_secs(10), resolved)
        .await
        .unwrap();
    assert!(
        matches!(resolved, SendOutcome::Accepted { .. }),
        "{resolved:?}"
    );
    assert_eq!(telnyx.sent("We have 3:30 free").len(), 1);

    let other = Outgoing {
        text: "We have 4:15 free".into(),
        ..text
    };
    let SendOutcome::Refused(refusal) = client.send(&other).await else {
        panic!("not refused");
    };
    assert_eq!(refusal.class, ErrorClass::Request);
    let result = repeat_result(1, SendOutcome::Refused(refusal), 0.0);
    assert_eq!(result, RepeatResult::Undetermined);
}

async fn send_unconfirmed(harbor: &Workspace<'_>, text: &str, failure: Failure) -> Value {
    let maya = harbor.conversation_with(MAYA).await;
    let message = harbor.reply(&harbor.admin, &maya, text).await;
    harbor.hub.telnyx.fails(failure);
    assert_eq!(harbor.hub.run_sender().await, 1);
    assert_eq!(status(harbor, &message).await, "unconfirmed", "{text}");
    message
}

/// Makes the next repeat due; returns how many texts were resolved.
async fn resolve_due(hub: &Hub) -> usize {
    hub.execute_sql("update messages set due_at = now() where status = 'unconfirmed'")
        .await;
    hub.server.outcome_resolver.run_once().await.unwrap()
}

#[tokio::test]
async fn lost_response_is_repeated_and_text_is_sent_once() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    receive_text(&harbor, "Hi").await;
    let failures = [
        Failure::AcceptThenDrop,
        Failure::AcceptThenGarble,
        Failure::AcceptWithoutSid,
        Failure::AcceptThenStatus(StatusCode::BAD_GATEWAY),
        Failure::Drop,
        Failure::Status(StatusCode::SERVICE_UNAVAILABLE),
    ];
    for (n, failure) in failures.into_iter().enumerate() {
        let text = format!("Text {n}");
        let message = send_unconfirmed(&harbor, &text, failure).await;
        assert_eq!(
            hub.server.outcome_resolver.run_once().await.unwrap(),
            0,
            "a report has 15 seconds to come first"
        );
        assert_eq!(resolve_due(&hub).await, 1, "{text}");
        let sent = hub.telnyx.sent(&text);
        assert_eq!(sent.len(), 1, "{text}");
        let known = harbor.message(&message["id"]).await;
        assert_eq!(
            (known["status"].as_str(), known["provider_sid"].as_str()),
            (Some("sent"), Some(sent[0].id.as_str())),
            "{text}"
        );
        end_retry_delays(&hub).await;
        assert_eq!(
            hub.run_sender().await + resolve_due(&hub).await,
            0,
            "nothing is repeated"
        );
    }
    assert_eq!(
        hub.telnyx.calls(&["POST /v2/messages"]),
        12,
        "two requests each"
    );
}

#[tokio::test]
async fn in_flight_text_after_a_crash_is_sent_once() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    let conversation = receive_text(&harbor, "Hi").await;
    let message = harbor
        .reply(&harbor.admin, &conversation, "In flight")
        .await;
    // The state after a `kill -9` before the request; after the request it differs at Telnyx only.
    hub.execute_sql("update messages set status = 'sending', attempts = 1, lease_until = now() - interval '1 second' where content = 'In flight'")
        .await;
    assert_eq!(hub.run_sender().await, 0);
    assert_eq!(status(&harbor, &message).await, "unconfirmed");
    assert_eq!(resolve_due(&hub).await, 1);
    assert_eq!(status(&harbor, &message).await, "sent");

    hub.execute_sql("update messages set status = 'sending', provider_sid = null, lease_until = now() - interval '1 second' where content = 'In flight'")
        .await;
    assert_eq!(hub.run_sender().await, 0);
    assert_eq!(resolve_due(&hub).await, 1);
    let known = harbor.message(&message["id"]).await;
    let sent = hub.telnyx.sent("In flight");
    assert_eq!(sent.len(), 1);
    assert_eq!(known["provider_sid"], sent[0].id.as_str());
}

#[tokio::test]
async fn rejected_authentication_is_not_an_answer() {
    let hub = Hub::start().await;
    let (harbor, customer) = front_desk(&hub).await;
    receive_text(&harbor, "Hi").await;
    let message = send_unconfirmed(&harbor, "3:30 works.", Failure::AcceptThenDrop).await;
    customer.is_refused(Some((401, 20002)));
    for _ in 0..3 {
        assert_eq!(resolve_due(&hub).await, 0);
    }
    customer.is_refused(None);
    for failure in [
        Failure::Busy { retry_after: None },
        Failure::Drop,
        Failure::Status(StatusCode::BAD_GATEWAY),
    ] {
        hub.telnyx.fails(failure);
        assert_eq!(resolve_due(&hub).await, 0);
        assert_eq!(status(&harbor, &message).await, "unconfirmed");
    }
    assert_eq!(hub.run_sender().await, 0, "there is no further attempt");
    assert_eq!(resolve_due(&hub).await, 1);
    assert_eq!(status(&harbor, &message).await, "sent");
    assert_eq!(hub.telnyx.sent("3:30 works.").len(), 1);
}

#[tokio::test]
async fn permanent_refusal_of_a_repeat_resolves_the_text() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    receive_text(&harbor, "Hi").await;
    let message = send_unconfirmed(&harbor, "Hello", Failure::Drop).await;
    hub.telnyx.refuses(40001, 400);
    assert_eq!(resolve_due(&hub).await, 1);
    let failed = harbor.message(&message["id"]).await;
    assert_eq!(
        (failed["status"].as_str(), failed["error_code"].as_str()),
        (Some("failed"), Some("40001"))
    );
}

#[tokio::test]
async fn expired_or_reused_key_is_not_repeated_and_a_report_resolves_it() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    receive_text(&harbor, "Hi").await;
    let old = send_unconfirmed(&harbor, "Old", Failure::AcceptThenDrop).await;
    hub.execute_sql(
        "update messages set created_at = now() - interval '23 hours' where content = 'Old'",
    )
    .await;
    let other = send_unconfirmed(&harbor, "Other", Failure::AcceptThenDrop).await;
    hub.execute_sql("update messages set content = 'Another' where content = 'Other'")
        .await;
    let calls = || hub.telnyx.calls(&["POST /v2/messages"]);
    let before = calls();
    for _ in 0..8 {
        assert_eq!(resolve_due(&hub).await, 0);
    }
    assert_eq!(
        calls() - before,
        4,
        "only the recent one, a limited number of times"
    );
    for message in [&old, &other] {
        assert_eq!(status(&harbor, message).await, "unconfirmed");
    }
    end_retry_delays(&hub).await;
    assert_eq!(hub.run_sender().await, 0);

    for (message, text) in [(&old, "Old"), (&other, "Other")] {
        let sent = hub.telnyx.sent(text);
        assert_eq!(sent.len(), 1);
        hub.telnyx.reports(&sent[0].id, "delivered").await;
        let resolved = harbor.message(&message["id"]).await;
        assert_eq!(
            (
                resolved["status"].as_str(),
                resolved["provider_sid"].as_str()
            ),
            (Some("delivered"), Some(sent[0].id.as_str()))
        );
    }
    assert!(hub.telnyx.sent("Another").is_empty());
}

#[tokio::test]
async fn unsent_text_is_retried_under_another_key() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    let conversation = receive_text(&harbor, "Hi").await;
    let message = harbor.reply(&harbor.admin, &conversation, "Hello").await;
    hub.telnyx.fails(Failure::Busy {
        retry_after: Some(5),
    });
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(status(&harbor, &message).await, "queued");
    assert_eq!(hub.run_sender().await, 0, "not before the delay ends");
    end_retry_delays(&hub).await;
    assert_eq!(hub.run_sender().await, 1);
    let sent = hub.telnyx.sent("Hello");
    assert_eq!(sent.len(), 1);
    assert!(sent[0].key.as_deref().unwrap().ends_with(":2"));
}

#[tokio::test]
async fn refusal_fails_at_once_with_reason() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    let conversation = receive_text(&harbor, "Hi").await;
    for (code, word) in [(40001, "landline"), (40010, "10DLC"), (40309, "turned off")] {
        let message = harbor.reply(&harbor.admin, &conversation, "Hello").await;
        hub.telnyx.refuses(code, 400);
        assert_eq!(hub.run_sender().await, 1);
        let failed = harbor.message(&message["id"]).await;
        assert_eq!(failed["status"], "failed");
        assert_eq!(failed["error_code"], code.to_string());
        assert!(
            failed["error_message"].as_str().unwrap().contains(word),
            "{failed}"
        );
    }
    end_retry_delays(&hub).await;
    assert_eq!(hub.run_sender().await, 0);
    assert!(hub.telnyx.messages().is_empty());
}

#[tokio::test]
async fn rejected_credentials_pause_the_queue_until_replaced() {
    let hub = Hub::start().await;
    let (harbor, customer) = front_desk(&hub).await;
    let conversation = receive_text(&harbor, "Hi").await;
    let message = harbor.reply(&harbor.admin, &conversation, "Hello").await;
    customer.is_refused(Some((401, 20002)));
    hub.run_sender().await;

    let integrations = harbor
        .admin
        .get(&harbor.path("/integrations"))
        .await
        .expect_status(200);
    let integration = &integrations["data"][0];
    assert_eq!(integration["status"], "unhealthy");
    assert!(
        integration["status_reason"]
            .as_str()
            .unwrap()
            .contains("revoked")
    );
    end_retry_delays(&hub).await;
    assert_eq!(hub.run_sender().await, 0, "the queue waits");

    customer.is_refused(None);
    let test = format!("/integrations/{}/test", integration["id"].as_str().unwrap());
    let tested = harbor
        .admin
        .post(&harbor.path(&test), json!({}))
        .await
        .expect_status(200);
    assert_eq!(tested["status"], "healthy");
    end_retry_delays(&hub).await;
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(status(&harbor, &message).await, "sent");
    assert_eq!(hub.telnyx.sent("Hello").len(), 1);
}

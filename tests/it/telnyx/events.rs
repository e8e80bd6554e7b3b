//! Telnyx events at the webhooks: signatures, timestamps and order.

use super::*;

async fn endpoints(harbor: &Workspace<'_>) -> [String; 2] {
    let integrations = harbor
        .admin
        .get(&harbor.path("/integrations"))
        .await
        .expect_status(200);
    let inbound = integrations["data"][0]["webhook_url"].as_str().unwrap();
    [inbound.to_owned(), inbound.replace("/inbound", "/status")]
}

#[tokio::test]
async fn unsigned_telnyx_events_are_refused() {
    let hub = Hub::start().await;
    let (harbor, customer) = front_desk(&hub).await;
    customer.number("+16285550177");
    let text = || hub.telnyx.inbound_text(MAYA, FRONT_DESK, "Hi");
    for endpoint in endpoints(&harbor).await {
        let forged = text().at(&endpoint).signed_by_somebody_else().send().await;
        assert_eq!(forged.status(), 403);
        let problem: Value = forged.json().await.unwrap();
        assert_eq!(problem["code"], "bad_signature");
        for signature in ["", "bm9uc2Vuc2U=", "!"] {
            let answer = text().at(&endpoint).with_signature(signature).send().await;
            assert_eq!(answer.status(), 403, "{signature}");
        }
        for seconds in [310, -310, 86_400] {
            let stale = text()
                .at(&endpoint)
                .signed_seconds_ago(seconds)
                .send()
                .await;
            assert_eq!(stale.status(), 403, "{seconds} seconds ago");
        }
        for body in [&b"{"[..], b"", b"\xff\xfe", b"[]", b"MessageSid=SM1"] {
            let answer = text().at(&endpoint).with_body(body).send().await;
            assert_eq!(answer.status(), 400, "{body:?}");
        }
        let elsewhere = text()
            .at(&endpoint)
            .with("to", json!([{"phone_number": "+16285550999"}]));
        assert_eq!(elsewhere.send().await.status(), 404);
    }
    // From another Telnyx account, where the signature is valid.
    let stranger = hub.telnyx.account("KEY_of_somebody_else");
    stranger.number("+12125550100");
    let theirs = hub.telnyx.inbound_text(MAYA, "+12125550100", "Hi");
    let theirs = theirs.at(&endpoints(&harbor).await[0]);
    assert_eq!(theirs.send().await.status(), 403);
    assert_eq!(hub.count("select count(*) from messages").await, 0);

    for seconds in [290, -290] {
        assert_eq!(
            text().signed_seconds_ago(seconds).send().await.status(),
            200
        );
    }
    assert_eq!(
        hub.count("select count(*) from messages").await,
        2,
        "valid events are stored"
    );
}

#[tokio::test]
async fn both_endpoints_accept_both_kinds_and_ignore_unknown_ones() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    let endpoints = endpoints(&harbor).await;
    for endpoint in &endpoints {
        let text = hub.telnyx.inbound_text(MAYA, FRONT_DESK, "Hi").at(endpoint);
        assert_eq!(text.send().await.status(), 200);
        let unknown = hub.telnyx.inbound_text(MAYA, FRONT_DESK, "Hi").at(endpoint);
        let unknown = unknown.of_type("message.waltzed").send().await;
        assert_eq!(unknown.status(), 200);
    }
    let conversation = harbor.conversation_with(MAYA).await;
    assert_eq!(conversation["unread_count"], 2);
    for (n, endpoint) in endpoints.iter().enumerate() {
        let text = format!("Answer {n}");
        let message = harbor.reply(&harbor.admin, &conversation, &text).await;
        hub.run_sender().await;
        let id = hub.telnyx.sent(&text)[0].id.clone();
        let report = hub.telnyx.reporting(&id, "delivered", None).at(endpoint);
        assert!(report.send().await.status().is_success());
        assert_eq!(status(&harbor, &message).await, "delivered");
    }
}

#[tokio::test]
async fn status_only_moves_forward() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    let conversation = receive_text(&harbor, "Hi").await;
    let message = harbor.reply(&harbor.admin, &conversation, "Hello").await;
    hub.run_sender().await;
    let id = hub.telnyx.sent("Hello")[0].id.clone();
    for (report, expected) in [
        ("queued", "sent"),
        ("sent", "sent"),
        ("delivery_unconfirmed", "sent"),
        ("something-new", "sent"),
        ("delivery_failed", "undelivered"),
        ("delivered", "undelivered"),
        ("sent", "undelivered"),
        ("sending_failed", "undelivered"),
    ] {
        for _ in 0..2 {
            assert!(hub.telnyx.reports(&id, report).await.status().is_success());
            assert_eq!(status(&harbor, &message).await, expected, "after {report}");
        }
    }
}

#[tokio::test]
async fn early_duplicate_and_unknown_reports_are_handled() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    let conversation = receive_text(&harbor, "Hi").await;
    hub.telnyx.reports_before_it_answers();
    let message = harbor.reply(&harbor.admin, &conversation, "Early").await;
    assert_eq!(hub.run_sender().await, 1);
    let known = harbor.message(&message["id"]).await;
    let id = hub.telnyx.sent("Early")[0].id.clone();
    assert_eq!(known["status"], "delivered", "the response was queued");
    assert_eq!(known["provider_sid"], id.as_str());

    let shuffled = ["delivered", "sent", "delivered", "sending"];
    let answers = join_all(shuffled.map(|status| hub.telnyx.reports(&id, status))).await;
    assert!(answers.iter().all(|answer| answer.status().is_success()));
    assert_eq!(status(&harbor, &message).await, "delivered");

    let [_, endpoint] = endpoints(&harbor).await;
    let stranger = hub.telnyx.reporting(&id, "delivered", None).at(&endpoint);
    let stranger = stranger.id("0b7a5e52-0000-4000-8000-00000000dead");
    assert_eq!(stranger.send().await.status(), 404);
}

#[tokio::test]
async fn failure_has_a_readable_reason() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    let conversation = receive_text(&harbor, "Hi").await;
    let message = harbor.reply(&harbor.admin, &conversation, "Hello").await;
    hub.run_sender().await;
    let id = hub.telnyx.sent("Hello")[0].id.clone();
    hub.telnyx
        .reports_failure(&id, "delivery_failed", 40003)
        .await;
    let result = harbor.message(&message["id"]).await;
    assert_eq!(result["error_code"], "40003");
    assert!(result["error_message"].as_str().unwrap().contains("spam"));
}

#[tokio::test]
async fn response_is_fast_and_empty() {
    let hub = Hub::start().await;
    let (harbor, _) = front_desk(&hub).await;
    receive_text(&harbor, "Hi").await;
    let began = std::time::Instant::now();
    let answer = hub.telnyx.text(MAYA, FRONT_DESK, "Hi again").await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "Telnyx times out after two seconds"
    );
    assert_eq!(answer.text().await.unwrap(), "");
}

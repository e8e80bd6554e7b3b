//! When the credit of a text is returned: exactly once, or never.

use futures_util::future::join_all;

use super::{assert_ledger_consistent, balance, cancel, desk, entries_of, send_text};
use crate::emulator::Failure;
use crate::hub::{FRONT_DESK, Hub, MAYA, Person, Workspace};

fn spent() -> (String, i64) {
    ("spent".into(), -1)
}

fn returned() -> (String, i64) {
    ("returned".into(), 1)
}

#[tokio::test]
async fn text_refused_by_provider_refunds_once() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 10).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let message = send_text(&sam, &harbor, &conversation, "Hello")
        .await
        .expect_status(202)["message"]
        .clone();
    hub.twilio.refuses(21614, 400);
    hub.run_sender().await;

    assert_eq!(harbor.message(&message["id"]).await["status"], "failed");
    assert_eq!(entries_of(&hub, &message).await, [spent(), returned()]);
    assert_eq!(balance(&harbor, &sam).await, 10);
    // Later events refund nothing more.
    hub.run_sender().await;
    cancel(&sam, &harbor, &message)
        .await
        .refused(409, "too_late");
    assert_eq!(balance(&harbor, &sam).await, 10);

    // A text that is refused as busy again and again stays charged until it is given up.
    let busy = send_text(&sam, &harbor, &conversation, "Busy")
        .await
        .expect_status(202)["message"]
        .clone();
    for _ in 0..19 {
        hub.twilio.is_busy(None);
        assert_eq!(hub.run_sender().await, 1);
        assert_eq!(balance(&harbor, &sam).await, 9);
        hub.execute_sql("update messages set due_at = now() where status = 'queued'")
            .await;
    }
    hub.twilio.is_busy(None);
    hub.run_sender().await;
    assert_eq!(harbor.message(&busy["id"]).await["status"], "failed");
    assert_eq!(entries_of(&hub, &busy).await, [spent(), returned()]);
    assert_ledger_consistent(&hub).await;
}

// Explained line by line in docs/TESTING.md.
#[tokio::test]
async fn returned_credit_pays_for_another_text() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 1).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;

    let refused = harbor.reply(&sam, &conversation, "Hello").await;
    send_text(&sam, &harbor, &conversation, "Once more")
        .await
        .refused(402, "insufficient_credits");

    hub.twilio.refuses(21614, 400);
    hub.run_sender().await;
    assert_eq!(harbor.message(&refused["id"]).await["status"], "failed");

    send_text(&sam, &harbor, &conversation, "Once more")
        .await
        .expect_status(202);
    hub.run_sender().await;
    assert_eq!(hub.twilio.sent("Once more").len(), 1);
    assert_eq!(balance(&harbor, &sam).await, 0);
    assert_ledger_consistent(&hub).await;
}

#[tokio::test]
async fn text_accepted_by_provider_keeps_its_charge() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 10).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    for (n, report) in ["failed", "undelivered", "delivered"]
        .into_iter()
        .enumerate()
    {
        let text = format!("Text {n}");
        let message = send_text(&sam, &harbor, &conversation, &text)
            .await
            .expect_status(202)["message"]
            .clone();
        hub.run_sender().await;
        let sid = hub.twilio.sent(&text)[0].sid.clone();
        for _ in 0..2 {
            hub.twilio.reports_failure(&sid, report, 30003).await;
        }
        assert_eq!(harbor.message(&message["id"]).await["status"], report);
        assert_eq!(entries_of(&hub, &message).await, [spent()], "{report}");
    }
    assert_eq!(balance(&harbor, &sam).await, 7);
}

#[tokio::test]
async fn unconfirmed_text_keeps_its_charge() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 10).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let message = send_text(&sam, &harbor, &conversation, "Hello")
        .await
        .expect_status(202)["message"]
        .clone();
    hub.twilio.fails(Failure::AcceptThenDrop);
    hub.run_sender().await;
    assert_eq!(
        harbor.message(&message["id"]).await["status"],
        "unconfirmed"
    );
    assert_eq!(entries_of(&hub, &message).await, [spent()]);
    cancel(&sam, &harbor, &message)
        .await
        .refused(409, "too_late");

    let sid = hub.twilio.sent("Hello")[0].sid.clone();
    hub.twilio.reports_failure(&sid, "failed", 30003).await;
    assert_eq!(harbor.message(&message["id"]).await["status"], "failed");
    assert_eq!(
        entries_of(&hub, &message).await,
        [spent()],
        "the provider accepted it"
    );
}

#[tokio::test]
async fn canceled_text_refunds_its_sender_once() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 10).await;
    let lin = harbor.agent("Lin").await;
    harbor.assign_number(FRONT_DESK, &lin).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let message = send_text(&sam, &harbor, &conversation, "Hello")
        .await
        .expect_status(202)["message"]
        .clone();

    let answers = join_all((0..20).map(|n| {
        let who = [&sam, &lin, &harbor.admin][n % 3];
        cancel(who, &harbor, &message)
    }))
    .await;

    let (done, late): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(done.len(), 1);
    for answer in late {
        answer.refused(409, "too_late");
    }
    assert_eq!(entries_of(&hub, &message).await, [spent(), returned()]);
    assert_eq!(balance(&harbor, &sam).await, 10);
    assert_eq!(balance(&harbor, &lin).await, 1000);
    assert_eq!(hub.run_sender().await, 0);
    assert!(hub.twilio.sent("Hello").is_empty());

    // Inbound texts and texts of other workspaces cannot be canceled.
    let inbound = &harbor.thread(&conversation).await[0];
    cancel(&sam, &harbor, inbound)
        .await
        .refused(409, "too_late");
    let bay = hub.workspace("Bay Optics").await;
    let other = send_text(&sam, &harbor, &conversation, "Hello again")
        .await
        .expect_status(202)["message"]
        .clone();
    cancel(&bay.admin, &bay, &other)
        .await
        .refused(404, "not_found");
    assert_ledger_consistent(&hub).await;
}

#[tokio::test]
async fn cancel_and_send_race_charges_or_refunds_exactly_once() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 100).await;
    let mut messages = Vec::new();
    for n in 0..40 {
        let conversation = harbor
            .receive_text(&format!("+141555501{n:02}"), "Hi")
            .await;
        let sent = send_text(&sam, &harbor, &conversation, &format!("Text {n}")).await;
        messages.push(sent.expect_status(202)["message"].clone());
    }

    // Cancels from the last to the first, against the order of the sender.
    let (_, answers) = tokio::join!(
        hub.run_sender(),
        join_all(
            messages
                .iter()
                .rev()
                .map(|message| cancel(&sam, &harbor, message))
        ),
    );

    let mut canceled = 0;
    for (message, answer) in messages.iter().rev().zip(answers) {
        let text = message["content"].as_str().unwrap();
        let (taken, entries) = (hub.twilio.sent(text).len(), entries_of(&hub, message).await);
        let status = harbor.message(&message["id"]).await["status"].clone();
        if answer.status == 200 {
            canceled += 1;
            assert_eq!((taken, entries), (0, vec![spent(), returned()]), "{text}");
            assert_eq!(status, "canceled");
        } else {
            answer.refused(409, "too_late");
            assert_eq!((taken, entries), (1, vec![spent()]), "{text}");
            assert_eq!(status, "sent");
        }
    }
    assert_eq!(balance(&harbor, &sam).await, 60 + canceled);
    assert!(canceled > 0, "no cancellation came in time");
    assert_ledger_consistent(&hub).await;
}

/// A due refund is neither given nor disclosed to other workspaces.
#[tokio::test]
async fn refund_is_limited_to_its_workspace() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 10).await;
    let bay = hub.workspace("Bay Optics").await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let message = send_text(&sam, &harbor, &conversation, "Hello")
        .await
        .expect_status(202)["message"]
        .clone();
    hub.execute_sql("update messages set status = 'canceled' where direction = 'outbound'")
        .await;
    let gives_back = async |who: &Person, place: &Workspace<'_>, unset: bool| -> i64 {
        let mut tx = hub.with_rights_of(who, place).await;
        if unset {
            sqlx::query("select set_config('app.workspace_id', '', true)")
                .execute(&mut *tx)
                .await
                .unwrap();
        }
        let rows = sqlx::query_scalar("select count(*) from return_credit($1::uuid, $2::uuid)")
            .bind(&harbor.id)
            .bind(message["id"].as_str().unwrap())
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        rows
    };
    assert_eq!(gives_back(&bay.admin, &bay, false).await, 0);
    assert_eq!(gives_back(&bay.admin, &harbor, false).await, 0);
    assert_eq!(gives_back(&bay.admin, &bay, true).await, 0);
    assert_eq!(balance(&harbor, &sam).await, 9);
    assert_eq!(gives_back(&sam, &harbor, false).await, 1);
    assert_eq!(gives_back(&sam, &harbor, false).await, 0, "once");
    assert_eq!(balance(&harbor, &sam).await, 10);
}

//! Texts whose response was lost: looked up until the outcome is certain, and resent only then or by a user.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::emulator::Failure;
use crate::hub::{FRONT_DESK, Hub, MAYA, Person, Workspace};

/// Makes the next lookup due.
async fn make_due(hub: &Hub) {
    sqlx::query("update messages set due_at = now(), updated_at = now() - interval '1 minute' where status in ('queued', 'unconfirmed')")
        .execute(&hub.superuser_pool)
        .await
        .unwrap();
}

async fn resolve_due(hub: &Hub) -> usize {
    make_due(hub).await;
    hub.server.outcome_resolver.run_once().await.unwrap()
}

async fn status_of(harbor: &Workspace<'_>, message: &Value) -> String {
    harbor.message(&message["id"]).await["status"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A text whose outcome is `unconfirmed`.
async fn send_unconfirmed(
    hub: &Hub,
    harbor: &Workspace<'_>,
    text: &str,
    failure: Failure,
) -> Value {
    let maya = harbor.conversation_with(MAYA).await;
    let message = harbor.reply(&harbor.admin, &maya, text).await;
    hub.twilio.fails(failure);
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(status_of(harbor, &message).await, "unconfirmed");
    message
}

#[tokio::test]
async fn unconfirmed_text_is_resolved_by_asking_the_provider() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Hi").await;
    assert_eq!(
        hub.server.outcome_resolver.run_once().await.unwrap(),
        0,
        "nothing to ask about"
    );
    let message = send_unconfirmed(&hub, &harbor, "Hello", Failure::AcceptThenDrop).await;
    assert_eq!(
        hub.server.outcome_resolver.run_once().await.unwrap(),
        0,
        "a callback has 15 seconds to come first"
    );

    assert_eq!(resolve_due(&hub).await, 1);

    let resolved = harbor.message(&message["id"]).await;
    assert_eq!(resolved["status"], "sent");
    assert_eq!(resolved["provider_sid"], hub.twilio.sent("Hello")[0].sid);
    make_due(&hub).await;
    assert_eq!(hub.run_sender().await, 0);
    assert_eq!(hub.twilio.sent("Hello").len(), 1, "exactly one text");
}

#[tokio::test]
async fn unaccepted_text_is_resent_only_after_the_last_check() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Hi").await;
    let message = send_unconfirmed(&hub, &harbor, "Hello", Failure::Drop).await;
    for lookup in 1..=3 {
        assert_eq!(resolve_due(&hub).await, 0, "lookup {lookup}");
        assert_eq!(status_of(&harbor, &message).await, "unconfirmed");
        make_due(&hub).await;
        assert_eq!(hub.run_sender().await, 0);
    }
    assert_eq!(resolve_due(&hub).await, 1, "the last lookup");
    assert_eq!(status_of(&harbor, &message).await, "queued");
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(status_of(&harbor, &message).await, "sent");
    assert_eq!(hub.twilio.sent("Hello").len(), 1, "exactly one text");
}

#[tokio::test]
async fn unavailable_provider_does_not_count_as_not_sent() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Hi").await;
    let message = send_unconfirmed(&hub, &harbor, "Hello", Failure::AcceptThenDrop).await;
    for _ in 0..8 {
        hub.twilio
            .fails(Failure::Status(reqwest::StatusCode::BAD_GATEWAY));
        assert_eq!(resolve_due(&hub).await, 0);
    }
    assert_eq!(
        status_of(&harbor, &message).await,
        "unconfirmed",
        "failed lookups prove nothing"
    );
    assert_eq!(resolve_due(&hub).await, 1);
    assert_eq!(status_of(&harbor, &message).await, "sent");
    assert_eq!(hub.twilio.sent("Hello").len(), 1);
}

#[tokio::test]
async fn texts_with_equal_content_are_matched_individually() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.reply(&harbor.admin, &maya, "Ok").await;
    assert_eq!(hub.run_sender().await, 1, "the first text is sent");
    let dropped = send_unconfirmed(&hub, &harbor, "Ok", Failure::Drop).await;
    let taken = send_unconfirmed(&hub, &harbor, "Ok", Failure::AcceptThenDrop).await;
    // The provider cannot tell which of the two lost texts it has, only that it has one of them. Both are looked up
    // at once: a match for one costs the other a lookup.
    for _ in 0..6 {
        resolve_due(&hub).await;
    }
    make_due(&hub).await;
    hub.run_sender().await;
    assert_eq!(
        (
            status_of(&harbor, &dropped).await,
            status_of(&harbor, &taken).await
        ),
        ("sent".into(), "sent".into())
    );
    assert_eq!(hub.twilio.sent("Ok").len(), 3, "three texts are sent");
}

async fn retry(who: &Person, harbor: &Workspace<'_>, message: &Value) -> crate::hub::Answer {
    let path = harbor.path(&format!(
        "/messages/{}/retry",
        message["id"].as_str().unwrap()
    ));
    who.post(&path, json!({})).await
}

#[tokio::test]
async fn failed_text_is_retried_once_however_often_requested() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    harbor.set_credits(&sam, 2).await;
    let signature = json!({"signature": "Sam"});
    sam.patch(&harbor.path("/settings"), signature)
        .await
        .expect_status(200);
    let message = harbor.reply(&sam, &maya, "Hello").await;
    retry(&sam, &harbor, &message)
        .await
        .refused(409, "too_late");
    hub.twilio.refuses(21614, 400);
    hub.run_sender().await;
    assert_eq!(status_of(&harbor, &message).await, "failed");

    retry(&lin, &harbor, &message)
        .await
        .refused(404, "not_found");
    let answers = join_all((0..10).map(|_| retry(&sam, &harbor, &message))).await;
    let again: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.expect_status(202)["message"]["id"].clone())
        .collect();
    assert!(again.iter().all(|id| *id == again[0]), "{again:?}");
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(hub.twilio.sent("Hello\nSam").len(), 1, "with one signature");
    assert_eq!(
        status_of(&harbor, &message).await,
        "failed",
        "the first text stays failed"
    );
    let balance = sam
        .get(&harbor.path(&format!("/credits/{}", sam.id)))
        .await
        .expect_status(200);
    assert_eq!(balance["balance"], 1);
}

#[tokio::test]
async fn user_can_give_up_on_an_unconfirmed_text() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Hi").await;
    let message = send_unconfirmed(&hub, &harbor, "Hello", Failure::Drop).await;
    retry(&harbor.admin, &harbor, &message)
        .await
        .expect_status(202);
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(
        harbor.message(&message["id"]).await["error_code"],
        "given_up"
    );
    assert_eq!(resolve_due(&hub).await, 0, "it is not looked up again");
    assert_eq!(hub.twilio.sent("Hello").len(), 1);
    let maya = harbor.conversation_with(MAYA).await;
    let received = &harbor.thread(&maya).await[0];
    retry(&harbor.admin, &harbor, received)
        .await
        .refused(409, "too_late");
}

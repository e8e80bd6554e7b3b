//! What a text costs, and when none is accepted.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::json;

use super::{assert_ledger_consistent, balance, desk, send_text};
use crate::hub::{FRONT_DESK, Hub, MAYA};

#[tokio::test]
async fn concurrent_sends_spend_only_available_credits() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 50).await;
    let mut conversations = Vec::new();
    for n in 0..10 {
        conversations.push(harbor.receive_text(&format!("+1415555010{n}"), "Hi").await);
    }

    let answers = join_all((0..200).map(|n| {
        let conversation = &conversations[n % conversations.len()];
        let text = format!("Text {n}");
        let (sam, harbor) = (&sam, &harbor);
        async move { send_text(sam, harbor, conversation, &text).await }
    }))
    .await;

    let (sent, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 202);
    assert_eq!((sent.len(), refused.len()), (50, 150));
    for answer in refused {
        answer.refused(402, "insufficient_credits");
    }
    let mut left: Vec<_> = sent
        .into_iter()
        .map(|answer| {
            answer.expect_status(202)["credits_remaining"]
                .as_i64()
                .unwrap()
        })
        .collect();
    left.sort_unstable();
    assert_eq!(
        left,
        (0..50).collect::<Vec<_>>(),
        "each response has its own balance"
    );
    assert_eq!(balance(&harbor, &sam).await, 0);
    assert_eq!(
        hub.count("select count(*) from messages where direction = 'outbound'")
            .await,
        50
    );
    assert_eq!(
        hub.count("select count(*) from credit_ledger where kind = 'spent'")
            .await,
        50
    );
    assert_ledger_consistent(&hub).await;
}

#[tokio::test]
async fn unpaid_text_leaves_no_trace() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 1).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let state = "select coalesce(string_agg(t::text, e'\\n' order by t::text), '') from
        (select c::text as t from conversations c union all select c::text from contacts c union all select m::text from messages m
         union all select l::text from credit_ledger l) as all_of_it";
    let state = async || -> String {
        sqlx::query_scalar(state)
            .fetch_one(&hub.superuser_pool)
            .await
            .unwrap()
    };
    let before = state().await;
    send_text(&sam, &harbor, &conversation, "This one is paid")
        .await
        .expect_status(202);
    let paid = state().await;
    assert_ne!(paid, before, "a paid text changes the rows");

    send_text(&sam, &harbor, &conversation, "This one is not")
        .await
        .refused(402, "insufficient_credits");
    let to_a_stranger = json!({"to": "+14155550155", "content": "Welcome"});
    sam.post(&harbor.path("/messages"), to_a_stranger.clone())
        .await
        .refused(402, "insufficient_credits");
    sam.send_with_key(&harbor, "a-key", &to_a_stranger)
        .await
        .refused(402, "insufficient_credits");
    let mut live = sam.join_workspace(&harbor).await;
    live.send(json!({"type": "send_message", "workspace_id": harbor.id, "conversation_id": conversation["id"],
                     "content": "By socket", "client_ref": "ref-1"}))
        .await;
    assert_eq!(
        live.wait_for("message_error").await["error"]["code"],
        "insufficient_credits"
    );
    assert_eq!(state().await, paid);
    assert!(live.received_so_far(&harbor).await.is_empty());

    // The refused request did not use up the key.
    harbor.set_credits(&sam, 1).await;
    sam.send_with_key(&harbor, "a-key", &to_a_stranger)
        .await
        .expect_status(202);
}

#[tokio::test]
async fn repeated_idempotency_key_spends_once() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 10).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let draft = json!({"conversation_id": conversation["id"], "content": "Hello Maya"});

    let answers = join_all((0..50).map(|_| sam.send_with_key(&harbor, "one-key", &draft))).await;

    let mut ids = HashSet::new();
    for answer in answers {
        let sent = answer.expect_status(202);
        assert_eq!(sent["credits_remaining"], 9);
        ids.insert(sent["message"]["id"].to_string());
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(balance(&harbor, &sam).await, 9);
    let again = sam
        .send_with_key(&harbor, "one-key", &draft)
        .await
        .expect_status(202);
    assert_eq!(again["credits_remaining"], 9);
    // A repeat works even with an empty balance.
    harbor.set_credits(&sam, 0).await;
    sam.send_with_key(&harbor, "one-key", &draft)
        .await
        .expect_status(202);
    sam.send_with_key(&harbor, "another-key", &draft)
        .await
        .refused(402, "insufficient_credits");
    assert_ledger_consistent(&hub).await;
}

#[tokio::test]
async fn refused_text_costs_nothing() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 10).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let id = &conversation["id"];
    let kim = harbor.receive_text("+14155550155", "STOP").await;
    let short_code = harbor.receive_text("72345", "Your code is 4711").await;
    let unknown_id = "01890000-0000-7000-8000-000000000000";
    sam.send_with_key(
        &harbor,
        "used",
        &json!({"conversation_id": id, "content": "Hello"}),
    )
    .await
    .expect_status(202);
    let seen = harbor.thread(&conversation).await[0]["id"].clone();
    harbor
        .reply(&harbor.admin, &conversation, "I have this")
        .await;

    for (draft, status, code) in [
        (
            json!({"conversation_id": kim["id"], "content": "Hi"}),
            409,
            "contact_opted_out",
        ),
        (
            json!({"conversation_id": short_code["id"], "content": "Hi"}),
            409,
            "contact_unreachable",
        ),
        (
            json!({"conversation_id": id, "content": "Hi", "seen_message_id": seen}),
            409,
            "conversation_moved",
        ),
        (
            json!({"to": "not a number", "content": "Hi"}),
            422,
            "validation_failed",
        ),
        (
            json!({"to": MAYA, "content": " "}),
            422,
            "validation_failed",
        ),
        (
            json!({"to": MAYA, "content": "a".repeat(1_601)}),
            422,
            "validation_failed",
        ),
        (
            json!({"to": MAYA, "content": "Hi", "number_id": unknown_id}),
            403,
            "number_not_assigned",
        ),
        (
            json!({"conversation_id": unknown_id, "content": "Hi"}),
            404,
            "not_found",
        ),
        (
            json!({"contact_id": unknown_id, "content": "Hi"}),
            404,
            "not_found",
        ),
    ] {
        sam.post(&harbor.path("/messages"), draft)
            .await
            .refused(status, code);
    }
    sam.send_with_key(
        &harbor,
        "used",
        &json!({"conversation_id": id, "content": "Another"}),
    )
    .await
    .refused(422, "idempotency_key_reused");
    let number = harbor.path(&format!("/numbers/{}", harbor.number(FRONT_DESK).await));
    harbor
        .admin
        .patch(&number, json!({"status": "inactive"}))
        .await
        .expect_status(200);
    send_text(&sam, &harbor, &conversation, "Hi")
        .await
        .refused(409, "integration_not_configured");

    assert_eq!(balance(&harbor, &sam).await, 9, "one text was charged");
    assert_ledger_consistent(&hub).await;
}

#[tokio::test]
async fn admins_send_without_credits() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    for n in 0..5 {
        let sent = send_text(&harbor.admin, &harbor, &conversation, &format!("Text {n}"))
            .await
            .expect_status(202);
        assert!(sent["credits_remaining"].is_null());
    }
    let account = harbor
        .admin
        .get(&harbor.path(&format!("/credits/{}", harbor.admin.id)))
        .await
        .expect_status(200);
    assert_eq!(
        (&account["balance"], &account["unlimited"]),
        (&json!(0), &json!(true))
    );
    assert_eq!(hub.count("select count(*) from credit_ledger").await, 0);
}

//! Credits: charged once, refunded once, and always equal to the ledger.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::emulator::Failure;
use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, Person, Workspace};

mod model;

/// A workspace with the front desk, and an agent with access to it and this balance.
async fn desk<'a>(hub: &'a Hub, credits: i64) -> (Workspace<'a>, Person) {
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    harbor.set_credits(&sam, credits).await;
    (harbor, sam)
}

async fn send_text(
    who: &Person,
    harbor: &Workspace<'_>,
    conversation: &Value,
    text: &str,
) -> Answer {
    let draft = json!({"conversation_id": conversation["id"], "content": text});
    who.post(&harbor.path("/messages"), draft).await
}

async fn cancel(who: &Person, harbor: &Workspace<'_>, message: &Value) -> Answer {
    let id = message["id"].as_str().unwrap();
    who.post(&harbor.path(&format!("/messages/{id}/cancel")), json!({}))
        .await
}

async fn balance(harbor: &Workspace<'_>, of: &Person) -> i64 {
    let account = harbor
        .admin
        .get(&harbor.path(&format!("/credits/{}", of.id)))
        .await
        .expect_status(200);
    account["balance"].as_i64().unwrap()
}

async fn change_balance(harbor: &Workspace<'_>, of: &Person, change: Value) -> Answer {
    harbor
        .admin
        .patch(&harbor.path(&format!("/credits/{}", of.id)), change)
        .await
}

async fn entries_of(hub: &Hub, message: &Value) -> Vec<(String, i64)> {
    sqlx::query_as(
        "select kind, delta from credit_ledger where message_id::text = $1 order by created_at, id",
    )
    .bind(message["id"].as_str().unwrap())
    .fetch_all(&hub.superuser_pool)
    .await
    .unwrap()
}

fn spent() -> (String, i64) {
    ("spent".into(), -1)
}

fn returned() -> (String, i64) {
    ("returned".into(), 1)
}

async fn assert_ledger_consistent(hub: &Hub) {
    let wrong = hub
        .count(
            "select count(*) from credit_accounts a
              where balance < 0
                 or balance <> (select coalesce(sum(delta), 0) from credit_ledger l
                                 where l.workspace_id = a.workspace_id and l.user_id = a.user_id)",
        )
        .await;
    assert_eq!(wrong, 0, "a balance is the sum of its ledger");
    let wrong = hub
        .count(
            "select count(*)
               from (select balance, sum(delta) over (partition by workspace_id, user_id order by created_at, id) as sum
                       from credit_ledger) as l
              where balance <> sum or balance < 0",
        )
        .await;
    assert_eq!(wrong, 0, "every entry has the balance after it");
}

// ── charges ──

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

// ── refunds ──

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

#[tokio::test]
async fn balance_survives_role_changes_and_removal() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 10).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let member = harbor.path(&format!("/members/{}", sam.id));
    let becomes = |role: &str| harbor.admin.patch(&member, json!({"role": role}));
    let paid = send_text(&sam, &harbor, &conversation, "Paid")
        .await
        .expect_status(202)["message"]
        .clone();

    becomes("admin").await.expect_status(200);
    let free = send_text(&sam, &harbor, &conversation, "Free")
        .await
        .expect_status(202);
    assert!(free["credits_remaining"].is_null());
    assert_eq!(balance(&harbor, &sam).await, 9);
    becomes("agent").await.expect_status(200);
    let next = send_text(&sam, &harbor, &conversation, "Paid again")
        .await
        .expect_status(202);
    assert_eq!(next["credits_remaining"], 8);
    // A free text refunds nothing, a paid one does, whatever the role is by then.
    cancel(&sam, &harbor, &free["message"])
        .await
        .expect_status(200);
    assert_eq!(balance(&harbor, &sam).await, 8);
    becomes("admin").await.expect_status(200);
    cancel(&sam, &harbor, &paid).await.expect_status(200);
    becomes("agent").await.expect_status(200);
    assert_eq!(balance(&harbor, &sam).await, 9);

    harbor.admin.delete(&member).await.expect_status(204);
    cancel(&harbor.admin, &harbor, &next["message"])
        .await
        .expect_status(200);
    change_balance(&harbor, &sam, json!({"delta": 5}))
        .await
        .refused(404, "not_found");
    let link = harbor.invite(&sam.email, "agent").await;
    hub.verify_email(&sam.email).await;
    sam.post(&format!("/api/invitations/{link}/accept"), json!({}))
        .await
        .expect_status(200);
    assert_eq!(
        balance(&harbor, &sam).await,
        10,
        "including the refund after the removal"
    );
    assert_ledger_consistent(&hub).await;
}

// ── changes by admins ──

#[tokio::test]
async fn admin_grants_deducts_and_sets_credits() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 10).await;
    for (change, after, entries) in [
        (json!({"delta": 5, "reason": " Birthday "}), 15, 1),
        (json!({"delta": -15}), 0, 1),
        (json!({"balance": 7, "reason": "x".repeat(200)}), 7, 1),
        (json!({"balance": 7}), 7, 0),
        (json!({"delta": 0}), 7, 0),
        (json!({"delta": 1_000_000_000}), 1_000_000_007, 1),
        (json!({"balance": 0, "delta": null}), 0, 1),
    ] {
        let before = hub.count("select count(*) from credit_ledger").await;
        let account = change_balance(&harbor, &sam, change.clone())
            .await
            .expect_status(200);
        assert_eq!(account["balance"], after, "{change}");
        assert_eq!(
            hub.count("select count(*) from credit_ledger").await - before,
            entries,
            "{change}"
        );
    }
    let path = harbor.path(&format!("/credits/{}/ledger", sam.id));
    let ledger = harbor.admin.get(&path).await.expect_status(200);
    let first = &ledger["data"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(first["actor_id"], harbor.admin.id);
    assert_eq!(first["actor_name"], "Jo Park");
    assert!(
        ledger["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["reason"] == "Birthday" && entry["delta"] == 5)
    );
    // Admins can have a balance too: they may become agents.
    change_balance(&harbor, &harbor.admin, json!({"delta": 3}))
        .await
        .expect_status(200);
    assert_ledger_consistent(&hub).await;
}

#[tokio::test]
async fn invalid_credit_change_is_refused() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 10).await;
    let bay = hub.workspace("Bay Optics").await;
    let written = "select (select count(*) from credit_ledger) + (select count(*) from audit_log where action = 'credits_changed')";
    let before = hub.count(written).await;
    for (change, field) in [
        (json!({}), "delta"),
        (json!({"reason": "for nothing"}), "delta"),
        (json!({"delta": 1, "balance": 1}), "delta"),
        (json!({"delta": -11}), "delta"),
        (json!({"balance": -1}), "balance"),
        (json!({"delta": 1_000_000_001}), "delta"),
        (json!({"delta": -1_000_000_001}), "delta"),
        (json!({"balance": 1_000_000_001}), "balance"),
        (json!({"delta": i64::MAX}), "delta"),
        (json!({"delta": i64::MIN}), "delta"),
        (json!({"balance": i64::MAX}), "balance"),
        (json!({"balance": i64::MIN}), "balance"),
        (json!({"delta": 1e30}), "body"),
        (json!({"delta": u64::MAX}), "body"),
        (json!({"delta": 1.5}), "body"),
        (json!({"delta": "5"}), "body"),
        (json!({"delta": 1, "reason": "x".repeat(201)}), "reason"),
        (json!({"delta": 1, "reason": "a\u{0}b"}), "reason"),
        (json!({"delta": 1, "reason": null}), "body"),
        (json!({"delta": 1, "user_id": bay.admin.id}), "body"),
    ] {
        let problem = change_balance(&harbor, &sam, change.clone())
            .await
            .refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field, "{change}");
    }
    change_balance(&harbor, &bay.admin, json!({"delta": 1}))
        .await
        .refused(404, "not_found");
    assert_eq!(balance(&harbor, &sam).await, 10);
    assert_eq!(hub.count(written).await, before);
}

#[tokio::test]
async fn concurrent_grants_and_sends_lose_no_credit() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 20).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let (topped, sent) = tokio::join!(
        join_all((0..20).map(|_| change_balance(&harbor, &sam, json!({"delta": 3})))),
        join_all((0..60).map(|_| send_text(&sam, &harbor, &conversation, "Hello"))),
    );
    topped.into_iter().for_each(|answer| {
        answer.expect_status(200);
    });
    let sent = sent.iter().filter(|answer| answer.status == 202).count();
    assert_eq!(
        balance(&harbor, &sam).await,
        80 - i64::try_from(sent).unwrap()
    );
    assert_ledger_consistent(&hub).await;
}

#[tokio::test]
async fn agents_see_only_their_own_balance() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 10).await;
    let lin = harbor.agent("Lin").await;
    let own = harbor.path(&format!("/credits/{}", sam.id));
    let account = sam.get(&own).await.expect_status(200);
    assert_eq!(
        (&account["user_id"], &account["balance"]),
        (&json!(sam.id), &json!(10))
    );
    sam.get(&format!("{own}/ledger")).await.expect_status(200);

    for other in [&lin, &harbor.admin] {
        let path = harbor.path(&format!("/credits/{}", other.id));
        sam.get(&path).await.refused(403, "admin_only");
        sam.get(&format!("{path}/ledger"))
            .await
            .refused(403, "admin_only");
    }
    sam.get(&harbor.path("/credits"))
        .await
        .refused(403, "admin_only");
    for victim in [&sam, &lin] {
        sam.patch(
            &harbor.path(&format!("/credits/{}", victim.id)),
            json!({"delta": 1_000}),
        )
        .await
        .refused(403, "admin_only");
    }
    let all = harbor
        .admin
        .get(&harbor.path("/credits"))
        .await
        .expect_status(200);
    let balances: Vec<_> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| {
            (
                account["name"].as_str().unwrap(),
                account["balance"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(balances, [("Jo Park", 0), ("Lin", 1000), ("Sam", 10)]);
}

#[tokio::test]
async fn ledger_is_paginated_newest_first() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 0).await;
    let before = harbor.path(&format!("/credits/{}/ledger?limit=200", sam.id));
    let before = sam.get(&before).await.expect_status(200)["data"]
        .as_array()
        .unwrap()
        .len();
    for n in 1..=25 {
        change_balance(&harbor, &sam, json!({"delta": n}))
            .await
            .expect_status(200);
    }
    let path = harbor.path(&format!("/credits/{}/ledger?limit=10", sam.id));
    let (mut deltas, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = sam
            .get(&format!("{path}&cursor={cursor}"))
            .await
            .expect_status(200);
        let entries = page["data"].as_array().unwrap();
        deltas.extend(entries.iter().map(|entry| entry["delta"].as_i64().unwrap()));
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.into(),
            None => break,
        }
    }
    assert_eq!(deltas.len(), 25 + before);
    assert_eq!(pages, deltas.len().div_ceil(10));
    assert_eq!(deltas[..25], (1..=25).rev().collect::<Vec<_>>());
    for wrong in ["limit=0", "limit=201", "limit=x", "cursor=x"] {
        let path = harbor.path(&format!("/credits/{}/ledger?{wrong}", sam.id));
        sam.get(&path).await.refused(422, "validation_failed");
    }
}

// ── notifications ──

#[tokio::test]
async fn low_balance_mail_is_sent_once_unless_disabled() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 4).await;
    let lin = harbor.agent("Lin").await;
    harbor.assign_number(FRONT_DESK, &lin).await;
    harbor.set_credits(&lin, 4).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    harbor
        .admin
        .patch(&harbor.path(""), json!({"low_credits_at": 2}))
        .await
        .expect_status(200);
    let settings = json!({"notifications": {"mail_when_credits_low": false}});
    lin.patch(&harbor.path("/settings"), settings)
        .await
        .expect_status(200);

    for left in [3, 2, 1, 0] {
        for agent in [&lin, &sam] {
            let sent = send_text(agent, &harbor, &conversation, "Hello")
                .await
                .expect_status(202);
            assert_eq!(sent["credits_remaining"], left);
        }
        if left == 2 {
            let mail = hub.mail_server.mail_to(&sam.email).await;
            assert!(mail.subject.contains("Harbor Dental"), "{mail:?}");
            assert!(mail.text.contains("2 credits"), "{mail:?}");
        }
    }
    // Any further mail would have been sent before this one.
    let kim = harbor.agent("Kim").await;
    harbor.assign_number(FRONT_DESK, &kim).await;
    harbor.set_credits(&kim, 3).await;
    send_text(&kim, &harbor, &conversation, "Hello")
        .await
        .expect_status(202);
    hub.mail_server.mail_to(&kim.email).await;
    hub.server.app.mail.wait_until_empty().await;
    assert_eq!(hub.mail_server.unread_mails(&sam.email), 0);
    assert_eq!(hub.mail_server.unread_mails(&lin.email), 0);
}

#[tokio::test]
async fn balance_event_reaches_only_its_owner() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 12).await;
    let lin = harbor.agent("Lin").await;
    harbor.assign_number(FRONT_DESK, &lin).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let mut sams = sam.join_workspace(&harbor).await;
    let (mut lins, mut jos) = (
        lin.join_workspace(&harbor).await,
        harbor.admin.join_workspace(&harbor).await,
    );

    let sent = send_text(&sam, &harbor, &conversation, "Hello")
        .await
        .expect_status(202);
    let frame = sams.wait_for("credits").await;
    assert_eq!(
        frame,
        json!({"type": "credits", "workspace_id": harbor.id, "user_id": sam.id, "balance": 11, "is_low": false})
    );
    change_balance(&harbor, &sam, json!({"balance": 5}))
        .await
        .expect_status(200);
    let frame = sams.wait_for("credits").await;
    assert_eq!(
        (&frame["balance"], &frame["is_low"]),
        (&json!(5), &json!(true))
    );
    cancel(&sam, &harbor, &sent["message"])
        .await
        .expect_status(200);
    assert_eq!(sams.wait_for("credits").await["balance"], 6);

    // Other members receive the texts but no balance events.
    change_balance(&harbor, &lin, json!({"balance": 5}))
        .await
        .expect_status(200);
    assert_eq!(lins.wait_for("credits").await["user_id"], lin.id);
    let received = jos.received_so_far(&harbor).await;
    assert!(received.iter().any(|frame| frame["type"] == "new_message"));
    for received in [received, sams.received_so_far(&harbor).await] {
        assert!(
            received.iter().all(|frame| frame["type"] != "credits"),
            "{received:?}"
        );
    }
}

// ── database rights ──

#[tokio::test]
async fn ledger_and_audit_log_are_append_only() {
    let hub = Hub::start().await;
    let (_harbor, _sam) = desk(&hub, 10).await;
    for (statement, done) in [
        ("update credit_ledger set delta = 1000", "append-only"),
        ("update credit_ledger set reason = reason", "append-only"),
        ("delete from credit_ledger", "append-only"),
        ("truncate credit_ledger", "append-only"),
        ("truncate credit_accounts, credit_ledger", "append-only"),
        (
            "update audit_log set actor_name = 'Somebody else'",
            "append-only",
        ),
        ("delete from audit_log", "append-only"),
        ("truncate audit_log", "append-only"),
        ("truncate workspaces cascade", "append-only"),
        // Constraints keep balance and ledger consistent.
        ("delete from credit_accounts", "foreign key"),
        (
            "update credit_accounts set balance = -1",
            "credit_accounts_balance_not_negative",
        ),
    ] {
        let refused = sqlx::query(statement).execute(&hub.superuser_pool).await;
        let refused = refused.expect_err(statement).to_string();
        assert!(refused.contains(done), "{statement}: {refused}");
    }
    assert!(hub.count("select count(*) from credit_ledger").await > 0);
}

#[tokio::test]
async fn credits_change_only_through_the_three_functions() {
    let hub = Hub::start().await;
    let (harbor, sam) = desk(&hub, 10).await;
    let conversation = harbor.receive_text(MAYA, "Hi").await;
    let message = send_text(&sam, &harbor, &conversation, "Hello")
        .await
        .expect_status(202)["message"]
        .clone();
    hub.run_sender().await;
    for who in [&sam, &harbor.admin] {
        for statement in [
            "update credit_accounts set balance = 1000000",
            "delete from credit_accounts",
            "insert into credit_accounts (user_id, balance) values (gen_random_uuid(), 1)",
            "insert into credit_ledger (user_id, delta, balance, kind) values (current_user_id(), 1, 1, 'granted')",
            "update credit_ledger set delta = 5",
            "delete from credit_ledger",
            "truncate credit_ledger",
        ] {
            let mut tx = hub.with_rights_of(who, &harbor).await;
            let refused = sqlx::query(statement).execute(&mut *tx).await.unwrap_err();
            assert!(
                refused.to_string().contains("permission denied"),
                "{statement}: {refused}"
            );
        }
    }
    let granted = "select count(*) from grant_credits($1::uuid, 1000, null, 'a gift')";
    let grants = async |who: &Person, place: &Workspace<'_>, whose: &Person| -> i64 {
        let mut tx = hub.with_rights_of(who, place).await;
        let rows = sqlx::query_scalar(granted)
            .bind(&whose.id)
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        rows
    };
    let bay = hub.workspace("Bay Optics").await;
    assert_eq!(grants(&sam, &harbor, &sam).await, 0, "an agent");
    assert_eq!(grants(&bay.admin, &harbor, &sam).await, 0, "not a member");
    assert_eq!(grants(&bay.admin, &bay, &sam).await, 0, "for a non-member");
    assert_eq!(balance(&harbor, &sam).await, 9);
    assert_eq!(
        grants(&harbor.admin, &harbor, &sam).await,
        1,
        "an admin can"
    );
    assert_eq!(balance(&harbor, &sam).await, 1009);

    // In a foreign workspace there is no balance to spend.
    let mut tx = hub.with_rights_of(&sam, &bay).await;
    let refused = sqlx::query("select spend_credit(gen_random_uuid())")
        .execute(&mut *tx)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("short of credits"),
        "{refused}"
    );

    // A sent text is not refunded, not even by a direct call.
    let mut tx = hub.with_rights_of(&sam, &harbor).await;
    let back: i64 = sqlx::query_scalar("select count(*) from return_credit($1::uuid, $2::uuid)")
        .bind(&harbor.id)
        .bind(message["id"].as_str().unwrap())
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(back, 0);
    for statement in [
        "select refuse_change_of_append_only()",
        "select require_an_admin()",
    ] {
        let mut tx = hub.with_rights_of(&harbor.admin, &harbor).await;
        assert!(
            sqlx::query(statement).execute(&mut *tx).await.is_err(),
            "{statement}"
        );
    }
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

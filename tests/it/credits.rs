//! Credits: charged once, refunded once, and always equal to the ledger.

mod ledger;
mod model;
mod refunds;
mod spending;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, Person, Workspace};

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

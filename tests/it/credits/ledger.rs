//! The ledger: its pages, and the only ways to change it.

use serde_json::json;

use super::{balance, change_balance, desk, send_text};
use crate::hub::{Hub, MAYA, Person, Workspace};

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

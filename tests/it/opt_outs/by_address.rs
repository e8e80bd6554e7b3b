//! Opt-outs of deleted contacts: listed, exported, and lifted by an admin.

use reqwest::Method;
use serde_json::{Value, json};

use super::import::{imports, listed};
use super::workspace_scope::{RECALL, set_scope, workspace_with_two_numbers};
use crate::hub::{FRONT_DESK, Hub, MAYA, Workspace};

async fn delete_opted_out_contact(harbor: &Workspace<'_>) {
    let maya = harbor.receive_text(MAYA, "STOP").await;
    delete_contact(harbor, &maya["contact_id"]).await;
}

async fn delete_contact(harbor: &Workspace<'_>, contact: &Value) {
    let path = harbor.path(&format!("/contacts/{}", contact.as_str().unwrap()));
    harbor.admin.delete(&path).await.expect_status(204);
}

async fn lift_body(harbor: &Workspace<'_>, number: &str, reason: &str) -> Value {
    let number = harbor.number(number).await;
    json!({"phone_number": MAYA, "number_id": number, "reason": reason})
}

#[tokio::test]
async fn opt_outs_of_deleted_contacts_are_listed_found_exported_and_lifted() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text("+14155550193", "STOP").await;
    delete_opted_out_contact(&harbor).await;

    let rows = listed(&harbor).await;
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (
            &rows[0]["contact_id"],
            &rows[0]["phone_number"],
            &rows[0]["number"]
        ),
        (&Value::Null, &json!(MAYA), &json!(FRONT_DESK))
    );
    assert_eq!(
        (&rows[0]["source"], &rows[0]["proof"]),
        (&json!("text"), &json!("STOP"))
    );
    assert!(rows[1]["contact_id"].is_string());
    let found = harbor.path("/opt-outs?q=555-0192");
    let found = harbor.admin.get(&found).await.expect_status(200);
    assert_eq!(found["data"], json!([rows[0]]));
    let table = harbor.admin.get(&harbor.path("/opt-outs/export.csv")).await;
    assert_eq!(table.body.lines().count(), 3, "{}", table.body);
    assert!(
        table
            .body
            .contains("\n+1 415 555 0192,+1 628 555 0100,STOP,"),
        "{}",
        table.body
    );

    let path = harbor.path("/opt-outs/lift");
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let request = lift_body(&harbor, FRONT_DESK, "It is Tom's number now").await;
    sam.post(&path, request.clone())
        .await
        .refused(403, "admin_only");
    let mut tx = hub.with_rights_of(&sam, &harbor).await;
    let deleted = sqlx::query("delete from remembered_opt_outs")
        .execute(&mut *tx)
        .await
        .unwrap();
    assert_eq!(deleted.rows_affected(), 0, "an agent");
    drop(tx);
    let silent = lift_body(&harbor, FRONT_DESK, " ").await;
    let refused = harbor.admin.post(&path, silent).await;
    let refused = refused.refused(422, "validation_failed");
    assert_eq!(refused["errors"][0]["field"], "reason");
    let other =
        json!({"phone_number": "+14155550193", "number_id": request["number_id"], "reason": "Hm"});
    harbor
        .admin
        .post(&path, other)
        .await
        .refused(404, "not_found");
    assert_eq!(listed(&harbor).await.len(), 2);

    harbor
        .admin
        .post(&path, request.clone())
        .await
        .expect_status(204);

    assert_eq!(listed(&harbor).await.len(), 1);
    harbor
        .admin
        .post(&path, request)
        .await
        .refused(404, "not_found");
    let maya = harbor.receive_text(MAYA, "Hi, this is Tom").await;
    assert_eq!(maya["opted_out"], false);
    let audit = harbor.path("/audit?action=opt_out_lifted");
    let audit = harbor.admin.get(&audit).await.expect_status(200);
    assert_eq!(
        audit["data"][0]["after"],
        json!({"reason": "It is Tom's number now", "lifted": 1})
    );
}

#[tokio::test]
async fn opt_outs_of_equal_time_are_paginated() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let mut file = "phone_number,at\n".to_owned();
    for n in 0..30 {
        file += &format!("+1415555{n:04},2026-01-02\n");
    }
    let report = imports(&harbor.admin, &harbor, "old.csv", file.as_bytes()).await;
    assert_eq!(report.expect_status(200)["imported"], 30);
    let rows = listed(&harbor).await;
    assert_eq!(rows.len(), 30);
    for row in rows.iter().step_by(2) {
        delete_contact(&harbor, &row["contact_id"]).await;
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = harbor.path(&format!("/opt-outs?limit=7&cursor={cursor}"));
        let page = harbor.admin.get(&path).await.expect_status(200);
        let rows = page["data"].as_array().unwrap();
        seen.extend(rows.iter().map(|row| row["phone_number"].to_string()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.into(),
            None => break,
        }
    }
    assert_eq!(seen.len(), 30);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 30);
}

#[tokio::test]
async fn workspace_scope_lifts_all_opt_outs_of_the_address() {
    let hub = Hub::start().await;
    let (harbor, _) = workspace_with_two_numbers(&hub).await;
    hub.twilio.text(MAYA, RECALL, "STOP").await;
    delete_opted_out_contact(&harbor).await;
    assert_eq!(listed(&harbor).await.len(), 2);
    set_scope(&harbor, "workspace").await;
    let request = lift_body(&harbor, RECALL, "They called").await;
    let path = harbor.path("/opt-outs/lift");
    harbor.admin.post(&path, request).await.expect_status(204);
    assert!(listed(&harbor).await.is_empty());
}

#[tokio::test]
async fn page_lists_and_lifts_opt_outs() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    delete_opted_out_contact(&harbor).await;
    let page = format!("/w/{}/admin/opt-outs", harbor.slug);
    let shown = harbor.admin.get(&page).await.body;
    assert!(
        shown.contains("(415) 555-0192") && shown.contains("No contact"),
        "{shown}"
    );
    let number = harbor.number(FRONT_DESK).await;
    let lifts = async |reason: &str| {
        let form = [
            ("phone_number", MAYA),
            ("number_id", &number),
            ("reason", reason),
        ];
        let request = harbor
            .admin
            .request(Method::POST, &format!("{page}/lift"))
            .form(&form);
        harbor.admin.ask(request).await
    };
    let refused = lifts(" ").await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("Say how they asked"));
    let lifted = lifts("They called").await;
    assert!(lifted.status < 400, "{}", lifted.body);
    assert!(listed(&harbor).await.is_empty());
}

#[tokio::test]
async fn opt_outs_are_remembered_in_the_own_workspace_only() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let bay = hub.workspace("Bay Optics").await;
    let maya = harbor.receive_text(MAYA, "STOP").await;
    for (who, place, remembered) in [
        (&bay.admin, &bay, 0),
        (&bay.admin, &harbor, 0),
        (&harbor.admin, &harbor, 1),
    ] {
        let mut tx = hub.with_rights_of(who, place).await;
        sqlx::query("select remember_opt_outs($1::uuid)")
            .bind(maya["contact_id"].as_str().unwrap())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let all = "select count(*) from remembered_opt_outs";
        assert_eq!(hub.count(all).await, remembered);
    }
}

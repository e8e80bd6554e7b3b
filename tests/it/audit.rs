//! The audit log: one entry per action, none for refused actions, and no entry can be changed or forged.

mod changes;
mod people;

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::hub::{Hub, MAYA, PASSWORD, Person, TOKEN, Workspace};
use crate::sign_in::{advance_a_day, enable_second_factor, request_reset};

/// All entries, newest first, without `credentials_opened`, which the server writes at any time.
async fn entries(harbor: &Workspace<'_>) -> Vec<Value> {
    let list = harbor
        .admin
        .get(&harbor.path("/audit?limit=200"))
        .await
        .expect_status(200);
    let mut entries = list["data"].as_array().unwrap().clone();
    entries.retain(|entry| entry["action"] != "credentials_opened");
    entries
}

/// The entries that `operation` writes, oldest first.
async fn left_by<T>(harbor: &Workspace<'_>, operation: impl Future<Output = T>) -> (Vec<Value>, T) {
    let ids = |entries: &[Value]| -> HashSet<String> {
        entries
            .iter()
            .map(|entry| entry["id"].to_string())
            .collect()
    };
    let before = ids(&entries(harbor).await);
    let done = operation.await;
    let mut after = entries(harbor).await;
    after.retain(|entry| !before.contains(&entry["id"].to_string()));
    after.reverse();
    (after, done)
}

/// Asserts that `operation` writes exactly one entry, by `actor` from this machine.
async fn one<T>(
    harbor: &Workspace<'_>,
    action: &str,
    actor: &Person,
    operation: impl Future<Output = T>,
) -> Value {
    let (left, _) = left_by(harbor, operation).await;
    let [entry] = left.as_slice() else {
        panic!("{action}: {left:#?}");
    };
    assert_eq!(entry["action"], action, "{entry}");
    assert_eq!(entry["actor_id"], actor.id, "{entry}");
    assert_ne!(entry["actor_name"], "", "{entry}");
    assert_eq!(entry["address"], "127.0.0.1", "{entry}");
    entry.clone()
}

async fn none<T>(harbor: &Workspace<'_>, what: &str, operation: impl Future<Output = T>) {
    let (left, _) = left_by(harbor, operation).await;
    assert!(left.is_empty(), "{what}: {left:#?}");
}

fn audit_fields(entry: &Value) -> (&Value, &Value, &Value) {
    (&entry["subject"], &entry["before"], &entry["after"])
}

#[tokio::test]
async fn audit_log_filters_paginates_and_names_invalid_filters() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let sam = harbor.agent("Sam").await;
    for n in 1..=5 {
        harbor.set_credits(&sam, n).await;
    }
    sqlx::query("insert into audit_log (workspace_id, action, actor_name, created_at) values ($1::uuid, 'signed_in', 'Long ago', '2020-02-29 23:59:59+00')")
        .bind(&harbor.id)
        .execute(&hub.superuser_pool)
        .await
        .unwrap();
    let all = entries(&harbor).await;
    let get_page = async |query: &str| {
        harbor
            .admin
            .get(&harbor.path(&format!("/audit?{query}")))
            .await
    };
    let found = async |query: &str| -> Vec<Value> {
        let list = get_page(query).await.expect_status(200);
        list["data"].as_array().unwrap().clone()
    };

    assert_eq!(
        found("actor=&action=&from=&to=&cursor=&limit=200").await,
        all
    );
    let of_sam = found(&format!("actor={}", sam.id)).await;
    assert!(!of_sam.is_empty() && of_sam.iter().all(|entry| entry["actor_id"] == sam.id));
    let credits = found("action=credits_changed").await;
    assert_eq!(credits.len(), 6);
    let both = found(&format!("action=credits_changed&actor={}", sam.id)).await;
    assert!(both.is_empty());
    for (query, count) in [
        ("to=2020-02-29", 1),
        ("to=2020-02-28", 0),
        ("from=2020-02-29&to=2020-02-29", 1),
        ("from=2020-02-29", all.len()),
        ("from=2020-03-01", all.len() - 1),
        ("from=2999-01-01", 0),
        ("from=2020-03-01&to=2020-02-01", 0),
    ] {
        assert_eq!(found(query).await.len(), count, "{query}");
    }

    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get_page(&format!("limit=3&cursor={cursor}"))
            .await
            .expect_status(200);
        paged.extend(page["data"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.into(),
            None => break,
        }
    }
    assert_eq!(paged, all);

    for wrong in [
        "actor=x",
        "actor=1",
        "action=fly",
        "action=%00",
        "from=yesterday",
        "from=2026-13-01",
        "to=2026-02-30",
        "from=2026-11-01T00:00:00Z",
        "limit=0",
        "limit=201",
        "cursor=x",
    ] {
        get_page(wrong).await.refused(422, "validation_failed");
    }
    // Dates outside the supported range cause no server error.
    for far in [
        "from=-9999-01-01",
        "to=-9999-01-01",
        "to=%2B262142-12-31",
        "from=%2B262142-12-31",
        "to=9999-12-31",
        "from=0000-01-01",
    ] {
        let status = get_page(far).await.status;
        assert!([200, 422].contains(&status), "{far}: {status}");
    }
}

#[tokio::test]
async fn audit_log_is_limited_to_admins_of_the_workspace() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let sam = harbor.agent("Sam").await;
    let bay = hub.workspace("Bay Optics").await;
    sam.get(&harbor.path("/audit"))
        .await
        .refused(403, "admin_only");
    bay.admin
        .get(&harbor.path("/audit"))
        .await
        .refused(403, "not_a_member");

    let before = entries(&harbor).await;
    let lin = bay.agent("Lin").await;
    bay.set_credits(&lin, 5).await;
    bay.connect_twilio("+16285550177").await;
    bay.invite("kim@bay.test", "admin").await;
    Person::sign_in(&hub, &bay.admin.email).await;
    assert!(
        entries(&bay).await.len() > 5,
        "the other workspace has entries"
    );
    assert_eq!(entries(&harbor).await, before);
}

#[tokio::test]
async fn agents_write_audit_entries_only_as_themselves_and_read_none() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let sam = harbor.agent("Sam").await;
    let bay = hub.workspace("Bay Optics").await;
    for (columns, values) in [
        (
            "action, actor_id",
            format!("'signed_in', '{}'", harbor.admin.id),
        ),
        ("action, actor_id", "'signed_in', null".into()),
        ("action, workspace_id", format!("'signed_in', '{}'", bay.id)),
    ] {
        let mut tx = hub.with_rights_of(&sam, &harbor).await;
        let sql = format!("insert into audit_log ({columns}) values ({values})");
        let refused = sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(&mut *tx)
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("row-level security"),
            "{values}: {refused}"
        );
    }
    let mut tx = hub.with_rights_of(&sam, &harbor).await;
    sqlx::query("insert into audit_log (action) values ('signed_in')")
        .execute(&mut *tx)
        .await
        .unwrap();
    let seen: i64 = sqlx::query_scalar("select count(*) from audit_log")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(seen, 0);
    for operation in [
        "update audit_log set actor_name = 'x'",
        "delete from audit_log",
        "truncate audit_log",
    ] {
        let mut tx = hub.with_rights_of(&harbor.admin, &harbor).await;
        let refused = sqlx::query(operation).execute(&mut *tx).await.unwrap_err();
        assert!(
            refused.to_string().contains("permission denied"),
            "{operation}: {refused}"
        );
    }
}

#[tokio::test]
async fn audit_entries_contain_no_secrets() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = harbor.admin.clone();
    harbor.receive_text(MAYA, "Between us: 4711").await;
    let link = harbor.invite("kim@harbor.test", "agent").await;
    let confirm = hub.mail_server.mail_to(&jo.email).await.link();
    let reset = request_reset(&hub, &jo.email).await;
    let wrong = json!({"email": jo.email, "password": "a wrong password"});
    Person::anonymous(&hub).post("/api/auth/login", wrong).await;
    let (app, codes) = enable_second_factor(&hub, &jo).await;
    let code = app.code_at(0);
    let login = json!({"email": jo.email, "password": PASSWORD, "code": code});
    let session = Person::anonymous(&hub)
        .post("/api/auth/login", login)
        .await
        .expect_status(200);
    advance_a_day(&hub).await;
    let form = json!({"current_password": PASSWORD, "new_password": "another good one"});
    let change = jo.request(Method::PUT, "/api/auth/password").json(&form);
    jo.ask(change).await.expect_status(204);

    let dump: String = sqlx::query_scalar("select string_agg(a::text, ' ') from audit_log a")
        .fetch_one(&hub.superuser_pool)
        .await
        .unwrap();
    assert!(dump.contains("password_changed") && dump.contains("two_factor_enabled"));
    for secret in [
        TOKEN,
        &TOKEN[28..],
        PASSWORD,
        "a wrong password",
        "another good one",
        &link,
        confirm.rsplit('/').next().unwrap(),
        &reset,
        &app.secret(),
        &codes[0],
        &code,
        jo.token.as_ref().unwrap(),
        &jo.refresh_token,
        session["access_token"].as_str().unwrap(),
        "4711",
        MAYA,
    ] {
        assert!(!dump.contains(secret), "the log contains {secret}");
    }
}

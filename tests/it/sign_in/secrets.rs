//! What the database stores of passwords, tokens and second factors, and who may read it.

use serde_json::json;

use super::{Authenticator, confirm_enrolment, enable_second_factor, request_reset, token};
use crate::hub::{Hub, PASSWORD};

#[tokio::test]
async fn people_role_cannot_access_authentication_secrets() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    harbor.invite("sam@harbor.test", "agent").await;
    enable_second_factor(&hub, &harbor.admin).await;
    for statement in [
        "select totp_secret from users",
        "select totp_step from users",
        "select password_hash from users",
        "select * from users",
        "select * from sessions",
        "select code_hash from recovery_codes",
        "select token_hash from mailed_tokens",
        "select key from throttles",
        "select token_hash from invitations",
        "select * from invitations",
        "update users set password_hash = 'x'",
        "update users set two_factor_at = null",
        "update users set email = 'eve@harbor.test'",
        "delete from users",
        "insert into sessions (id, user_id, expires_at) values (gen_random_uuid(), current_user_id(), now() + interval '1 day')",
        "update sessions set revoked_at = null",
        "delete from recovery_codes",
        "insert into mailed_tokens (token_hash, user_id, purpose, email, expires_at) values ('x', current_user_id(), 'reset', 'x@y.test', now() + interval '1 day')",
        "delete from throttles",
        "update throttles set paid_until = now()",
        "select place from known_locations",
        "delete from known_locations",
    ] {
        let mut tx = hub.with_rights_of(&harbor.admin, &harbor).await;
        let refused = sqlx::query(statement).execute(&mut *tx).await.unwrap_err();
        assert!(
            refused.to_string().contains("permission denied"),
            "{statement}: {refused}"
        );
    }
    let mut tx = hub.with_rights_of(&harbor.admin, &harbor).await;
    let seen = sqlx::query("select id, name, email, two_factor_at from users")
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    assert_eq!(seen.len(), 1, "members see some columns");
}

/// A copy of the database gives access to nothing.
#[tokio::test]
async fn tokens_and_secrets_are_stored_hashed_or_sealed() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    let confirm = token(&hub.mail_server.mail_to(&jo.email).await.link());
    let reset = request_reset(&hub, &jo.email).await;
    let invitation = harbor.invite("sam@harbor.test", "agent").await;
    hub.verify_email(&jo.email).await;
    let enrolment = jo
        .post("/api/auth/two-factor", json!({}))
        .await
        .expect_status(201);
    let secret = enrolment["secret"].as_str().unwrap().to_owned();
    let codes = confirm_enrolment(jo, &Authenticator::from_enrolment(&enrolment).code_at(0))
        .await
        .expect_status(200)["recovery_codes"]
        .clone();
    let recovery = codes[0].as_str().unwrap().to_owned();
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace",
    )
    .fetch_all(&hub.superuser_pool)
    .await
    .unwrap();
    assert!(tables.len() > 15, "{tables:?}");
    for table in tables {
        // Bytes that are text are dumped as hexadecimal digits.
        let sql = format!("select coalesce(string_agg(t::text, ' '), '') from {table} t");
        let dump: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&hub.superuser_pool)
            .await
            .unwrap();
        for secret in [
            &confirm,
            &reset,
            &invitation,
            &secret,
            &recovery,
            &recovery.replace('-', ""),
            PASSWORD,
            jo.token.as_ref().unwrap(),
            &jo.refresh_token,
        ] {
            let as_bytes: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(!dump.contains(secret), "{table} holds {secret}");
            assert!(!dump.contains(&as_bytes), "{table} holds {secret} as bytes");
        }
    }
}

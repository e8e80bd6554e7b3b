//! Mailed links that set a new password.

use futures_util::future::join_all;
use serde_json::json;

use super::{
    NEW, advance_a_day, change_password, enable_second_factor, log_in, refresh, request_reset,
    reset_password, start_enrolment,
};
use crate::hub::{Hub, PASSWORD, Person, until};

#[tokio::test]
async fn password_reset_link_is_single_use() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    hub.mail_server.mail_to(&jo.email).await; // to confirm the address
    let (first, second) = (
        request_reset(&hub, &jo.email).await,
        request_reset(&hub, &jo.email).await,
    );
    let mut socket = jo.join_workspace(&harbor).await;
    for (link, password) in [(first.as_str(), "short"), ("", NEW), ("made-up", NEW)] {
        reset_password(&hub, link, password)
            .await
            .refused(422, "validation_failed");
    }
    jo.get("/api/auth/me").await.expect_status(200);

    let answers = join_all((0..10).map(|n| {
        let (hub, first) = (&hub, &first);
        async move {
            reset_password(hub, first, &format!("{NEW} {n}"))
                .await
                .status
        }
    }))
    .await;
    assert_eq!(answers.iter().filter(|status| **status == 204).count(), 1);
    let set = answers.iter().position(|status| *status == 204).unwrap();

    assert_eq!(socket.wait_for_close().await, 1008);
    jo.get("/api/auth/me").await.refused(401, "unauthenticated");
    refresh(&hub, &jo.refresh_token)
        .await
        .refused(401, "unauthenticated");
    for used in [&first, &second] {
        reset_password(&hub, used, NEW)
            .await
            .refused(422, "validation_failed");
    }
    log_in(&hub, &jo.email, PASSWORD)
        .await
        .refused(401, "unauthenticated");
    let session = log_in(&hub, &jo.email, &format!("{NEW} {set}"))
        .await
        .expect_status(200);
    assert_eq!(
        session["user"]["email_verified"], true,
        "the reset verifies the address"
    );
    let mail = hub.mail_server.mail_to(&jo.email).await;
    assert_eq!(mail.subject, "Your password was changed");
}

#[tokio::test]
async fn password_reset_link_expires_after_an_hour_or_a_password_change() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    hub.mail_server.mail_to(&jo.email).await; // to confirm the address
    let late = request_reset(&hub, &jo.email).await;
    assert_eq!(
        hub.count("select extract(epoch from expires_at - created_at)::bigint from mailed_tokens where purpose = 'reset'").await,
        60 * 60
    );
    hub.execute_sql("update mailed_tokens set expires_at = now() - interval '1 second'")
        .await;
    reset_password(&hub, &late, NEW)
        .await
        .refused(422, "validation_failed");

    let overtaken = request_reset(&hub, &jo.email).await;
    let form = json!({"current_password": PASSWORD, "new_password": NEW});
    change_password(jo, form).await.expect_status(204);
    reset_password(&hub, &overtaken, PASSWORD)
        .await
        .refused(422, "validation_failed");
    log_in(&hub, &jo.email, NEW).await.expect_status(200);
}

#[tokio::test]
async fn mails_are_limited_to_three_per_period() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    hub.mail_server.mail_to(&harbor.admin.email).await; // to confirm the address
    for email in [harbor.admin.email.as_str(), "nobody@harbor.test"] {
        let anonymous = Person::anonymous(&hub);
        let form = json!({"email": email.to_uppercase()});
        let send = || anonymous.post("/api/auth/forgot-password", form.clone());
        for _ in 0..3 {
            send().await.expect_status(202);
        }
        send().await.refused(429, "rate_limited");
    }
    until("the addresses are looked up", async || {
        hub.server.app.background.is_empty()
    })
    .await;
    hub.server.app.mail.wait_until_empty().await;
    assert_eq!(hub.mail_server.unread_mails(&harbor.admin.email), 3);
    assert_eq!(hub.mail_server.unread_mails("nobody@harbor.test"), 0);
}

/// The account is looked up after the answer, so the response time reveals nothing.
#[tokio::test]
async fn forgotten_password_response_is_independent_of_the_account() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let email = &harbor.admin.email;
    hub.mail_server.mail_to(email).await; // to confirm the address
    let mut busy = hub.superuser_pool.begin().await.unwrap();
    sqlx::query("lock table users in access exclusive mode")
        .execute(&mut *busy)
        .await
        .unwrap();
    for address in [email.as_str(), "nobody@harbor.test"] {
        let anonymous = Person::anonymous(&hub);
        let request = anonymous.post("/api/auth/forgot-password", json!({"email": address}));
        let soon = std::time::Duration::from_secs(3);
        tokio::time::timeout(soon, request)
            .await
            .expect("the answer does not wait for the account")
            .expect_status(202);
    }
    hub.server.app.mail.wait_until_empty().await;
    assert_eq!(hub.mail_server.unread_mails(email), 0);
    busy.rollback().await.unwrap();
    let mail = hub.mail_server.mail_to(email).await;
    assert_eq!(mail.subject, "Set a new password");
}

/// An attacker who signs up with another user's address keeps no access once its owner resets the password.
#[tokio::test]
async fn password_reset_revokes_what_preceded_the_verification() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let (jo, kim) = (&harbor.admin, &bay.admin);
    for (who, place) in [(jo, &harbor), (kim, &bay)] {
        hub.mail_server.mail_to(&who.email).await; // to confirm the address
        enable_second_factor(&hub, who).await;
        who.post(&place.path("/pushes"), crate::matrix::push_subscription())
            .await
            .expect_status(201);
    }
    // As on a server that sent no mail until yesterday: one enabled the second factor before the verification, the
    // other after it.
    let before =
        "update users set two_factor_at = email_verified_at - interval '1 day' where id = $1";
    sqlx::query(before)
        .bind(uuid::Uuid::parse_str(&jo.id).unwrap())
        .execute(&hub.superuser_pool)
        .await
        .unwrap();
    for who in [jo, kim] {
        let link = request_reset(&hub, &who.email).await;
        reset_password(&hub, &link, NEW).await.expect_status(204);
    }
    assert_eq!(
        hub.count("select count(*) from push_subscriptions").await,
        0
    );
    advance_a_day(&hub).await;
    let session = log_in(&hub, &jo.email, NEW).await.expect_status(200);
    let jo = Person::signed_in(&hub, &session);
    assert_eq!(
        jo.get("/api/auth/two-factor").await.expect_status(200),
        json!({"enabled": false, "recovery_codes": 0})
    );
    log_in(&hub, &kim.email, NEW)
        .await
        .refused(401, "code_required");
}

#[tokio::test]
async fn password_reset_discards_an_unconfirmed_second_factor() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    hub.mail_server.mail_to(&jo.email).await; // to confirm the address
    start_enrolment(&hub, jo).await;
    let link = request_reset(&hub, &jo.email).await;
    reset_password(&hub, &link, NEW).await.expect_status(204);
    assert_eq!(
        hub.count("select count(*) from users where totp_secret is not null")
            .await,
        0
    );
}

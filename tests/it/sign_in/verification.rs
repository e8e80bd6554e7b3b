//! Mailed links that confirm an address, and what needs a confirmed one.

use serde_json::json;

use super::{NEW, WRONG, request_reset, reset_password, token, verify_email};
use crate::hub::{Hub, PASSWORD, Person};

#[tokio::test]
async fn address_confirmation_link_is_single_use() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    let anonymous = Person::anonymous(&hub);
    let is_verified =
        async || jo.get("/api/auth/me").await.expect_status(200)["user"]["email_verified"].clone();
    assert_eq!(is_verified().await, false);
    let first = token(&hub.mail_server.mail_to(&jo.email).await.link());
    verify_email(jo, json!({})).await.expect_status(202);
    let second = token(&hub.mail_server.mail_to(&jo.email).await.link());
    verify_email(&anonymous, json!({}))
        .await
        .refused(401, "unauthenticated");
    verify_email(&anonymous, json!({"token": "made-up"}))
        .await
        .refused(422, "validation_failed");
    // Links of one kind do not work as the other.
    reset_password(&hub, &first, NEW)
        .await
        .refused(422, "validation_failed");
    let reset = request_reset(&hub, &jo.email).await;
    verify_email(&anonymous, json!({"token": reset}))
        .await
        .refused(422, "validation_failed");
    assert_eq!(is_verified().await, false);

    verify_email(&anonymous, json!({"token": first}))
        .await
        .expect_status(204);
    assert_eq!(is_verified().await, true);
    for used in [&first, &second] {
        verify_email(&anonymous, json!({"token": used}))
            .await
            .refused(422, "validation_failed");
    }
    verify_email(jo, json!({})).await.expect_status(202);
    hub.server.app.mail.wait_until_empty().await;
    assert_eq!(hub.mail_server.unread_mails(&jo.email), 0);
}

#[tokio::test]
async fn unverified_address_cannot_enable_a_second_factor_or_join() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let jo = &harbor.admin;
    let mail = hub.mail_server.mail_to(&jo.email).await; // to confirm the address
    let link = bay.invite(&jo.email, "agent").await;
    let accept = format!("/api/invitations/{link}/accept");
    let code = json!({"code": "123456", "password": PASSWORD});
    jo.post("/api/auth/two-factor", json!({}))
        .await
        .refused(403, "email_not_verified");
    jo.post("/api/auth/two-factor/confirm", code)
        .await
        .refused(403, "email_not_verified");
    jo.post(&accept, json!({}))
        .await
        .refused(403, "email_not_verified");
    let anonymous = Person::anonymous(&hub);
    anonymous
        .post(&accept, json!({"password": PASSWORD}))
        .await
        .refused(403, "email_not_verified");
    // Without the password the answer does not reveal that there is an account.
    anonymous
        .post(&accept, json!({"password": WRONG}))
        .await
        .refused(401, "unauthenticated");
    jo.get(&bay.path("")).await.refused(403, "not_a_member");
    jo.patch(&harbor.path(""), json!({"name": "Harbor"}))
        .await
        .expect_status(200);
    harbor.invite("sam@harbor.test", "agent").await;

    verify_email(&anonymous, json!({"token": token(&mail.link())}))
        .await
        .expect_status(204);
    jo.post("/api/auth/two-factor", json!({}))
        .await
        .expect_status(201);
    jo.post(&accept, json!({})).await.expect_status(200);
}

#[tokio::test]
async fn server_without_mail_requires_no_verification() {
    let database = crate::hub::empty_database().await;
    let hub = Hub::start_with(database, &[("SMTP_URL", "")]).await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let jo = &harbor.admin;
    assert_eq!(
        jo.get("/api/auth/me").await.expect_status(200)["user"]["email_verified"],
        false
    );
    jo.post("/api/auth/two-factor", json!({}))
        .await
        .expect_status(201);
    let link = bay.invite(&jo.email, "agent").await;
    jo.post(&format!("/api/invitations/{link}/accept"), json!({}))
        .await
        .expect_status(200);
}

//! Entries of members and accounts.

use reqwest::Method;
use serde_json::{Value, json};

use super::{audit_fields, entries, left_by, none, one};
use crate::hub::{FRONT_DESK, Hub, PASSWORD, Person, Workspace};
use crate::sign_in::{enable_second_factor, request_reset, reset_password};

async fn invited(harbor: &Workspace<'_>, email: &str) -> (String, String) {
    let link = harbor.invite(email, "agent").await;
    let list = harbor
        .admin
        .get(&harbor.path("/invitations"))
        .await
        .expect_status(200);
    let id = list["data"][0]["id"].as_str().unwrap().to_owned();
    (link, id)
}

#[tokio::test]
async fn member_changes_are_audited_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (jo, sam) = (&harbor.admin, harbor.agent("Sam").await);
    let before = entries(&harbor).await;
    assert!(
        before
            .iter()
            .any(|entry| entry["action"] == "workspace_created"
                && entry["actor_id"] == jo.id
                && entry["subject"] == "Harbor Dental"),
        "{before:#?}"
    );

    let entry = one(
        &harbor,
        "member_invited",
        jo,
        invited(&harbor, "kim@harbor.test"),
    )
    .await;
    assert_eq!(
        audit_fields(&entry),
        (
            &json!("kim@harbor.test"),
            &Value::Null,
            &json!({"role": "agent"})
        )
    );
    let id = entry["subject_id"].as_str().unwrap();
    let entry = one(
        &harbor,
        "invitation_withdrawn",
        jo,
        jo.delete(&harbor.path(&format!("/invitations/{id}"))),
    )
    .await;
    assert_eq!(entry["subject"], "kim@harbor.test");

    let (link, _) = invited(&harbor, "lin@harbor.test").await;
    let accept = format!("/api/invitations/{link}/accept");
    let form = json!({"name": "Lin Wu", "password": PASSWORD});
    let anonymous = Person::anonymous(&hub);
    let (left, session) = left_by(&harbor, anonymous.post(&accept, form)).await;
    let lin = Person::signed_in(&hub, &session.expect_status(200));
    let actions: Vec<_> = left
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["member_joined", "signed_in"]);
    assert!(left.iter().all(|entry| entry["actor_id"] == lin.id));
    assert_eq!(left[0]["actor_name"], "Lin Wu");
    assert_eq!(left[0]["subject"], "agent");

    let member = harbor.path(&format!("/members/{}", sam.id));
    let entry = one(
        &harbor,
        "member_role_changed",
        jo,
        jo.patch(&member, json!({"role": "admin"})),
    )
    .await;
    assert_eq!(
        audit_fields(&entry),
        (
            &json!("Sam"),
            &json!({"role": "agent"}),
            &json!({"role": "admin"})
        )
    );
    none(
        &harbor,
        "the same role",
        jo.patch(&member, json!({"role": "admin"})),
    )
    .await;
    // A member's change of their own role is audited too.
    let entry = one(
        &harbor,
        "member_role_changed",
        &sam,
        sam.patch(&member, json!({"role": "agent"})),
    )
    .await;
    assert_eq!(entry["after"], json!({"role": "agent"}));

    let number = harbor.number(FRONT_DESK).await;
    let assignment = harbor.path(&format!("/numbers/{number}/members/{}", sam.id));
    let entry = one(&harbor, "number_assigned", jo, jo.put(&assignment)).await;
    assert_eq!(entry["subject"], "Sam");
    assert_eq!(entry["after"]["number"], FRONT_DESK);
    none(&harbor, "already assigned", jo.put(&assignment)).await;
    let entry = one(
        &harbor,
        "default_number_changed",
        jo,
        jo.patch(&member, json!({"default_number_id": number})),
    )
    .await;
    assert_eq!(entry["subject"], "Sam");
    assert!(entry["after"]["default_number"].is_string(), "{entry}");
    let entry = one(&harbor, "number_unassigned", jo, jo.delete(&assignment)).await;
    assert_eq!(entry["after"]["number"], FRONT_DESK);
    none(&harbor, "already unassigned", jo.delete(&assignment)).await;

    let credits = harbor.path(&format!("/credits/{}", sam.id));
    let entry = one(
        &harbor,
        "credits_changed",
        jo,
        jo.patch(&credits, json!({"delta": 5, "reason": "Birthday"})),
    )
    .await;
    assert_eq!(
        audit_fields(&entry),
        (
            &json!("Sam"),
            &json!({"balance": 1000}),
            &json!({"balance": 1005, "reason": "Birthday"})
        )
    );
    none(
        &harbor,
        "an unchanged balance",
        jo.patch(&credits, json!({"delta": 0})),
    )
    .await;

    let entry = one(&harbor, "member_removed", jo, jo.delete(&member)).await;
    assert_eq!(
        audit_fields(&entry),
        (
            &json!("Sam"),
            &json!({"role": "agent", "email": sam.email}),
            &Value::Null
        )
    );
    let own = harbor.path(&format!("/members/{}", lin.id));
    let entry = one(&harbor, "member_left", &lin, lin.delete(&own)).await;
    assert_eq!(entry["subject"], "Lin Wu");
}

#[tokio::test]
async fn account_changes_are_audited_in_each_workspace_of_the_user() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let sam = harbor.agent("Sam").await;
    let bay = hub.workspace("Bay Optics").await;
    let link = bay.invite(&sam.email, "agent").await;
    hub.verify_email(&sam.email).await;
    sam.post(&format!("/api/invitations/{link}/accept"), json!({}))
        .await
        .expect_status(200);
    let in_bay = entries(&bay).await.len();
    let anonymous = Person::anonymous(&hub);

    one(
        &harbor,
        "signed_in",
        &sam,
        Person::sign_in(&hub, &sam.email),
    )
    .await;
    let wrong = json!({"email": sam.email, "password": "not this one"});
    let (left, _) = left_by(&harbor, anonymous.post("/api/auth/login", wrong)).await;
    assert_eq!(left.len(), 1);
    let failed = &left[0];
    assert_eq!(
        (&failed["action"], &failed["subject"], &failed["address"]),
        (
            &json!("sign_in_failed"),
            &json!(sam.email),
            &json!("127.0.0.1")
        )
    );
    assert!(failed["actor_id"].is_null(), "the actor is unknown");
    assert_eq!(
        (&failed["actor_name"], &failed["subject_id"]),
        (&json!(""), &json!(sam.id))
    );

    one(
        &harbor,
        "two_factor_enabled",
        &sam,
        enable_second_factor(&hub, &sam),
    )
    .await;
    let wrong = json!({"email": sam.email, "password": PASSWORD, "code": "none"});
    let (left, _) = left_by(&harbor, anonymous.post("/api/auth/login", wrong)).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["action"], "sign_in_failed");
    one(
        &harbor,
        "two_factor_disabled",
        &sam,
        sam.delete_with("/api/auth/two-factor", json!({"password": PASSWORD})),
    )
    .await;

    let form = json!({"current_password": PASSWORD, "new_password": "another good one"});
    let change = sam.request(Method::PUT, "/api/auth/password").json(&form);
    one(&harbor, "password_changed", &sam, sam.ask(change)).await;
    hub.mail_server.mail_to(&sam.email).await; // the invitation
    hub.mail_server.mail_to(&sam.email).await; // the changed password
    let token = request_reset(&hub, &sam.email).await;
    one(
        &harbor,
        "password_reset",
        &sam,
        reset_password(&hub, &token, PASSWORD),
    )
    .await;
    let sam = Person::sign_in(&hub, &sam.email).await;
    one(
        &harbor,
        "sessions_ended",
        &sam,
        sam.delete("/api/auth/sessions"),
    )
    .await;

    assert_eq!(
        entries(&bay).await.len() - in_bay,
        9,
        "the other workspace has the same entries"
    );
}

#[tokio::test]
async fn session_end_is_audited_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    let other = Person::sign_in(&hub, &jo.email).await;
    let sessions = jo.get("/api/auth/sessions").await.expect_status(200);
    let sessions = sessions["data"].as_array().unwrap().iter();
    let mut others = sessions.filter(|session| session["is_current"] == false);
    let path = format!(
        "/api/auth/sessions/{}",
        others.next().unwrap()["id"].as_str().unwrap()
    );
    one(&harbor, "session_ended", jo, jo.delete(&path)).await;
    none(&harbor, "ended already", jo.delete(&path)).await;
    none(
        &harbor,
        "ended already",
        other.post("/api/auth/logout", json!({})),
    )
    .await;

    let third = Person::sign_in(&hub, &jo.email).await;
    one(
        &harbor,
        "signed_out",
        jo,
        third.post("/api/auth/logout", json!({})),
    )
    .await;
    none(
        &harbor,
        "signed out already",
        third.post("/api/auth/logout", json!({})),
    )
    .await;
    let fourth = Person::sign_in(&hub, &jo.email).await;
    let request = Person::anonymous(&hub)
        .request(Method::POST, "/logout")
        .header(
            "cookie",
            format!("messagehub_access={}", fourth.token.as_ref().unwrap()),
        )
        .header("sec-fetch-site", "same-origin");
    one(&harbor, "signed_out", jo, fourth.ask(request)).await;
}

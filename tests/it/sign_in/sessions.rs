//! Sessions: listed, ended, and ended by a change of the password.

use reqwest::Method;
use serde_json::{Value, json};

use super::{NEW, WRONG, change_password, log_in, refresh};
use crate::hub::{Hub, PASSWORD, Person};

#[tokio::test]
async fn password_change_ends_all_other_sessions() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    hub.mail_server.mail_to(&jo.email).await; // to confirm the address
    let elsewhere = Person::sign_in(&hub, &jo.email).await;
    let (mut here, mut there) = (
        jo.join_workspace(&harbor).await,
        elsewhere.join_workspace(&harbor).await,
    );
    for (form, field) in [
        (
            json!({"current_password": WRONG, "new_password": NEW}),
            "current_password",
        ),
        (
            json!({"current_password": PASSWORD, "new_password": "short"}),
            "new_password",
        ),
        (
            json!({"current_password": PASSWORD, "new_password": "x".repeat(201)}),
            "new_password",
        ),
        (json!({"new_password": NEW}), "body"),
    ] {
        let problem = change_password(jo, form)
            .await
            .refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    elsewhere.get("/api/auth/me").await.expect_status(200);

    let form = json!({"current_password": PASSWORD, "new_password": NEW});
    change_password(jo, form).await.expect_status(204);

    assert_eq!(there.wait_for_close().await, 1008);
    elsewhere
        .get("/api/auth/me")
        .await
        .refused(401, "unauthenticated");
    refresh(&hub, &elsewhere.refresh_token)
        .await
        .refused(401, "unauthenticated");
    assert_eq!(here.received_so_far(&harbor).await, Vec::<Value>::new());
    jo.get("/api/auth/me").await.expect_status(200);
    refresh(&hub, &jo.refresh_token).await.expect_status(200);
    log_in(&hub, &jo.email, PASSWORD)
        .await
        .refused(401, "unauthenticated");
    log_in(&hub, &jo.email, NEW).await.expect_status(200);
    let mail = hub.mail_server.mail_to(&jo.email).await;
    assert_eq!(mail.subject, "Your password was changed");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_singly_or_together() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let jo = &harbor.admin;
    let phone = Person::anonymous(&hub);
    let login = phone
        .request(Method::POST, "/api/auth/login")
        .header("user-agent", "Phone/1.0")
        .json(&json!({"email": jo.email, "password": PASSWORD}));
    let phone = Person::signed_in(&hub, &phone.ask(login).await.expect_status(200));
    let tablet = Person::sign_in(&hub, &jo.email).await;

    let list = jo.get("/api/auth/sessions").await.expect_status(200);
    let sessions = list["data"].as_array().unwrap();
    assert_eq!(sessions.len(), 3);
    assert_eq!(
        sessions
            .iter()
            .map(|session| session["is_current"].as_bool().unwrap())
            .collect::<Vec<_>>(),
        [true, false, false]
    );
    assert!(
        sessions
            .iter()
            .all(|session| session["address"] == "127.0.0.1")
    );
    let of_phone = sessions
        .iter()
        .find(|session| session["user_agent"] == "Phone/1.0")
        .unwrap();
    let path = format!("/api/auth/sessions/{}", of_phone["id"].as_str().unwrap());

    bay.admin.delete(&path).await.refused(404, "not_found");
    let mut socket = phone.join_workspace(&harbor).await;
    jo.delete(&path).await.expect_status(204);
    assert_eq!(socket.wait_for_close().await, 1008);
    phone
        .get("/api/auth/me")
        .await
        .refused(401, "unauthenticated");
    refresh(&hub, &phone.refresh_token)
        .await
        .refused(401, "unauthenticated");
    jo.delete(&path).await.refused(404, "not_found");
    tablet.get("/api/auth/me").await.expect_status(200);

    let answer = jo.delete("/api/auth/sessions").await;
    let cleared: Vec<_> = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|cookie| cookie.to_str().unwrap().to_owned())
        .collect();
    // Session, refresh and language cookies.
    assert_eq!(cleared.len(), 3);
    assert!(
        cleared.iter().all(|cookie| cookie.contains("Max-Age=0")),
        "{cleared:?}"
    );
    answer.expect_status(204);
    for person in [jo, &tablet] {
        person
            .get("/api/auth/me")
            .await
            .refused(401, "unauthenticated");
        refresh(&hub, &person.refresh_token)
            .await
            .refused(401, "unauthenticated");
    }
    bay.admin.get("/api/auth/me").await.expect_status(200);
}

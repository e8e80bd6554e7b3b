//! Workspaces: created, changed, and deleted with all of their data and nothing else.

mod deletion;

use futures_util::future::join_all;
use serde_json::json;

use crate::hub::{Answer, Hub, MAYA, PASSWORD, Person, empty_database};

const OPTICS: &str = "+16285550177";

#[tokio::test]
async fn user_can_have_several_workspaces() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = &harbor.admin;
    let second = jo
        .post("/api/workspaces", json!({"name": "  Harbor Dental "}))
        .await
        .expect_status(201);
    assert_eq!(
        (&second["name"], &second["slug"], &second["role"]),
        (
            &json!("Harbor Dental"),
            &json!("harbor-dental-2"),
            &json!("admin")
        )
    );
    let list = jo.get("/api/workspaces").await.expect_status(200);
    let ids: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].clone())
        .collect();
    assert_eq!(ids, [json!(harbor.id), second["id"].clone()]);

    harbor.receive_text(MAYA, "Hi").await;
    let elsewhere = format!(
        "/api/workspaces/{}/conversations",
        second["id"].as_str().unwrap()
    );
    assert_eq!(
        jo.get(&elsewhere).await.expect_status(200)["data"],
        json!([])
    );

    for name in [
        json!(""),
        json!("  "),
        json!("x".repeat(81)),
        json!("a\0b"),
        json!(7),
    ] {
        jo.post("/api/workspaces", json!({"name": name}))
            .await
            .refused(422, "validation_failed");
    }
    let anonymous = Person::anonymous(&hub);
    anonymous
        .post("/api/workspaces", json!({"name": "Mine"}))
        .await
        .refused(401, "unauthenticated");
    anonymous
        .get("/api/workspaces")
        .await
        .refused(401, "unauthenticated");
    assert_eq!(hub.count("select count(*) from workspaces").await, 2);
}

#[tokio::test]
async fn settings_change_only_the_given_fields() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let sam = harbor.agent("Sam").await;
    let itself = harbor.path("");
    let before = harbor.admin.get(&itself).await.expect_status(200);
    for (change, field) in [
        (json!({"name": ""}), "name"),
        (json!({"name": "x".repeat(81)}), "name"),
        (json!({"name": "a\u{0}b"}), "name"),
        (json!({"default_region": "us"}), "default_region"),
        (json!({"default_region": "USA"}), "default_region"),
        (json!({"default_region": "XX"}), "default_region"),
        (json!({"default_region": ""}), "default_region"),
        (json!({"starting_credits": -1}), "starting_credits"),
        (json!({"starting_credits": 1_000_001}), "starting_credits"),
        (json!({"starting_credits": 1e12}), "body"),
        (json!({"low_credits_at": -1}), "low_credits_at"),
        (json!({"low_credits_at": 1_000_001}), "low_credits_at"),
        (json!({"require_two_factor": "yes"}), "body"),
        (json!({"slug": "mine"}), "body"),
        (json!({"id": harbor.id}), "body"),
    ] {
        let problem = harbor
            .admin
            .patch(&itself, change.clone())
            .await
            .refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field, "{change}");
    }
    sam.patch(&itself, json!({"name": "Mine"}))
        .await
        .refused(403, "admin_only");
    assert_eq!(harbor.admin.get(&itself).await.expect_status(200), before);

    let change = json!({"name": " Harbor ", "default_region": "GB", "low_credits_at": 0});
    let mut after = harbor.admin.patch(&itself, change).await.expect_status(200);
    assert_eq!(after["name"], "Harbor");
    assert_eq!(after["slug"], before["slug"], "the slug stays");
    for field in ["name", "default_region", "low_credits_at", "updated_at"] {
        assert_ne!(after[field], before[field], "{field}");
        after[field] = before[field].clone();
    }
    assert_eq!(after, before);
    let contact = json!({"phone_number": "020 7946 0958"});
    let contact = sam
        .post(&harbor.path("/contacts"), contact)
        .await
        .expect_status(201);
    assert_eq!(contact["phone_number"], "+442079460958");
}

fn stranger(n: usize) -> String {
    format!("+141555502{n:02}")
}

async fn create_workspace(who: &Person, name: &str) -> Answer {
    who.post("/api/workspaces", json!({"name": name})).await
}

async fn can_create_workspace(hub: &Hub, who: &Person) -> bool {
    let cookie = format!("messagehub_access={}", who.token.as_ref().unwrap());
    let anonymous = Person::anonymous(hub);
    let request = anonymous.request(reqwest::Method::GET, "/workspaces");
    let page = anonymous.ask(request.header("cookie", cookie)).await;
    assert_eq!(page.status, 200);
    page.body.contains("action=\"/workspaces\"")
}

async fn posts_the_form(hub: &Hub, who: &Person, name: &str) -> Answer {
    let cookie = format!("messagehub_access={}", who.token.as_ref().unwrap());
    let anonymous = Person::anonymous(hub);
    let request = anonymous
        .request(reqwest::Method::POST, "/workspaces")
        .header("cookie", cookie)
        .header("sec-fetch-site", "same-origin")
        .form(&[("name", name)]);
    anonymous.ask(request).await
}

/// A server on the same database with another `SIGNUPS`; sessions stay valid.
async fn with_signups(hub: &Hub, signups: &str) -> messagehub::server::Server {
    let settings = [
        ("SIGNUPS", signups),
        ("WORKSPACES_PER_PERSON", "3"),
        ("SMTP_URL", hub.mail_server.url()),
    ];
    crate::hub::serve(&hub.database, &hub.twilio, &settings).await
}

#[tokio::test]
async fn workspace_creation_follows_the_setting() {
    let mut hub = Hub::start().await;
    let (jo, sam) = {
        let harbor = hub.workspace("Harbor Dental").await;
        (harbor.admin.clone(), harbor.agent("Sam").await)
    };
    for (signups, admin, agent) in [
        ("open", 201, 201),
        ("invite", 201, 403),
        ("", 201, 403),
        ("closed", 403, 403),
    ] {
        hub.execute_sql("delete from workspaces where slug like 'more%'")
            .await;
        let server = with_signups(&hub, signups).await;
        let before = std::mem::replace(&mut hub.server, server);
        before.stop().await;
        for (who, expected) in [(&jo, admin), (&sam, agent)] {
            let who = who.on(&hub);
            assert_eq!(
                can_create_workspace(&hub, &who).await,
                expected == 201,
                "{signups}"
            );
            let answer = create_workspace(&who, "More").await;
            assert_eq!(answer.status, expected, "{signups}: {answer:?}");
            let form = posts_the_form(&hub, &who, "More").await;
            assert_eq!(
                form.status,
                if expected == 201 { 303 } else { 422 },
                "{signups}"
            );
            if expected == 403 {
                answer.refused(403, "workspaces_closed");
                assert!(
                    form.body
                        .contains("Only admins can create more workspaces here"),
                    "{}",
                    form.body
                );
            }
        }
        let form = json!({"workspace_name": "More", "name": "Eve", "email": format!("eve{signups}@harbor.test"), "password": PASSWORD});
        let stranger = Person::anonymous(&hub).post("/api/auth/signup", form).await;
        assert_eq!(
            stranger.status,
            if signups == "open" { 201 } else { 403 },
            "{signups}"
        );
        let page = Person::anonymous(&hub).get("/signup").await;
        assert_eq!(
            page.status,
            if signups == "open" { 200 } else { 403 },
            "{signups}"
        );
    }
}

#[tokio::test]
async fn workspaces_per_user_are_limited() {
    let settings = [("WORKSPACES_PER_PERSON", "3")];
    let hub = Hub::start_with(empty_database().await, &settings).await;
    let harbor = hub.workspace("Harbor Dental").await; // the first of three
    let jo = &harbor.admin;
    let answers = join_all((0..6).map(|n| {
        let name = format!("Practice {n}");
        async move { create_workspace(jo, &name).await.status }
    }))
    .await;
    assert_eq!(
        answers.iter().filter(|status| **status == 201).count(),
        2,
        "{answers:?}"
    );
    create_workspace(jo, "One more")
        .await
        .refused(403, "too_many_workspaces");
    assert!(!can_create_workspace(&hub, jo).await);
    // Workspaces of others do not count for a member, and deleted ones count no more.
    let bay = hub.workspace("Bay Optics").await;
    hub.verify_email(&jo.email).await;
    let link = bay.invite(&jo.email, "admin").await;
    jo.post(&format!("/api/invitations/{link}/accept"), json!({}))
        .await
        .expect_status(200);
    create_workspace(&bay.admin, "Bay Two")
        .await
        .expect_status(201);
    jo.delete_with(&harbor.path(""), json!({"name": "Harbor Dental"}))
        .await
        .expect_status(204);
    create_workspace(jo, "One more").await.expect_status(201);
}

/// Pages are found by slug or by id, so no slug parses as an id.
#[tokio::test]
async fn workspace_with_an_id_like_name_is_found_by_slug() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let id = uuid::Uuid::now_v7();
    for name in [
        id.to_string(),
        id.simple().to_string(),
        id.to_string().to_uppercase(),
        format!("{{{id}}}"),
        harbor.id.clone(),
        "0".repeat(32),
    ] {
        let mine = create_workspace(&harbor.admin, &name)
            .await
            .expect_status(201);
        let slug = mine["slug"].as_str().unwrap();
        assert!(slug.parse::<uuid::Uuid>().is_err(), "{slug}");
        let cookie = format!("messagehub_access={}", harbor.admin.token.as_ref().unwrap());
        let anonymous = Person::anonymous(&hub);
        let request = anonymous.request(reqwest::Method::GET, &format!("/w/{slug}/inbox"));
        assert_eq!(
            anonymous.ask(request.header("cookie", cookie)).await.status,
            200,
            "{slug}"
        );
    }
}

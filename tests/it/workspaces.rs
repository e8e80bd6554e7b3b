//! Workspaces: created, changed, and deleted with all of their data and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::hub::{
    Answer, FRONT_DESK, Hub, MAYA, PASSWORD, Person, Workspace, empty_database, until,
};

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

// ── deletion ──

async fn delete_workspace(who: &Person, harbor: &Workspace<'_>, name: &str) -> crate::hub::Answer {
    who.delete_with(&harbor.path(""), json!({"name": name}))
        .await
}

/// Every table with a workspace_id: the number of the workspace's rows, and their checksum.
async fn rows_of(harbor: &Workspace<'_>) -> BTreeMap<String, (i64, String)> {
    harbor.hub.index_search().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c
          where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
            -- A queue, which a worker empties.
            and c.relname <> 'contacts_to_index'
            and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'workspace_id' and not a.attisdropped)",
    )
    .fetch_all(&harbor.hub.superuser_pool)
    .await
    .unwrap();
    assert!(tables.len() >= 14, "{tables:?}");
    let mut rows = BTreeMap::new();
    for (table, key) in tables
        .iter()
        .map(|table| (table.as_str(), "workspace_id"))
        .chain([("workspaces", "id")])
    {
        let sql = format!(
            "select count(*), coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {table} t where {key}::text = $1"
        );
        let found: (i64, String) = sqlx::query_as(AssertSqlSafe(sql))
            .bind(&harbor.id)
            .fetch_one(&harbor.hub.superuser_pool)
            .await
            .unwrap();
        rows.insert(table.to_owned(), found);
    }
    rows
}

/// The server writes the credential access log at any time.
fn without_uses(mut rows: BTreeMap<String, (i64, String)>) -> BTreeMap<String, (i64, String)> {
    rows.remove("credential_access_log");
    rows
}

/// A workspace with rows in each table.
async fn populated<'a>(hub: &'a Hub, name: &str, number: &str) -> (Workspace<'a>, Person) {
    let harbor = hub.workspace(name).await;
    harbor.connect_twilio(number).await;
    let agent = harbor.agent("Sam").await;
    harbor.assign_number(number, &agent).await;
    let answer = hub
        .twilio
        .inbound_text(MAYA, number, "Look")
        .media(&["https://api.twilio.com/x.jpg"])
        .send()
        .await;
    assert_eq!(answer.status(), 200);
    let conversation = harbor.conversation_with(MAYA).await;
    harbor.reply(&agent, &conversation, "How nice").await;
    harbor.add_note(&conversation, "@Sam, can you?").await;
    hub.twilio.refuses(21610, 400); // opts the contact out
    hub.run_sender().await;
    harbor
        .invite(&format!("kim@{}.test", harbor.slug), "agent")
        .await;
    agent
        .patch(&harbor.path("/settings"), json!({"signature": "Sam"}))
        .await
        .expect_status(200);
    agent
        .post(&harbor.path("/pushes"), crate::matrix::push_subscription())
        .await
        .expect_status(201);
    let template = json!({"name": "Greeting", "content": "Hi {{first_name}}", "shared": true});
    agent
        .post(&harbor.path("/templates"), template)
        .await
        .expect_status(201);
    let draft = harbor.path("/drafts/new");
    let draft = agent.request(Method::PUT, &draft);
    agent
        .ask(draft.json(&json!({"content": "Hi"})))
        .await
        .expect_status(200);
    let forged = hub.twilio.inbound_text(MAYA, number, "Forged");
    let forged = forged.signed_with("not the token").send().await;
    assert_eq!(forged.status(), 403);
    hub.server.usage_sync.run_once().await.unwrap();
    add_contacts(&harbor, number).await;
    for (table, (count, _)) in rows_of(&harbor).await {
        assert!(count > 0, "add rows of {table} here");
    }
    (harbor, agent)
}

/// Tags, fields, an import, a merged contact and a deleted one.
async fn add_contacts(harbor: &Workspace<'_>, number: &str) {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let maya = text(&harbor.conversation_with(MAYA).await["contact_id"]);
    let mut others = Vec::new();
    for (phone, body) in [("+14155550181", "It is Maya"), ("+14155550182", "STOP")] {
        let answer = harbor.hub.twilio.text(phone, number, body).await;
        assert_eq!(answer.status(), 200);
        others.push(text(&harbor.conversation_with(phone).await["contact_id"]));
    }
    let path = |path: &str| harbor.path(&format!("/contacts/{path}"));
    let (jo, tag) = (&harbor.admin, harbor.tag("VIP").await);
    jo.put(&path(&format!("{maya}/tags/{tag}")))
        .await
        .expect_status(204);
    let field = json!({"name": "Insurance", "kind": "text"});
    jo.post(&harbor.path("/contact-fields"), field)
        .await
        .expect_status(201);
    jo.post(
        &path(&format!("{maya}/merge")),
        json!({"contact_id": others[0]}),
    )
    .await
    .expect_status(200);
    jo.delete(&path(&others[1])).await.expect_status(204);
    harbor
        .upload_contacts("phone_number\n+14155550183\n", "true")
        .await
        .expect_status(202);
}

#[tokio::test]
async fn deletion_requires_an_admin_and_the_exact_name() {
    let hub = Hub::start().await;
    let (harbor, sam) = populated(&hub, "Harbor Dental", FRONT_DESK).await;
    let bay = hub.workspace("Bay Optics").await;
    let before = rows_of(&harbor).await;
    for name in [
        "",
        "harbor dental",
        "Harbor  Dental",
        "Harbor Dental.",
        "Bay Optics",
        "%",
        "Harbor Dental\0",
    ] {
        let problem = delete_workspace(&harbor.admin, &harbor, name)
            .await
            .refused(422, "validation_failed");
        let field = problem["errors"][0]["field"].as_str().unwrap();
        assert!(["name", "request"].contains(&field), "{problem}");
    }
    harbor
        .admin
        .delete_with(&harbor.path(""), json!({}))
        .await
        .refused(422, "validation_failed");
    delete_workspace(&sam, &harbor, "Harbor Dental")
        .await
        .refused(403, "admin_only");
    delete_workspace(&bay.admin, &harbor, "Harbor Dental")
        .await
        .refused(403, "not_a_member");
    let mut tx = hub.with_rights_of(&harbor.admin, &harbor).await;
    let refused = sqlx::query("delete from workspaces")
        .execute(&mut *tx)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("permission denied"));
    drop(tx);
    assert_eq!(without_uses(rows_of(&harbor).await), without_uses(before));
}

#[tokio::test]
async fn deletion_removes_everything_of_the_workspace_only() {
    let hub = Hub::start().await;
    let (harbor, sam) = populated(&hub, "Harbor Dental", FRONT_DESK).await;
    let (bay, lin) = populated(&hub, "Bay Optics", OPTICS).await;
    let link = bay.invite(&sam.email, "agent").await;
    hub.verify_email(&sam.email).await;
    sam.post(&format!("/api/invitations/{link}/accept"), json!({}))
        .await
        .expect_status(200);
    let (mut jos, mut sams) = (
        harbor.admin.join_workspace(&harbor).await,
        sam.join_workspace(&harbor).await,
    );
    let mut lins = lin.join_workspace(&bay).await;
    let (before, users) = (
        rows_of(&bay).await,
        hub.count("select count(*) from users").await,
    );

    delete_workspace(&harbor.admin, &harbor, " Harbor Dental ")
        .await
        .expect_status(204);

    for (table, (count, _)) in rows_of(&harbor).await {
        assert_eq!(count, 0, "{table}");
    }
    assert_eq!(without_uses(rows_of(&bay).await), without_uses(before));
    assert_eq!(jos.wait_for_close().await, 1008);
    assert_eq!(sams.wait_for_close().await, 1008);
    assert!(lins.received_so_far(&bay).await.is_empty());
    for who in [&harbor.admin, &sam] {
        who.get(&harbor.path("/conversations"))
            .await
            .refused(403, "not_a_member");
    }
    delete_workspace(&harbor.admin, &harbor, "Harbor Dental")
        .await
        .refused(403, "not_a_member");

    assert_eq!(hub.count("select count(*) from users").await, users);
    sam.get(&bay.path("")).await.expect_status(200);
    let jo = Person::sign_in(&hub, &harbor.admin.email).await;
    assert_eq!(
        jo.get("/api/workspaces").await.expect_status(200)["data"],
        json!([])
    );
    let anew = jo
        .post("/api/workspaces", json!({"name": "Harbor Dental"}))
        .await
        .expect_status(201);
    assert_eq!(anew["slug"], harbor.slug, "the slug is free again");
    let contacts = format!("/api/workspaces/{}/contacts", anew["id"].as_str().unwrap());
    assert_eq!(
        jo.get(&contacts).await.expect_status(200)["data"],
        json!([])
    );
}

#[tokio::test]
async fn texts_to_a_deleted_workspace_get_404() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let bay = hub.workspace("Bay Optics").await;
    bay.connect_twilio(OPTICS).await;
    // Half of the senders have texted before.
    for n in 0..25 {
        harbor.receive_text(&stranger(n), "Hi").await;
    }

    let (deleted, ours, theirs) = tokio::join!(
        delete_workspace(&harbor.admin, &harbor, "Harbor Dental"),
        fifty_texts(&hub, FRONT_DESK),
        fifty_texts(&hub, OPTICS),
    );
    let after = hub.twilio.text(MAYA, FRONT_DESK, "Anybody?").await.status();

    deleted.expect_status(204);
    assert_eq!(theirs, vec![200; 50]);
    assert_eq!(
        hub.count("select count(*) from messages m join workspaces w on w.id = m.workspace_id where w.name = 'Bay Optics'").await,
        50
    );
    assert!(
        ours.iter().all(|status| [200, 404].contains(status)),
        "{ours:?}"
    );
    assert_eq!(after, 404);
    assert_eq!(hub.count("select count(*) from messages").await, 50);
}

fn stranger(n: usize) -> String {
    format!("+141555502{n:02}")
}

/// Fifty concurrent inbound texts; returns the statuses of the responses.
async fn fifty_texts(hub: &Hub, to: &str) -> Vec<u16> {
    join_all((0..50).map(|n| async move {
        let answer = hub
            .twilio
            .text(&stranger(n), to, &format!("Text {n}"))
            .await;
        answer.status().as_u16()
    }))
    .await
}

/// Storing a text locks its conversation and then the workspace; the deletion locks in the opposite order.
#[tokio::test]
async fn deletion_succeeds_during_ingest() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Hi").await;
    let mut text = hub.superuser_pool.begin().await.unwrap();
    sqlx::query("update conversations set unread_count = unread_count + 1")
        .execute(&mut *text)
        .await
        .unwrap();
    let the_rest_of_the_text = async {
        let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        until("the deletion waits", async || hub.count(waits).await > 0).await;
        let _ = sqlx::query("insert into contacts (workspace_id, id, phone_number) select id, gen_random_uuid(), '+14155550155' from workspaces")
            .execute(&mut *text)
            .await;
        text.rollback().await.unwrap();
    };
    let (deleted, ()) = tokio::join!(
        delete_workspace(&harbor.admin, &harbor, "Harbor Dental"),
        the_rest_of_the_text
    );
    deleted.expect_status(204);
    assert_eq!(hub.count("select count(*) from workspaces").await, 0);
}

/// Texts are at the provider while their workspace is deleted.
#[tokio::test]
async fn deletion_during_sending_is_harmless() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let bay = hub.workspace("Bay Optics").await;
    bay.connect_twilio(OPTICS).await;
    let draft = json!({"to": MAYA, "content": "Sent before"});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    assert_eq!(hub.run_sender().await, 1);
    for n in 0..20 {
        let to = stranger(n);
        for workspace in [&harbor, &bay] {
            let draft = json!({"to": to, "content": format!("{} {n}", workspace.slug)});
            workspace
                .admin
                .post(&workspace.path("/messages"), draft)
                .await
                .expect_status(202);
        }
    }
    let (_, deleted) = tokio::join!(
        hub.run_sender(),
        delete_workspace(&harbor.admin, &harbor, "Harbor Dental")
    );
    deleted.expect_status(204);
    hub.run_sender().await;
    for n in 0..20 {
        assert_eq!(hub.twilio.sent(&format!("bay-optics {n}")).len(), 1);
    }
    assert_eq!(
        hub.count("select count(*) from messages where status <> 'sent'")
            .await,
        0
    );
    // Reports of sent texts find none and change nothing.
    let orphan = hub.twilio.sent("Sent before")[0].sid.clone();
    let answer = hub.twilio.reports(&orphan, "delivered").await.status();
    assert_eq!(answer, 404);
    let session = json!({"email": harbor.admin.email, "password": PASSWORD});
    Person::anonymous(&hub)
        .post("/api/auth/login", session)
        .await
        .expect_status(200);
}

/// A deletion of a large workspace takes long, and holds locks until it ends.
#[tokio::test]
async fn deletion_under_way_delays_no_other_workspace() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let bay = hub.workspace("Bay Optics").await;
    bay.connect_twilio(OPTICS).await;
    for workspace in [&harbor, &bay] {
        let draft = json!({"to": MAYA, "content": workspace.slug});
        let path = workspace.path("/messages");
        workspace.admin.post(&path, draft).await.expect_status(202);
    }
    let mut deletion = hub.superuser_pool.begin().await.unwrap();
    sqlx::query("delete from workspaces where name = 'Harbor Dental'")
        .execute(&mut *deletion)
        .await
        .unwrap();
    let sending = tokio::time::timeout(Duration::from_secs(20), hub.run_sender());
    assert_eq!(sending.await.expect("it waits for no lock"), 1);
    assert_eq!(hub.twilio.sent("bay-optics").len(), 1);
    deletion.rollback().await.unwrap();
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(hub.twilio.sent("harbor-dental").len(), 1);
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
                    form.body.contains("Further workspaces are made by admins"),
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

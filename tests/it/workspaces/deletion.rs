//! Deleting a workspace: everything of it, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::{OPTICS, stranger};
use crate::hub::{FRONT_DESK, Hub, MAYA, PASSWORD, Person, Workspace, until};

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
    let view = json!({"name": "Not delivered", "failed": true});
    agent
        .post(&harbor.path("/views"), view)
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

/// Tags, fields, imports, a merged contact and a deleted one.
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
        .upload_contacts_with(b"phone_number\n+14155550184\n", &[])
        .await
        .expect_status(202);
    harbor.hub.run_imports().await;
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

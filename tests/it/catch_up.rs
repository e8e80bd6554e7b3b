//! After an outage, catch-up stores what the provider has.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::emulator::Failure;
use crate::hub::{FRONT_DESK, Hub, MAYA, PNG, TOKEN, Workspace};

async fn make_due(hub: &Hub) {
    sqlx::query("update numbers set catch_up_at = now()")
        .execute(&hub.superuser_pool)
        .await
        .unwrap();
}

async fn catch_up(hub: &Hub) -> usize {
    make_due(hub).await;
    hub.server.reconciler.run_once().await.unwrap()
}

async fn texts(harbor: &Workspace<'_>) -> Vec<String> {
    let maya = harbor.conversation_with(MAYA).await;
    let texts = harbor.thread(&maya).await;
    texts
        .iter()
        .map(|text| text["content"].as_str().unwrap().to_owned())
        .collect()
}

async fn number(harbor: &Workspace<'_>) -> Value {
    harbor
        .admin
        .get(&harbor.path("/numbers"))
        .await
        .expect_status(200)["data"][0]
        .clone()
}

#[tokio::test]
async fn missed_texts_are_stored_once_and_in_order() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Before").await;
    for body in ["One", "Two", "Three"] {
        hub.twilio
            .inbound_text(MAYA, FRONT_DESK, body)
            .record_undelivered();
    }
    assert_eq!(
        texts(&harbor).await,
        ["Before"],
        "the webhook was not called"
    );
    let before = number(&harbor).await;
    assert_eq!(before["compared_until"], Value::Null);

    assert_eq!(catch_up(&hub).await, 3);

    assert_eq!(texts(&harbor).await, ["Before", "One", "Two", "Three"]);
    assert_eq!(harbor.conversation_with(MAYA).await["unread_count"], 4);
    assert!(number(&harbor).await["compared_until"].is_string());
    assert_eq!(
        hub.server.reconciler.run_once().await.unwrap(),
        0,
        "not due"
    );
    assert_eq!(catch_up(&hub).await, 0, "no text is stored twice");
    assert_eq!(texts(&harbor).await.len(), 4);
}

#[tokio::test]
async fn late_text_is_placed_by_time_and_undoes_nothing() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let ago = chrono::TimeDelta::minutes;
    hub.twilio
        .inbound_text(MAYA, FRONT_DESK, "STOP")
        .record_undelivered_ago(ago(9));
    hub.twilio
        .inbound_text(MAYA, FRONT_DESK, "First")
        .record_undelivered_ago(ago(10));
    harbor.receive_text(MAYA, "STOP").await;
    let maya = harbor.receive_text(MAYA, "START").await;
    harbor.reply(&harbor.admin, &maya, "Welcome back").await;

    assert_eq!(catch_up(&hub).await, 2);

    assert_eq!(
        texts(&harbor).await,
        ["First", "STOP", "STOP", "START", "Welcome back"]
    );
    let maya = harbor.conversation_with(MAYA).await;
    assert_eq!(maya["last_message_preview"], "Welcome back");
    assert_eq!(maya["opted_out"], false, "the later START applies");
    let first = harbor.thread(&maya).await[0]["created_at"].clone();
    let first: chrono::DateTime<chrono::Utc> = first.as_str().unwrap().parse().unwrap();
    let since = chrono::Utc::now() - first;
    assert!((ago(9)..ago(11)).contains(&since), "{since}");
    let journal = harbor.path("/webhooks?outcome=stored");
    let journal = harbor.admin.get(&journal).await.expect_status(200);
    let lines = journal["data"].as_array().unwrap().iter();
    let late = lines.filter(|line| line["via"] == "catch_up").count();
    assert_eq!(late, 2);

    // In a new conversation it is the newest text.
    hub.twilio
        .inbound_text("+14155550193", FRONT_DESK, "Hello?")
        .record_undelivered_ago(ago(5));
    assert_eq!(catch_up(&hub).await, 1);
    let other = harbor.conversation_with("+14155550193").await;
    assert_eq!(other["last_message_preview"], "Hello?");
    let at: chrono::DateTime<chrono::Utc> =
        other["last_message_at"].as_str().unwrap().parse().unwrap();
    assert!(chrono::Utc::now() - at > ago(4), "{other}");
}

#[tokio::test]
async fn text_by_webhook_and_list_at_once_is_stored_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Before").await;
    for nth in 0..10 {
        let sid = format!("SMcafe{nth:028x}");
        hub.twilio
            .inbound_text(MAYA, FRONT_DESK, &format!("Text {nth}"))
            .sid(&sid)
            .record_undelivered();
        let late = hub
            .twilio
            .inbound_text(MAYA, FRONT_DESK, &format!("Text {nth}"))
            .sid(&sid);
        make_due(&hub).await;
        let (answer, _) = tokio::join!(late.send(), hub.server.reconciler.run_once());
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(texts(&harbor).await.len(), 11);
    assert_eq!(harbor.conversation_with(MAYA).await["unread_count"], 11);
}

#[tokio::test]
async fn failed_catch_up_is_retried_and_not_marked_complete() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Before").await;
    hub.twilio
        .inbound_text(MAYA, FRONT_DESK, "Lost")
        .record_undelivered();
    hub.twilio
        .fails(Failure::Status(reqwest::StatusCode::BAD_GATEWAY));
    assert_eq!(catch_up(&hub).await, 0);
    assert_eq!(number(&harbor).await["compared_until"], Value::Null);
    assert_eq!(catch_up(&hub).await, 1);
    assert_eq!(texts(&harbor).await, ["Before", "Lost"]);
}

#[tokio::test]
async fn catch_up_applies_stop_and_fetches_media() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Before").await;
    let sid = "MM00000000000000000000000000000042";
    let url = hub
        .twilio
        .account(&harbor.account, TOKEN)
        .media(sid, "image/png", PNG);
    hub.twilio
        .inbound_text(MAYA, FRONT_DESK, "")
        .sid(sid)
        .media(&[&url])
        .record_undelivered();
    hub.twilio
        .inbound_text(MAYA, FRONT_DESK, "STOP")
        .record_undelivered();

    assert_eq!(catch_up(&hub).await, 2);

    let maya = harbor.conversation_with(MAYA).await;
    assert_eq!(maya["opted_out"], true);
    let picture = harbor.thread(&maya).await[1]["media"][0]["url"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(harbor.admin.get(&picture).await.status, 200);
}

#[tokio::test]
async fn only_admins_start_a_catch_up() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Before").await;
    let path = harbor.path(&format!(
        "/numbers/{}/catch-up",
        harbor.number(FRONT_DESK).await
    ));
    hub.twilio
        .inbound_text(MAYA, FRONT_DESK, "Lost")
        .record_undelivered();
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    sam.post(&path, json!({})).await.refused(403, "admin_only");
    let mut live = harbor.admin.join_workspace(&harbor).await;

    // Concurrent requests store the text once.
    let answers = join_all((0..5).map(|_| harbor.admin.post(&path, json!({})))).await;

    let stored: u64 = answers
        .into_iter()
        .map(|answer| answer.expect_status(200)["brought_in"].as_u64().unwrap())
        .sum();
    assert_eq!(stored, 1);
    assert_eq!(
        live.wait_for("new_message").await["message"]["content"],
        "Lost"
    );
    let sandbox = json!({"provider": "sandbox", "credentials": {}});
    let sandbox = harbor
        .admin
        .post(&harbor.path("/integrations"), sandbox)
        .await
        .expect_status(201);
    let path = harbor.path(&format!(
        "/numbers/{}/catch-up",
        sandbox["numbers"][0]["id"].as_str().unwrap()
    ));
    harbor
        .admin
        .post(&path, json!({}))
        .await
        .refused(503, "provider_unavailable");
}

async fn doctor_on_inbound(harbor: &Workspace<'_>) -> Value {
    let path = format!("/numbers/{}/doctor", harbor.number(FRONT_DESK).await);
    let diagnosis = harbor
        .admin
        .get(&harbor.path(&path))
        .await
        .expect_status(200);
    let mut findings = diagnosis["findings"].as_array().unwrap().iter();
    let inbound = findings.find(|finding| finding["subject"] == "inbound");
    inbound.unwrap().clone()
}

#[tokio::test]
async fn catch_up_does_not_count_as_webhook_activity() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "By webhook").await;
    hub.execute_sql("update numbers set last_inbound_at = last_inbound_at - interval '8 hours'")
        .await;
    hub.execute_sql("update messages set created_at = created_at - interval '8 hours'")
        .await;
    let delivered = number(&harbor).await["last_inbound_at"].clone();

    assert_eq!(catch_up(&hub).await, 0, "already stored");
    assert_eq!(number(&harbor).await["last_inbound_at"], delivered);
    assert_eq!(doctor_on_inbound(&harbor).await["state"], "good");

    hub.twilio
        .inbound_text(MAYA, FRONT_DESK, "Lost")
        .record_undelivered();
    assert_eq!(catch_up(&hub).await, 1);
    assert_eq!(
        number(&harbor).await["last_inbound_at"],
        delivered,
        "no webhook was called"
    );
    let doubtful = doctor_on_inbound(&harbor).await;
    assert_eq!(doubtful["state"], "attention", "{doubtful}");
    let page = format!("/w/{}/admin/integrations", harbor.slug);
    let page = harbor.admin.get(&page).await;
    assert_eq!(page.status, 200);
    assert!(
        page.body.contains("didn’t arrive by webhook"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("Receiving texts."), "{}", page.body);

    harbor.receive_text(MAYA, "By webhook again").await;
    let now = number(&harbor).await["last_inbound_at"].clone();
    let now: chrono::DateTime<chrono::Utc> = now.as_str().unwrap().parse().unwrap();
    assert!(chrono::Utc::now() - now < chrono::TimeDelta::minutes(1));
    assert_eq!(doctor_on_inbound(&harbor).await["state"], "good");
}

#[tokio::test]
async fn known_texts_are_not_stored_or_fetched_again() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let console = hub.twilio.console(&harbor.account);
    let inbound_text = (0..150).map(|nth| {
        let text = hub
            .twilio
            .inbound_text(MAYA, FRONT_DESK, &format!("Text {nth}"));
        match nth % 10 {
            0 => {
                let sid = format!("MM{nth:032x}");
                let url = console.media(&sid, "image/png", PNG);
                text.sid(&sid).media(&[&url]).send()
            }
            _ => text.send(),
        }
    });
    for answer in join_all(inbound_text).await {
        assert_eq!(answer.status(), 200);
    }
    let lists = || hub.twilio.calls(&["GET", "Messages.json"]);
    let media = || hub.twilio.calls(&["GET", "Media.json"]);

    // Storing any of them fails now.
    hub.execute_sql("alter function receive_texts rename to receive_no_texts")
        .await;
    assert_eq!(catch_up(&hub).await, 0);
    hub.execute_sql("alter function receive_no_texts rename to receive_texts")
        .await;
    assert!(number(&harbor).await["compared_until"].is_string());
    assert_eq!((lists(), media()), (1, 0));

    // Of new texts, only those with files cost another request.
    for nth in 0..3 {
        let sid = format!("MMfeed{nth:028x}");
        let url = console.media(&sid, "image/png", PNG);
        let text = hub.twilio.inbound_text(MAYA, FRONT_DESK, "Picture");
        text.sid(&sid).media(&[&url]).record_undelivered();
        hub.twilio
            .inbound_text(MAYA, FRONT_DESK, &format!("Lost {nth}"))
            .record_undelivered();
    }
    assert_eq!(catch_up(&hub).await, 6);
    assert_eq!((lists(), media()), (2, 3));
}

#[tokio::test]
async fn catch_up_reads_only_the_pages_it_needs() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Before").await;
    for nth in 0..60 {
        hub.twilio
            .inbound_text(MAYA, FRONT_DESK, &format!("Old {nth}"))
            .record_undelivered_ago(chrono::TimeDelta::seconds(1000 + nth));
    }
    hub.twilio
        .inbound_text(MAYA, FRONT_DESK, "New")
        .record_undelivered();
    hub.twilio.pages_by(10);
    // The last comparison is recent: texts older than the overlap are skipped.
    hub.execute_sql("update numbers set compared_until = now()")
        .await;

    assert_eq!(catch_up(&hub).await, 1);
    assert_eq!(texts(&harbor).await, ["Before", "New"]);
    assert_eq!(hub.twilio.calls(&["GET", "Messages.json"]), 1);
}

#[tokio::test]
async fn catch_up_runs_concurrently_and_reports_its_backlog() {
    let hub = Hub::start().await;
    let mut workspaces = Vec::new();
    for tenant in 0..3 {
        let workspace = hub.workspace(&format!("Tenant {tenant}")).await;
        let account = hub.twilio.account(&workspace.account, TOKEN);
        for nth in 0..40 {
            account.number(&format!("+1628555{:04}", tenant * 1000 + nth));
        }
        workspace.connect_with(TOKEN).await.expect_status(201);
        workspaces.push(workspace);
    }
    for text in ["+16285550005", "+16285551005", "+16285552005"] {
        hub.twilio
            .inbound_text(MAYA, text, "Lost")
            .record_undelivered();
    }
    hub.twilio.inject(Box::new(|_| {
        Some(Failure::Slow(Duration::from_millis(500)))
    }));
    let began = Instant::now();

    assert_eq!(catch_up(&hub).await, 3);

    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(30),
        "sequentially it takes a minute: {took:?}"
    );
    let behind = "select count(*) from numbers where compared_until is null";
    assert_eq!(hub.count(behind).await, 0);
    assert_eq!(hub.twilio.calls(&["GET", "Messages.json"]), 120);
    let metrics = workspaces[0].admin.get("/metrics").await.body;
    assert!(
        metrics.contains("messagehub_numbers_to_compare "),
        "{metrics}"
    );
}

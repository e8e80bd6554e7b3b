//! Workers that panic, a closed log, a read-only database: the server recovers or reports it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::ConnectOptions;

use crate::hub::{Hub, KEYS, MAYA, Workspace, until_within};
use crate::process::{DataDir, Process};

/// Settings of a second server on the hub's database; the hub itself does not send.
struct Settings {
    url: String,
    base: String,
    twilio: String,
}

impl Settings {
    fn of(hub: &Hub) -> Self {
        Self {
            url: hub.database.to_url_lossy().to_string(),
            base: hub.url(""),
            twilio: hub.twilio.url().into(),
        }
    }

    fn with<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut settings = vec![
            ("DATABASE_URL", self.url.as_str()),
            ("BASE_URL", &self.base),
            ("TWILIO_API_BASE_URL", &self.twilio),
        ];
        settings.extend(KEYS);
        settings.extend(more);
        settings
    }
}

async fn waiting_text(harbor: &Workspace<'_>) -> Value {
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.reply(&harbor.admin, &maya, "Come at 3:30").await
}

async fn is_sent(harbor: &Workspace<'_>, text: &Value) -> bool {
    harbor.message(&text["id"]).await["status"] == "sent"
}

#[tokio::test]
async fn panicked_worker_restarts_and_is_counted() {
    let (hub, data_dir) = (Hub::start().await, DataDir::new());
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let text = waiting_text(&harbor).await;
    let settings = Settings::of(&hub);
    let server = Process::start(
        &data_dir.data(),
        &settings.with(&[("PANICS_AT", "sender:2")]),
    );

    until_within(Duration::from_secs(20), "the text is sent", async || {
        is_sent(&harbor, &text).await
    })
    .await;
    assert_eq!(hub.twilio.sent("Come at 3:30").len(), 1);
    let metrics = reqwest::get(server.url("/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let counted = r#"messagehub_worker_failures_total{worker="sender",cause="panic"} 2"#;
    assert!(metrics.contains(counted), "{metrics}");
    let ready = reqwest::get(server.url("/readyz")).await.unwrap();
    assert_eq!(ready.status(), 200, "the worker runs again");
}

#[tokio::test]
async fn panic_after_the_provider_response_loses_nothing() {
    let (hub, data_dir) = (Hub::start().await, DataDir::new());
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let text = waiting_text(&harbor).await;
    let settings = Settings::of(&hub);
    let _server = Process::start(
        &data_dir.data(),
        &settings.with(&[("PANICS_AT", "sending:1")]),
    );

    until_within(Duration::from_secs(10), "the text is sent", async || {
        is_sent(&harbor, &text).await
    })
    .await;
    assert_eq!(hub.twilio.sent("Come at 3:30").len(), 1);
}

#[tokio::test]
async fn readiness_fails_while_a_worker_is_down() {
    let (hub, data_dir) = (Hub::start().await, DataDir::new());
    let settings = Settings::of(&hub);
    let server = Process::start(
        &data_dir.data(),
        &settings.with(&[("PANICS_AT", "media_fetcher")]),
    );
    let ready = async || reqwest::get(server.url("/readyz")).await.unwrap();
    let began = Instant::now();

    assert_eq!(ready().await.status(), 200);
    until_within(Duration::from_secs(60), "readiness fails", async || {
        ready().await.status() == 503
    })
    .await;

    assert!(began.elapsed() > Duration::from_secs(25));
    let problem: Value = ready().await.json().await.unwrap();
    assert_eq!(problem["code"], "worker_down");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("media_fetcher"),
        "{problem}"
    );
    let healthy = reqwest::get(server.url("/healthz")).await.unwrap();
    assert_eq!(healthy.status(), 200);
}

#[tokio::test]
async fn server_with_closed_output_works_and_stops() {
    let (hub, data_dir) = (Hub::start().await, DataDir::new());
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let settings = Settings::of(&hub);
    // Every line of the log goes to a closed pipe.
    let more = [("RUST_LOG", "trace")];
    let server = Process::start_with_closed_output(&data_dir.data(), &settings.with(&more));
    until_within(
        Duration::from_secs(20),
        "it is ready",
        async || match reqwest::get(server.url("/readyz")).await {
            Ok(answer) => answer.status() == 200,
            Err(_) => false,
        },
    )
    .await;

    let text = waiting_text(&harbor).await;

    until_within(Duration::from_secs(10), "the text is sent", async || {
        is_sent(&harbor, &text).await
    })
    .await;
    assert_eq!(hub.twilio.sent("Come at 3:30").len(), 1);
    let (code, _) = server.terminate();
    assert_eq!(code, Some(0));
}

#[tokio::test]
async fn readiness_fails_while_the_database_is_read_only() {
    let hub = Hub::start().await;
    let ready = async || reqwest::get(hub.url("/readyz")).await.unwrap();
    let answer = ready().await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.json::<Value>().await.unwrap(),
        json!({"status": "ready"})
    );

    hub.execute_sql(
        "do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$",
    )
    .await;
    hub.execute_sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    )
    .await;

    until_within(Duration::from_secs(10), "readiness fails", async || {
        let answer = ready().await;
        answer.status() == 503 && answer.json::<Value>().await.unwrap()["code"] == "read_only"
    })
    .await;
}

#[tokio::test]
async fn server_with_fast_clock_follows_the_database() {
    let (hub, data_dir) = (Hub::start().await, DataDir::new());
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Before").await;
    let settings = Settings::of(&hub);
    // Its sender always panics: only the server with the right clock sends.
    let more = [("CLOCK_AHEAD_SECONDS", "86400"), ("PANICS_AT", "sender")];
    let ahead = Process::start(&data_dir.data(), &settings.with(&more));
    let draft = json!({"conversation_id": maya["id"], "content": "From the other server"});
    let answer = reqwest::Client::new()
        .post(ahead.url(&harbor.path("/messages")))
        .bearer_auth(harbor.admin.token.as_deref().unwrap())
        .json(&draft)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    let note = json!({"content": "A note from there"});
    let notes = harbor.path(&format!(
        "/conversations/{}/notes",
        maya["id"].as_str().unwrap()
    ));
    let answer = reqwest::Client::new()
        .post(ahead.url(&notes))
        .bearer_auth(harbor.admin.token.as_deref().unwrap())
        .json(&note)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    drop(ahead);

    assert_eq!(hub.run_sender().await, 1, "it is due now");
    harbor.receive_text(MAYA, "After").await;
    harbor.reply(&harbor.admin, &maya, "And after that").await;

    let thread = harbor.thread(&maya).await;
    let contents: Vec<_> = thread
        .iter()
        .map(|text| text["content"].as_str().unwrap())
        .collect();
    assert_eq!(
        contents,
        [
            "Before",
            "From the other server",
            "A note from there",
            "After",
            "And after that"
        ]
    );
}

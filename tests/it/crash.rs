//! Crash recovery: acknowledged data survives the death of any process.

use std::time::Duration;

use futures_util::future::join_all;
use messagehub::db::embedded::Embedded;
use messagehub::db::migrate;
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, PgPool};

use crate::emulator::{Emulator, Failure};
use crate::hub::{FRONT_DESK, Hub, MAYA, PASSWORD, TOKEN, empty_database, superuser, until};
use crate::process::{DataDir, Process};

const ACCOUNT: &str = "AC000000000000000000000000000000cc";

/// A user who signed up at a server process.
struct Admin {
    http: reqwest::Client,
    base: String,
    token: String,
    workspace: String,
}

impl Admin {
    async fn signs_up(server: &Process) -> Self {
        // No pooled connections: the server is killed.
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        let form = json!({"workspace_name": "Harbor", "name": "Jo", "email": "jo@harbor.test", "password": PASSWORD});
        let session: Value = http
            .post(server.url("/api/auth/signup"))
            .json(&form)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        Self {
            http,
            base: server.url(""),
            token: session["access_token"].as_str().unwrap().into(),
            workspace: session["workspaces"][0]["id"].as_str().unwrap().into(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/workspaces/{}{path}", self.base, self.workspace)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, reqwest::Error> {
        let request = self
            .http
            .post(self.url(path))
            .bearer_auth(&self.token)
            .json(body);
        request.send().await?.error_for_status()?.json().await
    }

    async fn get(&self, path: &str) -> Value {
        self.http
            .get(self.url(path))
            .bearer_auth(&self.token)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    async fn connects(&self, twilio: &Emulator) {
        twilio.account(ACCOUNT, TOKEN).number(FRONT_DESK);
        let credentials = json!({"account_sid": ACCOUNT, "auth_token": TOKEN});
        self.post(
            "/integrations",
            &json!({"provider": "twilio", "credentials": credentials}),
        )
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn killed_server_loses_and_duplicates_nothing() {
    let (data_dir, twilio, database) = (
        DataDir::new(),
        Emulator::start().await,
        empty_database().await,
    );
    let url = database.to_url_lossy().to_string();
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("TWILIO_API_BASE_URL", twilio.url()),
    ];
    let superuser_pool = PgPool::connect_with(superuser(&database)).await.unwrap();
    let server = Process::start(&data_dir.data(), &settings);
    let address = server.address.clone();
    let jo = Admin::signs_up(&server).await;
    jo.connects(&twilio).await;

    // Slow calls, so that some are in flight at the kill.
    for _ in 0..40 {
        twilio.fails(Failure::Slow(Duration::from_secs(3)));
    }
    let mut acknowledged = Vec::new();
    for n in 0..40 {
        let draft =
            json!({"to": format!("+1415555{:04}", 100 + n), "content": format!("Reminder {n}")});
        acknowledged.push(
            jo.post("/messages", &draft).await.unwrap()["message"]["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    until("some texts were accepted", async || {
        twilio.messages().len() >= 5
    })
    .await;
    server.kill();
    let accepted = twilio.messages().len();
    assert!(accepted < 40, "the kill came before all were accepted");

    let _server = Process::start_at(&address, &data_dir.data(), &settings);
    sqlx::query("update messages set lease_until = now() where status = 'sending' and lease_until > now() + interval '30 seconds'")
        .execute(&superuser_pool)
        .await
        .unwrap();
    let open = "select count(*) from messages where status in ('queued', 'sending')";
    until("every text is sent or unconfirmed", async || {
        sqlx::query_scalar::<_, i64>(open)
            .fetch_one(&superuser_pool)
            .await
            .unwrap()
            == 0
    })
    .await;

    let kept: Vec<(String, String, String)> =
        sqlx::query_as("select id::text, content, status from messages")
            .fetch_all(&superuser_pool)
            .await
            .unwrap();
    assert!(
        acknowledged
            .iter()
            .all(|id| kept.iter().any(|(kept, _, _)| kept == id)),
        "nothing acknowledged is lost"
    );
    let mut unconfirmed = 0;
    for (_, content, status) in &kept {
        let times = twilio.sent(content).len();
        match status.as_str() {
            "sent" => assert_eq!(times, 1, "{content}"),
            "unconfirmed" => {
                unconfirmed += 1;
                assert!(times <= 1, "{content}");
            }
            other => panic!("{content} is {other}"),
        }
    }
    assert!(unconfirmed > 0, "some texts were in flight");
    // What Twilio accepted gets its outcome from its callback, which has our message id.
    for (id, content, _) in kept.iter().filter(|(_, _, status)| status == "unconfirmed") {
        if let [message] = twilio.sent(content).as_slice() {
            assert!(
                twilio
                    .reports(&message.sid, "delivered")
                    .await
                    .status()
                    .is_success()
            );
            assert_eq!(
                jo.get(&format!("/messages/{id}")).await["status"],
                "delivered"
            );
        }
    }
}

#[tokio::test]
async fn killed_postgresql_keeps_acknowledged_webhooks() {
    let (data_dir, twilio) = (DataDir::new(), Emulator::start().await);
    let settings = [("TWILIO_API_BASE_URL", twilio.url())];
    let server = Process::start(&data_dir.data(), &settings);
    let jo = Admin::signs_up(&server).await;
    jo.connects(&twilio).await;

    let (mut stored, mut refused) = (Vec::new(), 0);
    for round in 0..3 {
        let texts = (0..40).map(|n| {
            let (twilio, text) = (twilio.clone(), format!("Text {round}.{n}"));
            async move {
                tokio::time::sleep(Duration::from_millis(n * 4)).await;
                (
                    twilio.text(MAYA, FRONT_DESK, &text).await.status().as_u16(),
                    text,
                )
            }
        });
        let killer = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            kill(data_dir.postmaster(), Signal::SIGKILL).unwrap();
        };
        for (status, text) in futures_util::future::join(join_all(texts), killer).await.0 {
            match status {
                200 => stored.push(text),
                503 => refused += 1,
                other => panic!("{text}: {other}"),
            }
        }
        until("the server is ready again", async || {
            reqwest::get(server.url("/readyz"))
                .await
                .is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }
    assert!(
        refused > 0 && !stored.is_empty(),
        "no kill hit a request, or all did: {refused} refused, {} stored",
        stored.len()
    );

    let address = server.address.clone();
    server.kill();
    let _server = Process::start_at(&address, &data_dir.data(), &settings);
    let kept = jo.get("/messages?limit=200").await;
    let kept: Vec<_> = kept["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text["content"].as_str().unwrap())
        .collect();
    for text in &stored {
        assert_eq!(
            kept.iter().filter(|kept| *kept == text).count(),
            1,
            "{text}"
        );
    }
}

#[tokio::test]
async fn webhook_during_database_outage_gets_503_and_its_retry_is_stored_once() {
    let data_dir = DataDir::new();
    let cluster = Embedded::start(&data_dir.data()).await.unwrap();
    migrate::run(&cluster.options()).await.unwrap();
    let hub = Hub::start_on(cluster.options()).await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Before").await;
    let text = || {
        hub.twilio
            .inbound_text(MAYA, FRONT_DESK, "During")
            .sid("SM000000000000000000000000000000dd")
    };

    cluster.stop().await;
    let answer = text().send().await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(
        reqwest::get(hub.url("/readyz")).await.unwrap().status(),
        503
    );
    assert_eq!(
        reqwest::get(hub.url("/healthz")).await.unwrap().status(),
        200
    );
    let refused = harbor.admin.get(&harbor.path("/conversations")).await;
    refused.refused(503, "unavailable");

    let cluster = Embedded::start(&data_dir.data()).await.unwrap();
    for _ in 0..3 {
        let status = text().send().await.status();
        assert!(status == 200 || status == 503, "{status}");
    }
    until("the retry is accepted", async || {
        text().send().await.status() == 200
    })
    .await;
    assert_eq!(
        hub.count("select count(*) from messages where content = 'During'")
            .await,
        1
    );
    assert_eq!(harbor.conversation_with(MAYA).await["unread_count"], 2);
    hub.server.stop().await;
    cluster.stop().await;
}

#[tokio::test]
async fn graceful_stop_finishes_running_work() {
    let (data_dir, twilio, database) = (
        DataDir::new(),
        Emulator::start().await,
        empty_database().await,
    );
    let url = database.to_url_lossy().to_string();
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("TWILIO_API_BASE_URL", twilio.url()),
    ];
    let superuser_pool = PgPool::connect_with(superuser(&database)).await.unwrap();
    let server = Process::start(&data_dir.data(), &settings);
    let jo = Admin::signs_up(&server).await;
    jo.connects(&twilio).await;
    for n in 0..30 {
        twilio.fails(Failure::Slow(Duration::from_secs(4)));
        let draft =
            json!({"to": format!("+1415555{:04}", 100 + n), "content": format!("Reminder {n}")});
        jo.post("/messages", &draft).await.unwrap();
    }
    until("some texts are in flight", async || {
        !twilio.messages().is_empty()
    })
    .await;

    // On another thread: the emulator answers on this one meanwhile.
    let (code, took) = tokio::task::spawn_blocking(|| server.terminate())
        .await
        .unwrap();

    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(20), "{took:?}");
    let left: Vec<(String, i64)> =
        sqlx::query_as("select status, count(*) from messages group by status order by status")
            .fetch_all(&superuser_pool)
            .await
            .unwrap();
    let known = left
        .iter()
        .all(|(status, _)| ["queued", "sent"].contains(&status.as_str()));
    assert!(
        known && left.len() == 2,
        "texts in flight get their outcome, others stay queued: {left:?}"
    );
}

#[tokio::test]
async fn graceful_stop_closes_sockets_with_1012() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let mut live = harbor.admin.join_workspace(&harbor).await;
    drop(harbor);
    let (code, ()) = futures_util::future::join(live.wait_for_close(), hub.server.stop()).await;
    assert_eq!(code, 1012);
}

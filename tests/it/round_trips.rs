//! How often a request waits for the database. Each wait costs the distance to it, so a page has a limit.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::hub::{FRONT_DESK, Hub, MAYA, PASSWORD, Person, TOKEN, serve};

/// A proxy before the database that counts how often a client sends after it received: its round trips.
struct Proxy {
    _directory: tempfile::TempDir,
    options: PgConnectOptions,
    count: Arc<AtomicU64>,
}

impl Proxy {
    fn start(database: &PgConnectOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = format!(".s.PGSQL.{}", database.get_port());
        let target = database
            .get_socket()
            .expect("tests use a Unix socket")
            .join(&file);
        let listener = UnixListener::bind(directory.path().join(&file)).unwrap();
        let count = Arc::new(AtomicU64::new(0));
        tokio::spawn(accept(listener, target, Arc::clone(&count)));
        Self {
            options: database.clone().socket(directory.path()),
            _directory: directory,
            count,
        }
    }

    /// The round trips of one request, with those after its response, such as the rollback of a transaction that only
    /// read. The least of some tries: the first ones prepare their statements, and workers ask now and then.
    async fn count(&self, who: &Person, request: impl Fn() -> RequestBuilder) -> u64 {
        let mut least = u64::MAX;
        for _ in 0..12 {
            let before = self.count.load(Ordering::Relaxed);
            let answer = who.ask(request()).await;
            assert!(answer.status < 400, "{}: {}", answer.status, answer.body);
            // Shorter than the time after which a connection is tested before its use.
            tokio::time::sleep(Duration::from_millis(30)).await;
            least = least.min(self.count.load(Ordering::Relaxed) - before);
        }
        least
    }
}

async fn accept(listener: UnixListener, target: PathBuf, count: Arc<AtomicU64>) {
    while let Ok((client, _)) = listener.accept().await {
        let server = UnixStream::connect(&target).await.unwrap();
        tokio::spawn(forward(client, server, Arc::clone(&count)));
    }
}

async fn forward(mut client: UnixStream, mut server: UnixStream, count: Arc<AtomicU64>) {
    let (mut sent, mut received) = (vec![0; 65536], vec![0; 65536]);
    let mut is_answered = true;
    loop {
        tokio::select! {
            Ok(length @ 1..) = client.read(&mut sent) => {
                if std::mem::take(&mut is_answered) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                server.write_all(&sent[..length]).await.unwrap();
            }
            Ok(length @ 1..) = server.read(&mut received) => {
                is_answered = true;
                if client.write_all(&received[..length]).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}

#[tokio::test]
async fn a_page_waits_for_the_database_a_bounded_number_of_times() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Good morning").await;
    harbor.reply(&harbor.admin, &conversation, "Hello").await;

    // A server of its own: the requests above have prepared nothing on its connections.
    let proxy = Proxy::start(&hub.database);
    let server = serve(
        &proxy.options,
        &hub.twilio,
        &[("DATABASE_CONNECTIONS", "2")],
    )
    .await;
    let base = format!("http://{}", server.address);
    let admin = &harbor.admin.at(&base);
    let anonymous = Person::anonymous(&hub).at(&base);

    let id = conversation["id"].as_str().unwrap();
    let list = format!("/w/{}/inbox", harbor.slug);
    let thread = format!("{list}/{id}");
    let cookie = format!("messagehub_access={}", admin.token.as_ref().unwrap());
    let page = |method, path: &str| admin.request(method, path).header("cookie", &cookie);

    let counts = [
        (
            "list",
            proxy.count(admin, || page(Method::GET, &list)).await,
        ),
        (
            "thread",
            proxy.count(admin, || page(Method::GET, &thread)).await,
        ),
        (
            "thread frame",
            proxy
                .count(admin, || {
                    page(Method::GET, &thread).header("turbo-frame", "conversation")
                })
                .await,
        ),
        (
            "list in the API",
            proxy
                .count(admin, || {
                    admin.request(Method::GET, &harbor.path("/conversations"))
                })
                .await,
        ),
        (
            "send",
            proxy
                .count(admin, || {
                    let draft = json!({"conversation_id": id, "content": "Hello again"});
                    let request = admin.request(Method::POST, &harbor.path("/messages"));
                    request.json(&draft)
                })
                .await,
        ),
        (
            "sign-in",
            proxy
                .count(&anonymous, || {
                    let login = json!({"email": admin.email, "password": PASSWORD});
                    anonymous
                        .request(Method::POST, "/api/auth/login")
                        .json(&login)
                })
                .await,
        ),
    ];
    // Three of each come after the response: both connections are tested when they return to their pools, and the
    // transaction of a page is rolled back.
    let limits = [7, 10, 9, 5, 9, 17];
    let is_within = counts
        .iter()
        .zip(limits)
        .all(|((_, count), limit)| *count <= limit);
    assert!(is_within, "{counts:?}, allowed: {limits:?}");
}

#[tokio::test]
async fn text_is_shown_on_sockets_without_being_read_back() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let proxy = Proxy::start(&hub.database);
    let server = serve(
        &proxy.options,
        &hub.twilio,
        &[("DATABASE_CONNECTIONS", "2")],
    )
    .await;
    let base = format!("http://{}", server.address);
    let mut live = harbor.admin.at(&base).join_workspace(&harbor).await;
    let url = format!("{base}/twilio/webhook");
    let mut least = u64::MAX;
    for nth in 0..12 {
        let before = proxy.count.load(Ordering::Relaxed);
        let text = hub
            .twilio
            .inbound_text(MAYA, FRONT_DESK, &format!("Text {nth}"));
        let answer = text.at(&url).signed_with(TOKEN).send().await;
        assert_eq!(answer.status(), 200);
        live.wait_for("new_message").await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        least = least.min(proxy.count.load(Ordering::Relaxed) - before);
    }
    // The second one tests the connection when it returns to its pool.
    assert!(least <= 2, "{least} round trips");
}

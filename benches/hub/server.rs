//! The release build as a separate process, with one workspace, a Twilio number and ten thousand contacts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::RngExt;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::it::emulator::{Customer, Emulator};
use crate::load::Wire;
use crate::table;

/// Contacts that have written before. Every fiftieth text comes from a new sender.
const PEOPLE: i64 = 10_000;
const OUR_NUMBER: &str = "+14155550123";
pub const JO: &str = "jo@harbor.example";
pub const PASSWORD: &str = "a long password for Jo";
const TEXT: &str = "Could I move my cleaning to Thursday afternoon instead? Thanks!";

/// A running server. Its data are deleted on drop.
pub struct Server {
    child: Child,
    home: Home,
    address: SocketAddr,
    twilio: Emulator,
    pub took: Duration,
}

struct Home(TempDir);

impl Home {
    /// On the build's disk, where fsync has its real cost. PostgreSQL's account must be able to reach it.
    fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let mut builder = tempfile::Builder::new();
        builder.permissions(std::fs::Permissions::from_mode(0o711));
        Self(builder.tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    /// The cluster; elsewhere, behind a symlink, if PostgreSQL's account cannot reach the directory.
    fn cluster(&self) -> PathBuf {
        self.0.path().join("postgres").canonicalize().unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.cluster());
    }
}

impl Server {
    pub async fn start() -> Self {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        drop(socket);
        Self::start_in(Home::new(), address, Emulator::start().await).await
    }

    async fn start_in(home: Home, address: SocketAddr, twilio: Emulator) -> Self {
        let begun = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_messagehub"))
            .arg("serve")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("BIND_ADDR", address.to_string())
            .env("DATA_DIR", home.0.path())
            .env("SIGNUPS", "open")
            // All sockets belong to one member, at one address.
            .env("SOCKETS_PER_MEMBER", "20000")
            .env("SOCKETS_PER_ADDRESS", "20000")
            .env("TWILIO_API_BASE_URL", twilio.url())
            .env("RUST_LOG", "warn")
            .current_dir(home.0.path())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        while !is_ready(address).await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Self {
            child,
            home,
            address,
            twilio,
            took: begun.elapsed(),
        }
    }

    pub async fn restart(mut self) -> Self {
        self.end().await;
        Self::start_in(self.home, self.address, self.twilio).await
    }

    pub async fn stop(mut self) {
        self.end().await;
    }

    async fn end(&mut self) {
        kill(
            Pid::from_raw(self.pid().try_into().unwrap()),
            Signal::SIGTERM,
        )
        .unwrap();
        assert!(self.child.wait().await.unwrap().success(), "a clean stop");
    }

    fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub fn resident(&self) -> u64 {
        table::bytes(&format!("/proc/{}/status", self.pid()), "VmRSS")
    }

    pub fn memory(&self) -> String {
        let most = table::bytes(&format!("/proc/{}/status", self.pid()), "VmHWM");
        let (now, most) = (table::megabytes(self.resident()), table::megabytes(most));
        format!("{now}, at most {most}")
    }

    pub async fn open_seeded(&self) -> Hub {
        let mut hub = self.open(&[]).await;
        let sandbox =
            json!({"provider": "sandbox", "credentials": {"phone_number": "+14155550199"}});
        let integrations = format!("/api/workspaces/{}/integrations", hub.workspace);
        let sandbox = hub.api.post(&integrations, &hub.token, &sandbox).await;
        hub.seed(id(&sandbox["numbers"][0]["id"])).await;
        hub
    }

    /// Signs up, and connects Twilio with our number and `others`.
    pub async fn open(&self, others: &[String]) -> Hub {
        let (account, token) = (
            "ACb0000000000000000000000000000000",
            "0123456789abcdef0123456789abcdef",
        );
        let customer = self.twilio.account(account, token);
        customer.number(OUR_NUMBER);
        for other in others {
            customer.number(other);
        }
        let api = Api {
            http: reqwest::Client::new(),
            origin: format!("http://{}", self.address),
        };
        let session = api
            .post(
                "/api/auth/signup",
                "",
                &json!({
                    "workspace_name": "Harbor Dental", "name": "Jo",
                    "email": JO, "password": PASSWORD,
                }),
            )
            .await;
        let token_of_jo = text(&session["access_token"]);
        let workspace = id(&session["workspaces"][0]["id"]);
        let integrations = format!("/api/workspaces/{workspace}/integrations");
        let twilio = json!({"provider": "twilio", "credentials": {"account_sid": account, "auth_token": token}});
        let twilio = api.post(&integrations, &token_of_jo, &twilio).await;
        let mut numbers = twilio["numbers"].as_array().unwrap().iter();
        let ours = numbers.find(|number| number["phone_number"] == OUR_NUMBER);
        let cluster = self.home.cluster();
        let password =
            std::fs::read_to_string(self.home.0.path().join("postgres.password")).unwrap();
        let superuser = PgConnectOptions::new_without_pgpass()
            .socket(&cluster)
            .username("postgres")
            .password(&password)
            .database("messagehub");
        let options = superuser
            .clone()
            .username("messagehub")
            .options([("role", "messagehub_system")]);
        Hub {
            address: self.address,
            workspace,
            slug: text(&session["workspaces"][0]["slug"]),
            number: id(&ours.unwrap()["id"]),
            integration: id(&twilio["integration"]["id"]),
            token: token_of_jo,
            twilio: self.twilio.clone(),
            customer,
            api,
            database: PgPoolOptions::new()
                .max_connections(1)
                .connect_with(options)
                .await
                .unwrap(),
            superuser,
            cluster,
            password,
            conversations: Vec::new(),
        }
    }
}

async fn is_ready(address: SocketAddr) -> bool {
    if tokio::net::TcpStream::connect(address).await.is_err() {
        return false;
    }
    let mut wire = Wire::connect(address).await;
    wire.ask(b"GET /readyz HTTP/1.1\r\nHost: bench\r\n\r\n")
        .await
        == 200
}

pub struct Api {
    http: reqwest::Client,
    origin: String,
}

impl Api {
    pub async fn get(&self, path: &str, token: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.origin));
        json_answer(path, request.bearer_auth(token)).await
    }

    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.origin)).json(body);
        json_answer(path, request.bearer_auth(token)).await
    }
}

async fn json_answer(path: &str, request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let body = answer.text().await.unwrap();
    assert!(status.is_success(), "{path}: {status} {body}");
    serde_json::from_str(&body).unwrap_or_default()
}

fn id(value: &Value) -> Uuid {
    text(value).parse().unwrap()
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

pub struct Hub {
    pub address: SocketAddr,
    pub workspace: Uuid,
    pub slug: String,
    pub token: String,
    pub number: Uuid,
    pub api: Api,
    /// Bypasses roles and policies.
    pub superuser: PgConnectOptions,
    integration: Uuid,
    twilio: Emulator,
    customer: Customer,
    database: PgPool,
    cluster: PathBuf,
    password: String,
    /// Conversations on the sandbox's number, for replies.
    conversations: Vec<Uuid>,
}

pub struct Texts {
    sids: Vec<String>,
    requests: Arc<Vec<Vec<u8>>>,
}

impl Texts {
    pub fn requests(&self) -> &Arc<Vec<Vec<u8>>> {
        &self.requests
    }
}

impl Hub {
    async fn seed(&mut self, sandbox: Uuid) {
        sqlx::query(
            "insert into contacts (workspace_id, id, phone_number)
             select $1, gen_random_uuid(), '+' || (15000000000 + person) from generate_series(1, $2) person",
        )
        .bind(self.workspace)
        .bind(PEOPLE)
        .execute(&self.database)
        .await
        .unwrap();
        self.begin(self.number, PEOPLE).await;
        self.conversations = self.begin(sandbox, 1_000).await;
    }

    /// Creates the conversations of all known contacts with our number.
    pub async fn start_conversations(&self) {
        self.begin(self.number, PEOPLE).await;
    }

    async fn begin(&self, number: Uuid, most: i64) -> Vec<Uuid> {
        sqlx::query_scalar(
            "insert into conversations (workspace_id, id, contact_id, number_id)
             select $1, gen_random_uuid(), id, $2 from contacts
              where workspace_id = $1 and phone_number not like '%000_' -- the sandbox fails some of these
              order by phone_number
              limit $3
                 on conflict do nothing
             returning id",
        )
        .bind(self.workspace)
        .bind(number)
        .bind(most)
        .fetch_all(&self.database)
        .await
        .unwrap()
    }

    pub async fn postgres_version(&self) -> String {
        let version: String = sqlx::query_scalar(
            "select 'PostgreSQL ' || current_setting('server_version') || ', fsync ' || current_setting('fsync')
                 || ', synchronous_commit ' || current_setting('synchronous_commit')",
        )
        .fetch_one(&self.database)
        .await
        .unwrap();
        version
    }

    /// Environment of PostgreSQL's programs, with the rights that the server has during ingest.
    pub fn login(&self) -> [(&'static str, String); 5] {
        [
            ("PGHOST", self.cluster.display().to_string()),
            ("PGUSER", "messagehub".into()),
            ("PGPASSWORD", self.password.clone()),
            ("PGDATABASE", "messagehub".into()),
            ("PGOPTIONS", "-c role=messagehub_system".into()),
        ]
    }

    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("workspace", self.workspace.to_string()),
            ("integration", self.integration.to_string()),
            ("number", self.number.to_string()),
            ("people", PEOPLE.to_string()),
        ]
    }

    pub fn texts(&self, count: usize) -> Texts {
        let url = self.customer.webhook_of(OUR_NUMBER);
        let mut rng = rand::rng();
        let mut sids = Vec::with_capacity(count);
        let requests = (0..count).map(|_| {
            let person = match rng.random_range(0..50) {
                0 => rng.random_range(10_000_000..1_000_000_000),
                _ => rng.random_range(1..=PEOPLE),
            };
            let sid = format!("SM{:032x}", rng.random::<u128>());
            let from = format!("+{}", 15_000_000_000 + person);
            let text = self
                .twilio
                .inbound_text(&from, OUR_NUMBER, TEXT)
                .sid(&sid)
                .at(&url);
            sids.push(sid);
            text.request()
        });
        let requests = Arc::new(requests.collect());
        Texts { sids, requests }
    }

    /// Checks in the database that the first `answered` texts are stored exactly once.
    pub async fn stored_exactly_once(&self, texts: &Texts, answered: usize) {
        let wrong: i64 = sqlx::query_scalar(
            "select count(*) from unnest($1::text[]) as t (sid)
              where 1 <> (select count(*) from messages m where m.workspace_id = $2 and m.integration_id = $3 and m.provider_sid = t.sid)",
        )
        .bind(&texts.sids[..answered])
        .bind(self.workspace)
        .bind(self.integration)
        .fetch_one(&self.database)
        .await
        .unwrap();
        assert_eq!(wrong, 0, "texts that were not stored exactly once");
        let astray: i64 = sqlx::query_scalar(
            "select (select count(*) from messages where workspace_id = $1 and number_id = $2)
                  - (select sum(unread_count) from conversations where workspace_id = $1 and number_id = $2)",
        )
        .bind(self.workspace)
        .bind(self.number)
        .fetch_one(&self.database)
        .await
        .unwrap();
        assert_eq!(astray, 0, "texts that raised no unread count");
    }

    /// Inserts sent messages; returns their delivery reports.
    pub async fn reports(&self, count: usize) -> Texts {
        let sids: Vec<_> = (0..count)
            .map(|_| format!("SM{:032x}", rand::random::<u128>()))
            .collect();
        sqlx::query(
            "insert into messages (workspace_id, id, conversation_id, contact_id, number_id, integration_id, direction, content,
                                   status, provider, provider_sid)
             select v.workspace_id, new_id(), v.id, v.contact_id, v.number_id, $3, 'outbound', $4, 'sent', 'twilio', t.sid
               from unnest($5::text[]) with ordinality as t (sid, place)
               join (select c.*, row_number() over () as place from conversations c
                      where workspace_id = $1 and number_id = $2 limit 1000) v on v.place = 1 + t.place % 1000",
        )
        .bind(self.workspace)
        .bind(self.number)
        .bind(self.integration)
        .bind(TEXT)
        .bind(&sids)
        .execute(&self.database)
        .await
        .unwrap();
        let url = self.customer.webhook_of(OUR_NUMBER);
        let url = url.replace("/inbound", "/status");
        let requests = sids.iter().map(|sid| {
            let report = self
                .twilio
                .inbound_text(OUR_NUMBER, OUR_NUMBER, "")
                .sid(sid);
            let report = report.without("Body").at(&url);
            report.with("MessageStatus", "delivered").request()
        });
        let requests = Arc::new(requests.collect());
        Texts { sids, requests }
    }

    pub async fn delivered(&self, texts: &Texts) {
        let others: i64 = sqlx::query_scalar(
            "select count(*) from messages where workspace_id = $1 and integration_id = $2 and provider_sid = any ($3) and status <> 'delivered'",
        )
        .bind(self.workspace)
        .bind(self.integration)
        .bind(&texts.sids)
        .fetch_one(&self.database)
        .await
        .unwrap();
        assert_eq!(others, 0, "reports that were answered but not stored");
    }

    pub fn list_requests(&self, count: usize) -> Arc<Vec<Vec<u8>>> {
        let (workspace, token, host) = (self.workspace, &self.token, self.address);
        let request = format!(
            "GET /api/workspaces/{workspace}/conversations HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        Arc::new(vec![request.into_bytes(); count])
    }

    pub fn replies(&self, count: usize) -> Arc<Vec<Vec<u8>>> {
        let (workspace, token, host) = (self.workspace, &self.token, self.address);
        let conversations = self.conversations.iter().cycle().take(count);
        let requests = conversations.map(|conversation| {
            let content = "Thursday at 3:30 is yours. See you then!";
            let body = json!({"conversation_id": conversation, "content": content}).to_string();
            format!(
                "POST /api/workspaces/{workspace}/messages HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        });
        Arc::new(requests.collect())
    }

    pub async fn wait_for_outbox(&self) -> Duration {
        let begun = Instant::now();
        let waiting = "select count(*) from (select from messages where status in ('queued', 'sending') limit 1) t";
        while sqlx::query_scalar::<_, i64>(waiting)
            .fetch_one(&self.database)
            .await
            .unwrap()
            > 0
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        begun.elapsed()
    }

    pub async fn sockets(&self) -> usize {
        let metrics = format!("http://{}/metrics", self.address);
        let text = reqwest::get(metrics).await.unwrap().text().await.unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("messagehub_sockets "));
        line.map_or(0, |number| number.parse::<f64>().unwrap() as usize)
    }
}

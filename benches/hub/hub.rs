//! MessageHub under measurement: the release build as a process with its default settings, and its workspaces.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::cluster::{Cluster, unused_address};
use crate::it::emulator::Emulator;
use crate::load::{self, Load, Span};
use crate::usage::{self, Processes};
use crate::wire::Wire;
use crate::workload::{Provider, Senders, provider_accounts};

pub const PASSWORD: &str = "a long password for Jo";

/// What a server is started with.
#[derive(Clone)]
pub struct Settings {
    pub address: SocketAddr,
    pub database_url: String,
    pub provider_url: String,
    pub data_dir: std::path::PathBuf,
}

pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// From the start of the process to `/readyz`.
    pub took: Duration,
}

impl Server {
    pub async fn start(settings: &Settings) -> Self {
        let begun = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_messagehub"))
            .arg("serve")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("BIND_ADDR", settings.address.to_string())
            .env("DATABASE_URL", &settings.database_url)
            .env("DATA_DIR", &settings.data_dir)
            .env("TWILIO_API_BASE_URL", &settings.provider_url)
            .env("SIGNUPS", "open")
            // All sockets belong to one member, at one address.
            .env("SOCKETS_PER_MEMBER", "20000")
            .env("SOCKETS_PER_ADDRESS", "20000")
            .env("RUST_LOG", "warn")
            .current_dir(&settings.data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        while !is_ready(settings.address).await {
            assert!(begun.elapsed() < Duration::from_secs(60), "no start");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Self {
            child,
            address: settings.address,
            took: begun.elapsed(),
        }
    }

    pub async fn stop(mut self) {
        kill(
            Pid::from_raw(self.pid().try_into().unwrap()),
            Signal::SIGTERM,
        )
        .unwrap();
        assert!(self.child.wait().await.unwrap().success(), "a clean stop");
    }

    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub fn resident(&self) -> u64 {
        usage::resident(self.pid())
    }
}

async fn is_ready(address: SocketAddr) -> bool {
    if tokio::net::TcpStream::connect(address).await.is_err() {
        return false;
    }
    let request = b"GET /readyz HTTP/1.1\r\nHost: bench\r\n\r\n";
    Wire::connect(address).await.ask(request).await == 200
}

pub struct Workspace {
    pub id: String,
    pub slug: String,
    pub email: String,
    /// Ids, in the order of the workload's numbers.
    pub numbers: Vec<String>,
}

pub struct Hub {
    pub server: Server,
    pub settings: Settings,
    pub emulator: Emulator,
    pub workspaces: Vec<Workspace>,
    pub provider: Provider,
    /// Bypasses roles and policies.
    pub database: PgConnection,
    database_name: &'static str,
    database_pid: u32,
    http: reqwest::Client,
    _data_dir: TempDir,
}

impl Hub {
    /// Starts a server on a new database, and connects five numbers in each workspace.
    pub async fn open(
        cluster: &Cluster,
        database_name: &'static str,
        workspaces: usize,
        senders: Senders,
    ) -> Self {
        cluster.create_database(database_name).await;
        let data_dir = TempDir::new().unwrap();
        let emulator = Emulator::start().await;
        let settings = Settings {
            address: unused_address(),
            database_url: cluster.url(database_name, cluster.address),
            provider_url: emulator.url().to_owned(),
            data_dir: data_dir.path().to_owned(),
        };
        let server = Server::start(&settings).await;
        let mut hub = Self {
            provider: Provider::new(&format!("http://{}", settings.address), senders),
            server,
            settings,
            emulator,
            workspaces: Vec::new(),
            database: cluster.connect(database_name).await,
            database_name,
            database_pid: cluster.pid(),
            http: reqwest::Client::new(),
            _data_dir: data_dir,
        };
        for nth in 0..workspaces {
            let workspace = hub.create_workspace(nth).await;
            hub.workspaces.push(workspace);
        }
        hub
    }

    async fn create_workspace(&self, nth: usize) -> Workspace {
        let account = provider_accounts(nth + 1).pop().unwrap();
        let customer = self.emulator.account(&account.sid, &account.token);
        for number in &account.numbers {
            customer.number(number);
        }
        let email = format!("jo{nth}@bench.example");
        let form = json!({"workspace_name": format!("Workspace {nth}"), "name": "Jo", "email": email, "password": PASSWORD});
        let session = self.post("/api/auth/signup", "", &form).await;
        let id = text(&session["workspaces"][0]["id"]);
        let credentials = json!({"account_sid": account.sid, "auth_token": account.token});
        let form = json!({"provider": "twilio", "credentials": credentials});
        let path = format!("/api/workspaces/{id}/integrations");
        let connected = self
            .post(&path, &text(&session["access_token"]), &form)
            .await;
        let id_of = |number: &String| {
            let mut numbers = connected["numbers"].as_array().unwrap().iter();
            let found = numbers.find(|found| found["phone_number"] == **number);
            text(&found.unwrap()["id"])
        };
        Workspace {
            slug: text(&session["workspaces"][0]["slug"]),
            numbers: account.numbers.iter().map(id_of).collect(),
            id,
            email,
        }
    }

    /// A new access token, which lasts for a quarter of an hour, of the admin of a workspace.
    pub async fn sign_in(&self, workspace: usize) -> String {
        self.sign_in_as(&self.workspaces[workspace].email).await
    }

    pub async fn sign_in_as(&self, email: &str) -> String {
        let form = json!({"email": email, "password": PASSWORD});
        let session = self.post("/api/auth/login", "", &form).await;
        text(&session["access_token"])
    }

    pub async fn restart(mut self) -> Self {
        self.server.stop().await;
        self.server = Server::start(&self.settings).await;
        self
    }

    /// Also drops the database: PostgreSQL would vacuum it while other parts are measured.
    pub async fn stop(self, cluster: &Cluster) {
        self.server.stop().await;
        cluster.drop_database(self.database_name).await;
    }

    pub fn processes(&self) -> Processes {
        Processes {
            server: Some(self.server.pid()),
            database: self.database_pid,
        }
    }

    /// One text of each known sender, so that no measurement begins with strangers only.
    pub async fn introduce_senders(&self) {
        let mut senders = 0..self.provider.senders.count();
        let next = || {
            let sender = self.provider.senders.nth(senders.next()?);
            Some(self.provider.text_of(&sender, ""))
        };
        let at_once = Span {
            warm_up: Duration::ZERO,
            measured: Duration::from_secs(600),
        };
        let address = self.server.address;
        let load = load::closed(address, 32, at_once, 200, self.processes(), next).await;
        assert_eq!(load.errors, 0, "each known sender was received");
    }

    /// Texts with so many in flight. Afterwards each acknowledged one is in the database, once.
    pub async fn receive(&mut self, in_flight: usize, span: Span) -> Load {
        let before = self.inbound_texts().await;
        let next = || Some(self.provider.text());
        let address = self.server.address;
        let load = load::closed(address, in_flight, span, 200, self.processes(), next).await;
        self.check_stored(before, &load).await;
        load
    }

    /// Panics unless the database has each text that was acknowledged since it had `before`.
    pub async fn check_stored(&mut self, before: i64, load: &Load) {
        let stored = usize::try_from(self.inbound_texts().await - before).unwrap();
        // One that was answered with an error may be stored.
        let sent = load.acknowledged + load.errors;
        assert!(
            (load.acknowledged..=sent).contains(&stored),
            "{} texts were acknowledged, {stored} are stored",
            load.acknowledged
        );
    }

    pub async fn inbound_texts(&mut self) -> i64 {
        self.count("select count(*) from messages where direction = 'inbound'")
            .await
    }

    pub async fn execute(&mut self, sql: &'static str) {
        sqlx::query(sql).execute(&mut self.database).await.unwrap();
    }

    pub async fn count(&mut self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&mut self.database)
            .await
            .unwrap()
    }

    pub async fn get(&self, path: &str, token: &str) -> Value {
        self.send(self.http.get(self.url(path)), token).await
    }

    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Value {
        self.send(self.http.post(self.url(path)).json(body), token)
            .await
    }

    pub async fn patch(&self, path: &str, token: &str, body: &Value) -> Value {
        self.send(self.http.patch(self.url(path)).json(body), token)
            .await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address)
    }

    async fn send(&self, request: reqwest::RequestBuilder, token: &str) -> Value {
        let response = request.bearer_auth(token).send().await.unwrap();
        let (status, url) = (response.status(), response.url().clone());
        let body = response.text().await.unwrap();
        assert!(status.is_success(), "{url}: {status} {body}");
        serde_json::from_str(&body).unwrap_or_default()
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A `GET` of the API.
pub fn api_request(address: SocketAddr, path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n")
        .into_bytes()
}

/// A `GET` of a page, as a browser sends it; with a frame's name, as a click in the page does.
pub fn page_request(address: SocketAddr, path: &str, token: &str, frame: Option<&str>) -> Vec<u8> {
    let frame = frame.map_or(String::new(), |frame| format!("Turbo-Frame: {frame}\r\n"));
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/html\r\nCookie: messagehub_access={token}\r\n{frame}\r\n"
    )
    .into_bytes()
}

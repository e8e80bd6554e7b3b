//! The test harness: a server on its own database, cloned from a migrated template in one PostgreSQL per run. Helpers
//! use the public API.

mod clients;
mod database;
mod mail_server;
mod waiting;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use messagehub::app::App;
use messagehub::config::Config;
use messagehub::domain::accounts;
use messagehub::domain::members::Role;
use messagehub::mail::Mailer;
use messagehub::server::Server;
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPool, Postgres};
use tokio::net::TcpListener;

use crate::emulator::Emulator;
use crate::emulator::telnyx::Telnyx;
pub use clients::{Answer, Person, SocketClient};
pub use database::{bare_database, empty_database};
pub use mail_server::MailServer;
pub use waiting::{index_messages, until, until_some, until_within};

pub const PASSWORD: &str = "correct horse battery";
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// Shared by all servers, so that several can use one database.
pub const KEYS: [(&str, &str); 2] = [
    ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
    (
        "MASTER_KEYS",
        "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
    ),
];

pub struct Hub {
    pub twilio: Emulator,
    pub telnyx: Telnyx,
    pub mail_server: MailServer,
    pub server: Server,
    /// Superuser connection: bypasses roles and row-level security.
    pub superuser_pool: PgPool,
    pub database: PgConnectOptions,
    /// Media directory, unless a test sets `MEDIA_URL`.
    pub media: tempfile::TempDir,
}

impl Hub {
    pub async fn start() -> Self {
        Self::start_on(empty_database().await).await
    }

    pub async fn start_on(database: PgConnectOptions) -> Self {
        Self::start_with(database, &[]).await
    }

    pub async fn start_with(database: PgConnectOptions, more: &[(&str, &str)]) -> Self {
        let twilio = Emulator::start().await;
        let mail_server = MailServer::start().await;
        let telnyx = Telnyx::start().await;
        let media = tempfile::tempdir().unwrap();
        let directory = format!("file://{}", media.path().display());
        let mut settings = vec![
            ("SMTP_URL", mail_server.url()),
            ("TELNYX_API_BASE_URL", telnyx.url()),
            ("MEDIA_URL", &directory),
        ];
        settings.extend(more);
        let server = serve(&database, &twilio, &settings).await;
        Self {
            superuser_pool: PgPool::connect_with(superuser(&database)).await.unwrap(),
            twilio,
            telnyx,
            mail_server,
            server,
            database,
            media,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address)
    }

    /// Signs up: creates a workspace with its first admin.
    pub async fn workspace(&self, name: &str) -> Workspace<'_> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let answer = Person::anonymous(self)
            .post(
                "/api/auth/signup",
                json!({"workspace_name": name, "name": "Jo Park", "email": format!("jo{count}@harbor.test"), "password": PASSWORD}),
            )
            .await;
        let session = answer.expect_status(201);
        let workspace = &session["workspaces"][0];
        Workspace {
            hub: self,
            id: workspace["id"].as_str().unwrap().into(),
            slug: workspace["slug"].as_str().unwrap().into(),
            admin: Person::signed_in(self, &session),
            account: format!("AC{count:032x}"),
        }
    }

    /// Fetches all due media; returns how many files were stored.
    pub async fn fetch_media(&self) -> usize {
        self.server.media_fetcher.run_once().await.unwrap()
    }

    /// Processes all pending contact import rows.
    pub async fn run_imports(&self) {
        let app = &self.server.app;
        messagehub::workers::importer::run_once(app).await.unwrap();
    }

    /// Sends all due texts; returns how many.
    pub async fn run_sender(&self) -> usize {
        self.server.sender.run_once().await.unwrap()
    }

    /// A transaction with the database rights of `person` in `workspace`, to test row-level security.
    pub async fn with_rights_of(
        &self,
        person: &Person,
        workspace: &Workspace<'_>,
    ) -> sqlx::Transaction<'static, Postgres> {
        let mut tx = self.superuser_pool.begin().await.unwrap();
        sqlx::query("select set_config('role', 'messagehub_people', true), set_config('app.workspace_id', $1, true), set_config('app.user_id', $2, true)")
            .bind(&workspace.id)
            .bind(&person.id)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx
    }

    /// Marks the address as verified, as the mailed link does.
    pub async fn verify_email(&self, email: &str) {
        sqlx::query("update users set email_verified_at = now() where email = $1")
            .bind(email)
            .execute(&self.superuser_pool)
            .await
            .unwrap();
    }

    /// Executes SQL as superuser, to move time forward or to cause faults.
    pub async fn execute_sql(&self, sql: &'static str) {
        sqlx::query(sql)
            .execute(&self.superuser_pool)
            .await
            .unwrap();
    }

    /// Runs a query as superuser that returns one number.
    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&self.superuser_pool)
            .await
            .unwrap()
    }
}

/// Starts a server of this build in this process, with `settings` over the test defaults.
pub async fn serve(
    database: &PgConnectOptions,
    twilio: &Emulator,
    settings: &[(&str, &str)],
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut all: HashMap<String, String> = [
        ("BASE_URL", format!("http://{address}")),
        ("SIGNUPS", "open".into()),
        ("DATABASE_CONNECTIONS", "6".into()),
        ("TWILIO_API_BASE_URL", twilio.url().into()),
        (
            "DATA_DIR",
            std::env::temp_dir()
                .join("messagehub-tests")
                .display()
                .to_string(),
        ),
    ]
    .into_iter()
    .chain(KEYS.map(|(name, value)| (name, value.into())))
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    all.extend(
        settings
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into())),
    );
    let config = Config::read(all).unwrap();
    let app = App::open(config, database.clone()).await.unwrap();
    let mail = Mailer::with_retry_delays(
        app.config.mail_from.clone(),
        app.config.smtp.clone(),
        [Duration::from_millis(50); 3],
    );
    Server::start(app.with(|handles| handles.mail = mail), listener).unwrap()
}

pub fn superuser(database: &PgConnectOptions) -> PgConnectOptions {
    database.clone().username("postgres")
}

pub struct Workspace<'a> {
    pub hub: &'a Hub,
    pub id: String,
    pub slug: String,
    pub admin: Person,
    /// Account SID at Twilio.
    pub account: String,
}

/// A PNG of one red pixel.
pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82";

pub const FRONT_DESK: &str = "+16285550100";
pub const MAYA: &str = "+14155550192";

impl Workspace<'_> {
    pub fn path(&self, path: &str) -> String {
        format!("/api/workspaces/{}{path}", self.id)
    }

    pub async fn connect_twilio(&self, number: &str) -> Value {
        self.hub.twilio.account(&self.account, TOKEN).number(number);
        self.connect_with(TOKEN).await.expect_status(201)
    }

    pub async fn connect_with(&self, token: &str) -> Answer {
        let credentials = json!({"account_sid": self.account, "auth_token": token});
        self.admin
            .post(
                &self.path("/integrations"),
                json!({"provider": "twilio", "credentials": credentials}),
            )
            .await
    }

    /// Connects Twilio with the front desk's number.
    pub async fn with_front_desk(self) -> Self {
        self.connect_twilio(FRONT_DESK).await;
        self
    }

    /// Creates an agent without assigned numbers, with 1,000 credits.
    pub async fn agent(&self, name: &str) -> Person {
        let email = format!("{}.{}@harbor.test", name.to_lowercase(), &self.id[24..]);
        let password = SecretString::from(PASSWORD);
        accounts::create(
            &self.hub.server.app.db,
            &email,
            name,
            password,
            &self.slug,
            Role::Agent,
        )
        .await
        .unwrap();
        let agent = Person::sign_in(self.hub, &email).await;
        self.set_credits(&agent, 1000).await;
        agent
    }

    /// Sets an agent's balance.
    pub async fn set_credits(&self, agent: &Person, balance: i64) {
        let path = self.path(&format!("/credits/{}", agent.id));
        let change = json!({"balance": balance, "reason": "November"});
        let account = self.admin.patch(&path, change).await.expect_status(200);
        assert_eq!(account["balance"], balance);
    }

    /// Invites a user; returns the token of the link.
    pub async fn invite(&self, email: &str, role: &str) -> String {
        let form = json!({"email": email, "role": role});
        let answer = self
            .admin
            .post(&self.path("/members"), form)
            .await
            .expect_status(201);
        let url = answer["invitation"]["url"].as_str().unwrap();
        url.rsplit('/').next().unwrap().into()
    }

    pub async fn assign_number(&self, number: &str, agent: &Person) {
        let path = self.path(&format!(
            "/numbers/{}/members/{}",
            self.number(number).await,
            agent.id
        ));
        self.admin.put(&path).await.expect_status(204);
    }

    pub async fn number(&self, phone: &str) -> String {
        let numbers = self
            .admin
            .get(&self.path("/numbers"))
            .await
            .expect_status(200);
        let mut numbers = numbers["data"].as_array().unwrap().iter();
        let number = numbers
            .find(|number| number["phone_number"] == phone)
            .expect("the workspace has this number");
        number["id"].as_str().unwrap().into()
    }

    /// Delivers an inbound text to the front desk; returns the conversation.
    pub async fn receive_text(&self, from: &str, body: &str) -> Value {
        let answer = self.hub.twilio.text(from, FRONT_DESK, body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        self.conversation_with(from).await
    }

    /// Delivers an inbound picture from Maya; returns the media id.
    pub async fn receive_picture(&self) -> String {
        let sid = format!("MM{}", &self.account[2..]);
        let url = self
            .hub
            .twilio
            .account(&self.account, TOKEN)
            .media(&sid, "image/png", PNG);
        let text = self.hub.twilio.inbound_text(MAYA, FRONT_DESK, "");
        let answer = text.sid(&sid).media(&[&url]).send().await;
        assert_eq!(answer.status(), 200);
        let maya = self.conversation_with(MAYA).await;
        let texts = self.thread(&maya).await;
        let media = &texts.last().unwrap()["media"][0];
        media["id"].as_str().unwrap().into()
    }

    pub async fn conversation_with(&self, phone: &str) -> Value {
        let conversations = self
            .admin
            .get(&self.path("/conversations?limit=200"))
            .await
            .expect_status(200);
        let mut conversations = conversations["data"].as_array().unwrap().iter();
        let found =
            conversations.find(|conversation| conversation["contact"]["phone_number"] == phone);
        found.expect("the conversation exists").clone()
    }

    /// The texts of a conversation, oldest first.
    pub async fn thread(&self, conversation: &Value) -> Vec<Value> {
        let id = conversation["id"].as_str().unwrap();
        let path = self.path(&format!("/conversations/{id}/messages?limit=200"));
        let mut texts = self.admin.get(&path).await.expect_status(200)["data"]
            .as_array()
            .unwrap()
            .clone();
        texts.reverse();
        texts
    }

    pub async fn tag(&self, name: &str) -> String {
        let draft = json!({"name": name});
        let tag = self
            .admin
            .post(&self.path("/tags"), draft)
            .await
            .expect_status(201);
        tag["id"].as_str().unwrap().into()
    }

    /// Uploads a table of contacts as a browser does; only previews it if `preview` is `true`.
    pub async fn upload_contacts(&self, table: impl AsRef<[u8]>, preview: &str) -> Answer {
        self.upload_contacts_with(table.as_ref(), &[("preview", preview)])
            .await
    }

    pub async fn upload_contacts_with(&self, table: &[u8], fields: &[(&str, &str)]) -> Answer {
        let mut body = Vec::new();
        for (name, value) in fields {
            let part = format!(
                "--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
            body.extend(part.into_bytes());
        }
        body.extend(
            b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"list.csv\"\r\nContent-Type: text/csv\r\n\r\n",
        );
        body.extend(table);
        body.extend(b"\r\n--edge--\r\n");
        let path = self.path("/contacts/import");
        let request = self.admin.request(reqwest::Method::POST, &path);
        let kind = "multipart/form-data; boundary=edge";
        self.admin
            .ask(request.header("content-type", kind).body(body))
            .await
    }

    pub async fn message(&self, id: &Value) -> Value {
        let path = self.path(&format!("/messages/{}", id.as_str().unwrap()));
        self.admin.get(&path).await.expect_status(200)
    }

    /// Adds a note as admin; returns the message.
    pub async fn add_note(&self, conversation: &Value, content: &str) -> Value {
        let id = conversation["id"].as_str().unwrap();
        let path = self.path(&format!("/conversations/{id}/notes"));
        let note = self.admin.post(&path, json!({"content": content})).await;
        note.expect_status(201)
    }

    pub async fn activity(&self, conversation: &Value) -> Vec<Value> {
        let id = conversation["id"].as_str().unwrap();
        let path = self.path(&format!("/conversations/{id}/events?limit=200"));
        let mut lines = self.admin.get(&path).await.expect_status(200)["data"]
            .as_array()
            .unwrap()
            .clone();
        lines.reverse();
        lines
    }

    /// Queues a reply; returns the message.
    pub async fn reply(&self, who: &Person, conversation: &Value, content: &str) -> Value {
        let draft = json!({"conversation_id": conversation["id"], "content": content});
        who.post(&self.path("/messages"), draft)
            .await
            .expect_status(202)["message"]
            .clone()
    }
}

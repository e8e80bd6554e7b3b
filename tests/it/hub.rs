//! A whole server on a database of its own, and the people who use it.
//!
//! One PostgreSQL serves the run; each hub gets a database cloned from a migrated template. Helpers speak the trade and go
//! through the public doors.

mod database;
mod people;
mod post;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use messagehub::Server;
use messagehub::config::Config;
use messagehub::domain::accounts;
use messagehub::domain::members::Role;
use messagehub::mail::Mailer;
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPool, Postgres};
use tokio::net::TcpListener;

use crate::emulator::Emulator;
use crate::emulator::telnyx::Telnyx;
pub use database::{bare_database, empty_database};
pub use people::{Answer, Frames, Person};
pub use post::Post;

pub const PASSWORD: &str = "correct horse battery";
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// Of every server, so that several can work on one database.
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
    pub post: Post,
    pub server: Server,
    /// The owner's own look into the database, past every role and policy: for what no door tells.
    pub raw: PgPool,
    pub database: PgConnectOptions,
    /// Where its pictures lie, unless a test says otherwise.
    pub media: tempfile::TempDir,
}

impl Hub {
    pub async fn start() -> Self {
        Self::start_on(empty_database().await).await
    }

    pub async fn start_on(database: PgConnectOptions) -> Self {
        Self::start_with(database, &[]).await
    }

    /// With `more` settings.
    pub async fn start_with(database: PgConnectOptions, more: &[(&str, &str)]) -> Self {
        let twilio = Emulator::start().await;
        let post = Post::start().await;
        let telnyx = Telnyx::start().await;
        let media = tempfile::tempdir().unwrap();
        let directory = format!("file://{}", media.path().display());
        let mut settings = vec![
            ("SMTP_URL", post.url()),
            ("TELNYX_API_BASE_URL", telnyx.url()),
            ("MEDIA_URL", &directory),
        ];
        settings.extend(more);
        let server = serve(&database, &twilio, &settings).await;
        Self {
            raw: PgPool::connect_with(superuser(&database)).await.unwrap(),
            twilio,
            telnyx,
            post,
            server,
            database,
            media,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address)
    }

    /// A workspace with its first admin, made by signing up.
    pub async fn workspace(&self, name: &str) -> Workspace<'_> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let answer = Person::nobody(self)
            .post(
                "/api/auth/signup",
                json!({"workspace_name": name, "name": "Jo Park", "email": format!("jo{count}@harbor.test"), "password": PASSWORD}),
            )
            .await;
        let session = answer.is(201);
        let workspace = &session["workspaces"][0];
        Workspace {
            hub: self,
            id: workspace["id"].as_str().unwrap().into(),
            slug: workspace["slug"].as_str().unwrap().into(),
            admin: Person::signed_in(self, &session),
            account: format!("AC{count:032x}"),
        }
    }

    /// Fetches whatever files are due, and says how many are kept now.
    pub async fn keeps(&self) -> usize {
        self.server.media_fetcher.run_once().await.unwrap()
    }

    /// Takes whatever rows of contacts wait to be taken.
    pub async fn imports(&self) {
        let app = &self.server.app;
        messagehub::workers::importer::run_once(app).await.unwrap();
    }

    /// Sends whatever is due, and says how many texts that were.
    pub async fn sends(&self) -> usize {
        self.server.sender.run_once().await
    }

    /// At the database itself with the rights that the server gives `person` in `workspace`: for what no door would ask.
    pub async fn with_rights_of(
        &self,
        person: &Person,
        workspace: &Workspace<'_>,
    ) -> sqlx::Transaction<'static, Postgres> {
        let mut tx = self.raw.begin().await.unwrap();
        sqlx::query("select set_config('role', 'messagehub_people', true), set_config('app.workspace_id', $1, true), set_config('app.user_id', $2, true)")
            .bind(&workspace.id)
            .bind(&person.id)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx
    }

    /// As if the link in the mail to this address had been followed.
    pub async fn has_verified(&self, email: &str) {
        sqlx::query("update users set email_verified_at = now() where email = $1")
            .bind(email)
            .execute(&self.raw)
            .await
            .unwrap();
    }

    /// Changes rows past every role and policy: time that passes, things that go wrong.
    pub async fn executes_sql(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.raw).await.unwrap();
    }

    /// A number out of the database, for what no door tells.
    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.raw).await.unwrap()
    }
}

/// A server of this very build in this process, with `settings` on top of those of every test.
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
    let mut app = messagehub::open(config, database.clone()).await.unwrap();
    app.mail = Mailer::with_pauses(
        app.config.mail_from.clone(),
        app.config.smtp.clone(),
        [Duration::from_millis(50); 3],
    );
    messagehub::start(app, listener).unwrap()
}

/// PostgreSQL's superuser on the same database: row-level security hides nothing from it.
pub fn superuser(database: &PgConnectOptions) -> PgConnectOptions {
    database.clone().username("postgres")
}

pub struct Workspace<'a> {
    pub hub: &'a Hub,
    pub id: String,
    pub slug: String,
    pub admin: Person,
    /// Its account at Twilio.
    pub account: String,
}

/// One red dot.
pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82";

pub const FRONT_DESK: &str = "+16285550100";
pub const MAYA: &str = "+14155550192";

impl Workspace<'_> {
    pub fn path(&self, path: &str) -> String {
        format!("/api/workspaces/{}{path}", self.id)
    }

    /// Opens an account at Twilio with this number, and connects it. Answers the integration and its numbers.
    pub async fn connects_twilio(&self, number: &str) -> Value {
        self.hub.twilio.account(&self.account, TOKEN).number(number);
        self.connects_with(TOKEN).await.is(201)
    }

    pub async fn connects_with(&self, token: &str) -> Answer {
        let credentials = json!({"account_sid": self.account, "auth_token": token});
        self.admin
            .post(
                &self.path("/integrations"),
                json!({"provider": "twilio", "credentials": credentials}),
            )
            .await
    }

    /// With Twilio and the front desk's number.
    pub async fn with_front_desk(self) -> Self {
        self.connects_twilio(FRONT_DESK).await;
        self
    }

    /// A colleague who sees the numbers that are assigned to them: none yet.
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
        let agent = Person::signs_in(self.hub, &email).await;
        self.credits(&agent, 1000).await;
        agent
    }

    /// Sets what an agent has to spend.
    pub async fn credits(&self, agent: &Person, balance: i64) {
        let path = self.path(&format!("/credits/{}", agent.id));
        let change = json!({"balance": balance, "reason": "November"});
        let account = self.admin.patch(&path, change).await.is(200);
        assert_eq!(account["balance"], balance);
    }

    /// Invites somebody; what the link in the answer carries.
    pub async fn invites(&self, email: &str, role: &str) -> String {
        let form = json!({"email": email, "role": role});
        let answer = self.admin.post(&self.path("/members"), form).await.is(201);
        let url = answer["invitation"]["url"].as_str().unwrap();
        url.rsplit('/').next().unwrap().into()
    }

    pub async fn assigns(&self, number: &str, agent: &Person) {
        let path = self.path(&format!(
            "/numbers/{}/members/{}",
            self.number(number).await,
            agent.id
        ));
        self.admin.put(&path).await.is(204);
    }

    /// The id of one of our numbers.
    pub async fn number(&self, phone: &str) -> String {
        let numbers = self.admin.get(&self.path("/numbers")).await.is(200);
        let mut numbers = numbers["data"].as_array().unwrap().iter();
        let number = numbers
            .find(|number| number["phone_number"] == phone)
            .expect("the workspace has this number");
        number["id"].as_str().unwrap().into()
    }

    /// A customer texts the front desk; answers the conversation.
    pub async fn receives(&self, from: &str, body: &str) -> Value {
        let answer = self.hub.twilio.text(from, FRONT_DESK, body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        self.conversation_with(from).await
    }

    /// Maya sends a picture; the id of the picture.
    pub async fn gets_a_picture(&self) -> String {
        let sid = format!("MM{}", &self.account[2..]);
        let url = self
            .hub
            .twilio
            .account(&self.account, TOKEN)
            .media(&sid, "image/png", PNG);
        let text = self.hub.twilio.texting(MAYA, FRONT_DESK, "");
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
            .is(200);
        let mut conversations = conversations["data"].as_array().unwrap().iter();
        let found =
            conversations.find(|conversation| conversation["contact"]["phone_number"] == phone);
        found.expect("there is such a conversation").clone()
    }

    /// The texts of a conversation, oldest first.
    pub async fn thread(&self, conversation: &Value) -> Vec<Value> {
        let id = conversation["id"].as_str().unwrap();
        let path = self.path(&format!("/conversations/{id}/messages?limit=200"));
        let mut texts = self.admin.get(&path).await.is(200)["data"]
            .as_array()
            .unwrap()
            .clone();
        texts.reverse();
        texts
    }

    /// A new tag's id.
    pub async fn tag(&self, name: &str) -> String {
        let draft = json!({"name": name});
        let tag = self.admin.post(&self.path("/tags"), draft).await.is(201);
        tag["id"].as_str().unwrap().into()
    }

    /// A table of contacts, as a browser sends it; only looked at where `preview` is `true`.
    pub async fn uploads_contacts(&self, table: impl AsRef<[u8]>, preview: &str) -> Answer {
        self.uploads_contacts_with(table.as_ref(), &[("preview", preview)])
            .await
    }

    pub async fn uploads_contacts_with(&self, table: &[u8], fields: &[(&str, &str)]) -> Answer {
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
        self.admin.get(&path).await.is(200)
    }

    /// A note of the admin's; the message.
    pub async fn notes(&self, conversation: &Value, content: &str) -> Value {
        let id = conversation["id"].as_str().unwrap();
        let path = self.path(&format!("/conversations/{id}/notes"));
        let note = self.admin.post(&path, json!({"content": content})).await;
        note.is(201)
    }

    /// What became of a conversation, oldest first.
    pub async fn activity(&self, conversation: &Value) -> Vec<Value> {
        let id = conversation["id"].as_str().unwrap();
        let path = self.path(&format!("/conversations/{id}/events?limit=200"));
        let mut lines = self.admin.get(&path).await.is(200)["data"]
            .as_array()
            .unwrap()
            .clone();
        lines.reverse();
        lines
    }

    /// An answer, queued; the message.
    pub async fn answers(&self, who: &Person, conversation: &Value, content: &str) -> Value {
        let draft = json!({"conversation_id": conversation["id"], "content": content});
        who.post(&self.path("/messages"), draft).await.is(202)["message"].clone()
    }
}

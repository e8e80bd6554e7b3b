//! Search and lists in a workspace with years of texts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::IN_FLIGHT;
use crate::load::Load;
use crate::server::{self, Hub, JO, PASSWORD};
use crate::table::{Table, median};

const SAM: &str = "sam@harbor.example";

/// The triggers that index texts and contacts on write.
const INDEX_TRIGGERS: [(&str, &str); 3] = [
    ("messages", "index_new_messages"),
    ("contacts", "index_changed_contact"),
    ("conversations", "index_conversation_contact"),
];

pub struct Archive<'a> {
    hub: &'a Hub,
    root: PgConnection,
    admin: Reader,
    /// Sees one number of ten, about a ninth of the texts (the last number has hardly any).
    agent: Reader,
    /// Medians of the cheapest request, in seconds; others are printed as multiples.
    baseline: Option<[f64; 2]>,
}

struct Reader {
    token: String,
}

impl<'a> Archive<'a> {
    pub async fn fill(hub: &'a Hub, texts: i32, table: &Table) -> Self {
        let begun = Instant::now();
        invite(hub).await;
        let mut root = PgConnection::connect_with(&hub.superuser).await.unwrap();
        let mut settings = vec![format!("set archive.workspace = '{}'", hub.workspace)];
        settings.push(format!("set archive.texts = {texts}"));
        settings.push(format!("set archive.people = {}", texts / 20));
        for sql in settings {
            run(&mut root, &sql).await;
        }
        run(&mut root, include_str!("archive.sql")).await;
        // One statement each: vacuum cannot run in a transaction.
        for table in ["contacts", "conversations", "messages", "message_tokens"] {
            run(&mut root, &format!("vacuum (analyze) {table}")).await;
        }
        for sql in ["vacuum (analyze) contact_tokens", "analyze", "checkpoint"] {
            run(&mut root, sql).await;
        }
        let conversations: i64 = sqlx::query_scalar("select count(*) from conversations")
            .fetch_one(&mut root)
            .await
            .unwrap();
        table.line(
            &format!("{texts} texts, {conversations} conversations"),
            &format!("written in {:.0} s", begun.elapsed().as_secs_f64()),
        );
        // Access tokens would expire during the fill.
        let admin = Reader::sign_in(hub, JO).await;
        let agent = Reader::sign_in(hub, SAM).await;
        Self {
            hub,
            root,
            admin,
            agent,
            baseline: None,
        }
    }

    /// Lists, filters, deep pages, and a long thread.
    pub async fn measure_lists(&mut self, time: Duration, table: &Table) {
        let thread: Uuid = self
            .one("select id from archive.talks where place = 1")
            .await;
        let rarest: Uuid = self
            .one("select numbers[cardinality(numbers)] from archive.plan")
            .await;
        let middle: Uuid = self
            .one(
                "select id from messages where conversation_id = (select id from archive.talks where place = 1)
                  order by id offset (select count(*) / 2 from messages
                                       where conversation_id = (select id from archive.talks where place = 1)) limit 1",
            )
            .await;
        let ours = self.hub.number;
        let same = |path: &str| [path.to_owned(), path.to_owned()];

        self.row(
            "one conversation",
            same(&format!("conversations/{thread}")),
            time,
            table,
        )
        .await;
        let lists = [
            ("conversations", "conversations?"),
            ("page 100", "conversations?>"),
            ("mine", "conversations?assignee=me"),
            ("nobody's", "conversations?assignee=none"),
            ("unread", "conversations?unread=true"),
            ("pending", "conversations?status=pending"),
            ("snoozed", "conversations?status=snoozed"),
            ("mentions", "conversations?mentioned=true"),
        ];
        for (name, path) in lists {
            self.row(name, same(path), time, table).await;
        }
        let of_number = [rarest, ours].map(|number| format!("conversations?number_id={number}"));
        self.row("of one number", of_number, time, table).await;
        self.row(
            "a thread's last texts",
            same(&format!("conversations/{thread}/messages?")),
            time,
            table,
        )
        .await;
        let page = format!("/w/{}/inbox/{thread}", self.hub.slug);
        self.row("a thread's page", same(&page), time, table).await;
        let jump = format!("{page}?at={middle}");
        self.row("the same, in the middle", same(&jump), time, table)
            .await;
        for (name, sort) in [
            ("name", "name"),
            ("last text", "last_text"),
            ("added", "added"),
        ] {
            let first = format!("contacts?sort={sort}");
            self.row(&format!("contacts by {name}"), same(&first), time, table)
                .await;
            self.row("page 100", same(&format!("{first}>")), time, table)
                .await;
        }
    }

    pub async fn measure_search(&mut self, time: Duration, table: &Table) {
        for (name, words) in [
            ("a word in half of all texts", "archive.word(1)"),
            ("in one text of a thousand", "archive.word(1000)"),
            ("in a few texts", "archive.word(40000)"),
            (
                "a common and an ordinary word",
                "archive.word(2) || ' ' || archive.word(300)",
            ),
            ("the beginning of a word", "left(archive.word(30000), 4)"),
            ("part of a number", "'00123'"),
            ("what is nowhere", "'zzyzx'"),
        ] {
            let q: String = self.one(AssertSqlSafe(format!("select {words}"))).await;
            let path = format!("search?q={}", q.replace(' ', "%20"));
            self.row(
                &format!("search: {name}"),
                [path.clone(), path],
                time,
                table,
            )
            .await;
        }
    }

    /// Inbound throughput with and without search indexing, alternating.
    pub async fn measure_indexing(&mut self, rounds: usize, time: Duration, table: &Table) {
        self.hub.start_conversations().await;
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            for (state, loads) in [("enable", &mut with), ("disable", &mut without)] {
                for (table, trigger) in INDEX_TRIGGERS {
                    run(
                        &mut self.root,
                        &format!("alter table {table} {state} trigger {trigger}"),
                    )
                    .await;
                }
                let texts = self.hub.texts(crate::prepared(loads, time));
                let taken = Load::of(self.hub.address, texts.requests(), IN_FLIGHT, time).await;
                taken.answered(200);
                loads.push(taken);
            }
        }
        let [with, without] = [with, without].map(|loads| median(loads.iter().map(Load::rate)));
        table.line(
            "webhooks, with words / without",
            &format!("{:.2} ({with:.0}/s, {without:.0}/s)", with / without),
        );
    }

    /// Latency for an admin and an agent, one request at a time. `>` stands for the cursor of a deep page.
    async fn row(&mut self, name: &str, paths: [String; 2], time: Duration, table: &Table) {
        let [of_admin, of_agent] = paths;
        let admin = self.admin.measure(self.hub, &of_admin, time).await;
        let agent = self.agent.measure(self.hub, &of_agent, time).await;
        let middle = [admin.middle(), agent.middle()];
        let baseline = self.baseline.get_or_insert(middle);
        let measured = |load: &Load, which: usize| {
            format!(
                "{} (× {:.1})",
                load.times(),
                middle[which] / baseline[which]
            )
        };
        table.line(
            name,
            &format!("{}; an agent {}", measured(&admin, 0), measured(&agent, 1)),
        );
    }

    async fn one<T>(&mut self, sql: impl sqlx::SqlSafeStr) -> T
    where
        T: Send + Unpin + sqlx::Type<sqlx::Postgres> + for<'r> sqlx::Decode<'r, sqlx::Postgres>,
    {
        sqlx::query_scalar(sql)
            .fetch_one(&mut self.root)
            .await
            .unwrap()
    }
}

impl Reader {
    async fn sign_in(hub: &Hub, email: &str) -> Self {
        let login = json!({"email": email, "password": PASSWORD});
        let session = hub.api.post("/api/auth/login", "", &login).await;
        Self {
            token: server::text(&session["access_token"]),
        }
    }

    async fn measure(&self, hub: &Hub, path: &str, time: Duration) -> Load {
        let path = match path.strip_suffix('>') {
            Some(path) => self.far_down(hub, path).await,
            None => path.to_owned(),
        };
        let (token, host) = (&self.token, hub.address);
        let request = match path.starts_with('/') {
            // Requested as a Turbo frame, as a click does.
            true => format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: messagehub_access={token}\r\nTurbo-Frame: conversation\r\n\r\n"
            ),
            false => format!(
                "GET /api/workspaces/{}/{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n",
                hub.workspace
            ),
        };
        let requests = Arc::new(vec![request.into_bytes(); 1_000]);
        let load = Load::of(hub.address, &requests, 1, time).await;
        load.answered(200);
        load
    }

    async fn far_down(&self, hub: &Hub, path: &str) -> String {
        let mut at = String::new();
        for _ in 0..25 {
            let more = format!("/api/workspaces/{}/{path}&limit=200{at}", hub.workspace);
            let page = hub.api.get(&more, &self.token).await;
            match &page["next_cursor"] {
                Value::String(cursor) => at = format!("&cursor={cursor}"),
                _ => break,
            }
        }
        format!("{path}{at}")
    }
}

async fn invite(hub: &Hub) {
    let members = format!("/api/workspaces/{}/members", hub.workspace);
    let form = json!({"email": SAM, "role": "agent", "number_ids": [hub.number]});
    let invited = hub.api.post(&members, &hub.token, &form).await;
    let link = server::text(&invited["invitation"]["url"]);
    let token = link.rsplit('/').next().unwrap();
    let form = json!({"name": "Sam", "password": PASSWORD});
    let path = format!("/api/invitations/{token}/accept");
    hub.api.post(&path, "", &form).await;
}

async fn run(root: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(root)
        .await
        .unwrap();
}

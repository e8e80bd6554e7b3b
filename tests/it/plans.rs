//! The cost of large lists: PostgreSQL logs how many rows each statement behind a page reads. No page may read or
//! sort a whole table, for any viewer.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::hub::{FRONT_DESK, Hub, INDEX_MESSAGES, MAYA, Person, TOKEN, empty_database, superuser};

/// Rows that a page may read: it has 50, of up to four statuses and ten numbers, and looks each of them up.
const FEW: u64 = 4_000;
/// A search walks 10,000 rows from the newest, twice. A tag is checked at each conversation until the page is full.
const SEARCHED: u64 = 24_000;
/// All contacts of an agent who has at most 5,000 are read, with their conversations. For the newest ones the planner
/// of a small table reads those of all agents.
const OF_AN_AGENT: u64 = 30_000;
/// Blocks per row, and at least this many: more reveals indexes that are read from end to end.
const BLOCKS: u64 = 6;
const FEW_BLOCKS: u64 = 10_000;

struct Log(PathBuf);

impl Log {
    /// Logs every plan of this database on connections made from now on.
    async fn open(root: &mut PgConnection) -> Self {
        let database: String = sqlx::query_scalar("select current_database()")
            .fetch_one(&mut *root)
            .await
            .unwrap();
        for setting in [
            "session_preload_libraries = 'auto_explain'",
            "auto_explain.log_min_duration = 0",
            "auto_explain.log_analyze = on",
            "auto_explain.log_timing = off",
            "auto_explain.log_buffers = on",
            "auto_explain.log_nested_statements = on",
            "auto_explain.log_format = 'json'",
        ] {
            let sql = format!("alter database {database} set {setting}");
            run(root, &sql).await;
        }
        let data: String = sqlx::query_scalar("select current_setting('data_directory')")
            .fetch_one(root)
            .await
            .unwrap();
        Self(Path::new(&data).with_file_name("postgres.log"))
    }

    fn end(&self) -> u64 {
        std::fs::metadata(&self.0).unwrap().len()
    }

    /// The statements logged since `end`, also across a rotation of the log.
    fn since(&self, end: u64) -> Vec<Statement> {
        let text = match self.end() < end {
            true => read(&self.0.with_extension("log.1"), end) + &read(&self.0, 0),
            false => read(&self.0, end),
        };
        let summary = text.split("  plan:\n").skip(1);
        summary
            .filter_map(|after| {
                let json: String = after
                    .lines()
                    .take_while(|line| line.starts_with('\t'))
                    .collect();
                serde_json::from_str(&json).ok().map(Statement)
            })
            .collect()
    }
}

fn read(path: &Path, from: u64) -> String {
    let mut log = File::open(path).unwrap();
    log.seek(SeekFrom::Start(from)).unwrap();
    let mut text = Vec::new();
    log.read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

struct Statement(Value);

#[derive(Default)]
struct Cost {
    rows: u64,
    blocks: u64,
    /// Rows of the largest sort.
    sorted: u64,
    /// Rows of the largest sequential scan.
    seq_scanned: u64,
}

impl Statement {
    fn cost(&self) -> Cost {
        let plan = &self.0["Plan"];
        let mut cost = Cost {
            blocks: number(plan, "Shared Hit Blocks") + number(plan, "Shared Read Blocks"),
            ..Cost::default()
        };
        add(plan, &mut cost);
        cost
    }

    /// Part of the function that stores inbound texts, or nested in it.
    fn is_receive_query(&self) -> bool {
        let text = self.0["Query Text"].as_str().unwrap_or_default();
        [
            "unnest(texts)",
            "into contacts",
            "into conversations",
            "into messages",
        ]
        .iter()
        .any(|part| text.contains(part))
    }

    fn summary(&self) -> String {
        let mut lines = Vec::new();
        outline(&self.0["Plan"], 0, &mut lines);
        let text = self.0["Query Text"].as_str().unwrap_or_default();
        format!("{text}\n{}", lines.join("\n"))
    }
}

fn number(node: &Value, name: &str) -> u64 {
    node[name].as_f64().unwrap_or(0.0) as u64
}

/// Rows that a node read, including those it filtered out.
fn touched(node: &Value) -> u64 {
    let rows = number(node, "Actual Rows")
        + number(node, "Rows Removed by Filter")
        + number(node, "Rows Removed by Index Recheck");
    rows * number(node, "Actual Loops")
}

fn add(node: &Value, cost: &mut Cost) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    if !node["Relation Name"].is_null() || kind == "Bitmap Index Scan" {
        cost.rows += touched(node);
    }
    if kind == "Seq Scan" {
        cost.seq_scanned = cost.seq_scanned.max(touched(node));
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        if kind.ends_with("Sort") {
            let rows = number(child, "Actual Rows") * number(child, "Actual Loops");
            cost.sorted = cost.sorted.max(rows);
        }
        add(child, cost);
    }
}

fn outline(node: &Value, depth: usize, lines: &mut Vec<String>) {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let on = ["Index Name", "Relation Name"].map(|name| node[name].as_str().unwrap_or_default());
    lines.push(format!(
        "{:depth$}{kind} {} ({} rows, {} removed, {} times)",
        "",
        on.join(" "),
        node["Actual Rows"],
        number(node, "Rows Removed by Filter"),
        node["Actual Loops"]
    ));
    for child in node["Plans"].as_array().into_iter().flatten() {
        outline(child, depth + 2, lines);
    }
}

async fn run(root: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(root)
        .await
        .unwrap();
}

struct Viewer<'a> {
    label: &'static str,
    person: &'a Person,
}

#[tokio::test]
async fn pages_read_a_bounded_number_of_rows() {
    let database = empty_database().await;
    let mut root = PgConnection::connect_with(&superuser(&database))
        .await
        .unwrap();
    let log = Log::open(&mut root).await;
    let hub = Hub::start_with(database, &[("DATABASE_CONNECTIONS", "2")]).await;
    let harbor = hub.workspace("Harbor Dental").await;
    let account = hub.twilio.account(&harbor.account, TOKEN);
    let account = account.number(FRONT_DESK);
    for line in 1..10 {
        account.number(&format!("+1628555020{line}"));
    }
    harbor.connect_with(TOKEN).await.expect_status(201);
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    harbor.assign_number("+16285550209", &lin).await;
    for sql in [
        "set session_replication_role = replica",
        &format!("set archive.workspace = '{}'", harbor.id),
        "set archive.texts = 60000",
        "set archive.people = 40000",
        include_str!("plans/archive.sql"),
        MORE,
        "vacuum (analyze) conversations",
        "vacuum (analyze) contacts",
        "vacuum (analyze) messages",
        "analyze",
    ] {
        run(&mut root, sql).await;
    }

    let id = |value: &Value| value["id"].as_str().unwrap().to_owned();
    let mut wrong = Vec::new();
    for viewer in [
        Viewer {
            label: "an admin",
            person: &harbor.admin,
        },
        Viewer {
            label: "an agent with one number of ten",
            person: &sam,
        },
        Viewer {
            label: "an agent with a number that has hardly any texts",
            person: &lin,
        },
    ] {
        let who = viewer.person;
        let newest = who
            .get(&harbor.path("/conversations?limit=1"))
            .await
            .expect_status(200);
        let newest = &newest["data"][0];
        let (talk, number) = (id(newest), newest["number_id"].as_str().unwrap().to_owned());
        let thread: String = sqlx::query_scalar(
            "select t.id::text from archive.talks t where $1 or t.number_id = $2::uuid order by t.place limit 1",
        )
        .bind(viewer.label == "an admin")
        .bind(&number)
        .fetch_one(&mut root)
        .await
        .unwrap();
        let middle: String = sqlx::query_scalar(
            "select id::text from messages where conversation_id = $1::uuid
              order by id offset (select count(*) / 2 from messages where conversation_id = $1::uuid) limit 1",
        )
        .bind(&thread)
        .fetch_one(&mut root)
        .await
        .unwrap();
        let search_words: Vec<String> = sqlx::query_scalar(
            "select archive.word(nth) from unnest(array[1, 2, 300, 1000, 40000]) nth",
        )
        .fetch_all(&mut root)
        .await
        .unwrap();
        let tag = harbor
            .admin
            .get(&harbor.path("/tags"))
            .await
            .expect_status(200)["data"]
            .clone();
        let tags: Vec<_> = tag.as_array().unwrap().iter().map(id).collect();

        let mut paths: Vec<(String, u64)> = Vec::new();
        for filter in [
            "",
            "status=open",
            "status=pending",
            "status=snoozed",
            "status=done",
            "assignee=me",
            "assignee=none",
            "unread=true",
            "status=open&unread=true",
            "status=open&assignee=me",
            "status=open&assignee=none",
            "mentioned=true",
            "q=00123",
        ] {
            paths.push((harbor.path(&format!("/conversations?{filter}")), FEW));
        }
        for tag in &tags {
            paths.push((harbor.path(&format!("/conversations?tag={tag}")), SEARCHED));
            paths.push((
                harbor.path(&format!("/contacts?sort=name&tag={tag}")),
                SEARCHED,
            ));
        }
        let rare = harbor.number("+16285550209").await;
        paths.push((
            harbor.path(&format!("/conversations?number_id={number}")),
            FEW,
        ));
        paths.push((
            harbor.path(&format!("/conversations?number_id={rare}")),
            FEW,
        ));
        paths.push((
            harbor.path(&format!("/conversations?number_id={rare}&status=open")),
            FEW,
        ));
        for list in [
            "/conversations?",
            "/contacts?sort=name",
            "/contacts?sort=last_text",
            "/contacts?sort=added",
        ] {
            let list = harbor.path(list);
            let most = match list.contains("contacts") && viewer.label != "an admin" {
                true => OF_AN_AGENT,
                false => FEW,
            };
            paths.push((list.clone(), most));
            // A page far down.
            let mut at = String::new();
            for _ in 0..15 {
                let page = who
                    .get(&format!("{list}&limit=200{at}"))
                    .await
                    .expect_status(200);
                match &page["next_cursor"] {
                    Value::String(cursor) => at = format!("&cursor={cursor}"),
                    _ => break,
                }
            }
            paths.push((format!("{list}{at}"), most));
        }
        for q in ["00123", "zzyzx"] {
            paths.push((harbor.path(&format!("/contacts?sort=name&q={q}")), FEW));
        }
        for path in [
            format!("/conversations/{thread}/messages"),
            format!("/conversations/{thread}/events"),
            format!("/conversations/{talk}/messages"),
            "/scheduled".into(),
            "/templates".into(),
            format!("/credits/{}/ledger", who.id),
        ] {
            paths.push((harbor.path(&path), FEW));
        }
        // Filters without an index read a bounded number of rows, twice.
        for filter in [
            "",
            "?status=failed",
            "?status=undelivered",
            "?status=queued",
            "?status=canceled",
            "?status=scheduled",
            "?status=received",
            "?status=delivered",
            "?direction=note",
            "?direction=outbound",
        ] {
            paths.push((harbor.path(&format!("/messages{filter}")), SEARCHED));
        }
        if viewer.label == "an admin" {
            for filter in [
                format!("?number_id={rare}"),
                "?kind=status".into(),
                "?outcome=malformed".into(),
                "?provider_sid=SM404".into(),
            ] {
                paths.push((harbor.path(&format!("/webhooks{filter}")), SEARCHED));
            }
        }
        // Own texts are found among all scheduled ones.
        paths.push((harbor.path("/scheduled?mine=true"), SEARCHED));
        if viewer.label == "an admin" {
            for filter in ["", "action=member_removed", "from=2026-01-01&to=2026-01-02"] {
                paths.push((harbor.path(&format!("/audit?{filter}")), FEW));
            }
            paths.push((harbor.path(&format!("/audit?actor={}", who.id)), FEW));
        }
        let inbox = format!("/w/{}/inbox", harbor.slug);
        for page in [
            String::new(),
            format!("/{thread}"),
            format!("/{thread}?at={middle}"),
        ] {
            // Includes the counts on the tabs, each up to a thousand.
            paths.push((format!("{inbox}{page}"), FEW + 6_000));
        }
        for q in [
            search_words[0].clone(),
            search_words[3].clone(),
            search_words[4].clone(),
            format!("{}%20{}", search_words[1], search_words[2]),
            search_words[4][..4].to_owned(),
            "00123".into(),
            "zzyzx".into(),
        ] {
            paths.push((harbor.path(&format!("/search?q={q}")), SEARCHED));
        }

        for (path, most) in paths {
            // The second request may use a generic plan.
            for time in 1..=2 {
                let end = log.end();
                let request = who.request(reqwest::Method::GET, &path);
                let request = match path.starts_with("/api") {
                    true => request,
                    false => request.header(
                        "cookie",
                        format!("messagehub_access={}", who.token.as_ref().unwrap()),
                    ),
                };
                let answer = who.ask(request).await;
                let statements = log.since(end);
                if answer.status != 200 || statements.is_empty() {
                    let (label, status, summary) = (viewer.label, answer.status, statements.len());
                    wrong.push(format!("{label}, {path}: {status}, {summary} statements"));
                    break;
                }
                let (mut rows, mut blocks) = (0, 0);
                let mut worst: Option<(u64, &Statement)> = None;
                for statement in &statements {
                    let cost = statement.cost();
                    rows += cost.rows;
                    // Nested statements are included in those around them.
                    blocks = blocks.max(cost.blocks);
                    let bad = cost.rows.max(cost.sorted).max(cost.seq_scanned * 4);
                    if worst.as_ref().is_none_or(|(so_far, _)| bad > *so_far) {
                        worst = Some((bad, statement));
                    }
                    if cost.seq_scanned > 500 || cost.sorted > most {
                        rows = rows.max(most + 1);
                    }
                }
                if rows > most || blocks > FEW_BLOCKS.max(rows * BLOCKS) {
                    let (_, statement) = worst.unwrap();
                    wrong.push(format!(
                        "{}, {path}, for the {time}. time: {rows} rows, {blocks} blocks\n{}",
                        viewer.label,
                        statement.summary()
                    ));
                    break;
                }
            }
        }
    }
    // Short pages still lead to all rows.
    let mut found = 0;
    let mut pages = 0;
    let mut at = String::new();
    loop {
        let path = harbor.path(&format!("/messages?direction=outbound&limit=200{at}"));
        let page = lin.get(&path).await.expect_status(200);
        found += page["data"].as_array().unwrap().len();
        pages += 1;
        match &page["next_cursor"] {
            Value::String(cursor) => at = format!("&cursor={cursor}"),
            _ => break,
        }
    }
    let there: i64 = sqlx::query_scalar(
        "select count(*) from messages where direction = 'outbound' and number_id = $1::uuid",
    )
    .bind(harbor.number("+16285550209").await)
    .fetch_one(&mut root)
    .await
    .unwrap();
    assert_eq!(found as i64, there, "on {pages} pages");
    assert!(found > 0 && pages > 2, "{found} on {pages} pages");
    assert!(
        wrong.is_empty(),
        "{}\n\n{} pages",
        wrong.join("\n\n"),
        wrong.len()
    );
}

#[tokio::test]
async fn access_checks_cost_the_same_for_any_count_of_numbers() {
    let database = empty_database().await;
    let mut root = PgConnection::connect_with(&superuser(&database))
        .await
        .unwrap();
    let log = Log::open(&mut root).await;
    let hub = Hub::start_with(database, &[]).await;
    let harbor = hub.workspace("Harbor Dental").await;
    let account = hub.twilio.account(&harbor.account, TOKEN);
    let account = account.number(FRONT_DESK);
    for line in 10..40 {
        account.number(&format!("+162855502{line}"));
    }
    harbor.connect_with(TOKEN).await.expect_status(201);
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let talk = harbor.receive_text("+14155550142", "Good morning").await;
    let thread = format!("/w/{}/inbox/{}", harbor.slug, talk["id"].as_str().unwrap());
    let paths = [
        format!("/w/{}/inbox", harbor.slug),
        thread,
        harbor.path("/conversations"),
        harbor.path("/search?q=morning"),
        harbor.path("/contacts"),
    ];

    let mut role_queries = Vec::new();
    for _ in 0..2 {
        let mut counts = Vec::new();
        for path in &paths {
            let end = log.end();
            let request = sam.request(reqwest::Method::GET, path).header(
                "cookie",
                format!("messagehub_access={}", sam.token.as_ref().unwrap()),
            );
            let answer = sam.ask(request).await;
            assert_eq!(answer.status, 200, "{path}");
            let statements = log.since(end);
            let roles = statements.iter().filter(|statement| {
                let text = statement.0["Query Text"].as_str().unwrap_or_default();
                text.contains("role = 'admin'") && text.contains("current_user_id()")
            });
            counts.push(roles.count());
        }
        role_queries.push(counts);
        run(
            &mut root,
            "insert into number_members (workspace_id, number_id, user_id)
             select n.workspace_id, n.id, m.user_id from numbers n join workspace_members m using (workspace_id)
              where m.role = 'agent' on conflict do nothing",
        )
        .await;
    }
    assert!(
        role_queries[0].iter().all(|&count| count > 0),
        "{role_queries:?}"
    );
    let (few, many) = (&role_queries[0], &role_queries[1]);
    let no_more = few.iter().zip(many).all(|(few, many)| many <= few);
    assert!(no_more, "the role is queried per number: {role_queries:?}");
}

/// Index and table rows that storing one text may read: its contact, conversation, number and integration are looked
/// up by key, a few times each.
const OF_A_TEXT: u64 = 40;

#[tokio::test]
async fn receiving_a_text_reads_few_rows_with_any_statistics() {
    let database = empty_database().await;
    let mut root = PgConnection::connect_with(&superuser(&database))
        .await
        .unwrap();
    let log = Log::open(&mut root).await;
    run(&mut root, NO_AUTOVACUUM).await;
    run(&mut root, "analyze").await;
    let hub = Hub::start_with(database, &[("DATABASE_CONNECTIONS", "2")]).await;
    let harbor = hub.workspace("Harbor Dental").await;
    let account = hub.twilio.account(&harbor.account, TOKEN);
    let account = account.number(FRONT_DESK);
    for line in 1..10 {
        account.number(&format!("+1628555020{line}"));
    }
    harbor.connect_with(TOKEN).await.expect_status(201);
    // Every connection plans its statements on empty tables and keeps the plans.
    for text in 0..40 {
        let from = format!("+141555501{:02}", text % 20);
        let answer = hub.twilio.text(&from, FRONT_DESK, "Good morning").await;
        assert_eq!(answer.status(), 200);
    }
    let mut wrong = Vec::new();
    let mut senders = 40..;
    for state in [
        "planned and analyzed while empty",
        "analyzed while empty",
        "never analyzed",
        "analyzed",
    ] {
        match state {
            "planned and analyzed while empty" => run(&mut root, FILL).await,
            "never analyzed" => run(&mut root, NEVER_ANALYZED).await,
            "analyzed" => run(&mut root, "analyze").await,
            _ => {}
        }
        if state != "planned and analyzed while empty" {
            run(&mut root, NEW_CONNECTIONS).await;
        }
        for (who, texts, stranger) in [
            ("a known contact", 1, false),
            ("a new contact", 1, true),
            ("thirty known contacts", 30, false),
        ] {
            let end = log.end();
            let texts = senders.by_ref().take(texts).map(|nth: u64| match stranger {
                true => format!("+1415777{nth:04}"),
                false => format!("+{}", 15_000_000_000 + nth),
            });
            let texts: Vec<_> = texts.collect();
            let received = texts.iter().map(async |from| {
                let mut tries = 0;
                // A terminated connection is noticed on use: the provider retries.
                while hub
                    .twilio
                    .text(from, FRONT_DESK, "Good evening")
                    .await
                    .status()
                    != 200
                {
                    tries += 1;
                    assert!(tries < 10, "{state}, {who}");
                }
            });
            futures_util::future::join_all(received).await;
            let statements = log.since(end);
            let received: Vec<_> = statements
                .iter()
                .filter(|statement| statement.is_receive_query())
                .collect();
            assert!(!received.is_empty(), "{state}, {who}: nothing was logged");
            let rows: u64 = received.iter().map(|statement| statement.cost().rows).sum();
            if rows > OF_A_TEXT * texts.len() as u64 {
                let worst = received
                    .iter()
                    .max_by_key(|statement| statement.cost().rows);
                let worst = worst.unwrap();
                wrong.push(format!(
                    "{state}, {who}: {rows} rows, most of them by\n{}",
                    worst.summary()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Autovacuum would analyze tables at some time.
const NO_AUTOVACUUM: &str = "
    do $$ declare name regclass; begin
        for name in select oid::regclass from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace loop
            execute format('alter table %s set (autovacuum_enabled = false)', name);
        end loop;
    end $$;
";

/// 20,000 contacts with texts, without DDL: existing plans stay valid.
const FILL: &str = "
    set session_replication_role = replica;
    insert into contacts (workspace_id, id, phone_number, texted)
    select n.workspace_id, new_id(), '+' || 15000000000 + nth, true
      from (select distinct workspace_id from numbers) n, generate_series(1, 20000) nth;
    insert into conversations (workspace_id, id, contact_id, number_id, last_message_at)
    select c.workspace_id, new_id(), c.id, n.id, now() - interval '1 day'
      from contacts c join numbers n on n.workspace_id = c.workspace_id and n.phone_number = '+16285550100'
     where c.phone_number like '+15000%';
    insert into messages (workspace_id, id, conversation_id, contact_id, number_id, integration_id, direction, content, status,
                          provider, provider_sid)
    select v.workspace_id, new_id(), v.id, v.contact_id, v.number_id, n.integration_id, 'inbound', 'Hello', 'received', 'twilio',
           'SM' || v.id
      from conversations v join numbers n on n.workspace_id = v.workspace_id and n.id = v.number_id
     where v.last_message_id is null;
    set session_replication_role = origin;
";

/// No statistics, as after a restore.
const NEVER_ANALYZED: &str = "
    delete from pg_statistic s using pg_class c where c.oid = s.starelid and c.relnamespace = 'public'::regnamespace;
    update pg_class set relpages = 0, reltuples = -1 where relnamespace = 'public'::regnamespace and relkind = 'r';
    update pg_class set relpages = 0, reltuples = 0 where relnamespace = 'public'::regnamespace and relkind = 'i';
";

/// Terminates the server's connections, and with them their plans.
const NEW_CONNECTIONS: &str = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";

/// Old texts have these words, and many do; newer texts have none of them.
const ZEPPELINS: &str = "
    insert into messages (workspace_id, id, conversation_id, contact_id, number_id, integration_id, direction, content, status,
                          provider, provider_sid)
    select m.workspace_id, new_id(), m.conversation_id, m.contact_id, m.number_id, m.integration_id, 'inbound',
           'A zeppelin ' || case when n % 2 = 0 then 'gray ' else 'blue ' end || n, 'received', m.provider, 'SMold' || m.number_id || n
      from messages m, generate_series(1, 12000) n where m.content = 'Hello';
    insert into messages (workspace_id, id, conversation_id, contact_id, number_id, integration_id, direction, content, status,
                          provider, provider_sid)
    select m.workspace_id, new_id(), m.conversation_id, m.contact_id, m.number_id, m.integration_id, 'inbound',
           'Nothing new ' || n, 'received', m.provider, 'SMnew' || m.number_id || n
      from messages m, generate_series(1, 1500) n where m.content = 'Hello';
    analyze;
";

#[tokio::test]
async fn search_for_a_frequent_old_word_is_bounded() {
    let database = empty_database().await;
    let mut root = PgConnection::connect_with(&superuser(&database))
        .await
        .unwrap();
    let log = Log::open(&mut root).await;
    let hub = Hub::start_with(database, &[("DATABASE_CONNECTIONS", "2")]).await;
    let harbor = hub.workspace("Harbor Dental").await;
    let recall = "+16285550201";
    hub.twilio
        .account(&harbor.account, TOKEN)
        .number(FRONT_DESK)
        .number(recall);
    harbor.connect_with(TOKEN).await.expect_status(201);
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(recall, &sam).await;
    for number in [FRONT_DESK, recall] {
        let answer = hub.twilio.text(MAYA, number, "Hello").await;
        assert_eq!(answer.status(), 200);
    }
    run(&mut root, ZEPPELINS).await;
    // Without the log, which would take most of the time.
    run(&mut root, INDEX_MESSAGES).await;

    for (label, who) in [("an admin", &harbor.admin), ("an agent", &sam)] {
        for (q, found) in [
            ("zeppelin", 50),
            ("zep", 50),
            ("gray zeppelin", 50),
            ("gray blue", 0),
            ("zzyzx", 0),
        ] {
            let mut cursor = String::new();
            for page in 1..=3 {
                let end = log.end();
                let request = who.request(reqwest::Method::GET, &harbor.path("/search"));
                let query = [("q", q), ("kind", "messages"), ("cursor", &cursor)];
                let answer = who.ask(request.query(&query)).await.expect_status(200);
                let statements = log.since(end);
                let rows: u64 = statements
                    .iter()
                    .map(|statement| statement.cost().rows)
                    .sum();
                assert!(
                    !statements.is_empty() && rows < SEARCHED,
                    "{label}, {q}, page {page}: {rows} rows of {} statements",
                    statements.len()
                );
                let texts = answer["messages"]["data"].as_array().unwrap();
                assert_eq!(texts.len(), found, "{label}, {q}, page {page}");
                let ids: Vec<_> = texts
                    .iter()
                    .map(|hit| hit["message"]["id"].as_str())
                    .collect();
                assert!(ids.is_sorted_by(|a, b| a > b), "{label}, {q}: newest first");
                let Some(next) = answer["messages"]["next_cursor"].as_str() else {
                    break;
                };
                cursor = next.to_owned();
            }
        }
    }
    // All matches, each once, in order.
    let expected: Vec<String> = sqlx::query_scalar(
        "select id::text from messages where content like '%gray%' order by id desc limit 2500",
    )
    .fetch_all(&mut root)
    .await
    .unwrap();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    while seen.len() < expected.len() {
        let request = harbor
            .admin
            .request(reqwest::Method::GET, &harbor.path("/search"));
        let query = [
            ("q", "gray"),
            ("kind", "messages"),
            ("limit", "200"),
            ("cursor", &cursor),
        ];
        let answer = harbor
            .admin
            .ask(request.query(&query))
            .await
            .expect_status(200);
        let texts = answer["messages"]["data"].as_array().unwrap();
        seen.extend(
            texts
                .iter()
                .map(|hit| hit["message"]["id"].as_str().unwrap().to_owned()),
        );
        cursor = answer["messages"]["next_cursor"]
            .as_str()
            .unwrap()
            .to_owned();
    }
    seen.truncate(expected.len());
    assert_eq!(seen, expected);
}

/// Rows of the other lists, and two tags: one with many contacts, one with few.
const MORE: &str = "
    set session_replication_role = replica;
    insert into messages (workspace_id, id, conversation_id, contact_id, number_id, integration_id, direction, content, status, provider,
                          scheduled_at, due_at, created_by)
    select p.workspace, new_id(), t.id, t.contact_id, t.number_id, n.integration_id, 'outbound', 'Later', 'scheduled', 'twilio',
           now() + interval '1 day' + t.place * interval '1 second', now() + interval '1 day' + t.place * interval '1 second',
           p.members[1 + t.place % cardinality(p.members)]
      from archive.plan p, archive.talks t join numbers n on n.id = t.number_id where t.place <= 6000;
    update messages m set status = 'failed' from archive.talks t
     where m.conversation_id = t.id and t.place <= 2 and m.direction = 'outbound' and m.status not in ('scheduled', 'failed');
    insert into webhooks (workspace_id, integration_id, number_id, provider, kind, via, outcome, provider_sid)
    select p.workspace, n.integration_id, n.id, 'twilio', 'inbound', 'webhook', 'stored', 'SM' || nth
      from archive.plan p join numbers n on n.workspace_id = p.workspace and n.phone_number = '+16285550100', generate_series(1, 60000) nth;
    insert into templates (workspace_id, id, name, content, owner_id, created_by, created_at)
    select p.workspace, new_id(), 'Template ' || nth, 'Hello {{name}}', case when nth % 2 = 0 then p.members[1] end, p.members[1], now() - nth * interval '1 second'
      from archive.plan p, generate_series(1, 5000) nth;
    insert into credit_ledger (workspace_id, user_id, delta, balance, kind)
    select p.workspace, m, 1, 1, 'granted' from archive.plan p, unnest(p.members) m, generate_series(1, 8000);
    insert into audit_log (workspace_id, action, actor_id, actor_name, created_at)
    select p.workspace, case when nth % 5000 = 0 then 'member_removed' else 'number_assigned' end, p.members[1 + nth % 3], 'Jo', p.since + nth * interval '1 minute'
      from archive.plan p, generate_series(1, 20000) nth;
    insert into tags (workspace_id, name, color) select p.workspace, name, 'green' from archive.plan p, unnest(array['Many', 'Few']) name;
    insert into contact_tags (workspace_id, contact_id, tag_id)
    select c.workspace_id, c.id, t.id from contacts c join tags t on t.workspace_id = c.workspace_id
     where case t.name when 'Many' then left(right(c.phone_number, 2), 1) = '3' else right(c.phone_number, 4) = '0123' end;
    set session_replication_role = origin;
";

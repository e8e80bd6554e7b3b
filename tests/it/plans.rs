//! The cost of large lists: PostgreSQL logs how many rows each statement behind a page reads. No page may read or
//! sort a whole table, for any viewer.

mod contacts;
mod log;
mod receive;
mod search;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use log::{Log, Statement};

use crate::hub::{FRONT_DESK, Hub, Person, TOKEN, empty_database, superuser};

/// Rows that a page may read: it has 50, of up to four statuses and ten numbers, and looks each of them up.
const FEW: u64 = 4_000;

/// A search walks the newest rows, then the index by parts. A tag is checked at each conversation until the page is full.
const SEARCHED: u64 = 24_000;

/// All contacts of an agent who has at most 5,000 are read, with their conversations. For the newest ones the planner
/// of a small table reads those of all agents.
const OF_AN_AGENT: u64 = 30_000;

/// Blocks per row, and at least this many: more reveals indexes that are read from end to end.
const BLOCKS: u64 = 6;

const FEW_BLOCKS: u64 = 10_000;

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
    let plan = json!([{"workspace": harbor.id, "texts": 60_000, "conversations": 20_000, "contacts": 40_000, "first": 0}]);
    for sql in [
        "set session_replication_role = replica",
        &format!("set archive.plan = '{plan}'"),
        "set archive.area_codes = '{201,202,203,205}'",
        include_str!("../../benches/hub/archive.sql"),
        "call archive.index_contacts()",
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
            "waiting=true",
            "failed=true",
            "order=waiting",
            "status=open&waiting=true",
            "status=open&failed=true",
            "status=open&order=waiting",
            "status=open&order=waiting&assignee=me",
            "status=open&order=waiting&unread=true",
            "mentioned=true",
            "mentioned=true&order=waiting",
            "q=50123",
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
        for q in ["50123", "zzyzx"] {
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
            "50123".into(),
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
    let hub = Hub::start_with(database, &[("DATABASE_CONNECTIONS", "2")]).await;
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
            let mut least = usize::MAX;
            // Planning a statement also asks, and statements are planned again once statistics change.
            for _ in 0..3 {
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
                least = least.min(roles.count());
            }
            counts.push(least);
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
    update conversations v set last_message_status = 'failed' from archive.talks t where v.id = t.id and t.place % 500 = 0;
    update conversations v set waiting_since = v.last_message_at from archive.talks t where v.id = t.id and v.status <> 'done' and t.place % 7 = 0;
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

//! The cost of a search.

use sqlx::{Connection, PgConnection};

use super::log::Log;
use super::{SEARCHED, run};
use crate::hub::{FRONT_DESK, Hub, MAYA, TOKEN, empty_database, index_messages, superuser};

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
    index_messages(&mut root).await;

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

//! The cost of storing a text.

use sqlx::{Connection, PgConnection};

use super::log::Log;
use super::run;
use crate::hub::{FRONT_DESK, Hub, TOKEN, empty_database, superuser};

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
pub(super) const NO_AUTOVACUUM: &str = "
    do $$ declare name regclass; begin
        for name in select oid::regclass from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace loop
            execute format('alter table %s set (autovacuum_enabled = false)', name);
        end loop;
    end $$;
";

/// 20,000 contacts with texts, without DDL: existing plans stay valid.
pub(super) const FILL: &str = "
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
pub(super) const NEVER_ANALYZED: &str = "
    delete from pg_statistic s using pg_class c where c.oid = s.starelid and c.relnamespace = 'public'::regnamespace;
    update pg_class set relpages = 0, reltuples = -1 where relnamespace = 'public'::regnamespace and relkind = 'r';
    update pg_class set relpages = 0, reltuples = 0 where relnamespace = 'public'::regnamespace and relkind = 'i';
";

/// Terminates the server's connections, and with them their plans.
const NEW_CONNECTIONS: &str = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";

//! The demo workspace: seeds an empty database once and leaves any other alone.

use std::collections::HashMap;

use messagehub::app::App;
use messagehub::config::Config;
use messagehub::db::purpose::Setup;
use messagehub::demo::{self, Demo};
use messagehub::domain::accounts::{self, Caller, Login};
use messagehub::domain::members::Role;
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;

use crate::hub::empty_database;

/// An app without a listener.
async fn app(database: &PgConnectOptions, settings: &[(&str, &str)]) -> App {
    let secrets = [
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        (
            "MASTER_KEYS",
            "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
        ),
    ];
    // The key of web push is kept there.
    let data_dir = std::env::temp_dir().join("messagehub-tests");
    let data_dir = [("DATA_DIR", data_dir.to_str().unwrap())];
    let settings = secrets
        .iter()
        .chain(&data_dir)
        .chain(settings)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect::<HashMap<_, _>>();
    let config = Config::read(settings).unwrap();
    App::open(config, database.clone()).await.unwrap()
}

async fn fresh() -> App {
    app(&empty_database().await, &[]).await
}

async fn count(app: &App, query: &'static str) -> i64 {
    sqlx::query_scalar(query)
        .fetch_one(app.db.system_pool(Setup))
        .await
        .expect(query)
}

async fn opens(app: &App, email: &str, demo: &Demo) -> bool {
    let login = Login {
        email: email.into(),
        password: demo.password.clone(),
        code: None,
    };
    let caller = Caller {
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        device: None,
        browser: None,
    };
    accounts::log_in(app, login, &caller).await.is_ok()
}

#[tokio::test]
async fn empty_database_gets_the_demo_inbox() {
    let app = fresh().await;

    let demo = demo::seed(&app).await.unwrap().expect("a sign-in");

    assert_eq!(demo.email, "jo@harbor.test");
    for email in [demo.email, demo.agents[0], demo.agents[1]] {
        assert!(opens(&app, email, &demo).await, "{email}");
    }
    assert!(count(&app, "select count(*) from conversations").await >= 25);
    assert!(count(&app, "select count(*) from messages").await >= 200);
    for (there_is, query) in [
        (
            "something unread",
            "select sum(unread_count) from conversations",
        ),
        (
            "a failure with a reason",
            "select count(*) from messages where status in ('failed', 'undelivered') and error_message <> ''",
        ),
        ("an opt-out", "select count(*) from opt_outs"),
        ("a picture", "select count(*) from message_media"),
        (
            "a long text",
            "select count(*) from messages where length(content) >= 1500",
        ),
        (
            "Arabic",
            "select count(*) from messages where content ~ '[؀-ۿ]'",
        ),
        (
            "Hebrew",
            "select count(*) from messages where content ~ '[א-ת]'",
        ),
        (
            "a note",
            "select count(*) from messages where direction = 'note'",
        ),
        (
            "a scheduled text",
            "select count(*) from messages where status = 'scheduled'",
        ),
        (
            "every status",
            "select count(distinct status) - 3 from conversations",
        ),
        (
            "a sender that cannot be answered",
            "select count(*) from contacts where phone_number not like '+%'",
        ),
    ] {
        assert!(count(&app, query).await > 0, "{there_is}");
    }
}

#[tokio::test]
async fn demo_rows_are_consistent() {
    let app = fresh().await;
    demo::seed(&app).await.unwrap();

    for (wrong, query) in [
        (
            "the newest text differs",
            "select count(*) from conversations v
               join lateral (select * from messages m where m.conversation_id = v.id and m.direction <> 'note' and m.status <> 'scheduled'
                              order by m.id desc limit 1) l on true
              where (v.last_message_id, v.last_message_at, v.last_message_status, v.last_message_direction)
                    is distinct from (l.id, l.created_at, l.status, l.direction)
                 or v.last_message_preview <> case when l.content = '' then '📷 Photo'
                        else left(trim(regexp_replace(l.content, '\\s+', ' ', 'g')), 160) end",
        ),
        (
            "more unread texts than received since our last one",
            "select count(*) from conversations v
              where v.unread_count > (select count(*) from messages m
                     where m.conversation_id = v.id and m.direction = 'inbound'
                       and m.id > coalesce((select max(o.id::text)::uuid from messages o
                                             where o.conversation_id = v.id and o.direction = 'outbound' and o.status <> 'scheduled'), '00000000-0000-0000-0000-000000000000'))",
        ),
        (
            "a STOP without its opt-out",
            "select count(*) from messages m
              where (m.content = 'STOP' or m.error_code = '21610')
                and not exists (select from opt_outs o where o.contact_id = m.contact_id and o.number_id = m.number_id)",
        ),
        (
            "an opt-out without proof",
            "select count(*) from opt_outs o
              where not exists (select from messages m where m.contact_id = o.contact_id and m.number_id = o.number_id
                                   and o.proof in (m.content, m.error_code))",
        ),
        (
            "a queued text, or a due scheduled text",
            "select count(*) from messages
              where status in ('queued', 'sending') or lease_until is not null
                 or case when status = 'scheduled' then due_at <= now() or due_at <> scheduled_at or expires_at is not null else due_at is not null end",
        ),
        (
            "a failure without its reason, or a reason without failure",
            "select count(*) from messages
              where (status in ('failed', 'undelivered')) <> (error_code is not null and error_message is not null)",
        ),
        (
            "a time in the future",
            "select (select count(*) from messages where greatest(created_at, updated_at) > now())
                  + (select count(*) from conversations where greatest(created_at, updated_at, last_message_at) > now())
                  + (select count(*) from contacts where greatest(created_at, updated_at) > now())",
        ),
        (
            "a snooze that is over",
            "select count(*) from conversations where (status = 'snoozed') <> (snoozed_until is not null and snoozed_until > now())",
        ),
        (
            "ids in another order than times",
            "select count(*) from (select id, lag(id) over (partition by conversation_id order by created_at) as before from messages) t
              where before > id",
        ),
        (
            "two texts of a conversation at the same time",
            "select count(*) - count(distinct (conversation_id, created_at)) from messages",
        ),
        (
            "an agent active on a number without access",
            "select count(*) from (select number_id, assignee_id from conversations union
                                   select number_id, created_by from messages) t (number_id, user_id)
               join workspace_members w using (user_id)
              where w.role = 'agent'
                and not exists (select from number_members a where a.number_id = t.number_id and a.user_id = t.user_id)",
        ),
        (
            "media and message type disagree",
            "select count(*) from messages m
              where (m.message_type = 'media') <> exists (select from message_media d where d.message_id = m.id)",
        ),
        (
            "not exactly one default number",
            "select count(*) - 1 from numbers where is_default",
        ),
    ] {
        assert_eq!(count(&app, query).await, 0, "{wrong}");
    }
}

#[tokio::test]
async fn second_start_changes_nothing_and_prints_the_sign_in() {
    let app = fresh().await;
    let first = demo::seed(&app).await.unwrap().expect("a sign-in");
    const EVERYTHING: &str = "select count(*) + (select count(*) from users) + (select count(*) from messages) from conversations";
    let before = count(&app, EVERYTHING).await;

    let second = demo::seed(&app).await.unwrap().expect("the same sign-in");

    assert_eq!(
        second.password.expose_secret(),
        first.password.expose_secret()
    );
    assert_eq!(count(&app, EVERYTHING).await, before);

    sqlx::query("update users set password_hash = (select password_hash || 'x' from users where email = 'sam@harbor.test') where email = 'jo@harbor.test'")
        .execute(app.db.system_pool(Setup))
        .await
        .unwrap();
    assert!(
        demo::seed(&app).await.unwrap().is_none(),
        "a changed password is not printed"
    );
}

#[tokio::test]
async fn demo_password_is_random_where_others_can_connect() {
    let database = empty_database().await;
    let private = app(&database, &[]).await;
    let known = demo::seed(&private).await.unwrap().expect("a sign-in");
    let public = app(&database, &[("BASE_URL", "https://inbox.example.com")]).await;

    let changed = demo::seed(&public).await.unwrap().expect("a new sign-in");

    for email in [known.email, known.agents[0], known.agents[1]] {
        assert!(!opens(&public, email, &known).await, "{email}");
        assert!(opens(&public, email, &changed).await, "{email}");
    }
    assert!(
        demo::seed(&public).await.unwrap().is_none(),
        "the password is printed once"
    );
}

#[tokio::test]
async fn non_empty_database_is_not_seeded() {
    let app = fresh().await;
    accounts::create(
        &app.db,
        "ada@example.com",
        "Ada",
        accounts::new_password(),
        "Ada's",
        Role::Admin,
    )
    .await
    .unwrap();

    assert!(demo::seed(&app).await.unwrap().is_none());

    assert_eq!(count(&app, "select count(*) from users").await, 1);
    assert_eq!(count(&app, "select count(*) from numbers").await, 0);
}

#[tokio::test]
async fn concurrent_starts_seed_once() {
    let database = empty_database().await;
    let (one, other) = (app(&database, &[]).await, app(&database, &[]).await);

    let (first, second) = tokio::join!(demo::seed(&one), demo::seed(&other));

    assert!(first.unwrap().is_some() && second.unwrap().is_some());
    assert_eq!(count(&one, "select count(*) from workspaces").await, 1);
    assert_eq!(count(&one, "select count(*) from users").await, 3);
}

//! The schema stands in the files of `migrations/` and `db/functions/`, and nowhere else.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use messagehub::db::embedded::programs;
use messagehub::db::migrate;
use regex::Regex;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::hub::{bare_database, empty_database, superuser};
use crate::source_tree::{self, root};

/// Every function with its owner and rights, and every trigger, as text.
async fn functions_and_triggers(database: &PgConnectOptions) -> BTreeSet<String> {
    let mut owner = database.connect().await.unwrap();
    let found: Vec<String> = sqlx::query_scalar(
        "select pg_get_functiondef(p.oid) || ' -- ' || p.proowner::regrole
                || (select string_agg(' ' || a.grantee::regrole || '=' || a.privilege_type, '' order by a.grantee::regrole::text)
                      from aclexplode(p.proacl) a)
           from pg_proc p
          where p.pronamespace = 'public'::regnamespace
         union all
         select pg_get_triggerdef(t.oid) from pg_trigger t where not t.tgisinternal",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    owner.close().await.unwrap();
    found.into_iter().collect()
}

async fn run(database: &PgConnectOptions, sql: &str) {
    let mut owner = database.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut owner)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    owner.close().await.unwrap();
}

async fn count(database: &PgConnectOptions, sql: &str) -> i64 {
    let mut owner = database.connect().await.unwrap();
    let count = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(&mut owner)
        .await
        .unwrap();
    owner.close().await.unwrap();
    count
}

/// Name and text of each file of `db/functions/`.
fn files() -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(root().join("db/functions"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn every_function_has_a_file_of_its_name_and_every_file_its_function() {
    let database = empty_database().await;
    let mut owner = database.connect().await.unwrap();
    let mut functions: Vec<String> = sqlx::query_scalar(
        "select p.proname::text from pg_proc p
          where p.pronamespace = 'public'::regnamespace
            and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    functions.sort();
    let files: Vec<_> = files().into_iter().map(|(name, _)| name).collect();
    assert_eq!(functions, files);
    for migration in fs::read_dir(root().join("migrations")).unwrap() {
        let migration = migration.unwrap().path();
        let text = fs::read_to_string(&migration).unwrap().to_lowercase();
        if migration.extension().is_some_and(|is| is == "sql") {
            for statement in ["function", "procedure", "trigger"] {
                assert!(
                    !text.contains(&format!("create {statement}"))
                        && !text.contains(&format!("create or replace {statement}")),
                    "{} creates a {statement}: db/functions is the place for it",
                    migration.display()
                );
            }
        }
    }
}

#[tokio::test]
async fn applying_the_files_again_restores_the_functions_and_triggers_that_they_describe() {
    let database = empty_database().await;
    let as_migrated = functions_and_triggers(&database).await;
    assert!(as_migrated.len() > 100);
    run(
        &database,
        "create or replace function max_rows_scanned() returns integer language sql immutable parallel safe as 'select 1';
         create function max_rows_scanned(factor integer) returns integer language sql as 'select 2';
         drop trigger message_media_after_delete_queue_removal on message_media;
         create trigger removes_it after delete on tags for each row execute function queue_file_removal();
         grant execute on function default_send_rate to public",
    )
    .await;
    let changed = functions_and_triggers(&database).await;
    assert_eq!(changed.symmetric_difference(&as_migrated).count(), 7);

    migrate::run(&database).await.unwrap();
    assert_eq!(
        functions_and_triggers(&database).await,
        changed,
        "no file has changed: none is applied"
    );

    run(&database, "update schema_functions set hash = ''").await;
    migrate::run(&database).await.unwrap();
    assert_eq!(functions_and_triggers(&database).await, as_migrated);
}

#[tokio::test]
async fn a_function_whose_file_is_gone_is_dropped_with_its_triggers() {
    let database = empty_database().await;
    let as_migrated = functions_and_triggers(&database).await;
    run(
        &database,
        "create function former() returns trigger language plpgsql as 'begin return new; end';
         create trigger former before insert on tags for each row execute function former();
         create function another(id integer) returns integer language sql as 'select 1';
         insert into schema_functions (name, hash) values ('former', ''), ('another', '')",
    )
    .await;
    migrate::run(&database).await.unwrap();
    assert_eq!(functions_and_triggers(&database).await, as_migrated);
    assert_eq!(
        count(&database, "select count(*) from schema_functions").await,
        files().len() as i64
    );
}

#[tokio::test]
async fn a_function_that_is_used_is_not_dropped_and_nothing_else_changes() {
    let database = empty_database().await;
    run(
        &database,
        "create function former() returns integer language sql as 'select 1';
         create table uses_it (id integer default former());
         create function unused() returns integer language sql as 'select 1';
         insert into schema_functions (name, hash) values ('former', ''), ('unused', '');
         update schema_functions set hash = '' where name = 'max_rows_scanned'",
    )
    .await;
    let before = functions_and_triggers(&database).await;
    let error = migrate::run(&database).await.unwrap_err().to_string();
    assert!(
        error.contains("former") && error.contains("depend"),
        "{error}"
    );
    assert_eq!(functions_and_triggers(&database).await, before);
    let unapplied = "select count(*) from schema_functions where hash = ''";
    assert_eq!(count(&database, unapplied).await, 3);
}

/// A body in quotes is looked at when it is called: the files need no order. Here each is checked against the whole schema.
#[tokio::test]
async fn every_body_is_quoted_and_compiles() {
    let database = empty_database().await;
    let parsed = "select count(*) from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prosqlbody is not null";
    assert_eq!(count(&database, parsed).await, 0, "bodies without quotes");
    run(
        &database,
        "grant create on schema public to messagehub_system",
    )
    .await;
    for (_, sql) in files() {
        run(&database, &sql).await;
    }
}

/// By the extension plpgsql_check, where it is installed.
#[tokio::test]
async fn no_function_in_plpgsql_has_an_error() {
    let database = superuser(&empty_database().await);
    let available = "select count(*) from pg_available_extensions where name = 'plpgsql_check'";
    if count(&database, available).await == 0 {
        eprintln!("plpgsql_check is not installed: the functions are not checked");
        return;
    }
    let mut conn = database.connect().await.unwrap();
    sqlx::query("create extension plpgsql_check")
        .execute(&mut conn)
        .await
        .unwrap();
    assert_ne!(found(&mut conn, "broken").await, [""; 0], "it finds errors");
    assert_eq!(found(&mut conn, "").await, [""; 0]);
}

/// What plpgsql_check says about our functions, once for each of their triggers; with `broken`, about a function of that name.
async fn found(conn: &mut PgConnection, broken: &str) -> Vec<String> {
    let mut tx = conn.begin().await.unwrap();
    if !broken.is_empty() {
        let sql = format!(
            "create function {broken}() returns integer language plpgsql as 'begin return (select no_such_column from users); end'"
        );
        sqlx::query(AssertSqlSafe(sql))
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    sqlx::query_scalar(
        "select format('%s line %s: %s %s', f.oid::regprocedure, c.lineno, c.message, c.detail)
           from (select p.oid, coalesce(t.tgrelid, 0) as relation, t.tgoldtable, t.tgnewtable
                   from pg_proc p
                   join pg_language l on l.oid = p.prolang and l.lanname = 'plpgsql'
                   left join pg_trigger t on t.tgfoid = p.oid
                  where p.pronamespace = 'public'::regnamespace) f
          cross join lateral plpgsql_check_function_tb(f.oid, f.relation, oldtable => f.tgoldtable, newtable => f.tgnewtable) c
          where c.detail is distinct from 'cannot to determine result of dynamic SQL'",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap()
}

#[tokio::test]
async fn servers_that_start_together_migrate_one_after_the_other() {
    let database = bare_database().await;
    let (first, second, third) = tokio::join!(
        migrate::run(&database),
        migrate::run(&database),
        migrate::run(&database)
    );
    first.unwrap();
    second.unwrap();
    third.unwrap();
    assert_eq!(
        functions_and_triggers(&database).await,
        functions_and_triggers(&empty_database().await).await
    );
}

/// The build checks queries against a database that the scripts make.
#[tokio::test]
async fn the_scripts_and_the_server_make_the_same_schema() {
    let (by_server, by_script) = (bare_database().await, bare_database().await);
    migrate::run(&by_server).await.unwrap();
    let script = r#". bin/lib.sh
        psql_as() { "$(postgres_programs)/psql" "$DATABASE_URL" -Xqv ON_ERROR_STOP=1 "${@:3}" >/dev/null; }
        apply_schema"#;
    let output = Command::new("bash")
        .args(["-euc", script])
        .env("DATABASE_URL", url(&by_script))
        .current_dir(root())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
    similar(&dump(&by_server), &dump(&by_script));
}

/// As PostgreSQL's own programs take it: they refuse parameters that sqlx adds.
fn url(database: &PgConnectOptions) -> String {
    let mut url = database.to_url_lossy();
    url.set_query(None);
    url.into()
}

fn dump(database: &PgConnectOptions) -> String {
    let output = Command::new(programs().unwrap().join("pg_dump"))
        .args(["--schema-only", "--exclude-table=_sqlx_migrations"])
        .arg(url(&superuser(database)))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).unwrap()
}

/// Newer versions of pg_dump put a random word behind a backslash.
#[track_caller]
fn similar(left: &str, right: &str) {
    let statements = |dump: &str| -> Vec<String> {
        let lines = dump.lines().filter(|line| !line.starts_with('\\'));
        lines.map(str::to_owned).collect()
    };
    let (left, right) = (statements(left), statements(right));
    assert!(left.len() > 1000);
    for (left, right) in left.iter().zip(&right) {
        assert_eq!(left, right);
    }
    assert_eq!(left.len(), right.len());
}

/// Rust tells violations apart by the names of constraints, which PostgreSQL makes up from tables and columns.
#[tokio::test]
async fn every_constraint_that_the_code_names_exists() {
    let database = empty_database().await;
    let mut owner = database.connect().await.unwrap();
    let mut names: BTreeSet<String> = sqlx::query_scalar(
        "select conname::text from pg_constraint union select indexrelid::regclass::text from pg_index",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap()
    .into_iter()
    .collect();
    // Raised by functions.
    let raised = Regex::new("constraint = '([a-z_]+)'").unwrap();
    for (_, text) in files() {
        names.extend(raised.captures_iter(&text).map(|found| found[1].to_owned()));
    }
    let named = Regex::new(r#"on_constraint\(\s*"([a-z_]+)"|"([a-z][a-z_]+_fkey)""#).unwrap();
    let mut count = 0;
    for (file, text) in source_tree::files("src", &["rs"]) {
        for found in named.captures_iter(&text) {
            let name = found.get(1).or(found.get(2)).unwrap().as_str();
            assert!(
                names.contains(name),
                "{}: there is no {name}",
                file.display()
            );
            count += 1;
        }
    }
    assert!(count > 15, "found only {count}");
}

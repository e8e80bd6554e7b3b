//! The functions and triggers of the database. Each function stands with its triggers in a file of its own under
//! `db/functions/`, which is applied whenever its content changed.

use std::collections::HashMap;

use rust_embed::RustEmbed;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

/// A debug build reads the files when it runs, so a change needs no build.
#[derive(RustEmbed)]
#[folder = "db/functions"]
struct Files;

/// The first line of a function that a default, check or policy of a table calls: it must exist before the table.
const NEEDED: &str = "-- needed by migrations\n";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{name}.sql in db/functions failed, and all of them were rolled back: {source}")]
    Function { name: String, source: sqlx::Error },
    #[error("the functions of the database cannot be updated: {0}")]
    Database(#[from] sqlx::Error),
}

struct Function {
    name: String,
    sql: String,
    hash: [u8; 32],
}

impl Function {
    fn is_needed(&self) -> bool {
        self.sql.starts_with(NEEDED)
    }
}

/// Applies the changed functions that migrations need.
pub async fn apply_needed(conn: &mut PgConnection) -> Result<(), Error> {
    let applied = applied(conn).await?;
    let changed = changed(&applied, Function::is_needed);
    apply(conn, &changed, &[]).await
}

/// Applies all changed functions, and drops those whose file does not exist any more.
pub async fn apply_all(conn: &mut PgConnection) -> Result<(), Error> {
    let mut applied = applied(conn).await?;
    let changed = changed(&applied, |_| true);
    for function in files() {
        applied.remove(&function.name);
    }
    let gone: Vec<_> = applied.into_keys().collect();
    apply(conn, &changed, &gone).await
}

fn files() -> impl Iterator<Item = Function> {
    Files::iter().filter_map(|path| {
        let name = path.strip_suffix(".sql")?.to_owned();
        let file = Files::get(&path)?;
        Some(Function {
            name,
            sql: String::from_utf8_lossy(&file.data).into_owned(),
            hash: file.metadata.sha256_hash(),
        })
    })
}

fn changed(
    applied: &HashMap<String, Vec<u8>>,
    is_asked_for: impl Fn(&Function) -> bool,
) -> Vec<Function> {
    files()
        .filter(|function| is_asked_for(function))
        .filter(|function| applied.get(&function.name).map(Vec::as_slice) != Some(&function.hash))
        .collect()
}

/// The hashes of the files that were applied last, by name.
async fn applied(conn: &mut PgConnection) -> sqlx::Result<HashMap<String, Vec<u8>>> {
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as("select name, hash from schema_functions")
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().collect())
}

async fn apply(
    conn: &mut PgConnection,
    changed: &[Function],
    gone: &[String],
) -> Result<(), Error> {
    if changed.is_empty() && gone.is_empty() {
        return Ok(());
    }
    let mut tx = conn.begin().await?;
    // Without the check a body may call functions of other files, in any order. The owner of a function needs the right to
    // create one.
    sqlx::raw_sql(
        "set local check_function_bodies = off; set local client_min_messages = warning;
         grant create on schema public to messagehub_system",
    )
    .execute(&mut *tx)
    .await?;
    for function in changed {
        replace(&mut tx, function)
            .await
            .map_err(named(&function.name))?;
    }
    for name in gone {
        remove(&mut tx, name).await.map_err(named(name))?;
    }
    sqlx::raw_sql("revoke create on schema public from messagehub_system")
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

fn named(name: &str) -> impl FnOnce(sqlx::Error) -> Error {
    let name = name.to_owned();
    move |source| Error::Function { name, source }
}

async fn replace(conn: &mut PgConnection, function: &Function) -> sqlx::Result<()> {
    drop_triggers(conn, &function.name).await?;
    // So that its arguments and result may change. One that tables or policies depend on stays, and is replaced in place.
    let mut savepoint = conn.begin().await?;
    match drop_routines(&mut savepoint, &function.name).await {
        Ok(()) => savepoint.commit().await?,
        Err(error) if is_used(&error) => savepoint.rollback().await?,
        Err(error) => return Err(error),
    }
    sqlx::raw_sql(AssertSqlSafe(&*function.sql))
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "insert into schema_functions (name, hash) values ($1, $2)
             on conflict (name) do update set hash = excluded.hash",
    )
    .bind(&function.name)
    .bind(function.hash)
    .execute(conn)
    .await?;
    Ok(())
}

async fn remove(conn: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    drop_triggers(conn, name).await?;
    drop_routines(conn, name).await?;
    sqlx::query("delete from schema_functions where name = $1")
        .bind(name)
        .execute(conn)
        .await?;
    Ok(())
}

/// A trigger that was renamed or moved to another table in its file does not stay behind.
async fn drop_triggers(conn: &mut PgConnection, function: &str) -> sqlx::Result<()> {
    let drops: Vec<String> = sqlx::query_scalar(
        "select format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass)
           from pg_trigger t
           join pg_proc p on p.oid = t.tgfoid
          where p.pronamespace = 'public'::regnamespace and p.proname = $1 and not t.tgisinternal",
    )
    .bind(function)
    .fetch_all(&mut *conn)
    .await?;
    execute(conn, drops).await
}

/// All overloads.
async fn drop_routines(conn: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    let drops: Vec<String> = sqlx::query_scalar(
        "select format('drop routine %s', p.oid::regprocedure)
           from pg_proc p
          where p.pronamespace = 'public'::regnamespace and p.proname = $1",
    )
    .bind(name)
    .fetch_all(&mut *conn)
    .await?;
    execute(conn, drops).await
}

async fn execute(conn: &mut PgConnection, statements: Vec<String>) -> sqlx::Result<()> {
    for sql in statements {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

fn is_used(error: &sqlx::Error) -> bool {
    const DEPENDENT_OBJECTS_STILL_EXIST: &str = "2BP01";
    error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| code == DEPENDENT_OBJECTS_STILL_EXIST)
}

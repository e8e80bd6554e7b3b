//! Brings the schema up to date: the new files of `migrations/`, and the files of `db/functions/` that changed.
//! `migrations/README.md` says how to change either.

use sqlx::migrate::Migrate;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::functions;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// Creates the roles, to which every function gives rights.
const FOUNDATIONS: i64 = 1;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot reach the database: {0}")]
    Connect(sqlx::Error),
    #[error("a migration failed and was rolled back: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error(transparent)]
    Functions(#[from] functions::Error),
}

pub async fn run(options: &PgConnectOptions) -> Result<(), Error> {
    let mut conn = options.connect().await.map_err(Error::Connect)?;
    // Servers that start together do this one after the other. The migrator takes the same lock again, which a session may; the
    // lock ends with the connection.
    conn.lock().await?;
    MIGRATIONS.run_to(FOUNDATIONS, &mut conn).await?;
    functions::apply_needed(&mut conn).await?;
    MIGRATIONS.run(&mut conn).await?;
    functions::apply_all(&mut conn).await?;
    conn.close().await.map_err(Error::Connect)
}

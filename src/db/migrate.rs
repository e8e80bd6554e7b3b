//! Brings the schema up to date, one server at a time: sqlx holds an advisory lock while it works.

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot reach the database: {0}")]
    Connect(sqlx::Error),
    #[error("a migration failed and was rolled back: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

pub async fn run(options: &PgConnectOptions) -> Result<(), Error> {
    let mut conn = options.connect().await.map_err(Error::Connect)?;
    MIGRATIONS.run(&mut conn).await?;
    conn.close().await.map_err(Error::Connect)
}

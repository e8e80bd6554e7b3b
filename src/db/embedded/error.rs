//! Why the embedded PostgreSQL cannot be used.

use std::io;
use std::path::{Path, PathBuf};

/// Each is printed as one line: what is wrong, and how to correct it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "PostgreSQL's programs are not installed: {install}, or set DATABASE_URL to a server of your own"
    )]
    Missing { install: &'static str },

    #[error(
        "PostgreSQL {found} in {} is too old, 14 or newer is needed: {install}, or set DATABASE_URL to a newer server",
        programs.display()
    )]
    TooOld {
        found: u32,
        programs: PathBuf,
        install: &'static str,
    },

    #[error(
        "{} was made by PostgreSQL {made_by}, but only PostgreSQL {found} is installed: install version {made_by} beside it, or move the data with pg_upgrade",
        dir.display()
    )]
    OtherMajor {
        dir: PathBuf,
        made_by: String,
        found: u32,
    },

    #[error(
        "another server already runs on {}: stop it, or set DATA_DIR to a directory of this one's own",
        dir.display()
    )]
    InUse { dir: PathBuf },

    #[error(
        "cannot use {}: {source}; make it writable for this user, or set DATA_DIR to another directory",
        path.display()
    )]
    Unusable { path: PathBuf, source: io::Error },

    #[error(
        "PostgreSQL does not run as root, and there is no account `postgres` or `nobody` to run it as: create one"
    )]
    NoAccount,

    #[error("{program} failed: {reason}")]
    Program { program: String, reason: String },

    #[error("PostgreSQL did not start: {reason} (more in {})", log.display())]
    NotStarted { reason: String, log: PathBuf },

    #[error("PostgreSQL started, but refused the login with {}: {source}", password.display())]
    LoginRefused {
        password: PathBuf,
        source: sqlx::Error,
    },
}

pub type Result<T> = std::result::Result<T, Error>;

pub(super) fn unusable(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Unusable { path, source }
}

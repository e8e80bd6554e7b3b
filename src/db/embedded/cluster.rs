//! The cluster on disk: location, ownership, creation.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::{Pid, Uid, User};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::fail_point;

use super::error::{Error, Result, unusable};
use super::programs;

pub(super) const LOGIN: &str = "messagehub";
pub(super) const DATABASE: &str = "messagehub";

/// Part of the socket's file name; PostgreSQL does not listen on TCP.
pub(super) const PORT: u16 = 5432;

/// The longest socket path that all systems accept.
const SOCKET_PATH_MAX: usize = 103;

/// Parent of clusters whose `DATA_DIR` PostgreSQL's account cannot reach.
const FALLBACK_DIR: &str = "/var/lib/messagehub";

/// Suffix of a cluster's directory during its creation, followed by a random number.
const STAGING: &str = "new";

pub(super) struct Cluster {
    pub dir: PathBuf,
    pub socket_dir: PathBuf,
    pub log: PathBuf,
    pub password: String,
    pub password_file: PathBuf,
    pub settings: Vec<(String, String)>,
    programs: PathBuf,
    account: Option<User>,
}

impl Cluster {
    pub async fn open(data_dir: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let link = data_dir.join("postgres");
        let account = account(&link)?;
        let created_by = read_optional(&link.join("PG_VERSION"))?;
        let programs = match &created_by {
            Some(version) => programs::programs_for(&link, version.trim())?,
            None => programs::programs()?,
        };
        let dir = locate(&link, &programs, account.as_ref())?;
        let password_file = data_dir.join("postgres.password");

        let cluster = Self {
            socket_dir: socket_dir(&dir, data_dir, account.as_ref())?,
            log: data_dir.join("postgres.log"),
            password: read_optional(&password_file)?
                .filter(|it| !it.is_empty())
                .unwrap_or_else(random_password),
            password_file,
            settings: settings
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            dir,
            programs,
            account,
        };
        cluster.remove_incomplete().await;
        if created_by.is_none() {
            cluster.create().await?;
        }
        Ok(cluster)
    }

    /// Sets a new password if the password file is missing, for example after a backup without it.
    pub async fn restore_password(&self) -> Result<()> {
        if read_optional(&self.password_file)?.is_some_and(|it| !it.is_empty()) {
            return Ok(());
        }
        tracing::warn!(file = %self.password_file.display(), "PostgreSQL's password file is missing: setting a new password");
        let password = &self.password;
        let sql = format!(
            "alter role {LOGIN} password '{password}'\nalter role postgres password '{password}'\n"
        );
        self.remove_stale_pid_files();
        self.run_single_user(&self.dir, &sql).await?;
        write_private(&self.password_file, password)
    }

    /// Removes stale pid files. After a crash they stay, and PostgreSQL refuses to start if their pid belongs to another
    /// process by now. We hold the directory's lock and nothing listens, so they are stale. PostgreSQL detects surviving
    /// backends by their shared memory.
    pub fn remove_stale_pid_files(&self) {
        for (dir, name) in [
            (&self.dir, "postmaster.pid".to_owned()),
            (&self.socket_dir, format!(".s.PGSQL.{PORT}.lock")),
        ] {
            let path = dir.join(name);
            let pid = fs::read_to_string(&path).ok().and_then(|text| {
                let pid = text.lines().next()?.trim();
                pid.trim_start_matches('-').parse().ok() // negative in single-user mode
            });
            if pid.is_some_and(|pid| kill(Pid::from_raw(pid), None).is_ok()) {
                let _ = fs::remove_file(path); // on failure PostgreSQL reports the reason
            }
        }
    }

    /// A PostgreSQL program under PostgreSQL's account, in its own process group (Ctrl-C in a terminal must reach only
    /// the server, which stops PostgreSQL in order), and without our environment, which holds secrets.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command
            .env_clear()
            .envs([("LC_ALL", "C"), ("TZ", "UTC")])
            .current_dir("/")
            .stdin(Stdio::null())
            .process_group(0);
        if let Some(account) = &self.account {
            command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
        }
        command
    }

    /// Creates the cluster in a staging directory and renames it, so that a crash leaves no partial cluster.
    async fn create(&self) -> Result<()> {
        tracing::info!(dir = %self.dir.display(), "creating a PostgreSQL cluster");
        write_private(&self.password_file, &self.password)?;
        // A random name: programs of a server killed earlier may still write to their staging directory.
        let name = format!("{STAGING}-{:016x}", rand::random::<u64>());
        let staging = self.dir.with_extension(name);
        // An empty directory is replaced; anything else fails.
        ignore_not_found(fs::remove_dir(&self.dir)).map_err(unusable(&self.dir))?;
        self.private_dir(&staging)?;
        let fresh = staging.join("cluster");

        self.initdb(&fresh, &staging.join("password")).await?;
        let login = format!(
            "create role {LOGIN} login createdb createrole password '{}'\n\
             create database {DATABASE} owner {LOGIN}\n",
            self.password
        );
        self.run_single_user(&fresh, &login).await?;

        let parent = self.dir.parent().unwrap_or(Path::new("/"));
        fs::rename(&fresh, &self.dir)
            .and_then(|()| File::open(parent)?.sync_all())
            .and_then(|()| fs::remove_dir_all(&staging))
            .map_err(unusable(&self.dir))
    }

    /// Removes staging directories of servers that were killed. Their programs may still write for a moment; what
    /// cannot be removed is left to the next start.
    async fn remove_incomplete(&self) {
        for directory in self.incomplete_clusters() {
            let mut tries = 0;
            while let Err(error) = ignore_not_found(fs::remove_dir_all(&directory)) {
                tries += 1;
                if tries == 10 {
                    tracing::warn!(%error, dir = %directory.display(), "an incomplete cluster cannot be removed yet");
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    fn incomplete_clusters(&self) -> Vec<PathBuf> {
        let parent = self.dir.parent().unwrap_or(Path::new("/"));
        let prefix = self.dir.with_extension(STAGING);
        let Some(prefix) = prefix.file_name().and_then(|name| name.to_str()) else {
            return Vec::new();
        };
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        entries
            .filter(|entry| {
                let name = entry.file_name();
                name.to_str().is_some_and(|name| name.starts_with(prefix))
            })
            .map(|entry| entry.path())
            .collect()
    }

    async fn initdb(&self, fresh: &Path, password_file: &Path) -> Result<()> {
        write_private(password_file, &self.password)?;
        self.chown_to_account(password_file)?;
        let mut refused = None;
        // Code point order does not change with system upgrades; UTF-8 character classes if the system has such a
        // locale.
        for (collate, ctype) in [("C.UTF-8", "C.UTF-8"), ("C", "en_US.UTF-8"), ("C", "C")] {
            let mut initdb = self.program("initdb");
            initdb
                .args(["--username=postgres", "--encoding=UTF8", "--data-checksums"])
                .args(["--auth-local=scram-sha-256", "--auth-host=scram-sha-256"])
                .arg(format!("--lc-collate={collate}"))
                .arg(format!("--lc-ctype={ctype}"))
                .arg(path_option("--pwfile=", password_file))
                .arg(path_option("--pgdata=", fresh));
            if self.settings.contains(&("fsync".into(), "off".into())) {
                initdb.arg("--no-sync");
            }
            match run(initdb, "initdb", "").await {
                Err(Error::Program { program, reason }) if reason.contains("locale") => {
                    refused = Some(Error::Program { program, reason });
                }
                done => return done,
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Runs `sql`, one statement per line, in PostgreSQL's single-user mode; the cluster must not be running.
    async fn run_single_user(&self, dir: &Path, sql: &str) -> Result<()> {
        let mut postgres = self.program("postgres");
        postgres.arg("--single").arg("-D").arg(dir);
        postgres.args(["-c", "log_statement=none", "postgres"]);
        run(postgres, "postgres --single", sql).await
    }

    fn private_dir(&self, path: &Path) -> Result<()> {
        fs::DirBuilder::new()
            .mode(0o700)
            .create(path)
            .map_err(unusable(path))?;
        self.chown_to_account(path)
    }

    fn chown_to_account(&self, path: &Path) -> Result<()> {
        chown_to_account(path, self.account.as_ref()).map_err(unusable(path))
    }
}

/// The account for PostgreSQL, which refuses to run as root: the cluster's owner, else `postgres` or `nobody`.
fn account(dir: &Path) -> Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let owner = fs::metadata(dir)
        .ok()
        .map(|it| Uid::from_raw(it.uid()))
        .filter(|uid| !uid.is_root())
        .and_then(|uid| User::from_uid(uid).ok()?);
    let named = |name| User::from_name(name).ok().flatten();
    owner
        .or_else(|| named("postgres"))
        .or_else(|| named("nobody"))
        .map(Some)
        .ok_or(Error::NoAccount)
}

/// `link`, or its target if PostgreSQL's account could not reach `link` when the cluster was created.
fn locate(link: &Path, programs: &Path, account: Option<&User>) -> Result<PathBuf> {
    if let Ok(elsewhere) = fs::read_link(link) {
        return Ok(elsewhere);
    }
    let Some(account) = account else {
        return Ok(link.to_owned());
    };
    if link.exists() || can_access(account, programs, link.parent().unwrap_or(link)) {
        return Ok(link.to_owned());
    }
    let elsewhere = Path::new(FALLBACK_DIR).join(format!("{:016x}", rand::random::<u64>()));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(FALLBACK_DIR)
        .and_then(|()| symlink(&elsewhere, link))
        .map_err(unusable(Path::new(FALLBACK_DIR)))?;
    tracing::info!(
        account = account.name,
        dir = %elsewhere.display(),
        link = %link.display(),
        "the account that runs PostgreSQL cannot reach the data directory: the cluster is in another directory, behind a symlink"
    );
    Ok(elsewhere)
}

/// Tests access by running a program as that account in that directory.
fn can_access(account: &User, programs: &Path, dir: &Path) -> bool {
    use std::os::unix::process::CommandExt;
    std::process::Command::new(programs.join("postgres"))
        .arg("--version")
        .current_dir(dir)
        .stdout(Stdio::null())
        .uid(account.uid.as_raw())
        .gid(account.gid.as_raw())
        .status()
        .is_ok_and(|status| status.success())
}

/// The cluster's directory, unless its path is too long for a socket.
fn socket_dir(dir: &Path, data_dir: &Path, account: Option<&User>) -> Result<PathBuf> {
    let socket = dir.join(format!(".s.PGSQL.{PORT}"));
    if socket
        .to_str()
        .is_some_and(|path| path.len() <= SOCKET_PATH_MAX)
    {
        return Ok(dir.to_owned());
    }
    let short = fs::metadata(data_dir)
        .map(|it| PathBuf::from(format!("/tmp/messagehub-{:x}-{:x}", it.dev(), it.ino())))
        .map_err(unusable(data_dir))?;
    let made = match fs::DirBuilder::new().mode(0o700).create(&short) {
        Ok(()) => chown_to_account(&short, account),
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Err(_) => Ok(()),
    };
    // /tmp is shared: another user may have created the directory to impersonate PostgreSQL.
    let owner = account.map_or(Uid::effective(), |it| it.uid);
    let ours = made.and_then(|()| fs::symlink_metadata(&short));
    match ours {
        Ok(it) if it.is_dir() && it.uid() == owner.as_raw() && it.mode() & 0o077 == 0 => Ok(short),
        Ok(_) => Err(unusable(&short)(io::ErrorKind::PermissionDenied.into())),
        Err(error) => Err(unusable(&short)(error)),
    }
}

fn chown_to_account(path: &Path, account: Option<&User>) -> io::Result<()> {
    match account {
        Some(account) => chown(path, Some(account.uid.as_raw()), Some(account.gid.as_raw())),
        None => Ok(()),
    }
}

/// Runs a program with `input` on its standard input. Fails on an exit status, or an error message on standard error.
async fn run(mut command: Command, name: &str, input: &str) -> Result<()> {
    let failed = |reason: String| Error::Program {
        program: name.to_owned(),
        reason,
    };
    let attempt = async {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if name == "initdb" {
            // Long enough for initdb to be in progress.
            fail_point::abort_after("while the cluster is made", Duration::from_millis(300)).await;
        }
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(input.as_bytes()).await; // a failure is reported below
        }
        child.wait_with_output().await
    };
    let output = attempt.await.map_err(|error| failed(error.to_string()))?;
    let output_text = String::from_utf8_lossy(&output.stderr);
    // Single-user mode exits with 0 after an error.
    let error_line = programs::error_line(&output_text);
    if output.status.success() && error_line.is_none() {
        return Ok(());
    }
    let reason = error_line.or(output_text.lines().next_back());
    Err(failed(reason.unwrap_or("it gave no reason").to_owned()))
}

fn read_optional(path: &Path) -> Result<Option<String>> {
    ignore_not_found(fs::read_to_string(path)).map_err(unusable(path))
}

fn ignore_not_found<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_private(path: &Path, secret: &str) -> Result<()> {
    private_file()
        .truncate(true)
        .open(path)
        .and_then(|mut file| file.write_all(secret.as_bytes()).and(file.sync_all()))
        .map_err(unusable(path))
}

pub(super) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).write(true).mode(0o600);
    options
}

fn random_password() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn path_option(option: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(option);
    argument.push(path);
    argument
}

//! The server binary as a process of its own: started, stopped and killed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;

/// A data directory that PostgreSQL's user may traverse.
pub struct DataDir(tempfile::TempDir);

impl DataDir {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o711)).unwrap();
        Self(dir)
    }

    pub fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    pub fn postmaster(&self) -> nix::unistd::Pid {
        let file = std::fs::read_to_string(self.data().join("postgres/postmaster.pid")).unwrap();
        nix::unistd::Pid::from_raw(file.lines().next().unwrap().parse().unwrap())
    }
}

/// Runs a server until it aborts at the fail point that `DIES_AT` names.
pub async fn run_until_abort(data: &Path, settings: &[(&str, &str)]) {
    let mut child = tokio::process::Command::from(command(data, settings))
        .env("BIND_ADDR", free_address())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let end = tokio::time::timeout(Duration::from_secs(60), child.wait()).await;
    let end = end.expect("the fail point is reached").unwrap();
    assert_eq!(end.signal(), Some(6), "it did not abort: {end}");
}

pub struct Process {
    child: Child,
    pub address: String,
    log: Option<PathBuf>,
}

/// A free port, chosen before the start because BASE_URL has to name it.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn command(data: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_messagehub"));
    let environment: HashMap<_, _> = std::env::vars_os()
        .filter(|(name, _)| name == "PATH" || name == "HOME")
        .collect();
    command
        .env_clear()
        .envs(environment)
        .env("DATA_DIR", data)
        .env("SIGNUPS", "open")
        .env("RUST_LOG", "warn");
    command.envs(settings.iter().copied());
    command
        .current_dir(data.parent().unwrap())
        .stdin(Stdio::null());
    command
}

pub fn run(data: &Path, arguments: &[&str], settings: &[(&str, &str)], stdin: &str) -> Output {
    let mut child = command(data, settings)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(stdin.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

impl Process {
    /// Returns when the server listens.
    pub fn start(data: &Path, settings: &[(&str, &str)]) -> Self {
        Self::start_at(&free_address(), data, settings)
    }

    pub fn start_logging(data: &Path, settings: &[(&str, &str)]) -> Self {
        let file = data.with_extension("log");
        let log = std::fs::File::create(&file).unwrap();
        let mut process = Self::start_with(&free_address(), data, settings, log.into());
        process.log = Some(file);
        process
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.as_ref().unwrap()).unwrap()
    }

    pub fn start_limited(files: u32, data: &Path, settings: &[(&str, &str)]) -> Self {
        let server = command(data, settings);
        let mut limited = Command::new("sh");
        limited
            .args(["-c", &format!("ulimit -n {files} && exec \"$0\"")])
            .arg(server.get_program())
            .env_clear()
            .envs(
                server
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .current_dir(data.parent().unwrap())
            .stdin(Stdio::null());
        Self::spawn(limited, &free_address(), Stdio::inherit())
    }

    /// Starts a server whose output pipes are closed; it may not listen yet.
    pub fn start_with_closed_output(data: &Path, settings: &[(&str, &str)]) -> Self {
        let address = free_address();
        let mut child = command(data, settings)
            .env("BIND_ADDR", &address)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        Self {
            child,
            address,
            log: None,
        }
    }

    pub fn start_and_kill(data: &Path, after: Duration) {
        let mut child = command(data, &[])
            .env("BIND_ADDR", free_address())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn start_at(address: &str, data: &Path, settings: &[(&str, &str)]) -> Self {
        Self::start_with(address, data, settings, Stdio::inherit())
    }

    fn start_with(address: &str, data: &Path, settings: &[(&str, &str)], log: Stdio) -> Self {
        Self::spawn(command(data, settings), address, log)
    }

    fn spawn(mut command: Command, address: &str, log: Stdio) -> Self {
        let mut child = command
            .env("BIND_ADDR", address)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        assert!(
            line.contains("MessageHub is at"),
            "the server did not start: {line}"
        );
        std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
        Self {
            child,
            address: address.into(),
            log: None,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(self.pid(), signal).unwrap();
    }

    /// Ends the server without a graceful stop.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM; returns the exit code and the duration.
    pub fn terminate(mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        self.signal(nix::sys::signal::Signal::SIGTERM);
        (self.child.wait().unwrap().code(), began.elapsed())
    }

    fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

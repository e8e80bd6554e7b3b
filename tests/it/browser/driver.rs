//! One chromedriver per process. A watchdog ends it and its browsers with this process.

use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Concurrent browsers: each has a dozen processes.
static BROWSERS: Semaphore = Semaphore::const_new(2);

pub struct Driver {
    url: String,
    dir: PathBuf,
    /// Sessions run on their own runtime: a test's runtime may have ended before the session is closed.
    pub runtime: Handle,
}

static DRIVER: LazyLock<Driver> = LazyLock::new(|| {
    let dir = tempfile::Builder::new()
        .prefix("messagehub-browsers-")
        .tempdir()
        .unwrap()
        .keep();
    let (mut chromedriver, output, port) = std::iter::repeat_with(start_chromedriver)
        .take(5)
        .flatten()
        .next()
        .expect("chromedriver printed no port");
    watch(chromedriver.id(), &dir);
    let (ready, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        ready.send(runtime.handle().clone()).unwrap();
        // Drains stdout, or chromedriver blocks on a full pipe.
        runtime.spawn_blocking(move || {
            output.for_each(drop);
            chromedriver.wait()
        });
        runtime.block_on(std::future::pending::<()>());
    });
    Driver {
        url: format!("http://127.0.0.1:{port}"),
        dir,
        runtime: started.recv().unwrap(),
    }
});

/// Returns none where it ended at once: it takes a free IPv4 port, which may be taken for IPv6.
fn start_chromedriver() -> Option<(Child, Lines<BufReader<ChildStdout>>, u16)> {
    let mut chromedriver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("chromedriver is not installed; bin/test installs it");
    let mut output = BufReader::new(chromedriver.stdout.take().unwrap()).lines();
    let port = output.find_map(|line| {
        let line = line.unwrap();
        let (_, port) = line.split_once("successfully on port ")?;
        port.trim_end_matches('.').parse::<u16>().ok()
    });
    if port.is_none() {
        chromedriver.wait().unwrap();
    }
    Some((chromedriver, output, port?))
}

/// When this process ends, its end of the pipe closes and the watchdog kills chromedriver's process group.
#[expect(
    clippy::zombie_processes,
    reason = "the watchdog must outlive this process"
)]
fn watch(group: u32, dir: &Path) {
    let script = r#"read _; kill -s TERM -- "-$0"; sleep 1; kill -s KILL -- "-$0"; rm -rf "$1""#;
    let watchdog = Command::new("sh")
        .args(["-c", script, &group.to_string()])
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    std::mem::forget(watchdog.stdin);
}

pub async fn driver() -> &'static Driver {
    tokio::task::spawn_blocking(|| &*DRIVER).await.unwrap()
}

/// Waits for permits to start `browsers` browsers. Two permits are acquired together to avoid a deadlock.
pub async fn permits(browsers: u32) -> SemaphorePermit<'static> {
    BROWSERS.acquire_many(browsers).await.unwrap()
}

impl Driver {
    pub async fn open(&'static self) -> Client {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let profile = self
            .dir
            .join(COUNT.fetch_add(1, Ordering::Relaxed).to_string());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--disable-extensions",
            "--disable-sync",
            "--no-default-browser-check",
            "--no-first-run",
            "--lang=en-US",
            // Emulates a mouse on any machine.
            "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4",
            "--window-size=1440,900",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let capabilities = json!({
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"pageLoad": 30_000, "script": 30_000},
        });
        let serde_json::Value::Object(capabilities) = capabilities else {
            unreachable!("`capabilities` is an object")
        };
        let opening = self.runtime.spawn(async move {
            ClientBuilder::new(HttpConnector::new())
                .capabilities(Capabilities::from_iter(capabilities))
                .connect(&self.url)
                .await
        });
        opening
            .await
            .unwrap()
            .expect("chromedriver could not start Chromium")
    }
}

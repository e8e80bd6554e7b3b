//! Drives a browser: opens pages, reads, types, clicks.
//!
//! Each assertion waits until it holds or fails after WAIT_TIMEOUT. Unexpected errors in the console fail the test. A
//! failed test prints the text of the page and saves a screenshot.

mod circumstances;

use std::panic::Location;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use fantoccini::Client;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::{Element, ElementRef};
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tokio::sync::SemaphorePermit;

use super::driver::{driver, permits};
use crate::hub::PASSWORD;

const WAIT_TIMEOUT: Duration = Duration::from_secs(40);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

type BoxFuture<'a, T = ()> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

pub struct Browser {
    client: Client,
    base: String,
    /// Console errors that the test expects.
    expected_errors: Mutex<Vec<&'static str>>,
    _permit: SemaphorePermit<'static>,
}

impl Browser {
    pub async fn start(base: &str) -> Self {
        Self::with_permit(base, permits(1).await).await
    }

    pub async fn pair(base: &str) -> (Self, Self) {
        let mut permit = permits(2).await;
        let other = permit.split(1).unwrap();
        tokio::join!(
            Self::with_permit(base, permit),
            Self::with_permit(base, other)
        )
    }

    async fn with_permit(base: &str, permit: SemaphorePermit<'static>) -> Self {
        Self {
            client: driver().await.open().await,
            base: base.into(),
            expected_errors: Mutex::default(),
            _permit: permit,
        }
    }

    /// Allows console errors that contain `error`.
    pub fn expects_console(&self, error: &'static str) -> &Self {
        self.expected_errors.lock().unwrap().push(error);
        self
    }

    pub async fn opens(&self, path: &str) {
        let url = format!("{}{path}", self.base);
        self.client.goto(&url).await.unwrap();
    }

    pub async fn reloads(&self) {
        self.client.refresh().await.unwrap();
    }

    pub async fn goes_back(&self) {
        self.client.back().await.unwrap();
    }

    pub async fn signs_in(&self, email: &str) {
        self.opens("/login").await;
        self.fills("Email", email).await;
        self.fills("Password", PASSWORD).await;
        self.clicks("Sign in").await;
        self.is_at("/inbox").await;
    }

    /// Waits until the URL contains `part`.
    #[track_caller]
    pub fn is_at<'a>(&'a self, part: &'a str) -> BoxFuture<'a> {
        let script = "return document.readyState === 'complete' && (location.pathname + location.search + location.hash).includes(arguments[0])";
        self.wait(format!("the URL contains {part}"), script, json!([part]))
    }

    #[track_caller]
    pub fn sees<'a>(&'a self, text: &'a str) -> BoxFuture<'a> {
        self.sees_in("body", text)
    }

    #[track_caller]
    pub fn sees_in<'a>(&'a self, selector: &'a str, text: &'a str) -> BoxFuture<'a> {
        let script = visible(
            "return [...document.querySelectorAll(arguments[0])].some((it) => isVisible(it) && textOf(it).includes(arguments[1]))",
        );
        self.wait(
            format!("“{text}” is visible in {selector}"),
            &script,
            json!([selector, text]),
        )
    }

    /// Waits until `text` is not visible in `selector`. Passes at once if it never was: show first that it could be.
    #[track_caller]
    pub fn sees_no<'a>(&'a self, selector: &'a str, text: &'a str) -> BoxFuture<'a> {
        let script = visible(
            "return ![...document.querySelectorAll(arguments[0])].some((it) => isVisible(it) && textOf(it).includes(arguments[1]))",
        );
        self.wait(
            format!("“{text}” is gone from {selector}"),
            &script,
            json!([selector, text]),
        )
    }

    /// Waits until an element of `selector` is visible.
    #[track_caller]
    pub fn finds<'a>(&'a self, selector: &'a str) -> BoxFuture<'a> {
        self.wait(
            format!("{selector} is visible"),
            &visible("return isAnyVisible(arguments[0])"),
            json!([selector]),
        )
    }

    /// Waits until no element of `selector` is visible. Passes at once if none ever was.
    #[track_caller]
    pub fn finds_no<'a>(&'a self, selector: &'a str) -> BoxFuture<'a> {
        self.wait(
            format!("{selector} is gone"),
            &visible("return !isAnyVisible(arguments[0])"),
            json!([selector]),
        )
    }

    #[track_caller]
    pub fn has_title<'a>(&'a self, title: &'a str) -> BoxFuture<'a> {
        self.wait(
            format!("the title is “{title}”"),
            "return document.title === arguments[0]",
            json!([title]),
        )
    }

    /// Waits until the JavaScript expression `condition` is truthy. `what` describes it in the failure.
    #[track_caller]
    pub fn waits_until<'a>(&'a self, what: &'a str, condition: &'a str) -> BoxFuture<'a> {
        self.wait(
            what.to_owned(),
            &format!("return Boolean({condition})"),
            json!([]),
        )
    }

    /// Evaluates a JavaScript expression.
    pub async fn evaluates(&self, script: &str) -> Value {
        self.ask(&format!("return {script}"), json!([]))
            .await
            .unwrap()
    }

    /// Clicks the button, label or summary of this name.
    #[track_caller]
    pub fn clicks<'a>(&'a self, name: &'a str) -> BoxFuture<'a> {
        self.click("button, summary, label, [role=button]", name)
    }

    /// Clicks the link of this name.
    #[track_caller]
    pub fn follows<'a>(&'a self, name: &'a str) -> BoxFuture<'a> {
        self.click("a[href]", name)
    }

    /// Replaces the content of the field with this label.
    #[track_caller]
    pub fn fills<'a>(&'a self, label: &'a str, text: &'a str) -> BoxFuture<'a> {
        let script = visible("
            const labels = [...document.querySelectorAll('label')].filter((it) => named(it, arguments[0])).map((it) => it.control)
            const own = [...document.querySelectorAll('input, textarea')].filter((it) => it.getAttribute('aria-label')?.startsWith(arguments[0]))
            const field = [...labels, ...own].find((it) => it && isVisible(it))
            field?.focus(); field?.select()
            return document.activeElement === field");
        let there = self.wait(
            format!("the field “{label}” is visible"),
            &script,
            json!([label]),
        );
        Box::pin(async move {
            there.await;
            self.types(text).await;
        })
    }

    /// Selects an option of the list with this label, with the events of a keyboard selection.
    #[track_caller]
    pub fn chooses<'a>(&'a self, label: &'a str, option: &'a str) -> BoxFuture<'a> {
        let script = visible("
            const labels = [...document.querySelectorAll('label')].filter((it) => named(it, arguments[0])).map((it) => it.control)
            const own = [...document.querySelectorAll('select')].filter((it) => it.getAttribute('aria-label')?.startsWith(arguments[0]))
            const field = [...labels, ...own].find((it) => it?.matches('select') && isVisible(it))
            const option = field && [...field.options].find((it) => it.text.trim() === arguments[1])
            if (!option) return false
            field.focus(); option.selected = true
            for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, { bubbles: true }))
            return true");
        self.wait(
            format!("“{option}” is in the list “{label}”"),
            &script,
            json!([label, option]),
        )
    }

    /// Types into the focused element, key by key.
    pub async fn types(&self, text: &str) {
        let keys = text
            .chars()
            .fold(KeyActions::new("keyboard".into()), |keys, value| {
                keys.then(KeyAction::Down { value })
                    .then(KeyAction::Up { value })
            });
        self.client.perform_actions(keys).await.unwrap();
    }

    /// Presses `value` while `hold` is down.
    pub async fn chord(&self, hold: Key, value: char) {
        let hold = char::from(hold);
        let keys = KeyActions::new("keyboard".into())
            .then(KeyAction::Down { value: hold })
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value })
            .then(KeyAction::Up { value: hold });
        self.client.perform_actions(keys).await.unwrap();
    }

    pub async fn presses(&self, key: Key) {
        self.types(&char::from(key).to_string()).await;
    }

    /// Presses Tab until the control of this name has a visible focus.
    #[track_caller]
    pub fn tabs_to<'a>(&'a self, name: &'a str) -> BoxFuture<'a> {
        let at = Location::caller();
        Box::pin(async move {
            for _ in 0..40 {
                self.presses(Key::Tab).await;
                if self.shows_its_focus().await.contains(name) {
                    return;
                }
            }
            panic!("{at}: 40 Tabs did not reach “{name}”");
        })
    }

    /// The name of the focused element. Waits until its focus is visible, after transitions.
    pub async fn shows_its_focus(&self) -> String {
        let script = visible("
            const it = document.activeElement
            if (it === document.body || it === document.documentElement) return ['', true]
            const marked = (it) => getComputedStyle(it).outlineStyle !== 'none' || getComputedStyle(it).boxShadow !== 'none'
            const around = it.parentElement.closest('form, label')
            const shows = it.matches(':focus-visible') && [it, ...it.children, ...(around ? [around] : [])].some(marked)
            return [it.labels?.length ? textOf(it.labels[0]) : nameOf(it), shows]");
        let since = Instant::now();
        loop {
            let answer = self.ask(&script, json!([])).await.unwrap();
            let name = answer[0].as_str().unwrap().to_owned();
            if answer[1] == true {
                return name;
            }
            assert!(
                since.elapsed() < WAIT_TIMEOUT,
                "“{name}” has no visible focus"
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    #[track_caller]
    pub fn has_focus_on<'a>(&'a self, name: &'a str) -> BoxFuture<'a> {
        let script = visible("return named(document.activeElement, arguments[0])");
        self.wait(format!("“{name}” has the focus"), &script, json!([name]))
    }

    /// Switches to the window of this index, in the order of opening.
    pub async fn switches_to_window(&self, index: usize) {
        let since = Instant::now();
        loop {
            let windows = self.client.windows().await.unwrap();
            if let Some(window) = windows.into_iter().nth(index) {
                return self.client.switch_to_window(window).await.unwrap();
            }
            assert!(
                since.elapsed() < WAIT_TIMEOUT,
                "window {index} did not open"
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    pub async fn source(&self) -> String {
        self.client.source().await.unwrap()
    }

    #[track_caller]
    fn click<'a>(&'a self, kind: &'static str, name: &'a str) -> BoxFuture<'a> {
        let at = Location::caller();
        Box::pin(async move {
            let script = visible("
                const all = [...document.querySelectorAll(arguments[0])].filter(isVisible)
                // A row under the pointer has actions of the same names.
                const others = all.filter((it) => !it.closest('.row-acts'))
                const among = (them) => them.find((it) => nameOf(it) === arguments[1]) ?? them.find((it) => named(it, arguments[1]))
                return among(others) ?? among(all) ?? null");
            let since = Instant::now();
            loop {
                let found = self.ask(&script, json!([kind, name])).await;
                let reason = match found.map(|found| self.element(&found)) {
                    // The element may be replaced or moving: retried.
                    Ok(Some(element)) => match element.click().await {
                        Ok(()) => return,
                        Err(error) => error.to_string(),
                    },
                    Ok(None) => "not found".into(),
                    Err(error) => error.to_string(),
                };
                assert!(
                    since.elapsed() < WAIT_TIMEOUT,
                    "{at}: cannot click “{name}”: {reason}"
                );
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        })
    }

    fn element(&self, found: &Value) -> Option<Element> {
        let (_, id) = found.as_object()?.iter().next()?;
        let id = ElementRef::from(id.as_str()?.to_owned());
        Some(Element::from_element_id(self.client.clone(), id))
    }

    #[track_caller]
    fn wait<'a>(&'a self, what: String, script: &str, arguments: Value) -> BoxFuture<'a> {
        let at = Location::caller();
        let script = script.to_owned();
        Box::pin(async move {
            let since = Instant::now();
            loop {
                // Scripts fail during a navigation.
                let answer = self.ask(&script, arguments.clone()).await;
                if matches!(answer, Ok(Value::Bool(true))) {
                    return;
                }
                assert!(
                    since.elapsed() < WAIT_TIMEOUT,
                    "{at}: timed out waiting until {what}{}",
                    error_line(answer)
                );
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        })
    }

    async fn ask(
        &self,
        script: &str,
        arguments: Value,
    ) -> Result<Value, fantoccini::error::CmdError> {
        let Value::Array(arguments) = arguments else {
            unreachable!("arguments are an array")
        };
        self.client.execute(script, arguments).await
    }

    /// Prints the URL and the text of the page, and saves a screenshot.
    async fn prints_state(&self) {
        let url = self.client.current_url().await.map(String::from);
        let text = self
            .client
            .execute("return document.body.innerText", vec![])
            .await;
        let text = text
            .ok()
            .and_then(|text| text.as_str().map(str::to_owned))
            .unwrap_or_default();
        println!(
            "──── the browser is at {}\n{text}\n────",
            url.unwrap_or_default()
        );
        if let Ok(picture) = self.client.screenshot().await {
            let name = format!(
                "browser-{}.png",
                std::thread::current()
                    .name()
                    .unwrap_or("test")
                    .replace(':', "-")
            );
            let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            if std::fs::write(&path, picture).is_ok() {
                println!("──── and looks like {}", path.display());
            }
        }
    }

    /// Prints the console; returns the unexpected errors.
    async fn console_errors(&self) -> Vec<String> {
        let log = self
            .client
            .issue_cmd(Vendor("se/log", json!({"type": "browser"})))
            .await
            .unwrap_or_default();
        let lines = log.as_array().cloned().unwrap_or_default();
        let text = |line: &Value| {
            format!(
                "{} {}",
                line["level"].as_str().unwrap_or_default(),
                line["message"].as_str().unwrap_or_default()
            )
        };
        let lines: Vec<String> = lines.iter().map(text).collect();
        for line in &lines {
            println!("console: {line}");
        }
        let expected = self.expected_errors.lock().unwrap().clone();
        let unexpected = |line: &String| {
            // Turbo aborts requests when a page is left while it loads.
            let is_abort = line.contains("signal is aborted");
            line.starts_with("SEVERE")
                && !is_abort
                && !expected.iter().any(|error| line.contains(error))
        };
        lines.into_iter().filter(unexpected).collect()
    }

    async fn close(&self, failed: bool) -> Vec<String> {
        if failed {
            self.prints_state().await;
        }
        let errors = self.console_errors().await;
        let _ = self.client.clone().close().await;
        errors
    }
}

/// Closes the session; after a failure it prints the page first.
impl Drop for Browser {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        let name = std::thread::current().name().unwrap_or("test").to_owned();
        let close = async {
            tokio::time::timeout(WAIT_TIMEOUT, self.close(failed))
                .await
                .unwrap_or_default()
        };
        // This thread is already running a runtime, so the session is closed in another one.
        let errors = std::thread::scope(|scope| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            let thread = std::thread::Builder::new().name(name);
            thread
                .spawn_scoped(scope, move || runtime.block_on(close))
                .unwrap()
                .join()
                .unwrap_or_default()
        });
        assert!(
            failed || errors.is_empty(),
            "unexpected errors in the browser's console:\n{}",
            errors.join("\n")
        );
    }
}

/// The first line of the last error, without the browser's stack.
fn error_line(answer: Result<Value, fantoccini::error::CmdError>) -> String {
    let Err(error) = answer else {
        return String::new();
    };
    let text = error.to_string();
    format!(": {}", text.lines().next().unwrap_or_default())
}

/// Helper functions for visible elements, before `script`.
fn visible(script: &str) -> String {
    format!("
        const isVisible = (it) => it.checkVisibility({{ opacityProperty: true, visibilityProperty: true }}) && it.getClientRects().length > 0
        const isAnyVisible = (selector) => [...document.querySelectorAll(selector)].some(isVisible)
        const textOf = (it) => it.innerText.replace(/\\s+/g, ' ').trim()
        const nameOf = (it) => it.getAttribute('aria-label') ?? textOf(it)
        const named = (it, name) => nameOf(it).includes(name)
        {script}")
}

/// A vendor command of chromedriver.
#[derive(Debug)]
struct Vendor(&'static str, Value);

impl WebDriverCompatibleCommand for Vendor {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.0
        ))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}

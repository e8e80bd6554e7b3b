//! Someone at a browser: opens, sees, types, clicks.
//!
//! Every look waits until it is so, or fails. Whatever the browser's console complains of fails the test as well, and a
//! failure prints what was on the screen.

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

use super::driver::{driver, room_for};
use crate::hub::PASSWORD;

const WAIT_TIMEOUT: Duration = Duration::from_secs(40);
const GLANCE: Duration = Duration::from_millis(20);

type Doing<'a, T = ()> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

pub struct Browser {
    client: Client,
    base: String,
    /// Complaints of the console that belong to the story.
    foreseen: Mutex<Vec<&'static str>>,
    _room: SemaphorePermit<'static>,
}

impl Browser {
    pub async fn start(base: &str) -> Self {
        Self::in_room(base, room_for(1).await).await
    }

    /// Two people side by side.
    pub async fn pair(base: &str) -> (Self, Self) {
        let mut room = room_for(2).await;
        let other = room.split(1).unwrap();
        tokio::join!(Self::in_room(base, room), Self::in_room(base, other))
    }

    async fn in_room(base: &str, room: SemaphorePermit<'static>) -> Self {
        Self {
            client: driver().await.open().await,
            base: base.into(),
            foreseen: Mutex::default(),
            _room: room,
        }
    }

    /// The console will speak of `complaint`, and that is right.
    pub fn expects_console(&self, complaint: &'static str) -> &Self {
        self.foreseen.lock().unwrap().push(complaint);
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
        self.fills("E-mail", email).await;
        self.fills("Password", PASSWORD).await;
        self.clicks("Sign in").await;
        self.is_at("/inbox").await;
    }

    /// Waits for an address that has `part` in it.
    #[track_caller]
    pub fn is_at<'a>(&'a self, part: &'a str) -> Doing<'a> {
        let script = "return document.readyState === 'complete' && (location.pathname + location.search + location.hash).includes(arguments[0])";
        self.wait(format!("is at {part}"), script, json!([part]))
    }

    /// Waits until `text` is on the page, in the words of somebody who looks or listens.
    #[track_caller]
    pub fn sees<'a>(&'a self, text: &'a str) -> Doing<'a> {
        self.sees_in("body", text)
    }

    #[track_caller]
    pub fn sees_in<'a>(&'a self, selector: &'a str, text: &'a str) -> Doing<'a> {
        let script = visible(
            "return [...document.querySelectorAll(arguments[0])].some((it) => seen(it) && words(it).includes(arguments[1]))",
        );
        self.wait(
            format!("sees “{text}” in {selector}"),
            &script,
            json!([selector, text]),
        )
    }

    /// Waits until `text` has gone. Show first that it could be there.
    #[track_caller]
    pub fn misses<'a>(&'a self, selector: &'a str, text: &'a str) -> Doing<'a> {
        let script = visible(
            "return ![...document.querySelectorAll(arguments[0])].some((it) => seen(it) && words(it).includes(arguments[1]))",
        );
        self.wait(
            format!("sees no “{text}” in {selector}"),
            &script,
            json!([selector, text]),
        )
    }

    /// Waits until something that `selector` names can be seen.
    #[track_caller]
    pub fn finds<'a>(&'a self, selector: &'a str) -> Doing<'a> {
        self.wait(
            format!("finds {selector}"),
            &visible("return look(arguments[0])"),
            json!([selector]),
        )
    }

    /// Waits until nothing that `selector` names can be seen.
    #[track_caller]
    pub fn loses<'a>(&'a self, selector: &'a str) -> Doing<'a> {
        self.wait(
            format!("no longer sees {selector}"),
            &visible("return !look(arguments[0])"),
            json!([selector]),
        )
    }

    #[track_caller]
    pub fn reads_title<'a>(&'a self, title: &'a str) -> Doing<'a> {
        self.wait(
            format!("reads the title “{title}”"),
            "return document.title === arguments[0]",
            json!([title]),
        )
    }

    /// Waits until this JavaScript is true of the page.
    #[track_caller]
    pub fn waits_until<'a>(&'a self, what: &'a str, truth: &'a str) -> Doing<'a> {
        self.wait(
            format!("notices that {what}"),
            &format!("return Boolean({truth})"),
            json!([]),
        )
    }

    /// What this JavaScript says of the page now.
    pub async fn measures(&self, script: &str) -> Value {
        self.ask(&format!("return {script}"), json!([]))
            .await
            .unwrap()
    }

    /// Presses the button of this name (or ticks the choice).
    #[track_caller]
    pub fn clicks<'a>(&'a self, name: &'a str) -> Doing<'a> {
        self.click("button, summary, label, [role=button]", name)
    }

    /// Follows the link of this name.
    #[track_caller]
    pub fn follows<'a>(&'a self, name: &'a str) -> Doing<'a> {
        self.click("a[href]", name)
    }

    /// Fills the field of this label, instead of what stood there.
    #[track_caller]
    pub fn fills<'a>(&'a self, label: &'a str, text: &'a str) -> Doing<'a> {
        let script = visible("
            const labels = [...document.querySelectorAll('label')].filter((it) => named(it, arguments[0])).map((it) => it.control)
            const own = [...document.querySelectorAll('input, textarea')].filter((it) => it.getAttribute('aria-label')?.startsWith(arguments[0]))
            const field = [...labels, ...own].find((it) => it && seen(it))
            field?.focus(); field?.select()
            return document.activeElement === field");
        let there = self.wait(
            format!("finds the field “{label}”"),
            &script,
            json!([label]),
        );
        Box::pin(async move {
            there.await;
            self.types(text).await;
        })
    }

    /// Chooses from the list of this label, as one does with the keyboard.
    #[track_caller]
    pub fn chooses<'a>(&'a self, label: &'a str, option: &'a str) -> Doing<'a> {
        let script = visible("
            const labels = [...document.querySelectorAll('label')].filter((it) => named(it, arguments[0])).map((it) => it.control)
            const own = [...document.querySelectorAll('select')].filter((it) => it.getAttribute('aria-label')?.startsWith(arguments[0]))
            const field = [...labels, ...own].find((it) => it?.matches('select') && seen(it))
            const option = field && [...field.options].find((it) => it.text.trim() === arguments[1])
            if (!option) return false
            field.focus(); option.selected = true
            for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, { bubbles: true }))
            return true");
        self.wait(
            format!("finds “{option}” in the list “{label}”"),
            &script,
            json!([label, option]),
        )
    }

    /// Types into whatever has the focus, key by key.
    pub async fn types(&self, text: &str) {
        let keys = text
            .chars()
            .fold(KeyActions::new("keyboard".into()), |keys, value| {
                keys.then(KeyAction::Down { value })
                    .then(KeyAction::Up { value })
            });
        self.client.perform_actions(keys).await.unwrap();
    }

    /// Both at once.
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

    /// Goes on with Tab until the control of this name has the focus, and shows it.
    #[track_caller]
    pub fn tabs_to<'a>(&'a self, name: &'a str) -> Doing<'a> {
        let at = Location::caller();
        Box::pin(async move {
            for _ in 0..40 {
                self.presses(Key::Tab).await;
                if self.shows_its_focus().await.contains(name) {
                    return;
                }
            }
            panic!("{at}: Tab never comes to “{name}”");
        })
    }

    /// The name of what has the focus; it must be seen to have it, once all has faded in.
    pub async fn shows_its_focus(&self) -> String {
        let script = visible("
            const it = document.activeElement
            if (it === document.body || it === document.documentElement) return ['', true]
            const marked = (it) => getComputedStyle(it).outlineStyle !== 'none' || getComputedStyle(it).boxShadow !== 'none'
            const around = it.parentElement.closest('form, label')
            const shows = it.matches(':focus-visible') && [it, ...it.children, ...(around ? [around] : [])].some(marked)
            return [it.labels?.length ? words(it.labels[0]) : called(it), shows]");
        let since = Instant::now();
        loop {
            let answer = self.ask(&script, json!([])).await.unwrap();
            let name = answer[0].as_str().unwrap().to_owned();
            if answer[1] == true {
                return name;
            }
            assert!(
                since.elapsed() < WAIT_TIMEOUT,
                "“{name}” does not show that it has the focus"
            );
            tokio::time::sleep(GLANCE).await;
        }
    }

    #[track_caller]
    pub fn has_focus_on<'a>(&'a self, name: &'a str) -> Doing<'a> {
        let script = visible("return named(document.activeElement, arguments[0])");
        self.wait(format!("has the focus on “{name}”"), &script, json!([name]))
    }

    /// As wide and as high as a phone, or any other screen.
    pub async fn has_a_screen_of(&self, width: u32, height: u32) {
        let screen =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.runs_command("Emulation.setDeviceMetricsOverride", screen)
            .await;
    }

    /// Light or dark, and with nothing that moves.
    pub async fn prefers(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]);
        self.runs_command("Emulation.setEmulatedMedia", json!({"features": features}))
            .await;
    }

    pub async fn has_no_scripts(&self) {
        self.runs_command(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": true}),
        )
        .await;
    }

    /// Without a network, or with one again, as the browser itself knows it.
    pub async fn is_offline(&self, offline: bool) {
        let conditions = json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.runs_command("Network.enable", json!({})).await;
        self.runs_command("Network.emulateNetworkConditions", conditions)
            .await;
    }

    /// Every answer comes so many milliseconds late.
    pub async fn has_a_slow_line(&self, latency: u32) {
        let conditions = json!({"offline": false, "latency": latency, "downloadThroughput": -1, "uploadThroughput": -1});
        self.runs_command("Network.enable", json!({})).await;
        self.runs_command("Network.emulateNetworkConditions", conditions)
            .await;
    }

    /// Something of the DevTools protocol.
    pub async fn runs_command(&self, command: &'static str, params: Value) -> Value {
        let body = json!({"cmd": command, "params": params});
        self.client
            .issue_cmd(Vendor("goog/cdp/execute", body))
            .await
            .unwrap()
    }

    /// Goes on in the window that was opened last, or in the first one.
    pub async fn turns_to_window(&self, index: usize) {
        let since = Instant::now();
        loop {
            let windows = self.client.windows().await.unwrap();
            if let Some(window) = windows.into_iter().nth(index) {
                return self.client.switch_to_window(window).await.unwrap();
            }
            assert!(
                since.elapsed() < WAIT_TIMEOUT,
                "no window {index} was opened"
            );
            tokio::time::sleep(GLANCE).await;
        }
    }

    pub async fn source(&self) -> String {
        self.client.source().await.unwrap()
    }

    #[track_caller]
    fn click<'a>(&'a self, kind: &'static str, name: &'a str) -> Doing<'a> {
        let at = Location::caller();
        Box::pin(async move {
            let script = visible("
                const all = [...document.querySelectorAll(arguments[0])].filter(seen)
                return all.find((it) => called(it) === arguments[1]) ?? all.find((it) => named(it, arguments[1])) ?? null");
            let since = Instant::now();
            loop {
                let found = self.ask(&script, json!([kind, name])).await;
                let trouble = match found.map(|found| self.element(&found)) {
                    // It may just be replaced, or slide out from under the pointer.
                    Ok(Some(element)) => match element.click().await {
                        Ok(()) => return,
                        Err(error) => error.to_string(),
                    },
                    Ok(None) => "there is none".into(),
                    Err(error) => error.to_string(),
                };
                assert!(
                    since.elapsed() < WAIT_TIMEOUT,
                    "{at}: cannot click on “{name}”: {trouble}"
                );
                tokio::time::sleep(GLANCE).await;
            }
        })
    }

    fn element(&self, found: &Value) -> Option<Element> {
        let (_, id) = found.as_object()?.iter().next()?;
        let id = ElementRef::from(id.as_str()?.to_owned());
        Some(Element::from_element_id(self.client.clone(), id))
    }

    #[track_caller]
    fn wait<'a>(&'a self, what: String, script: &str, arguments: Value) -> Doing<'a> {
        let at = Location::caller();
        let script = script.to_owned();
        Box::pin(async move {
            let since = Instant::now();
            loop {
                // A page on its way to the next one has no answer.
                let answer = self.ask(&script, arguments.clone()).await;
                if matches!(answer, Ok(Value::Bool(true))) {
                    return;
                }
                assert!(
                    since.elapsed() < WAIT_TIMEOUT,
                    "{at}: nobody {what}{}",
                    trouble(answer)
                );
                tokio::time::sleep(GLANCE).await;
            }
        })
    }

    async fn ask(
        &self,
        script: &str,
        arguments: Value,
    ) -> Result<Value, fantoccini::error::CmdError> {
        let Value::Array(arguments) = arguments else {
            unreachable!("arguments are a list")
        };
        self.client.execute(script, arguments).await
    }

    /// What stands on the screen, for a failure.
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

    /// What the console says, and whether any of it was not foreseen.
    async fn complaints(&self) -> Vec<String> {
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
        let foreseen = self.foreseen.lock().unwrap().clone();
        let unforeseen = |line: &String| {
            // Turbo's word for a page that one leaves while it still loads.
            let left = line.contains("signal is aborted");
            line.starts_with("SEVERE")
                && !left
                && !foreseen.iter().any(|complaint| line.contains(complaint))
        };
        lines.into_iter().filter(unforeseen).collect()
    }

    async fn leaves(&self, failed: bool) -> Vec<String> {
        if failed {
            self.prints_state().await;
        }
        let complaints = self.complaints().await;
        let _ = self.client.clone().close().await;
        complaints
    }
}

/// Also when the test has failed: then it says what was on the screen.
impl Drop for Browser {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        let name = std::thread::current().name().unwrap_or("test").to_owned();
        let leaves = async {
            tokio::time::timeout(WAIT_TIMEOUT, self.leaves(failed))
                .await
                .unwrap_or_default()
        };
        // This thread already runs the test's own futures.
        let complaints = std::thread::scope(|scope| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            let goodbye = std::thread::Builder::new().name(name);
            goodbye
                .spawn_scoped(scope, move || runtime.block_on(leaves))
                .unwrap()
                .join()
                .unwrap_or_default()
        });
        assert!(
            failed || complaints.is_empty(),
            "the browser's console complains:\n{}",
            complaints.join("\n")
        );
    }
}

/// Why there was no answer at last, without the browser's own stack.
fn trouble(answer: Result<Value, fantoccini::error::CmdError>) -> String {
    let Err(error) = answer else {
        return String::new();
    };
    let text = error.to_string();
    format!(": {}", text.lines().next().unwrap_or_default())
}

/// Words for what people can see.
fn visible(script: &str) -> String {
    format!("
        const seen = (it) => it.checkVisibility({{ opacityProperty: true, visibilityProperty: true }}) && it.getClientRects().length > 0
        const look = (selector) => [...document.querySelectorAll(selector)].some(seen)
        const words = (it) => it.innerText.replace(/\\s+/g, ' ').trim()
        const called = (it) => it.getAttribute('aria-label') ?? words(it)
        const named = (it, name) => called(it).includes(name)
        {script}")
}

/// A command of chromedriver's own.
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

//! Every page of the router, and the states of pages, pass axe and fit the screen; the inbox is small.

mod states;

use serde_json::json;

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA};
use crate::matrix::html::{self, fixture};

const AXE: &str = include_str!("../../vendor/axe.min.js");

/// The pages of the router, in parts of similar length.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Account,
    Workspace,
    Admin,
}

impl Part {
    fn of(path: &str) -> Self {
        match path.split('/').collect::<Vec<_>>()[..] {
            ["", "w", _, "admin", ..] => Self::Admin,
            ["", "w", ..] => Self::Workspace,
            _ => Self::Account,
        }
    }
}

async fn visit(part: Part) {
    let hub = Hub::start().await;
    let fixture = fixture(&hub).await;
    let mut pages = html::pages(&hub, &fixture).await;
    pages.retain(|page| Part::of(&page.path) == part);
    assert!(pages.len() > 8, "{} pages", pages.len());
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 404"); // the invitation is gone
    for page in pages.iter().filter(|page| page.is_for_visitors) {
        jo.opens(&page.path).await;
        jo.is_accessible(&page.path).await;
    }
    jo.signs_in(&fixture.workspace.admin.email).await;
    for page in pages.iter().filter(|page| !page.is_for_visitors) {
        jo.opens(&page.path).await;
        jo.is_accessible(&page.path).await;
    }
}

#[tokio::test]
async fn every_account_page_passes_axe_and_fits() {
    visit(Part::Account).await;
}

#[tokio::test]
async fn every_workspace_page_passes_axe_and_fits() {
    visit(Part::Workspace).await;
}

#[tokio::test]
async fn every_admin_page_passes_axe_and_fits() {
    visit(Part::Admin).await;
}

#[tokio::test]
async fn spanish_pages_pass_axe_and_fit() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens("/account").await;
    jo.chooses("Language", "Español").await;
    jo.evaluates("document.querySelector('[action=\"/account/language\"]').requestSubmit()")
        .await;
    jo.sees("Mi cuenta").await;
    jo.is_accessible("account, in Spanish").await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "En vivo").await;
    jo.is_accessible("conversation, in Spanish").await;
    for page in ["members", "numbers", "integrations", "workspace", "credits"] {
        jo.opens(&harbor.admin_page(page)).await;
        jo.is_accessible(&format!("{page}, in Spanish")).await;
    }
}

impl Browser {
    /// Runs axe in light and dark, on a desktop and a small screen, and checks the width at 360 px.
    pub async fn is_accessible(&self, page: &str) {
        self.runs_command("Runtime.evaluate", json!({"expression": AXE}))
            .await;
        for (width, scheme) in [
            (1440, "light"),
            (1440, "dark"),
            (390, "dark"),
            (390, "light"),
        ] {
            self.has_a_screen_of(width, 844).await;
            self.prefers(scheme).await;
            self.waits_until(
                "its colours have changed",
                "document.getAnimations().every((it) => !(it instanceof CSSTransition))",
            )
            .await;
            let script = "axe.run(document, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } }).then(({ violations }) => \
                violations.flatMap(({ id, help, nodes }) => nodes.map(({ target, html, failureSummary }) => ({ id, help, target, html, failureSummary }))))";
            let found = self.evaluates(script).await;
            assert_eq!(
                found,
                json!([]),
                "axe on {page}, {width} px, {scheme}: {found:#}"
            );
        }
        self.has_a_screen_of(360, 740).await;
        let widest = "[...document.querySelectorAll('*')].filter((it) => document.documentElement.scrollWidth > 360 && it.getBoundingClientRect().right > 360).map((it) => it.outerHTML.slice(0, 120))";
        let width = self.evaluates("document.documentElement.scrollWidth").await;
        assert!(
            width.as_u64() <= Some(360),
            "{page} is {width} px wide: {:#}",
            self.evaluates(widest).await
        );
        self.has_a_screen_of(1440, 844).await;
    }
}

/// Bytes and requests of the first load of the inbox, with a conversation.
const INBOX_LIMITS: (u64, usize) = (93_000, 20);
/// Of the sign-in page.
const LOGIN_LIMITS: (u64, usize) = (30_000, 12);

impl Browser {
    /// Measures each load as the first one.
    async fn caches_nothing(&self) {
        self.runs_command("Network.enable", json!({})).await;
        // Responses from the service worker's cache have no transfer size.
        self.runs_command("Network.setBypassServiceWorker", json!({"bypass": true}))
            .await;
        self.runs_command("Network.setCacheDisabled", json!({"cacheDisabled": true}))
            .await;
    }

    /// What the page has fetched, by URL. Fails above `limits`.
    async fn weighs_at_most(&self, (bytes, requests): (u64, usize)) -> Vec<String> {
        let fetched = self.evaluates("[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].map((it) => [it.name, it.transferSize])").await;
        let fetched: Vec<(String, u64)> = serde_json::from_value(fetched).unwrap();
        // The request that marks it as read has no body in its response.
        let weighed = |(url, size): &(String, u64)| *size > 0 || url.ends_with("/read");
        assert!(
            fetched.len() > 3 && fetched.iter().all(weighed),
            "{fetched:#?}"
        );
        let weight: u64 = fetched.iter().map(|(_, size)| size).sum();
        println!("{weight} bytes in {} requests: {fetched:#?}", fetched.len());
        assert!(weight <= bytes && fetched.len() <= requests);
        fetched.into_iter().map(|(url, _)| url).collect()
    }
}

#[tokio::test]
async fn first_load_of_sign_in_is_small() {
    let hub = Hub::start().await;
    let browser = Browser::start(&hub.url("")).await;
    browser.caches_nothing().await;
    browser.opens("/login").await;
    browser
        .waits_until("the page is loaded", "document.readyState === 'complete'")
        .await;
    browser.weighs_at_most(LOGIN_LIMITS).await;
}

#[tokio::test]
async fn first_inbox_load_is_small_and_same_origin() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for nth in 100..140 {
        hub.twilio
            .text(
                &format!("+14155550{nth}"),
                FRONT_DESK,
                "Is 3:30 still free? I could also come in on Thursday",
            )
            .await;
    }
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.caches_nothing().await;
    for path in [harbor.inbox(None), harbor.inbox(Some(&maya))] {
        jo.opens(&path).await;
        jo.sees_in(".live", "Live").await;
        // The page fetches missed changes once the socket is open.
        jo.waits_until(
            "the page is loaded",
            "document.readyState === 'complete' && performance.getEntriesByType('resource').some((it) => it.name === location.href && it.transferSize > 0)",
        )
        .await;
        let fetched = jo.weighs_at_most(INBOX_LIMITS).await;
        let linked = jo.evaluates("[...document.querySelectorAll('link[href], script[src], img[src], use[href]')].map((it) => new URL(it.getAttribute('href') ?? it.src, location).href.split('#')[0])").await;
        let mut all: Vec<String> = serde_json::from_value::<Vec<String>>(linked).unwrap();
        all.extend(fetched);
        all.sort();
        all.dedup();
        for url in all {
            let file = url
                .strip_prefix(&hub.url(""))
                .unwrap_or_else(|| panic!("{url} is of another origin"));
            if file.starts_with("/assets/") {
                let answer = harbor.admin.get(file).await;
                let kept = answer.headers["cache-control"].to_str().unwrap();
                assert!(kept.contains("immutable"), "{file}: {kept}");
            }
        }
    }
}

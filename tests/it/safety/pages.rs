//! Pages: security headers and escaping.

use aws_lc_rs::digest::{SHA256, digest};
use reqwest::Method;
use serde_json::json;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::origins::cookies;
use crate::hub::{Answer, Hub, MAYA, Person, serve};
use crate::matrix::Fixture;
use crate::matrix::html::{self, Page, fixture};

async fn page(hub: &Hub, cookies: &str, path: &str) -> Answer {
    let anonymous = Person::anonymous(hub);
    let request = anonymous
        .request(Method::GET, path)
        .header("accept", "text/html");
    anonymous.ask(request.header("cookie", cookies)).await
}

/// Every page of the router, and some states of pages. With texts that must be escaped.
async fn every_page(hub: &Hub) -> (Fixture<'_>, Vec<Page>) {
    let fixture = fixture(hub).await;
    let harbor = &fixture.workspace;
    let maya = harbor
        .receive_text(MAYA, "Is \"3:30\" still free? <script>alert(1)</script>")
        .await;
    harbor.reply(&harbor.admin, &maya, "It is").await;
    let mut pages = html::pages(hub, &fixture).await;
    for path in [
        "/nowhere".to_owned(),
        format!("/w/{}/inbox?q=nothing+like+it", harbor.slug),
    ] {
        pages.push(Page {
            path,
            is_for_visitors: false,
        });
    }
    (fixture, pages)
}

/// The tags of a page: the text between `<` and `>`.
fn tags(html: &str) -> impl Iterator<Item = &str> {
    html.split('<')
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
}

/// Names of a tag's attributes. All values are quoted here, and may contain spaces.
fn attributes(tag: &str) -> Vec<String> {
    let outside: String = tag.split('"').step_by(2).collect::<Vec<_>>().join("");
    let names = outside.split_whitespace().skip(1);
    names
        .map(|name| name.trim_end_matches(['=', '/']).to_lowercase())
        .collect()
}

#[tokio::test]
async fn content_security_policy_allows_only_hashed_inline_scripts() {
    let hub = Hub::start().await;
    let (fixture, pages) = every_page(&hub).await;
    let cookies = cookies(&hub, &fixture.workspace.admin.email).await;
    for Page {
        path,
        is_for_visitors,
    } in pages
    {
        let cookies = if is_for_visitors { "" } else { &cookies };
        let page = page(&hub, cookies, &path).await;
        let policy = page.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(
            policy.starts_with("default-src 'none';"),
            "{path}: {policy}"
        );
        assert!(
            !policy.contains("unsafe-") && !policy.contains('*'),
            "{path}: {policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"));
        assert!(
            page.body.contains("<!doctype html>"),
            "{path} is a page: {}",
            page.body
        );
        for tag in tags(&page.body) {
            let attributes = attributes(tag);
            let inline = attributes
                .iter()
                .find(|name| name.starts_with("on") || *name == "style");
            assert!(inline.is_none(), "{path}: <{tag}>");
            assert!(
                !tag.starts_with("style") && !tag.contains("javascript:"),
                "{path}: <{tag}>"
            );
        }
        for script in page.body.split("<script").skip(1) {
            let (tag, rest) = script.split_once('>').unwrap();
            let inline = rest.split("</script>").next().unwrap();
            let hash = STANDARD.encode(digest(&SHA256, inline.as_bytes()));
            let allowed = inline.is_empty() || policy.contains(&format!("'sha256-{hash}'"));
            assert!(allowed, "{path}: <script{tag}>{inline}");
        }
    }
}

#[tokio::test]
async fn every_response_has_security_headers() {
    let hub = Hub::start().await;
    let (fixture, pages) = every_page(&hub).await;
    let harbor = &fixture.workspace;
    let cookies = cookies(&hub, &harbor.admin.email).await;
    let mut paths: Vec<_> = pages.into_iter().map(|page| page.path).collect();
    paths.extend([
        harbor.path("/messages"),
        harbor.path("/nothing"),
        "/api/auth/me".into(),
        "/healthz".into(),
    ]);
    for path in paths {
        let headers = page(&hub, &cookies, &path).await.headers;
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(headers.get(name).unwrap(), value, "{path}: {name}");
        }
        let devices = headers["permissions-policy"].to_str().unwrap();
        assert!(devices.contains("microphone=()") && devices.contains("geolocation=()"));
        assert!(
            !headers.contains_key("strict-transport-security"),
            "{path} is http"
        );
    }
    // The same for anonymous users and for the webhooks of providers.
    for path in ["/", "/login", "/w/harbor-dental/inbox", "/twilio/webhook"] {
        let headers = page(&hub, "", path).await.headers;
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        assert!(headers.contains_key("content-security-policy"), "{path}");
    }
}

#[tokio::test]
async fn https_enables_hsts_and_secure_cookies() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let settings = [("BASE_URL", "https://inbox.example.com")];
    let server = serve(&hub.database, &hub.twilio, &settings).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let base = format!("http://{}", server.address);
    for path in [
        "/login",
        "/healthz",
        "/nowhere",
        "/api/auth/me",
        "/favicon.svg",
    ] {
        let answer = client.get(format!("{base}{path}")).send().await.unwrap();
        let transport = answer.headers()["strict-transport-security"]
            .to_str()
            .unwrap();
        assert_eq!(transport, "max-age=31536000; includeSubDomains", "{path}");
    }
    let login = json!({"email": harbor.admin.email, "password": crate::hub::PASSWORD});
    let answer = client
        .post(format!("{base}/api/auth/login"))
        .json(&login)
        .send()
        .await
        .unwrap();
    let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 2);
    for cookie in cookies {
        let cookie = cookie.to_str().unwrap();
        for word in ["Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(cookie.contains(word), "{cookie}");
        }
    }
    let cookies = super::origins::cookies(&hub, &harbor.admin.email).await;
    assert!(
        !cookies.contains("Secure"),
        "on http a browser would drop such a cookie"
    );
}

#[tokio::test]
async fn customer_text_is_escaped_in_the_inbox() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let cookies = cookies(&hub, &harbor.admin.email).await;
    let text = r#"<img src=x onerror=alert(1)>"' onclick="alert(1)"#;
    let maya = harbor.receive_text(MAYA, text).await;
    let contact = harbor.path(&format!(
        "/contacts/{}",
        maya["contact_id"].as_str().unwrap()
    ));
    harbor
        .admin
        .patch(&contact, json!({"name": text, "notes": text}))
        .await
        .expect_status(200);
    for path in [
        "/inbox".into(),
        format!("/inbox/{}", maya["id"].as_str().unwrap()),
    ] {
        let page = page(&hub, &cookies, &format!("/w/{}{path}", harbor.slug)).await;
        assert!(
            page.body.contains("onerror=alert(1)"),
            "{path} shows the text"
        );
        assert!(!page.body.contains("<img src=x"), "{path}");
        assert!(
            tags(&page.body).all(|tag| attributes(tag).iter().all(|name| !name.starts_with("on"))),
            "{path}"
        );
    }
}

//! Cross-site requests with the cookies of a member.

use reqwest::Method;
use serde_json::json;

use crate::hub::{Hub, Workspace};

/// Signs in; returns the cookies as a browser sends them.
pub async fn cookies(hub: &Hub, email: &str) -> String {
    let login = json!({"email": email, "password": crate::hub::PASSWORD});
    let anonymous = crate::hub::Person::anonymous(hub);
    let answer = anonymous.post("/api/auth/login", login).await;
    let set = answer.headers.get_all("set-cookie").iter();
    set.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap())
        .collect::<Vec<_>>()
        .join("; ")
}

fn endpoints(harbor: &Workspace<'_>) -> Vec<(Method, String)> {
    let page = |path: &str| format!("/w/{}{path}", harbor.slug);
    let some = "01890000-0000-7000-8000-000000000000";
    vec![
        (Method::PATCH, harbor.path("")),
        (Method::POST, harbor.path("/messages")),
        (
            Method::PUT,
            harbor.path(&format!("/numbers/{some}/members/{some}")),
        ),
        (
            Method::DELETE,
            harbor.path(&format!("/numbers/{some}/members/{some}")),
        ),
        (Method::POST, "/api/workspaces".into()),
        (Method::POST, "/api/auth/logout".into()),
        (Method::POST, "/logout".into()),
        (Method::POST, page(&format!("/inbox/{some}/messages"))),
        (Method::POST, page("/admin/integrations")),
        (Method::POST, format!("/sandbox/{some}")),
    ]
}

#[tokio::test]
async fn cross_site_unsafe_requests_by_cookie_are_refused() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let cookies = cookies(&hub, &harbor.admin.email).await;
    let anonymous = crate::hub::Person::anonymous(&hub);
    let ask = |method: &Method, path: &str, name: &'static str, value: &str| {
        let request = anonymous
            .request(method.clone(), path)
            .header("cookie", &cookies);
        anonymous.ask(request.header(name, value).header("content-length", "0"))
    };
    let foreign = [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1"),
        ("origin", "http://127.0.0.1.evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "rubbish"),
        ("x-neither", "as a very old browser or a program would"),
    ];
    for (method, path) in endpoints(&harbor) {
        for (name, value) in foreign {
            let answer = ask(&method, &path, name, value).await;
            assert_eq!(answer.status, 403, "{method} {path} with {name}: {value}");
            answer.refused(403, "cross_origin");
        }
    }
    // From our own origin the same requests reach their handlers.
    for (method, path) in endpoints(&harbor)
        .into_iter()
        .filter(|(_, path)| !path.ends_with("logout"))
    {
        for (name, value) in [
            ("origin", hub.url("")),
            ("sec-fetch-site", "same-origin".into()),
        ] {
            let answer = ask(&method, &path, name, &value).await;
            assert_ne!(
                answer.status, 403,
                "{method} {path} with {name}: {value}: {}",
                answer.body
            );
        }
    }
}

#[tokio::test]
async fn cross_site_sign_in_is_refused_with_a_page() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let anonymous = crate::hub::Person::anonymous(&hub);
    let form = [
        ("email", harbor.admin.email.as_str()),
        ("password", crate::hub::PASSWORD),
    ];
    let sign_in = |site: &'static str| {
        let request = anonymous.request(Method::POST, "/login").form(&form);
        anonymous.ask(
            request
                .header("sec-fetch-site", site)
                .header("accept", "text/html"),
        )
    };
    let answer = sign_in("cross-site").await;
    assert_eq!(answer.status, 403);
    assert!(!answer.headers.contains_key("set-cookie"));
    assert!(
        answer.body.contains("You don’t have access"),
        "{}",
        answer.body
    );
    let answer = sign_in("same-origin").await;
    assert!(answer.status == 303 && answer.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn cookie_socket_requires_same_origin() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let cookies = cookies(&hub, &harbor.admin.email).await;
    let anonymous = crate::hub::Person::anonymous(&hub);
    let upgrade = |origin: String| {
        let request = anonymous
            .request(Method::GET, "/ws")
            .header("cookie", &cookies)
            .header("origin", origin)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        async move { request.send().await.unwrap() }
    };
    for origin in ["https://evil.example", "null", "http://127.0.0.1"] {
        let answer = upgrade(origin.into()).await;
        assert_eq!(answer.status(), 403, "{origin}");
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], "cross_origin");
    }
    assert_eq!(upgrade(hub.url("")).await.status(), 101);
}

//! HTTP semantics (RFC 9110 and 9112), byte by byte, without a client library.

mod ranges;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::hub::{Hub, PASSWORD, Person};
use crate::matrix::{fill, fixture, routes};

/// A response on a connection that is closed afterwards.
#[derive(Debug)]
struct Reply {
    status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: &str) -> Option<String> {
        let values = self.headers.iter().filter(|(known, _)| known == name);
        let values: Vec<_> = values.map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    fn lists(&self, name: &str) -> BTreeSet<String> {
        let value = self.header(name).unwrap_or_default();
        let items = value.split(',').map(|item| item.trim().to_lowercase());
        items.filter(|item| !item.is_empty()).collect()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// Sends exactly these bytes, and reads until the server closes.
async fn send_raw(hub: &Hub, request: impl AsRef<[u8]>) -> Reply {
    let mut stream = TcpStream::connect(hub.server.address).await.unwrap();
    stream.write_all(request.as_ref()).await.unwrap();
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    tokio::time::timeout(Duration::from_secs(30), read)
        .await
        .expect("a response and a closed connection")
        .unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    Reply {
        status: status.parse().unwrap(),
        headers: lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
        body: bytes[end + 4..].to_vec(),
    }
}

/// Sends a request with a valid head and these header lines.
async fn send_request(hub: &Hub, method: &str, path: &str, lines: &[&str], body: &str) -> Reply {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n");
    for line in lines {
        head += &format!("{line}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    send_raw(hub, format!("{head}\r\n{body}")).await
}

fn bearer(person: &Person) -> String {
    format!("Authorization: Bearer {}", person.token.as_ref().unwrap())
}

#[tokio::test]
async fn unknown_methods_add_no_metric_labels() {
    let hub = Hub::start().await;
    let mut stream = TcpStream::connect(hub.server.address).await.unwrap();
    let mut answered = 0;
    let paths = ["/login", "/api/auth/login", "/nowhere", "/twilio/webhook"];
    for batch in 0..30 {
        let requests: String = (0..100)
            .map(|nth| {
                let (method, path) = (format!("INVENTED{batch}X{nth}"), paths[nth % 4]);
                format!("{method} {path} HTTP/1.1\r\nHost: here\r\n\r\n")
            })
            .collect();
        stream.write_all(requests.as_bytes()).await.unwrap();
        let mut read = String::new();
        while read.matches("HTTP/1.1 40").count() < 100 {
            let mut bytes = vec![0; 65_536];
            let count = stream.read(&mut bytes).await.unwrap();
            assert!(count > 0, "the connection stays open: {read}");
            read += &String::from_utf8_lossy(&bytes[..count]);
        }
        answered += 100;
        assert!(
            !read.contains("INVENTED"),
            "no response contains the method"
        );
    }
    assert_eq!(answered, 3_000);
    let metrics = Person::anonymous(&hub).get("/metrics").await.body;
    assert!(!metrics.contains("INVENTED"));
    // Tests in this process share the metrics: counts only what these requests added at one route.
    let others = metrics
        .lines()
        .filter(|line| line.contains("_OTHER") && line.contains("route=\"/login\""));
    let others = others.count();
    assert!(
        (1..50).contains(&others),
        "{others} lines for all unknown methods"
    );
}

#[tokio::test]
async fn request_has_exactly_one_valid_host() {
    let hub = Hub::start().await;
    for (version, hosts, status) in [
        ("1.1", &["Host: here"][..], 200),
        ("1.1", &["Host: inbox.example.com:8443"], 200),
        ("1.1", &["Host: [::1]:3000"], 200),
        ("1.1", &["HOST:here"], 200),
        ("1.0", &[], 200),
        ("1.0", &["Host: here"], 200),
        ("1.1", &[], 400),
        ("1.1", &["Host: a", "Host: b"], 400),
        ("1.1", &["Host: a", "Host: a"], 400),
        ("1.1", &["Host:"], 400),
        ("1.1", &["Host: a b"], 400),
        ("1.1", &["Host: a/b"], 400),
        ("1.1", &["Host: user@a"], 400),
        ("1.1", &["Host: a:b"], 400),
        ("1.1", &["Host: http://a"], 400),
        ("1.1", &["Host: [::1"], 400),
        ("1.0", &["Host: a", "Host: b"], 400),
        ("1.0", &["Host: a b"], 400),
    ] {
        let lines: String = hosts.iter().map(|host| format!("{host}\r\n")).collect();
        let request = format!("GET /healthz HTTP/{version}\r\nConnection: close\r\n{lines}\r\n");
        let reply = send_raw(&hub, request).await;
        assert_eq!(reply.status, status, "HTTP/{version} {hosts:?}");
        if status == 400 {
            assert_eq!(reply.json()["code"], "malformed");
        }
    }
}

#[tokio::test]
async fn truncated_body_is_malformed_not_a_timeout() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let upload = harbor.path("/media");
    let json = "Content-Type: application/json";
    let form = "Content-Type: application/x-www-form-urlencoded";
    let parts = "Content-Type: multipart/form-data; boundary=edge";
    let bearer = bearer(&harbor.admin);
    for (path, kind) in [
        ("/api/auth/login", json),
        ("/twilio/webhook", form),
        ("/login", form),
        (upload.as_str(), parts),
    ] {
        for body in [
            "ZZ\r\nabc\r\n0\r\n\r\n",
            "5\r\nabcdefgh\r\n0\r\n\r\n",
            "-1\r\n\r\n",
        ] {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{bearer}\r\n{kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            let reply = send_raw(&hub, format!("{head}{body}")).await;
            assert_eq!(reply.status, 400, "{path} {body:?}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn method_not_allowed_lists_the_methods() {
    let hub = Hub::start().await;
    let fixture = fixture(&hub, "Harbor Dental").await;
    let description = Person::anonymous(&hub)
        .get("/api/openapi.json")
        .await
        .expect_status(200);
    let mut served: Vec<(String, BTreeSet<String>)> = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys().cloned().collect();
        served.push((fill(path, &fixture.ids), methods));
    }
    let methods = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
    let id = "01890000-0000-7000-8000-000000000000";
    let slug = &fixture.workspace.slug;
    for path in [
        "/twilio/webhook".to_owned(),
        "/twilio/status".into(),
        format!("/webhooks/twilio/{id}/inbound"),
        format!("/webhooks/telnyx/{id}/status"),
        "/login".into(),
        "/signup".into(),
        format!("/w/{slug}/templates"),
        format!("/w/{slug}/contacts/import"),
        format!("/w/{slug}/send"),
    ] {
        served.push((path, methods(&["get", "post"])));
    }
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/ws",
        "/api/docs",
        "/api/openapi.json",
        "/favicon.ico",
        "/service-worker.js",
        "/offline",
        "/media/x",
        "/media/out/x/y",
        "/assets/x",
        "/demo/x",
    ] {
        served.push((path.to_owned(), methods(&["get"])));
    }
    for path in ["/logout".to_owned(), format!("/w/{slug}/leave")] {
        served.push((path, methods(&["post"])));
    }
    for (path, mut methods) in served {
        if methods.contains("get") {
            methods.insert("head".into());
        }
        for method in ["BREW", "OPTIONS", "DELETE", "PUT", "PATCH", "POST", "GET"] {
            if methods.contains(&method.to_lowercase()) {
                continue;
            }
            let reply = send_request(&hub, method, &path, &[], "").await;
            assert_eq!(reply.status, 405, "{method} {path}");
            assert_eq!(reply.lists("allow"), methods, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn head_matches_get_without_body() {
    let hub = Hub::start().await;
    let fixture = fixture(&hub, "Harbor Dental").await;
    let bearer = bearer(&fixture.workspace.admin);
    let mut paths: Vec<String> = routes(&hub)
        .await
        .into_iter()
        .filter(|route| route.method == reqwest::Method::GET)
        .map(|route| fill(&route.path, &fixture.ids))
        .collect();
    let integration = "01890000-0000-7000-8000-000000000000";
    paths.extend(
        [
            "/twilio/webhook?AccountSid=AC0&To=%2B1&From=%2B2",
            "/twilio/status",
            "/healthz",
            "/metrics",
            "/login",
            "/api/docs",
            "/ws",
        ]
        .map(str::to_owned),
    );
    paths.push(format!("/webhooks/twilio/{integration}/inbound"));
    for path in paths {
        let get = send_request(&hub, "GET", &path, &[&bearer], "").await;
        let head = send_request(&hub, "HEAD", &path, &[&bearer], "").await;
        assert_eq!(head.status, get.status, "{path}");
        assert!(head.body.is_empty(), "{path}");
        assert_eq!(
            head.header("content-type"),
            get.header("content-type"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn array_is_not_accepted_as_object() {
    let hub = Hub::start().await;
    let fixture = fixture(&hub, "Harbor Dental").await;
    let admin = &fixture.workspace.admin;
    let before = admin.get("/api/auth/me").await.expect_status(200);
    let renamed = admin.request(reqwest::Method::PATCH, "/api/auth/me");
    let renamed = renamed.json(&json!(["Mallory", "es"]));
    admin.ask(renamed).await.refused(422, "validation_failed");
    let description = admin.get("/api/openapi.json").await.expect_status(200);
    let mut checked = 0;
    for route in routes(&hub).await {
        let method = route.method.as_str().to_lowercase();
        let content = &description["paths"][&route.path][&method]["requestBody"]["content"];
        if !content["application/json"].is_object() {
            continue;
        }
        let body: Value =
            serde_json::from_str(&fill(&route.body.to_string(), &fixture.ids)).unwrap();
        let Some(fields) = body.as_object() else {
            continue;
        };
        let values: Vec<Value> = fields.values().cloned().collect();
        for list in [json!([]), json!(values), json!([body])] {
            let path = fill(&route.path, &fixture.ids);
            let request = admin.request(route.method.clone(), &path).json(&list);
            let refused = admin.ask(request).await.refused(422, "validation_failed");
            assert_eq!(refused["errors"][0]["field"], "body", "{path} {list}");
        }
        checked += 1;
    }
    assert!(checked > 20, "{checked}");
    let nested = json!({"provider": "twilio", "credentials": ["AC00000000000000000000000000000000", "token"]});
    let path = fixture.workspace.path("/integrations");
    admin
        .post(&path, nested)
        .await
        .refused(422, "validation_failed");
    assert_eq!(admin.get("/api/auth/me").await.expect_status(200), before);
}

#[tokio::test]
async fn empty_filter_is_ignored() {
    let hub = Hub::start().await;
    let fixture = fixture(&hub, "Harbor Dental").await;
    let admin = &fixture.workspace.admin;
    let description = admin.get("/api/openapi.json").await.expect_status(200);
    let mut checked = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        let filled = fill(path, &fixture.ids);
        for parameter in item["get"]["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] != "query" || parameter["required"] == true {
                continue;
            }
            let name = parameter["name"].as_str().unwrap();
            let without = admin.get(&filled).await;
            for empty in ["", "=", "=%20", "=+"] {
                let with = admin.get(&format!("{filled}?{name}{empty}")).await;
                assert_eq!(
                    (with.status, &with.body),
                    (without.status, &without.body),
                    "{path}?{name}{empty}"
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 40, "{checked}");
    // A filter with a value is still applied.
    let wrong = fixture.workspace.path("/conversations?tag=none");
    admin.get(&wrong).await.refused(422, "validation_failed");
    let right = fixture.workspace.path(&format!(
        "/conversations?number_id=&tag=&q=&contact_id={}",
        uuid::Uuid::nil()
    ));
    assert_eq!(
        admin.get(&right).await.expect_status(200)["data"],
        json!([])
    );
}

#[tokio::test]
async fn responses_send_vary_and_accepted_encodings() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let page = Person::anonymous(&hub).get("/login").await.body;
    let sheet = page
        .split('"')
        .find(|text| text.starts_with("/assets/app-"))
        .unwrap();
    for accepted in ["br", "gzip", "identity", "*", "zstd"] {
        let accept = format!("Accept-Encoding: {accepted}");
        for path in ["/login", sheet, "/api/openapi.json"] {
            let reply = send_request(&hub, "GET", path, &[&accept], "").await;
            assert_eq!(reply.status, 200, "{path} {accepted}");
            assert!(
                reply.lists("vary").contains("accept-encoding"),
                "{path} {accepted}"
            );
        }
    }
    for path in ["/login", "/nowhere", "/w/nobody/inbox"] {
        for accept in ["Accept: text/html", "Accept: */*"] {
            let vary = send_request(&hub, "GET", path, &[accept], "")
                .await
                .lists("vary");
            assert!(vary.contains("accept"), "{path} {accept}: {vary:?}");
        }
    }
    for refused in [
        "identity;q=0, br;q=0",
        "*;q=0",
        "identity;q=0",
        "identity;q=0.0, gzip;q=0, br;q=0",
    ] {
        let refused = format!("Accept-Encoding: {refused}");
        let reply = send_request(&hub, "GET", sheet, &[&refused], "").await;
        assert_eq!(reply.status, 406, "{refused}");
        assert!(reply.body.len() < 1_000, "{refused}");
        assert_eq!(reply.header("cache-control").unwrap(), "no-store");
        assert!(reply.lists("vary").contains("accept-encoding"));
        // A completed request is not reported as failed.
        let login = json!({"email": harbor.admin.email, "password": PASSWORD}).to_string();
        let lines = ["Content-Type: application/json", &refused];
        let reply = send_request(&hub, "POST", "/api/auth/login", &lines, &login).await;
        assert_eq!(reply.status, 200, "{refused}");
        assert_eq!(reply.json()["user"]["email"], harbor.admin.email);
    }
}

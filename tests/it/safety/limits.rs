//! Requests that are too large, too slow or too many.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::origins::cookies;
use crate::hub::{Hub, Person};

/// Sends `text` and nothing more; returns the response and the time until the connection is closed.
async fn send_raw(hub: &Hub, text: &[u8]) -> (String, Duration) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(hub.server.address).await.unwrap();
    // The server may refuse and close before all is sent.
    let _ = stream.write_all(text).await;
    let mut received = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(40), stream.read_to_end(&mut received));
    let _ = closed.await.expect("the connection is closed in time");
    (
        String::from_utf8_lossy(&received).into_owned(),
        began.elapsed(),
    )
}

async fn assert_healthy(hub: &Hub) {
    assert_eq!(Person::anonymous(hub).get("/healthz").await.status, 200);
}

#[tokio::test]
async fn body_over_256_kilobytes_is_refused_by_every_route() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let large = "x".repeat(257 * 1024);
    let content = json!({"to": "+14155550192", "content": large});
    harbor
        .admin
        .post(&harbor.path("/messages"), content)
        .await
        .refused(413, "payload_too_large");

    let cookies = cookies(&hub, &harbor.admin.email).await;
    let anonymous = Person::anonymous(&hub);
    let form = |path: String, accept: &'static str, name: String| {
        let request = anonymous
            .request(Method::POST, &path)
            .form(&[("name", name)]);
        let request = request.header("cookie", &cookies).header("accept", accept);
        anonymous.ask(request.header("sec-fetch-site", "same-origin"))
    };
    let integrations = format!("/w/{}/admin/integrations", harbor.slug);
    let login = || "/login".to_owned();
    form(login(), "*/*", large.clone())
        .await
        .refused(413, "payload_too_large");
    form(integrations, "*/*", large.clone())
        .await
        .refused(413, "payload_too_large");
    let page = form(login(), "text/html", large.clone()).await;
    assert_eq!(page.status, 413);
    assert!(page.body.contains("That didn’t work"), "{}", page.body);
    form(login(), "*/*", "short".into())
        .await
        .refused(422, "validation_failed");

    for path in ["/twilio/webhook", "/twilio/status"] {
        let request = anonymous
            .request(Method::POST, path)
            .form(&[("Body", &large)]);
        anonymous
            .ask(request)
            .await
            .refused(413, "payload_too_large");
    }
    assert_healthy(&hub).await;
}

#[tokio::test]
async fn chunked_body_is_limited_too() {
    let hub = Hub::start().await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let head = "POST /api/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let (answer, took) = send_raw(&hub, format!("{head}{}", chunk.repeat(8)).as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("payload_too_large"),
        "{answer}"
    );
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn oversized_header_is_refused_and_the_server_survives() {
    let hub = Hub::start().await;
    let head = |headers: &str| {
        format!("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")
    };
    let (fine, _) = send_raw(
        &hub,
        head(&format!("cookie: {}\r\n", "x".repeat(30_000))).as_bytes(),
    )
    .await;
    assert!(fine.starts_with("HTTP/1.1 200"), "{fine}");
    for headers in [
        format!("x-large: {}\r\n", "x".repeat(70_000)),
        format!("x-large: {}\r\n", "x".repeat(1_000_000)),
        "x-many: x\r\n".repeat(10_000),
        "x-many: x\r\n".repeat(200),
    ] {
        let (refused, took) = send_raw(&hub, head(&headers).as_bytes()).await;
        // The response may be lost if the client still sends when the server closes.
        assert!(
            refused.is_empty() || refused.starts_with("HTTP/1.1 431"),
            "{refused}"
        );
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    let (refused, _) = send_raw(&hub, head(&"x-many: x\r\n".repeat(200)).as_bytes()).await;
    assert!(refused.starts_with("HTTP/1.1 431"), "{refused}");
    assert_healthy(&hub).await;
}

#[tokio::test]
async fn stalled_request_is_disconnected() {
    let hub = Hub::start().await;
    let post = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
        )
    };
    let form = post("/login").replace("application/json", "application/x-www-form-urlencoded");
    let silent = "GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ";
    let (json, form, webhook) = (post("/api/auth/login"), form, post("/twilio/webhook"));
    let ((json, took), (form, _), (webhook, _), (head, head_took), (idle, _), ()) = tokio::join!(
        send_raw(&hub, json.as_bytes()),
        send_raw(&hub, form.as_bytes()),
        send_raw(&hub, webhook.as_bytes()),
        send_raw(&hub, silent.as_bytes()),
        send_raw(&hub, b""),
        assert_healthy(&hub),
    );
    for answer in [json, form, webhook] {
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(
            answer.contains("application/problem+json") && answer.contains("timed_out"),
            "{answer}"
        );
    }
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(
        (head.as_str(), idle.as_str()),
        ("", ""),
        "an incomplete request gets no response"
    );
    assert!(head_took < Duration::from_secs(30), "{head_took:?}");
    assert_healthy(&hub).await;
}

#[tokio::test]
async fn many_idle_connections_block_nobody() {
    let hub = Hub::start().await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(hub.server.address).await.unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost")
            .await
            .unwrap();
        silent.push(stream);
    }
    let began = Instant::now();
    assert_healthy(&hub).await;
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn idle_connections_do_not_delay_shutdown() {
    let hub = Hub::start().await;
    let mut idle = Vec::new();
    for n in 0..20 {
        let mut stream = TcpStream::connect(hub.server.address).await.unwrap();
        if n % 2 == 0 {
            let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
            stream.write_all(request).await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        }
        idle.push(stream);
    }
    let began = Instant::now();
    hub.server.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

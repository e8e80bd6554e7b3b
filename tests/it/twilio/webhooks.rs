//! Twilio's webhooks: signatures and parsing.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use reqwest::Method;

use super::*;

/// A web server that records requests.
#[derive(Clone, Default)]
struct WebhookServer {
    calls: Arc<Mutex<Vec<(Uri, HeaderMap, Bytes)>>>,
    url: String,
}

impl WebhookServer {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            ..Self::default()
        };
        let calls = server.calls.clone();
        let note = async move |uri: Uri, headers: HeaderMap, body: Bytes| {
            calls.lock().unwrap().push((uri, headers, body));
        };
        let router = axum::Router::new().fallback(note);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    /// Reads the last request as the web layer passes it on.
    fn last<T>(&self, read: impl FnOnce(&SignedRequest<'_>) -> T) -> T {
        let calls = self.calls.lock().unwrap();
        let (uri, headers, body) = calls.last().expect("a request");
        read(&SignedRequest {
            public_url: &format!("{}{uri}", self.url),
            method: &Method::POST,
            headers,
            body,
        })
    }
}

#[tokio::test]
async fn emulator_delivers_signed_texts_to_the_webhook() {
    let (twilio, _, client) = harbor().await;
    let server = WebhookServer::open().await;
    let urls = WebhookUrls {
        inbound: format!("{}/in?x=1", server.url),
        status: String::new(),
    };
    let number = only_number(&*client).await;
    client.configure_webhook(&number, &urls).await.unwrap();

    let answer = twilio
        .inbound_text(MAYA, FRONT_DESK, " Grüße & 👋\r\n")
        .media(&["https://api.twilio.com/a"])
        .with("Unheard", "of")
        .sid("SM42")
        .send()
        .await;

    assert!(answer.status().is_success());
    assert!(server.last(|request| client.verify(request)));
    let event = server.last(|request| client.read(Hook::Inbound, request));
    let WebhookEvent::Text(text) = event.unwrap() else {
        panic!("no text");
    };
    assert_eq!(
        (text.provider_sid.as_str(), text.account.as_str()),
        ("SM42", SID)
    );
    assert_eq!((text.from.as_str(), text.to.as_str()), (MAYA, FRONT_DESK));
    assert_eq!(text.text, " Grüße & 👋\r\n");
    assert_eq!(text.media[0].content_type, "image/jpeg");
}

#[tokio::test]
async fn foreign_signature_is_refused() {
    let (twilio, _, client) = harbor().await;
    let server = WebhookServer::open().await;
    let url = format!("{}/in", server.url);
    let inbound_text = || twilio.inbound_text(MAYA, FRONT_DESK, "hi").at(&url);

    inbound_text().send().await;
    assert!(server.last(|request| client.verify(request)));
    inbound_text().signed_with("another token").send().await;
    assert!(!server.last(|request| client.verify(request)));
    inbound_text().with_signature("bm9uc2Vuc2U=").send().await;
    assert!(!server.last(|request| client.verify(request)));
    inbound_text().without("From").send().await;
    assert!(server.last(|request| client.verify(request)));
    let malformed = server
        .last(|request| client.read(Hook::Inbound, request))
        .unwrap_err();
    assert!(malformed.to_string().contains("From"), "{malformed}");
}

#[tokio::test]
async fn reports_go_to_the_url_with_our_message_id() {
    let (twilio, _, client) = harbor().await;
    let server = WebhookServer::open().await;
    let text = Outgoing {
        status_url: Some(format!("{}/status", server.url)),
        ..text("hi")
    };
    client.send(&text).await;
    let sid = &twilio.messages()[0].sid;

    twilio.reports_failure(sid, "undelivered", 30003).await;

    assert!(server.last(|request| client.verify(request)));
    let event = server.last(|request| client.read(Hook::Status, request));
    let WebhookEvent::Report(report) = event.unwrap() else {
        panic!("no report");
    };
    assert_eq!(report.our_id, Some(text.our_id));
    assert_eq!(&report.provider_sid, sid);
    assert_eq!(report.status, Some(Status::Undelivered));
    assert_eq!(report.error.unwrap().class, ErrorClass::Retryable);
    let message = client.lookup(sid).await.unwrap().unwrap();
    assert_eq!(message.price.unwrap().amount, "0.00750");
    assert_eq!(message.error.unwrap().code, "30003");
}

#[tokio::test]
async fn emulator_delivers_by_itself_when_configured() {
    let (twilio, _, client) = harbor().await;
    let server = WebhookServer::open().await;
    twilio.delivers_by_itself();
    let text = Outgoing {
        status_url: Some(format!("{}/status", server.url)),
        ..text("hi")
    };
    client.send(&text).await;

    tokio::time::timeout(Duration::from_secs(5), async {
        while server.calls.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();

    let report = server.last(twilio::parse_status).unwrap();
    assert_eq!(report.status, Some(Status::Delivered));
}

#[tokio::test]
async fn emulator_refuses_texts_after_stop() {
    let (twilio, harbor, client) = harbor().await;
    let server = WebhookServer::open().await;
    harbor.set_webhook(FRONT_DESK, &server.url);
    let refused = async || match client.send(&text("hi")).await {
        SendOutcome::Refused(refusal) => Some(refusal.class),
        _ => None,
    };

    assert_eq!(refused().await, None);
    twilio.text(MAYA, FRONT_DESK, "stop").await;
    assert_eq!(refused().await, Some(ErrorClass::OptedOut));
    twilio.text(MAYA, FRONT_DESK, "Start").await;
    assert_eq!(refused().await, None);
}

#[tokio::test]
async fn media_requires_credentials_and_redirects() {
    let (twilio, harbor, client) = harbor().await;
    let url = harbor.late_media("MM1", "image/png", b"pixels", 1);
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let fetch = async |url: &str, authorized: bool| {
        let access = client.media_access(url, "MM1").filter(|_| authorized);
        let mut request = http.get(url);
        if let Some(MediaAccess::Authorized(authorization)) = access {
            request = request.header("Authorization", authorization);
        }
        request.send().await.unwrap()
    };

    assert_eq!(fetch(&url, false).await.status(), 401);
    assert_eq!(fetch(&url, true).await.status(), 404, "not available yet");
    let redirect = fetch(&url, true).await;
    assert_eq!(redirect.status(), 307);
    let cdn = redirect.headers()["Location"].to_str().unwrap();
    assert!(cdn.starts_with(twilio.url()));
    assert_eq!(client.media_access(cdn, "MM1"), None);
    let picture = fetch(cdn, true).await;
    assert_eq!(picture.headers()["Content-Type"], "image/png");
    assert_eq!(picture.bytes().await.unwrap(), "pixels");

    let elsewhere = harbor.media("MM2", "image/png", b"pixels");
    assert_eq!(client.media_access(&elsewhere, "MM1"), None);
}

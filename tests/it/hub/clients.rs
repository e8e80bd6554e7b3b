//! Test clients: users, HTTP responses and WebSocket frames.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, http};

use super::{Hub, PASSWORD, Workspace};

#[derive(Clone)]
pub struct Person {
    base: String,
    http: reqwest::Client,
    pub token: Option<String>,
    pub refresh_token: String,
    pub id: String,
    pub email: String,
    /// Client address in `X-Forwarded-For`; `None`: loopback.
    address: Option<String>,
}

impl Person {
    /// An anonymous client at this address.
    pub fn anonymous_at(hub: &Hub, address: &str) -> Self {
        Self {
            address: Some(address.into()),
            ..Self::anonymous(hub)
        }
    }

    pub fn anonymous(hub: &Hub) -> Self {
        Self {
            base: hub.url(""),
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build()
                .unwrap(),
            token: None,
            refresh_token: String::new(),
            id: String::new(),
            email: String::new(),
            address: None,
        }
    }

    pub fn signed_in(hub: &Hub, session: &Value) -> Self {
        Self {
            token: Some(session["access_token"].as_str().unwrap().into()),
            refresh_token: session["refresh_token"].as_str().unwrap().into(),
            id: session["user"]["id"].as_str().unwrap().into(),
            email: session["user"]["email"].as_str().unwrap().into(),
            ..Self::anonymous(hub)
        }
    }

    pub fn at(&self, base: &str) -> Self {
        Self {
            base: base.to_owned(),
            ..self.clone()
        }
    }

    pub async fn sign_in(hub: &Hub, email: &str) -> Self {
        let login = json!({"email": email, "password": PASSWORD});
        let session = Self::anonymous(hub)
            .post("/api/auth/login", login)
            .await
            .expect_status(200);
        Self::signed_in(hub, &session)
    }

    pub fn on(&self, hub: &Hub) -> Self {
        Self {
            base: hub.url(""),
            ..self.clone()
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask(self.request(Method::PATCH, path).json(&body))
            .await
    }

    pub async fn put(&self, path: &str) -> Answer {
        self.ask(self.request(Method::PUT, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(self.request(Method::DELETE, path)).await
    }

    pub async fn delete_with(&self, path: &str, body: Value) -> Answer {
        self.ask(self.request(Method::DELETE, path).json(&body))
            .await
    }

    pub async fn send_with_key(
        &self,
        workspace: &Workspace<'_>,
        key: &str,
        draft: &Value,
    ) -> Answer {
        let request = self.request(Method::POST, &workspace.path("/messages"));
        self.ask(request.header("idempotency-key", key).json(draft))
            .await
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(address) = &self.address {
            request = request.header("x-forwarded-for", address);
        }
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    pub async fn ask(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.unwrap(),
        }
    }

    /// Uploads a file in the form field `file`, as a browser does.
    pub async fn upload_to(&self, path: &str, bytes: &[u8]) -> Answer {
        let form = concat!(
            "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"holiday.jpg\"\r\n",
            "Content-Type: image/jpeg\r\n\r\n"
        );
        let body = [form.as_bytes(), bytes, b"\r\n--edge--\r\n"].concat();
        let request = self.request(Method::POST, path);
        let kind = "multipart/form-data; boundary=edge";
        self.ask(request.header("content-type", kind).body(body))
            .await
    }

    /// Gets a file: status, headers and bytes.
    pub async fn download(&self, path: &str, range: Option<&str>) -> (u16, HeaderMap, Vec<u8>) {
        let mut request = self.request(Method::GET, path);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, headers, answer.bytes().await.unwrap().to_vec())
    }

    /// Opens a socket that has not joined a workspace.
    pub async fn socket(&self) -> SocketClient {
        self.try_socket(None).await.unwrap()
    }

    /// Opens a socket with a small receive buffer, so that unread frames fill the server's queue.
    pub async fn slow_socket(&self) -> SocketClient {
        let request = self.upgrade(None).unwrap();
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        let address = self.base.strip_prefix("http://").unwrap().parse().unwrap();
        let stream = socket.connect(address).await.unwrap();
        let stream = tokio_tungstenite::MaybeTlsStream::Plain(stream);
        SocketClient(
            tokio_tungstenite::client_async(request, stream)
                .await
                .unwrap()
                .0,
        )
    }

    pub async fn try_socket(
        &self,
        protocol: Option<&str>,
    ) -> Result<SocketClient, tokio_tungstenite::tungstenite::Error> {
        let (socket, _) = tokio_tungstenite::connect_async(self.upgrade(protocol)?).await?;
        Ok(SocketClient(socket))
    }

    fn upgrade(
        &self,
        protocol: Option<&str>,
    ) -> Result<http::Request<()>, tokio_tungstenite::tungstenite::Error> {
        let mut request =
            format!("{}/ws", self.base.replace("http://", "ws://")).into_client_request()?;
        if let Some(token) = &self.token {
            let value = http::HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            request.headers_mut().insert("authorization", value);
        }
        if let Some(protocol) = protocol {
            let value = http::HeaderValue::from_str(protocol).unwrap();
            request
                .headers_mut()
                .insert("sec-websocket-protocol", value);
        }
        Ok(request)
    }

    /// Opens a socket and joins the workspace.
    pub async fn join_workspace(&self, workspace: &Workspace<'_>) -> SocketClient {
        let mut frames = self.socket().await;
        frames
            .send(json!({"type": "join_workspace", "workspace_id": workspace.id}))
            .await;
        assert_eq!(
            frames.wait_for("workspace_joined").await["workspace_id"],
            workspace.id
        );
        frames
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// Asserts the status; returns the body as JSON.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// Asserts a problem response as RFC 9457 defines it; returns the problem.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        let kind = self
            .headers
            .get("content-type")
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let problem = self.expect_status(status);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(kind, "application/problem+json");
        assert_eq!(problem["status"], status);
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.len() > 10),
            "{problem}"
        );
        problem
    }
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

pub struct SocketClient(Socket);

const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

impl SocketClient {
    pub async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// Waits for the next frame of this type; skips others.
    pub async fn wait_for(&mut self, kind: &str) -> Value {
        let frame = tokio::time::timeout(WAIT_TIMEOUT, async {
            loop {
                let frame = self.next().await;
                if frame["type"] == kind {
                    return frame;
                }
            }
        });
        let frame = frame.await;
        frame.unwrap_or_else(|_| panic!("no {kind} within {WAIT_TIMEOUT:?}"))
    }

    pub async fn next(&mut self) -> Value {
        serde_json::from_str(&self.next_text().await).unwrap()
    }

    pub async fn next_text(&mut self) -> String {
        loop {
            let message = tokio::time::timeout(WAIT_TIMEOUT, self.0.next())
                .await
                .expect("a frame within the timeout");
            match message
                .expect("the socket is open")
                .expect("the socket is open")
            {
                Message::Text(text) => return text.to_string(),
                Message::Close(close) => panic!("the socket was closed: {close:?}"),
                _ => {}
            }
        }
    }

    /// Starts the closing handshake.
    pub async fn send_close(&mut self, close: CloseFrame) {
        self.0.send(Message::Close(Some(close))).await.unwrap();
    }

    /// Waits for the server's close frame; returns its code.
    pub async fn wait_for_close(&mut self) -> u16 {
        loop {
            let message = tokio::time::timeout(WAIT_TIMEOUT, self.0.next())
                .await
                .expect("a close frame within the timeout");
            match message {
                Some(Ok(Message::Close(Some(close)))) => return close.code.into(),
                Some(Ok(_)) => {}
                other => panic!("no close frame but {other:?}"),
            }
        }
    }

    /// All frames received until the server answers a command sent now.
    pub async fn received_so_far(&mut self, workspace: &Workspace<'_>) -> Vec<Value> {
        self.send(json!({"type": "leave_workspace", "workspace_id": workspace.id}))
            .await;
        let mut received = Vec::new();
        loop {
            let frame = self.next().await;
            if frame["type"] == "workspace_left" {
                return received;
            }
            received.push(frame);
        }
    }
}

//! The least that a server can do: takes a webhook, verifies its signature, and sends it to the sockets of its workspace.
//! No database. It is what a machine allows for HTTP and for WebSockets.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::broadcast;

use crate::cluster::unused_address;
use crate::usage::Processes;
use crate::workload::{self, WORKSPACES};

/// The argument that makes this program the null server.
pub const ARGUMENT: &str = "null-server";

/// The null server as a process.
pub struct Null {
    child: Child,
    pub address: SocketAddr,
}

impl Null {
    pub async fn start() -> Self {
        let address = unused_address();
        let child = Command::new(std::env::current_exe().unwrap())
            .arg(ARGUMENT)
            .arg(address.to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self { child, address }
    }

    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn processes(&self, database: u32) -> Processes {
        Processes {
            server: self.child.id(),
            database,
        }
    }

    pub async fn stop(mut self) {
        self.child.kill().await.unwrap();
    }
}

struct Number {
    key: hmac::Key,
    workspace: usize,
}

struct App {
    url: String,
    numbers: HashMap<String, Number>,
    rooms: Vec<broadcast::Sender<Utf8Bytes>>,
}

pub fn serve(address: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let router = Router::new()
            .route("/twilio/webhook", post(webhook))
            .route("/ws", get(upgrade))
            .with_state(Arc::new(App::new(address)));
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        axum::serve(listener, router).await.unwrap();
    });
}

impl App {
    fn new(address: &str) -> Self {
        let accounts = workload::provider_accounts(WORKSPACES);
        let numbers = accounts
            .iter()
            .enumerate()
            .flat_map(|(workspace, account)| {
                account.numbers.iter().map(move |number| {
                    let key = workload::key(&account.token);
                    (number.clone(), Number { key, workspace })
                })
            });
        Self {
            url: format!("http://{address}/twilio/webhook"),
            numbers: numbers.collect(),
            rooms: (0..WORKSPACES).map(|_| broadcast::channel(256).0).collect(),
        }
    }
}

async fn webhook(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    let mut form: Vec<(Cow<str>, Cow<str>)> = form_urlencoded::parse(&body).collect();
    form.sort_unstable();
    let field = |name: &str| {
        let mut fields = form.iter();
        fields
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_ref())
    };
    let Some(number) = field("To").and_then(|to| app.numbers.get(to)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if !is_signed(&app, number, &headers, &form) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let room = &app.rooms[number.workspace];
    if room.receiver_count() > 0 {
        let message = json!({"content": field("Body"), "from": field("From"), "to": field("To"),
            "provider_sid": field("MessageSid"), "direction": "inbound", "status": "received"});
        let frame = format!(r#"{{"type":"new_message","message":{message}}}"#);
        let _ = room.send(frame.into());
    }
    let answer = r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#;
    ([(header::CONTENT_TYPE, "text/xml")], answer).into_response()
}

fn is_signed(
    app: &App,
    number: &Number,
    headers: &HeaderMap,
    sorted: &[(Cow<str>, Cow<str>)],
) -> bool {
    let mut text = app.url.clone();
    for (name, value) in sorted {
        text.push_str(name);
        text.push_str(value);
    }
    let signature = headers.get("x-twilio-signature");
    let signature = signature.and_then(|signature| STANDARD.decode(signature).ok());
    signature
        .is_some_and(|signature| hmac::verify(&number.key, text.as_bytes(), &signature).is_ok())
}

async fn upgrade(State(app): State<Arc<App>>, upgrade: WebSocketUpgrade) -> Response {
    // The default buffers take 128 kB a socket.
    upgrade
        .read_buffer_size(2048)
        .write_buffer_size(0)
        .on_upgrade(move |socket| serve_socket(app, socket))
}

async fn serve_socket(app: Arc<App>, mut socket: WebSocket) {
    let Some(Ok(Message::Text(join))) = socket.recv().await else {
        return;
    };
    let join: Value = serde_json::from_str(&join).unwrap_or_default();
    let workspace = join["workspace_id"].as_str().and_then(|id| id.parse().ok());
    let Some(room) = workspace.and_then(|workspace: usize| app.rooms.get(workspace)) else {
        return;
    };
    let mut frames = room.subscribe();
    let joined = Message::text(r#"{"type":"workspace_joined"}"#);
    if socket.send(joined).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                Ok(frame) => if socket.send(Message::Text(frame)).await.is_err() { return },
                Err(_) => return,
            },
            received = socket.recv() => if !matches!(received, Some(Ok(_))) { return },
        }
    }
}

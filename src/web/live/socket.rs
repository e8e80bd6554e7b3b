//! `GET /ws`: one task per connection with small buffers, to keep 10,000 idle connections cheap.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::mpsc;
use tungstenite::error::{CapacityError, Error as Broken, ProtocolError};

use super::commands;
use super::connection::{Client, Connection, Dialect};
use super::frames::RESYNC;
use crate::domain::accounts::{self, Caller};
use crate::error::Error;
use crate::language::{self, t};
use crate::web::AppState;
use crate::web::auth::{Claimed, TokenSource};
use crate::web::guard;
use crate::web::listen::Link;
use crate::web::problem::Problem;

/// The subprotocol that selects Turbo Streams instead of JSON.
pub const FRAGMENTS: &str = "messagehub.fragments";
/// The largest command is a text of 1,600 characters.
const LARGEST_FRAME: usize = 32 * 1024;
/// Proxies close connections that are silent for 60 seconds.
const PING_EVERY: Duration = Duration::from_secs(25);
/// Two unanswered pings.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// For one frame.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// For the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Authenticates by bearer header or cookie before the upgrade. A cookie is accepted only from the same origin.
pub async fn open(
    State(app_state): State<AppState>,
    caller: Caller,
    link: Option<Extension<Arc<Link>>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let (Claimed(session), token_source) =
        Claimed::of(&headers, &app_state.app).ok_or(Error::Unauthenticated)?;
    if token_source == TokenSource::Cookie
        && guard::is_same_origin(&headers, &app_state.app.config) == Some(false)
    {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "cross_origin",
            t!("this socket was opened by another site"),
        ));
    }
    let user = accounts::of_session(&app_state.app.db, session).await?;
    if is_of_another_version(&headers) {
        return Ok(version_required());
    }
    let upgrade = upgrade.map_err(|wrong| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed",
            language::Message::verbatim(wrong.to_string()),
        )
    })?;
    if !has_a_key(&headers) {
        let detail = t!("Sec-WebSocket-Key is 16 bytes in base64, once");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "malformed", detail));
    }
    let upgrade = upgrade
        .read_buffer_size(1024)
        .write_buffer_size(0)
        .max_message_size(LARGEST_FRAME)
        .max_frame_size(LARGEST_FRAME)
        .protocols([FRAGMENTS]);
    let dialect = if upgrade.selected_protocol().is_some() {
        Dialect::Fragments(language::current())
    } else {
        Dialect::Json
    };
    let connected = app_state.hub.connect(Client {
        user: user.id,
        name: user.name,
        session,
        address: caller.address,
        dialect,
    });
    let Some((connection, queue)) = connected else {
        return Ok(upgrade.on_upgrade(|mut socket| async move {
            close(&mut socket, close_code::AGAIN, "too many sockets are open").await;
        }));
    };
    let leave = Leave(app_state.clone(), Arc::clone(&connection));
    // A session that ended before `connect` is caught here; one that ends later, by the hub.
    accounts::of_session(&app_state.app.db, session).await?;
    Ok(upgrade.on_upgrade(move |socket| async move {
        let leave = leave;
        let mut socket = socket;
        let end = serve_connection(&leave.0, &mut socket, &leave.1, queue).await;
        drop(leave);
        if let Some(Extension(link)) = link {
            link.linger();
        }
        send_close(&mut socket, end).await;
    }))
}

fn is_of_another_version(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE);
    let is_websocket = upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    is_websocket && version.is_none_or(|version| version.as_bytes() != b"13")
}

fn version_required() -> Response {
    let detail = t!("WebSockets are spoken in version 13 here");
    let status = StatusCode::UPGRADE_REQUIRED;
    let headers = [
        (
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        ),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
    ];
    let problem = Problem::new(status, "version_not_supported", detail);
    (headers, problem).into_response()
}

fn has_a_key(headers: &HeaderMap) -> bool {
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) => STANDARD.decode(key).is_ok_and(|key| key.len() == 16),
        _ => false,
    }
}

/// Disconnects on every exit, including a failed upgrade and a panic.
struct Leave(AppState, Arc<Connection>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.hub.disconnect(&self.1);
    }
}

enum End {
    /// The peer closed: complete the handshake.
    Closed,
    /// The peer is unreachable.
    Gone,
    /// The server closes, with a code and reason.
    Because(u16, &'static str),
}

async fn serve_connection(
    app_state: &AppState,
    socket: &mut WebSocket,
    connection: &Arc<Connection>,
    mut queue: mpsc::Receiver<Utf8Bytes>,
) -> End {
    let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING_EVERY, PING_EVERY);
    let mut last_received = tokio::time::Instant::now();
    loop {
        tokio::select! {
            frame = queue.recv() => {
                let Some(frame) = frame else { return End::Gone };
                if !frame.is_empty() && !send(socket, Message::Text(frame)).await {
                    return End::Gone;
                }
                if queue.is_empty() && connection.caught_up() {
                    if !send(socket, Message::Text(RESYNC.into())).await {
                        return End::Gone;
                    }
                    // Presence is not part of any page that `resync` reloads.
                    for workspace in connection.joined() {
                        app_state.hub.presence.send_present(connection, workspace);
                    }
                }
            }
            message = socket.recv() => {
                last_received = tokio::time::Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => {
                        // Boxed, so that an idle connection's task does not reserve memory for the largest command.
                        if let Some(answer) = Box::pin(commands::answer(app_state, connection, &text)).await
                            && !send(socket, Message::Text(answer)).await
                        {
                            return End::Gone;
                        }
                    }
                    Some(Ok(Message::Binary(_))) => {
                        let refusal = commands::error("malformed", "send JSON in text frames");
                        if !send(socket, Message::Text(refusal)).await {
                            return End::Gone;
                        }
                    }
                    Some(Ok(Message::Close(_))) => return End::Closed,
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return broken(error),
                    None => return End::Gone,
                }
            }
            () = connection.ended.notified() => return End::Because(close_code::POLICY, "signed out, or no member any more"),
            () = app_state.stopping.cancelled() => return End::Because(close_code::RESTART, "the server restarts"),
            _ = ping.tick() => {
                app_state.hub.presence.check_view(connection);
                if last_received.elapsed() > SILENCE_TIMEOUT || !send(socket, Message::Ping(Default::default())).await {
                    return End::Gone;
                }
            }
        }
    }
}

/// The close code for a violation of RFC 6455.
fn broken(error: axum::Error) -> End {
    match error.into_inner().downcast_ref::<Broken>() {
        Some(Broken::Capacity(CapacityError::MessageTooLong { .. })) => {
            End::Because(close_code::SIZE, "a frame is at most 32 kB")
        }
        Some(Broken::Utf8(_)) => End::Because(close_code::INVALID, "text frames are UTF-8"),
        Some(Broken::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => End::Gone,
        Some(Broken::Protocol(_)) => End::Because(close_code::PROTOCOL, "this is not RFC 6455"),
        _ => End::Gone,
    }
}

/// Completes the closing handshake: reading flushes the answer to the peer's close, and awaits the answer to ours.
async fn send_close(socket: &mut WebSocket, end: End) {
    match end {
        End::Gone => {}
        End::Closed => finish(socket).await,
        End::Because(code, reason) => close(socket, code, reason).await,
    }
}

async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    if send(socket, Message::Close(Some(frame))).await {
        finish(socket).await;
    }
}

async fn finish(socket: &mut WebSocket) {
    let rest = async { while let Some(Ok(_)) = socket.recv().await {} };
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, rest).await;
}

async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(
        tokio::time::timeout(WRITE_TIMEOUT, socket.send(message)).await,
        Ok(Ok(()))
    )
}

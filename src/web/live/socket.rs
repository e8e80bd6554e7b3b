//! `GET /ws`: one task per socket, small buffers, so that ten thousand idle ones are cheap.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;

use super::commands;
use super::frames::RESYNC;
use super::rooms::{Connection, Dialect};
use crate::domain::accounts;
use crate::error::Error;
use crate::language;
use crate::web::Doors;
use crate::web::auth::{Claimed, Door};
use crate::web::guard;
use crate::web::problem::Problem;

/// What a browser asks for to get Turbo Streams instead of JSON.
pub const FRAGMENTS: &str = "messagehub.fragments";
/// A frame from a client is a command, or at most a text of 1,600 characters.
const LARGEST_FRAME: usize = 32 * 1024;
/// Proxies close what is silent for a minute.
const PING_EVERY: Duration = Duration::from_secs(25);
/// Twice no answer to a ping: nobody is there.
const SILENT_FOR: Duration = Duration::from_secs(60);
/// The longest that a peer may take a frame.
const SLOWEST_WRITE: Duration = Duration::from_secs(10);

/// Bearer header or cookie, else 401 before the upgrade. With a cookie only from our own pages.
pub async fn open(
    State(doors): State<Doors>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let (Claimed(session), door) =
        Claimed::of(&headers, &doors.app).ok_or(Error::Unauthenticated)?;
    if door == Door::Cookie && guard::comes_from_us(&headers, &doors.app.config) == Some(false) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "cross_origin",
            "this socket was opened by another site",
        ));
    }
    let user = accounts::of_session(&doors.app.db, session).await?;
    let upgrade = upgrade
        .map_err(|wrong| Problem::new(StatusCode::BAD_REQUEST, "malformed", wrong.to_string()))?;
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
    let (connection, queue) = doors.hub.connect(user.id, session, dialect);
    let leave = Leave(doors.clone(), Arc::clone(&connection));
    // Whoever signed out before the hub knew of this socket is noticed here, and later by the hub.
    accounts::of_session(&doors.app.db, session).await?;
    Ok(upgrade
        .on_upgrade(move |socket| async move {
            let leave = leave;
            converse(&leave.0, socket, &leave.1, queue).await;
        })
        .into_response())
}

/// However a connection ends, also before its upgrade or by a panic, the hub forgets it.
struct Leave(Doors, Arc<Connection>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.hub.disconnect(&self.1);
    }
}

async fn converse(
    doors: &Doors,
    mut socket: WebSocket,
    connection: &Arc<Connection>,
    mut queue: mpsc::Receiver<Utf8Bytes>,
) {
    let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING_EVERY, PING_EVERY);
    let mut heard = tokio::time::Instant::now();
    loop {
        tokio::select! {
            frame = queue.recv() => {
                let Some(frame) = frame else { return };
                if !frame.is_empty() && !say(&mut socket, Message::Text(frame)).await {
                    return;
                }
                if queue.is_empty() && connection.caught_up() && !say(&mut socket, Message::Text(RESYNC.into())).await {
                    return;
                }
            }
            message = socket.recv() => {
                heard = tokio::time::Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => {
                        // Boxed: an idle socket must not hold the room that the largest command needs.
                        if let Some(answer) = Box::pin(commands::answer(doors, connection, &text)).await
                            && !say(&mut socket, Message::Text(answer)).await
                        {
                            return;
                        }
                    }
                    Some(Ok(Message::Binary(_))) => {
                        let refusal = commands::error("malformed", "send JSON in text frames");
                        if !say(&mut socket, Message::Text(refusal)).await {
                            return;
                        }
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                }
            }
            () = connection.ended.notified() => return close(socket, close_code::POLICY, "signed out, or no member any more").await,
            () = doors.stopping.cancelled() => return close(socket, close_code::RESTART, "the server restarts").await,
            _ = ping.tick() => {
                if heard.elapsed() > SILENT_FOR || !say(&mut socket, Message::Ping(Default::default())).await {
                    return;
                }
            }
        }
    }
}

async fn say(socket: &mut WebSocket, message: Message) -> bool {
    matches!(
        tokio::time::timeout(SLOWEST_WRITE, socket.send(message)).await,
        Ok(Ok(()))
    )
}

async fn close(mut socket: WebSocket, code: u16, reason: &'static str) {
    let goodbye = CloseFrame {
        code,
        reason: reason.into(),
    };
    say(&mut socket, Message::Close(Some(goodbye))).await;
}

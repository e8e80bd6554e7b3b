//! `GET /ws`: the handshake. After it the connection belongs to one task (`peer`).

use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::upgrade::OnUpgrade;
use tokio_util::sync::CancellationToken;

use super::Hub;
use super::connection::{Client, Connection, Dialect};
use super::outbox::Outbox;
use super::peer::{End, Peer};
use crate::domain::accounts::{self, Caller};
use crate::error::Error;
use crate::language::{self, t};
use crate::web::AppState;
use crate::web::auth::{Claimed, TokenSource};
use crate::web::guard;
use crate::web::problem::Problem;

/// The subprotocol that selects Turbo Streams instead of JSON.
pub const FRAGMENTS: &str = "messagehub.fragments";
/// What RFC 6455 appends to the client's key.
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Authenticates by bearer header or cookie before the upgrade. A cookie is accepted only from the same origin.
pub async fn open(
    State(app_state): State<AppState>,
    caller: Caller,
    on_upgrade: Option<Extension<OnUpgrade>>,
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
            t!("This socket was opened by another site"),
        ));
    }
    let user = accounts::of_session(&app_state.app.db, session).await?;
    if is_of_another_version(&headers) {
        return Ok(version_required());
    }
    let malformed = |detail| Problem::new(StatusCode::BAD_REQUEST, "malformed", detail);
    let upgrade = upgrade
        .map_err(|wrong| malformed(language::Message::verbatim(wrong.to_string())))?
        .protocols([FRAGMENTS]);
    let key = key(&headers)
        .ok_or_else(|| malformed(t!("Send one Sec-WebSocket-Key of 16 bytes in base64")))?;
    let Some(Extension(on_upgrade)) = on_upgrade else {
        return Err(Error::Internal("the connection cannot be upgraded".into()).into());
    };
    let protocol = upgrade.selected_protocol();
    let answer = switching_protocols(key, protocol);
    let connected = app_state.hub.connect(Client {
        user: user.id,
        name: user.name,
        session,
        address: caller.address,
        dialect: match protocol {
            Some(_) => Dialect::Fragments(language::current()),
            None => Dialect::Json,
        },
    });
    let Some(connection) = connected else {
        app_state.app.background.spawn(refuse(on_upgrade));
        return Ok(answer);
    };
    let leave = Leave(app_state.hub.clone(), connection);
    // A session that ended before `connect` is caught here; one that ends later, by the hub.
    accounts::of_session(&app_state.app.db, session).await?;
    let served = serve(on_upgrade, leave, app_state.stopping.clone());
    app_state.app.background.spawn(served);
    Ok(answer)
}

async fn serve(on_upgrade: OnUpgrade, leave: Leave, stopping: CancellationToken) {
    let Some(mut peer) = Peer::upgraded(on_upgrade).await else {
        return;
    };
    let Leave(hub, connection) = &leave;
    let connection = Arc::clone(connection);
    let end = peer.serve(hub, &connection, &stopping).await;
    drop(leave);
    peer.end(&connection.outbox, end).await;
}

async fn refuse(on_upgrade: OnUpgrade) {
    if let Some(peer) = Peer::upgraded(on_upgrade).await {
        let outbox = Outbox::default();
        outbox.open(peer.stream());
        peer.end(&outbox, End::TOO_MANY).await;
    }
}

fn is_of_another_version(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE);
    let is_websocket = upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let version = headers.get(header::SEC_WEBSOCKET_VERSION);
    is_websocket && version.is_none_or(|version| version.as_bytes() != b"13")
}

fn version_required() -> Response {
    let detail = t!("Use WebSocket version 13");
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

/// The client's key, if it is one.
fn key(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if STANDARD.decode(key).is_ok_and(|key| key.len() == 16) => Some(key),
        _ => None,
    }
}

fn switching_protocols(key: &HeaderValue, protocol: Option<&HeaderValue>) -> Response {
    let signed = [key.as_bytes(), KEY_SUFFIX].concat();
    let accept = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &signed));
    let mut response = (
        StatusCode::SWITCHING_PROTOCOLS,
        [
            (header::CONNECTION, "upgrade"),
            (header::UPGRADE, "websocket"),
            (header::SEC_WEBSOCKET_ACCEPT, &accept),
        ],
    )
        .into_response();
    if let Some(protocol) = protocol {
        let headers = response.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol.clone());
    }
    response
}

/// Disconnects on every exit, including a failed upgrade and a panic.
struct Leave(Hub, Arc<Connection>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.disconnect(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455, section 1.3.
    #[test]
    fn handshake_is_answered_as_the_standard_says() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        let answer = switching_protocols(&key, None);
        assert_eq!(
            answer.headers()[header::SEC_WEBSOCKET_ACCEPT],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}

//! Many WebSockets with a minimal client: ten thousand must fit beside the server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::hub::Hub;
use crate::wire::Wire;

/// How long sockets are waited for that have not received everything.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who opens sockets, and in which workspace.
pub struct Member {
    pub workspace: String,
    pub token: String,
}

impl Member {
    pub async fn of(hub: &Hub, workspace: usize) -> Self {
        Self {
            workspace: hub.workspaces[workspace].id.clone(),
            token: hub.sign_in(workspace).await,
        }
    }
}

/// What a text begins with, so that it is recognized on the sockets.
pub fn mark(text: usize) -> String {
    format!("mark:{text}; ")
}

/// A text at a socket, once for each of both.
pub struct Arrival {
    pub text: usize,
    pub at: Instant,
}

/// Sockets, which are closed when this is dropped.
pub struct Crowd {
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    _sockets: JoinSet<()>,
}

impl Crowd {
    pub async fn gather(address: SocketAddr, member: &Member, size: usize) -> Self {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let mut sockets = JoinSet::new();
        let mut joining = futures_util::stream::iter(0..size)
            .map(|_| join(address, member))
            .buffer_unordered(32);
        while let Some(socket) = joining.next().await {
            sockets.spawn(listen(socket, sender.clone()));
        }
        drop(joining);
        Self {
            arrivals,
            _sockets: sockets,
        }
    }

    /// What has arrived, once it is as much as `expected` or nothing more comes.
    pub async fn received(&mut self, expected: usize) -> Vec<Arrival> {
        let mut received = Vec::new();
        while received.len() < expected {
            match tokio::time::timeout(PATIENCE, self.arrivals.recv()).await {
                Ok(Some(arrival)) => received.push(arrival),
                _ => break,
            }
        }
        while let Ok(arrival) = self.arrivals.try_recv() {
            received.push(arrival);
        }
        received
    }
}

async fn join(address: SocketAddr, member: &Member) -> Socket {
    let mut wire = Wire::connect(address).await;
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n",
        member.token
    );
    assert_eq!(wire.ask(upgrade.as_bytes()).await, 101);
    let mut socket = Socket {
        stream: wire.into_stream(),
        received: Vec::new(),
    };
    let command = format!(
        r#"{{"type":"join_workspace","workspace_id":"{}"}}"#,
        member.workspace
    );
    socket.send(TEXT, command.as_bytes()).await;
    let joined = socket.frame().await.unwrap();
    assert!(joined.payload.starts_with(br#"{"type":"workspace_joined""#));
    socket
}

async fn listen(mut socket: Socket, sender: mpsc::UnboundedSender<Arrival>) {
    let mut seen = Vec::new();
    while let Some(frame) = socket.frame().await {
        let at = Instant::now();
        match frame.kind {
            TEXT => {
                for text in marks(&frame.payload) {
                    if text >= seen.len() {
                        seen.resize(text + 1, false);
                    }
                    if !std::mem::replace(&mut seen[text], true) {
                        let _ = sender.send(Arrival { text, at });
                    }
                }
            }
            PING => socket.send(PONG, &frame.payload).await,
            _ => {}
        }
    }
}

/// The texts in an event. Other events than `new_message` may quote one before it is there.
fn marks(payload: &[u8]) -> Vec<usize> {
    let payload = std::str::from_utf8(payload).unwrap();
    if !payload.contains(r#""new_message""#) {
        return Vec::new();
    }
    let after_marks = payload.split("mark:").skip(1);
    let numbers = after_marks.filter_map(|rest| rest.split_once(';')?.0.parse().ok());
    numbers.collect()
}

const TEXT: u8 = 1;
const PING: u8 = 9;
const PONG: u8 = 10;

struct Frame {
    kind: u8,
    payload: Vec<u8>,
}

struct Socket {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Socket {
    /// Sends a short frame, masked with zeros.
    async fn send(&mut self, kind: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).unwrap();
        assert!(length < 126, "a short frame");
        let head = [0x80 | kind, 0x80 | length, 0, 0, 0, 0];
        self.stream
            .write_all(&[&head, payload].concat())
            .await
            .unwrap();
    }

    async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((start, end)) = self.complete_payload() {
                let kind = self.received[0] & 0x0f;
                let payload = self.received[start..end].to_vec();
                self.received.drain(..end);
                return Some(Frame { kind, payload });
            }
            if self.stream.read_buf(&mut self.received).await.ok()? == 0 {
                return None;
            }
        }
    }

    fn complete_payload(&self) -> Option<(usize, usize)> {
        let (start, length) = match *self.received.get(1)? {
            126 => {
                let length = self.received.get(2..4)?.try_into().unwrap();
                (4, usize::from(u16::from_be_bytes(length)))
            }
            127 => {
                let length = self.received.get(2..10)?.try_into().unwrap();
                (10, u64::from_be_bytes(length) as usize)
            }
            short => (2, usize::from(short)),
        };
        (self.received.len() >= start + length).then_some((start, start + length))
    }
}

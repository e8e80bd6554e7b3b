//! Many WebSockets in one workspace, with a minimal client: ten thousand must fit beside the server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::load::Wire;
use crate::server::Hub;

pub struct Crowd {
    size: usize,
    received: mpsc::UnboundedReceiver<Instant>,
    _members: JoinSet<()>,
}

pub struct Latencies {
    pub middle: Duration,
    pub last: Duration,
}

impl Crowd {
    pub async fn gather(hub: &Hub, size: usize) -> Self {
        let (sender, received) = mpsc::unbounded_channel();
        let mut members = JoinSet::new();
        let mut joining = futures_util::stream::iter(0..size)
            .map(|_| join(hub))
            .buffer_unordered(32);
        while let Some(socket) = joining.next().await {
            members.spawn(listen(socket, sender.clone()));
        }
        Self {
            size,
            received,
            _members: members,
        }
    }

    pub async fn measure_latency(&mut self, address: SocketAddr, webhook: &[u8]) -> Latencies {
        let mut wire = Wire::connect(address).await;
        let posted = Instant::now();
        assert_eq!(wire.ask(webhook).await, 200);
        let mut times = Vec::with_capacity(self.size);
        while times.len() < self.size {
            let received =
                tokio::time::timeout(Duration::from_secs(10), self.received.recv()).await;
            times.push(received.unwrap().unwrap() - posted);
        }
        times.sort();
        Latencies {
            middle: times[self.size / 2],
            last: times[self.size - 1],
        }
    }
}

async fn join(hub: &Hub) -> Socket {
    let (address, token) = (hub.address, &hub.token);
    let mut wire = Wire::connect(address).await;
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n"
    );
    assert_eq!(wire.ask(upgrade.as_bytes()).await, 101);
    let mut socket = Socket {
        stream: wire.into_stream(),
        received: Vec::new(),
    };
    let command = format!(
        r#"{{"type":"join_workspace","workspace_id":"{}"}}"#,
        hub.workspace
    );
    socket.send(TEXT, command.as_bytes()).await;
    let joined = socket.frame().await.unwrap();
    assert!(joined.payload.starts_with(br#"{"type":"workspace_joined""#));
    socket
}

async fn listen(mut socket: Socket, sender: mpsc::UnboundedSender<Instant>) {
    while let Some(frame) = socket.frame().await {
        match frame.kind {
            TEXT if frame.payload.starts_with(br#"{"type":"new_message""#) => {
                let _ = sender.send(Instant::now());
            }
            PING => socket.send(PONG, &frame.payload).await,
            _ => {}
        }
    }
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

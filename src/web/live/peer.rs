//! The client at the other end of a socket, and the task that serves it. The task sleeps while others push frames: it is
//! woken by what the client sends, by frames that the network does not take at once, and to ping.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::close_code;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, Interval, interval_at, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tungstenite::error::{CapacityError, Error as Broken, ProtocolError};
use tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig, WebSocketContext};

use super::Hub;
use super::connection::Connection;
use super::frames::RESYNC;
use super::outbox::Outbox;
use super::{commands, wire};
use crate::web::listen::{Entry, Stream};

/// The largest command is a text of 1,600 characters.
const LARGEST_FRAME: usize = 32 * 1024;
/// Grows with a command and is kept per socket.
const READ_BUFFER: usize = 256;
/// Proxies close connections that are silent for 60 seconds.
const PING_EVERY: Duration = Duration::from_secs(25);
/// Two unanswered pings.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// For one frame.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// For the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

pub enum End {
    /// The peer closed: complete the handshake.
    Closed,
    /// The peer is unreachable.
    Gone,
    /// The server closes, with a code and reason.
    Because(u16, &'static str),
}

impl End {
    pub const TOO_MANY: Self = Self::Because(close_code::AGAIN, "too many sockets are open");
    const NOT_ADMITTED: Self =
        Self::Because(close_code::POLICY, "signed out, or no member any more");
    const RESTART: Self = Self::Because(close_code::RESTART, "the server restarts");
}

pub struct Peer {
    stream: Arc<TcpStream>,
    entry: Entry,
    protocol: WebSocketContext,
}

impl Peer {
    /// Waits until the response to the handshake is sent. `None` if the client is gone.
    pub async fn upgraded(on_upgrade: OnUpgrade) -> Option<Self> {
        let upgraded = on_upgrade.await.ok()?;
        let parts = upgraded.downcast::<TokioIo<Stream>>().ok()?;
        let (stream, entry) = parts.io.into_inner().into_parts();
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(LARGEST_FRAME))
            .max_frame_size(Some(LARGEST_FRAME));
        let sent_already = parts.read_buf.to_vec();
        Some(Self {
            stream: Arc::new(stream),
            entry,
            protocol: WebSocketContext::from_partially_read(
                sent_already,
                Role::Server,
                Some(config),
            ),
        })
    }

    pub fn stream(&self) -> Arc<TcpStream> {
        Arc::clone(&self.stream)
    }

    /// Reads, and writes what others could not, until the connection has to end.
    pub async fn serve(
        &mut self,
        hub: &Hub,
        connection: &Arc<Connection>,
        stopping: &CancellationToken,
    ) -> End {
        let outbox = &connection.outbox;
        outbox.open(self.stream());
        let mut pings = pings();
        let mut received = Instant::now();
        let mut stuck = Stuck::default();
        // Some of it may have come together with the handshake.
        let mut has_input = true;
        loop {
            if outbox.caught_up() {
                send_resync(hub, connection);
            }
            let waits = outbox.is_waiting();
            stuck.set_waiting(waits);
            tokio::select! {
                biased;
                () = connection.ended.notified() => return End::NOT_ADMITTED,
                () = stopping.cancelled() => return End::RESTART,
                _ = pings.tick() => {
                    hub.presence.check_view(connection);
                    if received.elapsed() > SILENCE_TIMEOUT {
                        return End::Gone;
                    }
                    outbox.answer(&wire::ping());
                }
                () = outbox.changed(), if !waits => {}
                () = stuck.timeout(), if waits => return End::Gone,
                // A client that takes no answers may send no more commands.
                writable = self.stream.ready(Interest::WRITABLE), if waits => {
                    match writable.and_then(|_| outbox.flush()) {
                        Ok(count) => stuck.moved(count),
                        Err(_) => return End::Gone,
                    }
                }
                () = self.readable(has_input), if !waits => {
                    match self.read(outbox) {
                        Ok(message) => {
                            received = Instant::now();
                            has_input = true;
                            if let Some(end) = obey(hub, connection, message).await {
                                return end;
                            }
                        }
                        Err(Broken::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                            has_input = false;
                        }
                        Err(error) => return broken(error),
                    }
                }
            }
        }
    }

    /// Waits for input, unless there may be some already. An error shows when it is read.
    async fn readable(&self, has_input: bool) {
        if has_input {
            tokio::task::consume_budget().await;
        } else {
            let _ = self.stream.readable().await;
        }
    }

    fn read(&mut self, outbox: &Outbox) -> Result<Message, Broken> {
        let mut wire = Wire {
            stream: &self.stream,
            outbox,
        };
        self.protocol.read(&mut wire)
    }

    /// Completes the closing handshake, and closes the connection.
    pub async fn end(mut self, outbox: &Outbox, end: End) {
        outbox.close();
        let says_goodbye = match end {
            End::Gone => false,
            End::Closed => true,
            End::Because(code, reason) => self.close(outbox, code, reason),
        };
        if says_goodbye {
            let _ = timeout(CLOSE_TIMEOUT, self.finish(outbox)).await;
        }
        drop(outbox.take_stream());
        if let Some(stream) = Arc::into_inner(self.stream) {
            self.entry.close(stream).await;
        }
    }

    fn close(&mut self, outbox: &Outbox, code: u16, reason: &'static str) -> bool {
        let mut wire = Wire {
            stream: &self.stream,
            outbox,
        };
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        self.protocol.close(&mut wire, Some(frame)).is_ok()
    }

    /// Reads until the client has closed: reading also writes the answer to its close.
    async fn finish(&mut self, outbox: &Outbox) {
        loop {
            let read = self.read(outbox);
            while outbox.is_waiting() {
                if self.stream.writable().await.is_err() || outbox.flush().is_err() {
                    return;
                }
            }
            match read {
                Ok(_) => {}
                Err(Broken::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.stream.readable().await.is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }
}

fn pings() -> Interval {
    interval_at(Instant::now() + PING_EVERY, PING_EVERY)
}

/// Frames were lost.
fn send_resync(hub: &Hub, connection: &Arc<Connection>) {
    connection.outbox.answer(&wire::text(RESYNC));
    // Presence is not part of any page that `resync` reloads.
    for workspace in connection.joined() {
        hub.presence.send_present(connection, workspace);
    }
}

async fn obey(hub: &Hub, connection: &Arc<Connection>, message: Message) -> Option<End> {
    match message {
        Message::Text(text) => {
            connection.outbox.hold();
            // Boxed, so that an idle connection's task does not reserve memory for the largest command.
            let answer = Box::pin(commands::answer(hub, connection, &text)).await;
            if connection.outbox.release(answer).is_err() {
                return Some(End::Gone);
            }
        }
        Message::Binary(_) => {
            let refusal = commands::error("malformed", "send JSON in text frames");
            connection.outbox.answer(&refusal);
        }
        Message::Close(_) => return Some(End::Closed),
        _ => {}
    }
    None
}

/// The close code for a violation of RFC 6455.
fn broken(error: Broken) -> End {
    match error {
        Broken::Capacity(CapacityError::MessageTooLong { .. }) => {
            End::Because(close_code::SIZE, "a frame is at most 32 kB")
        }
        Broken::Utf8(_) => End::Because(close_code::INVALID, "text frames are UTF-8"),
        Broken::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Gone,
        Broken::Protocol(_) => End::Because(close_code::PROTOCOL, "this is not RFC 6455"),
        _ => End::Gone,
    }
}

/// Since when the network has not taken a whole frame.
#[derive(Default)]
struct Stuck(Option<Instant>);

impl Stuck {
    fn set_waiting(&mut self, is_waiting: bool) {
        self.0 = is_waiting.then(|| self.0.unwrap_or_else(Instant::now));
    }

    fn moved(&mut self, frames: usize) {
        if frames > 0 {
            self.0 = None;
        }
    }

    async fn timeout(&self) {
        let since = self.0.unwrap_or_else(Instant::now);
        sleep_until(since + WRITE_TIMEOUT).await;
    }
}

/// The socket as the protocol sees it. What it writes goes through the outbox, so that no frame gets into another one.
struct Wire<'a> {
    stream: &'a TcpStream,
    outbox: &'a Outbox,
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.try_read(buffer)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outbox.answer(&Bytes::copy_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

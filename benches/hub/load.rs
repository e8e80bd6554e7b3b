//! A minimal HTTP client: it shares the cores with the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::table;

pub struct Wire {
    stream: TcpStream,
    receiver_buffer: Vec<u8>,
}

impl Wire {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            receiver_buffer: Vec::with_capacity(4096),
        }
    }

    pub async fn ask(&mut self, request: &[u8]) -> u16 {
        self.stream.write_all(request).await.unwrap();
        self.receiver_buffer.clear();
        loop {
            let more = self
                .stream
                .read_buf(&mut self.receiver_buffer)
                .await
                .unwrap();
            assert_ne!(more, 0, "the server closed the connection");
            if let Some(end) = complete_length(&self.receiver_buffer) {
                assert_eq!(end, self.receiver_buffer.len(), "one answer to one request");
                return std::str::from_utf8(&self.receiver_buffer[9..12])
                    .unwrap()
                    .parse()
                    .unwrap();
            }
        }
    }

    pub fn into_stream(self) -> TcpStream {
        self.stream
    }
}

/// The length of the response, once it is complete.
fn complete_length(receiver_buffer: &[u8]) -> Option<usize> {
    let head = receiver_buffer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")?
        + 4;
    let lines = receiver_buffer[..head].split(|&byte| byte == b'\n');
    let length = lines
        .filter_map(|line| line.strip_prefix(b"content-length: "))
        .next()
        .map_or(0, |length| {
            let length = std::str::from_utf8(length).unwrap();
            length.trim().parse::<usize>().unwrap()
        });
    (receiver_buffer.len() >= head + length).then_some(head + length)
}

pub struct Load {
    took: Duration,
    times: Vec<Duration>,
    statuses: Vec<u16>,
}

impl Load {
    /// Sends `requests` in order, `at_once` concurrently, until they or the time run out.
    pub async fn of(
        address: SocketAddr,
        requests: &Arc<Vec<Vec<u8>>>,
        at_once: usize,
        time: Duration,
    ) -> Self {
        let mut wires = Vec::new();
        for _ in 0..at_once {
            wires.push(Wire::connect(address).await);
        }
        let next = Arc::new(AtomicUsize::new(0));
        let begun = Instant::now();
        let mut clients = JoinSet::new();
        for mut wire in wires {
            let (requests, next) = (Arc::clone(requests), Arc::clone(&next));
            clients.spawn(async move {
                let mut seen = Vec::new();
                while begun.elapsed() < time {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(request) = requests.get(place) else {
                        break;
                    };
                    let sent = Instant::now();
                    let status = wire.ask(request).await;
                    seen.push((sent.elapsed(), status));
                }
                seen
            });
        }
        let seen = clients.join_all().await;
        let took = begun.elapsed();
        let (times, statuses) = seen.into_iter().flatten().unzip();
        Self {
            took,
            times,
            statuses,
        }
    }

    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    /// The number of responses; panics unless all have `status`.
    pub fn answered(&self, status: u16) -> usize {
        let other = self.statuses.iter().find(|other| **other != status);
        assert_eq!(other, None, "every answer is {status}");
        self.statuses.len()
    }

    pub fn middle(&self) -> f64 {
        table::median(self.times.iter().map(Duration::as_secs_f64))
    }

    pub fn times(&self) -> String {
        table::percentiles(self.times.clone())
    }

    pub fn summary(rounds: &[Self]) -> String {
        let rate = table::median(rounds.iter().map(Self::rate));
        let times = rounds.iter().flat_map(|round| &round.times);
        format!(
            "{rate:.0}/s, {}",
            table::percentiles(times.copied().collect())
        )
    }
}

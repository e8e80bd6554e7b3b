//! A minimal HTTP client: it shares the cores with the server.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Wire {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            received: Vec::with_capacity(4096),
        }
    }

    /// The status of the response, which is read to its end.
    pub async fn ask(&mut self, request: &[u8]) -> u16 {
        self.stream.write_all(request).await.unwrap();
        self.received.clear();
        let mut length = None;
        loop {
            let more = self.stream.read_buf(&mut self.received).await.unwrap();
            assert_ne!(more, 0, "the server closed the connection");
            length = length.or_else(|| response_length(&self.received));
            if length.is_some_and(|length| self.received.len() >= length) {
                assert_eq!(length, Some(self.received.len()), "one response");
                let status = std::str::from_utf8(&self.received[9..12]).unwrap();
                return status.parse().unwrap();
            }
        }
    }

    pub fn into_stream(self) -> TcpStream {
        self.stream
    }
}

/// The length of the head and the body, once the head is complete.
fn response_length(received: &[u8]) -> Option<usize> {
    let head = received.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let lines = received[..head].split(|&byte| byte == b'\n');
    let body = lines
        .filter_map(|line| line.strip_prefix(b"content-length: "))
        .next()
        .map_or(0, |length| {
            let length = std::str::from_utf8(length).unwrap();
            length.trim().parse::<usize>().unwrap()
        });
    Some(head + body)
}

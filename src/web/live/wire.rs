//! Text frames as they are on the wire (RFC 6455), so that all sockets share their bytes.

use axum::body::Bytes;
use serde::Serialize;

/// The longest header of a frame from a server.
const LONGEST_HEADER: usize = 10;
/// A final frame of text, and a ping.
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;

/// A value in JSON.
pub fn json(value: &impl Serialize) -> Bytes {
    let mut frame = vec![0; LONGEST_HEADER];
    serde_json::to_writer(&mut frame, value).expect("plain data serializes");
    with_header(frame)
}

pub fn text(text: &str) -> Bytes {
    let mut frame = Vec::with_capacity(LONGEST_HEADER + text.len());
    frame.resize(LONGEST_HEADER, 0);
    frame.extend_from_slice(text.as_bytes());
    with_header(frame)
}

/// Without a payload.
pub fn ping() -> Bytes {
    Bytes::from_static(&[PING, 0])
}

/// Fills the header in before the payload, which begins at `LONGEST_HEADER`.
fn with_header(mut frame: Vec<u8>) -> Bytes {
    let length = frame.len() - LONGEST_HEADER;
    let mut header = vec![TEXT];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..=125), _) => header.push(length),
        (_, Ok(length)) => {
            header.push(126);
            header.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            header.push(127);
            header.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let begin = LONGEST_HEADER - header.len();
    frame[begin..LONGEST_HEADER].copy_from_slice(&header);
    Bytes::from(frame).slice(begin..)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tungstenite::protocol::{Message, Role, WebSocketContext};

    use super::*;

    #[test]
    fn frames_are_read_as_they_were_meant() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 200_000] {
            let written = "x".repeat(length);
            let frame = text(&written);
            let mut client = WebSocketContext::new(Role::Client, None);
            let read = client.read(&mut Cursor::new(frame.to_vec()));
            assert_eq!(read.expect("a frame"), Message::text(written), "{length}");
        }
        assert_eq!(json(&[1, 2]), text("[1,2]"));
        let mut client = WebSocketContext::new(Role::Client, None);
        let read = client.read(&mut Cursor::new(ping().to_vec()));
        assert_eq!(read.expect("a frame"), Message::Ping(Bytes::new()));
    }
}

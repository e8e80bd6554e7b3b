use std::net::SocketAddr;

use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::*;

/// A server with one short and one endless response, for at most `most` connections.
async fn server(most: usize, timeouts: ClientTimeouts) -> SocketAddr {
    let endless = || async {
        let piece = Bytes::from_static(&[b'x'; 4_096]);
        Body::from_stream(stream::repeat_with(move || {
            Ok::<_, std::io::Error>(piece.clone())
        }))
    };
    let router = Router::new()
        .route("/short", get(async || "short"))
        .route("/endless", get(endless));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(serve(
        listener,
        router,
        CancellationToken::new(),
        most,
        timeouts,
    ));
    address
}

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(60);

/// A connection with a small receive buffer that has sent a request.
async fn asking(server: SocketAddr, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let mut stream = socket.connect(server).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it is sent");
    stream
}

async fn is_answered(server: SocketAddr) -> bool {
    let answered = async {
        let mut stream = asking(server, "/short").await;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.is_ok() && head == *b"HTTP/1.1 200"
    };
    tokio::time::timeout(Duration::from_secs(10), answered)
        .await
        .unwrap_or(false)
}

async fn is_over(stream: &mut TcpStream, within: Duration) -> bool {
    let read = async { while !matches!(stream.read(&mut [0; 65_536]).await, Ok(0) | Err(_)) {} };
    tokio::time::timeout(within, read).await.is_ok()
}

#[tokio::test]
async fn stalled_reader_is_disconnected_and_active_one_is_kept() {
    let timeouts = ClientTimeouts {
        read: SHORT,
        ..ClientTimeouts::default()
    };
    let server = server(100, timeouts).await;
    let (mut idle, mut dripping) = (
        asking(server, "/endless").await,
        asking(server, "/endless").await,
    );
    let mut reading = asking(server, "/endless").await;
    // It reads until the other connections are closed.
    let others_are_gone = tokio_util::sync::CancellationToken::new();
    let until = others_are_gone.clone();
    let read = tokio::spawn(async move {
        while !until.is_cancelled() {
            let bytes = reading.read(&mut [0; 65_536]).await;
            assert!(
                bytes.expect("the stream continues") > 0,
                "it reads continuously"
            );
            tokio::time::sleep(SHORT / 10).await;
        }
    });
    let until = Instant::now() + 10 * SHORT;
    while Instant::now() < until {
        let _ = dripping.read(&mut [0; 1]).await;
        tokio::time::sleep(SHORT / 10).await;
    }
    assert!(is_over(&mut idle, LONG).await, "it never read");
    assert!(
        is_over(&mut dripping, LONG).await,
        "it read a byte at a time"
    );
    others_are_gone.cancel();
    read.await.expect("it reads continuously");
}

#[tokio::test]
async fn waiting_connections_yield() {
    let timeouts = ClientTimeouts {
        head: LONG,
        read: LONG,
        crowded: SHORT,
    };
    let server = server(20, timeouts).await;
    let mut held = Vec::new();
    for nth in 0..60 {
        held.push(match nth % 3 {
            // Does not read its response; sends nothing; sends half of a request.
            0 => asking(server, "/endless").await,
            1 => TcpStream::connect(server).await.expect("a connection"),
            _ => {
                let mut half = TcpStream::connect(server).await.expect("a connection");
                half.write_all(b"GET /short HT").await.expect("it is sent");
                half
            }
        });
    }
    assert!(is_answered(server).await);
}

/// With a long idle limit the same connections block new ones: counter-check of the test above.
#[tokio::test]
async fn connection_limit_is_shared() {
    let timeouts = ClientTimeouts {
        head: LONG,
        read: LONG,
        crowded: LONG,
    };
    let server = server(20, timeouts).await;
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(asking(server, "/endless").await);
    }
    let answered = tokio::time::timeout(4 * SHORT, is_answered(server)).await;
    assert!(!answered.unwrap_or(false));
}

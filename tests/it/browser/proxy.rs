//! A TCP proxy between browser and server that can switch servers, lose responses or writes, and stall connections.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Proxy {
    pub url: String,
    target: watch::Sender<SocketAddr>,
    lost: watch::Sender<Lost>,
    /// Number of calls of `stalls_connections`.
    stalls: watch::Sender<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    Nothing,
    Responses,
    Writes,
}

impl Proxy {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (target, targets) = watch::channel(server);
        let (lost, losses) = watch::channel(Lost::Nothing);
        let (stalls, stalled) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(
                    client,
                    targets.clone(),
                    losses.clone(),
                    stalled.clone(),
                ));
            }
        });
        Self {
            url,
            target,
            lost,
            stalls,
        }
    }

    /// Connects to another server and closes all connections to the old one.
    pub fn leads_to(&self, server: SocketAddr) {
        self.target.send_replace(server);
    }

    /// The server receives requests, but connections close before its responses.
    pub fn loses_responses(&self, loses: bool) {
        self.lost.send_replace(if loses {
            Lost::Responses
        } else {
            Lost::Nothing
        });
    }

    /// Stops forwarding on open connections, in both directions, without closing them, as after sleep or a NAT
    /// timeout. New connections work.
    pub fn stalls_connections(&self) {
        self.stalls.send_modify(|times| *times += 1);
    }

    /// Closes connections that send a POST or PUT; GET works.
    pub fn loses_writes(&self) {
        self.lost.send_replace(Lost::Writes);
    }
}

async fn forward(
    client: TcpStream,
    mut targets: watch::Receiver<SocketAddr>,
    losses: watch::Receiver<Lost>,
    stalled: watch::Receiver<u32>,
) {
    let at_start = *stalled.borrow();
    let is_stalled = || *stalled.borrow() > at_start;
    let server = *targets.borrow_and_update();
    let Ok(upstream) = TcpStream::connect(server).await else {
        return;
    };
    let (mut client_in, mut client_out) = client.into_split();
    let (mut upstream_in, mut upstream_out) = upstream.into_split();
    let requests = async {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = client_in.read(&mut bytes).await {
            if is_stalled() {
                continue;
            }
            let is_write = bytes.starts_with(b"POST ") || bytes.starts_with(b"PUT ");
            if is_write && *losses.borrow() == Lost::Writes {
                return;
            }
            if upstream_out.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
        let _ = upstream_out.shutdown().await;
        // The response is still pending.
        std::future::pending::<()>().await;
    };
    let responses = async {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = upstream_in.read(&mut bytes).await {
            if is_stalled() {
                continue;
            }
            if *losses.borrow() == Lost::Responses
                || client_out.write_all(&bytes[..count]).await.is_err()
            {
                break;
            }
        }
        // A stalled connection does not forward the server's close either.
        if is_stalled() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = requests => {}
        () = responses => {}
        _ = targets.changed() => {}
    }
}

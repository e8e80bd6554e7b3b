//! The line between a browser and the server, that can be plugged in elsewhere, can lose what comes back or what is sent,
//! and can die without a word.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Proxy {
    pub url: String,
    end: watch::Sender<SocketAddr>,
    loses: watch::Sender<Lost>,
    /// How often the connections that were open have gone deaf.
    deaf: watch::Sender<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    Nothing,
    Answers,
    Writes,
}

impl Proxy {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (end, plugged) = watch::channel(server);
        let (loses, losing) = watch::channel(Lost::Nothing);
        let (deaf, deafened) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(
                    near,
                    plugged.clone(),
                    losing.clone(),
                    deafened.clone(),
                ));
            }
        });
        Self {
            url,
            end,
            loses,
            deaf,
        }
    }

    /// What is under way on the old line is cut off.
    pub fn leads_to(&self, server: SocketAddr) {
        self.end.send_replace(server);
    }

    /// The server hears everything, but where its answer should come the line breaks.
    pub fn loses_answers(&self, loses: bool) {
        self.loses
            .send_replace(if loses { Lost::Answers } else { Lost::Nothing });
    }

    /// From now on nothing passes on the connections that are open, neither way, yet they stay open, as after a laptop's sleep
    /// or behind a router that has forgotten them. New ones pass.
    pub fn stalls_connections(&self) {
        self.deaf.send_modify(|times| *times += 1);
    }

    /// Pages come, but nothing that is posted or put gets there.
    pub fn loses_writes(&self) {
        self.loses.send_replace(Lost::Writes);
    }
}

async fn carry(
    near: TcpStream,
    mut plugged: watch::Receiver<SocketAddr>,
    losing: watch::Receiver<Lost>,
    deafened: watch::Receiver<u32>,
) {
    let born = *deafened.borrow();
    let is_deaf = || *deafened.borrow() > born;
    let server = *plugged.borrow_and_update();
    let Ok(far) = TcpStream::connect(server).await else {
        return;
    };
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    let there = async {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = near_in.read(&mut bytes).await {
            if is_deaf() {
                continue;
            }
            let is_write = bytes.starts_with(b"POST ") || bytes.starts_with(b"PUT ");
            if is_write && *losing.borrow() == Lost::Writes {
                return;
            }
            if far_out.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
        let _ = far_out.shutdown().await;
        // The answer is still to come.
        std::future::pending::<()>().await;
    };
    let back = async {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = far_in.read(&mut bytes).await {
            if is_deaf() {
                continue;
            }
            if *losing.borrow() == Lost::Answers
                || near_out.write_all(&bytes[..count]).await.is_err()
            {
                break;
            }
        }
        // Not even that the server has closed it is heard.
        if is_deaf() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = plugged.changed() => {}
    }
}

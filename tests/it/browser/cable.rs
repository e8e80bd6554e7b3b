//! The line between a browser and the server, that can be plugged in elsewhere.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Cable {
    pub url: String,
    end: watch::Sender<SocketAddr>,
}

impl Cable {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (end, plugged) = watch::channel(server);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, plugged.clone()));
            }
        });
        Self { url, end }
    }

    /// What is under way on the old line is cut off.
    pub fn leads_to(&self, server: SocketAddr) {
        self.end.send_replace(server);
    }
}

async fn carry(mut near: TcpStream, mut plugged: watch::Receiver<SocketAddr>) {
    let server = *plugged.borrow_and_update();
    let Ok(mut far) = TcpStream::connect(server).await else {
        return;
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = plugged.changed() => {}
    }
}

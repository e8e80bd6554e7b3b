//! The line between a browser and the server, that can be pulled out and plugged in elsewhere.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Cable {
    pub url: String,
    end: watch::Sender<Option<SocketAddr>>,
}

impl Cable {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (end, plugged) = watch::channel(Some(server));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, plugged.clone()));
            }
        });
        Self { url, end }
    }

    /// Everything under way is cut off, and nothing gets through.
    pub fn is_pulled(&self) {
        self.end.send_replace(None);
    }

    pub fn leads_to(&self, server: SocketAddr) {
        self.end.send_replace(Some(server));
    }
}

async fn carry(mut near: TcpStream, mut plugged: watch::Receiver<Option<SocketAddr>>) {
    let server = *plugged.borrow_and_update();
    let Some(server) = server else { return };
    let Ok(mut far) = TcpStream::connect(server).await else {
        return;
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = plugged.changed() => {}
    }
}

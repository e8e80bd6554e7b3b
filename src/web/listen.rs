//! Takes connections and speaks HTTP on them. `axum::serve` does the same, but waits for ever for the head of a request and
//! reads heads of any length.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// From the connection, or the answer before, to the end of a request's head. So long a connection may also stay idle.
const SLOWEST_HEAD: Duration = Duration::from_secs(20);
/// Cookies and the longest address are a few kilobytes.
const LARGEST_HEAD: usize = 64 * 1024;

/// Serves until `stopping`, then finishes the requests under way. WebSockets go their own ways.
pub async fn serve(mut listener: TcpListener, router: Router, stopping: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(SLOWEST_HEAD)
        .max_header_size(LARGEST_HEAD);
    let connections = TaskTracker::new();
    loop {
        let (stream, peer) = tokio::select! {
            // Ours tries again when the system is out of files.
            accepted = Listener::accept(&mut listener) => accepted,
            () = stopping.cancelled() => break,
        };
        let router = router.clone();
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().oneshot(request)
        });
        let connection = http.serve_connection(TokioIo::new(stream), answer);
        let stopping = stopping.clone();
        connections.spawn(async move {
            let mut connection = pin!(connection.with_upgrades());
            tokio::select! {
                _ = connection.as_mut() => return,
                () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

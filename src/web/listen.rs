//! Accepts connections and serves HTTP/1.1. Unlike `axum::serve`, it limits the time for a request's head, closes
//! connections whose clients do not read the response, and stays available when clients hold all file descriptors.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

mod stream;

pub use stream::Stream;

/// Cookies and the longest URL are a few kilobytes.
const LARGEST_HEAD: usize = 64 * 1024;
/// Time and bytes to read from a client after the connection is closed for writing.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 1024 * 1024;
/// A connection with a request in progress is closed only after this time, and if no idle connection can be.
const LONG_REQUEST: Duration = Duration::from_secs(10);
const NOT_POISONED: &str = "no thread panics while holding the lock";

/// Time limits for clients.
#[derive(Clone, Copy, Debug)]
pub struct ClientTimeouts {
    /// From the connection or the previous response to the end of a request's head; also the idle timeout.
    pub head: Duration,
    /// For each [`stream::ENOUGH`] bytes of a response.
    pub read: Duration,
    /// At the connection limit, the minimum idle time of a connection that is closed for a new one.
    pub crowded: Duration,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(20),
            read: Duration::from_secs(20),
            crowded: Duration::from_millis(500),
        }
    }
}

/// Serves until `stopping`, then completes requests in progress. WebSockets stop by themselves. Beyond `most` open
/// connections, the longest idle ones are closed, except WebSockets.
pub async fn serve(
    mut listener: TcpListener,
    router: Router,
    stopping: CancellationToken,
    most: usize,
    timeouts: ClientTimeouts,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(timeouts.head)
        .max_header_size(LARGEST_HEAD);
    let open = Arc::new(Open::default());
    let connections = TaskTracker::new();
    loop {
        let accepted = async {
            open.room(most, timeouts.crowded).await;
            // `Listener::accept` retries when the process is out of file descriptors.
            Listener::accept(&mut listener).await
        };
        let (stream, peer) = tokio::select! {
            accepted = accepted => accepted,
            () = stopping.cancelled() => break,
        };
        let router = router.clone();
        let entry = open.enter();
        let link = Arc::clone(&entry.link);
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let (link, router) = (Arc::clone(&link), router.clone());
            async move {
                link.is_busy.store(true, Ordering::Relaxed);
                link.moved();
                let answer = router.oneshot(request).await;
                link.is_busy.store(false, Ordering::Relaxed);
                link.moved();
                if let Ok(answer) = &answer
                    && answer.status() == StatusCode::SWITCHING_PROTOCOLS
                {
                    link.is_socket.store(true, Ordering::Relaxed);
                }
                answer
            }
        });
        let link = Arc::clone(&entry.link);
        // Else the end of a response, or a second frame, waits until the client has acknowledged what came before.
        let _ = stream.set_nodelay(true);
        let stream = Stream::new(stream, entry, timeouts.read);
        let connection = http.serve_connection(TokioIo::new(stream), answer);
        let stopping = stopping.clone();
        connections.spawn(async move {
            let mut connection = pin!(connection.with_upgrades());
            tokio::select! {
                _ = connection.as_mut() => return,
                () = link.cut.notified() => return,
                () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

struct Link {
    began: Instant,
    /// Milliseconds since `began` of the latest activity: bytes written, or a request started or completed.
    moved_at: AtomicU64,
    is_busy: AtomicBool,
    is_socket: AtomicBool,
    cut: Notify,
}

impl Link {
    fn moved(&self) {
        let now = self.began.elapsed().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        self.moved_at.store(now, Ordering::Relaxed);
    }

    fn idle_for(&self) -> Duration {
        let moved_at = Duration::from_millis(self.moved_at.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(moved_at)
    }
}

#[derive(Default)]
struct Open {
    links: Mutex<HashMap<u64, Arc<Link>>>,
    next: AtomicU64,
    left: Notify,
}

impl Open {
    fn links(&self) -> MutexGuard<'_, HashMap<u64, Arc<Link>>> {
        self.links.lock().expect(NOT_POISONED)
    }

    fn enter(self: &Arc<Self>) -> Entry {
        let link = Arc::new(Link {
            began: Instant::now(),
            moved_at: AtomicU64::new(0),
            is_busy: AtomicBool::new(false),
            is_socket: AtomicBool::new(false),
            cut: Notify::new(),
        });
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.links().insert(id, Arc::clone(&link));
        Entry {
            open: Arc::clone(self),
            id,
            link,
        }
    }

    /// Waits until another connection may be open.
    async fn room(&self, most: usize, idle: Duration) {
        loop {
            let left = self.left.notified();
            if self.links().len() < most {
                return;
            }
            self.close_idle(idle);
            let _ = tokio::time::timeout(Duration::from_millis(100), left).await;
        }
    }

    /// Closes at most a sixteenth of the connections, so that not every new connection scans all of them.
    fn close_idle(&self, idle: Duration) {
        let links = self.links();
        let waiting = |is_busy: bool, at_least: Duration| {
            let mut waiting: Vec<_> = links
                .values()
                .filter(|link| {
                    !link.is_socket.load(Ordering::Relaxed)
                        && link.is_busy.load(Ordering::Relaxed) == is_busy
                })
                .map(|link| (link.idle_for(), link))
                .filter(|(idle_for, _)| *idle_for >= at_least)
                .collect();
            waiting.sort_unstable_by_key(|(idle_for, _)| std::cmp::Reverse(*idle_for));
            waiting
        };
        let mut cut = waiting(false, idle);
        if cut.is_empty() {
            cut = waiting(true, LONG_REQUEST);
        }
        cut.truncate(links.len() / 16 + 1);
        if !cut.is_empty() {
            metrics::counter!("messagehub_connections_cut_total").increment(cut.len() as u64);
            tracing::warn!(
                open = links.len(),
                cut = cut.len(),
                "connection limit reached: closing the longest idle connections"
            );
        }
        for (_, link) in cut {
            link.cut.notify_one();
        }
    }
}

/// Registers an open connection; dropped when its socket is closed.
pub struct Entry {
    open: Arc<Open>,
    id: u64,
    link: Arc<Link>,
}

impl Entry {
    /// Closes the connection so that the last bytes are delivered even if the client is still sending: with unread
    /// input it would be reset.
    pub async fn close(self, mut stream: TcpStream) {
        let _ = stream.shutdown().await;
        let mut rest = stream.take(LINGER_BYTES);
        let mut nowhere = tokio::io::sink();
        let gone = tokio::io::copy(&mut rest, &mut nowhere);
        let _ = tokio::time::timeout(LINGER, gone).await;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.open.links().remove(&self.id);
        self.open.left.notify_one();
    }
}

#[cfg(test)]
mod tests;

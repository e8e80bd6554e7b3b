//! Groups single writes into batches.
//!
//! A writer takes everything that is queued and writes it in one transaction. There is no timer: under load many writes
//! share a commit, and a single one is written at once. A transaction has fixed costs, so a second one begins beside
//! another only when it has half as many items, or the other one ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::db::Db;
use crate::error::{Error, Result};

/// Queue length. When it is full, the web layer stops accepting webhooks until there is room.
const QUEUE_LENGTH: usize = 4_096;
/// Items of one transaction. With more, the flush gains nothing and the statement's joins grow quadratically.
const BATCH_SIZE: usize = 64;
/// Transactions at once: while one waits for the disk and one for its answers to be taken, the third one works.
const WRITERS: usize = 3;

pub trait Batched: Send + Sync + Sized + 'static {
    type Written: Send;

    /// Writes all items in one transaction; results are in the order of the items.
    fn write<'a>(db: &'a Db, batch: &'a [&'a Self]) -> BoxFuture<'a, Result<Vec<Self::Written>>>;

    /// Called after an error: the commit may have succeeded although its response was lost.
    fn on_uncertain_commit(&self, _: &Db) {}
}

/// The handle of the writer.
pub struct BatchSender<T: Batched> {
    queue: mpsc::Sender<QueuedItem<T>>,
    writers: Arc<Semaphore>,
}

impl<T: Batched> Clone for BatchSender<T> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            writers: Arc::clone(&self.writers),
        }
    }
}

struct QueuedItem<T: Batched> {
    item: T,
    response: oneshot::Sender<Result<T::Written>>,
}

impl<T: Batched> BatchSender<T> {
    /// Returns the handle, and the writer, which the caller must run. Its transactions run on `tasks`.
    pub fn new(db: Db, tasks: TaskTracker) -> (Self, Writer<T>) {
        let (sender, queue) = mpsc::channel(QUEUE_LENGTH);
        let writers = Arc::new(Semaphore::new(WRITERS));
        let writer = Writer {
            db,
            tasks,
            queue: Arc::new(Mutex::new(queue)),
            writers: Arc::clone(&writers),
        };
        let sender = Self {
            queue: sender,
            writers,
        };
        (sender, writer)
    }

    /// Whether a batch is being written. The writer itself waits for items with one permit.
    pub fn is_busy(&self) -> bool {
        self.writers.available_permits() + 1 < WRITERS
    }

    /// Returns after the commit.
    pub async fn write(&self, item: T) -> Result<T::Written> {
        let (response, received) = oneshot::channel();
        let stopped = || Error::Database(sqlx::Error::PoolClosed);
        let queued = QueuedItem { item, response };
        self.queue.send(queued).await.map_err(|_| stopped())?;
        received.await.map_err(|_| stopped())?
    }
}

pub struct Writer<T: Batched> {
    db: Db,
    tasks: TaskTracker,
    /// Survives a restart of the worker.
    queue: Arc<Mutex<mpsc::Receiver<QueuedItem<T>>>>,
    writers: Arc<Semaphore>,
}

impl<T: Batched> Clone for Writer<T> {
    fn clone(&self) -> Self {
        Self {
            db: self.db.clone(),
            tasks: self.tasks.clone(),
            queue: Arc::clone(&self.queue),
            writers: Arc::clone(&self.writers),
        }
    }
}

impl<T: Batched> Writer<T> {
    pub async fn run(self) {
        let mut queue = self.queue.lock().await;
        let writers = Arc::clone(&self.writers);
        let in_progress = Arc::new(InProgress::default());
        let mut batch = Vec::with_capacity(BATCH_SIZE);
        loop {
            let permit = Arc::clone(&writers)
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            while batch.is_empty() || (batch.len() < BATCH_SIZE && batch.len() < in_progress.half())
            {
                let room = BATCH_SIZE - batch.len();
                tokio::select! {
                    received = queue.recv_many(&mut batch, room) => if received == 0 {
                        break; // no more senders
                    },
                    () = in_progress.ended.notified(), if !batch.is_empty() => {}
                }
            }
            if batch.is_empty() {
                break;
            }
            let (db, batch) = (self.db.clone(), std::mem::take(&mut batch));
            let transaction = in_progress.begin(batch.len(), permit);
            self.tasks.spawn(async move {
                write(&db, batch).await;
                drop(transaction);
            });
        }
        let all = u32::try_from(WRITERS).expect("the number of writers fits u32");
        let _every_batch_is_written = writers.acquire_many(all).await;
    }
}

/// The transactions that are being written.
#[derive(Default)]
struct InProgress {
    items: AtomicUsize,
    ended: Notify,
}

impl InProgress {
    fn half(&self) -> usize {
        self.items.load(Ordering::Relaxed) / 2
    }

    fn begin(self: &Arc<Self>, size: usize, permit: OwnedSemaphorePermit) -> Transaction {
        self.items.fetch_add(size, Ordering::Relaxed);
        Transaction {
            in_progress: Arc::clone(self),
            size,
            _permit: permit,
        }
    }
}

struct Transaction {
    in_progress: Arc<InProgress>,
    size: usize,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.in_progress
            .items
            .fetch_sub(self.size, Ordering::Relaxed);
        self.in_progress.ended.notify_one();
    }
}

async fn write<T: Batched>(db: &Db, batch: Vec<QueuedItem<T>>) {
    let items: Vec<&T> = batch.iter().map(|queued| &queued.item).collect();
    let written = T::write(db, &items).await;
    if written.is_err() {
        for item in &items {
            item.on_uncertain_commit(db);
        }
    }
    match written {
        Ok(written) => {
            for (queued, written) in batch.into_iter().zip(written) {
                // The caller may be gone; the item is written all the same.
                let _ = queued.response.send(Ok(written));
            }
        }
        Err(error) if error.is_outage() || batch.len() == 1 => {
            let mut error = Some(error);
            for queued in batch {
                let error = error
                    .take()
                    .unwrap_or(Error::Database(sqlx::Error::PoolClosed));
                let _ = queued.response.send(Err(error));
            }
        }
        // One item that the database refuses, or a deadlock with another server, must not fail the others.
        Err(error) => {
            tracing::warn!(%error, size = batch.len(), "batch write failed; writing its items one by one");
            for queued in batch {
                let result = T::write(db, &[&queued.item])
                    .await
                    .map(|mut written| written.remove(0));
                let _ = queued.response.send(result);
            }
        }
    }
}

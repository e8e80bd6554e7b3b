//! Groups single writes into batches.
//!
//! A writer takes everything that is queued and writes it in one transaction. There is no timer: under load many writes
//! share a commit, and a single one is written at once.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::db::Db;
use crate::error::{Error, Result};

/// Queue length. When it is full, the web layer stops accepting webhooks until there is room.
const QUEUE: usize = 4_096;
/// Items of one transaction. With more, the flush gains nothing and the statement's joins grow quadratically.
const BATCH: usize = 64;
/// Two transactions at once: while one waits for the disk, the other one works.
const WRITERS: usize = 2;

pub trait Batched: Send + Sync + Sized + 'static {
    type Written: Send;

    /// Writes all items in one transaction; results are in the order of the items.
    fn write<'a>(db: &'a Db, batch: &'a [&'a Self]) -> BoxFuture<'a, Result<Vec<Self::Written>>>;

    /// Called after an error: the commit may have succeeded although its response was lost.
    fn may_have_happened(&self, _: &Db) {}
}

/// The handle of the writer.
pub struct BatchSender<T: Batched>(mpsc::Sender<Waiting<T>>);

impl<T: Batched> Clone for BatchSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Waiting<T: Batched> {
    work: T,
    answer: oneshot::Sender<Result<T::Written>>,
}

impl<T: Batched> BatchSender<T> {
    /// Returns the handle, and the writer, which the caller must run.
    pub fn new(db: Db) -> (Self, Writer<T>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (Self(sender), Writer { db, queue })
    }

    /// Returns after the commit.
    pub async fn write(&self, work: T) -> Result<T::Written> {
        let (answer, answered) = oneshot::channel();
        let stopped = || Error::Database(sqlx::Error::PoolClosed);
        let waiting = Waiting { work, answer };
        self.0.send(waiting).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

pub struct Writer<T: Batched> {
    db: Db,
    queue: mpsc::Receiver<Waiting<T>>,
}

impl<T: Batched> Writer<T> {
    pub async fn run(&mut self) {
        let writers = Arc::new(Semaphore::new(WRITERS));
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let free = Arc::clone(&writers)
                .acquire_owned()
                .await
                .expect("nobody closes the semaphore");
            if self.queue.recv_many(&mut batch, BATCH).await == 0 {
                break;
            }
            let (db, batch) = (self.db.clone(), std::mem::take(&mut batch));
            tokio::spawn(async move {
                write(&db, batch).await;
                drop(free);
            });
        }
        let all = u32::try_from(WRITERS).expect("a handful");
        let _every_batch_is_written = writers.acquire_many(all).await;
    }
}

async fn write<T: Batched>(db: &Db, batch: Vec<Waiting<T>>) {
    let works: Vec<&T> = batch.iter().map(|waiting| &waiting.work).collect();
    let written = T::write(db, &works).await;
    if written.is_err() {
        for work in &works {
            work.may_have_happened(db);
        }
    }
    match written {
        Ok(written) => {
            for (waiting, written) in batch.into_iter().zip(written) {
                // The caller may be gone; the item is written all the same.
                let _ = waiting.answer.send(Ok(written));
            }
        }
        Err(error) if error.is_outage() || batch.len() == 1 => {
            let mut error = Some(error);
            for waiting in batch {
                let error = error
                    .take()
                    .unwrap_or(Error::Database(sqlx::Error::PoolClosed));
                let _ = waiting.answer.send(Err(error));
            }
        }
        // One item that the database refuses, or a deadlock with another server, must not fail the others.
        Err(error) => {
            tracing::warn!(%error, size = batch.len(), "a batch failed: writing it one by one");
            for waiting in batch {
                let alone = T::write(db, &[&waiting.work])
                    .await
                    .map(|mut written| written.remove(0));
                let _ = waiting.answer.send(alone);
            }
        }
    }
}

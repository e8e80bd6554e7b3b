//! Work that arrives one by one and is written many at a time.
//!
//! The writer takes whatever is waiting and writes it in one transaction: under load many share one commit, and one alone
//! goes at once, for nothing waits for a timer.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::db::Db;
use crate::error::{Error, Result};

/// How much may wait before the door makes the providers wait.
const QUEUE: usize = 4_096;
/// The most that one transaction writes. The flush is shared by then, and the statement's own joins grow with the square.
const BATCH: usize = 64;
/// Two transactions at once: while one waits for the disk, the next one works.
const WRITERS: usize = 2;

/// Something that is written in batches.
pub trait Batched: Send + Sync + Sized + 'static {
    /// What is known of it once it is committed.
    type Written: Send;

    /// All of them in one transaction; answers in their order.
    fn write<'a>(db: &'a Db, batch: &'a [&'a Self]) -> BoxFuture<'a, Result<Vec<Self::Written>>>;

    /// It may have been committed and only the answer been lost.
    fn may_have_happened(&self, _: &Db) {}
}

/// The way to the writer.
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
    /// The handle, and the writer that somebody must run.
    pub fn new(db: Db) -> (Self, Writer<T>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (Self(sender), Writer { db, queue })
    }

    /// Answers after the commit.
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
    /// Until every `BatchSender` is gone.
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
                // Whoever asked may have gone; it is written all the same.
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
        // One that the database refuses, or a deadlock with another server, must not take the others down.
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

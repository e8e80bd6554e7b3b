//! What comes in. The webhook door hands a verified text to the ingest writer and answers the provider once it is committed.
//!
//! The writer takes whatever is waiting and stores it in one transaction: under load many texts share one commit, and one
//! alone goes at once, for nothing waits for a timer. One text costs one round trip, a batch as well.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{preview, segments};
use crate::db::Db;
use crate::domain::opt_outs::wish_of;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::ids::{
    ContactId, ConversationId, IntegrationId, MediaId, MessageId, NumberId, WorkspaceId,
};
use crate::providers::{self, Inbound};

/// A verified text and where it belongs.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub workspace: WorkspaceId,
    pub integration: IntegrationId,
    pub number: NumberId,
    pub provider: providers::Kind,
    pub text: Inbound,
}

/// Committed: the text is in the inbox, now or since an earlier try of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Whether it was new.
    pub added: bool,
    pub message: MessageId,
    pub conversation: ConversationId,
}

/// The way to the writer.
#[derive(Clone)]
pub struct Ingest(mpsc::Sender<Waiting>);

struct Waiting {
    arrival: Arrival,
    answer: oneshot::Sender<Result<Stored>>,
}

/// How many texts may wait before the door makes the providers wait.
const QUEUE: usize = 4_096;
/// The most that one transaction stores. The flush is shared by then, and the statement's own joins grow with the square.
const BATCH: usize = 64;
/// Two transactions at once: while one waits for the disk, the next one works.
const WRITERS: usize = 2;

impl Ingest {
    /// The handle, and the writer that somebody must run.
    pub fn new(db: Db) -> (Self, Writer) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (Self(sender), Writer { db, queue })
    }

    /// Answers after the commit.
    pub async fn store(&self, arrival: Arrival) -> Result<Stored> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { arrival, answer };
        let stopped = || Error::Database(sqlx::Error::PoolClosed);
        self.0.send(waiting).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

pub struct Writer {
    db: Db,
    queue: mpsc::Receiver<Waiting>,
}

impl Writer {
    /// Until every `Ingest` is gone.
    pub async fn run(mut self) {
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

async fn write(db: &Db, batch: Vec<Waiting>) {
    let arrivals: Vec<&Arrival> = batch.iter().map(|waiting| &waiting.arrival).collect();
    let stored = store(db, &arrivals).await;
    if stored.is_err() {
        // It may have been committed and only the answer been lost; then the repeat is no news any more.
        for arrival in &arrivals {
            db.bus().publish(Event::Missed {
                workspace: arrival.workspace,
            });
        }
    }
    match stored {
        Ok(stored) => {
            for (waiting, stored) in batch.into_iter().zip(stored) {
                // Whoever asked may have gone; the text is stored all the same.
                let _ = waiting.answer.send(Ok(stored));
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
        // One text that the database refuses, or a deadlock with another server, must not take the others down.
        Err(error) => {
            tracing::warn!(%error, texts = batch.len(), "a batch of texts failed: storing them one by one");
            for waiting in batch {
                let alone = store(db, &[&waiting.arrival])
                    .await
                    .map(|mut stored| stored.remove(0));
                let _ = waiting.answer.send(alone);
            }
        }
    }
}

/// One round trip, one transaction; announces what was new after the commit.
async fn store(db: &Db, arrivals: &[&Arrival]) -> Result<Vec<Stored>> {
    let each = || arrivals.iter();
    let messages: Vec<_> = each().map(|_| MessageId::new()).collect();
    let media: Vec<_> = each().map(|arrival| media(&arrival.text)).collect();
    let wishes: Vec<_> = each().map(|arrival| wish_of(&arrival.text)).collect();
    let rows = sqlx::query!(
        r#"select place as "place!", added as "added!", message_id as "message!: MessageId",
                  conversation_id as "conversation!: ConversationId", woken as "woken!"
             from receive_texts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"#,
        &each().map(|arrival| arrival.workspace).collect::<Vec<_>>() as _,
        &each()
            .map(|arrival| arrival.integration)
            .collect::<Vec<_>>() as _,
        &each().map(|arrival| arrival.number).collect::<Vec<_>>() as _,
        &each()
            .map(|arrival| arrival.provider.as_str())
            .collect::<Vec<_>>() as _,
        &each()
            .map(|arrival| arrival.text.provider_sid.as_str())
            .collect::<Vec<_>>() as _,
        &each()
            .map(|arrival| arrival.text.from.as_str())
            .collect::<Vec<_>>() as _,
        &each()
            .map(|arrival| arrival.text.text.as_str())
            .collect::<Vec<_>>() as _,
        &each()
            .map(|arrival| preview_of(&arrival.text))
            .collect::<Vec<_>>() as _,
        &each()
            .map(|arrival| segments_of(&arrival.text))
            .collect::<Vec<_>>() as _,
        &media as _,
        &messages as _,
        &each().map(|_| ConversationId::new()).collect::<Vec<_>>() as _,
        &each().map(|_| ContactId::new()).collect::<Vec<_>>() as _,
        &wishes as _,
    )
    .fetch_all(db.system_pool())
    .await
    .map_err(gone)?;
    // A contact that was deleted between two steps of the statement takes its text out of the answer: try again.
    let mut stored = vec![None; arrivals.len()];
    let mut woken = HashSet::new();
    for row in rows {
        let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
        let (Some(arrival), Some(stored)) = (arrivals.get(place), stored.get_mut(place)) else {
            continue;
        };
        *stored = Some(Stored {
            added: row.added,
            message: row.message,
            conversation: row.conversation,
        });
        if row.woken {
            woken.insert((arrival.workspace, arrival.number));
        }
    }
    let stored: Option<Vec<_>> = stored.into_iter().collect();
    let stored = stored
        .ok_or_else(|| Error::Internal("a contact vanished while its text was stored".into()))?;
    for (arrival, stored) in each().zip(&stored).filter(|(_, stored)| stored.added) {
        db.bus().publish(Event::MessageAdded {
            workspace: arrival.workspace,
            message: stored.message,
            number: arrival.number,
        });
        if wish_of(&arrival.text).is_some() {
            db.bus().publish(Event::ConversationChanged {
                workspace: arrival.workspace,
                conversation: stored.conversation,
                number: arrival.number,
            });
        }
    }
    for (workspace, number) in woken {
        db.bus().publish(Event::NumberHeard { workspace, number });
    }
    Ok(stored)
}

/// Its workspace was deleted a moment ago: there is no such number any more.
fn gone(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::Database(broken)
            if broken
                .constraint()
                .is_some_and(|name| name.ends_with("_workspace_id_fkey")) =>
        {
            Error::NotFound("a number like this")
        }
        _ => error.into(),
    }
}

fn preview_of(text: &Inbound) -> String {
    let types: Vec<_> = text
        .media
        .iter()
        .map(|media| media.content_type.as_str())
        .collect();
    preview(&text.text, &types)
}

fn segments_of(text: &Inbound) -> i16 {
    let counted = || segments::segments(&text.text).segments;
    i16::try_from(
        text.segments
            .map_or_else(counted, |segments| segments as usize),
    )
    .unwrap_or(i16::MAX)
    .max(1)
}

fn media(text: &Inbound) -> serde_json::Value {
    text.media
        .iter()
        .map(|media| serde_json::json!({"id": MediaId::new(), "url": media.url, "content_type": media.content_type}))
        .collect()
}

//! Sends push notifications to members who are away; `web/live/presence.rs` decides who is.
//!
//! Only the server that received the text gets the event, so each browser is notified once. A crash loses
//! notifications, but the inbox still shows the text.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::task::JoinSet;

use crate::app::App;
use crate::db::Db;
use crate::domain::pushes::{self, Due};
use crate::error::Result;
use crate::events::Event;
use crate::ids::{MessageId, WorkspaceId};
use crate::language::{in_language, t};
use crate::push::{Address, Outcome};
use crate::web::live::Hub;

/// Concurrent calls per push service, so that a hanging service delays only its own browsers and holds a bounded number
/// of sockets. A service takes about 100 ms, which makes over 100 pushes per second.
const CONCURRENCY: usize = 16;
/// Maximum waiting pushes per service, those between attempts included; the newest are dropped. Bounds memory to a few
/// megabytes for a service that does not respond.
const MAX_WAITING: usize = 1_000;
/// After a longer wait, the recipients are checked again.
const RECHECK_AFTER: Duration = Duration::from_secs(1);
/// Delays before the second, third and fourth attempt, unless the service sends Retry-After.
const RETRY_DELAYS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_secs(60),
];
/// Upper limit for Retry-After.
const MAX_DELAY: Duration = Duration::from_secs(300);

/// The calls to each push service, by origin.
#[derive(Default)]
struct Services(HashMap<String, Arc<Semaphore>>);

impl Services {
    /// The semaphore of the address's service; `None` if too many pushes wait for it.
    fn of(&mut self, address: &Address) -> Option<Arc<Semaphore>> {
        // Each waiting push holds a reference.
        self.0.retain(|_, calls| Arc::strong_count(calls) > 1);
        let origin = address.endpoint.origin().ascii_serialization();
        let calls = self
            .0
            .entry(origin)
            .or_insert_with(|| Arc::new(Semaphore::new(CONCURRENCY)));
        (Arc::strong_count(calls) <= MAX_WAITING).then(|| Arc::clone(calls))
    }
}

/// Texts whose recipients are asked for together.
const BATCH: usize = 256;
/// How long it is remembered whether anybody is subscribed in a workspace. A browser that subscribes here is known at
/// once; one that subscribes at another server misses the texts of these seconds that arrive here.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// Whether a browser is subscribed in a workspace, and until when that is known. Texts of the others cost no query.
#[derive(Default)]
struct Subscribed(HashMap<WorkspaceId, (bool, Instant)>);

impl Subscribed {
    /// Drops the texts of workspaces without subscriptions. At most one round trip.
    async fn retain(&mut self, db: &Db, texts: &mut Vec<Text>) -> Result<()> {
        let now = Instant::now();
        self.0.retain(|_, (_, until)| *until > now);
        let asked: HashSet<_> = texts
            .iter()
            .map(|(workspace, _)| *workspace)
            .filter(|workspace| !self.0.contains_key(workspace))
            .collect();
        if !asked.is_empty() {
            let asked: Vec<_> = asked.into_iter().collect();
            let subscribed = pushes::subscribed(db, &asked).await?;
            let answers = asked
                .into_iter()
                .map(|one| (one, (subscribed.contains(&one), now + KNOWN_FOR)));
            self.0.extend(answers);
        }
        texts.retain(|(workspace, _)| self.0.get(workspace).is_some_and(|(is, _)| *is));
        Ok(())
    }
}

type Text = (WorkspaceId, MessageId);

/// Runs until the server stops. Must not wait for a push service, or the event receiver lags.
pub async fn run(app: App, hub: Hub) {
    let mut events = app.db.bus().listen();
    let mut services = Services::default();
    let mut subscribed = Subscribed::default();
    let mut in_flight = JoinSet::new();
    loop {
        while in_flight.try_join_next().is_some() {}
        let Some(mut texts) = next_texts(&mut events, &mut subscribed).await else {
            return;
        };
        let due = match subscribed.retain(&app.db, &mut texts).await {
            Ok(()) => due_pushes(&app, &hub, &texts).await,
            Err(error) => Err(error),
        };
        match due {
            Ok(all) => {
                for due in all {
                    match services.of(&due.address) {
                        Some(calls) => {
                            in_flight.spawn(push_message(app.clone(), hub.clone(), calls, due));
                        }
                        None => {
                            tracing::warn!(push.id = %due.id, "a push service is too slow: dropped a push")
                        }
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "push notifications failed"),
        }
    }
}

/// The texts that have arrived since the last call, perhaps none; `None` if the server stops.
async fn next_texts(
    events: &mut Receiver<Event>,
    subscribed: &mut Subscribed,
) -> Option<Vec<Text>> {
    let mut texts = Vec::new();
    let mut next = match events.recv().await {
        Ok(event) => Ok(event),
        Err(RecvError::Lagged(missed)) => Err(TryRecvError::Lagged(missed)),
        Err(RecvError::Closed) => return None,
    };
    loop {
        match next {
            Ok(Event::MessageAdded {
                workspace, message, ..
            }) => texts.push((workspace, message)),
            Ok(Event::PushesChanged { workspace }) => drop(subscribed.0.remove(&workspace)),
            Ok(_) => {}
            Err(TryRecvError::Lagged(missed)) => {
                subscribed.0.clear();
                tracing::warn!(missed, "event receiver lagged: events were skipped")
            }
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(texts),
        }
        if texts.len() == BATCH {
            return Some(texts);
        }
        next = events.try_recv();
    }
}

/// The pushes for these texts, without members who are looking at the inbox.
async fn due_pushes(app: &App, hub: &Hub, texts: &[Text]) -> Result<Vec<Due>> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let mut due = pushes::due(&app.db, texts).await?;
    due.retain(|due| !hub.is_present(due.workspace, due.user, app.config.away_after));
    Ok(due)
}

async fn push_message(app: App, hub: Hub, calls: Arc<Semaphore>, due: Due) {
    let topic = due.conversation.0.simple().to_string();
    let payload = in_language(due.language, || payload(&due)).to_string();
    let mut retry_delays = RETRY_DELAYS.into_iter();
    let mut began = Some(Instant::now());
    loop {
        let Ok(call) = calls.acquire().await else {
            return;
        };
        if began.is_none_or(|began| began.elapsed() > RECHECK_AFTER) {
            // The member may have signed out, lost access to the number, or come back.
            match due_pushes(&app, &hub, &[(due.workspace, due.message)]).await {
                Ok(recipients) if recipients.iter().any(|other| other.id == due.id) => {}
                Ok(_) => return,
                Err(error) => {
                    return tracing::warn!(%error, "a push notification failed");
                }
            }
        }
        let outcome = app
            .push
            .push(&due.address, &topic, payload.as_bytes())
            .await;
        // A push that waits for its next attempt must not block others.
        drop(call);
        let saved = match outcome {
            Outcome::Taken => pushes::used(&app.db, &due).await,
            Outcome::Gone => pushes::forget(&app.db, &due).await,
            Outcome::Refused => {
                tracing::warn!(push.id = %due.id, "a push service rejected a push");
                Ok(())
            }
            Outcome::Busy(wait) => {
                let Some(delay) = retry_delays.next() else {
                    return;
                };
                tokio::time::sleep(wait.unwrap_or(delay).min(MAX_DELAY)).await;
                began = None;
                continue;
            }
        };
        if let Err(error) = saved {
            tracing::warn!(%error, "the result of a push could not be stored");
        }
        return;
    }
}

/// The payload for the service worker. Without previews it holds neither text nor sender.
fn payload(due: &Due) -> serde_json::Value {
    let (title, body) = match &due.preview {
        Some((title, body)) => (Cow::Borrowed(title.as_str()), body.as_str()),
        None => (
            t!("New text").translated().into(),
            due.workspace_name.as_str(),
        ),
    };
    json!({
        "title": title,
        "body": body,
        "tag": due.conversation,
        "url": format!("/w/{}/inbox/{}", due.slug, due.conversation),
    })
}

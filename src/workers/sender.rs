//! Sends what is queued: leases, lets go of the database, calls the provider, writes down what came of it.
//!
//! Round trips: 2 to lease texts within their numbers' rates and their integrations' room, 3 to write down each answer, and every
//! few seconds one to see whether there is anything to tidy up. Runs on every server at once; leases keep them apart.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock;
use crate::domain::integrations::calls::{Calls, Limits};
use crate::domain::integrations::{Account, Directory, Purpose, webhook_urls};
use crate::domain::messages::failover;
use crate::domain::messages::outbox::{self, Leased};
use crate::error::Result;
use crate::events::Event;
use crate::fail_point;
use crate::ids::{IntegrationId, MessageId};
use crate::keys::OutgoingLink;
use crate::providers::{self, ErrorClass, Outcome, Outgoing, PauseScope, Refusal, outcome};

/// Calls under way at once: to each integration, for Twilio counts them per account and turns away what is too many, and in all.
const LIMITS: Limits = Limits { all: 64, each: 8 };
/// Another server's texts, and leases that ran out, are noticed this soon.
const LOOK_AROUND: Duration = Duration::from_secs(5);
/// When all places are taken it is looked again this soon: calls that hang give theirs up.
const POLL_WHILE_FULL: Duration = Duration::from_millis(500);
/// How long what is in flight may take once the server stops.
const CALL_DRAIN: Duration = Duration::from_secs(7);
/// And what is known of it then, to be written down.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(800);
/// Whoever was held up for longer than this since they asked for a lease begins nothing: the answer might come after its end.
const FRESH: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Sender {
    app: App,
    directory: Directory,
    /// Whose last text was refused for its account, although the account itself is well.
    doubtful: Arc<Mutex<HashSet<IntegrationId>>>,
    /// What is to be written down of each text that is leased if its call ends here and now.
    leased: Arc<Mutex<HashMap<MessageId, (Leased, Outcome)>>>,
    /// Outlives a panic of the worker: what is in flight goes on.
    calls: Arc<tokio::sync::Mutex<Calls<()>>>,
}

/// The provider has not been asked: the text goes back to its place, and nothing waits for it.
const NOT_BEGUN: Outcome = Outcome::Retry {
    after: Duration::ZERO,
    holds: PauseScope::Text,
};

impl Sender {
    pub fn new(app: App, directory: Directory) -> Self {
        Self {
            app,
            directory,
            doubtful: Arc::default(),
            leased: Arc::default(),
            calls: Arc::new(tokio::sync::Mutex::new(Calls::new(LIMITS))),
        }
    }

    /// Until `stopping`; then what is in flight is finished, and nothing new is begun.
    pub async fn run(self, stopping: CancellationToken) {
        let mut events = self.app.db.bus().listen();
        let mut calls = self.calls.lock().await;
        let mut look = Instant::now();
        let mut rounds = tokio::time::interval(LOOK_AROUND);
        while !stopping.is_cancelled() {
            tokio::select! {
                () = stopping.cancelled() => break,
                _ = rounds.tick() => {
                    fail_point::panic_at("sender");
                    if let Err(error) = self.tidy_up().await {
                        tracing::warn!(%error, "the outbox cannot be read: trying again");
                    }
                    continue;
                }
                Some(_) = calls.next() => {}
                () = tokio::time::sleep_until(look) => {}
                event = events.recv() => match event {
                    Ok(Event::Queued) | Err(RecvError::Lagged(_)) => {}
                    Ok(_) => continue,
                    Err(RecvError::Closed) => break,
                },
            }
            // One look answers for all that happened until now; and with every hand full it can wait for a free one.
            while calls.try_next().is_some() {}
            while matches!(events.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
            if calls.room().all == 0 {
                look = Instant::now() + POLL_WHILE_FULL;
                continue;
            }
            look = match self.begin(&mut calls, &stopping).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%error, "the outbox cannot be read: trying again");
                    Instant::now() + Duration::from_secs(1)
                }
            };
        }
        let _ =
            tokio::time::timeout(CALL_DRAIN, async { while calls.next().await.is_some() {} }).await;
        calls.abort().await;
        self.hand_back().await;
    }

    /// Of what still hangs when the server stops, it is written down at once that nobody knows; the next server asks about it,
    /// and never sends it again blindly.
    async fn hand_back(&self) {
        let left: Vec<_> = self.leased().drain().map(|(_, left)| left).collect();
        let settled = left
            .iter()
            .map(|(text, outcome)| outbox::settle(&self.app.db, text, outcome));
        // What cannot be written down is found by its lease.
        let _ = tokio::time::timeout(SHUTDOWN_GRACE, join_all(settled)).await;
    }

    /// Sends all that is due, one batch after the other, and answers how many texts that were. For tests.
    pub async fn run_once(&self) -> usize {
        let mut sent = 0;
        loop {
            let mut calls = Calls::new(LIMITS);
            self.tidy_up().await.expect("the outbox can be written");
            self.begin(&mut calls, &CancellationToken::new())
                .await
                .expect("the outbox can be read");
            if calls.is_empty() {
                return sent;
            }
            while calls.next().await.is_some() {
                sent += 1;
            }
        }
    }

    /// What nobody works on any more, and what it is too late for. One round trip where there is nothing of it.
    async fn tidy_up(&self) -> Result<()> {
        let stale_work = outbox::stale_work(&self.app.db).await?;
        if stale_work.orphans {
            let orphans = outbox::set_aside_orphans(&self.app.db).await?;
            tracing::warn!(
                texts = orphans,
                "texts were in flight when their sender died: set aside until the provider is heard"
            );
        }
        if stale_work.stranded {
            let moved = failover::hand_over(&self.app.db).await?;
            if moved > 0 {
                tracing::warn!(
                    texts = moved,
                    "texts leave from another number, for theirs is down"
                );
            }
        }
        if stale_work.late {
            let late = outbox::give_up_on_late(&self.app.db).await?;
            tracing::warn!(texts = late, "texts waited too long and were given up on");
        }
        Ok(())
    }

    /// Starts as many calls as may be under way; answers when to look again.
    async fn begin(&self, calls: &mut Calls<()>, stopping: &CancellationToken) -> Result<Instant> {
        let room = calls.room();
        if room.all > 0 {
            let asked = Instant::now();
            fail_point::abort_at("before the lease");
            let texts = outbox::lease(&self.app.db, &room).await?;
            if !texts.is_empty() {
                fail_point::abort_at("after the lease");
            }
            for text in texts {
                self.will_be(&text, NOT_BEGUN);
                let (sender, stopping) = (self.clone(), stopping.clone());
                calls.spawn(text.integration, async move {
                    sender.deliver_or_settle(text, asked, &stopping).await;
                });
            }
        }
        let wait = outbox::until_next(&self.app.db).await?;
        Ok(Instant::now() + wait.unwrap_or(LOOK_AROUND).min(LOOK_AROUND))
    }

    /// A panic in the middle leaves no text behind that nobody works on.
    async fn deliver_or_settle(&self, text: Leased, asked: Instant, stopping: &CancellationToken) {
        let id = text.id;
        let delivered = AssertUnwindSafe(self.deliver(&text, asked, stopping)).catch_unwind();
        if delivered.await.is_err() {
            metrics::counter!("messagehub_worker_panics_total", "worker" => "sender").increment(1);
            let left = self.leased().get(&id).map(|(_, outcome)| outcome.clone());
            self.settle(&text, &left.unwrap_or(Outcome::Unconfirmed))
                .await;
        }
        self.leased().remove(&id);
    }

    async fn deliver(&self, text: &Leased, asked: Instant, stopping: &CancellationToken) {
        if text.is_disconnected {
            return self.settle(text, &Outcome::Failed(disconnected())).await;
        }
        let account = match self.directory.integration(text.integration).await {
            Ok(Some(account)) => account,
            Ok(None) => {
                return self
                    .give_back(text, "its integration is switched off")
                    .await;
            }
            Err(error) => return self.give_back(text, &error.to_string()).await,
        };
        let Some(outgoing) = outgoing(&self.app, text, &account) else {
            return self.give_back(text, "its addresses cannot be read").await;
        };
        if let Some(refusal) = out_of_reach(&outgoing, &account) {
            return self.settle(text, &Outcome::Failed(refusal)).await;
        }
        if asked.elapsed() > FRESH {
            return self.give_back(text, "its lease is getting old").await;
        }
        if stopping.is_cancelled() {
            return self.settle(text, &NOT_BEGUN).await;
        }
        let tries = text.attempt.max(1).unsigned_abs().into();
        fail_point::abort_at("before the request");
        self.will_be(text, Outcome::Unconfirmed);
        let answer = account.used_for(Purpose::Send).send(&outgoing).await;
        fail_point::abort_at("after the answer");
        let outcome = outcome(tries, answer, rand::random());
        self.will_be(text, outcome.clone());
        fail_point::panic_at("sending");
        match &outcome {
            Outcome::Pause(refusal) => self.pause_if_certain(text, &account, refusal).await,
            Outcome::Sent { .. } => {
                self.doubtful().remove(&text.integration);
            }
            _ => {}
        }
        self.settle(text, &outcome).await;
        fail_point::abort_at("after it is written down");
        // Only now: nothing stands between an answer and its record.
        tracing::info!(message.id = %text.id, attempt = text.attempt, outcome = outcome_label(&outcome), "a text was handed to its provider");
        metrics::counter!("messagehub_sends_total", "outcome" => outcome_label(&outcome))
            .increment(1);
    }

    /// Keeps in mind what is to be written down of it if its call ends here.
    fn will_be(&self, text: &Leased, outcome: Outcome) {
        self.leased().insert(text.id, (text.clone(), outcome));
    }

    fn leased(&self) -> MutexGuard<'_, HashMap<MessageId, (Leased, Outcome)>> {
        self.leased.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A class that stops a whole queue must be certain. An empty purse is; of credentials the account is asked too, and one
    /// that is well is believed until the next refusal.
    async fn pause_if_certain(
        &self,
        text: &Leased,
        account: &Account,
        refusal: &providers::Refusal,
    ) {
        let certain = refusal.class == ErrorClass::Funds
            || matches!(
                account.used_for(Purpose::Check).validate().await,
                Err(providers::Error::Refused { .. })
            )
            || !self.doubtful().insert(text.integration);
        if !certain {
            return;
        }
        self.doubtful().remove(&text.integration);
        if let Err(error) = outbox::pause(&self.app.db, text, refusal).await {
            tracing::error!(%error, integration.id = %text.integration, "the integration could not be marked unhealthy");
        }
    }

    fn doubtful(&self) -> MutexGuard<'_, HashSet<IntegrationId>> {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer is known and must not be lost: written down as soon as the database can be reached.
    async fn settle(&self, text: &Leased, outcome: &Outcome) {
        let mut pause = Duration::from_millis(100);
        while let Err(error) = outbox::settle(&self.app.db, text, outcome).await {
            if !error.is_outage() {
                tracing::error!(%error, message.id = %text.id, "what became of a text could not be written down");
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    async fn give_back(&self, text: &Leased, why: &str) {
        tracing::warn!(message.id = %text.id, why, "a text could not be sent yet");
        if let Err(error) = outbox::settle(
            &self.app.db,
            text,
            &Outcome::Retry {
                after: Duration::from_secs(30),
                holds: PauseScope::Text,
            },
        )
        .await
        {
            tracing::error!(%error, message.id = %text.id, "the text stays leased until its lease runs out");
        }
    }
}

fn disconnected() -> Refusal {
    Refusal {
        class: ErrorClass::Permanent,
        code: "disconnected".into(),
        text:
            "The sending number was given back, or its account disconnected, before this went out."
                .into(),
    }
}

/// The same for a text each time, byte for byte: a provider that knows repeats knows them by that.
pub fn outgoing(app: &App, text: &Leased, account: &Account) -> Option<Outgoing> {
    let provider = &account.provider;
    let status = webhook_urls(&app.config, provider.kind(), text.integration).status;
    Some(Outgoing {
        our_id: text.id.0,
        attempt: text.attempt.max(1).unsigned_abs().into(),
        from: text.from.parse().ok()?,
        to: text.to.parse().ok()?,
        text: text.content.clone(),
        media: text
            .media
            .iter()
            .map(|media| public_address(app, text, media))
            .collect(),
        valid_for: text
            .expires_at
            .map(|at| (at - clock::now()).to_std().unwrap_or_default()),
        // A provider refuses a text whose reports would go nowhere.
        status_url: provider.reaches(&status).then_some(status),
    })
}

/// Where the provider gets a file of a text: `media` is our id of it with its name, or an address.
fn public_address(app: &App, text: &Leased, media: &str) -> String {
    let (id, name) = media.split_once('/').unwrap_or((media, ""));
    match id.parse() {
        Ok(media) => {
            let token = app.tokens.outgoing_link(OutgoingLink {
                workspace: text.workspace,
                media,
            });
            app.config.public(&format!("/media/out/{token}/{name}"))
        }
        Err(_) if media.starts_with('/') => app.config.public(media),
        Err(_) => media.to_owned(),
    }
}

/// A provider takes such a text, and then nothing arrives.
fn out_of_reach(text: &Outgoing, account: &Account) -> Option<providers::Refusal> {
    let provider = &account.provider;
    let lost = text.media.iter().any(|url| !provider.reaches(url));
    lost.then(|| providers::Refusal {
        class: providers::ErrorClass::Permanent,
        code: "media_unreachable".into(),
        text: format!(
            "{} cannot get the file from this server, which has no public address. An admin can set BASE_URL.",
            provider.kind().name()
        ),
    })
}

fn outcome_label(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Sent { .. } => "sent",
        Outcome::Failed(_) => "failed",
        Outcome::Retry { .. } => "retry",
        Outcome::Unconfirmed => "unconfirmed",
        Outcome::Pause(_) => "pause",
    }
}

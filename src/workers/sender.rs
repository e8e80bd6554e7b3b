//! Sends queued messages: leases, ends the transaction, calls the provider, records the outcome.
//!
//! Round trips: 2 to lease messages within their numbers' rates and their integrations' limits, 3 to record each
//! outcome, and 1 every few seconds to find stale work. Runs on every server; leases keep them apart.

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
use crate::language::t;
use crate::providers::{self, ErrorClass, Outcome, Outgoing, PauseScope, Refusal, outcome};

/// Concurrent calls overall and per integration: Twilio limits concurrency per account and rejects the excess.
const LIMITS: Limits = Limits { all: 64, each: 8 };
/// How soon messages queued by other servers, and expired leases, are noticed.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The poll interval while all slots are taken: hanging calls time out.
const POLL_WHILE_FULL: Duration = Duration::from_millis(500);
/// How long calls in flight may take when the server stops.
const CALL_DRAIN: Duration = Duration::from_secs(7);
/// How long recording the remaining outcomes may take after that.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(800);
/// A lease older than this is not used for a call: the response might arrive after it expires.
const MAX_LEASE_AGE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Sender {
    app: App,
    directory: Directory,
    /// Integrations whose last message was refused with an account error, although their credentials are valid.
    doubtful: Arc<Mutex<HashSet<IntegrationId>>>,
    /// The outcome to record for each leased message if its call ends now.
    leased: Arc<Mutex<HashMap<MessageId, (Leased, Outcome)>>>,
    /// Survives a panic of the worker, so that calls in flight continue.
    calls: Arc<tokio::sync::Mutex<Calls<()>>>,
}

/// The provider was not called: the message returns to the queue, and nothing else is held.
const NOT_SENT: Outcome = Outcome::Retry {
    after: Duration::ZERO,
    scope: PauseScope::Text,
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

    /// Runs until `stopping`, then finishes the calls in flight.
    pub async fn run(self, stopping: CancellationToken) {
        let mut events = self.app.db.bus().listen();
        let mut calls = self.calls.lock().await;
        let mut next_poll = Instant::now();
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        while !stopping.is_cancelled() {
            tokio::select! {
                () = stopping.cancelled() => break,
                _ = ticks.tick() => {
                    fail_point::panic_at("sender");
                    if let Err(error) = self.recover_stale().await {
                        tracing::warn!(%error, "the outbox cannot be read: retrying");
                    }
                    continue;
                }
                Some(_) = calls.next() => {}
                () = tokio::time::sleep_until(next_poll) => {}
                event = events.recv() => match event {
                    Ok(Event::Queued) | Err(RecvError::Lagged(_)) => {}
                    Ok(_) => continue,
                    Err(RecvError::Closed) => break,
                },
            }
            // One poll covers all events until now. With all slots taken it waits for a free one.
            while calls.try_next().is_some() {}
            while matches!(events.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
            if calls.capacity().all == 0 {
                next_poll = Instant::now() + POLL_WHILE_FULL;
                continue;
            }
            next_poll = match self.begin(&mut calls, &stopping).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%error, "the outbox cannot be read: retrying");
                    Instant::now() + Duration::from_secs(1)
                }
            };
        }
        let _ =
            tokio::time::timeout(CALL_DRAIN, async { while calls.next().await.is_some() {} }).await;
        calls.abort().await;
        self.settle_unfinished().await;
    }

    /// Records calls that still hang when the server stops as unconfirmed: the outcome resolver checks them, and they
    /// are never sent again blindly.
    async fn settle_unfinished(&self) {
        let left: Vec<_> = self.leased().drain().map(|(_, left)| left).collect();
        let settled = left
            .iter()
            .map(|(text, outcome)| outbox::settle(&self.app.db, text, outcome));
        // Whatever is not recorded is recovered when its lease expires.
        let _ = tokio::time::timeout(SHUTDOWN_GRACE, join_all(settled)).await;
    }

    /// Sends everything that is due, in batches; returns the number of messages. For tests.
    pub async fn run_once(&self) -> usize {
        let mut sent = 0;
        loop {
            let mut calls = Calls::new(LIMITS);
            self.recover_stale()
                .await
                .expect("the outbox can be written");
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

    /// Recovers orphaned, stranded and expired messages. One round trip if there are none.
    async fn recover_stale(&self) -> Result<()> {
        let stale_work = outbox::stale_work(&self.app.db).await?;
        if stale_work.orphans {
            let orphans = outbox::mark_orphans_unconfirmed(&self.app.db).await?;
            tracing::warn!(
                texts = orphans,
                "messages were in flight when their server stopped: unconfirmed until their outcome is resolved"
            );
        }
        if stale_work.stranded {
            let moved = failover::move_stranded(&self.app.db).await?;
            if moved > 0 {
                tracing::warn!(
                    texts = moved,
                    "failover: messages are sent from another number"
                );
            }
        }
        if stale_work.late {
            let late = outbox::fail_expired(&self.app.db).await?;
            tracing::warn!(
                texts = late,
                "messages missed their send deadline and failed"
            );
        }
        Ok(())
    }

    /// Starts as many calls as the limits allow; returns when to poll again.
    async fn begin(&self, calls: &mut Calls<()>, stopping: &CancellationToken) -> Result<Instant> {
        let room = calls.capacity();
        if room.all > 0 {
            let leased_at = Instant::now();
            fail_point::abort_at("before the lease");
            let texts = outbox::lease(&self.app.db, &room).await?;
            if !texts.is_empty() {
                fail_point::abort_at("after the lease");
            }
            for text in texts {
                self.set_pending_outcome(&text, NOT_SENT);
                let (sender, stopping) = (self.clone(), stopping.clone());
                calls.spawn(text.integration, async move {
                    sender.deliver_or_settle(text, leased_at, &stopping).await;
                });
            }
        }
        let wait = outbox::until_next(&self.app.db).await?;
        Ok(Instant::now() + wait.unwrap_or(POLL_INTERVAL).min(POLL_INTERVAL))
    }

    /// Delivers, and settles the message if the call panics.
    async fn deliver_or_settle(
        &self,
        text: Leased,
        leased_at: Instant,
        stopping: &CancellationToken,
    ) {
        let id = text.id;
        let delivered = AssertUnwindSafe(self.deliver(&text, leased_at, stopping)).catch_unwind();
        if delivered.await.is_err() {
            metrics::counter!("messagehub_worker_panics_total", "worker" => "sender").increment(1);
            let left = self.leased().get(&id).map(|(_, outcome)| outcome.clone());
            self.settle(&text, &left.unwrap_or(Outcome::Unconfirmed))
                .await;
        }
        self.leased().remove(&id);
    }

    async fn deliver(&self, text: &Leased, leased_at: Instant, stopping: &CancellationToken) {
        if text.is_disconnected {
            return self.settle(text, &Outcome::Failed(disconnected())).await;
        }
        let account = match self.directory.integration(text.integration).await {
            Ok(Some(account)) => account,
            Ok(None) => {
                return self.requeue(text, "its integration is switched off").await;
            }
            Err(error) => return self.requeue(text, &error.to_string()).await,
        };
        let Some(outgoing) = outgoing(&self.app, text, &account) else {
            return self.requeue(text, "its addresses cannot be read").await;
        };
        if let Some(refusal) = unreachable_media(&outgoing, &account) {
            return self.settle(text, &Outcome::Failed(refusal)).await;
        }
        if leased_at.elapsed() > MAX_LEASE_AGE {
            return self.requeue(text, "its lease is getting old").await;
        }
        if stopping.is_cancelled() {
            return self.settle(text, &NOT_SENT).await;
        }
        let tries = text.attempt.max(1).unsigned_abs().into();
        fail_point::abort_at("before the request");
        self.set_pending_outcome(text, Outcome::Unconfirmed);
        let answer = account.used_for(Purpose::Send).send(&outgoing).await;
        fail_point::abort_at("after the answer");
        let outcome = outcome(tries, answer, rand::random());
        self.set_pending_outcome(text, outcome.clone());
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
        // Logged last, so that nothing delays the record.
        tracing::info!(message.id = %text.id, attempt = text.attempt, outcome = outcome_label(&outcome), "called the provider for a message");
        metrics::counter!("messagehub_sends_total", "outcome" => outcome_label(&outcome))
            .increment(1);
    }

    /// Sets the outcome to record if the call ends here.
    fn set_pending_outcome(&self, text: &Leased, outcome: Outcome) {
        self.leased().insert(text.id, (text.clone(), outcome));
    }

    fn leased(&self) -> MutexGuard<'_, HashMap<MessageId, (Leased, Outcome)>> {
        self.leased.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pausing a whole queue requires certainty. Missing funds are certain; for refused credentials the account is
    /// validated first, and a valid one is paused only at the second refusal in a row.
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

    /// Records an outcome. It must not be lost, so this retries until the database is available.
    async fn settle(&self, text: &Leased, outcome: &Outcome) {
        let mut pause = Duration::from_millis(100);
        while let Err(error) = outbox::settle(&self.app.db, text, outcome).await {
            if !error.is_outage() {
                tracing::error!(%error, message.id = %text.id, "the outcome of a message could not be stored");
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    async fn requeue(&self, text: &Leased, why: &str) {
        tracing::warn!(message.id = %text.id, why, "a message could not be sent yet");
        if let Err(error) = outbox::settle(
            &self.app.db,
            text,
            &Outcome::Retry {
                after: Duration::from_secs(30),
                scope: PauseScope::Text,
            },
        )
        .await
        {
            tracing::error!(%error, message.id = %text.id, "a message could not be requeued: it waits until its lease expires");
        }
    }
}

fn disconnected() -> Refusal {
    Refusal {
        class: ErrorClass::Permanent,
        code: "disconnected".into(),
        text: t!(
            "The sending number was given back, or its account disconnected, before this went out."
        ),
    }
}

/// Builds the provider request. Identical for every attempt, because providers detect repeats by comparing bytes.
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
        // Providers reject a message with an unreachable status URL.
        status_url: provider.reaches(&status).then_some(status),
    })
}

/// The URL from which the provider fetches a file. `media` is our id and file name, a path, or a URL.
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

/// A refusal for media on a private address: the provider would accept the message and deliver nothing.
fn unreachable_media(text: &Outgoing, account: &Account) -> Option<providers::Refusal> {
    let provider = &account.provider;
    let is_unreachable = text.media.iter().any(|url| !provider.reaches(url));
    is_unreachable.then(|| providers::Refusal {
        class: providers::ErrorClass::Permanent,
        code: "media_unreachable".into(),
        text: t!(
            "{provider} cannot get the file from this server, which has no public address. An admin can set BASE_URL.",
            provider = provider.kind().name(),
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

//! Sends queued messages: leases, ends the transaction, calls the provider, records the outcome.
//!
//! Round trips: 2 to lease messages within their numbers' rates and their integrations' limits, 3 to record each
//! outcome, and 1 every few seconds to find stale work.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::leased_calls::LeasedWork;
use crate::app::App;
use crate::clock;
use crate::domain::integrations::calls::{CallCapacity, Limits};
use crate::domain::integrations::{Account, Directory, Purpose, webhook_urls};
use crate::domain::messages::failover;
use crate::domain::messages::outbox::{self, Leased};
use crate::error::{Error, Result};
use crate::events::Event;
use crate::fail_point;
use crate::ids::IntegrationId;
use crate::keys::OutgoingLink;
use crate::language::t;
use crate::providers::{self, ErrorClass, HoldScope, Outcome, Outgoing, Refusal, outcome};

/// How soon messages queued by other servers, and expired leases, are noticed.
pub const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// A lease older than this is not used for a call: the response might arrive after it expires.
const MAX_LEASE_AGE: Duration = Duration::from_secs(30);

/// A leased message.
pub struct SendAttempt {
    text: Leased,
    leased_at: Instant,
    /// The outcome to record if the call ends now.
    pending: Mutex<Outcome>,
}

impl SendAttempt {
    fn new(text: Leased, leased_at: Instant) -> Self {
        Self {
            text,
            leased_at,
            pending: Mutex::new(NOT_SENT),
        }
    }

    fn set_pending(&self, outcome: Outcome) {
        *self.lock() = outcome;
    }

    fn pending(&self) -> Outcome {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Outcome> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Sender {
    app: App,
    directory: Directory,
    stopping: CancellationToken,
    /// Integrations whose last message was refused with an account error, although their credentials are valid.
    doubtful: Mutex<HashSet<IntegrationId>>,
}

/// The provider was not called: the message returns to the queue, and nothing else is held.
const NOT_SENT: Outcome = Outcome::Retry {
    after: Duration::ZERO,
    scope: HoldScope::Text,
};

impl LeasedWork for Sender {
    type Item = SendAttempt;

    /// Providers limit concurrency per account (Twilio: 100) and reject the excess. With answers in 200 ms, an account
    /// takes 80 texts per second, and all together more than 1,000.
    const LIMITS: Limits = Limits { all: 256, each: 16 };
    const UPKEEP_INTERVAL: Duration = POLL_INTERVAL;
    const CALL_DRAIN: Duration = Duration::from_secs(7);
    const WAKES_ON: Option<fn(&Event) -> bool> = Some(|event| matches!(event, Event::Queued));

    fn integration(attempt: &SendAttempt) -> IntegrationId {
        attempt.text.integration
    }

    /// One round trip.
    async fn lease(&self, capacity: &CallCapacity) -> Result<Vec<SendAttempt>> {
        let leased_at = Instant::now();
        fail_point::abort_at("before the lease");
        let texts = outbox::lease(&self.app.db, capacity).await?;
        if !texts.is_empty() {
            fail_point::abort_at("after the lease");
        }
        let attempts = texts.into_iter();
        Ok(attempts
            .map(|text| SendAttempt::new(text, leased_at))
            .collect())
    }

    /// Counts the messages, sent or not.
    async fn call(&self, attempt: &SendAttempt) -> usize {
        self.attempt_send(attempt).await;
        1
    }

    async fn call_panicked(&self, attempt: &SendAttempt) {
        metrics::counter!("messagehub_worker_panics_total", "worker" => "sender").increment(1);
        self.record_outcome(&attempt.text, &attempt.pending()).await;
    }

    /// Records calls that still hang when the server stops as unconfirmed: the outcome resolver checks them, and they
    /// are never sent again blindly.
    async fn end_leases(&self, unfinished: &[Arc<SendAttempt>]) -> Result<()> {
        let recorded = unfinished.iter().map(async |attempt| {
            outbox::record_outcome(&self.app.db, &attempt.text, &attempt.pending()).await
        });
        join_all(recorded).await.into_iter().collect()
    }

    /// Recovers orphaned, stranded and expired messages. One round trip if there are none.
    async fn upkeep(&self) -> Result<()> {
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

    /// The time until a message is due or may be sent. One round trip.
    async fn until_next(&self) -> Result<Option<Duration>> {
        outbox::until_next(&self.app.db).await
    }
}

impl Sender {
    pub fn new(app: &App, directory: &Directory, stopping: &CancellationToken) -> Self {
        Self {
            app: app.clone(),
            directory: directory.clone(),
            stopping: stopping.clone(),
            doubtful: Mutex::default(),
        }
    }

    async fn attempt_send(&self, attempt: &SendAttempt) {
        let text = &attempt.text;
        if text.is_disconnected {
            return self
                .record_outcome(text, &Outcome::Failed(disconnected()))
                .await;
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
            return self.record_outcome(text, &Outcome::Failed(refusal)).await;
        }
        if attempt.leased_at.elapsed() > MAX_LEASE_AGE {
            return self.requeue(text, "its lease is getting old").await;
        }
        if self.stopping.is_cancelled() {
            return self.record_outcome(text, &NOT_SENT).await;
        }
        let tries = text.attempt.max(1).unsigned_abs().into();
        fail_point::abort_at("before the request");
        attempt.set_pending(Outcome::Unconfirmed);
        let answer = account.used_for(Purpose::Send).send(&outgoing).await;
        fail_point::abort_at("after the answer");
        let outcome = outcome(tries, answer, rand::random());
        attempt.set_pending(outcome.clone());
        fail_point::panic_at("sending");
        match &outcome {
            Outcome::AccountRefused(refusal) => {
                self.mark_unhealthy_if_certain(text, &account, refusal)
                    .await
            }
            Outcome::Sent { .. } => {
                self.doubtful().remove(&text.integration);
            }
            _ => {}
        }
        self.record_outcome(text, &outcome).await;
        fail_point::abort_at("after the outcome is stored");
        // Logged last, so that nothing delays the record.
        tracing::info!(message.id = %text.id, attempt = text.attempt, outcome = outcome_label(&outcome), "called the provider for a message");
        metrics::counter!("messagehub_sends_total", "outcome" => outcome_label(&outcome))
            .increment(1);
    }

    /// Stopping a whole queue requires certainty. Missing funds are certain; for refused credentials the account is
    /// validated first, and a valid one is marked unhealthy only at the second refusal in a row.
    async fn mark_unhealthy_if_certain(
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
        if let Err(error) = outbox::mark_unhealthy(&self.app.db, text, refusal).await {
            tracing::error!(%error, integration.id = %text.integration, "the integration could not be marked unhealthy");
        }
    }

    fn doubtful(&self) -> MutexGuard<'_, HashSet<IntegrationId>> {
        self.doubtful.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an outcome. It must not be lost, so this retries until the database is available.
    async fn record_outcome(&self, text: &Leased, outcome: &Outcome) {
        let backoff = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(5))
            .without_max_times();
        let stored = (|| outbox::record_outcome(&self.app.db, text, outcome))
            .retry(backoff)
            .when(Error::is_outage)
            .await;
        if let Err(error) = stored {
            tracing::error!(%error, message.id = %text.id, "the outcome of a message could not be stored");
        }
    }

    async fn requeue(&self, text: &Leased, why: &str) {
        tracing::warn!(message.id = %text.id, why, "a message could not be sent yet");
        if let Err(error) = outbox::record_outcome(
            &self.app.db,
            text,
            &Outcome::Retry {
                after: Duration::from_secs(30),
                scope: HoldScope::Text,
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
            "The sending number was released, or its account was disconnected, before this was sent."
        ),
    }
}

/// Builds the provider request. Identical when an attempt is repeated, because providers detect repeats by comparing
/// bytes.
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
            "{provider} can’t get the file from this server because it has no public address. Ask an admin to set BASE_URL.",
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
        Outcome::AccountRefused(_) => "account_refused",
    }
}

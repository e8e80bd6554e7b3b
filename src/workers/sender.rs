//! Sends what is queued: leases, lets go of the database, calls the provider, writes down what came of it.
//!
//! Round trips: 2 to lease up to ten texts within their numbers' rates, 3 to write down each answer, and every few seconds 6
//! to tidy up. Runs on every server at once; leases keep them apart.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::app::App;
use crate::domain::integrations::{Account, Directory, Purpose, webhook_urls};
use crate::domain::messages::failover;
use crate::domain::messages::outbox::{self, Leased};
use crate::error::Result;
use crate::events::Event;
use crate::ids::IntegrationId;
use crate::keys::OutgoingLink;
use crate::power;
use crate::providers::{self, ErrorClass, Holds, Outcome, Outgoing, Refusal, outcome};

/// Calls under way at once. Twilio counts them per account and turns away what is too many.
const IN_FLIGHT: usize = 10;
/// Another server's texts, and leases that ran out, are noticed this soon.
const LOOK_AROUND: Duration = Duration::from_secs(5);
/// How long what is in flight may take once the server stops.
const LAST_CALLS: Duration = Duration::from_secs(8);
/// Whoever was held up for longer than this since they asked for a lease begins nothing: the answer might come after its end.
const FRESH: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Sender {
    app: App,
    directory: Directory,
    /// Whose last text was refused for its account, although the account itself is well.
    doubtful: Arc<Mutex<HashSet<IntegrationId>>>,
}

impl Sender {
    pub fn new(app: App, directory: Directory) -> Self {
        Self {
            app,
            directory,
            doubtful: Arc::default(),
        }
    }

    /// Until `stopping`; then what is in flight is finished, and nothing new is begun.
    pub async fn run(self, stopping: tokio_util::sync::CancellationToken) {
        let mut events = self.app.db.bus().listen();
        let mut calls = JoinSet::new();
        let mut look = Instant::now();
        let mut rounds = tokio::time::interval(LOOK_AROUND);
        while !stopping.is_cancelled() {
            tokio::select! {
                () = stopping.cancelled() => break,
                _ = rounds.tick() => {
                    if let Err(error) = self.tidy_up().await {
                        tracing::warn!(%error, "the outbox cannot be read: trying again");
                    }
                    continue;
                }
                _ = calls.join_next(), if !calls.is_empty() => {}
                () = tokio::time::sleep_until(look), if calls.len() < IN_FLIGHT => {}
                event = events.recv() => match event {
                    Ok(Event::Queued) | Err(RecvError::Lagged(_)) => {}
                    Ok(_) => continue,
                    Err(RecvError::Closed) => break,
                },
            }
            // One look answers for all that happened until now; and with every hand full it can wait for a free one.
            while calls.try_join_next().is_some() {}
            while matches!(events.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
            if calls.len() == IN_FLIGHT {
                continue;
            }
            look = match self.begin(&mut calls).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%error, "the outbox cannot be read: trying again");
                    Instant::now() + Duration::from_secs(1)
                }
            };
        }
        let _ = tokio::time::timeout(LAST_CALLS, async {
            while calls.join_next().await.is_some() {}
        })
        .await;
        // What still hangs is aborted; its lease runs out and it is set aside, never sent again blindly.
        calls.shutdown().await;
    }

    /// Sends all that is due, one batch after the other, and answers how many texts that were. For tests.
    pub async fn run_once(&self) -> usize {
        let mut sent = 0;
        loop {
            let mut calls = JoinSet::new();
            self.tidy_up().await.expect("the outbox can be written");
            self.begin(&mut calls)
                .await
                .expect("the outbox can be read");
            if calls.is_empty() {
                return sent;
            }
            while calls.join_next().await.is_some() {
                sent += 1;
            }
        }
    }

    /// What nobody works on any more, and what it is too late for.
    async fn tidy_up(&self) -> Result<()> {
        let orphans = outbox::set_aside_orphans(&self.app.db).await?;
        if orphans > 0 {
            tracing::warn!(
                texts = orphans,
                "texts were in flight when their sender died: set aside until the provider is heard"
            );
        }
        let moved = failover::hand_over(&self.app.db).await?;
        if moved > 0 {
            tracing::warn!(
                texts = moved,
                "texts leave from another number, for theirs is down"
            );
        }
        let late = outbox::give_up_on_late(&self.app.db).await?;
        if late > 0 {
            tracing::warn!(texts = late, "texts waited too long and were given up on");
        }
        Ok(())
    }

    /// Starts as many calls as may be under way; answers when to look again.
    async fn begin(&self, calls: &mut JoinSet<()>) -> Result<Instant> {
        let free = IN_FLIGHT.saturating_sub(calls.len());
        if free > 0 {
            let asked = Instant::now();
            power::may_go("before the lease");
            let texts = outbox::lease(&self.app.db, i32::try_from(free).unwrap_or(1)).await?;
            if !texts.is_empty() {
                power::may_go("after the lease");
            }
            for text in texts {
                let sender = self.clone();
                calls.spawn(async move { sender.deliver(text, asked).await });
            }
        }
        let wait = outbox::next(&self.app.db)
            .await?
            .map(|next| next - chrono::Utc::now());
        let wait = wait
            .and_then(|wait| wait.to_std().ok())
            .unwrap_or(LOOK_AROUND);
        Ok(Instant::now() + wait.min(LOOK_AROUND))
    }

    async fn deliver(&self, text: Leased, asked: Instant) {
        if text.is_disconnected {
            return self.settle(&text, &Outcome::Failed(disconnected())).await;
        }
        let account = match self.directory.integration(text.integration).await {
            Ok(Some(account)) => account,
            Ok(None) => {
                return self
                    .give_back(&text, "its integration is switched off")
                    .await;
            }
            Err(error) => return self.give_back(&text, &error.to_string()).await,
        };
        let Some(outgoing) = outgoing(&self.app, &text, &account) else {
            return self.give_back(&text, "its addresses cannot be read").await;
        };
        if let Some(refusal) = out_of_reach(&outgoing, &account) {
            return self.settle(&text, &Outcome::Failed(refusal)).await;
        }
        if asked.elapsed() > FRESH {
            return self.give_back(&text, "its lease is getting old").await;
        }
        let tries = text.attempt.max(1).unsigned_abs().into();
        power::may_go("before the request");
        let answer = account.used_for(Purpose::Send).send(&outgoing).await;
        power::may_go("after the answer");
        let outcome = outcome(tries, answer, rand::random());
        tracing::info!(message.id = %text.id, attempt = text.attempt, outcome = told(&outcome), "a text was handed to its provider");
        metrics::counter!("messagehub_sends_total", "outcome" => told(&outcome)).increment(1);
        match &outcome {
            Outcome::Pause(refusal) => self.pause_if_certain(&text, &account, refusal).await,
            Outcome::Sent { .. } => {
                self.doubtful().remove(&text.integration);
            }
            _ => {}
        }
        self.settle(&text, &outcome).await;
        power::may_go("after it is written down");
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
                holds: Holds::Text,
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
            .map(|at| (at - chrono::Utc::now()).to_std().unwrap_or_default()),
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

fn told(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Sent { .. } => "sent",
        Outcome::Failed(_) => "failed",
        Outcome::Retry { .. } => "retry",
        Outcome::Unconfirmed => "unconfirmed",
        Outcome::Pause(_) => "pause",
    }
}

//! Resolves messages whose send response was lost, by asking their provider.
//!
//! Runs on every server; a lease keeps the others from a message until its next check.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::clock;
use crate::domain::integrations::calls::{Calls, Limits};
use crate::domain::integrations::{Directory, Purpose};
use crate::domain::messages::outbox;
use crate::domain::messages::outcome_checks::{self, UnconfirmedText};
use crate::error::Result;
use crate::fail_point;
use crate::providers::{Outcome, Outgoing, Provider, Repeated, SentLookup, repeated};
use crate::workers::sender::outgoing;

const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Concurrent lookups, overall and per integration.
const LIMITS: Limits = Limits { all: 32, each: 4 };

#[derive(Clone)]
pub struct OutcomeResolver {
    app: App,
    directory: Directory,
    calls: Arc<tokio::sync::Mutex<Calls<usize>>>,
}

impl OutcomeResolver {
    pub fn new(app: App, directory: Directory) -> Self {
        Self {
            app,
            directory,
            calls: Arc::new(tokio::sync::Mutex::new(Calls::new(LIMITS))),
        }
    }

    /// Runs until the server stops. Lookups cut off then are due again within a minute.
    pub async fn run(self) -> Result<()> {
        let mut calls = self.calls.lock().await;
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Some(_) = calls.next() => {}
            }
            while calls.try_next().is_some() {}
            fail_point::panic_at("outcome_resolver");
            self.begin(&mut calls).await?;
        }
    }

    /// Looks up everything that is due; returns the number of settled messages. For tests.
    pub async fn run_once(&self) -> Result<usize> {
        let mut settled = 0;
        let mut calls = Calls::new(LIMITS);
        loop {
            self.begin(&mut calls).await?;
            match calls.next().await {
                Some(done) => settled += done.unwrap_or(0),
                None => return Ok(settled),
            }
        }
    }

    /// Leases as many due messages as there is room for. One round trip.
    async fn begin(&self, calls: &mut Calls<usize>) -> Result<()> {
        let room = calls.capacity();
        if room.all == 0 {
            return Ok(());
        }
        for unconfirmed in outcome_checks::due(&self.app.db, &room).await? {
            let outcome_resolver = self.clone();
            calls.spawn(unconfirmed.text.integration, async move {
                outcome_resolver.settle(&unconfirmed).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, message.id = %unconfirmed.text.id, "the outcome check of an unconfirmed message failed: retrying");
                    0
                })
            });
        }
        Ok(())
    }

    async fn settle(&self, unconfirmed: &UnconfirmedText) -> Result<usize> {
        fail_point::abort_at("before asking");
        let lookup = self.look_up(unconfirmed).await?;
        fail_point::abort_at("after asking");
        match lookup {
            LookupResult::Settled(outcome) => {
                outbox::settle(&self.app.db, &unconfirmed.text, &outcome).await?;
                tracing::info!(message.id = %unconfirmed.text.id, sent = matches!(outcome, Outcome::Sent { .. }), "the outcome of an unconfirmed message was resolved");
                Ok(1)
            }
            LookupResult::Undetermined => {
                outcome_checks::record_check(&self.app.db, unconfirmed).await?;
                Ok(0)
            }
            LookupResult::Unreachable => {
                tracing::warn!(message.id = %unconfirmed.text.id, "the provider could not be asked for the outcome of a message");
                Ok(0)
            }
        }
    }

    async fn look_up(&self, unconfirmed: &UnconfirmedText) -> Result<LookupResult> {
        let Some(account) = self
            .directory
            .integration(unconfirmed.text.integration)
            .await?
        else {
            return Ok(LookupResult::Unreachable);
        };
        let Some(text) = outgoing(&self.app, &unconfirmed.text, &account) else {
            return Ok(LookupResult::Undetermined);
        };
        let provider = account.used_for(Purpose::LookUp);
        match provider.capabilities().idempotent_send {
            Some(known_for) => Ok(repeat(unconfirmed, provider, &text, known_for).await),
            None => self.find_sent(unconfirmed, provider, &text).await,
        }
    }

    async fn find_sent(
        &self,
        unconfirmed: &UnconfirmedText,
        provider: &dyn Provider,
        text: &Outgoing,
    ) -> Result<LookupResult> {
        match provider.find_sent(text, unconfirmed.since).await {
            Ok(SentLookup::Found(found)) => {
                Ok(outcome_checks::outcome_of(&self.app.db, unconfirmed, found)
                    .await?
                    .map_or(LookupResult::Undetermined, LookupResult::Settled))
            }
            Ok(SentLookup::Undetermined) => Ok(LookupResult::Undetermined),
            Err(_) => Ok(LookupResult::Unreachable),
        }
    }
}

enum LookupResult {
    Settled(Outcome),
    Undetermined,
    /// The provider could not be asked; this does not count as a check.
    Unreachable,
}

/// Repeats the identical request: a provider that accepted it returns the same response, and one that did not accepts
/// it now.
async fn repeat(
    unconfirmed: &UnconfirmedText,
    provider: &dyn Provider,
    text: &Outgoing,
    known_for: Duration,
) -> LookupResult {
    let age = (clock::now() - unconfirmed.since)
        .to_std()
        .unwrap_or_default();
    // The repeat may send it for the first time, so not after its deadline.
    let is_late = unconfirmed
        .text
        .expires_at
        .is_some_and(|at| at <= clock::now());
    if age >= known_for || is_late {
        return LookupResult::Undetermined;
    }
    match repeated(text.attempt, provider.send(text).await, rand::random()) {
        Repeated::Settled(outcome) => LookupResult::Settled(outcome),
        Repeated::Undetermined => LookupResult::Undetermined,
        Repeated::NotAsked => LookupResult::Unreachable,
    }
}

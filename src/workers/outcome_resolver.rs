//! Resolves messages whose send response was lost, by asking their provider.

use std::sync::Arc;
use std::time::Duration;

use super::leased_calls::LeasedWork;
use super::sender::outgoing;
use crate::app::App;
use crate::clock;
use crate::domain::integrations::calls::{CallCapacity, Limits};
use crate::domain::integrations::{Directory, Purpose};
use crate::domain::messages::outbox;
use crate::domain::messages::outcome_checks::{self, UnconfirmedText};
use crate::error::Result;
use crate::fail_point;
use crate::ids::IntegrationId;
use crate::providers::{Outcome, Outgoing, Provider, RepeatResult, SentLookup, repeat_result};

pub const POLL_INTERVAL: Duration = Duration::from_secs(5);

pub struct OutcomeResolver {
    app: App,
    directory: Directory,
}

impl LeasedWork for OutcomeResolver {
    type Item = UnconfirmedText;

    const LIMITS: Limits = Limits { all: 32, each: 4 };

    fn integration(unconfirmed: &UnconfirmedText) -> IntegrationId {
        unconfirmed.text.integration
    }

    /// One round trip.
    async fn lease(&self, capacity: &CallCapacity) -> Result<Vec<UnconfirmedText>> {
        outcome_checks::due(&self.app.db, capacity).await
    }

    /// Counts the resolved messages.
    async fn call(&self, unconfirmed: &UnconfirmedText) -> usize {
        match self.resolve(unconfirmed).await {
            Ok(is_resolved) => usize::from(is_resolved),
            Err(error) => {
                tracing::warn!(%error, message.id = %unconfirmed.text.id, "the outcome check of an unconfirmed message failed: retrying");
                0
            }
        }
    }

    /// A lookup that was cut off is due again within a minute.
    async fn end_leases(&self, _: &[Arc<UnconfirmedText>]) -> Result<()> {
        Ok(())
    }
}

impl OutcomeResolver {
    pub fn new(app: &App, directory: &Directory) -> Self {
        Self {
            app: app.clone(),
            directory: directory.clone(),
        }
    }

    /// Returns whether the message has an outcome now.
    async fn resolve(&self, unconfirmed: &UnconfirmedText) -> Result<bool> {
        fail_point::abort_at("before the lookup");
        let lookup = self.look_up(unconfirmed).await?;
        fail_point::abort_at("after the lookup");
        match lookup {
            LookupResult::Resolved(outcome) => {
                outbox::record_outcome(&self.app.db, &unconfirmed.text, &outcome).await?;
                tracing::info!(message.id = %unconfirmed.text.id, sent = matches!(outcome, Outcome::Sent { .. }), "the outcome of an unconfirmed message was resolved");
                Ok(true)
            }
            LookupResult::Undetermined => {
                outcome_checks::record_check(&self.app.db, unconfirmed).await?;
                Ok(false)
            }
            LookupResult::Unreachable => {
                tracing::warn!(message.id = %unconfirmed.text.id, "the provider could not be asked for the outcome of a message");
                Ok(false)
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
                    .map_or(LookupResult::Undetermined, LookupResult::Resolved))
            }
            Ok(SentLookup::Undetermined) => Ok(LookupResult::Undetermined),
            Err(_) => Ok(LookupResult::Unreachable),
        }
    }
}

enum LookupResult {
    Resolved(Outcome),
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
    match repeat_result(text.attempt, provider.send(text).await, rand::random()) {
        RepeatResult::Resolved(outcome) => LookupResult::Resolved(outcome),
        RepeatResult::Undetermined => LookupResult::Undetermined,
        RepeatResult::NotAsked => LookupResult::Unreachable,
    }
}

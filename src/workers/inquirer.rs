//! Asks providers what became of texts whose answer was lost.
//!
//! Runs on every server at once; whoever takes a text to ask about keeps the others from it until its next time.

use std::time::Duration;

use chrono::Utc;

use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::messages::inquiries::{self, Open};
use crate::domain::messages::outbox;
use crate::error::Result;
use crate::providers::{Outcome, Outgoing, Provider, Repeated, Traces, repeated};
use crate::workers::sender::outgoing;

const LOOK_AROUND: Duration = Duration::from_secs(5);
/// Questions of one round.
const AT_ONCE: i64 = 20;

#[derive(Clone)]
pub struct Inquirer {
    app: App,
    directory: Directory,
}

impl Inquirer {
    pub fn new(app: App, directory: Directory) -> Self {
        Self { app, directory }
    }

    /// As long as the server runs.
    pub async fn run(self) {
        let mut rounds = tokio::time::interval(LOOK_AROUND);
        loop {
            rounds.tick().await;
            if let Err(error) = self.run_once().await {
                tracing::warn!(%error, "texts without an answer could not be asked about: trying again");
            }
        }
    }

    /// Asks about all that is due; answers how many texts were settled.
    pub async fn run_once(&self) -> Result<usize> {
        let mut settled = 0;
        for open in inquiries::due(&self.app.db, AT_ONCE).await? {
            if let Some(outcome) = self.ask(&open).await? {
                tracing::info!(message.id = %open.text.id, sent = matches!(outcome, Outcome::Sent { .. }), "a lost answer was settled");
                outbox::settle(&self.app.db, &open.text, &outcome).await?;
                settled += 1;
            }
        }
        Ok(settled)
    }

    /// `None`: the provider could not be asked, cannot tell, or may not list it yet.
    async fn ask(&self, open: &Open) -> Result<Option<Outcome>> {
        let Some(account) = self.directory.integration(open.text.integration).await? else {
            return Ok(None);
        };
        let Some(text) = outgoing(&self.app, &open.text, &account) else {
            return Ok(None);
        };
        let provider = account.provider.as_ref();
        match provider.capabilities().idempotent_send {
            Some(known_for) => self.repeat(open, provider, &text, known_for).await,
            None => self.look(open, provider, &text).await,
        }
    }

    /// Makes the very request once more: a provider that took it answers as it did then, and one that did not takes it now.
    async fn repeat(
        &self,
        open: &Open,
        provider: &dyn Provider,
        text: &Outgoing,
        known_for: Duration,
    ) -> Result<Option<Outcome>> {
        let age = (Utc::now() - open.since).to_std().unwrap_or_default();
        // If it was not taken then it would be now: not when it is too late for it.
        let is_late = open.text.expires_at.is_some_and(|at| at <= Utc::now());
        if age >= known_for || is_late {
            return Ok(None);
        }
        let answer = provider.send(text).await;
        match repeated(text.attempt, answer, rand::random()) {
            Repeated::Settled(outcome) => Ok(Some(outcome)),
            Repeated::CannotTell => Ok(None),
            Repeated::NotAsked => {
                tracing::warn!(message.id = %open.text.id, "the provider could not be asked about a text");
                inquiries::put_off(&self.app.db, open).await?;
                Ok(None)
            }
        }
    }

    async fn look(
        &self,
        open: &Open,
        provider: &dyn Provider,
        text: &Outgoing,
    ) -> Result<Option<Outcome>> {
        match provider.find_sent(text, open.since).await {
            Ok(Traces::Found(found)) => inquiries::settled(&self.app.db, open, found).await,
            Ok(Traces::CannotTell) => Ok(None),
            Err(error) => {
                tracing::warn!(%error, message.id = %open.text.id, "the provider could not be asked about a text");
                inquiries::put_off(&self.app.db, open).await?;
                Ok(None)
            }
        }
    }
}

//! Asks providers what became of texts whose answer was lost.
//!
//! Runs on every server at once; whoever takes a text to ask about keeps the others from it until its next time.

use std::time::Duration;

use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::messages::inquiries::{self, Open};
use crate::domain::messages::outbox;
use crate::error::Result;
use crate::providers::{Outcome, Outgoing};

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
        let text = &open.text;
        let Some(account) = self.directory.integration(text.integration).await? else {
            return Ok(None);
        };
        if !account.provider.capabilities().can_find_sent {
            return Ok(None);
        }
        let (Ok(from), Ok(to)) = (text.from.parse(), text.to.parse()) else {
            return Ok(None);
        };
        let outgoing = Outgoing {
            our_id: text.id.0,
            attempt: text.attempt.max(1).unsigned_abs().into(),
            from,
            to,
            text: text.content.clone(),
            media: Vec::new(),
            status_url: None,
        };
        match account.provider.find_sent(&outgoing, open.since).await {
            Ok(found) => inquiries::settled(&self.app.db, open, found).await,
            Err(error) => {
                tracing::warn!(%error, message.id = %text.id, "the provider could not be asked about a text");
                inquiries::put_off(&self.app.db, open).await?;
                Ok(None)
            }
        }
    }
}

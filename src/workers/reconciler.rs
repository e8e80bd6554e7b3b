//! Compares every number with its provider's list: at the start, every five minutes, and so after each outage. What came while
//! we were away is brought in.

use std::time::Duration;

use crate::app::App;
use crate::domain::integrations::Directory;
use crate::domain::messages::catch_up;
use crate::domain::messages::receive::Ingest;
use crate::error::Result;

const LOOK_AROUND: Duration = Duration::from_secs(15);
/// Numbers of one round: providers count our calls.
const AT_ONCE: i64 = 10;

#[derive(Clone)]
pub struct Reconciler {
    app: App,
    directory: Directory,
    ingest: Ingest,
}

impl Reconciler {
    pub fn new(app: App, directory: Directory, ingest: Ingest) -> Self {
        Self {
            app,
            directory,
            ingest,
        }
    }

    /// As long as the server runs.
    pub async fn run(self) {
        let mut rounds = tokio::time::interval(LOOK_AROUND);
        loop {
            rounds.tick().await;
            if let Err(error) = self.run_once().await {
                tracing::warn!(%error, "numbers could not be compared with their providers: trying again");
            }
        }
    }

    /// Compares what is due; answers how many texts were brought in.
    pub async fn run_once(&self) -> Result<usize> {
        let mut brought_in = 0;
        for due in catch_up::due(&self.app.db, AT_ONCE).await? {
            match catch_up::number_at(&self.app, &self.directory, &self.ingest, &due).await {
                Ok(Some(0) | None) => {}
                Ok(Some(texts)) => {
                    tracing::warn!(number.id = %due.number(), texts, "texts that had not reached us were brought in");
                    metrics::counter!("messagehub_texts_caught_up_total").increment(texts as u64);
                    brought_in += texts;
                }
                Err(error) => {
                    tracing::warn!(%error, number.id = %due.number(), "a number could not be compared with its provider");
                }
            }
        }
        Ok(brought_in)
    }
}

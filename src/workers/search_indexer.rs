//! Adds new messages and contacts to the search index, in batches, outside the transactions that store them.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::app::App;
use crate::domain::messages::receive::Ingest;
use crate::domain::search;
use crate::error::Result;

pub const INTERVAL: Duration = Duration::from_millis(500);
const BATCH: i32 = 500;
/// While webhooks are being stored, indexing rests this many times as long as it works. Searches read what is not indexed yet.
const REST: u32 = 9;

/// Until everything is indexed. Only one server at a time indexes.
pub async fn run_once(app: &App, ingest: &Ingest) -> Result<()> {
    loop {
        let start = Instant::now();
        let contacts = search::index_contacts(&app.db, BATCH).await?;
        let messages = search::index_messages(&app.db, BATCH).await?;
        if contacts + messages == 0 {
            return Ok(());
        }
        if ingest.is_busy() {
            sleep(start.elapsed() * REST).await;
        }
    }
}

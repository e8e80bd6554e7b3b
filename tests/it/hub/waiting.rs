//! Waiting for what happens beside the test.

use std::time::{Duration, Instant};

const WAIT_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `holds`; panics with `what` if it does not in time.
pub async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    until_within(WAIT_TIMEOUT, what, holds).await;
}

pub async fn until_within(timeout: Duration, what: &str, holds: impl AsyncFn() -> bool) {
    until_some(timeout, what, async || holds().await.then_some(())).await;
}

/// Waits until there is a value; returns it.
pub async fn until_some<T>(timeout: Duration, what: &str, value: impl AsyncFn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = value().await {
            return value;
        }
        assert!(began.elapsed() < timeout, "not within {timeout:?}: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The lock keeps the worker away.
pub const INDEX_MESSAGES: &str = "
    do $$ begin
        perform from search_progress for update;
        while index_new_messages(5000) > 0 loop end loop;
    end $$";

impl super::Hub {
    /// Indexes everything for search, together with the worker.
    pub async fn index_search(&self) {
        self.execute_sql(INDEX_MESSAGES).await;
        let missing = "select (select count(*) from contacts_to_index)
                            + (select count(*) from messages m, search_progress p
                                where (m.inserted_by, m.workspace_id, m.id) > (p.indexed_by, p.workspace, p.id))";
        self.wait_for_count(missing, 0).await;
    }

    /// Waits until the query, run as superuser, returns `count`.
    pub async fn wait_for_count(&self, sql: &'static str, count: i64) {
        until(&format!("{count} = {sql}"), async || {
            self.count(sql).await == count
        })
        .await;
    }
}

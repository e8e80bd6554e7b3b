//! Waiting for what happens beside the test.

use std::time::{Duration, Instant};

use sqlx::PgConnection;

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
const INDEX_MESSAGES: &str = "
    do $$ begin
        perform from search_progress for update;
        while index_new_messages(5000) > 0 loop end loop;
    end $$";

const MESSAGES_LEFT: &str = "select count(*) from messages m, search_progress p
                              where (m.inserted_by, m.workspace_id, m.id) > (p.indexed_by, p.workspace, p.id)";

/// Indexes all messages for search. Transactions of other tests, in any database of the cluster, hold it up.
pub async fn index_messages(connection: &mut PgConnection) {
    let began = Instant::now();
    loop {
        sqlx::raw_sql(INDEX_MESSAGES)
            .execute(&mut *connection)
            .await
            .unwrap();
        let left: i64 = sqlx::query_scalar(MESSAGES_LEFT)
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        if left == 0 {
            return;
        }
        assert!(began.elapsed() < 2 * WAIT_TIMEOUT, "{left} are left");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

impl super::Hub {
    /// Indexes everything for search, together with the worker.
    pub async fn index_search(&self) {
        index_messages(&mut self.superuser_pool.acquire().await.unwrap()).await;
        self.index_contacts().await;
    }

    /// Waits until the worker has indexed the names and numbers of contacts.
    pub async fn index_contacts(&self) {
        self.wait_for_count("select count(*) from contacts_to_index", 0)
            .await;
    }

    /// Waits until the query, run as superuser, returns `count`.
    pub async fn wait_for_count(&self, sql: &'static str, count: i64) {
        until(&format!("{count} = {sql}"), async || {
            self.count(sql).await == count
        })
        .await;
    }
}

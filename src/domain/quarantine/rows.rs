//! Reads the stored calls.

use chrono::{DateTime, Utc};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use super::call::{Parameter, QuarantinedCall, State};
use crate::db::WorkspaceTx;
use crate::domain::webhooks;
use crate::error::{Error, Result};
use crate::ids::{IntegrationId, NumberId, QuarantineId};
use crate::language::{Message, t};
use crate::providers::{self, Hook, SignedRequest};

pub(super) struct Row {
    pub id: QuarantineId,
    pub integration_id: IntegrationId,
    number_id: Option<NumberId>,
    pub phone_number: Option<String>,
    provider: providers::Kind,
    pub kind: webhooks::Kind,
    pub provider_sid: String,
    pub sender: String,
    method: String,
    url: String,
    content_type: String,
    body: Vec<u8>,
    cause: Message,
    times: i32,
    pub state: State,
    settled_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

impl Row {
    fn method(&self) -> Method {
        self.method.parse().unwrap_or(Method::POST)
    }

    fn headers(&self) -> HeaderMap {
        let content_type = HeaderValue::from_str(&self.content_type).ok();
        content_type
            .filter(|content_type| !content_type.is_empty())
            .map(|content_type| (CONTENT_TYPE, content_type))
            .into_iter()
            .collect()
    }

    pub fn with_request<T>(&self, read: impl FnOnce(&SignedRequest<'_>) -> T) -> T {
        read(&SignedRequest {
            public_url: &self.url,
            method: &self.method(),
            headers: &self.headers(),
            body: &self.body,
        })
    }

    pub fn hook(&self) -> Hook {
        match self.kind {
            webhooks::Kind::Inbound => Hook::Inbound,
            webhooks::Kind::Status => Hook::Status,
        }
    }
}

impl From<Row> for QuarantinedCall {
    fn from(row: Row) -> Self {
        let parameters = match row.state {
            State::Waiting => row.with_request(|request| request.parameters()),
            State::Released | State::Discarded => Vec::new(),
        };
        Self {
            id: row.id,
            integration_id: row.integration_id,
            number_id: row.number_id,
            phone_number: row.phone_number,
            provider: row.provider,
            kind: row.kind,
            provider_sid: row.provider_sid,
            sender: row.sender,
            url: row.url,
            cause: row.cause,
            times: row.times,
            state: row.state,
            settled_at: row.settled_at,
            created_at: row.created_at,
            parameters: parameters
                .into_iter()
                .map(|(name, value)| Parameter { name, value })
                .collect(),
        }
    }
}

pub(super) async fn row(tx: &mut WorkspaceTx, id: QuarantineId) -> Result<Row> {
    read(tx, Some(&[id]), None, None, None, 1)
        .await?
        .pop()
        .ok_or(Error::NotFound(t!("this webhook call")))
}

pub(super) async fn read(
    tx: &mut WorkspaceTx,
    ids: Option<&[QuarantineId]>,
    number: Option<NumberId>,
    state: Option<State>,
    before: Option<QuarantineId>,
    most: i64,
) -> Result<Vec<Row>> {
    Ok(sqlx::query_as!(
        Row,
        r#"select q.id, q.integration_id, q.number_id, n.phone_number as "phone_number?", q.provider, q.kind, q.provider_sid,
                  q.sender, q.method, q.url, q.content_type, q.body, q.cause, q.times, q.state, q.settled_at, q.created_at
             from quarantine q
             left join numbers n on n.workspace_id = q.workspace_id and n.id = q.number_id
            where ($1::uuid[] is null or q.id = any ($1))
              and ($2::uuid is null or q.number_id = $2)
              and ($3::text is null or q.state = $3)
              and ($4::uuid is null or q.id < $4)
            order by q.id desc
            limit $5"#,
        ids as _,
        number as _,
        state as _,
        before as _,
        most,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// The calls that wait: first those that no release has tried, then those whose last try is oldest. Two round trips.
pub(super) async fn oldest(
    tx: &mut WorkspaceTx,
    number: Option<NumberId>,
    most: i64,
) -> Result<Vec<Row>> {
    let ids = sqlx::query_scalar!(
        "select id from quarantine
          where state = 'waiting' and ($1::uuid is null or number_id = $1)
          order by tried_at nulls first, id
          limit $2",
        number as _,
        most,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut rows = read(tx, Some(&ids), None, None, None, most).await?;
    rows.sort_by_key(|row| ids.iter().position(|id| *id == row.id));
    Ok(rows)
}

pub(super) async fn count_waiting(tx: &mut WorkspaceTx, number: Option<NumberId>) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "waiting!" from quarantine
            where state = 'waiting' and ($1::uuid is null or number_id = $1)"#,
        number as _,
    )
    .fetch_one(tx.conn())
    .await?)
}

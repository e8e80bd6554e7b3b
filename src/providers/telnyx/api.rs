//! Telnyx's HTTP API: URLs, authentication, errors.

use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::errors::{self, Problem};
use crate::language::t;
use crate::providers::http::retry_after;
use crate::providers::json::{self, Lenient, readable};
use crate::providers::{Error, Refusal, Result};

const PAGE_SIZE: usize = 250;
/// An upper bound on the pages of a list.
const MAX_PAGES: usize = 1000;

pub struct Api {
    pub http: reqwest::Client,
    pub base: String,
    pub key: SecretString,
}

/// The envelope of every successful response.
#[derive(Deserialize)]
pub struct Data<T> {
    pub data: T,
}

/// A list; invalid entries are skipped.
#[derive(Deserialize)]
#[serde(bound = "T:DeserializeOwned")]
pub struct Page<T> {
    pub data: Vec<Lenient<T>>,
    #[serde(default)]
    meta: Lenient<Meta>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    page_number: Lenient<usize>,
    total_pages: Lenient<usize>,
}

impl Api {
    /// Validates the key with the cheapest request that requires one.
    pub async fn check_key(&self) -> Result<()> {
        match self.get::<IgnoredAny>("/balance").await {
            // A key for sending may lack the permission to read the balance.
            Err(Error::Refused {
                code: Some(code), ..
            }) if code == "10010" => {
                let profile = "/messaging_profiles?page%5Bsize%5D=1";
                self.get::<IgnoredAny>(profile).await.map(drop)
            }
            answer => answer.map(drop),
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}/v2{path}", self.base)
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let Data { data } = self.fetch(self.http.get(self.url(path))).await?;
        Ok(data)
    }

    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T> {
        let Data { data } = self
            .fetch(self.http.post(self.url(path)).json(body))
            .await?;
        Ok(data)
    }

    pub async fn delete(&self, path: &str) -> Result<()> {
        let request = self.http.delete(self.url(path));
        self.fetch::<IgnoredAny>(request).await.map(drop)
    }

    pub async fn patch(&self, path: &str, change: &serde_json::Value) -> Result<()> {
        let request = self.http.patch(self.url(path)).json(change);
        self.fetch::<IgnoredAny>(request).await.map(drop)
    }

    pub fn authenticated(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(self.key.expose_secret())
    }

    /// All pages of the list at `path`; `filter` is part of the query.
    pub async fn all<T: DeserializeOwned>(&self, path: &str, filter: &str) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for number in 1..=MAX_PAGES {
            let query = format!("page%5Bnumber%5D={number}&page%5Bsize%5D={PAGE_SIZE}&{filter}");
            let page = self.url(&format!("{path}?{query}"));
            let page: Page<T> = self.fetch(self.http.get(page)).await?;
            let meta = page.meta.0.unwrap_or_default();
            if meta
                .page_number
                .0
                .is_some_and(|reported| reported != number)
            {
                return Err(unexpected_response());
            }
            let is_full = page.data.len() >= PAGE_SIZE;
            all.extend(readable(page.data));
            let is_last = meta.total_pages.0.map_or(!is_full, |pages| number >= pages);
            if is_last {
                return Ok(all);
            }
        }
        Err(unexpected_response())
    }

    async fn fetch<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let response = self.authenticated(request).send().await.map_err(|error| {
            Error::Unreachable(match error.is_timeout() {
                true => t!("Telnyx didn’t respond in time. Try again in a moment."),
                false => t!("Telnyx couldn’t be reached. Check this server’s connection."),
            })
        })?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            return Err(Error::Busy {
                retry_after: retry_after(&response),
            });
        }
        let body = response.bytes().await.map_err(|_| {
            Error::Unreachable(t!(
                "The connection to Telnyx was lost. Try again in a moment."
            ))
        })?;
        if status.is_success() {
            return json::read(&body).map_err(|_| unexpected_response());
        }
        let Refusal { code, text, .. } = refusal(status, &body);
        Err(Error::Refused {
            code: Some(code),
            text,
        })
    }
}

pub fn refusal(status: StatusCode, body: &[u8]) -> Refusal {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Problems {
        errors: Lenient<Vec<Lenient<Problem>>>,
    }
    let parsed = json::read::<Problems>(body).unwrap_or_default();
    let mut problems = readable(parsed.errors.0.unwrap_or_default());
    match problems.next() {
        Some(problem) => errors::refusal(&problem, Some(status.as_u16())),
        None => errors::refusal_by_status(status.as_u16()),
    }
}

fn unexpected_response() -> Error {
    Error::Unreachable(t!(
        "The response didn’t come from Telnyx. Check TELNYX_API_BASE_URL and this server’s proxies."
    ))
}

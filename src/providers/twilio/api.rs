//! Twilio's HTTP API: URLs, authentication, errors.

use std::collections::HashSet;

use bytes::Bytes;
use reqwest::header::AUTHORIZATION;
use reqwest::{RequestBuilder, StatusCode};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::{API, Credentials, errors};
use crate::language::t;
use crate::providers::http::retry_after;
use crate::providers::json::{self, Figure, Lenient, Text};
use crate::providers::{Account, Error, MediaAccess, Refusal, Result};

/// An upper bound on the pages of a list.
const MAX_PAGES: usize = 1000;

pub struct Api {
    pub http: reqwest::Client,
    pub base: String,
    pub messaging: String,
    pub credentials: Credentials,
}

/// One page of a list; the envelope differs between Twilio's hosts.
pub trait Page: DeserializeOwned {
    type Item;
    fn into_parts(self) -> (Vec<Self::Item>, Option<String>);
}

impl Api {
    pub async fn account(&self) -> Result<Account> {
        // The response includes the auth token, so only these fields are parsed.
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Answer {
            sid: Lenient<Text>,
            friendly_name: Lenient<Text>,
            status: Lenient<Text>,
            #[serde(rename = "type")]
            kind: Lenient<Text>,
        }
        let answer: Answer = self.get(&self.url(".json")).await?;
        // Twilio rejects inactive accounts; these credentials were accepted.
        let status = answer.status.some().unwrap_or("active");
        if status != "active" {
            return Err(Error::Refused {
                code: None,
                text: t!(
                    "This Twilio account is {status}. See the Twilio Console.",
                    status = status,
                ),
            });
        }
        let ours = &self.credentials.account_sid;
        Ok(Account {
            id: answer.sid.some().unwrap_or(ours).to_owned(),
            name: answer.friendly_name.as_str().to_owned(),
            status: status.to_owned(),
            trial: answer.kind.as_str() == "Trial",
        })
    }

    pub fn url(&self, path: &str) -> String {
        let account = &self.credentials.account_sid;
        format!("{}/2010-04-01/Accounts/{account}{path}", self.base)
    }

    pub async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T> {
        self.fetch(self.http.get(url)).await
    }

    pub async fn post<T: DeserializeOwned>(&self, url: &str, form: &[(&str, &str)]) -> Result<T> {
        self.fetch(self.http.post(url).form(form)).await
    }

    pub async fn delete(&self, url: &str) -> Result<()> {
        self.response_body(self.http.delete(url)).await.map(drop)
    }

    pub fn authenticated(&self, request: RequestBuilder) -> RequestBuilder {
        let token = self.credentials.auth_token.expose_secret();
        request.basic_auth(&self.credentials.account_sid, Some(token))
    }

    pub async fn all<P: Page>(&self, host: &str, path: String) -> Result<Vec<P::Item>> {
        self.all_until::<P>(host, path, |_| false).await
    }

    /// The same, up to the first page for which `is_enough` holds.
    pub async fn all_until<P: Page>(
        &self,
        host: &str,
        path: String,
        is_enough: impl Fn(&[P::Item]) -> bool,
    ) -> Result<Vec<P::Item>> {
        let mut all = Vec::new();
        let mut seen = HashSet::new();
        let mut next = Some(path);
        while let Some(path) = next {
            if seen.len() == MAX_PAGES || !seen.insert(path.clone()) {
                return Err(unexpected_response());
            }
            let page: P = self.get(&format!("{host}{path}")).await?;
            let (items, more) = page.into_parts();
            next = more
                .as_deref()
                .map(path_and_query)
                .filter(|_| !is_enough(&items));
            all.extend(items);
        }
        Ok(all)
    }

    /// Only for media of this message: a webhook could name any URL.
    pub fn media_access(&self, url: &str, provider_sid: &str) -> Option<MediaAccess> {
        let url = Url::parse(url).ok()?;
        let ours = [self.base.as_str(), API]
            .into_iter()
            .any(|base| Url::parse(base).is_ok_and(|base| base.origin() == url.origin()));
        let account = &self.credentials.account_sid;
        let folder = format!("/2010-04-01/Accounts/{account}/Messages/{provider_sid}/Media/");
        let has_user = !url.username().is_empty() || url.password().is_some();
        if !ours || has_user || !url.path().starts_with(&folder) {
            return None;
        }
        let request = self.authenticated(self.http.get(url)).build().ok()?;
        let header = request.headers().get(AUTHORIZATION)?;
        Some(MediaAccess::Authorized(header.clone()))
    }

    async fn fetch<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        let body = self.response_body(request).await?;
        json::read(&body).map_err(|_| unexpected_response())
    }

    async fn response_body(&self, request: RequestBuilder) -> Result<Bytes> {
        let response = self.authenticated(request).send().await.map_err(|error| {
            Error::Unreachable(match error.is_timeout() {
                true => t!("Twilio didn’t respond in time. Try again in a moment."),
                false => t!("Twilio couldn’t be reached. Check this server’s connection."),
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
                "The connection to Twilio was lost. Try again in a moment."
            ))
        })?;
        if status.is_success() {
            return Ok(body);
        }
        let Refusal { code, text, .. } = refusal(status, &body);
        Err(Error::Refused {
            code: Some(code),
            text,
        })
    }
}

pub fn refusal(status: StatusCode, body: &[u8]) -> Refusal {
    /// Newer hosts name the message `detail`.
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Problem {
        code: Lenient<Figure>,
        message: Lenient<Text>,
        detail: Lenient<Text>,
    }
    let problem = json::read::<Problem>(body).unwrap_or_default();
    match problem.code.parse() {
        Some(code) => errors::refusal(code, problem.message.some().or(problem.detail.some())),
        None => errors::refusal_by_status(status.as_u16()),
    }
}

fn unexpected_response() -> Error {
    Error::Unreachable(t!(
        "The response didn’t come from Twilio. Check TWILIO_API_BASE_URL and this server’s proxies."
    ))
}

/// Next pages are requested from the configured host, which may receive the credentials, whatever host the link names.
fn path_and_query(link: &str) -> String {
    match Url::parse(link) {
        Ok(url) => match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        },
        Err(_) => format!("/{}", link.trim_start_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_stays_at_our_host() {
        assert_eq!(
            path_and_query("/a.json?Page=1&PageToken=PA"),
            "/a.json?Page=1&PageToken=PA"
        );
        assert_eq!(path_and_query("https://evil.example/v1/S?P=1"), "/v1/S?P=1");
        assert_eq!(path_and_query("//evil.example/a"), "/evil.example/a");
        assert_eq!(path_and_query("@evil.example/a"), "/@evil.example/a");
    }
}

//! Downloads of media from the provider that holds them.
//!
//! Only URLs of the provider itself are fetched, with its credentials if needed; redirects are followed without them. A
//! webhook may name any URL, so no other URL is ever requested (SSRF).

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Client, Response, StatusCode};
use url::Url;

pub use crate::addresses::is_internal;
use crate::addresses::is_internal_address;
use crate::language::{Message, impl_error, t};

use super::{Hosts, Provider, Providers, http, telnyx, twilio};

/// The largest file that providers deliver.
pub const LARGEST: usize = 5 * 1024 * 1024;
const MAX_REDIRECTS: usize = 3;

/// The client for media. Its resolver rejects internal addresses (DNS rebinding), except for hosts configured as an
/// API.
pub(super) fn client(timeout: Duration, hosts: &Hosts) -> Client {
    let configured = [(&hosts.twilio, twilio::API), (&hosts.telnyx, telnyx::API)]
        .into_iter()
        .filter(|(host, published)| host.trim_end_matches('/') != *published)
        .filter_map(|(host, _)| Some(Url::parse(host).ok()?.host_str()?.to_owned()));
    http::client_with(timeout, |client| {
        client.dns_resolver(PublicResolver {
            except: configured.collect(),
        })
    })
}

/// A client whose resolver rejects internal addresses, except for the hosts in `except`.
pub fn public_client(timeout: Duration, except: Vec<String>) -> Client {
    http::client_with(timeout, |client| {
        client.dns_resolver(PublicResolver { except })
    })
}

struct PublicResolver {
    except: Vec<String>,
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allows_internal = self.except.iter().any(|host| host == name.as_str());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found
                .filter(|address| allows_internal || !is_internal_address(address.ip()))
                .collect();
            if allowed.is_empty() {
                return Err(format!("{} leads into our own network", name.as_str()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaAccess {
    /// With this header, which must not be sent to a redirect target.
    Authorized(HeaderValue),
    Open,
}

/// Why a file is unavailable, as a sentence for users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    why: Message,
    /// Whether a retry may succeed.
    pub is_retryable: bool,
}

impl Unavailable {
    pub fn message(&self) -> Message {
        t!("This file can’t be shown: {why}.", why = &self.why)
    }
}

impl_error!(Unavailable);

impl Providers {
    pub async fn fetch_media(
        &self,
        provider: &dyn Provider,
        url: &str,
        provider_sid: &str,
    ) -> Result<Bytes, Unavailable> {
        let access = provider
            .media_access(url, provider_sid)
            .ok_or_else(|| permanent(t!("it isn’t stored by the provider")))?;
        let url = Url::parse(url).map_err(|_| permanent(t!("its address is invalid")))?;
        let answer = follow(&self.media, url, access).await?;
        read(answer).await
    }
}

async fn follow(http: &Client, first: Url, access: MediaAccess) -> Result<Response, Unavailable> {
    let allows_internal = is_internal(&first);
    let mut request = http.get(first.clone());
    if let MediaAccess::Authorized(header) = access {
        request = request.header(AUTHORIZATION, header);
    }
    let mut from = first;
    for _ in 0..=MAX_REDIRECTS {
        let answer = request
            .send()
            .await
            .map_err(|_| temporary(t!("the provider couldn’t be reached")))?;
        if !answer.status().is_redirection() {
            return match answer.status() {
                StatusCode::GONE => Err(permanent(t!("the provider deleted it"))),
                _ => answer
                    .error_for_status()
                    .map_err(|_| temporary(t!("the provider doesn’t have it (yet)"))),
            };
        }
        let next = answer
            .headers()
            .get(LOCATION)
            .and_then(|to| from.join(to.to_str().ok()?).ok())
            .filter(|to| allows_internal || (to.scheme() == "https" && !is_internal(to)))
            .ok_or_else(|| {
                permanent(t!(
                    "the provider redirects to an address that isn’t allowed"
                ))
            })?;
        request = http.get(next.clone());
        from = next;
    }
    Err(permanent(t!("the provider’s redirects form a loop")))
}

async fn read(mut answer: Response) -> Result<Bytes, Unavailable> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|_| temporary(t!("the provider’s connection broke off")))?
    {
        if bytes.len() + chunk.len() > LARGEST {
            return Err(permanent(t!("it’s larger than 5 MB")));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn temporary(why: Message) -> Unavailable {
    Unavailable {
        why,
        is_retryable: true,
    }
}

fn permanent(why: Message) -> Unavailable {
    Unavailable {
        why,
        is_retryable: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_into_this_network_is_followed_only_where_it_was_set() {
        use axum::routing::get;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ours = axum::Router::new().route("/", get(|| async { "ours" }));
        tokio::spawn(async move { axum::serve(listener, ours).await });
        let asks = async |twilio: &str| {
            let hosts = Hosts {
                twilio: twilio.into(),
                ..Hosts::default()
            };
            let client = client(Duration::from_secs(2), &hosts);
            let answer = client.get(format!("http://localhost:{port}/"));
            answer.send().await.is_ok()
        };
        assert!(
            asks("http://localhost:9").await,
            "a configured host is reachable"
        );
        assert!(!asks(twilio::API).await);
        assert!(!asks("http://127.0.0.1:9").await);
    }
}

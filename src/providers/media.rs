//! Fetching a picture or file from the provider that holds it.
//!
//! Only from where the provider keeps it, with its credentials if it wants them; where that host redirects to, without them.
//! A webhook may name any URL, so nothing else is ever asked.

use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Client, Response};
use url::{Host, Url};

use super::{Error, Provider, Providers, Result};

/// What providers pass on at the most.
const LARGEST: usize = 5 * 1024 * 1024;
const MOST_REDIRECTS: usize = 3;

/// How a provider's file is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaAccess {
    /// With this header, which must not follow a redirect to anywhere else.
    Authorized(HeaderValue),
    /// By whoever knows the address.
    Open,
}

impl Providers {
    /// The bytes behind `url`, which came with the message `provider_sid`.
    pub async fn fetch_media(
        &self,
        provider: &dyn Provider,
        url: &str,
        provider_sid: &str,
    ) -> Result<Bytes> {
        let access = provider
            .media_access(url, provider_sid)
            .ok_or_else(|| unavailable("it is not kept by the provider itself"))?;
        let url = Url::parse(url).map_err(|_| unavailable("its address cannot be read"))?;
        let answer = follow(&self.http, url, access).await?;
        read(answer).await
    }
}

async fn follow(http: &Client, first: Url, access: MediaAccess) -> Result<Response> {
    let among_ourselves = is_internal(&first);
    let mut request = http.get(first.clone());
    if let MediaAccess::Authorized(header) = access {
        request = request.header(AUTHORIZATION, header);
    }
    let mut from = first;
    for _ in 0..=MOST_REDIRECTS {
        let answer = request
            .send()
            .await
            .map_err(|_| unavailable("the provider could not be reached"))?;
        if !answer.status().is_redirection() {
            return answer
                .error_for_status()
                .map_err(|_| unavailable("the provider does not have it (yet)"));
        }
        let next = answer
            .headers()
            .get(LOCATION)
            .and_then(|to| from.join(to.to_str().ok()?).ok())
            .filter(|to| among_ourselves || (to.scheme() == "https" && !is_internal(to)))
            .ok_or_else(|| unavailable("the provider sends us to where we do not go"))?;
        request = http.get(next.clone());
        from = next;
    }
    Err(unavailable("the provider sends us in circles"))
}

/// An address that only this network knows: nobody outside may make us ask there.
pub(super) fn is_internal(url: &Url) -> bool {
    let inside = |address: IpAddr| match address.to_canonical() {
        IpAddr::V4(ip) => {
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
        }
    };
    match url.host() {
        Some(Host::Ipv4(ip)) => inside(ip.into()),
        Some(Host::Ipv6(ip)) => inside(ip.into()),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => true,
    }
}

async fn read(mut answer: Response) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|_| unavailable("the provider broke off"))?
    {
        if bytes.len() + chunk.len() > LARGEST {
            return Err(unavailable("it is larger than 5 MB"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn unavailable(why: &str) -> Error {
    Error::Unreachable(format!("This file cannot be shown: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_network_are_internal() {
        for inside in [
            "http://127.0.0.1:9/x",
            "https://10.0.0.7/",
            "https://192.168.1.1",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fd00::1]/",
            "https://localhost/",
        ] {
            assert!(is_internal(&inside.parse().expect(inside)), "{inside}");
        }
        for outside in ["https://mms.twiliocdn.com/x", "https://203.0.113.7/"] {
            assert!(!is_internal(&outside.parse().expect(outside)), "{outside}");
        }
    }
}

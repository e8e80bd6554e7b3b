//! `X-Twilio-Signature`: an HMAC over the URL as called by Twilio and the form fields.
//!
//! It has no timestamp; the unique message id makes a replay harmless.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY as HMAC_SHA1, HMAC_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;

use super::form::Form;
use crate::providers::SignedRequest;

const HEADER: &str = "x-twilio-signature";
const FORM: &str = "application/x-www-form-urlencoded";

/// The signing key. The integration decides which: a request must not choose the key, or it could choose a known one.
#[derive(Clone, Copy)]
pub enum Key<'a> {
    AuthToken(&'a str),
    /// Used beside the token, which still signs requests without a settings header. That header is not signed and only
    /// names key and algorithm, so all are tried.
    SharedKey {
        key: &'a str,
        token: &'a str,
    },
}

pub fn verify(request: &SignedRequest<'_>, key: Key<'_>) -> bool {
    let Some(signature) = signature(request) else {
        return false;
    };
    let url = without_credentials(request.public_url);
    let Some(fields) = signed_fields(request, &url) else {
        return false;
    };
    // No early exit, so that timing reveals nothing.
    url_variants(&url)
        .iter()
        .map(|url| key.verifies(url, &fields, &signature))
        .fold(false, |any, is_valid| any | is_valid)
}

pub fn is_signed(request: &SignedRequest<'_>) -> bool {
    signature(request).is_some_and(|signature| !signature.is_empty())
}

fn signature(request: &SignedRequest<'_>) -> Option<Vec<u8>> {
    let mut headers = request.headers.get_all(HEADER).iter();
    let only = headers.next()?;
    if headers.next().is_some() {
        return None;
    }
    STANDARD.decode(only.as_bytes()).ok()
}

impl Key<'_> {
    fn verifies(self, url: &str, fields: &[u8], signature: &[u8]) -> bool {
        match self {
            Key::AuthToken(token) => verify_hmac(HMAC_SHA1, token, url, fields, signature),
            // No early exit, as above.
            Key::SharedKey { key, token } => {
                verify_hmac(HMAC_SHA256, key, url, fields, signature)
                    | verify_hmac(HMAC_SHA1, key, url, fields, signature)
                    | verify_hmac(HMAC_SHA1, token, url, fields, signature)
            }
        }
    }
}

fn verify_hmac(
    algorithm: hmac::Algorithm,
    key: &str,
    url: &str,
    fields: &[u8],
    signature: &[u8],
) -> bool {
    let key = hmac::Key::new(algorithm, key.as_bytes());
    hmac::verify(&key, &[url.as_bytes(), fields].concat(), signature).is_ok()
}

/// The signed data after the URL; `None` if the signature does not cover the body.
fn signed_fields(request: &SignedRequest<'_>, url: &str) -> Option<Vec<u8>> {
    if request.method == Method::GET {
        return Some(Vec::new());
    }
    if is_form(request) {
        return Some(sorted(request.body));
    }
    let is_covered = match Form::parse(query(url).as_bytes()).text("bodySHA256") {
        Some(expected) => expected == hex(digest(&SHA256, request.body).as_ref()),
        None => request.body.is_empty(),
    };
    is_covered.then(Vec::new)
}

/// Twilio's SDKs treat a missing content type as a form.
pub fn is_form(request: &SignedRequest<'_>) -> bool {
    request
        .content_type()
        .is_none_or(|content_type| content_type == FORM)
}

/// Sorted bytewise by name and value, without duplicates.
fn sorted(body: &[u8]) -> Vec<u8> {
    let mut fields = Form::parse(body).into_fields();
    fields.sort_unstable();
    fields.dedup();
    let mut data = Vec::with_capacity(body.len());
    for (name, value) in fields {
        data.extend_from_slice(&name);
        data.extend_from_slice(&value);
    }
    data
}

/// The URL without credentials and fragment, which Twilio removes before signing.
fn without_credentials(url: &str) -> String {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// The URL with and without the default port: Twilio is inconsistent about it.
fn url_variants(url: &str) -> Vec<String> {
    let mut url_variants = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else {
        return url_variants;
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    match port(host) {
        Some(port) => {
            let host = &host[..host.len() - port.len() - 1];
            url_variants.push(format!("{scheme}://{host}{path}"));
        }
        None if scheme.eq_ignore_ascii_case("https") => {
            url_variants.push(format!("{scheme}://{host}:443{path}"));
        }
        None => url_variants.push(format!("{scheme}://{host}:80{path}")),
    }
    url_variants
}

/// The colons of `[::1]` are no port.
fn port(host: &str) -> Option<&str> {
    let (_, port) = host.rsplit_once(':')?;
    (!port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(port)
}

fn query(url: &str) -> &str {
    url.split_once('?').map_or("", |(_, query)| query)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;

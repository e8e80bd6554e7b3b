//! `telnyx-signature-ed25519`: an Ed25519 signature over timestamp and raw body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use ed25519_dalek::{Signature, VerifyingKey};

use crate::providers::SignedRequest;

const SIGNATURE: &str = "telnyx-signature-ed25519";
const TIMESTAMP: &str = "telnyx-timestamp";
/// Maximum age in seconds, and maximum difference of clocks; limits replays.
const TOLERANCE: u64 = 300;

pub fn verify(request: &SignedRequest<'_>, key: &VerifyingKey, now: DateTime<Utc>) -> bool {
    only(request, TIMESTAMP).is_some_and(|timestamp| is_fresh(timestamp, now))
        && is_signed_by(request, key)
}

pub enum SignatureRefusal {
    Unsigned,
    OtherTime,
    WrongKey,
}

pub fn mismatch(request: &SignedRequest<'_>, key: &VerifyingKey) -> SignatureRefusal {
    if only(request, SIGNATURE).is_none() || only(request, TIMESTAMP).is_none() {
        return SignatureRefusal::Unsigned;
    }
    match is_signed_by(request, key) {
        true => SignatureRefusal::OtherTime,
        false => SignatureRefusal::WrongKey,
    }
}

/// Verifies the signature without the timestamp's age.
fn is_signed_by(request: &SignedRequest<'_>, key: &VerifyingKey) -> bool {
    let (Some(timestamp), Some(signature)) = (only(request, TIMESTAMP), only(request, SIGNATURE))
    else {
        return false;
    };
    decoded(signature).is_some_and(|signature| {
        let signed = [timestamp.as_bytes(), b"|", request.body].concat();
        key.verify_strict(&signed, &signature).is_ok()
    })
}

fn only<'a>(request: &SignedRequest<'a>, name: &str) -> Option<&'a str> {
    let mut values = request.headers.get_all(name).iter();
    let only = values.next()?;
    values.next().is_none().then(|| only.to_str().ok())?
}

fn is_fresh(timestamp: &str, now: DateTime<Utc>) -> bool {
    timestamp.bytes().all(|byte| byte.is_ascii_digit())
        && timestamp
            .parse::<i64>()
            .is_ok_and(|then| now.timestamp().abs_diff(then) <= TOLERANCE)
}

fn decoded(signature: &str) -> Option<Signature> {
    Signature::from_slice(&STANDARD.decode(signature).ok()?).ok()
}

#[cfg(test)]
mod tests;

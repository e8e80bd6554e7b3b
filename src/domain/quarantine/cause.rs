//! The probable cause of a signature that does not match.

use crate::language::{Message, t};
use crate::providers::{self, SignatureMismatch, SignedRequest};

/// The probable cause of the mismatch, and how to fix it.
pub(super) fn cause(
    signature_mismatch: SignatureMismatch,
    request: &SignedRequest<'_>,
    provider: providers::Kind,
) -> Message {
    let provider = provider.name();
    match signature_mismatch {
        SignatureMismatch::Unsigned => t!(
            "This call has no signature. {provider} signs every call, so it probably came from someone else, or a proxy removed the header.",
            provider = provider
        ),
        SignatureMismatch::OtherUrl(url) => {
            let (ours, theirs) = (origin(request.public_url), origin(&url));
            if ours == theirs {
                return t!(
                    "The signature matches {url}, which isn’t the address we gave {provider}. Set the number’s webhook again.",
                    url = url,
                    provider = provider
                );
            }
            t!(
                "The signature matches {theirs}, which {provider} called, but BASE_URL is {ours}. Set BASE_URL to {theirs}, then release this.",
                provider = provider,
                theirs = theirs,
                ours = ours
            )
        }
        SignatureMismatch::OtherTime => t!(
            "The signature is from {provider}, but it was made more than five minutes before or after the call arrived. Either this server’s clock is wrong, or the call was delayed.",
            provider = provider
        ),
        SignatureMismatch::WrongCredentials => t!(
            "The signature doesn’t match any usual form of this address. Either the credentials here are out of date (were they rotated at {provider}?), or the call didn’t come from {provider}.",
            provider = provider
        ),
    }
}

fn origin(url: &str) -> &str {
    let end = url
        .find("://")
        .and_then(|scheme| url[scheme + 3..].find(['/', '?']).map(|at| scheme + 3 + at));
    end.map_or(url, |end| &url[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_matches_base_url() {
        assert_eq!(origin("https://hub.example/in?a=1"), "https://hub.example");
        assert_eq!(origin("http://[::1]:3000/"), "http://[::1]:3000");
        assert_eq!(origin("nonsense"), "nonsense");
    }
}

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
            "It carries no signature. {provider} signs every call: this was probably somebody else, or a proxy takes the header away.",
            provider = provider
        ),
        SignatureMismatch::OtherUrl(url) => {
            let (ours, theirs) = (origin(request.public_url), origin(&url));
            if ours == theirs {
                return t!(
                    "The signature fits {url}, which is not the address that we gave to {provider}: set the number’s webhook anew.",
                    url = url,
                    provider = provider
                );
            }
            t!(
                "The signature fits when {provider} called {theirs}, but BASE_URL says {ours}. Set BASE_URL to {theirs}, then release this.",
                provider = provider,
                theirs = theirs,
                ours = ours
            )
        }
        SignatureMismatch::OtherTime => t!(
            "The signature is {provider}’s, but it was made more than five minutes before or after it came: this server’s clock is wrong, or something held the call up.",
            provider = provider
        ),
        SignatureMismatch::WrongCredentials => t!(
            "The signature fits none of the usual forms of this address. Either the credentials here are not the current ones (were they rotated at {provider}?), or it was not {provider} who called.",
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

//! Language negotiation, and the template filters for translated text.
//!
//! ```text
//! {{ "Pick a conversation"|t }}
//! {{ "Open"|t("tab") }}
//! {{ "Assigned to {name}"|t|replace_placeholder("name", name) }}
//! {{ left|count("{n} credit left", "{n} credits left") }}
//! {{ "If <b>{email}</b> has an account, a link is on its way."|rich|replace_placeholder("email", email) }}
//! ```
//!
//! `replace_placeholder` escapes its value. `rich` is for messages that contain markup; `replace_with_markup` inserts
//! markup, such as a time, into them.

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use axum_extra::extract::CookieJar;

use super::auth::LANGUAGE_COOKIE;
use crate::language::{Language, with_language};

/// Middleware that sets the language of a request.
pub async fn choose(request: Request, next: Next) -> Response {
    with_language(negotiated(request.headers()), next.run(request)).await
}

/// The chosen language, else the best of `Accept-Language`, else English.
pub fn negotiated(headers: &HeaderMap) -> Language {
    let jar = CookieJar::from_headers(headers);
    let chosen = jar
        .get(LANGUAGE_COOKIE)
        .and_then(|cookie| Language::of_tag(cookie.value()));
    let accepted = || {
        let accept = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
        accepted(accept)
    };
    chosen.or_else(accepted).unwrap_or_default()
}

/// The supported language with the highest weight in `Accept-Language` (RFC 9110, 12.5.4). Regions are ignored: `es-MX`
/// is `es`. Malformed entries are skipped.
fn accepted(accept: &str) -> Option<Language> {
    let mut best: Option<(Language, u16)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let tag = parts.next().unwrap_or_default();
        let Some(weight) = weight(parts.next()) else {
            continue;
        };
        let primary = tag.split('-').next().unwrap_or_default();
        let language = match primary {
            "*" => Some(Language::default()),
            _ => Language::of_tag(primary),
        };
        // With equal weights the first one wins.
        if let Some(language) = language
            && weight > best.map_or(0, |(_, best)| best)
        {
            best = Some((language, weight));
        }
    }
    best.map(|(language, _)| language)
}

/// The weight in thousandths, 1000 by default.
fn weight(parameter: Option<&str>) -> Option<u16> {
    let Some(parameter) = parameter else {
        return Some(1000);
    };
    let (name, value) = parameter.split_once('=')?;
    let value: f32 = value.trim().parse().ok()?;
    let is_weight = name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&value);
    is_weight.then_some((value * 1000.0).round() as u16)
}

/// Template filters: `use crate::web::language::filters`.
pub mod filters {
    use std::fmt::Display;

    use askama::filters::{HtmlSafe, HtmlSafeOutput};
    use askama::{Result, Values};

    use crate::language;

    /// A translated message. `meant` is the context that distinguishes equal English messages.
    #[askama::filter_fn]
    pub fn t(text: &str, _: &dyn Values, #[optional("")] meant: &str) -> Result<String> {
        Ok(match meant {
            "" => language::t(text).into_owned(),
            meant => language::t_in_context(text, meant).into_owned(),
        })
    }

    /// A translated message that contains markup.
    #[askama::filter_fn]
    pub fn rich(text: &str, _: &dyn Values) -> Result<HtmlSafeOutput<String>> {
        Ok(HtmlSafeOutput(language::t(text).into_owned()))
    }

    #[askama::filter_fn]
    pub fn count<N: Number>(n: N, _: &dyn Values, one: &str, many: &str) -> Result<String> {
        Ok(language::count(n.number(), one, many))
    }

    #[askama::filter_fn]
    pub fn replace_placeholder<S: Sentence, V: Display>(
        sentence: S,
        _: &dyn Values,
        name: &str,
        value: V,
    ) -> Result<S> {
        sentence.with(name, &value)
    }

    /// Replaces a placeholder in a rich message with markup.
    #[askama::filter_fn]
    pub fn replace_with_markup<V: HtmlSafe>(
        sentence: HtmlSafeOutput<String>,
        _: &dyn Values,
        name: &str,
        value: V,
    ) -> Result<HtmlSafeOutput<String>> {
        Ok(HtmlSafeOutput(language::replace_placeholder(
            &sentence.0,
            name,
            value,
        )))
    }

    pub trait Sentence: Sized {
        fn with(&self, name: &str, value: &dyn Display) -> Result<Self>;
    }

    /// Escaped by the template where it is shown.
    impl Sentence for String {
        fn with(&self, name: &str, value: &dyn Display) -> Result<Self> {
            Ok(language::replace_placeholder(self, name, value))
        }
    }

    /// The value is escaped here, because the message is not.
    impl Sentence for HtmlSafeOutput<String> {
        fn with(&self, name: &str, value: &dyn Display) -> Result<Self> {
            let value = value.to_string();
            let value = askama::filters::escape(&value, askama::filters::Html)?;
            Ok(Self(language::replace_placeholder(&self.0, name, value)))
        }
    }

    pub trait Number {
        fn number(&self) -> i64;
    }

    impl<N: Number> Number for &N {
        fn number(&self) -> i64 {
            (*self).number()
        }
    }

    macro_rules! number {
        ($($kind:ty),*) => {$(
            impl Number for $kind {
                fn number(&self) -> i64 {
                    i64::try_from(*self).unwrap_or(i64::MAX)
                }
            }
        )*};
    }
    number!(i16, u16, i32, u32, i64, u64, usize);
}

#[cfg(test)]
mod tests;

//! Language negotiation, and the template filters for translated text.
//!
//! ```text
//! {{ "Choose a conversation"|t }}
//! {{ "Open"|t("tab") }}
//! {{ "Assigned to {name}"|t|replace_placeholder("name", name) }}
//! {{ left|count("{n} credit left", "{n} credits left") }}
//! {{ "If <b>{email}</b> has an account, we sent a link."|rich|replace_placeholder("email", email) }}
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
    use std::fmt::{self, Display};

    use askama::filters::{HtmlSafe, HtmlSafeOutput};
    use askama::{Result, Values};

    use crate::language::Message;

    /// A message that is shown in the current language.
    pub struct Translated(Message);

    impl Display for Translated {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0.translated())
        }
    }

    /// `context` distinguishes equal English sentences.
    #[askama::filter_fn]
    pub fn t<S: Sentence>(
        sentence: S,
        _: &dyn Values,
        #[optional("")] context: &'static str,
    ) -> Result<Translated> {
        Ok(Translated(sentence.message(context)))
    }

    /// A sentence that contains markup.
    #[askama::filter_fn]
    pub fn rich(sentence: &'static str, _: &dyn Values) -> Result<HtmlSafeOutput<Translated>> {
        Ok(HtmlSafeOutput(Translated(Message::new(sentence))))
    }

    #[askama::filter_fn]
    pub fn count<N: Number>(
        n: N,
        _: &dyn Values,
        one: &'static str,
        many: &'static str,
    ) -> Result<Translated> {
        Ok(Translated(Message::counted(n.number(), one, many)))
    }

    #[askama::filter_fn]
    pub fn replace_placeholder<S: WithValue, V: Display>(
        sentence: S,
        _: &dyn Values,
        name: &'static str,
        value: V,
    ) -> Result<S> {
        sentence.with(name, value.to_string())
    }

    /// Replaces a placeholder of a sentence that contains markup with markup.
    #[askama::filter_fn]
    pub fn replace_with_markup<V: HtmlSafe>(
        sentence: HtmlSafeOutput<Translated>,
        _: &dyn Values,
        name: &'static str,
        value: V,
    ) -> Result<HtmlSafeOutput<Translated>> {
        let Translated(message) = sentence.0;
        let message = message.with(name, value.to_string());
        Ok(HtmlSafeOutput(Translated(message)))
    }

    /// What may be translated: a literal of the template, or a message. Never a name.
    pub trait Sentence {
        fn message(&self, context: &'static str) -> Message;
    }

    impl Sentence for &'static str {
        fn message(&self, context: &'static str) -> Message {
            match context {
                "" => Message::new(self),
                context => Message::in_context(context, self),
            }
        }
    }

    impl Sentence for Message {
        fn message(&self, _: &'static str) -> Message {
            self.clone()
        }
    }

    impl<S: Sentence> Sentence for &S {
        fn message(&self, context: &'static str) -> Message {
            (*self).message(context)
        }
    }

    pub trait WithValue: Sized {
        fn with(self, name: &'static str, value: String) -> Result<Self>;
    }

    /// Escaped by the template where it is shown.
    impl WithValue for Translated {
        fn with(self, name: &'static str, value: String) -> Result<Self> {
            Ok(Self(self.0.with(name, value)))
        }
    }

    /// The value is escaped here, because the sentence is not.
    impl WithValue for HtmlSafeOutput<Translated> {
        fn with(self, name: &'static str, value: String) -> Result<Self> {
            let value = askama::filters::escape(&value, askama::filters::Html)?.to_string();
            self.0.with(name, value).map(HtmlSafeOutput)
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

use askama::Template;
use axum::http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::language::in_language;

const EN: Option<Language> = Some(Language::English);
const ES: Option<Language> = Some(Language::Spanish);

#[test]
fn preferred_language_is_chosen() {
    for (accept, expected) in [
        ("es", ES),
        ("es-MX,es;q=0.9,en;q=0.8", ES),
        ("en-GB,en;q=0.9,es;q=0.8", EN),
        ("de-DE,de;q=0.9,es;q=0.5,en;q=0.3", ES),
        ("en;q=0.2, ES;q=0.7", ES),
        ("es;q=0.5,en;q=0.5", ES),
        ("en;q=0.5,es;q=0.5", EN),
        ("es;q=0,en;q=0.1", EN),
        ("es;q=0", None),
        ("fr,*;q=0.1", EN),
        ("es;q=abc,en", EN),
        ("es;q=7,en;q=0.1", EN),
        ("est,en-", EN),
        ("de,fr", None),
        ("", None),
        (";;,,q=1", None),
    ] {
        assert_eq!(accepted(accept), expected, "{accept}");
    }
}

#[test]
fn account_language_overrides_the_header() {
    let mut headers = HeaderMap::new();
    assert_eq!(negotiated(&headers), Language::English);
    headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("es"));
    assert_eq!(negotiated(&headers), Language::Spanish);
    headers.insert(
        header::COOKIE,
        HeaderValue::from_static("messagehub_language=en"),
    );
    assert_eq!(negotiated(&headers), Language::English);
    headers.insert(
        header::COOKIE,
        HeaderValue::from_static("messagehub_language=tlh"),
    );
    assert_eq!(negotiated(&headers), Language::Spanish);
}

proptest! {
    #[test]
    fn any_header_is_parsed(accept in "\\PC*") {
        accepted(&accept);
    }

    #[test]
    fn lower_quality_never_wins(a in 1u16..=1000, b in 1u16..=1000) {
        let q = |n: u16| format!("{:.3}", f32::from(n) / 1000.0);
        let expected = if b > a { ES } else { EN };
        prop_assert_eq!(accepted(&format!("en;q={},es;q={}", q(a), q(b))), expected);
    }
}

#[derive(Template)]
#[template(
    source = r#"{{ "{month} {year}"|t|replace_placeholder("month", name) }}|{{ "You’re signed in as <b>{email}</b>."|rich|replace_placeholder("email", name) }}|{{ n|count("{n} credit left", "{n} credits left") }}"#,
    ext = "html"
)]
struct Sentences<'a> {
    name: &'a str,
    n: i64,
}

#[test]
fn values_are_escaped_and_markup_is_kept() {
    let page = Sentences {
        name: "<i>{n}",
        n: 1,
    };
    let english = page.render().expect("renders");
    assert_eq!(
        english,
        "&#60;i&#62;{n} {year}|You’re signed in as <b>&#60;i&#62;{n}</b>.|1 credit left"
    );
    let spanish = in_language(Language::Spanish, || page.render()).expect("renders");
    assert!(spanish.contains("<b>&#60;i&#62;{n}</b>"), "{spanish}");
    assert!(spanish.ends_with("Queda 1 crédito"), "{spanish}");
}

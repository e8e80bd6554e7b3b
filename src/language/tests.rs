use super::*;

const ES: Language = Language::Spanish;

#[test]
fn english_is_the_default() {
    assert_eq!(current(), Language::English);
    assert_eq!(t("Saved"), "Saved");
    assert_eq!(in_language(ES, || t("Saved")), "Guardado");
    assert_eq!(current(), Language::English);
}

#[test]
fn missing_translation_falls_back_to_english() {
    assert_eq!(
        in_language(ES, || t("Colourless green ideas")),
        "Colourless green ideas"
    );
}

#[test]
fn formatted_sentence_is_matched_by_its_fixed_parts() {
    let translated = in_language(ES, || t("the number was not found in this workspace"));
    assert_eq!(
        translated,
        "no se ha encontrado el número en este espacio de trabajo"
    );
    let translated = in_language(ES, || t("Mr {x} was not found in this workspace"));
    assert!(
        translated.contains("Mr {x}"),
        "unknown values are unchanged: {translated}"
    );
}

/// Each of these names is also a message in the pages.
#[test]
fn names_are_not_translated() {
    for name in [
        "May", "Open", "Done", "Nobody", "Admin", "Saved", "{by}", "{0}",
    ] {
        let moved = format!("{name} answered just now: read it, then send again");
        let translated = in_language(ES, || t(&moved).into_owned());
        assert!(translated.contains(name), "{translated}");
        assert!(
            !translated.contains("just now"),
            "our own text is translated: {translated}"
        );
        let taken = format!("{name} has it now: nothing was changed");
        let translated = in_language(ES, || t(&taken).into_owned());
        assert!(
            translated.contains(name) && !translated.contains("has it now"),
            "{translated}"
        );
        let provider = format!("Twilio says: {name}");
        let translated = in_language(ES, || t(&provider).into_owned());
        assert!(
            translated.ends_with(name) && translated != provider,
            "{translated}"
        );
    }
}

#[test]
fn singular_and_plural_are_distinguished() {
    let left = |n| count(n, "{n} credit left", "{n} credits left");
    assert_eq!(
        [left(0), left(1), left(2500)],
        ["0 credits left", "1 credit left", "2,500 credits left"]
    );
    assert_eq!(in_language(ES, || left(0)), "Quedan 0 créditos");
    assert_eq!(in_language(ES, || left(1)), "Queda 1 crédito");
    assert_eq!(in_language(ES, || left(25_000)), "Quedan 25.000 créditos");
    let untranslated = |n| count(n, "{n} sheep", "{n} sheep");
    assert_eq!(in_language(ES, || untranslated(1)), "1 sheep");
}

#[test]
fn numbers_are_grouped_by_locale() {
    assert_eq!(format_number(1_234_567), "1,234,567");
    assert_eq!(format_number(-100), "−100");
    assert_eq!(
        in_language(ES, || [1234, 12_345].map(format_number)),
        ["1234", "12.345"]
    );
}

#[test]
fn tags_are_parsed() {
    for language in Language::ALL {
        assert_eq!(Language::of_tag(language.tag()), Some(language));
    }
    assert_eq!(Language::of_tag("ES"), Some(ES));
    assert_eq!(Language::of_tag("tlh"), None);
}

#[tokio::test]
async fn concurrent_requests_have_their_own_language() {
    let asked = |language| {
        with_language(language, async {
            tokio::task::yield_now().await;
            t("Saved").into_owned()
        })
    };
    let (english, spanish) = tokio::join!(asked(Language::English), asked(ES));
    assert_eq!([english, spanish], ["Saved", "Guardado"]);
}

#[test]
fn scripts_get_translations_and_plural_rule() {
    let source = include_str!("../../static/js/i18n.js");
    assert_eq!(script(source, Language::English), source);
    let spanish = script(source, ES);
    assert!(spanish.contains(r#""Saved":"Guardado""#), "{spanish}");
    assert!(
        spanish.contains("Number(n != 1)") && !spanish.contains("/* "),
        "{spanish}"
    );
    assert!(
        !spanish.contains("Forgot your password"),
        "only what scripts say"
    );
}

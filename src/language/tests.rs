use super::*;

const ES: Language = Language::Spanish;

#[test]
fn english_is_the_default() {
    assert_eq!(current(), Language::English);
    assert_eq!(t("Saved"), "Saved");
    assert_eq!(said_in(ES, || t("Saved")), "Guardado");
    assert_eq!(current(), Language::English);
}

#[test]
fn missing_translation_falls_back_to_english() {
    assert_eq!(
        said_in(ES, || t("Colourless green ideas")),
        "Colourless green ideas"
    );
}

#[test]
fn formatted_sentence_is_matched_by_its_fixed_parts() {
    let said = said_in(ES, || t("the number was not found in this workspace"));
    assert_eq!(
        said,
        "no se ha encontrado el número en este espacio de trabajo"
    );
    let said = said_in(ES, || t("Mr {x} was not found in this workspace"));
    assert!(said.contains("Mr {x}"), "what is unknown stays: {said}");
}

/// Each of these names is also a message in the pages.
#[test]
fn names_are_not_translated() {
    for name in [
        "May", "Open", "Done", "Nobody", "Admin", "Saved", "{by}", "{0}",
    ] {
        let moved = format!("{name} answered just now: read it, then send again");
        let said = said_in(ES, || t(&moved).into_owned());
        assert!(said.contains(name), "{said}");
        assert!(
            !said.contains("just now"),
            "what is ours is translated: {said}"
        );
        let taken = format!("{name} has it now: nothing was changed");
        let said = said_in(ES, || t(&taken).into_owned());
        assert!(
            said.contains(name) && !said.contains("has it now"),
            "{said}"
        );
        let provider = format!("Twilio says: {name}");
        let said = said_in(ES, || t(&provider).into_owned());
        assert!(said.ends_with(name) && said != provider, "{said}");
    }
}

#[test]
fn singular_and_plural_are_distinguished() {
    let left = |n| count(n, "{n} credit left", "{n} credits left");
    assert_eq!(
        [left(0), left(1), left(2500)],
        ["0 credits left", "1 credit left", "2,500 credits left"]
    );
    assert_eq!(said_in(ES, || left(0)), "Quedan 0 créditos");
    assert_eq!(said_in(ES, || left(1)), "Queda 1 crédito");
    assert_eq!(said_in(ES, || left(25_000)), "Quedan 25.000 créditos");
    let untold = |n| count(n, "{n} sheep", "{n} sheep");
    assert_eq!(said_in(ES, || untold(1)), "1 sheep");
}

#[test]
fn numbers_are_grouped_by_locale() {
    assert_eq!(figure(1_234_567), "1,234,567");
    assert_eq!(figure(-100), "−100");
    assert_eq!(
        said_in(ES, || [1234, 12_345].map(figure)),
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
        speaking(language, async {
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

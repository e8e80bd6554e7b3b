//! Composed input: input methods and decomposed accents.

use fantoccini::key::Key;
use serde_json::json;

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA};

/// Commits a composition with Enter, in the event order of other browsers and then of Safari on macOS, which ends the
/// composition before the keydown of Enter. Returns whether the page prevented neither default.
const COMPOSES: &str = "(() => {
    window.composes = (field, text, key = 'Enter') => {
        field.focus()
        const fire = (kind, data) => field.dispatchEvent(new CompositionEvent(kind, { bubbles: true, data }))
        const press = (init) => field.dispatchEvent(new KeyboardEvent('keydown', { key, code: key, bubbles: true, cancelable: true, ...init }))
        fire('compositionstart', '')
        field.setRangeText(text, field.selectionStart, field.selectionEnd, 'end')
        field.dispatchEvent(new InputEvent('input', { bubbles: true, data: text, isComposing: true }))
        const others = press({ keyCode: 13, isComposing: true })
        fire('compositionend', text)
        const safari = press({ keyCode: 229, isComposing: false })
        return others && safari
    }
})()";

#[tokio::test]
async fn enter_during_composition_has_no_other_effect() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let template = json!({"name": "Parking", "content": "Parking is on the left."});
    harbor
        .admin
        .post(&harbor.path("/templates"), template)
        .await
        .expect_status(201);
    let jo = Browser::start(&hub.url("")).await;
    // On a slow machine a page can load before the last draft of the page before it is saved; the next save then learns of that.
    jo.expects_console("status of 409");
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".list .live", "Live").await;
    jo.evaluates(COMPOSES).await;
    let composes = async |field: &str, text: &str| {
        let left_to_browser = jo
            .evaluates(&format!(
                "composes(document.querySelector('{field}'), '{text}')"
            ))
            .await;
        assert_eq!(left_to_browser, true, "{field} with {text}");
    };
    let holds = async |field: &str, text: &str| {
        let value = jo
            .evaluates(&format!("document.querySelector('{field}').value"))
            .await;
        assert_eq!(value, text, "{field}");
    };

    let composer = ".composer:not(.note-form) textarea";
    composes(composer, "三時").await;
    holds(composer, "三時").await;
    jo.evaluates(&format!("document.querySelector('{composer}').value = ''"))
        .await;
    composes(composer, "/").await;
    jo.sees_in(".offers [aria-selected=true]", "Parking").await;
    composes(composer, "par").await;
    holds(composer, "/par").await;
    jo.finds(".offers").await;

    // The note, and its mentions after an @.
    jo.presses(Key::Escape).await;
    jo.finds_no(".offers").await;
    jo.clicks("Note").await;
    let note = ".note-form textarea";
    composes(note, "@Sa").await;
    jo.sees_in("#note-names", "Sam").await;
    composes(note, "m").await;
    holds(note, "@Sam").await;
    jo.presses(Key::Escape).await;
    jo.finds_no("#note-names").await;
    jo.clicks("Text").await;

    // The search: Escape cancels the composition, not the query.
    let search = "#search input[type=search]";
    composes(search, "三").await;
    jo.evaluates(&format!(
        "composes(document.querySelector('{search}'), '時', 'Escape')"
    ))
    .await;
    holds(search, "三時").await;

    jo.chord(Key::Control, 'k').await;
    jo.finds("#palette").await;
    composes("#palette input", "Settings").await;
    holds("#palette input", "Settings").await;
    jo.finds("#palette").await;
    jo.is_at("/inbox").await;
    assert_eq!(
        hub.count("select count(*) from messages where direction <> 'inbound'")
            .await,
        0
    );

    jo.opens(&format!("/w/{}/send", harbor.slug)).await;
    jo.sees_in("#people", "Maya Okafor").await;
    jo.evaluates(COMPOSES).await;
    composes("#to", "May").await;
    holds("#to", "May").await;
    composes("#content", "三時").await;
    holds("#content", "三時").await;

    let connected = harbor
        .admin
        .post(
            &harbor.path("/integrations"),
            json!({"provider": "sandbox"}),
        )
        .await
        .expect_status(201);
    let number = &connected["numbers"][0]["id"];
    jo.opens(&format!("/sandbox/{}", number.as_str().unwrap()))
        .await;
    jo.sees_in(".live", "Live").await;
    jo.evaluates(COMPOSES).await;
    composes(".handset textarea", "三時").await;
    holds(".handset textarea", "三時").await;
    assert_eq!(hub.count("select count(*) from messages").await, 1);
}

#[tokio::test]
async fn decomposed_accent_counts_as_one_letter() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hola").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".list .live", "Live").await;
    let pastes = async |text: &str| {
        let script = format!(
            "(() => {{ const field = document.querySelector('.composer textarea'); field.focus(); field.value = {}; \
             field.dispatchEvent(new InputEvent('input', {{ bubbles: true }})) }})()",
            serde_json::Value::from(text)
        );
        jo.evaluates(&script).await;
    };
    pastes("José’s").await;
    jo.sees_in(".replacement", "“’” is a special character")
        .await;
    pastes(&"e\u{301}".repeat(70)).await;
    jo.sees_in(".composer .count", "90 characters left").await;
    jo.finds_no(".replacement").await;
    // An accented letter outside GSM-7 counts as one character.
    pastes("i\u{301}").await;
    jo.waits_until(
        "it counts as one character",
        "document.querySelector('.composer .count').textContent === '69 characters left'",
    )
    .await;
    pastes("Jose\u{301}, a las 9").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".message.outbound .state", "Queued").await;
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(hub.twilio.messages()[0].body, "José, a las 9");
}

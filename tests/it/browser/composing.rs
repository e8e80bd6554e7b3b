//! Letters that are put together of several keys: by an input method, or of a letter and an accent.

use fantoccini::key::Key;
use serde_json::json;

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA};

/// An input method's letters are taken with Enter, in the order of events of Safari on macOS, where the composition has ended
/// before its Enter is told of; and in that of other browsers. Answers whether the page left both to the browser.
const TAKES: &str = "(() => {
    window.takes = (field, text, key = 'Enter') => {
        field.focus()
        const tell = (kind, data) => field.dispatchEvent(new CompositionEvent(kind, { bubbles: true, data }))
        const press = (init) => field.dispatchEvent(new KeyboardEvent('keydown', { key, code: key, bubbles: true, cancelable: true, ...init }))
        tell('compositionstart', '')
        field.setRangeText(text, field.selectionStart, field.selectionEnd, 'end')
        field.dispatchEvent(new InputEvent('input', { bubbles: true, data: text, isComposing: true }))
        const elsewhere = press({ keyCode: 13, isComposing: true })
        tell('compositionend', text)
        const safari = press({ keyCode: 229, isComposing: false })
        return elsewhere && safari
    }
})()";

#[tokio::test]
async fn enter_during_composition_has_no_other_effect() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assigns(FRONT_DESK, &sam).await;
    let maya = harbor.receives(MAYA, "Is 3:30 still free?").await;
    harbor.knows(&maya, "Maya Okafor").await;
    let template = json!({"name": "Parking", "content": "Parking is on the left."});
    harbor
        .admin
        .post(&harbor.path("/templates"), template)
        .await
        .is(201);
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".list .live", "Live").await;
    jo.measures(TAKES).await;
    let takes = async |field: &str, text: &str| {
        let took = jo
            .measures(&format!(
                "takes(document.querySelector('{field}'), '{text}')"
            ))
            .await;
        assert_eq!(took, true, "{field} with {text}");
    };
    let holds = async |field: &str, text: &str| {
        let value = jo
            .measures(&format!("document.querySelector('{field}').value"))
            .await;
        assert_eq!(value, text, "{field}");
    };

    // A text, and the templates behind a slash.
    let composer = ".composer:not(.note-form) textarea";
    takes(composer, "三時").await;
    holds(composer, "三時").await;
    jo.measures(&format!("document.querySelector('{composer}').value = ''"))
        .await;
    takes(composer, "/").await;
    jo.sees_in(".offers [aria-selected=true]", "Parking").await;
    takes(composer, "par").await;
    holds(composer, "/par").await;
    jo.finds(".offers").await;

    // A note, and the names behind an @.
    jo.presses(Key::Escape).await;
    jo.loses(".offers").await;
    jo.clicks("Note").await;
    let note = ".note-form textarea";
    takes(note, "@Sa").await;
    jo.sees_in("#note-names", "Sam").await;
    takes(note, "m").await;
    holds(note, "@Sam").await;
    jo.presses(Key::Escape).await;
    jo.loses("#note-names").await;
    jo.clicks("Text").await;

    // The search, where Escape takes back what is being composed, and nothing that stands there.
    let search = "#search input[type=search]";
    takes(search, "三").await;
    jo.measures(&format!(
        "takes(document.querySelector('{search}'), '時', 'Escape')"
    ))
    .await;
    holds(search, "三時").await;

    // The commands.
    jo.chord(Key::Control, 'k').await;
    jo.finds("#palette").await;
    takes("#palette input", "Settings").await;
    holds("#palette input", "Settings").await;
    jo.finds("#palette").await;
    jo.is_at("/inbox").await;
    assert_eq!(
        hub.count("select count(*) from messages where direction <> 'inbound'")
            .await,
        0
    );

    // A text to somebody new.
    jo.opens(&format!("/w/{}/send", harbor.slug)).await;
    jo.sees_in("#people", "Maya Okafor").await;
    jo.measures(TAKES).await;
    takes("#to", "May").await;
    holds("#to", "May").await;
    takes("#content", "三時").await;
    holds("#content", "三時").await;

    // The handset.
    let connected = harbor
        .admin
        .post(
            &harbor.path("/integrations"),
            json!({"provider": "sandbox"}),
        )
        .await
        .is(201);
    let number = &connected["numbers"][0]["id"];
    jo.opens(&format!("/sandbox/{}", number.as_str().unwrap()))
        .await;
    jo.sees_in(".live", "Live").await;
    jo.measures(TAKES).await;
    takes(".handset textarea", "三時").await;
    holds(".handset textarea", "三時").await;
    assert_eq!(hub.count("select count(*) from messages").await, 1);
}

#[tokio::test]
async fn decomposed_accent_counts_as_one_letter() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receives(MAYA, "Hola").await;
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
        jo.measures(&script).await;
    };
    pastes("José’s").await;
    jo.sees_in(".replacement", "“’” is not in the alphabet").await;
    pastes(&"e\u{301}".repeat(70)).await;
    jo.sees_in(".composer .count", "90 left").await;
    jo.loses(".replacement").await;
    // A letter that really is none of the alphabet is named, in one piece.
    pastes("i\u{301}").await;
    jo.waits_until(
        "it is named",
        "document.querySelector('.composer .count').textContent === '69 left'",
    )
    .await;
    pastes("Jose\u{301}, a las 9").await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".message.outbound .state", "Queued").await;
    assert_eq!(hub.sends().await, 1);
    assert_eq!(hub.twilio.messages()[0].body, "José, a las 9");
}

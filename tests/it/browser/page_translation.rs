//! Browser translation: names and numbers are marked as untranslatable.

use super::Browser;
use crate::hub::{Hub, MAYA};

/// Replaces every text node that may be translated, as a translator does.
const TRANSLATES: &str = "(() => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    const found = []
    while (texts.nextNode()) found.push(texts.currentNode)
    for (const text of found) {
        const { parentElement: around } = text
        if (text.nodeValue.trim() && around.translate && !around.closest('script, style, textarea')) text.nodeValue = 'otra cosa'
    }
})()";

#[tokio::test]
async fn translate_attribute_protects_names_and_allows_message_text() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor
        .receive_text(MAYA, "予約はhttps://a.test/rから (see www.a.test/x_(y)).")
        .await;
    harbor.names_contact(&maya, "May Grant").await;
    let tag = harbor.tag("Spring Clean").await;
    let contact = maya["contact_id"].as_str().unwrap();
    let path = harbor.path(&format!("/contacts/{contact}/tags/{tag}"));
    let given = harbor.admin.put(&path).await;
    assert!(given.status < 300, "{}", given.body);
    hub.twilio.refuses(21614, 400);
    harbor
        .reply(&harbor.admin, &maya, "We have 3:30\nor 4:15 <free>")
        .await;
    hub.run_sender().await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".list .live", "Live").await;
    let links = "[...document.querySelectorAll('.message.inbound .bubble a')].map((it) => it.textContent + ' ' + it.href).join()";
    assert_eq!(
        jo.evaluates(links).await,
        "https://a.test/r https://a.test/r,www.a.test/x_(y) https://www.a.test/x_(y)"
    );
    jo.sees_in(
        ".message.inbound .bubble",
        "予約はhttps://a.test/rから (see www.a.test/x_(y)).",
    )
    .await;
    jo.sees_in(".message.outbound", "Reword").await;

    jo.evaluates(TRANSLATES).await;
    jo.sees_in(".message.inbound .bubble", "otra cosa").await;
    for (place, name) in [
        (".row .name", "May Grant"),
        (".row .preview", "We have 3:30"),
        (".row .tag", "Spring Clean"),
        (".thread-head h1", "May Grant"),
        (".thread-head .sub", "(415) 555-0192"),
        (".composer .from", "(628) 555-0100"),
        (".message.outbound .bubble", "or 4:15 <free>"),
        (".message.outbound .author", "Jo Park"),
        ("#details h2", "May Grant"),
        ("#details dd", "(415) 555-0192"),
        ("#details .tag", "Spring Clean"),
    ] {
        let shown = jo
            .evaluates(&format!(
                "[...document.querySelectorAll('{place}')].map((it) => it.textContent).join(' ')"
            ))
            .await;
        let shown = shown.as_str().unwrap();
        let is_me = place.ends_with(".author") && shown.contains("You");
        assert!(shown.contains(name) || is_me, "{place}: {shown}");
    }
    // Even if a translator ignores the attribute.
    jo.evaluates("void (document.querySelector('.message.outbound .bubble').textContent = 'Tenemos a las 3:30')")
        .await;
    jo.evaluates("void document.querySelector('[data-action=\"composer#rewrite\"]').click()")
        .await;
    jo.waits_until(
        "the original text is in the field",
        "document.querySelector('.composer textarea').value === 'We have 3:30\\nor 4:15 <free>'",
    )
    .await;
}

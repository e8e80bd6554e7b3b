//! Attachments: chosen, pasted, dropped, removed and sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Browser;
use crate::hub::{Hub, MAYA, PNG};

/// Adds a file by the script `how`, with the browser's events.
async fn adds_file(jo: &Browser, how: &str, name: &str, bytes: &[u8]) {
    let bytes = STANDARD.encode(bytes);
    let script = format!(
        "(() => {{
            const data = new DataTransfer()
            data.items.add(new File([Uint8Array.from(atob('{bytes}'), (c) => c.charCodeAt(0))], '{name}', {{ type: 'image/png' }}))
            {how}
        }})()"
    );
    jo.evaluates(&script).await;
}

const CHOOSES: &str =
    "const input = document.querySelector('.composer input[type=file]'); input.files = data.files;
    input.dispatchEvent(new Event('change', { bubbles: true }))";
const PASTES: &str = "document.querySelector('.composer textarea').dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))";
const DROPS: &str = "document.querySelector('.composer').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }))";

fn shown(selector: &str) -> String {
    format!(
        "[...document.querySelectorAll('{selector}')].some((it) => it.complete && it.naturalWidth > 0)"
    )
}

#[tokio::test]
async fn images_are_attached_by_file_paste_and_drop_and_sent() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Which tooth?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("422");
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;

    adds_file(&jo, CHOOSES, "dot.png", PNG).await;
    jo.waits_until("the picture is shown", &shown(".attachment img"))
        .await;
    adds_file(&jo, PASTES, "pasted.png", PNG).await;
    jo.waits_until(
        "there are two",
        "document.querySelectorAll('.attachment[data-id]').length === 2",
    )
    .await;
    jo.clicks("Remove pasted.png").await;
    jo.waits_until(
        "there is one again",
        "document.querySelectorAll('.attachment').length === 1",
    )
    .await;
    adds_file(
        &jo,
        DROPS,
        "page.png",
        b"<!DOCTYPE html><script>alert(1)</script>",
    )
    .await;
    jo.sees_in(".attachment .why", "Phones can’t receive this type of file")
        .await;

    // A refused file blocks sending until it is removed.
    jo.fills("Message to", "This one").await;
    jo.clicks("Send").await;
    jo.sees_in(".attachment .why", "Phones can’t receive this")
        .await;
    jo.clicks("Remove page.png").await;
    jo.clicks("Send").await;
    jo.sees_in(".message.outbound .bubble", "This one").await;
    jo.waits_until(
        "it is in the thread",
        &shown(".message.outbound[id^=message-] img.photo"),
    )
    .await;
    jo.finds_no(".attachment").await;
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(hub.twilio.fetched()[0].bytes, PNG);
    jo.reloads().await;
    jo.waits_until("it stays there", &shown(".message.outbound img.photo"))
        .await;

    adds_file(&jo, DROPS, "dot.png", PNG).await;
    jo.waits_until("the picture is shown", &shown(".attachment img"))
        .await;
    jo.clicks("Send").await;
    jo.waits_until(
        "an image without text was sent",
        "document.querySelectorAll('.message.outbound[id^=message-] img.photo').length === 2",
    )
    .await;
}

#[tokio::test]
async fn image_is_sent_by_form_without_scripts() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Which tooth?").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.has_no_scripts().await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.expects_console("422");

    adds_file(&jo, CHOOSES, "page.png", b"<!DOCTYPE html>").await;
    jo.fills("Message to", "This one").await;
    jo.clicks("Send").await;
    jo.sees_in(".composer-notice", "Phones can’t receive this type of file")
        .await;
    jo.waits_until(
        "the text is kept",
        "document.querySelector('.composer textarea').value === 'This one'",
    )
    .await;

    adds_file(&jo, CHOOSES, "dot.png", PNG).await;
    jo.clicks("Send").await;
    jo.is_at(&harbor.inbox(Some(&maya))).await;
    jo.waits_until("it is in the thread", &shown(".message.outbound img.photo"))
        .await;
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(hub.twilio.fetched()[0].bytes, PNG);
    assert_eq!(hub.twilio.messages()[0].body, "This one");
}

#[tokio::test]
async fn handset_shows_an_image() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let sandbox = json!({"provider": "sandbox", "credentials": {}});
    let sandbox = harbor
        .admin
        .post(&harbor.path("/integrations"), sandbox)
        .await
        .expect_status(201);
    let upload = harbor
        .admin
        .upload_to(&harbor.path("/media"), PNG)
        .await
        .expect_status(201);
    let draft = json!({"to": MAYA, "media_ids": [upload["id"]]});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    hub.run_sender().await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    let number = sandbox["numbers"][0]["id"].as_str().unwrap();
    jo.opens(&format!("/sandbox/{number}")).await;
    jo.waits_until(
        "the picture is shown",
        &shown(".handset .message.outbound img.photo"),
    )
    .await;
}

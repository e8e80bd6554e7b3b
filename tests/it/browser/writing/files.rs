//! Pictures, videos and other files.

use fantoccini::key::Key;
use serde_json::json;

use crate::browser::Browser;
use crate::hub::{Hub, MAYA, PNG};

#[tokio::test]
async fn images_open_in_the_thread_and_videos_play() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let film: &[u8] = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41\0\0\0\x08free";
    let mut ids = Vec::new();
    for bytes in [PNG, PNG, film, b"%PDF-1.4\n%%EOF"] {
        let upload = harbor
            .admin
            .upload_to(&harbor.path("/media"), bytes)
            .await
            .expect_status(201);
        ids.push(upload["id"].clone());
    }
    let draft = json!({"conversation_id": maya["id"], "content": "Look", "media_ids": ids});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    jo.sees_in(".message .file", "PDF document 14 bytes").await;
    jo.waits_until(
        "the film can be played and sought in",
        "(() => { const film = document.querySelector('video.film'); return film.controls && film.src.includes('/media/') })()",
    )
    .await;
    jo.waits_until(
        "a picture is there",
        "document.querySelector('.media a .photo').complete",
    )
    .await;
    jo.evaluates("document.querySelector('.media a .photo').click()")
        .await;
    jo.sees_in("dialog.lightbox", "1 of 2").await;
    jo.presses(Key::Right).await;
    jo.sees_in("dialog.lightbox", "2 of 2").await;
    jo.is_accessible("lightbox").await;
    jo.presses(Key::Right).await;
    jo.sees_in("dialog.lightbox", "1 of 2").await;
    jo.waits_until(
        "it can be downloaded",
        "document.querySelector('.lightbox [download]').href.includes('/media/')",
    )
    .await;
    jo.presses(Key::Escape).await;
    jo.finds_no("dialog.lightbox").await;
    jo.waits_until(
        "the focus is back",
        "document.activeElement.matches('.media a')",
    )
    .await;
}

#[tokio::test]
async fn failed_upload_is_retried_and_drop_target_is_shown() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("net::ERR_").expects_console("WebSocket");
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    let drag = |kind: &str| {
        format!("(() => {{
            const data = new DataTransfer()
            data.items.add(new File([Uint8Array.from(atob('{}'), (c) => c.charCodeAt(0))], 'dot.png', {{ type: 'image/png' }}))
            document.querySelector('.scroller').dispatchEvent(new DragEvent('{kind}', {{ dataTransfer: data, bubbles: true, cancelable: true }}))
        }})()", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, PNG))
    };
    jo.evaluates(&drag("dragover")).await;
    jo.waits_until(
        "the thread says what happens",
        "getComputedStyle(document.querySelector('.thread.dropping'), '::after').content.includes('Drop files')",
    )
    .await;
    jo.is_offline(true).await;
    jo.evaluates(&drag("drop")).await;
    jo.finds_no(".dropping").await;
    jo.sees_in(".attachment.bad", "No connection.").await;
    jo.is_offline(false).await;
    jo.clicks("Try again").await;
    jo.finds(".attachment img").await;
    jo.clicks("Send").await;
    jo.waits_until(
        "it was sent",
        "document.querySelectorAll('.message.outbound[id^=message-] img.photo').length === 1",
    )
    .await;
}

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

/// Puts `window.photo(width, height)` in the page: a JPEG of noise, which compresses badly, taken with the camera upright
/// (its pixels lie on their side), and `window.put(how, file)`, which picks, pastes or drops a file.
const CAMERA: &str = r#"(() => {
    window.photo = async (width, height) => {
        const canvas = new OffscreenCanvas(width, height)
        const picture = new ImageData(width, height)
        const pixels = new Uint32Array(picture.data.buffer)
        for (let i = 0, seed = 7; i < pixels.length; i++) pixels[i] = 0xff000000 | (seed = (seed * 1664525 + 1013904223) >>> 0)
        canvas.getContext("2d").putImageData(picture, 0, 0)
        const jpeg = await (await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 })).arrayBuffer()
        const orientation = [0xff, 0xe1, 0, 0x22, 0x45, 0x78, 0x69, 0x66, 0, 0, 0x4d, 0x4d, 0, 0x2a, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0]
        return new File([jpeg.slice(0, 2), new Uint8Array(orientation), jpeg.slice(2)], "IMG_1.JPG", { type: "image/jpeg" })
    }
    window.put = (how, file) => {
        const data = new DataTransfer()
        data.items.add(file)
        const all = { bubbles: true, cancelable: true }
        if (how === "drop") document.querySelector(".scroller").dispatchEvent(new DragEvent("drop", { dataTransfer: data, ...all }))
        if (how === "paste") document.querySelector("textarea[name=content]").dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, ...all }))
        if (how !== "pick") return
        const input = document.querySelector(".attach input")
        input.files = data.files
        input.dispatchEvent(new Event("change", all))
    }
})()"#;

#[tokio::test]
async fn large_photos_are_reduced_and_stay_upright() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    jo.evaluates(CAMERA).await;
    jo.evaluates("window.photo(3200, 2400).then((file) => (window.large = file))")
        .await;
    jo.waits_until(
        "it is too large for a text",
        "window.large?.size > 5 * 1024 * 1024",
    )
    .await;
    for (nth, how) in ["pick", "paste", "drop"].into_iter().enumerate() {
        jo.evaluates(&format!("window.put('{how}', window.large)"))
            .await;
        jo.waits_until(
            "it is uploaded",
            &format!(
                "document.querySelectorAll('.attachment img').length === {}",
                nth + 1
            ),
        )
        .await;
    }
    jo.waits_until(
        "it says so",
        "[...document.querySelectorAll('.attachment .reduced')].every((it) => /^Reduced from \\d+(\\.\\d)?\\sMB to \\d(\\.\\d+)?\\sMB$/.test(it.textContent))",
    )
    .await;
    jo.is_accessible("reduced photos").await;

    // A small one and an animation stay as they are.
    jo.evaluates("window.photo(40, 30).then((file) => window.put('drop', file))")
        .await;
    jo.waits_until(
        "it is uploaded",
        "document.querySelectorAll('.attachment img').length === 4",
    )
    .await;
    jo.evaluates("window.put('drop', new File([Uint8Array.from(atob('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7'), (c) => c.charCodeAt(0))], 'wave.gif', { type: 'image/gif' }))")
        .await;
    jo.waits_until(
        "it is uploaded",
        "document.querySelectorAll('.attachment img').length === 5",
    )
    .await;
    let reduced = "select count(*) from message_media where content_type = 'image/jpeg' and size < 1400000 and height > width and height > 400";
    assert_eq!(hub.count(reduced).await, 3);
    let untouched =
        "select count(*) from message_media where content_type = 'image/gif' or height <= 40";
    assert_eq!(hub.count(untouched).await, 2);
    jo.clicks("Send").await;
    jo.waits_until(
        "all are sent",
        "document.querySelectorAll('.message.outbound[id^=message-] img.photo').length === 5",
    )
    .await;
    assert_eq!(hub.run_sender().await, 1);

    // What is no photo cannot be reduced.
    jo.evaluates("window.put('drop', new File([new Uint8Array(6 * 1024 * 1024)], 'film.mp4', { type: 'video/mp4' }))")
        .await;
    jo.sees_in(".attachment.bad", "Too large: a text can carry up to 5 MB.")
        .await;
}

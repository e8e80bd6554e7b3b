//! Media: fetched, stored, served and removed.

mod sending;
mod storage;

use std::path::Path;

use img_parts::ImageEXIF;
use img_parts::jpeg::Jpeg;
use serde_json::{Value, json};

use crate::hub::{FRONT_DESK, Hub, MAYA, PNG, TOKEN, Workspace, serve};

/// A photo as a phone takes it: large, and with its location.
pub fn photo() -> Vec<u8> {
    let mut seed = 7u32;
    let picture = image::RgbImage::from_fn(1280, 854, |x, y| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        image::Rgb([(x % 256) as u8, (y % 256) as u8, (seed >> 24) as u8])
    });
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new(&mut jpeg)
        .encode_image(&picture)
        .unwrap();
    let mut jpeg = Jpeg::from_bytes(jpeg.into()).unwrap();
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x25\x88\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0".to_vec();
    exif.extend(b"GPSLatitude 37.8N");
    jpeg.set_exif(Some(exif.into()));
    jpeg.encoder().bytes().to_vec()
}

pub fn has_location(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|found| found == b"GPSLatitude")
}

/// Delivers an inbound file, for which Twilio answers 404 to the first `late` requests; returns the text.
async fn receive_file(harbor: &Workspace<'_>, kind: &str, bytes: &[u8], late: u32) -> Value {
    let sid = format!("MM{}", uuid::Uuid::now_v7().simple());
    let account = harbor.hub.twilio.account(&harbor.account, TOKEN);
    let url = account.late_media(&sid, kind, bytes, late);
    let text = harbor.hub.twilio.inbound_text(MAYA, FRONT_DESK, "Look");
    let answer = text.sid(&sid).files(&[(&url, kind)]).send().await;
    assert_eq!(answer.status(), 200);
    newest(harbor).await
}

async fn newest(harbor: &Workspace<'_>) -> Value {
    let maya = harbor.conversation_with(MAYA).await;
    harbor.thread(&maya).await.pop().unwrap()
}

fn url(text: &Value) -> String {
    text["media"][0]["url"].as_str().unwrap().into()
}

/// Ends retry delays and expired leases.
async fn end_retry_delays(hub: &Hub) {
    hub.execute_sql("update message_media set fetch_at = now() where fetch_at is not null")
        .await;
    hub.execute_sql("update removed_files set due_at = now()")
        .await;
}

fn files(directory: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    let entries = entries.map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { files(&path) } else { 1 })
        .sum()
}

#[tokio::test]
async fn photo_is_stored_without_location_and_served_with_thumbnail() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let photo = photo();
    assert!(has_location(&photo));
    let text = receive_file(&harbor, "image/jpeg", &photo, 0).await;
    assert_eq!(text["content"], "Look", "before anything is fetched");
    let (_, _, early) = harbor.admin.download(&url(&text), None).await;
    assert!(
        !early.is_empty() && !has_location(&early),
        "proxied from the provider"
    );

    assert_eq!(hub.fetch_media().await, 1);

    let calls_before = hub.twilio.calls(&["/Media/"]);
    let kept = newest(&harbor).await;
    assert_eq!(kept["media"][0]["content_type"], "image/jpeg");
    let pixels = (&kept["media"][0]["width"], &kept["media"][0]["height"]);
    assert_eq!(pixels, (&json!(1280), &json!(854)));
    assert_ne!(
        kept["updated_at"], text["updated_at"],
        "the change is visible"
    );
    let (status, headers, whole) = harbor.admin.download(&url(&kept), None).await;
    assert_eq!(status, 200);
    assert_eq!(kept["media"][0]["size"], whole.len());
    assert_eq!(headers["content-type"], "image/jpeg");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(
        headers["content-security-policy"],
        "sandbox; default-src 'none'"
    );
    assert!(!has_location(&whole));
    assert_eq!(
        image::load_from_memory(&whole).unwrap(),
        image::load_from_memory(&photo).unwrap()
    );

    let thumb = format!("{}?size=thumb", url(&kept));
    let (status, _, small) = harbor.admin.download(&thumb, None).await;
    assert_eq!(status, 200);
    assert!(small.len() < whole.len() / 2 && !has_location(&small));
    let small = image::load_from_memory(&small).unwrap();
    assert_eq!((small.width(), small.height()), (640, 427));

    let (status, headers, part) = harbor.admin.download(&url(&kept), Some("bytes=2-5")).await;
    assert_eq!((status, part.as_slice()), (206, &whole[2..6]));
    assert_eq!(
        headers["content-range"],
        format!("bytes 2-5/{}", whole.len())
    );
    let (status, _, part) = harbor.admin.download(&url(&kept), Some("bytes=-4")).await;
    assert_eq!((status, part.as_slice()), (206, &whole[whole.len() - 4..]));
    let beyond = format!("bytes={}-", whole.len());
    assert_eq!(
        harbor.admin.download(&url(&kept), Some(&beyond)).await.0,
        416
    );

    assert_eq!(
        hub.twilio.calls(&["/Media/"]),
        calls_before,
        "Twilio is not asked again"
    );
    assert_eq!(files(hub.media.path()), 2);
}

#[tokio::test]
async fn late_media_is_retried() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    receive_file(&harbor, "image/png", PNG, 2).await;
    assert_eq!(hub.fetch_media().await, 0);
    assert_eq!(hub.fetch_media().await, 0, "not before the delay");
    assert_eq!(hub.twilio.calls(&["/Media/"]), 1);
    end_retry_delays(&hub).await;
    assert_eq!(hub.fetch_media().await, 0);
    end_retry_delays(&hub).await;
    assert_eq!(hub.fetch_media().await, 1);
    let text = newest(&harbor).await;
    assert_eq!(text["media"][0]["error"], Value::Null);
    assert_eq!(harbor.admin.download(&url(&text), None).await.2, PNG);
}

#[tokio::test]
async fn missing_media_is_given_up_with_a_reason_and_the_text_stays() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    receive_file(&harbor, "image/png", PNG, 1000).await;
    for _ in 0..10 {
        assert_eq!(newest(&harbor).await["media"][0]["error"], Value::Null);
        assert_eq!(hub.fetch_media().await, 0);
        end_retry_delays(&hub).await;
    }
    hub.fetch_media().await;
    let calls_before = hub.twilio.calls(&["/Media/"]);
    assert!(calls_before > 5);
    end_retry_delays(&hub).await;
    hub.fetch_media().await;
    assert_eq!(
        hub.twilio.calls(&["/Media/"]),
        calls_before,
        "it is given up"
    );

    let text = newest(&harbor).await;
    assert_eq!(text["content"], "Look");
    let why = "This file can’t be shown: the provider doesn’t have it (yet).";
    assert_eq!(text["media"][0]["error"], why);
    let conversation = text["conversation_id"].as_str().unwrap();
    let page = format!("/w/{}/inbox/{conversation}", harbor.slug);
    let page = harbor.admin.get(&page).await;
    assert!(page.body.contains(why), "{}", page.body);
}

#[tokio::test]
async fn media_from_a_foreign_url_is_not_fetched() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let elsewhere = format!("{}/cdn/1", hub.twilio.url());
    let text = hub.twilio.inbound_text(MAYA, FRONT_DESK, "Look");
    text.media(&[&elsewhere]).send().await;
    hub.fetch_media().await;
    assert_eq!(hub.twilio.calls(&["/cdn/"]), 0);
    let text = newest(&harbor).await;
    let why = "This file can’t be shown: it isn’t stored by the provider.";
    assert_eq!(text["media"][0]["error"], why);
}

#[tokio::test]
async fn media_is_fetched_by_one_of_several_servers() {
    let hub = Hub::start().await;
    let directory = format!("file://{}", hub.media.path().display());
    let other = serve(&hub.database, &hub.twilio, &[("MEDIA_URL", &directory)]).await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for _ in 0..8 {
        receive_file(&harbor, "image/png", PNG, 0).await;
    }
    let (here, there) = tokio::join!(hub.fetch_media(), other.media_fetcher.run_once());
    assert_eq!(here + there.unwrap(), 8);
    assert_eq!(hub.twilio.calls(&["/Media/"]), 8);
    other.stop().await;
}

#[tokio::test]
async fn content_type_is_detected_from_bytes() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let page = b"<!DOCTYPE html><script>alert(document.domain)</script>";
    for (claimed, bytes) in [
        ("image/jpeg", &page[..]),
        (
            "image/svg+xml",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        ),
        // Starts like a photo and is cut off.
        ("image/jpeg", b"\xff\xd8\xff\xe1\xff\xff"),
    ] {
        receive_file(&harbor, claimed, bytes, 0).await;
        for is_kept in [false, true] {
            let text = newest(&harbor).await;
            let (status, headers, shown) = harbor.admin.download(&url(&text), None).await;
            assert_eq!((status, shown.as_slice()), (200, bytes));
            assert_eq!(headers["content-type"], "application/octet-stream");
            let disposition = headers["content-disposition"].to_str().unwrap();
            assert!(
                disposition.starts_with("attachment; filename=\""),
                "{disposition}"
            );
            assert_eq!(usize::from(!is_kept), hub.fetch_media().await);
        }
    }
}

/// File types that phones send and browsers do not show, recognized by their first bytes.
#[tokio::test]
async fn downloads_keep_type_and_file_extension() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let padded = |head: &[u8]| [head, &[0; 64]].concat();
    let heic = padded(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic");
    let film = padded(b"\0\0\0\x18ftyp3gp5\0\0\0\x003gp53gp4");
    let amr = padded(b"#!AMR\n");
    let tiff = padded(b"II*\0\x08\0\0\0");
    let card = b"\xef\xbb\xbfbegin:vcard\r\nVERSION:3.0\r\nEND:VCARD\r\n".to_vec();
    for (claimed, bytes, kind, ending) in [
        ("image/heic", heic, "image/heic", ".heic"),
        ("video/3gpp", film.clone(), "video/3gpp", ".3gp"),
        ("audio/3gpp", film, "audio/3gpp", ".3gp"),
        ("audio/amr", amr, "audio/amr", ".amr"),
        ("image/tiff", tiff, "image/tiff", ".tiff"),
        ("text/x-vcard", card, "text/vcard", ".vcf"),
        (
            "text/html",
            b"<script>alert(1)</script>".to_vec(),
            "application/octet-stream",
            ".bin",
        ),
    ] {
        receive_file(&harbor, claimed, &bytes, 0).await;
        assert_eq!(hub.fetch_media().await, 1);
        let text = newest(&harbor).await;
        assert_eq!(text["media"][0]["content_type"], kind, "{claimed}");
        let (status, headers, got) = harbor.admin.download(&url(&text), None).await;
        assert_eq!((status, got.len()), (200, bytes.len()));
        assert_eq!(headers["content-type"], kind);
        let disposition = headers["content-disposition"].to_str().unwrap();
        assert!(
            disposition.starts_with("attachment; filename="),
            "{disposition}"
        );
        assert!(
            disposition.ends_with(&format!("{ending}\"")),
            "{disposition}"
        );
        let page = format!(
            "/w/{}/inbox/{}",
            harbor.slug,
            text["conversation_id"].as_str().unwrap()
        );
        let request = harbor.admin.request(reqwest::Method::GET, &page).header(
            "cookie",
            format!("messagehub_access={}", harbor.admin.token.as_ref().unwrap()),
        );
        let page = harbor.admin.ask(request).await.body;
        let broken = format!("<img class=\"photo\" src=\"{}", url(&text));
        assert!(!page.contains(&broken), "{kind} is shown as a picture");
        assert!(page.contains(&url(&text)), "{kind} is not on the page");
    }
}

#[tokio::test]
async fn text_parts_are_message_text_and_layouts_are_dropped() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sid = format!("MM{}", uuid::Uuid::now_v7().simple());
    let account = hub.twilio.account(&harbor.account, TOKEN);
    let layout = account.late_media(&sid, "application/smil", b"<smil><head/></smil>", 0);
    let text_part = account.late_media(
        &sid,
        "text/plain",
        "¿Está abierto el miércoles?\r\n".as_bytes(),
        0,
    );
    let picture = account.late_media(&sid, "image/png", PNG, 0);
    let text = hub.twilio.inbound_text(MAYA, FRONT_DESK, "");
    let answer = text
        .sid(&sid)
        .files(&[
            (&layout, "application/smil"),
            (&text_part, "text/plain"),
            (&picture, "image/png"),
        ])
        .send()
        .await;
    assert_eq!(answer.status(), 200);
    assert_eq!(newest(&harbor).await["media"].as_array().unwrap().len(), 2);

    assert_eq!(hub.fetch_media().await, 2);

    let text = newest(&harbor).await;
    assert_eq!(text["content"], "¿Está abierto el miércoles?");
    assert_eq!(text["media"].as_array().unwrap().len(), 1, "the picture");
    let maya = harbor.conversation_with(MAYA).await;
    assert_eq!(maya["last_message_preview"], "¿Está abierto el miércoles?");
    let found = harbor
        .admin
        .get(&harbor.path("/search?q=miercoles"))
        .await
        .expect_status(200);
    assert_eq!(
        found["messages"]["data"][0]["message"]["id"], text["id"],
        "{found}"
    );
    end_retry_delays(&hub).await;
    hub.fetch_media().await;
    assert_eq!(
        files(hub.media.path()),
        1,
        "text parts are not stored as files"
    );

    // A STOP in a part of its own counts as well.
    assert!(maya["near_stop_id"].is_null());
    let sid = format!("MM{}", uuid::Uuid::now_v7().simple());
    let blank = account.late_media(&sid, "text/plain", b" \r\n", 0);
    let text = hub.twilio.inbound_text(MAYA, FRONT_DESK, "See you");
    let answer = text.sid(&sid).files(&[(&blank, "text/plain")]).send().await;
    assert_eq!(answer.status(), 200);
    hub.fetch_media().await;
    assert_eq!(newest(&harbor).await["content"], "See you");
    let sid = format!("MM{}", uuid::Uuid::now_v7().simple());
    let stop = account.late_media(&sid, "text/plain; charset=utf-8", b"STOP", 0);
    let text = hub.twilio.inbound_text(MAYA, FRONT_DESK, "");
    assert_eq!(
        text.sid(&sid)
            .files(&[(&stop, "text/plain; charset=utf-8")])
            .send()
            .await
            .status(),
        200
    );
    hub.fetch_media().await;
    let maya = harbor.conversation_with(MAYA).await;
    assert_eq!(maya["opted_out"], true, "STOP applies in any part");
    assert!(maya["near_stop_id"].is_null());

    // Within other text, and after START: it is flagged for review, and the later START applies.
    hub.twilio.text(MAYA, FRONT_DESK, "START").await;
    let sid = format!("MM{}", uuid::Uuid::now_v7().simple());
    let more = account.late_media(&sid, "text/plain", b"please stop texting me", 0);
    let text = hub.twilio.inbound_text(MAYA, FRONT_DESK, "No thanks,");
    let answer = text.sid(&sid).files(&[(&more, "text/plain")]).send().await;
    assert_eq!(answer.status(), 200);
    hub.fetch_media().await;
    let maya = harbor.conversation_with(MAYA).await;
    assert_eq!(maya["opted_out"], false);
    assert_eq!(maya["near_stop_id"], newest(&harbor).await["id"]);
    assert_eq!(
        maya["last_message_preview"],
        "No thanks, please stop texting me"
    );
}

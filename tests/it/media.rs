//! Media: fetched, stored, served and removed.

use std::path::Path;

use axum::body::Bytes;
use img_parts::ImageEXIF;
use img_parts::jpeg::Jpeg;
use serde_json::{Value, json};

use crate::emulator::s3::Store;
use crate::hub::{
    Answer, FRONT_DESK, Hub, MAYA, PNG, Person, TOKEN, Workspace, empty_database, serve,
};

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
    let why = "This file cannot be shown: the provider does not have it (yet).";
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
    let why = "This file cannot be shown: it is not kept by the provider itself.";
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

#[tokio::test]
async fn bucket_storage_works_and_an_outage_loses_nothing() {
    let store = Store::start().await;
    let settings = store.settings("s3://harbor/inbox/media");
    let hub = Hub::start_with(empty_database().await, &settings).await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    store.is_down(true);
    let text = receive_file(&harbor, "image/jpeg", &photo(), 0).await;
    // A storage outage of any length is not the file's fault.
    for _ in 0..12 {
        assert_eq!(hub.fetch_media().await, 0);
        end_retry_delays(&hub).await;
        hub.execute_sql("update message_media set attempts = attempts + 1")
            .await;
    }
    assert_eq!(newest(&harbor).await["media"][0]["error"], Value::Null);
    assert_eq!(
        harbor.admin.download(&url(&text), None).await.0,
        200,
        "proxied from the provider"
    );

    store.is_down(false);
    assert_eq!(hub.fetch_media().await, 1);
    let id = text["media"][0]["id"].as_str().unwrap();
    let name = format!("inbox/media/{}/{id}", harbor.id);
    assert_eq!(store.names(), [name.clone(), format!("{name}.thumb")]);
    let (status, _, whole) = harbor.admin.download(&url(&text), None).await;
    assert_eq!(status, 200);
    assert!(!has_location(&whole) && !whole.is_empty());

    store.is_down(true);
    harbor
        .admin
        .get(&url(&text))
        .await
        .refused(503, "storage_unavailable");
    let page = format!(
        "/conversations/{}/messages",
        text["conversation_id"].as_str().unwrap()
    );
    harbor
        .admin
        .get(&harbor.path(&page))
        .await
        .expect_status(200);
}

#[tokio::test]
async fn deleted_workspace_removes_its_files_even_after_a_storage_outage() {
    let store = Store::start().await;
    let settings = store.settings("s3://harbor");
    let hub = Hub::start_with(empty_database().await, &settings).await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let bay = hub.workspace("Bay Optics").await;
    bay.connect_twilio("+16285550101").await;
    receive_file(&harbor, "image/jpeg", &photo(), 0).await;
    receive_file(&harbor, "image/png", PNG, 0).await;
    assert_eq!(hub.fetch_media().await, 2);
    let late = receive_file(&harbor, "image/png", PNG, 1).await;
    hub.fetch_media().await;
    // As during a fetch: the file is stored and not yet recorded.
    let late = format!("{}/{}", harbor.id, late["media"][0]["id"].as_str().unwrap());
    hub.server
        .app
        .storage
        .put(&late, Bytes::from_static(PNG))
        .await
        .unwrap();
    hub.server
        .app
        .storage
        .put(&format!("{}/other", bay.id), Bytes::from_static(PNG))
        .await
        .unwrap();
    assert_eq!(store.names().len(), 5);

    store.is_down(true);
    let name = json!({"name": "Harbor Dental"});
    harbor
        .admin
        .delete_with(&harbor.path(""), name)
        .await
        .expect_status(204);
    assert_eq!(hub.fetch_media().await, 0);
    assert_eq!(store.names().len(), 5);
    store.is_down(false);
    end_retry_delays(&hub).await;
    hub.fetch_media().await;
    assert_eq!(store.names(), [format!("{}/other", bay.id)]);
    assert_eq!(hub.count("select count(*) from removed_files").await, 0);
}

async fn uploads(harbor: &Workspace<'_>, who: &Person, bytes: &[u8]) -> Answer {
    who.upload_to(&harbor.path("/media"), bytes).await
}

async fn id_of_upload(harbor: &Workspace<'_>, who: &Person, bytes: &[u8]) -> Value {
    uploads(harbor, who, bytes).await.expect_status(201)["id"].clone()
}

#[tokio::test]
async fn sent_photo_has_no_location() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Which tooth?").await;

    let upload = uploads(&harbor, &sam, &photo()).await.expect_status(201);
    assert_eq!(upload["content_type"], "image/jpeg");
    let mine = sam.download(upload["url"].as_str().unwrap(), None).await;
    assert_eq!(mine.0, 200);
    assert_eq!(upload["size"], mine.2.len());
    let of_others = harbor.admin.get(upload["url"].as_str().unwrap()).await;
    of_others.refused(404, "not_found");

    let dot = id_of_upload(&harbor, &sam, PNG).await;
    let files = json!([upload["id"], dot]);
    let draft = json!({"conversation_id": maya["id"], "media_ids": files});
    let sent = sam
        .post(&harbor.path("/messages"), draft.clone())
        .await
        .expect_status(202);
    let text = &sent["message"];
    assert_eq!(
        (text["message_type"].as_str(), text["segments"].as_i64()),
        (Some("media"), Some(1))
    );
    assert_eq!(
        (text["content"].as_str(), sent["credits_remaining"].as_i64()),
        (Some(""), Some(999))
    );
    assert_eq!(text["media"], harbor.message(&text["id"]).await["media"]);
    let preview = &harbor.conversation_with(MAYA).await["last_message_preview"];
    assert_eq!(preview, "📷 Photo");
    // Once attached, it is visible to everyone with access to the conversation, and cannot be attached again.
    let seen = harbor
        .admin
        .download(upload["url"].as_str().unwrap(), None)
        .await;
    assert_eq!(seen.2, mine.2);
    let twice = sam.post(&harbor.path("/messages"), draft).await;
    let refusal = twice.refused(422, "validation_failed");
    assert_eq!(refusal["errors"][0]["field"], "media_ids");
    let which = refusal["errors"][0]["message"].as_str().unwrap();
    assert!(which.contains(upload["id"].as_str().unwrap()), "{which}");

    assert_eq!(hub.run_sender().await, 1);
    let accepted = &hub.twilio.messages()[0];
    assert_eq!((accepted.media.len(), accepted.body.as_str()), (2, ""));
    let got = hub.twilio.fetched();
    assert_eq!(got[0].content_type, "image/jpeg");
    assert_eq!(got[0].bytes, mine.2);
    assert!(!has_location(&got[0].bytes));
    assert_eq!(
        (got[1].content_type.as_str(), got[1].bytes.as_slice()),
        ("image/png", PNG)
    );

    // The link needs no cookie, opens one file, and expires a day after the last change of the text.
    let anonymous = Person::anonymous(&hub);
    let link = got[0].url.strip_prefix(&hub.url("")).unwrap();
    assert_eq!(anonymous.download(link, None).await.0, 200);
    let forged = link.replacen("/holiday", "x/holiday", 1);
    anonymous.get(&forged).await.refused(404, "not_found");
    let token = link.strip_prefix("/media/out/").unwrap();
    let (token, name) = token.split_once('/').unwrap();
    assert_eq!(name, "holiday.jpg", "the original file name");
    anonymous
        .get(&format!("/media/{token}"))
        .await
        .refused(401, "unauthenticated");
    hub.execute_sql("update messages set updated_at = now() - interval '25 hours'")
        .await;
    anonymous.get(link).await.refused(404, "not_found");
}

#[tokio::test]
async fn telnyx_receives_media_too() {
    let hub = Hub::start().await;
    let (harbor, _) = crate::telnyx::front_desk(&hub).await;
    hub.execute_sql("update numbers set mms = true").await;
    let dot = id_of_upload(&harbor, &harbor.admin, PNG).await;
    let draft = json!({"to": MAYA, "content": "A dot", "media_ids": [dot]});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(hub.telnyx.messages()[0].media.len(), 1);
    assert_eq!(hub.telnyx.fetched()[0].bytes, PNG);
}

#[tokio::test]
async fn unsupported_file_type_is_refused_with_the_supported_ones() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let page = b"<!DOCTYPE html><script>alert(1)</script>";
    let drawing = b"<svg xmlns='http://www.w3.org/2000/svg'/>";
    for bytes in [
        &page[..],
        drawing,
        b"",
        b"MZ\x90",
        b"\xff\xd8\xff\xe1\xff\xff",
    ] {
        let refusal = uploads(&harbor, &harbor.admin, bytes).await;
        let refusal = refusal.refused(422, "validation_failed");
        assert_eq!(refusal["errors"][0]["field"], "file");
    }
    let mut large = photo();
    large.resize(5 * 1024 * 1024 + 1, 0);
    let answer = uploads(&harbor, &harbor.admin, &large).await;
    answer.refused(413, "payload_too_large");
    large.resize(6 * 1024 * 1024, 0);
    let answer = uploads(&harbor, &harbor.admin, &large).await;
    answer.refused(413, "payload_too_large");
    let json = harbor
        .admin
        .post(&harbor.path("/media"), json!({"file": "x"}))
        .await;
    json.refused(415, "unsupported_media_type");
    // Nothing of these uploads is kept.
    hub.fetch_media().await;
    end_retry_delays(&hub).await;
    hub.fetch_media().await;
    assert_eq!(hub.count("select count(*) from message_media").await, 0);
    assert_eq!(files(hub.media.path()), 0);
}

#[tokio::test]
async fn only_own_uploads_up_to_the_limit_can_be_attached() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let bay = hub.workspace("Bay Optics").await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let bay_upload = id_of_upload(&bay, &bay.admin, PNG).await;
    let jo_upload = id_of_upload(&harbor, &harbor.admin, PNG).await;
    let theirs = receive_file(&harbor, "image/png", PNG, 0).await["media"][0]["id"].clone();
    let mine = id_of_upload(&harbor, &sam, PNG).await;
    let many: Vec<_> = (0..11)
        .map(|nth| format!("https://example.com/{nth}.jpg"))
        .collect();
    for (field, files) in [
        ("media_ids", json!({"media_ids": [bay_upload]})),
        ("media_ids", json!({"media_ids": [mine, jo_upload]})),
        ("media_ids", json!({"media_ids": [theirs]})),
        ("media_ids", json!({"media_ids": [uuid::Uuid::now_v7()]})),
        ("media_ids", json!({"media_ids": [mine, mine]})),
        ("media_urls", json!({"media_urls": many})),
        (
            "media_urls",
            json!({"media_urls": ["http://169.254.169.254/latest"]}),
        ),
        (
            "media_urls",
            json!({"media_urls": ["http://localhost./x.jpg"]}),
        ),
        (
            "media_urls",
            json!({"media_urls": ["http://2130706433/x.jpg"]}),
        ),
        ("media_urls", json!({"media_urls": ["http://0x7f.1/x.jpg"]})),
        (
            "media_urls",
            json!({"media_urls": ["https://[::ffff:10.0.0.1]/x.jpg"]}),
        ),
        ("media_urls", json!({"media_urls": ["https://nas/x.jpg"]})),
        (
            "media_urls",
            json!({"media_urls": ["https://203.0.113.7/x.jpg"]}),
        ),
        ("media_urls", json!({"media_urls": ["file:///etc/passwd"]})),
        ("content", json!({"media_ids": []})),
    ] {
        let mut draft = files.clone();
        draft["conversation_id"] = maya["id"].clone();
        let answer = sam.post(&harbor.path("/messages"), draft).await;
        let refusal = answer.refused(422, "validation_failed");
        assert_eq!(refusal["errors"][0]["field"], field, "{files}");
    }
    assert_eq!(hub.run_sender().await, 0, "nothing was queued");
    let path = harbor.path(&format!("/credits/{}", sam.id));
    assert_eq!(sam.get(&path).await.expect_status(200)["balance"], 1000);

    hub.execute_sql("update numbers set mms = false").await;
    let draft = json!({"conversation_id": maya["id"], "content": "Look", "media_ids": [mine]});
    let answer = sam.post(&harbor.path("/messages"), draft.clone()).await;
    let refusal = answer.refused(422, "validation_failed");
    assert_eq!(refusal["errors"][0]["field"], "media_ids");
    hub.execute_sql("update numbers set mms = true").await;

    // Two concurrent texts with the same file: one succeeds.
    let path = harbor.path("/messages");
    let (one, other) = tokio::join!(sam.post(&path, draft.clone()), sam.post(&path, draft));
    let mut both = [one.status, other.status];
    both.sort_unstable();
    assert_eq!(both, [202, 422]);
    assert_eq!(hub.run_sender().await, 1);
}

#[tokio::test]
async fn unsent_uploads_expire_after_a_day() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let dot = id_of_upload(&harbor, &harbor.admin, PNG).await;
    let sent = id_of_upload(&harbor, &harbor.admin, PNG).await;
    let draft = json!({"to": MAYA, "media_ids": [sent]});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    let tidy = async || {
        messagehub::workers::housekeeping::tidy(&hub.server.app)
            .await
            .unwrap()
    };
    tidy().await;
    hub.fetch_media().await;
    assert_eq!(files(hub.media.path()), 2);
    hub.execute_sql("update message_media set created_at = now() - interval '25 hours'")
        .await;
    tidy().await;
    hub.fetch_media().await;
    assert_eq!(files(hub.media.path()), 1);
    let draft = json!({"to": MAYA, "media_ids": [dot]});
    let late = harbor.admin.post(&harbor.path("/messages"), draft).await;
    late.refused(422, "validation_failed");
}

#[tokio::test]
async fn failed_media_message_is_resent_unchanged() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let dot = id_of_upload(&harbor, &harbor.admin, PNG).await;
    let elsewhere = "https://example.com/map.pdf";
    let draft = json!({"to": MAYA, "media_ids": [dot], "media_urls": [elsewhere]});
    hub.twilio.refuses(30007, 400);
    let first = harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202)["message"]
        .clone();
    assert_eq!(first["media"][1]["url"], elsewhere);
    assert_eq!(first["media"][1]["content_type"], "application/pdf");
    hub.run_sender().await;
    assert_eq!(harbor.message(&first["id"]).await["status"], "failed");
    let path = harbor.path(&format!(
        "/messages/{}/retry",
        first["id"].as_str().unwrap()
    ));
    let again = harbor.admin.post(&path, json!({})).await.expect_status(202)["message"].clone();
    assert_eq!(again["message_type"], "media");
    assert_eq!(harbor.message(&again["id"]).await["media"], again["media"]);
    hub.run_sender().await;
    assert_eq!(hub.twilio.fetched()[0].bytes, PNG);
    assert_eq!(hub.twilio.messages()[0].media[1], elsewhere);
    assert_eq!(harbor.admin.download(&url(&again), None).await.2, PNG);
    // One file of two texts: it is removed with the last of them.
    assert_eq!(files(hub.media.path()), 1);
    hub.execute_sql("delete from message_media where copy_of is null and source_url is null")
        .await;
    hub.fetch_media().await;
    assert_eq!(files(hub.media.path()), 1);
    hub.execute_sql("delete from message_media").await;
    hub.fetch_media().await;
    assert_eq!(files(hub.media.path()), 0);
}

#[tokio::test]
async fn sending_media_requires_a_public_base_url() {
    let hub = Hub::start().await;
    // Loopback, as an IPv4-mapped IPv6 address.
    let elsewhere = hub.twilio.url().replace("127.0.0.1", "[::ffff:127.0.0.1]");
    let directory = format!("file://{}", hub.media.path().display());
    let settings = [
        ("TWILIO_API_BASE_URL", elsewhere.as_str()),
        ("MEDIA_URL", &directory),
    ];
    let other = serve(&hub.database, &hub.twilio, &settings).await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let dot = id_of_upload(&harbor, &sam, PNG).await;
    let draft = json!({"conversation_id": maya["id"], "content": "Look", "media_ids": [dot]});
    let text = sam
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202)["message"]
        .clone();
    assert_eq!(other.sender.run_once().await.unwrap(), 1);
    let text = harbor.message(&text["id"]).await;
    assert_eq!(
        (text["status"].as_str(), text["error_code"].as_str()),
        (Some("failed"), Some("media_unreachable"))
    );
    assert!(text["error_message"].as_str().unwrap().contains("BASE_URL"));
    assert!(hub.twilio.messages().is_empty());
    let path = harbor.path(&format!("/credits/{}", sam.id));
    assert_eq!(
        sam.get(&path).await.expect_status(200)["balance"],
        1000,
        "the credit is refunded"
    );
    other.stop().await;
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

#[tokio::test]
async fn media_over_the_provider_limit_is_refused_before_queueing() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let mut film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec();
    film.resize(600 * 1024, 0);
    let film = id_of_upload(&harbor, &harbor.admin, &film).await;
    let messages = harbor.path("/messages");
    let draft = |id: Value| json!({"to": MAYA, "content": "Look", "media_ids": [id]});
    let refusal = harbor.admin.post(&messages, draft(film)).await;
    let refusal = refusal.refused(422, "validation_failed");
    let why = refusal["errors"][0]["message"].as_str().unwrap();
    assert!(
        why.starts_with("Twilio carries 512 kB of such a file"),
        "{why}"
    );
    let photo = id_of_upload(&harbor, &harbor.admin, &photo()).await;
    harbor
        .admin
        .post(&messages, draft(photo))
        .await
        .expect_status(202);

    let (bay, _) = crate::telnyx::front_desk(&hub).await;
    hub.execute_sql("update numbers set mms = true").await;
    let film = {
        let mut film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec();
        film.resize(1_100_000, 0);
        id_of_upload(&bay, &bay.admin, &film).await
    };
    let draft = json!({"to": MAYA, "content": "Look", "media_ids": [film]});
    let refusal = bay.admin.post(&bay.path("/messages"), draft).await;
    let refusal = refusal.refused(422, "validation_failed");
    let why = refusal["errors"][0]["message"].as_str().unwrap();
    assert!(
        why.starts_with("Telnyx carries 1.0 MB with one text"),
        "{why}"
    );
    assert_eq!(hub.run_sender().await, 1);
}

#[tokio::test]
async fn media_urls_for_the_provider_are_absolute() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let url = "https://files.example/mi foto/radiografía.jpg";
    let draft = json!({"to": MAYA, "content": "Look", "media_urls": [url]});
    let sent = harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    assert_eq!(
        sent["message"]["media"][0]["url"],
        "https://files.example/mi%20foto/radiograf%C3%ADa.jpg"
    );
}

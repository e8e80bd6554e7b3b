//! Pictures and files: fetched, kept, shown and removed.

use std::path::Path;

use axum::body::Bytes;
use img_parts::ImageEXIF;
use img_parts::jpeg::Jpeg;
use serde_json::{Value, json};

use crate::emulator::s3::Store;
use crate::hub::{FRONT_DESK, Hub, MAYA, PNG, TOKEN, Workspace, empty_database, serve};

/// A photo as a phone takes it: large, and with the place in it.
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

pub fn says_where(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|found| found == b"GPSLatitude")
}

/// Maya sends a file, which Twilio has the `late`th time it is asked; the text.
async fn gets(harbor: &Workspace<'_>, kind: &str, bytes: &[u8], late: u32) -> Value {
    let sid = format!("MM{}", uuid::Uuid::now_v7().simple());
    let account = harbor.hub.twilio.account(&harbor.account, TOKEN);
    let url = account.late_media(&sid, kind, bytes, late);
    let text = harbor.hub.twilio.texting(MAYA, FRONT_DESK, "Look");
    let answer = text.sid(&sid).media(&[&url]).send().await;
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

/// The pauses between two tries, and leases of whoever is gone.
async fn time_passes(hub: &Hub) {
    hub.meddles("update message_media set fetch_at = now() where fetch_at is not null")
        .await;
    hub.meddles("update removed_files set due_at = now()").await;
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
async fn a_photo_is_kept_without_its_place_and_shown_small_and_whole_without_the_provider() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let photo = photo();
    assert!(says_where(&photo));
    let text = gets(&harbor, "image/jpeg", &photo, 0).await;
    assert_eq!(text["content"], "Look", "before anything is fetched");
    let (_, _, early) = harbor.admin.opens(&url(&text), None).await;
    assert!(
        !early.is_empty() && !says_where(&early),
        "from the provider"
    );

    assert_eq!(hub.keeps().await, 1);

    let asked = hub.twilio.calls(&["/Media/"]);
    let kept = newest(&harbor).await;
    assert_eq!(kept["media"][0]["content_type"], "image/jpeg");
    assert_ne!(
        kept["updated_at"], text["updated_at"],
        "whoever looks sees it"
    );
    let (status, headers, whole) = harbor.admin.opens(&url(&kept), None).await;
    assert_eq!(status, 200);
    assert_eq!(kept["media"][0]["size"], whole.len());
    assert_eq!(headers["content-type"], "image/jpeg");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(
        headers["content-security-policy"],
        "sandbox; default-src 'none'"
    );
    assert!(!says_where(&whole));
    assert_eq!(
        image::load_from_memory(&whole).unwrap(),
        image::load_from_memory(&photo).unwrap()
    );

    let thumb = format!("{}?size=thumb", url(&kept));
    let (status, _, small) = harbor.admin.opens(&thumb, None).await;
    assert_eq!(status, 200);
    assert!(small.len() < whole.len() / 2 && !says_where(&small));
    let small = image::load_from_memory(&small).unwrap();
    assert_eq!((small.width(), small.height()), (640, 427));

    let (status, headers, part) = harbor.admin.opens(&url(&kept), Some("bytes=2-5")).await;
    assert_eq!((status, part.as_slice()), (206, &whole[2..6]));
    assert_eq!(
        headers["content-range"],
        format!("bytes 2-5/{}", whole.len())
    );
    let (status, _, part) = harbor.admin.opens(&url(&kept), Some("bytes=-4")).await;
    assert_eq!((status, part.as_slice()), (206, &whole[whole.len() - 4..]));
    let beyond = format!("bytes={}-", whole.len());
    assert_eq!(harbor.admin.opens(&url(&kept), Some(&beyond)).await.0, 416);

    assert_eq!(
        hub.twilio.calls(&["/Media/"]),
        asked,
        "Twilio is not asked again"
    );
    assert_eq!(files(hub.media.path()), 2);
}

#[tokio::test]
async fn a_file_that_comes_after_its_webhook_is_asked_for_again() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    gets(&harbor, "image/png", PNG, 2).await;
    assert_eq!(hub.keeps().await, 0);
    assert_eq!(hub.keeps().await, 0, "not at once");
    assert_eq!(hub.twilio.calls(&["/Media/"]), 1);
    time_passes(&hub).await;
    assert_eq!(hub.keeps().await, 0);
    time_passes(&hub).await;
    assert_eq!(hub.keeps().await, 1);
    let text = newest(&harbor).await;
    assert_eq!(text["media"][0]["error"], Value::Null);
    assert_eq!(harbor.admin.opens(&url(&text), None).await.2, PNG);
}

#[tokio::test]
async fn what_never_comes_is_given_up_with_a_sentence_and_the_text_stays() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    gets(&harbor, "image/png", PNG, 1000).await;
    for _ in 0..10 {
        assert_eq!(newest(&harbor).await["media"][0]["error"], Value::Null);
        assert_eq!(hub.keeps().await, 0);
        time_passes(&hub).await;
    }
    hub.keeps().await;
    let asked = hub.twilio.calls(&["/Media/"]);
    assert!(asked > 5);
    time_passes(&hub).await;
    hub.keeps().await;
    assert_eq!(hub.twilio.calls(&["/Media/"]), asked, "it is given up");

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
async fn what_the_provider_does_not_keep_itself_is_never_asked_for() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let elsewhere = format!("{}/cdn/1", hub.twilio.url());
    let text = hub.twilio.texting(MAYA, FRONT_DESK, "Look");
    text.media(&[&elsewhere]).send().await;
    hub.keeps().await;
    assert_eq!(hub.twilio.calls(&["/cdn/"]), 0);
    let text = newest(&harbor).await;
    let why = "This file cannot be shown: it is not kept by the provider itself.";
    assert_eq!(text["media"][0]["error"], why);
}

#[tokio::test]
async fn of_several_servers_one_fetches_a_file() {
    let hub = Hub::start().await;
    let directory = format!("file://{}", hub.media.path().display());
    let other = serve(&hub.database, &hub.twilio, &[("MEDIA_URL", &directory)]).await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for _ in 0..8 {
        gets(&harbor, "image/png", PNG, 0).await;
    }
    let (here, there) = tokio::join!(hub.keeps(), other.keeper.run_once());
    assert_eq!(here + there.unwrap(), 8);
    assert_eq!(hub.twilio.calls(&["/Media/"]), 8);
    other.stop().await;
}

#[tokio::test]
async fn a_file_is_what_its_bytes_say_whatever_is_claimed() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let page = b"<!DOCTYPE html><script>alert(document.domain)</script>";
    for (claimed, bytes) in [
        ("image/jpeg", &page[..]),
        (
            "image/svg+xml",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        ),
        // As a photo begins, and nothing more.
        ("image/jpeg", b"\xff\xd8\xff\xe1\xff\xff"),
    ] {
        gets(&harbor, claimed, bytes, 0).await;
        for is_kept in [false, true] {
            let text = newest(&harbor).await;
            let (status, headers, shown) = harbor.admin.opens(&url(&text), None).await;
            assert_eq!((status, shown.as_slice()), (200, bytes));
            assert_eq!(headers["content-type"], "application/octet-stream");
            assert_eq!(headers["content-disposition"], "attachment");
            assert_eq!(usize::from(!is_kept), hub.keeps().await);
        }
    }
}

#[tokio::test]
async fn a_bucket_keeps_files_and_one_that_is_down_loses_none() {
    let store = Store::start().await;
    let settings = store.settings("s3://harbor/inbox/media");
    let hub = Hub::start_with(empty_database().await, &settings).await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    store.is_down(true);
    let text = gets(&harbor, "image/jpeg", &photo(), 0).await;
    // However long that takes: it is not the file's fault.
    for _ in 0..12 {
        assert_eq!(hub.keeps().await, 0);
        time_passes(&hub).await;
        hub.meddles("update message_media set attempts = attempts + 1")
            .await;
    }
    assert_eq!(newest(&harbor).await["media"][0]["error"], Value::Null);
    assert_eq!(
        harbor.admin.opens(&url(&text), None).await.0,
        200,
        "from the provider"
    );

    store.is_down(false);
    assert_eq!(hub.keeps().await, 1);
    let id = text["media"][0]["id"].as_str().unwrap();
    let name = format!("inbox/media/{}/{id}", harbor.id);
    assert_eq!(store.names(), [name.clone(), format!("{name}.thumb")]);
    let (status, _, whole) = harbor.admin.opens(&url(&text), None).await;
    assert_eq!(status, 200);
    assert!(!says_where(&whole) && !whole.is_empty());

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
    harbor.admin.get(&harbor.path(&page)).await.is(200);
}

#[tokio::test]
async fn a_workspace_that_is_deleted_takes_its_files_along_also_when_the_store_is_down() {
    let store = Store::start().await;
    let settings = store.settings("s3://harbor");
    let hub = Hub::start_with(empty_database().await, &settings).await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let bay = hub.workspace("Bay Optics").await;
    bay.connects_twilio("+16285550101").await;
    gets(&harbor, "image/jpeg", &photo(), 0).await;
    gets(&harbor, "image/png", PNG, 0).await;
    assert_eq!(hub.keeps().await, 2);
    let late = gets(&harbor, "image/png", PNG, 1).await;
    hub.keeps().await;
    // Its fetching is under way at this moment: the file lies there, and nobody has written it down.
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
        .is(204);
    assert_eq!(hub.keeps().await, 0);
    assert_eq!(store.names().len(), 5);
    store.is_down(false);
    time_passes(&hub).await;
    hub.keeps().await;
    assert_eq!(store.names(), [format!("{}/other", bay.id)]);
    assert_eq!(hub.count("select count(*) from removed_files").await, 0);
}

//! Files in texts that are sent.

use serde_json::{Value, json};

use super::{end_retry_delays, files, has_location, photo, receive_file, url};
use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, PNG, Person, Workspace, serve};

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
        why.starts_with("Twilio accepts files of this type up to 512 kB"),
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
        why.starts_with("Telnyx accepts up to 1.0 MB per text"),
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

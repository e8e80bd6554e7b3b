//! Where files are kept: a directory or a bucket, and their deletion.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::{end_retry_delays, has_location, newest, photo, receive_file, url};
use crate::emulator::s3::Store;
use crate::hub::{Hub, PNG, empty_database};

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

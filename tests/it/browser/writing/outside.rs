//! Phone numbers as links, and nothing from another origin.

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::browser::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA};

#[tokio::test]
async fn phone_numbers_can_be_called_and_copied() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.runs_command(
        "Browser.grantPermissions",
        serde_json::json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}),
    )
    .await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    // Without a name the title is the number.
    jo.sees_in(".thread-head .phone a", "Call").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    jo.sees_in(".thread-head .phone a", "(415) 555-0192").await;
    let link =
        |place: &str| format!("document.querySelector('{place} .phone a').getAttribute('href')");
    assert_eq!(
        jo.evaluates(&link(".thread-head")).await,
        "tel:+14155550192"
    );
    assert_eq!(jo.evaluates(&link(".details")).await, "tel:+14155550192");
    jo.clicks("Copy number").await;
    jo.sees_in(".toast", "Number copied").await;
    jo.evaluates("navigator.clipboard.readText().then((text) => (window.copied = text))")
        .await;
    jo.waits_until("it is copied", "window.copied === '+14155550192'")
        .await;
    let contact = maya["contact_id"].as_str().unwrap();
    jo.opens(&format!("/w/{}/contacts/{contact}", harbor.slug))
        .await;
    assert_eq!(jo.evaluates(&link(".facts")).await, "tel:+14155550192");
}

#[tokio::test]
async fn links_in_texts_are_not_fetched() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let picture = format!("http://{}/a.jpg", elsewhere.local_addr().unwrap());
    let maya = harbor
        .receive_text(MAYA, &format!("Look {picture} and www.example.org"))
        .await;
    hub.twilio
        .text(MAYA, FRONT_DESK, "https://youtu.be/dQw4w9WgXcQ")
        .await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    jo.sees_in(".bubble a", &picture).await;
    harbor
        .reply(&harbor.admin, &maya, &format!("See {picture}?map"))
        .await;
    jo.sees_in(".bubble a", &format!("{picture}?map")).await;
    hub.run_sender().await;
    hub.fetch_media().await;
    jo.evaluates("document.querySelector('.bubble a').dispatchEvent(new PointerEvent('pointerover', { bubbles: true }))")
        .await;
    let outside = "performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => new URL(name).origin !== location.origin && !name.startsWith('data:') && !name.startsWith('blob:')).join()";
    assert_eq!(jo.evaluates(outside).await, "");
    // The policy of the page would refuse it, too.
    jo.expects_console("Content Security Policy");
    jo.evaluates(&format!("(() => {{ const picture = new Image(); picture.onerror = () => (window.refused = true); picture.src = '{picture}' }})()"))
        .await;
    jo.waits_until("the policy refuses it", "window.refused")
        .await;

    // Nobody has connected, neither a browser nor the server: the first who does is this test.
    let mut visitor = TcpStream::connect(elsewhere.local_addr().unwrap())
        .await
        .unwrap();
    let (_, from) = elsewhere.accept().await.unwrap();
    assert_eq!(from, visitor.local_addr().unwrap());
    visitor.shutdown().await.unwrap();
}

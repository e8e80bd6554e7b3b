//! Signing out on a shared computer.

use fantoccini::key::Key;

use super::{Browser, Proxy};
use crate::hub::{Hub, MAYA};

const STORED_KEYS: &str = "Object.keys(localStorage).sort().join()";

#[tokio::test]
async fn sign_out_warns_of_unsent_texts_and_expiry_keeps_them() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let proxy = Proxy::to(hub.server.address).await;
    let jo = Browser::start(&proxy.url).await;
    jo.expects_console("net::ERR_")
        .expects_console("WebSocket connection to")
        .expects_console("Failed to fetch")
        .expects_console("status of 401")
        .expects_console("status of 409");
    jo.signs_in(&harbor.admin.email).await;
    let thread = harbor.inbox(Some(&maya));
    jo.opens(&thread).await;
    jo.sees_in(".list .live", "Live").await;
    let sends = async |text: &str| {
        jo.fills("Message to", text).await;
        jo.presses(Key::Enter).await;
        jo.sees_in(".message.unsent", text).await;
    };

    // The session is revoked: the queued text is sent after the next sign-in.
    proxy.loses_writes();
    sends("Yes, it is yours").await;
    hub.execute_sql("update sessions set revoked_at = now()")
        .await;
    proxy.loses_responses(false);
    jo.opens(&thread).await;
    jo.is_at("/login").await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&thread).await;
    jo.sees_in(".message.outbound[id^=message-]", "Yes, it is yours")
        .await;
    jo.finds_no(".message.unsent").await;
    let count = "select count(*) from messages where direction = 'outbound'";
    assert_eq!(hub.count(count).await, 1);

    // Entries of two other users: a new one and one of 8 days ago.
    jo.evaluates(
        "(() => {
            localStorage.setItem('unsent:sam:1', JSON.stringify({ ref: '1', content: 'Of Sam', at: Date.now() }))
            localStorage.setItem('unsent:lin:1', JSON.stringify({ ref: '1', content: 'Of Lin', at: Date.now() - 8 * 86_400_000 }))
            localStorage.setItem('theme', 'dark')
        })()",
    )
    .await;
    jo.opens(&thread).await;
    jo.sees_in(".list .live", "Live").await;
    proxy.loses_writes();
    sends("See you then").await;
    jo.clicks("Note").await;
    jo.fills("Internal note about", "Pays in cash").await;
    jo.evaluates("void document.querySelector('form[action=\"/logout\"]').requestSubmit()")
        .await;
    jo.sees_in("dialog[open]", "1 text hasn’t been sent yet.")
        .await;
    jo.sees_in(
        "dialog[open]",
        "1 draft or note is saved in this browser only.",
    )
    .await;
    jo.has_focus_on("Stay signed in").await;
    jo.clicks("Stay signed in").await;
    jo.finds_no("dialog[open]").await;
    jo.sees_in(".message.unsent", "See you then").await;

    jo.evaluates("void document.querySelector('form[action=\"/logout\"]').requestSubmit()")
        .await;
    jo.sees_in("dialog[open]", "1 text hasn’t been sent yet.")
        .await;
    proxy.loses_responses(false);
    jo.clicks("Sign out and delete it").await;
    jo.is_at("/login").await;
    assert_eq!(jo.evaluates(STORED_KEYS).await, "theme,unsent:sam:1");

    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".list .live", "Live").await;
    jo.evaluates("void document.querySelector('form[action=\"/logout\"]').requestSubmit()")
        .await;
    jo.is_at("/login").await;
    assert_eq!(jo.evaluates(STORED_KEYS).await, "theme,unsent:sam:1");
}

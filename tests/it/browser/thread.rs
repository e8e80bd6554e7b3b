//! An open conversation: reading position, untrusted text, writing directions.

use serde_json::{Value, json};

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA};

#[tokio::test]
async fn incoming_message_does_not_move_the_reading_position() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let text = async |body: &str| {
        let answer = hub.twilio.text(MAYA, FRONT_DESK, body).await;
        assert_eq!(answer.status(), 200);
    };
    for nth in 1..=60 {
        text(&format!("Text number {nth}")).await;
    }
    let maya = harbor.conversation_with(MAYA).await;
    harbor
        .admin
        .post(
            &harbor.path(&format!(
                "/conversations/{}/read",
                maya["id"].as_str().unwrap()
            )),
            Value::Null,
        )
        .await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.follows("(415) 555-0192").await;
    jo.sees_in(".message", "Text number 60").await;
    jo.sees_in(".live", "Live").await;

    let reading = "const scroller = document.querySelector('.scroller');
        const at = (text) => [...document.querySelectorAll('.message')].find((it) => it.innerText.includes(text))?.getBoundingClientRect();
        const shown = (text) => at(text) && at(text).bottom <= scroller.getBoundingClientRect().bottom + 1";
    let shown = |text: &str| format!("(() => {{ {reading}; return shown('{text}') }})()");
    let height_of = |text: &str| format!("(() => {{ {reading}; return at('{text}').top }})()");

    // At the bottom the thread follows new texts.
    jo.waits_until("the newest is shown", &shown("Text number 60"))
        .await;
    text("Still there?").await;
    jo.waits_until("it follows", &shown("Still there?")).await;
    jo.finds_no(".news").await;
    jo.finds_no(".row .badge").await;

    // Scrolled up, it stays and counts new texts.
    jo.evaluates("document.querySelector('.scroller').scrollBy(0, -700)")
        .await;
    let before = jo.evaluates(&height_of("Text number 45")).await;
    text("Hello?").await;
    jo.sees_in(".news", "1 new message").await;
    text("Anybody?").await;
    jo.sees_in(".news", "2 new messages").await;
    let after = jo.evaluates(&height_of("Text number 45")).await;
    assert!(same(&before, &after), "it moved from {before} to {after}");
    jo.sees_in(".row .badge", "2").await;
    jo.clicks("2 new messages").await;
    jo.waits_until("it is at the newest", &shown("Anybody?"))
        .await;
    jo.finds_no(".news").await;
    jo.finds_no(".row .badge").await;

    // Older messages load above; the reading position stays.
    jo.sees_no(".messages", "Text number 1 ").await;
    jo.evaluates("document.querySelector('.scroller').scrollTo(0, -document.querySelector('.scroller').scrollHeight)").await;
    let oldest = jo.evaluates(&height_of("Text number 30")).await;
    jo.waits_until(
        "the first text is loaded",
        "[...document.querySelectorAll('.bubble')].some((it) => it.innerText === 'Text number 1')",
    )
    .await;
    let after = jo.evaluates(&height_of("Text number 30")).await;
    assert!(same(&oldest, &after), "it moved from {oldest} to {after}");
}

/// Equal to a pixel: positions may be fractional.
fn same(one: &Value, other: &Value) -> bool {
    (one.as_f64().unwrap() - other.as_f64().unwrap()).abs() <= 1.0
}

#[tokio::test]
async fn customer_text_is_never_interpreted_as_markup() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let attacks = [
        r#"<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>"#,
        r#"</div></template></turbo-stream><svg onload=window.pwned=1>"#,
        r#"https://a.test/"onmouseover="window.pwned=1 javascript:window.pwned=1"#,
        "&lt;b&gt; {{ 7*7 }} &amp;",
    ];
    let name = r#""><svg/onload=window.pwned=1>"#;
    let maya = harbor.receive_text(MAYA, attacks[0]).await;
    harbor.names_contact(&maya, name).await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".row .name", name).await;
    jo.sees_in(".row .preview", "<img src=x onerror=").await;
    jo.follows(name).await;
    jo.sees_in(".live", "Live").await;
    // First live, then in the reloaded page.
    for attack in &attacks[1..] {
        hub.twilio.text(MAYA, FRONT_DESK, attack).await;
    }
    for _ in 0..2 {
        for attack in attacks {
            jo.sees_in(".message.inbound .bubble", attack).await;
        }
        jo.sees_in(".thread-head", name).await;
        jo.sees_in(".details", name).await;
        let smuggled = "document.querySelectorAll('.bubble :not(a), .row script, [onload], [onerror], [onmouseover], a[href^=\"javascript:\" i]').length";
        assert_eq!(jo.evaluates(smuggled).await, 0);
        assert!(jo.evaluates("window.pwned").await.is_null());
        jo.reloads().await;
    }
    jo.opens(&format!(
        "{}?q=%22%3E%3Csvg%20onload%3Dwindow.pwned%3D2%3E",
        harbor.inbox(None)
    ))
    .await;
    jo.sees("No results for").await;
    assert!(jo.evaluates("window.pwned").await.is_null());
}

#[tokio::test]
async fn each_script_has_its_direction_and_long_words_wrap() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor
        .receive_text(MAYA, "שלום, אפשר לקבוע תור ל-15:30?")
        .await;
    harbor
        .names_contact(&maya, &"Wolfeschlegelsteinhausenbergerdorff".repeat(2))
        .await;
    harbor.receive_text(MAYA, "And in English?").await;
    harbor.receive_text(MAYA, &"x".repeat(1500)).await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    for width in [1440, 360] {
        jo.has_a_screen_of(width, 780).await;
        jo.opens(&harbor.inbox(Some(&maya))).await;
        jo.sees_in(".bubble", "And in English?").await;
        let directions = jo.evaluates("[...document.querySelectorAll('.bubble')].slice(0, 2).map((it) => `${getComputedStyle(it).direction} ${getComputedStyle(it).textAlign}`)").await;
        assert_eq!(directions, json!(["rtl start", "ltr start"]));
        jo.waits_until(
            "nothing is wider than the screen",
            "[document.documentElement, document.querySelector('.scroller')].every((it) => it.scrollWidth <= it.clientWidth) \
             && [...document.querySelectorAll('.message *')].every((it) => it.getBoundingClientRect().right <= innerWidth)",
        )
        .await;
    }
}

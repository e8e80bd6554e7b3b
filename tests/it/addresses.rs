//! Sender addresses: all formats of a number are one contact, and texts from senders that are no numbers are stored
//! too.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::hub::{FRONT_DESK, Hub, MAYA, Workspace};
use crate::telnyx;

/// Senders that are no numbers with a country code.
const ODD: [&str; 14] = [
    "20GENESIS.E.C",
    "CHARLESSCHWAB",
    "07700900123",
    "0800123456",
    "118 118",
    "maya@okafor.test",
    "2125550143",
    "3103731234",
    "14155550143",
    "+12",
    "+0123456",
    "👩‍⚕️ Clinic",
    "'; drop table contacts; --",
    "<b>Bold</b> & Sons",
];

async fn set_region(harbor: &Workspace<'_>, region: &str) {
    let change = json!({"default_region": region});
    harbor
        .admin
        .patch(&harbor.path(""), change)
        .await
        .expect_status(200);
}

async fn add_contact(harbor: &Workspace<'_>, number: &str) -> Value {
    let draft = json!({"phone_number": number});
    harbor
        .admin
        .post(&harbor.path("/contacts"), draft)
        .await
        .expect_status(201)
}

async fn imports_opt_outs(harbor: &Workspace<'_>, table: &str) -> Value {
    let body = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\nContent-Type: text/csv\r\n\r\n{table}\r\n--edge--\r\n"
    );
    let request = harbor
        .admin
        .request(Method::POST, &harbor.path("/opt-outs/import"));
    let request = request.header("content-type", "multipart/form-data; boundary=edge");
    harbor
        .admin
        .ask(request.body(body))
        .await
        .expect_status(200)
}

async fn page(harbor: &Workspace<'_>, conversation: &Value) -> String {
    let path = format!(
        "/w/{}/inbox/{}",
        harbor.slug,
        conversation["id"].as_str().unwrap()
    );
    let page = harbor.admin.get(&path).await;
    assert_eq!(page.status, 200, "{}", page.body);
    page.body
}

async fn assert_unanswerable(harbor: &Workspace<'_>, conversation: &Value) {
    let draft = json!({"conversation_id": conversation["id"], "content": "Who is this?"});
    let refused = harbor.admin.post(&harbor.path("/messages"), draft).await;
    refused.refused(409, "contact_unreachable");
}

#[tokio::test]
async fn old_number_format_joins_the_conversation_of_the_new_one() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for (added, new, old) in [
        ("+52 1 55 6200 0001", "+525562000001", "+5215562000001"),
        ("+54 11 6123-4567", "+5491161234567", "+541161234567"),
        ("+55 11 8765-4321", "+5511987654321", "+551187654321"),
        ("+44 07911 123456", "+447911123456", "+4407911123456"),
    ] {
        assert_eq!(add_contact(&harbor, added).await["phone_number"], new);
        let again = json!({"phone_number": old});
        let again = harbor.admin.post(&harbor.path("/contacts"), again).await;
        again.refused(422, "validation_failed");
        let draft = json!({"to": old, "content": format!("Hello {new}")});
        harbor
            .admin
            .post(&harbor.path("/messages"), draft)
            .await
            .expect_status(202);
        hub.run_sender().await;
        let sent = hub.twilio.sent(&format!("Hello {new}"));
        assert_eq!((sent.len(), sent[0].to.as_str()), (1, new));

        harbor.hub.twilio.text(new, FRONT_DESK, "Hola").await;
        harbor.hub.twilio.text(old, FRONT_DESK, "Sí, gracias").await;
        let conversation = harbor.conversation_with(new).await;
        assert_eq!(harbor.thread(&conversation).await.len(), 3, "{old}");

        harbor.hub.twilio.text(old, FRONT_DESK, "STOP").await;
        for to in [new, old] {
            let draft = json!({"to": to, "content": "Still there?"});
            let refused = harbor.admin.post(&harbor.path("/messages"), draft).await;
            refused.refused(409, "contact_opted_out");
        }
        hub.twilio.text(old, FRONT_DESK, "START").await;
        assert_eq!(harbor.conversation_with(new).await["opted_out"], false);
    }
    assert_eq!(hub.count("select count(*) from contacts").await, 4);
    assert_eq!(hub.count("select count(*) from conversations").await, 4);
}

#[tokio::test]
async fn mexican_address_book_is_imported_completely() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    set_region(&harbor, "MX").await;
    let table = "Nombre,Telefono\nLucía,+52 1 55 6200 0001\nMateo,+52 55 6200 0002\nAna,044 55 6200 0003\nRaúl,55 6200 0004\n";
    harbor.upload_contacts(table, "false").await;
    hub.run_imports().await;
    let kept: Vec<String> =
        sqlx::query_scalar("select phone_number from contacts order by phone_number")
            .fetch_all(&hub.superuser_pool)
            .await
            .unwrap();
    let expected: Vec<_> = (1..=4).map(|nth| format!("+52556200000{nth}")).collect();
    assert_eq!(kept, expected);
}

#[tokio::test]
async fn spreadsheet_decimals_are_not_digits() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    set_region(&harbor, "AT").await;
    let who = harbor
        .hub
        .twilio
        .text("+436641234567", FRONT_DESK, "Hallo")
        .await;
    assert_eq!(who.status(), 200);

    let result = imports_opt_outs(&harbor, "phone_number\n6641234567.0\n").await;
    assert_eq!(
        (&result["imported"], &result["refused"]),
        (&json!(1), &json!(0)),
        "{result}"
    );
    let conversation = harbor.conversation_with("+436641234567").await;
    assert_eq!(conversation["opted_out"], true, "the existing contact");

    for (number, kept) in [
        ("6769876543.0", "+436769876543"),
        ("6769876544,00", "+436769876544"),
    ] {
        assert_eq!(add_contact(&harbor, number).await["phone_number"], kept);
    }
    let draft = json!({"to": "6769876543.0", "content": "Grüß Gott"});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    hub.run_sender().await;
    assert_eq!(hub.twilio.sent("Grüß Gott")[0].to, "+436769876543");
    for (number, why) in [
        ("4.47911E+11", "A spreadsheet shortened"),
        ("6641234567.5", "decimal number"),
    ] {
        let draft = json!({"phone_number": number});
        let refused = harbor.admin.post(&harbor.path("/contacts"), draft).await;
        let refused = refused.refused(422, "validation_failed");
        let sentence = refused["errors"][0]["message"].as_str().unwrap();
        assert!(sentence.contains(why), "{sentence}");
    }
    let strangers = "select count(*) from contacts where phone_number = '+4366412345670'";
    assert_eq!(hub.count(strangers).await, 0);
}

#[tokio::test]
async fn text_from_non_number_is_stored_and_cannot_be_answered() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for (nth, sender) in ODD.into_iter().enumerate() {
        let text = hub
            .twilio
            .inbound_text(sender, FRONT_DESK, "Your code is 4821");
        let shared = hub.url("/twilio/webhook");
        let answer = match nth % 2 {
            0 => text.at(&shared).send().await,
            _ => text.send().await,
        };
        assert_eq!(answer.status(), 200, "{sender}");
        let conversation = harbor.conversation_with(sender).await;
        assert_eq!(conversation["last_message_preview"], "Your code is 4821");
        assert_unanswerable(&harbor, &conversation).await;
        assert!(
            page(&harbor, &conversation)
                .await
                .contains("You can’t reply to this sender")
        );
    }
    for (sender, kept) in [
        ("", "Unknown sender"),
        ("\u{0}\u{7}", "Unknown sender"),
        ("AC\u{202e}ME\u{0}\r\nDental", "ACME Dental"),
    ] {
        let answer = hub.twilio.text(sender, FRONT_DESK, "Hello").await;
        assert_eq!(answer.status(), 200, "{sender:?}");
        assert_unanswerable(&harbor, &harbor.conversation_with(kept).await).await;
    }
    let long = "x".repeat(5_000);
    assert_eq!(
        hub.twilio.text(&long, FRONT_DESK, "Hello").await.status(),
        200
    );
    let kept = hub
        .count("select count(*) from contacts where phone_number like 'xxx%…'")
        .await;
    assert_eq!(kept, 1);
    assert_eq!(hub.run_sender().await, 0);
}

#[tokio::test]
async fn signature_is_verified_before_the_sender_is_parsed() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for at in [Some(hub.url("/twilio/webhook")), None] {
        let text = || {
            let text = hub
                .twilio
                .inbound_text("CHARLESSCHWAB", FRONT_DESK, "Hi")
                .without("From");
            match &at {
                Some(at) => text.at(at),
                None => text,
            }
        };
        assert_eq!(
            text().signed_with("another token").send().await.status(),
            403
        );
        assert_eq!(text().send().await.status(), 400);
    }
    let journal = harbor.path("/webhooks?outcome=malformed");
    let journal = harbor.admin.get(&journal).await.expect_status(200);
    assert_eq!(journal["data"].as_array().unwrap().len(), 2, "{journal}");
    let odd = hub
        .twilio
        .inbound_text("CHARLESSCHWAB", FRONT_DESK, "Your code");
    assert_eq!(odd.signed_with("another token").send().await.status(), 403);
    let quarantine = harbor
        .admin
        .get(&harbor.path("/quarantine"))
        .await
        .expect_status(200);
    assert_eq!(quarantine["data"][0]["sender"], "CHARLESSCHWAB");
}

#[tokio::test]
async fn catch_up_stores_texts_from_non_numbers() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for sender in ODD.into_iter().chain(["", "+5215562000001"]) {
        hub.twilio
            .inbound_text(sender, FRONT_DESK, "Missed")
            .record_undelivered();
    }
    hub.execute_sql("update numbers set catch_up_at = now()")
        .await;
    assert_eq!(hub.server.reconciler.run_once().await.unwrap(), 16);
    for sender in ODD.into_iter().chain(["Unknown sender", "+525562000001"]) {
        let conversation = harbor.conversation_with(sender).await;
        assert_eq!(conversation["last_message_preview"], "Missed", "{sender}");
    }
}

#[tokio::test]
async fn any_telnyx_sender_is_accepted() {
    let hub = Hub::start().await;
    let (harbor, _) = telnyx::front_desk(&hub).await;
    for sender in ODD {
        let answer = hub
            .telnyx
            .text(sender, FRONT_DESK, "Your code is 4821")
            .await;
        assert_eq!(answer.status(), 200, "{sender}");
        assert_unanswerable(&harbor, &harbor.conversation_with(sender).await).await;
    }
    hub.telnyx.text("+5215562000001", FRONT_DESK, "Hola").await;
    harbor.conversation_with("+525562000001").await;
    hub.telnyx
        .inbound_text("", FRONT_DESK, "Missed")
        .record_undelivered_ago(TimeDelta::minutes(5));
    hub.execute_sql("update numbers set catch_up_at = now()")
        .await;
    assert_eq!(hub.server.reconciler.run_once().await.unwrap(), 1);
    harbor.conversation_with("Unknown sender").await;
}

#[tokio::test]
async fn own_number_is_found_in_each_format() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    harbor.connect_twilio("+541152345678").await;
    for to in ["+541152345678", "+5491152345678"] {
        let text = hub
            .twilio
            .inbound_text(MAYA, "+541152345678", "Hola")
            .with("To", to);
        assert_eq!(
            text.at(&hub.url("/twilio/webhook")).send().await.status(),
            200,
            "{to}"
        );
    }
    let conversation = harbor.conversation_with(MAYA).await;
    harbor.reply(&harbor.admin, &conversation, "Buenas").await;
    hub.run_sender().await;
    assert_eq!(
        hub.twilio.sent("Buenas")[0].from,
        "+541152345678",
        "the format that Twilio lists"
    );
}

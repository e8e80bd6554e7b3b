//! A text is received, shown live, answered and delivered.

use serde_json::json;

use crate::hub::{FRONT_DESK, Hub, MAYA, TOKEN};

#[tokio::test]
async fn text_is_received_answered_and_delivered() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = &harbor.admin;
    let mut live = jo.join_workspace(&harbor).await;

    hub.twilio
        .text(MAYA, FRONT_DESK, "Can I come at 3:30 instead? 😬")
        .await;
    let received = live.wait_for("new_message").await;
    assert_eq!(
        received["message"]["content"],
        "Can I come at 3:30 instead? 😬"
    );
    assert_eq!(received["message"]["status"], "received");
    assert_eq!(received["contact"]["phone_number"], MAYA);
    assert_eq!(received["conversation"]["unread_count"], 1);

    let message = harbor
        .reply(jo, &received["conversation"], "3:30 works. See you then!")
        .await;
    assert_eq!(message["status"], "queued");
    assert_eq!(
        live.wait_for("new_message").await["conversation"]["unread_count"],
        0,
        "replying marks it as read"
    );

    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(live.wait_for("message_status").await["status"], "sent");
    let sent = hub.twilio.sent("3:30 works. See you then!");
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].from.as_str(), sent[0].to.as_str()),
        (FRONT_DESK, MAYA)
    );
    assert!(
        sent[0]
            .status_callback
            .as_deref()
            .unwrap()
            .contains(message["id"].as_str().unwrap())
    );

    assert!(
        hub.twilio
            .reports(&sent[0].sid, "delivered")
            .await
            .status()
            .is_success()
    );
    let status = live.wait_for("message_status").await;
    assert_eq!(
        (status["status"].as_str(), &status["message_id"]),
        (Some("delivered"), &message["id"])
    );
    assert_eq!(
        harbor.message(&message["id"]).await["provider_sid"],
        sent[0].sid.as_str()
    );
}

#[tokio::test]
async fn invalid_credentials_are_refused_and_not_stored() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    hub.twilio
        .account(&harbor.account, TOKEN)
        .number(FRONT_DESK);

    let problem = harbor
        .connect_with("00000000000000000000000000000000")
        .await
        .refused(422, "invalid_credentials");

    assert!(
        !problem
            .to_string()
            .contains("00000000000000000000000000000000"),
        "the token is not repeated"
    );
    assert_eq!(hub.count("select count(*) from integrations").await, 0);
    assert_eq!(hub.count("select count(*) from numbers").await, 0);
    harbor.connect_with(TOKEN).await.expect_status(201);
}

#[tokio::test]
async fn malformed_credentials_are_refused_by_field() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    for (credentials, field) in [
        (
            json!({"account_sid": "AC1", "auth_token": TOKEN}),
            "account_sid",
        ),
        (
            json!({"account_sid": harbor.account, "auth_token": " "}),
            "auth_token",
        ),
        (json!({"account_sid": harbor.account}), "auth_token"),
    ] {
        let form = json!({"provider": "twilio", "credentials": credentials});
        let problem = harbor
            .admin
            .post(&harbor.path("/integrations"), form)
            .await
            .refused(422, "validation_failed");
        assert!(problem["errors"].to_string().contains(field), "{problem}");
    }
    let unknown = json!({"provider": "carrier-pigeon", "credentials": {}});
    harbor
        .admin
        .post(&harbor.path("/integrations"), unknown)
        .await
        .refused(422, "validation_failed");
    assert_eq!(hub.count("select count(*) from integrations").await, 0);
}

#[tokio::test]
async fn all_pages_of_numbers_are_read_and_webhooks_are_set_or_overrides_reported() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let account = hub.twilio.pages_by(50).account(&harbor.account, TOKEN);
    for line in 0..130 {
        account.number(&format!("+1628555{line:04}"));
    }
    account.set_webhook("+16285550007", "https://old.example/sms");
    account.gives_to_application("+16285550008", "AP00000000000000000000000000000001");
    account.service(
        "Reminders",
        Some("https://elsewhere.example/in"),
        &["+16285550009"],
    );

    let connected = harbor.connect_with(TOKEN).await.expect_status(201);

    let numbers = connected["numbers"].as_array().unwrap();
    assert_eq!(numbers.len(), 130);
    let webhook = |phone: &str| {
        let number = numbers
            .iter()
            .find(|number| number["phone_number"] == phone)
            .unwrap();
        (
            number["webhook"].as_str().unwrap().to_owned(),
            number["webhook_detail"].to_string(),
        )
    };
    assert_eq!(webhook("+16285550000").0, "configured");
    assert_eq!(webhook("+16285550007").0, "configured");
    assert_eq!(webhook("+16285550008").0, "overridden");
    let (state, detail) = webhook("+16285550009");
    assert!(
        state == "overridden" && detail.contains("Reminders"),
        "{state}: {detail}"
    );
    let ours = connected["integration"]["webhook_url"].as_str().unwrap();
    assert!(account.webhook_of("+16285550129").starts_with(ours));
    let kept: String = sqlx::query_scalar(
        "select previous_webhook_url from numbers where phone_number = '+16285550007'",
    )
    .fetch_one(&hub.superuser_pool)
    .await
    .unwrap();
    assert_eq!(kept, "https://old.example/sms");
}

#[tokio::test]
async fn only_account_and_four_characters_of_credentials_are_shown() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;

    let shown = harbor
        .admin
        .get(&harbor.path("/integrations"))
        .await
        .expect_status(200);

    assert_eq!(shown["data"][0]["account"], harbor.account.as_str());
    assert_eq!(shown["data"][0]["hint"], TOKEN[28..]);
    assert!(!shown.to_string().contains(TOKEN));
    let sealed: Vec<u8> = sqlx::query_scalar("select credentials from integrations")
        .fetch_one(&hub.superuser_pool)
        .await
        .unwrap();
    assert!(
        !sealed
            .windows(TOKEN.len())
            .any(|window| window == TOKEN.as_bytes()),
        "it is not stored in the clear"
    );
}

#[tokio::test]
async fn sandbox_needs_no_account() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;

    let connected = harbor
        .admin
        .post(
            &harbor.path("/integrations"),
            json!({"provider": "sandbox"}),
        )
        .await
        .expect_status(201);
    assert_eq!(connected["numbers"][0]["capabilities"]["sms"], true);

    let draft = json!({"to": "(415) 555-0192", "content": "Your aligners are in."});
    let message = harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202)["message"]
        .clone();
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(harbor.message(&message["id"]).await["status"], "delivered");
}

#[tokio::test]
async fn account_is_connected_once_per_workspace() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor
        .connect_with(TOKEN)
        .await
        .refused(422, "validation_failed");
    assert_eq!(hub.count("select count(*) from integrations").await, 1);
}

//! Comparing the numbers with those of the account at the provider.

use serde_json::{Value, json};

use super::{NEW_LINE, RECALL, TELNYX_KEY, posts};
use crate::hub::{FRONT_DESK, Hub, MAYA, TOKEN};

fn counts(synced: &Value) -> [u64; 3] {
    ["added", "updated", "removed"].map(|name| synced[name].as_u64().unwrap())
}

#[tokio::test]
async fn sync_adds_updates_and_removes_numbers() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let account = hub.twilio.account(&harbor.account, TOKEN);
    account.number(FRONT_DESK).number(RECALL);
    harbor.connect_with(TOKEN).await.expect_status(201);
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let named = json!({"friendly_name": "Front desk"});
    let number = harbor.number(FRONT_DESK).await;
    let path = harbor.path(&format!("/numbers/{number}"));
    harbor.admin.patch(&path, named).await.expect_status(200);
    assert_eq!(counts(&harbor.syncs().await), [0, 0, 0], "nothing differs");

    account.number(NEW_LINE).cannot_send_pictures(RECALL);
    account.release(FRONT_DESK);
    let synced = harbor.syncs().await;

    assert_eq!(counts(&synced), [1, 1, 1]);
    assert_eq!(synced["numbers"].as_array().unwrap().len(), 3);
    assert_eq!(
        harbor.find_number(RECALL).await["capabilities"]["mms"],
        json!(false)
    );
    let fresh = harbor.find_number(NEW_LINE).await;
    assert_eq!(fresh["webhook"], "configured");
    let ours = harbor.integration().await["webhook_url"].clone();
    assert!(
        account
            .webhook_of(NEW_LINE)
            .starts_with(ours.as_str().unwrap())
    );
    let gone = harbor.find_number(FRONT_DESK).await;
    assert_eq!(
        (&gone["status"], &gone["is_default"]),
        (&json!("inactive"), &json!(false))
    );
    assert!(gone["gone_at"].is_string());
    assert_eq!(harbor.thread(&maya).await.len(), 1, "the history stays");
    let draft = json!({"conversation_id": maya["id"], "content": "Yes"});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .refused(409, "integration_not_configured");
    harbor
        .admin
        .patch(&path, json!({"status": "active"}))
        .await
        .refused(422, "validation_failed");
    let result = harbor.audit_entries("integration_synced").await;
    assert_eq!(
        result[0]["after"],
        json!({"added": 1, "updated": 1, "removed": 1})
    );

    account.number(FRONT_DESK);
    assert_eq!(counts(&harbor.syncs().await), [0, 1, 0]);
    let back = harbor.find_number(FRONT_DESK).await;
    assert_eq!(
        (&back["id"], &back["status"], &back["friendly_name"]),
        (&json!(number), &json!("active"), &json!("Front desk"))
    );
    harbor.reply(&harbor.admin, &maya, "Yes").await;
    assert_eq!(counts(&harbor.syncs().await), [0, 0, 0]);
}

#[tokio::test]
async fn sync_restores_a_changed_webhook() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let account = harbor.console();
    account.set_webhook(FRONT_DESK, "https://elsewhere.example/sms");

    assert_eq!(counts(&harbor.syncs().await), [0, 1, 0]);

    let ours = harbor.integration().await["webhook_url"].clone();
    assert!(
        account
            .webhook_of(FRONT_DESK)
            .starts_with(ours.as_str().unwrap())
    );
    account.gives_to_application(FRONT_DESK, "AP00000000000000000000000000000001");
    assert_eq!(counts(&harbor.syncs().await), [0, 1, 0]);
    assert_eq!(
        harbor.find_number(FRONT_DESK).await["webhook"],
        "overridden"
    );
}

#[tokio::test]
async fn sync_keeps_numbers_disabled_by_an_admin() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let path = harbor.path(&format!("/numbers/{}", harbor.number(FRONT_DESK).await));
    let off = json!({"status": "inactive"});
    harbor.admin.patch(&path, off).await.expect_status(200);

    assert_eq!(counts(&harbor.syncs().await), [0, 0, 0]);

    assert_eq!(harbor.find_number(FRONT_DESK).await["status"], "inactive");
}

#[tokio::test]
async fn failed_sync_changes_nothing() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.console().release(FRONT_DESK);
    let path = harbor.integration_path("/sync").await;

    hub.twilio.answers(500);
    harbor
        .admin
        .post(&path, json!({}))
        .await
        .refused(503, "provider_unavailable");
    hub.twilio.refuses(20003, 401);
    harbor
        .admin
        .post(&path, json!({}))
        .await
        .refused(422, "invalid_credentials");

    assert_eq!(harbor.find_number(FRONT_DESK).await["status"], "active");
    assert!(harbor.audit_entries("integration_synced").await.is_empty());
    assert_eq!(
        counts(&harbor.syncs().await),
        [0, 0, 1],
        "the next sync succeeds"
    );
}

#[tokio::test]
async fn concurrent_syncs_are_safe() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.console().number(RECALL).number(NEW_LINE);

    let (one, other) = tokio::join!(harbor.syncs(), harbor.syncs());

    assert_eq!(counts(&one)[0] + counts(&other)[0], 2);
    assert_eq!(counts(&one)[2] + counts(&other)[2], 0);
    assert_eq!(hub.count("select count(*) from numbers").await, 3);
}

#[tokio::test]
async fn sandbox_keeps_its_number_through_a_sync() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let sandbox = json!({"provider": "sandbox"});
    harbor
        .admin
        .post(&harbor.path("/integrations"), sandbox)
        .await
        .expect_status(201);

    let synced = harbor.syncs().await;

    assert_eq!(counts(&synced), [0, 0, 0]);
    assert_eq!(synced["numbers"][0]["status"], "active");
}

#[tokio::test]
async fn sync_result_is_shown_on_the_page() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.console().number(RECALL);
    let page = format!("/w/{}/admin/integrations", harbor.slug);
    let id = harbor.integration().await["id"].clone();
    let form = format!("{page}/{}/sync", id.as_str().unwrap());

    let result = posts(&harbor.admin, &form, &[]).await;

    assert!(result.contains("Synced: 1 added."), "{result}");
    hub.twilio.answers(500);
    let request = harbor.admin.request(reqwest::Method::POST, &form);
    let refused = harbor.admin.ask(request).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(refused.body.contains("busy right now"), "{}", refused.body);
}

/// The numbers of a small chain of practices.
const MANY: usize = 230;

#[tokio::test]
async fn sync_makes_no_request_per_number() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let account = hub.twilio.account(&harbor.account, TOKEN);
    for nth in 0..MANY {
        account.number(&format!("+1628555{nth:04}"));
    }
    account.set_webhook("+16285550003", "https://old.example/sms");
    let lists = || hub.twilio.calls(&["GET", "IncomingPhoneNumbers.json"]);
    let single = || hub.twilio.calls(&["GET", "IncomingPhoneNumbers/"]);
    let updates = || hub.twilio.calls(&["POST", "IncomingPhoneNumbers/"]);

    harbor.connect_with(TOKEN).await.expect_status(201);
    assert_eq!((lists(), single(), updates()), (2, 0, MANY));
    assert!(account.webhook_of("+16285550229").contains(&hub.url("")));

    // Nothing has changed: nothing is written.
    assert_eq!(counts(&harbor.syncs().await), [0, 0, 0]);
    assert_eq!((lists(), single(), updates()), (4, 0, MANY));
    account.set_webhook("+16285550007", "https://else.example/sms");
    assert_eq!(counts(&harbor.syncs().await), [0, 1, 0]);
    assert_eq!((lists(), single(), updates()), (6, 0, MANY + 1));

    // Webhooks that others have changed since are left alone.
    account.set_webhook("+16285550009", "https://theirs.example/sms");
    let integration = harbor.integration_path("").await;
    harbor.admin.delete(&integration).await.expect_status(204);
    assert_eq!((lists(), single(), updates()), (8, 0, 2 * MANY));
    for (number, url) in [
        ("+16285550003", "https://old.example/sms"),
        ("+16285550007", "https://else.example/sms"),
        ("+16285550009", "https://theirs.example/sms"),
        ("+16285550229", ""),
    ] {
        assert_eq!(account.webhook_of(number), url, "{number}");
    }
}

#[tokio::test]
async fn shared_messaging_profile_is_configured_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let customer = hub.telnyx.account(TELNYX_KEY);
    let profile = customer.profile("Everybody");
    for nth in 0..60 {
        let number = format!("+1628555{nth:04}");
        customer.number(&number).moves(&number, &profile);
    }
    let single = || {
        hub.telnyx.calls(&["GET", "/messaging_profiles/"])
            + hub.telnyx.calls(&["GET", "/phone_numbers/", "/messaging"])
            - hub.telnyx.calls(&["GET", "/phone_numbers/messaging"])
    };
    let credentials = json!({"api_key": TELNYX_KEY, "public_key": customer.public_key()});
    let form = json!({"provider": "telnyx", "credentials": credentials});
    let connected = harbor.admin.post(&harbor.path("/integrations"), form).await;
    let numbers = connected.expect_status(201)["numbers"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(numbers.len(), 60);
    assert!(
        numbers
            .iter()
            .all(|number| number["webhook"] == "configured")
    );
    assert!(single() <= 3, "{}", single());
    assert_eq!(hub.telnyx.calls(&["PATCH"]), 1);

    harbor.syncs().await;
    assert!(single() <= 6, "{}", single());
    let integration = harbor.integration_path("").await;
    harbor.admin.delete(&integration).await.expect_status(204);
    assert!(single() <= 9, "{}", single());
    assert_eq!(hub.telnyx.calls(&["PATCH"]), 2);
}

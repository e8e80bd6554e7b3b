//! Provider accounts: sync, changes, credential rotation and disconnecting.

mod directory;
mod sync;

use messagehub::workers::housekeeping::tidy;
use serde_json::{Value, json};

use crate::emulator::Customer;
use crate::hub::{FRONT_DESK, Hub, MAYA, Person, TOKEN, Workspace};

const RECALL: &str = "+16285550101";

const NEW_LINE: &str = "+16285550102";

impl Workspace<'_> {
    fn console(&self) -> Customer {
        self.hub.twilio.console(&self.account)
    }

    async fn integration(&self) -> Value {
        let list = self
            .admin
            .get(&self.path("/integrations"))
            .await
            .expect_status(200);
        list["data"][0].clone()
    }

    async fn integration_path(&self, verb: &str) -> String {
        let integration = self.integration().await;
        let id = integration["id"].as_str().unwrap();
        self.path(&format!("/integrations/{id}{verb}"))
    }

    async fn syncs(&self) -> Value {
        let path = self.integration_path("/sync").await;
        self.admin.post(&path, json!({})).await.expect_status(200)
    }

    async fn find_number(&self, phone: &str) -> Value {
        let numbers = self
            .admin
            .get(&self.path("/numbers"))
            .await
            .expect_status(200);
        let mut numbers = numbers["data"].as_array().unwrap().iter();
        let found = numbers.find(|number| number["phone_number"] == phone);
        found.expect("the workspace has this number").clone()
    }

    async fn audit_entries(&self, action: &str) -> Vec<Value> {
        let path = self.path(&format!("/audit?action={action}"));
        let entries = self.admin.get(&path).await.expect_status(200);
        entries["data"].as_array().unwrap().clone()
    }
}

/// Posts a form; returns the page that it redirects to.
async fn posts(who: &Person, path: &str, fields: &[(&str, &str)]) -> String {
    let request = who.request(reqwest::Method::POST, path).form(fields);
    let answer = who.ask(request).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    let next = answer.headers["location"].to_str().unwrap().to_owned();
    let shown = who.get(&next).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    shown.body
}

const TELNYX_KEY: &str = "KEY0192A3B4C5D6E7F8_abcdefghijklmnop";

const NEW_TOKEN: &str = "fedcba9876543210fedcba9876543210";

#[tokio::test]
async fn integration_can_be_renamed() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let path = harbor.integration_path("").await;

    let changed = harbor
        .admin
        .patch(&path, json!({"name": " Main line "}))
        .await
        .expect_status(200);

    assert_eq!(changed["name"], "Main line");
    for name in ["", "  ", &"x".repeat(81), "a\0b"] {
        harbor
            .admin
            .patch(&path, json!({"name": name}))
            .await
            .refused(422, "validation_failed");
    }
    let result = harbor.audit_entries("integration_changed").await;
    assert_eq!(result[0]["after"]["name"], "Main line");
}

#[tokio::test]
async fn rotated_token_replaces_the_old_one_and_resumes_the_queue() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let path = harbor.integration_path("").await;
    harbor.console().changes_token(NEW_TOKEN);
    let text = harbor.reply(&harbor.admin, &maya, "Yes").await;
    hub.run_sender().await;
    assert_eq!(harbor.integration().await["status"], "unhealthy");

    let with =
        |sid: &str, token: &str| json!({"credentials": {"account_sid": sid, "auth_token": token}});
    harbor
        .admin
        .patch(&path, with(&harbor.account, TOKEN))
        .await
        .refused(422, "invalid_credentials");
    let other = format!("AC{}", "a".repeat(32));
    hub.twilio.account(&other, NEW_TOKEN);
    harbor
        .admin
        .patch(&path, with(&other, NEW_TOKEN))
        .await
        .refused(422, "validation_failed");
    assert_eq!(
        harbor.integration().await["status"],
        "unhealthy",
        "refused credentials change nothing"
    );

    let changed = harbor
        .admin
        .patch(&path, with(&harbor.account, NEW_TOKEN))
        .await
        .expect_status(200);

    assert_eq!(
        (&changed["status"], &changed["hint"]),
        (&json!("healthy"), &json!(NEW_TOKEN[28..]))
    );
    hub.execute_sql("update messages set due_at = now() where status = 'queued'")
        .await;
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(harbor.message(&text["id"]).await["status"], "sent");
    let result = harbor.audit_entries("integration_changed").await;
    assert_eq!(result[0]["after"]["credentials"], "replaced");
    let shown = format!("{result:?} {changed}");
    assert!(!shown.contains(NEW_TOKEN) && !shown.contains(TOKEN));
}

/// Delivers a text signed with `token`; returns the status.
async fn signed_with(harbor: &Workspace<'_>, token: &str) -> u16 {
    let webhook = harbor.integration().await["webhook_url"].clone();
    let text = harbor.hub.twilio.inbound_text(MAYA, FRONT_DESK, "Hello?");
    let text = text.at(webhook.as_str().unwrap()).signed_with(token);
    text.send().await.status().as_u16()
}

#[tokio::test]
async fn previous_token_verifies_for_a_day_and_is_destroyed() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let path = harbor.integration_path("").await;
    harbor.console().changes_token(NEW_TOKEN);
    assert_eq!(
        signed_with(&harbor, NEW_TOKEN).await,
        403,
        "the new token is not stored yet"
    );
    let fresh = json!({"credentials": {"account_sid": harbor.account, "auth_token": NEW_TOKEN}});
    let kept = "select count(*) from integrations where former_credentials is not null";

    harbor
        .admin
        .patch(&path, fresh.clone())
        .await
        .expect_status(200);
    assert_eq!(signed_with(&harbor, TOKEN).await, 200);
    assert_eq!(signed_with(&harbor, NEW_TOKEN).await, 200);
    // Saving the same credentials again keeps the previous ones.
    harbor.admin.patch(&path, fresh).await.expect_status(200);
    assert_eq!(signed_with(&harbor, TOKEN).await, 200);
    hub.execute_sql("update integrations set former_until = now() + interval '1 minute'")
        .await;
    tidy(&hub.server.app).await.unwrap();
    assert_eq!(hub.count(kept).await, 1, "the day is not over");

    hub.execute_sql("update integrations set former_until = now() - interval '1 second'")
        .await;
    // Any change invalidates the cached credentials.
    harbor
        .admin
        .patch(&path, json!({"name": "Main line"}))
        .await
        .expect_status(200);
    assert_eq!(signed_with(&harbor, TOKEN).await, 403);
    assert_eq!(signed_with(&harbor, NEW_TOKEN).await, 200);
    tidy(&hub.server.app).await.unwrap();
    assert_eq!(hub.count(kept).await, 0);
}

#[tokio::test]
async fn credential_check_resumes_account_and_queue() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let sam = harbor.receive_text("+14155550193", "And 4:00?").await;
    harbor.console().is("suspended");
    harbor.reply(&harbor.admin, &maya, "Yes").await;
    hub.twilio.refuses(20005, 401);
    hub.run_sender().await;
    let waits = harbor.reply(&harbor.admin, &sam, "Yes too").await;
    assert_eq!(hub.run_sender().await, 0, "the whole queue waits");
    let page = format!("/w/{}/admin/integrations", harbor.slug);
    let id = harbor.integration().await["id"].clone();
    let check = format!("{page}/{}/test", id.as_str().unwrap());

    let result = posts(&harbor.admin, &check, &[]).await;
    assert!(result.contains("Checked. The provider rejects"), "{result}");
    assert_eq!(harbor.integration().await["status"], "unhealthy");
    let mut mail = hub.mail_server.mail_to(&harbor.admin.email).await;
    while !mail.subject.contains("needs attention") {
        mail = hub.mail_server.mail_to(&harbor.admin.email).await;
    }
    assert!(mail.text.contains("“Check now”"), "{}", mail.text);
    assert!(result.contains("Check now"), "the page has the button");

    harbor.console().is("active");
    let result = posts(&harbor.admin, &check, &[]).await;
    assert!(result.contains("Checked. The provider accepts"), "{result}");
    assert_eq!(harbor.integration().await["status"], "healthy");
    assert_eq!(
        hub.run_sender().await,
        1,
        "texts that were not refused are due"
    );
    assert_eq!(harbor.message(&waits["id"]).await["status"], "sent");
    hub.execute_sql("update messages set due_at = now() where status = 'queued'")
        .await;
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(hub.twilio.sent("Yes").len(), 1);
}

#[tokio::test]
async fn disconnect_restores_the_shared_webhook() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let customer = hub.telnyx.account(TELNYX_KEY);
    customer.number(FRONT_DESK).number(RECALL).number(NEW_LINE);
    customer.set_webhook(FRONT_DESK, "https://old.example/sms", "2");
    let with = |key: &str| json!({"api_key": key, "public_key": customer.public_key()});
    let form = json!({"provider": "telnyx", "credentials": with(TELNYX_KEY)});
    let numbers = harbor.path("/integrations");
    harbor.admin.post(&numbers, form).await.expect_status(201);
    let path = harbor.integration_path("").await;
    let ours = harbor.integration().await["webhook_url"].clone();
    assert_eq!(customer.webhook_of(RECALL), ours.as_str().unwrap());

    let other = hub.telnyx.account("KEY_of_another_account").public_key();
    let wrong = json!({"credentials": {"api_key": "KEY_of_another_account", "public_key": other}});
    harbor
        .admin
        .patch(&path, wrong)
        .await
        .refused(422, "validation_failed");
    customer.changes_key("KEY_that_is_new");
    let fresh = json!({"credentials": with("KEY_that_is_new")});
    let changed = harbor.admin.patch(&path, fresh).await.expect_status(200);
    assert_eq!(changed["hint"], " new".replace(' ', "_"));

    harbor.admin.delete(&path).await.expect_status(204);

    assert_eq!(customer.webhook_of(RECALL), "https://old.example/sms");
}

#[tokio::test]
async fn disabled_integration_queues_until_enabled() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let path = harbor.integration_path("").await;
    let text = harbor.reply(&harbor.admin, &maya, "Yes").await;

    let off = harbor
        .admin
        .patch(&path, json!({"is_active": false}))
        .await
        .expect_status(200);

    assert_eq!(off["is_active"], json!(false));
    assert_eq!(hub.run_sender().await, 0);
    assert_eq!(harbor.message(&text["id"]).await["status"], "queued");
    let draft = json!({"conversation_id": maya["id"], "content": "Yes"});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .refused(409, "integration_not_configured");
    for verb in ["/sync", "/test"] {
        harbor
            .admin
            .post(&format!("{path}{verb}"), json!({}))
            .await
            .refused(409, "integration_off");
    }
    harbor
        .admin
        .patch(&path, json!({"is_active": true}))
        .await
        .expect_status(200);
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(harbor.message(&text["id"]).await["status"], "sent");
}

#[tokio::test]
async fn disconnect_keeps_history_and_deletes_secrets() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let account = hub.twilio.account(&harbor.account, TOKEN);
    account.number(FRONT_DESK).number(RECALL);
    account.set_webhook(FRONT_DESK, "https://old.example/sms");
    harbor.connect_with(TOKEN).await.expect_status(201);
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    harbor.set_credits(&sam, 5).await;
    let text = harbor.reply(&sam, &maya, "Yes").await;
    let webhook = harbor.integration().await["webhook_url"].clone();
    let path = harbor.integration_path("").await;

    harbor.admin.delete(&path).await.expect_status(204);

    assert_eq!(
        hub.count("select count(*) from integrations where credentials is not null")
            .await,
        0
    );
    assert!(harbor.integration().await.is_null(), "it is not listed");
    assert_eq!(harbor.find_number(FRONT_DESK).await["status"], "inactive");
    assert_eq!(account.webhook_of(FRONT_DESK), "https://old.example/sms");
    assert_eq!(account.webhook_of(RECALL), "");
    let late = hub.twilio.inbound_text(MAYA, FRONT_DESK, "Hello?");
    let late = late.at(webhook.as_str().unwrap()).signed_with(TOKEN);
    assert_eq!(late.send().await.status(), 404);
    hub.run_sender().await;
    let failed = harbor.message(&text["id"]).await;
    assert_eq!(
        (&failed["status"], &failed["error_code"]),
        (&json!("failed"), &json!("disconnected"))
    );
    assert!(
        failed["error_message"]
            .as_str()
            .unwrap()
            .contains("disconnected")
    );
    let mine = harbor.path(&format!("/credits/{}", sam.id));
    assert_eq!(sam.get(&mine).await.expect_status(200)["balance"], 5);
    assert!(hub.twilio.sent("Yes").is_empty());
    assert_eq!(harbor.thread(&maya).await.len(), 2, "the history stays");
    let result = harbor.audit_entries("integration_disconnected").await;
    assert_eq!(result[0]["before"]["numbers"], 2);
    harbor.admin.delete(&path).await.refused(404, "not_found");
    harbor
        .admin
        .patch(&path, json!({"is_active": true}))
        .await
        .refused(404, "not_found");

    harbor.connect_with(TOKEN).await.expect_status(201);
}

#[tokio::test]
async fn unreachable_account_can_be_disconnected() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let path = harbor.integration_path("").await;
    hub.twilio.answers(500);

    harbor.admin.delete(&path).await.expect_status(204);

    assert!(harbor.integration().await.is_null());
}

#[tokio::test]
async fn integration_page_changes_and_disconnects() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let id = harbor.integration().await["id"].clone();
    let page = format!(
        "/w/{}/admin/integrations/{}",
        harbor.slug,
        id.as_str().unwrap()
    );

    let result = posts(&harbor.admin, &page, &[("name", "Main line")]).await;
    assert!(result.contains(">Main line</h2>"), "{result}");
    let result = posts(&harbor.admin, &page, &[("is_active", "false")]).await;
    assert!(result.contains("Off"), "{result}");
    posts(&harbor.admin, &page, &[("is_active", "true")]).await;
    let request = harbor.admin.request(reqwest::Method::POST, &page);
    let wrong = request.form(&[("secret", NEW_TOKEN)]);
    let refused = harbor.admin.ask(wrong).await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("didn’t accept"), "{}", refused.body);
    harbor.console().changes_token(NEW_TOKEN);
    posts(&harbor.admin, &page, &[("secret", NEW_TOKEN)]).await;
    let disconnect = format!("{page}/disconnect");
    let request = harbor.admin.request(reqwest::Method::POST, &disconnect);
    let wrong_name = request.form(&[("typed_name", "Main")]);
    let refused = harbor.admin.ask(wrong_name).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused
            .body
            .contains("Type the name to disconnect it: Main line")
    );
    let right_name = [("typed_name", "Main line")];
    let result = posts(&harbor.admin, &disconnect, &right_name).await;
    assert!(
        result.contains("Disconnected") && !result.contains("Main line"),
        "{result}"
    );
}

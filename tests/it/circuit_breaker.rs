//! Circuit breaker: an account that refuses texts pauses its queue, admins are notified, and a successful test
//! resumes it.

use serde_json::{Value, json};

use crate::emulator::Failure;
use crate::hub::{FRONT_DESK, Hub, MAYA, Workspace};
use crate::telnyx;

async fn integration(harbor: &Workspace<'_>) -> Value {
    let path = harbor.path("/integrations");
    harbor.admin.get(&path).await.expect_status(200)["data"][0].clone()
}

async fn needs_attention(harbor: &Workspace<'_>, reason: &str) {
    let integration = integration(harbor).await;
    assert_eq!(integration["status"], "unhealthy");
    let result = integration["status_reason"].as_str().unwrap();
    assert!(result.contains(reason), "{result}");
    let page = format!("/w/{}/admin/integrations", harbor.slug);
    let page = harbor.admin.request(reqwest::Method::GET, &page);
    let page = page.send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Needs attention"), "{page}");
    let mail_server = &harbor.hub.mail_server;
    let mut mail = mail_server.mail_to(&harbor.admin.email).await;
    if !mail.subject.contains("wait") {
        mail = mail_server.mail_to(&harbor.admin.email).await; // the first one confirms the address
    }
    assert!(mail.subject.contains("needs attention"), "{}", mail.subject);
    assert!(mail.text.contains("Nothing is lost"), "{}", mail.text);
    assert_eq!(
        mail_server.unread_mails(&harbor.admin.email),
        0,
        "notified once"
    );
}

async fn tests(harbor: &Workspace<'_>) -> crate::hub::Answer {
    let id = integration(harbor).await["id"].as_str().unwrap().to_owned();
    let path = harbor.path(&format!("/integrations/{id}/test"));
    harbor.admin.post(&path, json!({})).await
}

async fn time_passes(hub: &Hub) {
    hub.execute_sql("update messages set due_at = now() where status = 'queued'")
        .await;
}

#[tokio::test]
async fn suspended_account_pauses_the_queue_until_restored() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    for text in ["One", "Two"] {
        harbor.reply(&harbor.admin, &maya, text).await;
    }
    let draft = json!({"to": "+14155550177", "content": "Three"});
    let path = harbor.path("/messages");
    harbor.admin.post(&path, draft).await.expect_status(202);
    let account = hub.twilio.console(&harbor.account);
    account.is("suspended");
    hub.run_sender().await;
    needs_attention(&harbor, "Twilio suspended this account").await;
    for _ in 0..3 {
        time_passes(&hub).await;
        assert_eq!(hub.run_sender().await, 0, "the queue waits");
    }
    assert_eq!(
        tests(&harbor).await.expect_status(200)["status"],
        "unhealthy"
    );
    account.is("active");
    assert_eq!(tests(&harbor).await.expect_status(200)["status"], "healthy");
    assert_eq!(hub.run_sender().await, 3);
    let order: Vec<_> = hub.twilio.messages().into_iter().map(|m| m.body).collect();
    let at = |text: &str| order.iter().position(|body| body == text).unwrap();
    assert!(at("One") < at("Two"), "{order:?}");
}

#[tokio::test]
async fn two_account_refusals_open_the_circuit_one_does_not() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.reply(&harbor.admin, &maya, "Hello").await;
    hub.twilio.refuses(20003, 401);
    hub.run_sender().await;
    assert_eq!(integration(&harbor).await["status"], "healthy");
    time_passes(&hub).await;
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(hub.twilio.sent("Hello").len(), 1);

    harbor.reply(&harbor.admin, &maya, "Again").await;
    for _ in 0..2 {
        assert_eq!(integration(&harbor).await["status"], "healthy");
        hub.twilio.refuses(20003, 401);
        time_passes(&hub).await;
        assert_eq!(hub.run_sender().await, 1);
    }
    needs_attention(&harbor, "didn’t accept the Account SID and Auth Token").await;
    time_passes(&hub).await;
    assert_eq!(hub.run_sender().await, 0, "the queue waits");
    assert_eq!(tests(&harbor).await.expect_status(200)["status"], "healthy");
    time_passes(&hub).await;
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(hub.twilio.sent("Again").len(), 1);
}

#[tokio::test]
async fn exhausted_provider_balance_pauses_the_queue() {
    let hub = Hub::start().await;
    let (harbor, _) = telnyx::front_desk(&hub).await;
    let maya = telnyx::receive_text(&harbor, "Hi").await;
    harbor.reply(&harbor.admin, &maya, "Hello").await;
    hub.telnyx.refuses(20100, 402);
    assert_eq!(hub.run_sender().await, 1);
    needs_attention(&harbor, "The Telnyx balance is used up").await;
    time_passes(&hub).await;
    assert_eq!(hub.run_sender().await, 0, "the queue waits");
    assert_eq!(tests(&harbor).await.expect_status(200)["status"], "healthy");
    time_passes(&hub).await;
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(hub.telnyx.sent("Hello").len(), 1);
}

#[tokio::test]
async fn disabled_number_or_account_sends_nothing() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let number = harbor.path(&format!("/numbers/{}", harbor.number(FRONT_DESK).await));
    harbor.reply(&harbor.admin, &maya, "Hello").await;
    let switch = async |status: &str| {
        let change = json!({"status": status});
        harbor.admin.patch(&number, change).await.expect_status(200);
    };
    switch("inactive").await;
    assert_eq!(hub.run_sender().await, 0);
    switch("active").await;
    hub.execute_sql("update integrations set is_active = false")
        .await;
    assert_eq!(hub.run_sender().await, 0);
    hub.execute_sql("update integrations set is_active = true")
        .await;
    hub.twilio.fails(Failure::Busy { retry_after: None });
    assert_eq!(hub.run_sender().await, 1);
    time_passes(&hub).await;
    assert_eq!(hub.run_sender().await, 1);
}

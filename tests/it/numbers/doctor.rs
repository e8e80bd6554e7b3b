//! The number doctor: findings and repair.

use super::*;

impl Workspace<'_> {
    async fn diagnosis(&self) -> Value {
        let number = self.number(FRONT_DESK).await;
        let path = self.path(&format!("/numbers/{number}/doctor"));
        self.admin.get(&path).await.expect_status(200)
    }
}

fn found(diagnosis: &Value, subject: &str) -> (String, String) {
    let mut findings = diagnosis["findings"].as_array().unwrap().iter();
    let finding = findings.find(|finding| finding["subject"] == subject);
    let finding = finding.unwrap_or_else(|| panic!("nothing about {subject}: {diagnosis}"));
    let text = |name: &str| finding[name].as_str().unwrap().to_owned();
    (text("state"), text("sentence"))
}

#[track_caller]
fn assert_finding(diagnosis: &Value, subject: &str, state: &str, words: &str) {
    let (found_state, sentence) = found(diagnosis, subject);
    assert!(
        found_state == state && sentence.contains(words),
        "{subject} is {found_state}: {sentence}"
    );
}

#[tokio::test]
async fn doctor_reports_and_repairs_the_webhook() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let account = hub.twilio.console(&harbor.account);
    let number = harbor.number(FRONT_DESK).await;
    let repair = harbor.path(&format!("/numbers/{number}/webhook"));

    let fresh = harbor.diagnosis().await;
    assert_finding(&fresh, "account", "good", "accepts texts");
    assert_finding(&fresh, "webhook", "good", "sent to MessageHub");
    assert_finding(&fresh, "override", "good", "No other app");
    assert_finding(
        &fresh,
        "membership",
        "good",
        "isn’t part of a messaging service",
    );
    assert_finding(&fresh, "inbound", "attention", "No texts received yet");
    assert_finding(&fresh, "errors", "good", "No texts failed");
    assert_eq!(fresh["state"], "attention");

    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.reply(&harbor.admin, &maya, "Yes").await;
    hub.run_sender().await;
    let sid = hub.twilio.sent("Yes")[0].sid.clone();
    hub.twilio.delivers(&sid).await;
    let well = harbor.diagnosis().await;
    assert_eq!(well["state"], "good", "{well}");
    for subject in ["inbound", "outbound", "callbacks"] {
        let mut findings = well["findings"].as_array().unwrap().iter();
        let finding = findings.find(|finding| finding["subject"] == subject);
        assert!(finding.unwrap()["at"].is_string(), "{subject}");
    }

    account
        .set_webhook(FRONT_DESK, "https://old.example/sms")
        .set_fallback(FRONT_DESK, "https://spare.example/sms");
    let misdirected = harbor.diagnosis().await;
    assert_finding(&misdirected, "webhook", "broken", "https://old.example/sms");
    assert_finding(
        &misdirected,
        "fallback",
        "attention",
        "https://spare.example/sms",
    );
    let set = harbor
        .admin
        .post(&repair, json!({}))
        .await
        .expect_status(200);
    assert_eq!(set["webhook"], "configured");
    assert_finding(
        &harbor.diagnosis().await,
        "webhook",
        "good",
        "sent to MessageHub",
    );
    account.set_webhook(
        FRONT_DESK,
        "https://webhooks.twilio.com/v1/Accounts/AC1/Flows/FW1",
    );
    assert_finding(&harbor.diagnosis().await, "override", "broken", "Studio");

    account.gives_to_application(FRONT_DESK, "AP00000000000000000000000000000001");
    let overridden = harbor.diagnosis().await;
    assert_finding(
        &overridden,
        "override",
        "broken",
        "AP00000000000000000000000000000001",
    );
    let kept = harbor
        .admin
        .post(&repair, json!({}))
        .await
        .expect_status(200);
    assert_eq!(kept["webhook"], "overridden", "the override is reported");
    account.gives_to_application(FRONT_DESK, "");
    harbor
        .admin
        .post(&repair, json!({}))
        .await
        .expect_status(200);
}

#[tokio::test]
async fn doctor_distinguishes_overriding_and_deferring_services() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let account = hub.twilio.account(&harbor.account, TOKEN);
    account.number(FRONT_DESK);
    harbor.connect_with(TOKEN).await.expect_status(201);
    account.deferring_service("A2P", &[FRONT_DESK]);
    assert_finding(&harbor.diagnosis().await, "membership", "good", "“A2P”");
    account.leaves_services(FRONT_DESK);
    account.service("Reminders", Some("https://else.example/in"), &[FRONT_DESK]);
    let overridden = harbor.diagnosis().await;
    assert_finding(&overridden, "override", "broken", "“Reminders”");
    assert_finding(&overridden, "membership", "attention", "“Reminders”");
}

#[tokio::test]
async fn failed_checks_are_reported_beside_the_others() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Hi").await;

    hub.twilio.answers(500);
    let unknown = harbor.diagnosis().await;
    assert_finding(&unknown, "webhook", "attention", "busy");
    assert_finding(&unknown, "inbound", "good", "Last text");

    hub.twilio.console(&harbor.account).release(FRONT_DESK);
    assert_finding(
        &harbor.diagnosis().await,
        "number",
        "broken",
        "no longer has this number",
    );
}

#[tokio::test]
async fn failures_are_counted_with_the_most_frequent_reason() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    for text in ["One", "Two", "Three", "Four", "Five"] {
        harbor.reply(&harbor.admin, &maya, text).await;
        hub.twilio.refuses(21614, 400);
        hub.run_sender().await;
    }
    harbor.reply(&harbor.admin, &maya, "Six").await;
    hub.run_sender().await;
    let seen = harbor.diagnosis().await;
    assert_finding(&seen, "errors", "broken", "5 texts failed");
    assert_finding(&seen, "errors", "broken", "landline");
    hub.execute_sql("update messages set created_at = created_at - interval '1 hour'")
        .await;
    assert_finding(
        &harbor.diagnosis().await,
        "callbacks",
        "attention",
        "without any delivery report",
    );
}

#[tokio::test]
async fn page_shows_findings_repairs_the_webhook_and_awaits_a_test() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let account = hub.twilio.console(&harbor.account);
    let number = harbor.number(FRONT_DESK).await;
    let page = format!("/w/{}/admin/numbers/{number}", harbor.slug);
    account.set_webhook(FRONT_DESK, "https://old.example/sms");

    let shown = harbor.admin.get(&page).await;
    assert!(
        shown
            .body
            .contains("Incoming texts are sent to https://old.example/sms")
    );
    let repaired = posts(&harbor.admin, &format!("{page}/webhook"), &[]).await;
    assert!(
        repaired.contains("Incoming texts are now sent here"),
        "{repaired}"
    );
    assert!(repaired.contains("Incoming texts are sent to MessageHub."));

    harbor.receive_text(MAYA, "Before the test").await;
    let since = chrono::Utc::now().timestamp_millis();
    let test = format!("{page}?since={since}");
    let waiting = harbor.admin.get(&test).await;
    assert!(
        waiting.body.contains("Waiting for your text…"),
        "{}",
        waiting.body
    );
    assert!(!waiting.body.contains("Your text arrived"));
    harbor.receive_text(MAYA, "The test").await;
    let passed = harbor.admin.get(&test).await;
    assert!(passed.body.contains("Your text arrived"), "{}", passed.body);

    let agent = harbor.agent("Sam").await;
    assert_eq!(agent.get(&page).await.status, 403);
}

#[tokio::test]
async fn numbers_page_searches_buys_changes_and_releases() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    hub.twilio.offer_number("US", "Local", FOR_SALE);
    let page = format!("/w/{}/admin/numbers", harbor.slug);
    let id = integration(&harbor).await["id"].clone();
    let id = id.as_str().unwrap();

    let search = format!("{page}?integration_id={id}&country=US&area_code=510&contains=");
    let found = harbor.admin.get(&search).await;
    assert!(found.body.contains("Oakland, CA"), "{}", found.body);
    let wrong = format!("{page}?integration_id={id}&country=USA&area_code=&contains=");
    let wrong = harbor.admin.get(&wrong).await;
    assert!(
        wrong
            .body
            .contains("Enter a two-letter country code such as US or DE"),
        "{}",
        wrong.body
    );
    let form = [("integration_id", id), ("phone_number", FOR_SALE)];
    let bought = posts(&harbor.admin, &page, &form).await;
    assert!(bought.contains("Number bought"));
    let number = harbor.number(FOR_SALE).await;
    let number_page = format!("{page}/{number}");
    let named = posts(&harbor.admin, &number_page, &[("friendly_name", "Oakland")]).await;
    assert!(named.contains(">Oakland</b>"), "{named}");
    for (typed, rate) in [(" 2.5 ", json!(2.5)), ("", Value::Null)] {
        posts(
            &harbor.admin,
            &number_page,
            &[("messages_per_second", typed)],
        )
        .await;
        let numbers = harbor
            .admin
            .get(&harbor.path("/numbers"))
            .await
            .expect_status(200);
        let numbers = numbers["data"].as_array().unwrap();
        let paced = numbers
            .iter()
            .find(|number| number_page.ends_with(number["id"].as_str().unwrap()));
        assert_eq!(paced.unwrap()["messages_per_second"], rate);
    }
    posts(&harbor.admin, &number_page, &[("is_default", "true")]).await;
    let numbers = harbor
        .admin
        .get(&harbor.path("/numbers"))
        .await
        .expect_status(200);
    assert_eq!(
        numbers["data"][0]["phone_number"], FOR_SALE,
        "the default comes first"
    );
    let synced = posts(
        &harbor.admin,
        &format!("{page}/sync"),
        &[("integration_id", id)],
    )
    .await;
    assert!(synced.contains("Everything was up to date"), "{synced}");

    let release = format!("{number_page}/release");
    for unsure in ["", "5105550143", "0142"] {
        let request = harbor.admin.request(reqwest::Method::POST, &release);
        let refused = harbor
            .admin
            .ask(request.form(&[("typed_number", unsure)]))
            .await;
        assert_eq!(refused.status, 422, "{unsure}");
        assert!(refused.body.contains("Type the number"));
    }
    let left = posts(
        &harbor.admin,
        &release,
        &[("typed_number", "(510) 555-0142")],
    )
    .await;
    assert!(
        left.contains("Released. Its conversations were kept."),
        "{left}"
    );
    assert!(left.contains("No longer in the account"));
    assert_eq!(
        hub.twilio.console(&harbor.account).billed_numbers(),
        [FRONT_DESK]
    );
}

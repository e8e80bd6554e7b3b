//! Web push: notifies absent members in their browsers, limited to what they may see.

use reqwest::Method;
use serde_json::{Value, json};

use crate::emulator::push::PushService;
use crate::hub::{FRONT_DESK, Hub, MAYA, Person, SocketClient, Workspace, empty_database};

async fn start() -> (Hub, PushService) {
    let settings = [("PUSH_INSIDE", "127.0.0.1"), ("AWAY_AFTER", "3")];
    let hub = Hub::start_with(empty_database().await, &settings).await;
    (hub, PushService::start().await)
}

impl Workspace<'_> {
    /// Adds a subscription. Its index at the push service is the order of these calls.
    async fn subscribes_to_push(&self, who: &Person, service: &PushService, name: &str) -> Value {
        let path = self.path("/pushes");
        who.post(&path, service.subscribes(name))
            .await
            .expect_status(201)
    }
}

/// Asserts that `service` has received `count` pushes, and gets none for the texts until now. The notifier takes texts
/// in order: once it has pushed two later ones, one after the other, it has pushed those before them.
async fn assert_no_further_push(hub: &Hub, service: &PushService, count: usize) {
    let elsewhere = PushService::start().await;
    let bay = hub.workspace("Bay Optics").await;
    let number = format!("+1628555{:04}", 200 + count);
    bay.connect_twilio(&number).await;
    bay.subscribes_to_push(&bay.admin, &elsewhere, "Phone")
        .await;
    for nth in 1..=2 {
        let answer = hub.twilio.text(MAYA, &number, "A later text").await;
        assert_eq!(answer.status(), 200);
        elsewhere.received(nth).await;
    }
    let received = service.pushes();
    assert_eq!(received.len(), count, "{received:?}");
}

#[tokio::test]
async fn push_to_absent_member_announces_a_text_without_content() {
    let (hub, service) = start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    let phone = harbor
        .subscribes_to_push(&sam, &service, "Chrome on Android")
        .await;
    harbor.subscribes_to_push(&lin, &service, "Lin's").await;
    assert_eq!(
        (&phone["name"], &phone["is_this_session"], &phone["service"]),
        (
            &json!("Chrome on Android"),
            &json!(true),
            &json!("127.0.0.1")
        )
    );
    assert!(
        !phone.to_string().contains("/push/0"),
        "the endpoint is secret: {phone}"
    );

    let maya = harbor.receive_text(MAYA, "The gate code is 4711").await;
    let received_push = &service.received(1).await[0];
    let id = maya["id"].as_str().unwrap();
    assert_eq!(received_push.browser, 0, "Lin has no access to the number");
    assert_eq!(
        received_push.payload,
        json!({"title": "New text", "body": "Harbor Dental", "tag": id, "url": format!("/w/{}/inbox/{id}", harbor.slug)})
    );
    assert_eq!(
        received_push.topic,
        id.replace('-', ""),
        "a later push replaces it"
    );

    // Previews are opt-in.
    sam.patch(
        &harbor.path("/settings"),
        json!({"notifications": {"push_preview": true}}),
    )
    .await
    .expect_status(200);
    let answer = hub
        .twilio
        .inbound_text(MAYA, FRONT_DESK, "It is 4712")
        .sid("SM4712");
    assert_eq!(answer.send().await.status(), 200);
    let received_push = &service.received(2).await[1];
    assert_eq!(
        (
            &received_push.payload["title"],
            &received_push.payload["body"]
        ),
        (&json!("(415) 555-0192"), &json!("It is 4712"))
    );
    // A repeated webhook sends no push.
    let answer = hub
        .twilio
        .inbound_text(MAYA, FRONT_DESK, "It is 4712")
        .sid("SM4712");
    assert_eq!(answer.send().await.status(), 200);
    harbor.reply(&harbor.admin, &maya, "Thank you").await;

    // Only the assignee is notified.
    let jo = harbor.admin.clone();
    harbor.subscribes_to_push(&jo, &service, "Jo's").await;
    let conversation = harbor.path(&format!("/conversations/{id}"));
    jo.patch(&conversation, json!({"assignee_id": jo.id}))
        .await
        .expect_status(200);
    harbor.receive_text(MAYA, "And now?").await;
    let received = service.received(3).await;
    assert_eq!(received[2].browser, 2, "Jo alone: {received:?}");
    let used = sam.get(&harbor.path("/pushes")).await.expect_status(200);
    assert!(used["data"][0]["last_used_at"].is_string(), "{used}");
    jo.patch(&conversation, json!({"assignee_id": null}))
        .await
        .expect_status(200);

    // Members with an open inbox get no push.
    let mut sams = sam.join_workspace(&harbor).await;
    harbor.receive_text(MAYA, "Hello?").await;
    sams.wait_for("new_message").await;
    let received = service.received(4).await;
    assert_eq!(
        received[3].browser, 2,
        "Sam has the inbox open: {received:?}"
    );
    assert_no_further_push(&hub, &service, 4).await;
}

/// Sends a `watching` frame and waits until it is processed.
async fn set_watching(window: &mut SocketClient, watching: bool) {
    window
        .send(json!({"type": "watching", "watching": watching}))
        .await;
    // The error arrives after the frame was processed.
    window.send_text("?").await;
    window.wait_for("error").await;
}

#[tokio::test]
async fn member_with_unfocused_windows_is_away_after_a_while() {
    let (hub, service) = start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = harbor.admin.clone();
    harbor.subscribes_to_push(&jo, &service, "Phone").await;
    // A member is away after a time without a focused window, so this test has to let it pass.
    let a_while = std::time::Duration::from_millis(3200);

    // A focused window counts as present, and so does a member for `AWAY_AFTER` seconds after that.
    let mut desk = jo.join_workspace(&harbor).await;
    let mut tab = jo.join_workspace(&harbor).await;
    set_watching(&mut tab, false).await;
    set_watching(&mut desk, true).await;
    harbor.receive_text(MAYA, "To a window").await;
    desk.wait_for("new_message").await;
    set_watching(&mut desk, false).await;
    harbor.receive_text(MAYA, "Just looked away").await;
    desk.wait_for("new_message").await;
    tokio::time::sleep(a_while).await;
    assert!(service.pushes().is_empty(), "{:?}", service.pushes());

    harbor.receive_text(MAYA, "Nobody looks").await;
    desk.wait_for("new_message").await;
    service.received(1).await;

    // Focused again; a suspended window sends nothing more.
    set_watching(&mut tab, true).await;
    harbor.receive_text(MAYA, "Somebody looks").await;
    desk.wait_for("new_message").await;
    tokio::time::sleep(a_while).await;
    assert_eq!(service.pushes().len(), 1);
    harbor.receive_text(MAYA, "It sleeps").await;
    service.received(2).await;

    // A client that never sends `watching` is present while it is connected.
    let mut program = jo.join_workspace(&harbor).await;
    harbor.receive_text(MAYA, "To a program").await;
    program.wait_for("new_message").await;
    assert_no_further_push(&hub, &service, 2).await;
    program
        .send(json!({"type": "leave_workspace", "workspace_id": harbor.id}))
        .await;
    program.wait_for("workspace_left").await;
    harbor.receive_text("+14155550177", "To nobody").await;
    service.received(3).await;
    assert_no_further_push(&hub, &service, 3).await;
}

#[tokio::test]
async fn push_uses_the_language_of_the_member_or_browser() {
    let (hub, service) = start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = harbor.admin.clone();
    let in_spanish = jo
        .request(Method::POST, &harbor.path("/pushes"))
        .header("accept-language", "es-MX")
        .json(&service.subscribes("Teléfono"));
    assert_eq!(in_spanish.send().await.unwrap().status(), 201);
    harbor.receive_text(MAYA, "One").await;
    assert_eq!(
        service.received(1).await[0].payload["title"],
        "Nuevo mensaje"
    );
    // A chosen language takes precedence.
    jo.patch("/api/auth/me", json!({"language": "en"}))
        .await
        .expect_status(200);
    harbor.receive_text(MAYA, "Two").await;
    assert_eq!(service.received(2).await[1].payload["title"], "New text");
}

#[tokio::test]
async fn hanging_push_service_blocks_no_other() {
    let (hub, service) = start().await;
    let slow = PushService::start().await;
    slow.hangs();
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = harbor.admin.clone();
    for nth in 0..19 {
        harbor
            .subscribes_to_push(&jo, &slow, &nth.to_string())
            .await;
    }
    for nth in 0..5 {
        harbor
            .receive_text(&format!("+1415555017{nth}"), "Hello")
            .await;
    }
    // 95 pushes are queued there, of which 16 are in flight: the limit per service.
    slow.received(16).await;
    harbor.subscribes_to_push(&jo, &service, "Phone").await;
    let since = std::time::Instant::now();
    harbor.receive_text(MAYA, "Is anybody there?").await;
    service.received(1).await;
    assert!(since.elapsed().as_secs() < 8, "not in time");
    assert_eq!(slow.pushes().len(), 16);
}

#[tokio::test]
async fn revoked_access_ends_pushes_at_once() {
    let (hub, service) = start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    harbor.subscribes_to_push(&sam, &service, "Old phone").await;
    harbor.receive_text(MAYA, "One").await;
    service.received(1).await;

    let number = harbor.number(FRONT_DESK).await;
    harbor
        .admin
        .delete(&harbor.path(&format!("/numbers/{number}/members/{}", sam.id)))
        .await
        .expect_status(204);
    harbor.receive_text(MAYA, "Two").await;
    assert_no_further_push(&hub, &service, 1).await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    harbor.receive_text(MAYA, "Three").await;
    service.received(2).await;

    // The workspace requires a second factor, which Sam does not have.
    hub.execute_sql("update workspaces set require_two_factor = true where name = 'Harbor Dental'")
        .await;
    let answer = hub.twilio.text(MAYA, FRONT_DESK, "Locked").await;
    assert_eq!(answer.status(), 200);
    assert_no_further_push(&hub, &service, 2).await;
    hub.execute_sql("update workspaces set require_two_factor = false")
        .await;

    // Ending a session ends its subscriptions only.
    let again = Person::sign_in(&hub, &sam.email).await;
    let phone = harbor
        .subscribes_to_push(&again, &service, "New phone")
        .await;
    assert_eq!(
        again.get(&harbor.path("/pushes")).await.expect_status(200)["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    sam.post("/api/auth/logout", json!({}))
        .await
        .expect_status(204);
    harbor.receive_text(MAYA, "Four").await;
    let received = service.received(3).await;
    assert_eq!(received[2].browser, 1, "the new phone alone: {received:?}");
    assert_no_further_push(&hub, &service, 3).await;

    // Removing a subscription, which others cannot.
    let path = harbor.path(&format!("/pushes/{}", phone["id"].as_str().unwrap()));
    harbor.admin.delete(&path).await.refused(404, "not_found");
    again.delete(&path).await.expect_status(204);
    again.delete(&path).await.refused(404, "not_found");

    harbor
        .subscribes_to_push(&again, &service, "Once more")
        .await;
    harbor
        .admin
        .delete(&harbor.path(&format!("/members/{}", sam.id)))
        .await
        .expect_status(204);
    let left = hub.count("select count(*) from push_subscriptions s join users u on u.id = s.user_id where u.name = 'Sam'").await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn failed_push_is_retried_and_gone_subscription_is_deleted() {
    let (hub, service) = start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor
        .subscribes_to_push(&harbor.admin, &service, "Laptop")
        .await;

    service.answers(&[503, 429]);
    harbor.receive_text(MAYA, "One").await;
    let received = service.received(2).await;
    assert_eq!(received[0].answered, 503);
    assert_eq!(
        received[1].payload, received[0].payload,
        "the retry has the same payload"
    );

    service.answers(&[410]);
    harbor.receive_text("+14155550177", "Two").await;
    hub.wait_for_count("select count(*) from push_subscriptions", 0)
        .await;
}

#[tokio::test]
async fn push_requires_an_external_https_service_and_valid_keys() {
    let (hub, service) = start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let path = harbor.path("/pushes");
    let good = service.subscribes("Laptop");
    let wrong = async |change: Value, field: &str| {
        let mut draft = good.clone();
        for (name, value) in change.as_object().unwrap() {
            draft[name] = value.clone();
        }
        let problem = harbor.admin.post(&path, draft).await.expect_status(422);
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    };
    for endpoint in [
        "",
        "push",
        "http://push.example.com/1",
        "https://localhost/1",
        "https://10.0.0.1/1",
        "https://[::1]/1",
        "https://169.254.169.254/latest",
        "ftp://push.example.com/1",
        "https://push.example.net:22/1",
        "https://push.example.net:8443/1",
        "https://user:password@push.example.net/1",
        "https://user@push.example.net/1",
        "https://localhost./1",
        "https://push/1",
        "https://push.local/1",
        "https://0.1.2.3/1",
        "https://100.64.0.1/1",
        "https://192.0.0.8/1",
        "https://198.18.0.1/1",
        "https://203.0.113.7/1",
        "https://224.0.0.251/1",
        "https://250.0.0.1/1",
        "https://0xa.1/1",
        "https://167772161/1",
        "https://[::ffff:192.168.0.1]/1",
        "https://[64:ff9b::10.0.0.1]/1",
        "https://[fe80::1]/1",
        "https://[2001:db8::1]/1",
        &format!("https://push.example.com/{}", "x".repeat(1000)),
    ] {
        wrong(json!({"endpoint": endpoint}), "endpoint").await;
    }
    let auth = &good["keys"]["auth"];
    let key = &good["keys"]["p256dh"];
    wrong(
        json!({"keys": {"p256dh": "AAAA", "auth": auth}}),
        "keys.p256dh",
    )
    .await;
    wrong(
        json!({"keys": {"p256dh": "B".repeat(87), "auth": auth}}),
        "keys.p256dh",
    )
    .await;
    wrong(
        json!({"keys": {"p256dh": key, "auth": "AAAA"}}),
        "keys.auth",
    )
    .await;
    wrong(json!({"name": "x".repeat(81)}), "name").await;
    assert_eq!(
        harbor.admin.get(&path).await.expect_status(200)["data"],
        json!([])
    );

    let first = harbor
        .admin
        .post(&path, good.clone())
        .await
        .expect_status(201);
    let mut renamed = good.clone();
    renamed["name"] = json!("My laptop");
    let second = harbor.admin.post(&path, renamed).await.expect_status(201);
    assert_eq!(
        (&first["id"], &second["name"]),
        (&second["id"], &json!("My laptop"))
    );
    let mine = harbor.admin.get(&path).await.expect_status(200);
    assert_eq!(mine["data"].as_array().unwrap().len(), 1);
    assert_eq!(mine["public_key"].as_str().unwrap().len(), 87);
    for nth in 1..20 {
        harbor
            .admin
            .post(&path, service.subscribes(&nth.to_string()))
            .await
            .expect_status(201);
    }
    let problem = harbor
        .admin
        .post(&path, service.subscribes("Too many"))
        .await
        .expect_status(422);
    assert_eq!(problem["errors"][0]["field"], "endpoint");
}

//! Whoever is away is told, in their own browsers, of what they may see; and nobody else.

use reqwest::Method;
use serde_json::{Value, json};

use crate::emulator::push::PushService;
use crate::hub::{FRONT_DESK, Frames, Hub, MAYA, Person, Workspace, empty_database};

async fn start() -> (Hub, PushService) {
    let inside = [("PUSH_INSIDE", "127.0.0.1"), ("AWAY_AFTER", "3")];
    let hub = Hub::start_with(empty_database().await, &inside).await;
    (hub, PushService::start().await)
}

impl Workspace<'_> {
    /// One more browser of theirs is told from now on; its number at the push service is the order of these calls.
    async fn is_told(&self, who: &Person, service: &PushService, name: &str) -> Value {
        let path = self.path("/pushes");
        who.post(&path, service.subscribes(name)).await.is(201)
    }

    /// A text that an admin without any browser marks: whatever was to be told before it has been told.
    async fn nothing_more(&self, service: &PushService, before: usize) {
        let witness = self.agent("Witness").await;
        self.assigns(FRONT_DESK, &witness).await;
        let device = self.is_told(&witness, service, "Witness").await;
        self.hears("+14155550199", "Witnessed").await;
        let heard = service.heard(before + 1).await;
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        assert_eq!(service.pushes().len(), before + 1, "{heard:?}");
        let device = self.path(&format!("/pushes/{}", device["id"].as_str().unwrap()));
        witness.delete(&device).await.is(204);
    }
}

#[tokio::test]
async fn whoever_is_away_is_told_that_a_text_came_and_not_what_it_says() {
    let (hub, service) = start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assigns(FRONT_DESK, &sam).await;
    let phone = harbor.is_told(&sam, &service, "Chrome on Android").await;
    harbor.is_told(&lin, &service, "Lin's").await;
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
        "the address is a secret: {phone}"
    );

    let maya = harbor.hears(MAYA, "The gate code is 4711").await;
    let told = &service.heard(1).await[0];
    let id = maya["id"].as_str().unwrap();
    assert_eq!(told.browser, 0, "Lin may not see the number");
    assert_eq!(
        told.told,
        json!({"title": "New text", "body": "Harbor Dental", "tag": id, "url": format!("/w/{}/inbox/{id}", harbor.slug)})
    );
    assert_eq!(
        told.topic,
        id.replace('-', ""),
        "a later one takes its place"
    );

    // Who wants to know more says so.
    sam.patch(
        &harbor.path("/settings"),
        json!({"notifications": {"push_preview": true}}),
    )
    .await
    .is(200);
    let answer = hub
        .twilio
        .texting(MAYA, FRONT_DESK, "It is 4712")
        .sid("SM4712");
    assert_eq!(answer.send().await.status(), 200);
    let told = &service.heard(2).await[1];
    assert_eq!(
        (&told.told["title"], &told.told["body"]),
        (&json!("(415) 555-0192"), &json!("It is 4712"))
    );
    // A repeat tells nobody again.
    let answer = hub
        .twilio
        .texting(MAYA, FRONT_DESK, "It is 4712")
        .sid("SM4712");
    assert_eq!(answer.send().await.status(), 200);
    // Nor do our own texts.
    harbor.answers(&harbor.admin, &maya, "Thank you").await;

    // Whose conversation it is, is told alone.
    let jo = harbor.admin.clone();
    harbor.is_told(&jo, &service, "Jo's").await;
    let conversation = harbor.path(&format!("/conversations/{id}"));
    jo.patch(&conversation, json!({"assignee_id": jo.id}))
        .await
        .is(200);
    harbor.hears(MAYA, "And now?").await;
    let heard = service.heard(3).await;
    assert_eq!(heard[2].browser, 2, "Jo alone: {heard:?}");
    let used = sam.get(&harbor.path("/pushes")).await.is(200);
    assert!(used["data"][0]["last_used_at"].is_string(), "{used}");
    jo.patch(&conversation, json!({"assignee_id": null}))
        .await
        .is(200);

    // Who has the inbox open is told there.
    let mut sams = sam.listens(&harbor).await;
    harbor.hears(MAYA, "Hello?").await;
    sams.hears("new_message").await;
    let heard = service.heard(4).await;
    assert_eq!(heard[3].browser, 2, "Sam sees it already: {heard:?}");
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(service.pushes().len(), 4);
}

/// A window that says so.
async fn says_it_is_watched(window: &mut Frames, watching: bool) {
    window
        .says(json!({"type": "watching", "watching": watching}))
        .await;
    // What is answered comes after what is not.
    window.says_text("?").await;
    window.hears("error").await;
}

#[tokio::test]
async fn whoever_has_windows_open_but_looks_at_none_is_away_after_a_while() {
    let (hub, service) = start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = harbor.admin.clone();
    harbor.is_told(&jo, &service, "Phone").await;
    let a_while = std::time::Duration::from_millis(3200);

    // Whoever looks is told there, and for a while after that.
    let mut desk = jo.listens(&harbor).await;
    let mut tab = jo.listens(&harbor).await;
    says_it_is_watched(&mut tab, false).await;
    says_it_is_watched(&mut desk, true).await;
    harbor.hears(MAYA, "To a window").await;
    desk.hears("new_message").await;
    says_it_is_watched(&mut desk, false).await;
    harbor.hears(MAYA, "Just looked away").await;
    desk.hears("new_message").await;
    tokio::time::sleep(a_while).await;
    assert!(service.pushes().is_empty(), "{:?}", service.pushes());

    harbor.hears(MAYA, "Nobody looks").await;
    desk.hears("new_message").await;
    service.heard(1).await;

    // Back again; and a window that was put to sleep says nothing more.
    says_it_is_watched(&mut tab, true).await;
    harbor.hears(MAYA, "Somebody looks").await;
    desk.hears("new_message").await;
    tokio::time::sleep(a_while).await;
    assert_eq!(service.pushes().len(), 1);
    harbor.hears(MAYA, "It sleeps").await;
    service.heard(2).await;

    // A client that never says it is looked at as long as it is connected.
    let mut program = jo.listens(&harbor).await;
    harbor.hears(MAYA, "To a program").await;
    program.hears("new_message").await;
    // Whoever would tell them has looked by then, too.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    program
        .says(json!({"type": "leave_workspace", "workspace_id": harbor.id}))
        .await;
    program.hears("workspace_left").await;
    harbor.hears("+14155550177", "To nobody").await;
    service.heard(3).await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(service.pushes().len(), 3);
}

#[tokio::test]
async fn a_push_speaks_the_language_of_its_member_or_else_of_the_browser() {
    let (hub, service) = start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = harbor.admin.clone();
    let in_spanish = jo
        .request(Method::POST, &harbor.path("/pushes"))
        .header("accept-language", "es-MX")
        .json(&service.subscribes("Teléfono"));
    assert_eq!(in_spanish.send().await.unwrap().status(), 201);
    harbor.hears(MAYA, "One").await;
    assert_eq!(service.heard(1).await[0].told["title"], "Nuevo mensaje");
    // What was chosen counts more.
    jo.patch("/api/auth/me", json!({"language": "en"}))
        .await
        .is(200);
    harbor.hears(MAYA, "Two").await;
    assert_eq!(service.heard(2).await[1].told["title"], "New text");
}

#[tokio::test]
async fn a_push_service_that_hangs_keeps_no_other_waiting() {
    let (hub, service) = start().await;
    let slow = PushService::start().await;
    slow.hangs();
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = harbor.admin.clone();
    for nth in 0..19 {
        harbor.is_told(&jo, &slow, &nth.to_string()).await;
    }
    for nth in 0..5 {
        harbor.hears(&format!("+1415555017{nth}"), "Hello").await;
    }
    // Ninety-five wait there; of them as many are asked at once as one service may be.
    slow.heard(16).await;
    harbor.is_told(&jo, &service, "Phone").await;
    let since = std::time::Instant::now();
    harbor.hears(MAYA, "Is anybody there?").await;
    service.heard(1).await;
    assert!(since.elapsed().as_secs() < 8, "at once");
    assert_eq!(slow.pushes().len(), 16);
}

#[tokio::test]
async fn what_is_taken_away_ends_pushes_at_once() {
    let (hub, service) = start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assigns(FRONT_DESK, &sam).await;
    harbor.is_told(&sam, &service, "Old phone").await;
    harbor.hears(MAYA, "One").await;
    service.heard(1).await;

    // The number.
    let number = harbor.number(FRONT_DESK).await;
    harbor
        .admin
        .delete(&harbor.path(&format!("/numbers/{number}/members/{}", sam.id)))
        .await
        .is(204);
    harbor.hears(MAYA, "Two").await;
    harbor.nothing_more(&service, 1).await;
    harbor.assigns(FRONT_DESK, &sam).await;
    harbor.hears(MAYA, "Three").await;
    service.heard(3).await;

    // The second factor that the workspace wants, and Sam has not.
    hub.meddles("update workspaces set require_two_factor = true")
        .await;
    let answer = hub.twilio.text(MAYA, FRONT_DESK, "Locked").await;
    assert_eq!(answer.status(), 200);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(service.pushes().len(), 3);
    hub.meddles("update workspaces set require_two_factor = false")
        .await;

    // That sign-in, and no other one.
    let again = Person::signs_in(&hub, &sam.email).await;
    let phone = harbor.is_told(&again, &service, "New phone").await;
    assert_eq!(
        again.get(&harbor.path("/pushes")).await.is(200)["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    sam.post("/api/auth/logout", json!({})).await.is(204);
    harbor.hears(MAYA, "Four").await;
    let heard = service.heard(4).await;
    assert_eq!(heard[3].browser, 2, "the new phone alone: {heard:?}");
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(service.pushes().len(), 4);

    // The browser itself; nobody takes away another one's.
    let path = harbor.path(&format!("/pushes/{}", phone["id"].as_str().unwrap()));
    harbor.admin.delete(&path).await.refused(404, "not_found");
    again.delete(&path).await.is(204);
    again.delete(&path).await.refused(404, "not_found");

    // The membership.
    harbor.is_told(&again, &service, "Once more").await;
    harbor
        .admin
        .delete(&harbor.path(&format!("/members/{}", sam.id)))
        .await
        .is(204);
    let left = hub.count("select count(*) from push_subscriptions s join users u on u.id = s.user_id where u.name = 'Sam'").await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_push_that_fails_is_tried_again_and_one_that_nobody_hears_is_forgotten() {
    let (hub, service) = start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.is_told(&harbor.admin, &service, "Laptop").await;

    service.answers(&[503, 429]);
    harbor.hears(MAYA, "One").await;
    let heard = service.heard(2).await;
    assert_eq!(heard[0].answered, 503);
    assert_eq!(heard[1].told, heard[0].told, "the same again");

    service.answers(&[410]);
    harbor.hears("+14155550177", "Two").await;
    let since = std::time::Instant::now();
    while hub.count("select count(*) from push_subscriptions").await > 0 {
        assert!(since.elapsed().as_secs() < 15, "it is forgotten");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_browser_is_told_only_by_a_service_outside_and_with_keys_of_its_own() {
    let (hub, service) = start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let path = harbor.path("/pushes");
    let good = service.subscribes("Laptop");
    let wrong = async |change: Value, field: &str| {
        let mut draft = good.clone();
        for (name, value) in change.as_object().unwrap() {
            draft[name] = value.clone();
        }
        let problem = harbor.admin.post(&path, draft).await.is(422);
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
    assert_eq!(harbor.admin.get(&path).await.is(200)["data"], json!([]));

    let first = harbor.admin.post(&path, good.clone()).await.is(201);
    let mut renamed = good.clone();
    renamed["name"] = json!("My laptop");
    let second = harbor.admin.post(&path, renamed).await.is(201);
    assert_eq!(
        (&first["id"], &second["name"]),
        (&second["id"], &json!("My laptop"))
    );
    let mine = harbor.admin.get(&path).await.is(200);
    assert_eq!(mine["data"].as_array().unwrap().len(), 1);
    assert_eq!(mine["public_key"].as_str().unwrap().len(), 87);
    for nth in 1..20 {
        harbor
            .admin
            .post(&path, service.subscribes(&nth.to_string()))
            .await
            .is(201);
    }
    let problem = harbor
        .admin
        .post(&path, service.subscribes("Too many"))
        .await
        .is(422);
    assert_eq!(problem["errors"][0]["field"], "endpoint");
}

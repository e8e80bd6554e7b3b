//! Scheduled texts, and what is checked again at their time.

use chrono::{Duration, SubsecRound, Utc};
use messagehub::domain::messages::schedule;
use serde_json::{Value, json};

use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, Person, Workspace, until};

async fn schedule_text(who: &Person, harbor: &Workspace<'_>, maya: &Value, at: &str) -> Answer {
    let draft =
        json!({"conversation_id": maya["id"], "content": "See you tomorrow", "scheduled_at": at});
    who.post(&harbor.path("/messages"), draft).await
}

fn tomorrow() -> String {
    (Utc::now() + Duration::days(1))
        .trunc_subsecs(0)
        .to_rfc3339()
}

/// Makes every scheduled text due and queues them; returns how many.
async fn queue_all(hub: &Hub) -> usize {
    sqlx::query("update messages set due_at = now() where status = 'scheduled'")
        .execute(&hub.superuser_pool)
        .await
        .unwrap();
    schedule::queue_due(&hub.server.app.db).await.unwrap()
}

async fn balance(harbor: &Workspace<'_>, agent: &Person) -> Value {
    let path = harbor.path(&format!("/credits/{}", agent.id));
    harbor.admin.get(&path).await.expect_status(200)["balance"].clone()
}

#[tokio::test]
async fn text_is_sent_at_its_time() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let at = tomorrow();
    let message = schedule_text(&harbor.admin, &harbor, &maya, &at)
        .await
        .expect_status(202)["message"]
        .clone();
    assert_eq!(message["status"], "scheduled");
    assert_eq!(
        message["scheduled_at"]
            .as_str()
            .unwrap()
            .parse::<chrono::DateTime<Utc>>()
            .unwrap(),
        at.parse::<chrono::DateTime<Utc>>().unwrap()
    );
    assert_eq!(hub.run_sender().await, 0);
    assert_eq!(schedule::queue_due(&hub.server.app.db).await.unwrap(), 0);
    let shown = harbor.conversation_with(MAYA).await;
    assert_eq!(
        (&shown["last_message_preview"], &shown["unread_count"]),
        (&json!("Hi"), &json!(1))
    );
    harbor.reply(&harbor.admin, &maya, "Right away").await;
    assert_eq!(hub.run_sender().await, 1);
    let mut live = harbor.admin.join_workspace(&harbor).await;

    assert_eq!(queue_all(&hub).await, 1);

    assert_eq!(live.wait_for("message_status").await["status"], "queued");
    assert_eq!(hub.run_sender().await, 1);
    assert_eq!(hub.twilio.sent("See you tomorrow").len(), 1);
    assert_eq!(
        harbor.conversation_with(MAYA).await["last_message_preview"],
        "See you tomorrow"
    );
    assert_eq!(queue_all(&hub).await, 0);
}

#[tokio::test]
async fn scheduled_text_can_be_changed_and_canceled_before() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    harbor.set_credits(&sam, 5).await;
    let one = schedule_text(&sam, &harbor, &maya, &tomorrow())
        .await
        .expect_status(202)["message"]
        .clone();
    let other = schedule_text(&sam, &harbor, &maya, &tomorrow())
        .await
        .expect_status(202)["message"]
        .clone();
    assert_eq!(balance(&harbor, &sam).await, 3, "credits are taken at once");
    let path =
        |message: &Value| harbor.path(&format!("/messages/{}", message["id"].as_str().unwrap()));

    lin.patch(&path(&one), json!({"content": "Mine now"}))
        .await
        .refused(404, "not_found");
    for wrong in [
        json!({"content": " "}),
        json!({"content": "x".repeat(1601)}),
        json!({"scheduled_at": "2020-01-01T00:00:00Z"}),
        json!({"scheduled_at": "soon"}),
    ] {
        sam.patch(&path(&one), wrong)
            .await
            .refused(422, "validation_failed");
    }
    let changed = sam
        .patch(&path(&one), json!({"content": "See you at 9"}))
        .await
        .expect_status(200);
    assert_eq!(
        (&changed["content"], &changed["scheduled_at"]),
        (&json!("See you at 9"), &one["scheduled_at"])
    );
    let canceled = sam
        .post(&format!("{}/cancel", path(&other)), json!({}))
        .await
        .expect_status(200);
    assert_eq!(canceled["status"], "canceled");
    assert_eq!(balance(&harbor, &sam).await, 4);

    assert_eq!(queue_all(&hub).await, 1);
    sam.patch(&path(&one), json!({"content": "Too late"}))
        .await
        .refused(409, "too_late");
    hub.run_sender().await;
    assert_eq!(hub.twilio.sent("See you at 9").len(), 1);
    assert_eq!(hub.twilio.messages().len(), 1);
}

#[tokio::test]
async fn scheduled_text_forbidden_at_its_time_fails_and_refunds() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let number = harbor.number(FRONT_DESK).await;
    let sam = harbor.agent("Sam").await;
    let scheduled = async || {
        harbor.assign_number(FRONT_DESK, &sam).await;
        harbor.set_credits(&sam, 5).await;
        schedule_text(&sam, &harbor, &maya, &tomorrow())
            .await
            .expect_status(202)["message"]
            .clone()
    };
    let stopped = async |message: &Value, code: &str| {
        assert_eq!(queue_all(&hub).await, 1);
        let stopped = harbor.message(&message["id"]).await;
        assert_eq!(
            (&stopped["status"], &stopped["error_code"]),
            (&json!("failed"), &json!(code))
        );
        assert!(stopped["error_message"].as_str().unwrap().len() > 20);
        assert_eq!(balance(&harbor, &sam).await, 5, "{code}");
        assert_eq!(hub.run_sender().await, 0);
    };

    let message = scheduled().await;
    harbor.receive_text(MAYA, "STOP").await;
    stopped(&message, "contact_opted_out").await;
    harbor.receive_text(MAYA, "START").await;

    let message = scheduled().await;
    let assignment = harbor.path(&format!("/numbers/{number}/members/{}", sam.id));
    harbor.admin.delete(&assignment).await.expect_status(204);
    stopped(&message, "number_not_assigned").await;

    let message = scheduled().await;
    let inactive = json!({"status": "inactive"});
    harbor
        .admin
        .patch(&harbor.path(&format!("/numbers/{number}")), inactive)
        .await
        .expect_status(200);
    stopped(&message, "integration_not_configured").await;
    assert!(hub.twilio.messages().is_empty());
}

#[tokio::test]
async fn two_servers_queue_each_text_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    for _ in 0..20 {
        schedule_text(&harbor.admin, &harbor, &maya, &tomorrow())
            .await
            .expect_status(202);
    }
    sqlx::query("update messages set due_at = now() where status = 'scheduled'")
        .execute(&hub.superuser_pool)
        .await
        .unwrap();
    let db = &hub.server.app.db;
    let (one, other) = tokio::join!(schedule::queue_due(db), schedule::queue_due(db));
    assert_eq!(one.unwrap() + other.unwrap(), 20);
    assert_eq!(hub.run_sender().await, 20);
    assert_eq!(hub.twilio.messages().len(), 20);
}

#[tokio::test]
async fn invalid_times_are_refused() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    for at in [
        "2020-01-01T00:00:00Z",
        "2199-01-01T00:00:00Z",
        "tomorrow",
        "",
        "+262142-12-31T23:59:59Z",
    ] {
        schedule_text(&harbor.admin, &harbor, &maya, at)
            .await
            .refused(422, "validation_failed");
    }
    assert_eq!(
        hub.count("select count(*) from messages where direction = 'outbound'")
            .await,
        0
    );
}

#[tokio::test]
async fn scheduled_texts_are_listed_by_time_and_access_and_can_be_sent_now() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    let at = |days| (Utc::now() + Duration::days(days)).to_rfc3339();
    let later = schedule_text(&sam, &harbor, &maya, &at(3))
        .await
        .expect_status(202)["message"]["id"]
        .clone();
    let sooner = schedule_text(&harbor.admin, &harbor, &maya, &at(2))
        .await
        .expect_status(202)["message"]["id"]
        .clone();
    let scheduled_ids = async |who: &Person, query: &str| -> Vec<Value> {
        let found = who
            .get(&harbor.path(&format!("/scheduled{query}")))
            .await
            .expect_status(200);
        let found = found["data"].as_array().unwrap().clone();
        found
            .iter()
            .map(|text| text["message"]["id"].clone())
            .collect()
    };
    assert_eq!(
        scheduled_ids(&sam, "").await,
        [sooner.clone(), later.clone()]
    );
    let mine = vec![later.clone()];
    assert_eq!(scheduled_ids(&sam, "?mine=true").await, mine);
    assert!(scheduled_ids(&lin, "").await.is_empty());
    let first = sam
        .get(&harbor.path("/scheduled?limit=1"))
        .await
        .expect_status(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(
        scheduled_ids(&sam, &format!("?limit=1&cursor={cursor}")).await,
        mine
    );

    let path = harbor.path(&format!("/messages/{}/send-now", later.as_str().unwrap()));
    lin.post(&path, json!({})).await.refused(404, "not_found");
    sam.post(&path, json!({})).await.expect_status(200);
    assert_eq!(schedule::queue_due(&hub.server.app.db).await.unwrap(), 1);
    assert_eq!(hub.run_sender().await, 1);
    sam.post(&path, json!({})).await.refused(409, "too_late");
    assert_eq!(scheduled_ids(&sam, "").await, [sooner]);
}

/// PostgreSQL and Rust compute the same preview for every text.
#[tokio::test]
async fn preview_is_the_same_in_rust_and_sql() {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;

    let hub = Hub::start().await;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let content = prop_oneof![
        ".{0,400}".prop_map(|text| text.replace('\0', "")),
        "[ \\t\\r\\n\u{85}\u{a0}\u{1680}\u{2003}\u{2028}\u{202f}\u{205f}\u{3000}\u{200b}ab🦷]{0,300}",
    ];
    let media = prop::option::of(prop::sample::select(vec![
        "image/png",
        "video/mp4",
        "audio/amr",
        "application/pdf",
        "images",
        "",
    ]));
    let (mut contents, mut types, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..2_000 {
        let (content, kind) = (&content, &media).new_tree(&mut runner).unwrap().current();
        let kinds: Vec<_> = kind.into_iter().collect();
        expected.push(messagehub::domain::messages::preview(&content, &kinds));
        contents.push(content);
        types.push(kind);
    }
    let shown: Vec<String> = sqlx::query_scalar(
        "select preview_text(content, kind) from unnest($1::text[], $2::text[]) with ordinality as t (content, kind, place) order by place",
    )
    .bind(&contents)
    .bind(&types)
    .fetch_all(&hub.superuser_pool)
    .await
    .unwrap();
    assert_eq!(shown.len(), contents.len());
    for ((content, shown), expected) in contents.iter().zip(shown).zip(expected) {
        assert_eq!(shown, expected, "{content:?}");
    }
}

#[tokio::test]
async fn queued_text_becomes_the_preview_of_its_conversation() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let draft = json!({"conversation_id": maya["id"], "content": format!("See  you\n\n{}", "x".repeat(200)), "scheduled_at": tomorrow()});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    assert_eq!(queue_all(&hub).await, 1);
    let shown = harbor.conversation_with(MAYA).await;
    let expected = format!("See you {}", "x".repeat(152));
    assert_eq!(shown["last_message_preview"], expected);
}

/// As a program does that lost the answer, and asks again when the time has come.
#[tokio::test]
async fn repeat_after_the_scheduled_time_gets_the_first_answer() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let at = Utc::now() + Duration::seconds(3);
    let draft =
        json!({"conversation_id": maya["id"], "content": "Now", "scheduled_at": at.to_rfc3339()});
    let first = harbor.admin.send_with_key(&harbor, "a-key", &draft).await;
    let first = first.expect_status(202)["message"]["id"].clone();
    until("the time has come", async || Utc::now() > at).await;

    let repeat = harbor.admin.send_with_key(&harbor, "a-key", &draft).await;
    assert_eq!(repeat.expect_status(202)["message"]["id"], first);
    harbor
        .admin
        .send_with_key(&harbor, "another-key", &draft)
        .await
        .refused(422, "validation_failed");
}

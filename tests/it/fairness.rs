//! A hanging provider of one workspace does not delay other workspaces.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;

use crate::emulator::Failure;
use crate::hub::{FRONT_DESK, Hub, MAYA, PNG, TOKEN, Workspace, until_within};

const OTHER_DESK: &str = "+16285550101";

/// A second workspace with its own account and number.
async fn bright(hub: &Hub) -> Workspace<'_> {
    let bright = hub.workspace("Bright Smiles").await;
    bright.connect_twilio(OTHER_DESK).await;
    bright
}

/// Calls of this account that contain `part` are never answered from now on.
fn hangs(hub: &Hub, workspace: &Workspace<'_>, part: &'static str) {
    let account = workspace.account.clone();
    hub.twilio.inject(Box::new(move |call| {
        (call.contains(&account) && call.contains(part)).then_some(Failure::Hang)
    }));
}

/// Queues one reply in each of `count` new conversations.
async fn answers_many(workspace: &Workspace<'_>, number: &str, count: usize) {
    let people: Vec<_> = (0..count).map(|nth| format!("+1415556{nth:04}")).collect();
    let twilio = &workspace.hub.twilio;
    let received = people.iter().map(|from| twilio.text(from, number, "Hi"));
    for answer in join_all(received).await {
        assert_eq!(answer.status(), 200);
    }
    let path = workspace.path("/conversations?limit=200");
    let conversations = workspace.admin.get(&path).await.expect_status(200);
    for conversation in conversations["data"].as_array().unwrap() {
        workspace
            .reply(&workspace.admin, conversation, "We have 3:30 free")
            .await;
    }
}

async fn receive_text(workspace: &Workspace<'_>, number: &str, from: &str) -> Value {
    let answer = workspace.hub.twilio.text(from, number, "Hello").await;
    assert_eq!(answer.status(), 200);
    workspace.conversation_with(from).await
}

#[tokio::test]
async fn texts_are_sent_within_a_second_while_another_provider_hangs() {
    let mut hub = Hub::start().await;
    hub.server.start_calls();
    let hub = hub;
    let (harbor, bright) = (
        hub.workspace("Harbor Dental").await.with_front_desk().await,
        bright(&hub).await,
    );
    let maya = receive_text(&bright, OTHER_DESK, MAYA).await;
    hangs(&hub, &harbor, "Messages.json");
    answers_many(&harbor, FRONT_DESK, 80).await;
    let stuck = || {
        hub.twilio
            .calls(&["POST", &harbor.account, "Messages.json"])
    };
    until_within(Duration::from_secs(10), "its calls hang", async || {
        stuck() >= 4
    })
    .await;

    bright.reply(&bright.admin, &maya, "Yes, come").await;

    until_within(
        Duration::from_secs(1),
        "the other tenant's text",
        async || !hub.twilio.sent("Yes, come").is_empty(),
    )
    .await;
    assert!(
        stuck() <= 16,
        "the workspace exceeds its share: {}",
        stuck()
    );
}

#[tokio::test]
async fn media_is_fetched_within_seconds_while_another_provider_hangs() {
    let mut hub = Hub::start().await;
    hub.server.start_calls();
    let hub = hub;
    let (harbor, bright) = (
        hub.workspace("Harbor Dental").await.with_front_desk().await,
        bright(&hub).await,
    );
    hangs(&hub, &harbor, "/Media/");
    let pictures = |workspace: &Workspace<'_>, to: &'static str, count: usize| {
        let console = hub.twilio.console(&workspace.account);
        let texts = (0..count).map(move |nth| {
            let sid = format!("MM{}{nth:04}", &console.sid[6..]);
            let url = console.media(&sid, "image/png", PNG);
            (sid, url, to)
        });
        texts.collect::<Vec<_>>()
    };
    let send = async |all: Vec<(String, String, &'static str)>| {
        for (sid, url, to) in all {
            let text = hub.twilio.inbound_text(MAYA, to, "");
            let answer = text.sid(&sid).media(&[&url]).send().await;
            assert_eq!(answer.status(), 200);
        }
    };
    send(pictures(&harbor, FRONT_DESK, 30)).await;
    let stuck = || hub.twilio.calls(&["GET", &harbor.account, "/Media/"]);
    until_within(Duration::from_secs(10), "its calls hang", async || {
        stuck() >= 4
    })
    .await;

    send(pictures(&bright, OTHER_DESK, 3)).await;

    until_within(
        Duration::from_secs(5),
        "the other tenant's pictures",
        async || {
            hub.count("select count(*) from message_media where stored_at is not null")
                .await
                == 3
        },
    )
    .await;
}

#[tokio::test]
async fn catch_up_runs_while_another_provider_hangs() {
    let mut hub = Hub::start().await;
    hub.server.start_calls();
    let hub = hub;
    let harbor = hub.workspace("Harbor Dental").await;
    let account = hub.twilio.account(&harbor.account, TOKEN);
    for nth in 0..60 {
        account.number(&format!("+1628555{nth:04}"));
    }
    harbor.connect_with(TOKEN).await.expect_status(201);
    hangs(&hub, &harbor, "Messages.json");
    hub.execute_sql(
        "update numbers set compared_until = null, catch_up_at = now() - interval '1 minute'",
    )
    .await;
    let stuck = || hub.twilio.calls(&["GET", &harbor.account, "Messages.json"]);
    until_within(Duration::from_secs(15), "its calls hang", async || {
        stuck() >= 8
    })
    .await;

    let bright = bright(&hub).await;
    until_within(
        Duration::from_secs(10),
        "the other tenant's number",
        async || {
            let numbers = bright
                .admin
                .get(&bright.path("/numbers"))
                .await
                .expect_status(200);
            numbers["data"][0]["compared_until"].is_string()
        },
    )
    .await;
}

#[tokio::test]
async fn leases_of_hanging_work_end_at_shutdown() {
    let mut hub = Hub::start().await;
    hub.server.start_calls();
    let texts = {
        let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
        hangs(&hub, &harbor, "Messages.json");
        answers_many(&harbor, FRONT_DESK, 20).await;
        let stuck = || {
            hub.twilio
                .calls(&["POST", &harbor.account, "Messages.json"])
        };
        until_within(Duration::from_secs(10), "its calls hang", async || {
            stuck() >= 16
        })
        .await;
        let sid = "MM00000000000000000000000000000042";
        let url = hub
            .twilio
            .console(&harbor.account)
            .media(sid, "image/png", PNG);
        hub.twilio.inject(Box::new(|call| {
            (call.contains("Messages.json") || call.contains("/Media/")).then_some(Failure::Hang)
        }));
        let text = hub.twilio.inbound_text(MAYA, FRONT_DESK, "").sid(sid);
        assert_eq!(text.media(&[&url]).send().await.status(), 200);
        until_within(Duration::from_secs(5), "its picture hangs", async || {
            hub.twilio.calls(&["GET", "/Media/"]) >= 1
        })
        .await;
        stuck()
    };
    let Hub {
        server,
        superuser_pool,
        ..
    } = hub;
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10));

    let count = async |sql: &'static str| -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&superuser_pool)
            .await
            .unwrap()
    };
    let unknown = count("select count(*) from messages where status = 'unconfirmed'").await;
    assert_eq!(
        unknown,
        i64::try_from(texts).unwrap(),
        "they may have been accepted"
    );
    let leased = "select count(*) from messages where status = 'sending'";
    assert_eq!(count(leased).await, 0);
    let unfetched =
        "select count(*) from message_media where fetch_at > now() and stored_at is null";
    assert_eq!(
        count(unfetched).await,
        0,
        "another server may fetch it at once"
    );
    let queued = "select count(*) from messages where status = 'queued'";
    assert_eq!(count(queued).await, 4);
}

#[tokio::test]
async fn usage_sync_runs_while_another_provider_hangs() {
    let mut hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let account = harbor.account.clone();
    drop(harbor);
    let other = bright(&hub).await.account;
    // The account that hangs is due first.
    hub.execute_sql(
        "update integrations set usage_due_at = now() - interval '1 day' where account like 'AC%'",
    )
    .await;
    let hanging = account.clone();
    hub.twilio.inject(Box::new(move |call| {
        (call.contains(&hanging) && call.contains("Usage")).then_some(Failure::Hang)
    }));
    hub.server.start_calls();
    let hub = hub;
    let usage_calls = |account: &str| hub.twilio.calls(&["GET", account, "Usage"]);
    until_within(Duration::from_secs(10), "its call hangs", async || {
        usage_calls(&account) > 0
    })
    .await;
    until_within(
        Duration::from_secs(10),
        "the other one is asked",
        async || usage_calls(&other) > 0,
    )
    .await;
}

//! Aborts the sender at every step in turn. Afterwards each text was sent exactly once and has its status.

use serde_json::Value;
use sqlx::ConnectOptions;

use crate::emulator::Failure;
use crate::hub::{FRONT_DESK, Hub, KEYS, MAYA, Workspace, until};
use crate::process::{DataDir, Process, run_until_abort};
use crate::telnyx;

#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Twilio,
    Telnyx,
}

const BOTH: [At; 2] = [At::Twilio, At::Telnyx];
/// Two equal texts: a repeat must match its own.
const TEXTS: [&str; 3] = ["We have 3:30 free", "Ok", "Ok"];

/// Queued texts of one conversation, and a server that does not send by itself.
async fn queue_texts(hub: &Hub, at: At) -> (Workspace<'_>, Vec<Value>) {
    let harbor = match at {
        At::Twilio => hub.workspace("Harbor Dental").await.with_front_desk().await,
        At::Telnyx => telnyx::front_desk(hub).await.0,
    };
    let maya = match at {
        At::Twilio => harbor.receive_text(MAYA, "Hi").await,
        At::Telnyx => telnyx::receive_text(&harbor, "Hi").await,
    };
    let mut queued = Vec::new();
    for text in TEXTS {
        queued.push(harbor.reply(&harbor.admin, &maya, text).await);
    }
    (harbor, queued)
}

fn settings<'a>(hub: &'a Hub, url: &'a str, base: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut settings = vec![
        ("DATABASE_URL", url),
        ("BASE_URL", base),
        ("TWILIO_API_BASE_URL", hub.twilio.url()),
        ("TELNYX_API_BASE_URL", hub.telnyx.url()),
    ];
    settings.extend(KEYS);
    settings
}

fn accepted_ids(hub: &Hub, at: At, text: &str) -> Vec<String> {
    match at {
        At::Twilio => hub.twilio.sent(text).into_iter().map(|m| m.sid).collect(),
        At::Telnyx => hub.telnyx.sent(text).into_iter().map(|m| m.id).collect(),
    }
}

/// The next send has this fault; other calls succeed.
fn next_text(hub: &Hub, at: At, failure: Failure) {
    let mut failure = Some(failure);
    let dice = Box::new(move |call: &str| failure.take_if(|_| call.starts_with("POST")));
    match at {
        At::Twilio => _ = hub.twilio.inject(dice),
        At::Telnyx => _ = hub.telnyx.inject(dice),
    }
}

/// This server finishes what the aborted one began; only time moves forward.
async fn recover(hub: &Hub) {
    hub.execute_sql("update messages set lease_until = now() where status = 'sending'")
        .await;
    // PostgreSQL releases the locks of the aborted server once it notices.
    until("every text has its outcome", async || {
        hub.execute_sql(
            "update messages set due_at = now() where status in ('queued', 'unconfirmed')",
        )
        .await;
        hub.run_sender().await;
        hub.server.outcome_resolver.run_once().await.unwrap();
        let left =
            "select count(*) from messages where status in ('queued', 'sending', 'unconfirmed')";
        hub.count(left).await == 0
    })
    .await;
}

async fn assert_each_sent_once(
    hub: &Hub,
    at: At,
    harbor: &Workspace<'_>,
    queued: &[Value],
    point: &str,
) {
    for text in ["We have 3:30 free", "Ok"] {
        let expected = TEXTS.iter().filter(|one| **one == text).count();
        let sids = accepted_ids(hub, at, text);
        assert_eq!(sids.len(), expected, "{text:?} at {at:?}, died {point}");
        for sid in sids {
            match at {
                At::Twilio => hub.twilio.delivers(&sid).await,
                At::Telnyx => hub.telnyx.delivers(&sid).await,
            }
        }
    }
    let mut known = std::collections::HashSet::new();
    for message in queued {
        let now = harbor.message(&message["id"]).await;
        assert_eq!(now["status"], "delivered", "at {at:?}, died {point}: {now}");
        assert!(
            known.insert(now["provider_sid"].to_string()),
            "each has its own provider id"
        );
    }
}

async fn assert_sent_once_after_abort(at: At, point: &str, before: impl AsyncFnOnce(&Hub)) {
    let (hub, data_dir) = (Hub::start().await, DataDir::new());
    let (harbor, queued) = queue_texts(&hub, at).await;
    before(&hub).await;
    let (url, base) = (hub.database.to_url_lossy().to_string(), hub.url(""));
    let mut aborting = settings(&hub, &url, &base);
    aborting.push(("DIES_AT", point));
    run_until_abort(&data_dir.data(), &aborting).await;
    recover(&hub).await;
    assert_each_sent_once(&hub, at, &harbor, &queued, point).await;
}

#[tokio::test]
async fn sender_abort_at_any_point_sends_once() {
    for at in BOTH {
        for point in [
            "before the lease",
            "after the lease",
            "before the request",
            "after the answer",
            "before the outcome is stored",
            "after the outcome is stored",
        ] {
            assert_sent_once_after_abort(at, point, async |_| {}).await;
        }
    }
}

#[tokio::test]
async fn outcome_resolver_abort_at_any_point_sends_once() {
    for at in BOTH {
        for point in ["before the lookup", "after the lookup"] {
            for lost in [Failure::AcceptThenDrop, Failure::Drop] {
                assert_sent_once_after_abort(at, point, async |hub| {
                    next_text(hub, at, lost.clone());
                    assert_eq!(hub.run_sender().await, 3);
                    // It aborts during the last check, whose result must not be lost.
                    hub.execute_sql("update messages set due_at = now(), outcome_checks = 3 where status = 'unconfirmed'")
                        .await;
                })
                .await;
            }
        }
    }
}

#[tokio::test]
async fn orphan_recovery_survives_an_abort() {
    for at in BOTH {
        assert_sent_once_after_abort(at, "while marking orphans unconfirmed", async |hub| {
            hub.execute_sql("update messages set status = 'sending', attempts = 1, lease_until = now() where content like 'We have%'")
                .await;
        })
        .await;
    }
}

#[tokio::test]
async fn expired_text_is_refunded_once_despite_an_abort() {
    let (hub, data_dir) = (Hub::start().await, DataDir::new());
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    harbor.set_credits(&sam, 5).await;
    let text = harbor.reply(&sam, &maya, "We open at 8").await;
    hub.execute_sql("update messages set expires_at = now() where status = 'queued'")
        .await;
    let (url, base) = (hub.database.to_url_lossy().to_string(), hub.url(""));
    let mut aborting = settings(&hub, &url, &base);
    aborting.push(("DIES_AT", "while failing expired texts"));
    run_until_abort(&data_dir.data(), &aborting).await;
    assert_eq!(harbor.message(&text["id"]).await["status"], "queued");
    hub.run_sender().await;
    hub.run_sender().await;
    assert_eq!(harbor.message(&text["id"]).await["error_code"], "expired");
    let path = harbor.path(&format!("/credits/{}", sam.id));
    assert_eq!(
        harbor.admin.get(&path).await.expect_status(200)["balance"],
        5
    );
    assert!(hub.twilio.messages().is_empty());
}

#[tokio::test]
async fn kill_during_the_provider_request_sends_once() {
    for at in BOTH {
        for (failure, is_taken) in [(Failure::AcceptThenHang, true), (Failure::Hang, false)] {
            let (hub, data_dir) = (Hub::start().await, DataDir::new());
            let (harbor, queued) = queue_texts(&hub, at).await;
            next_text(&hub, at, failure);
            let (url, base) = (hub.database.to_url_lossy().to_string(), hub.url(""));
            let calls = || match at {
                At::Twilio => hub.twilio.calls(&["POST", "Messages"]),
                At::Telnyx => hub.telnyx.calls(&["POST", "messages"]),
            };
            let server = Process::start(&data_dir.data(), &settings(&hub, &url, &base));
            until("the request is under way", async || {
                calls() > 0 && (!is_taken || !accepted_ids(&hub, at, TEXTS[0]).is_empty())
            })
            .await;
            server.kill();
            let sending = "select count(*) from messages where status = 'sending'";
            assert_eq!(hub.count(sending).await, 1, "one text is in flight");
            recover(&hub).await;
            assert_each_sent_once(&hub, at, &harbor, &queued, "while asked").await;
        }
    }
}

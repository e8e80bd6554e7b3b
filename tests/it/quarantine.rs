//! Quarantine: calls with an invalid signature are refused and kept, and an admin releases or discards them.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::hub::{FRONT_DESK, Hub, MAYA, TOKEN, Workspace, serve};

async fn quarantined_calls(harbor: &Workspace<'_>) -> Vec<Value> {
    let page = harbor
        .admin
        .get(&harbor.path("/quarantine"))
        .await
        .expect_status(200);
    page["data"].as_array().unwrap().clone()
}

async fn settle(harbor: &Workspace<'_>, call: &Value, how: &str) -> Value {
    let id = call["id"].as_str().unwrap();
    let path = harbor.path(&format!("/quarantine/{id}/{how}"));
    harbor.admin.post(&path, json!({})).await.expect_status(200)
}

async fn inbound_path(harbor: &Workspace<'_>) -> String {
    let integrations = harbor
        .admin
        .get(&harbor.path("/integrations"))
        .await
        .expect_status(200);
    let id = integrations["data"][0]["id"].as_str().unwrap();
    format!("/webhooks/twilio/{id}/inbound")
}

async fn texts(harbor: &Workspace<'_>) -> i64 {
    let page = harbor
        .admin
        .get(&harbor.path("/messages"))
        .await
        .expect_status(200);
    page["data"].as_array().unwrap().len() as i64
}

#[tokio::test]
async fn unverified_call_waits_and_is_released_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let text = || {
        let text = hub
            .twilio
            .inbound_text(MAYA, FRONT_DESK, "Is 3:30 still free?");
        text.sid("SM000000000000000000000000000000aa")
    };
    for _ in 0..3 {
        let refused = text().signed_with("the token before").send().await;
        assert_eq!(refused.status(), 403);
    }
    assert_eq!(texts(&harbor).await, 0, "not in the inbox");
    let kept = quarantined_calls(&harbor).await;
    assert_eq!(kept.len(), 1);
    let call = &kept[0];
    assert_eq!(
        (&call["times"], &call["state"]),
        (&json!(3), &json!("waiting"))
    );
    assert_eq!(
        (&call["sender"], &call["phone_number"]),
        (&json!(MAYA), &json!(FRONT_DESK))
    );
    assert!(
        call["url"]
            .as_str()
            .unwrap()
            .starts_with(&hub.url("/webhooks/twilio/"))
    );
    let cause = call["cause"].as_str().unwrap();
    assert!(cause.contains("rotated"), "{cause}");
    let result = call["parameters"].as_array().unwrap();
    assert!(result.contains(&json!({"name": "Body", "value": "Is 3:30 still free?"})));
    assert!(!call.to_string().contains(TOKEN));
    let mut live = harbor.admin.join_workspace(&harbor).await;

    let released = settle(&harbor, call, "release").await;

    assert_eq!(released["state"], "released");
    assert_eq!(
        released["parameters"],
        json!([]),
        "it is stored in the inbox"
    );
    let received = live.wait_for("new_message").await;
    assert_eq!(received["message"]["content"], "Is 3:30 still free?");
    let created_at = call["created_at"].as_str().unwrap();
    assert_eq!(
        &received["message"]["created_at"].as_str().unwrap()[..19],
        &created_at[..19]
    );
    // Released again, delivered by the provider after all, and discarded: it stays released.
    settle(&harbor, call, "release").await;
    assert_eq!(text().send().await.status(), 200);
    assert_eq!(settle(&harbor, call, "discard").await["state"], "released");
    assert_eq!(texts(&harbor).await, 1);
    assert!(quarantined_calls(&harbor).await.is_empty());
    assert_eq!(harbor.conversation_with(MAYA).await["unread_count"], 1);
    let audit = harbor
        .admin
        .get(&harbor.path("/audit?action=quarantine_released"))
        .await
        .expect_status(200);
    assert_eq!(audit["data"].as_array().unwrap().len(), 1);
    assert_eq!(audit["data"][0]["actor_id"], harbor.admin.id);
}

#[tokio::test]
async fn wrong_base_url_is_diagnosed() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let settings = [("BASE_URL", "https://inbox.example")];
    let wrong = serve(&hub.database, &hub.twilio, &settings).await;
    let path = inbound_path(&harbor).await;
    let origin = format!("http://{}", wrong.address);
    for (at, says) in [
        (
            path.clone(),
            vec![origin.as_str(), "https://inbox.example", "BASE_URL"],
        ),
        (format!("{path}?x=1"), vec![origin.as_str()]),
    ] {
        let text = hub.twilio.inbound_text(MAYA, FRONT_DESK, &at);
        let answer = text.at(&format!("{origin}{at}")).send().await;
        assert_eq!(answer.status(), 403);
        let kept = quarantined_calls(&harbor).await;
        let cause = kept[0]["cause"].as_str().unwrap();
        assert!(says.iter().all(|word| cause.contains(word)), "{cause}");
    }
    // Without a signature.
    let answer = hub
        .twilio
        .inbound_text(MAYA, FRONT_DESK, "slash")
        .at(&format!("{origin}{path}"));
    let answer = answer.with_signature("").send().await;
    assert_eq!(answer.status(), 403);
    let cause = quarantined_calls(&harbor).await[0]["cause"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(cause.contains("no signature"), "{cause}");
    wrong.stop().await;
}

#[tokio::test]
async fn waiting_calls_are_released_unchanged_or_discarded() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Before").await;
    for body in ["One", "Two", "Three", "STOP"] {
        let text = hub.twilio.inbound_text(MAYA, FRONT_DESK, body);
        text.signed_with("the token before").send().await;
    }
    hub.twilio.text(MAYA, FRONT_DESK, "After").await;
    assert_eq!(harbor.conversation_with(MAYA).await["opted_out"], false);

    let release = harbor.path("/quarantine/release");
    let settled = harbor
        .admin
        .post(&release, json!({}))
        .await
        .expect_status(200);
    assert_eq!(settled, json!({"settled": 4, "failed": 0, "waiting": 0}));

    let maya = harbor.conversation_with(MAYA).await;
    let thread = harbor.thread(&maya).await;
    let order: Vec<_> = thread
        .iter()
        .map(|text| text["content"].as_str().unwrap())
        .collect();
    assert_eq!(order, ["Before", "One", "Two", "Three", "STOP", "After"]);
    assert_eq!(maya["last_message_preview"], "After", "it stays the newest");
    assert_eq!(maya["unread_count"], 6);
    assert_eq!(maya["opted_out"], true, "a released STOP applies");

    let text = hub.twilio.inbound_text(MAYA, FRONT_DESK, "Forged");
    text.signed_with("nonsense").send().await;
    let discard = harbor.path("/quarantine/discard");
    let number = json!({"number_id": harbor.number(FRONT_DESK).await});
    let settled = harbor.admin.post(&discard, number).await.expect_status(200);
    assert_eq!(settled["settled"], 1);
    assert_eq!(texts(&harbor).await, 6);
    assert_eq!(
        hub.count("select count(*) from quarantine where length(body) > 0")
            .await,
        0
    );
    let discarded = harbor
        .admin
        .get(&harbor.path("/quarantine?state=discarded"))
        .await
        .expect_status(200);
    assert_eq!(discarded["data"][0]["parameters"], json!([]));
}

#[tokio::test]
async fn unverified_calls_are_rate_limited() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let forged = |nth: usize, body: &str| {
        let text = hub.twilio.inbound_text(MAYA, FRONT_DESK, body);
        text.sid(&format!("SM{nth:032x}")).signed_with("a guess")
    };
    assert_eq!(forged(0, &"x".repeat(20_000)).send().await.status(), 403);
    assert_eq!(hub.count("select count(*) from quarantine").await, 0);
    let unknown_number = forged(0, "Hi").with("To", "+16285550999").send().await;
    assert_eq!(unknown_number.status(), 403);
    assert_eq!(hub.count("select count(*) from quarantine").await, 0);

    // The limit per minute.
    let flood = (1..200).map(|nth| async move { forged(nth, "Hi").send().await.status() });
    assert!(join_all(flood).await.iter().all(|status| *status == 403));
    let kept = hub.count("select count(*) from quarantine").await;
    assert!((100..=120).contains(&kept), "{kept}");
    // Valid calls are accepted meanwhile.
    harbor.receive_text(MAYA, "I am real").await;

    // The limit per number: 1,000.
    hub.execute_sql(
        "insert into quarantine (workspace_id, integration_id, number_id, provider, kind, provider_sid, method, url, body, cause, fingerprint)
         select q.workspace_id, q.integration_id, q.number_id, q.provider, q.kind, n::text, q.method, q.url, q.body, q.cause, int4send(n)
           from (select * from quarantine limit 1) q, generate_series(1, 1000) n",
    )
    .await;
    let fresh = serve(&hub.database, &hub.twilio, &[]).await;
    let before = hub.count("select count(*) from quarantine").await;
    let path = inbound_path(&harbor).await;
    let url = format!("http://{}{path}", fresh.address);
    assert_eq!(forged(500, "Hi").at(&url).send().await.status(), 403);
    assert_eq!(hub.count("select count(*) from quarantine").await, before);
    fresh.stop().await;
}

#[tokio::test]
async fn reports_can_be_quarantined() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let message = harbor.reply(&harbor.admin, &maya, "Hello").await;
    hub.run_sender().await;
    let sent = hub.twilio.sent("Hello")[0].clone();
    let form: Vec<(String, String)> = [
        ("MessageSid", sent.sid.as_str()),
        ("MessageStatus", "delivered"),
        ("AccountSid", &harbor.account),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    for url in [sent.status_callback.unwrap(), hub.url("/twilio/status")] {
        let answer = hub.twilio.posts(&url, "the token before", &form).await;
        assert_eq!(answer.status(), 403);
    }
    assert_eq!(harbor.message(&message["id"]).await["status"], "sent");
    let kept = quarantined_calls(&harbor).await;
    assert_eq!(kept.len(), 2, "one has our message id in its URL: {kept:?}");

    let released = harbor
        .admin
        .post(&harbor.path("/quarantine/release"), json!({}))
        .await
        .expect_status(200);
    assert_eq!(released["settled"], 2);
    assert_eq!(harbor.message(&message["id"]).await["status"], "delivered");
}

#[tokio::test]
async fn telnyx_mismatch_distinguishes_clock_and_stranger() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let key = "KEY0192A3B4C5D6E7F8_abcdefghijklmnop";
    let customer = hub.telnyx.account(key);
    customer.number(FRONT_DESK);
    let credentials = json!({"api_key": key, "public_key": customer.public_key()});
    let form = json!({"provider": "telnyx", "credentials": credentials});
    harbor
        .admin
        .post(&harbor.path("/integrations"), form)
        .await
        .expect_status(201);
    let text = |body: &str| hub.telnyx.inbound_text(MAYA, FRONT_DESK, body);

    let late = text("Late").signed_seconds_ago(301).send().await;
    assert_eq!(late.status(), 403);
    let cause = quarantined_calls(&harbor).await[0]["cause"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(cause.contains("clock"), "{cause}");
    let forged = text("Forged").signed_by_somebody_else().send().await;
    assert_eq!(forged.status(), 403);
    let kept = quarantined_calls(&harbor).await;
    let cause = kept[0]["cause"].as_str().unwrap();
    assert!(
        cause.contains("doesn’t match") && cause.contains("Telnyx"),
        "{cause}"
    );
    let result = kept[0]["parameters"].as_array().unwrap();
    assert!(
        result.contains(&json!({"name": "data.payload.text", "value": "Forged"})),
        "{result:?}"
    );

    settle(&harbor, &kept[0], "discard").await;
    settle(&harbor, &kept[1], "release").await;
    assert_eq!(
        harbor.conversation_with(MAYA).await["last_message_preview"],
        "Late"
    );
    assert_eq!(texts(&harbor).await, 1);
}

/// Calls that cannot be released, because their number is gone, do not block others.
#[tokio::test]
async fn unreleasable_calls_do_not_block_others() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let forged = hub.twilio.inbound_text("+14155550170", FRONT_DESK, "Old");
    assert_eq!(
        forged.signed_with("the token before").send().await.status(),
        403
    );
    // 250 calls to a number that was removed.
    hub.execute_sql("insert into quarantine (workspace_id, integration_id, provider, kind, provider_sid, sender, method, url, content_type, body, cause, fingerprint)
                 select q.workspace_id, q.integration_id, q.provider, q.kind, 'SM' || n, q.sender, q.method, q.url, q.content_type,
                        replace(convert_from(q.body, 'UTF8'), '6285550100', '6285550999')::bytea, q.cause, decode(md5(n::text), 'hex')
                   from quarantine q, generate_series(1, 250) n")
        .await;
    hub.execute_sql("delete from quarantine where number_id is not null")
        .await;
    let newest = hub.twilio.inbound_text(MAYA, FRONT_DESK, "New");
    assert_eq!(
        newest.signed_with("the token before").send().await.status(),
        403
    );

    let release = harbor.path("/quarantine/release");
    let first = harbor
        .admin
        .post(&release, json!({}))
        .await
        .expect_status(200);
    assert_eq!(first, json!({"settled": 0, "failed": 200, "waiting": 251}));
    let second = harbor
        .admin
        .post(&release, json!({}))
        .await
        .expect_status(200);
    assert_eq!(second, json!({"settled": 1, "failed": 199, "waiting": 250}));
    assert_eq!(
        harbor.conversation_with(MAYA).await["last_message_preview"],
        "New"
    );
    let audit = harbor.path("/audit?action=quarantine_released");
    let audit = harbor.admin.get(&audit).await.expect_status(200);
    assert_eq!(audit["data"].as_array().unwrap().len(), 1);
    assert_eq!(audit["data"][0]["after"]["sender"], MAYA);
}

//! Status reports: in bursts, in any order and repeated, each text gets its right status.

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};

use crate::hub::{FRONT_DESK, Hub, MAYA, TOKEN, Workspace};

/// Sends this many texts to as many contacts and marks them as accepted by Twilio; returns the SIDs.
async fn accepted_texts(harbor: &Workspace<'_>, texts: usize) -> Vec<String> {
    let sids = (0..texts).map(|nth| format!("SM{nth:032x}"));
    for nth in 0..texts {
        let draft = json!({"to": format!("+1415555{nth:04}"), "content": "Recall"});
        harbor
            .admin
            .post(&harbor.path("/messages"), draft)
            .await
            .expect_status(202);
    }
    harbor
        .hub
        .execute_sql(
            "update messages m set status = 'sent', due_at = null, provider_sid = 'SM' || lpad(to_hex(t.nth - 1), 32, '0')
               from (select id, row_number() over (order by id) as nth from messages) t
              where m.id = t.id",
        )
        .await;
    sids.collect()
}

struct Callbacks<'a> {
    harbor: &'a Workspace<'a>,
    url: String,
}

impl<'a> Callbacks<'a> {
    async fn of(harbor: &'a Workspace<'a>) -> Self {
        let integrations = harbor
            .admin
            .get(&harbor.path("/integrations"))
            .await
            .expect_status(200);
        let id = integrations["data"][0]["id"].as_str().unwrap();
        let url = harbor.hub.url(&format!("/webhooks/twilio/{id}/status"));
        Self { harbor, url }
    }

    async fn post(&self, sid: &str, status: &str, more: &[(&str, &str)]) -> u16 {
        let mut form: Vec<(String, String)> = [
            ("MessageSid", sid),
            ("MessageStatus", status),
            ("AccountSid", &self.harbor.account),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
        form.extend(
            more.iter()
                .map(|(name, value)| ((*name).into(), (*value).into())),
        );
        let answer = self.harbor.hub.twilio.posts(&self.url, TOKEN, &form).await;
        answer.status().as_u16()
    }
}

async fn at(harbor: &Workspace<'_>, sid: &str) -> Value {
    let page = harbor
        .admin
        .get(&harbor.path("/messages?limit=200"))
        .await
        .expect_status(200);
    let mut messages = page["data"].as_array().unwrap().iter();
    let found = messages.find(|message| message["provider_sid"] == sid);
    found.expect("there is such a text").clone()
}

#[tokio::test]
async fn concurrent_reports_share_transactions_and_apply_correctly() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sids = accepted_texts(&harbor, 100).await;
    let callbacks = &Callbacks::of(&harbor).await;
    // Late, early, repeated, unknown and for unknown texts: 1,000 of them, 64 at once, in scrambled order.
    let statuses = [
        "delivered",
        "sent",
        "queued",
        "waltzing",
        "delivered",
        "sending",
        "sent",
        "undelivered",
        "delivered",
    ];
    let mut calls: Vec<(String, &str)> = statuses
        .iter()
        .flat_map(|word| sids.iter().map(|sid| (sid.clone(), *word)))
        .collect();
    calls.extend((0..100).map(|nth| (format!("SMnobody{nth}"), "delivered")));
    let calls = &calls;
    let order = |nth: usize| (nth * 7_919) % 1_000;
    let flood = stream::iter((0..calls.len()).map(order)).map(|nth| async move {
        let (sid, word) = (calls[nth].0.as_str(), calls[nth].1);
        loop {
            // A busy machine asks the provider to retry.
            match callbacks.post(sid, word, &[]).await {
                503 => tokio::task::yield_now().await,
                reached => return reached,
            }
        }
    });
    let flood = flood.buffer_unordered(64).collect::<Vec<u16>>();
    let browse = async {
        for _ in 0..20 {
            harbor
                .admin
                .get(&harbor.path("/conversations"))
                .await
                .expect_status(200);
        }
    };
    let (answers, ()) = tokio::join!(flood, browse);

    let good = answers.iter().filter(|status| **status == 204).count();
    let unknown = answers.iter().filter(|status| **status == 404).count();
    assert_eq!((good, unknown), (900, 100));
    // Delivered or undelivered, whichever came first.
    assert_eq!(
        hub.count("select count(*) from messages where status in ('delivered', 'undelivered')")
            .await,
        100
    );
    assert_eq!(
        hub.count(
            "select count(*) from conversations v join messages m on m.id = v.last_message_id where m.status <> v.last_message_status"
        )
        .await,
        0
    );
    assert_eq!(
        hub.count("select count(*) from webhooks where kind = 'status'")
            .await,
        1_000
    );
    let transactions = hub
        .count("select count(distinct xmin::text) from webhooks where kind = 'status'")
        .await;
    assert!(
        transactions <= 500,
        "{transactions} transactions for 1,000 reports"
    );
}

#[tokio::test]
async fn repeated_report_writes_nothing() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sid = accepted_texts(&harbor, 1).await.remove(0);
    let callbacks = Callbacks::of(&harbor).await;
    for (status, code) in [
        ("undelivered", "30003"),
        ("undelivered", "30005"),
        ("sent", "0"),
        ("delivered", "0"),
    ] {
        assert_eq!(
            callbacks.post(&sid, status, &[("ErrorCode", code)]).await,
            204
        );
    }
    let before = at(&harbor, &sid).await;
    assert_eq!(
        (&before["status"], &before["error_code"]),
        (&json!("undelivered"), &json!("30003"))
    );
    let row = "select xmin::text::bigint from messages";
    let written = hub.count(row).await;
    for _ in 0..3 {
        assert_eq!(callbacks.post(&sid, "delivered", &[]).await, 204);
    }
    assert_eq!(hub.count(row).await, written);
    assert_eq!(at(&harbor, &sid).await, before);
}

#[tokio::test]
async fn opt_out_is_recorded_from_report_and_send_response() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sid = accepted_texts(&harbor, 1).await.remove(0);
    let callbacks = Callbacks::of(&harbor).await;
    let phone = "+14155550000";
    assert_eq!(harbor.conversation_with(phone).await["opted_out"], false);
    for _ in 0..2 {
        assert_eq!(
            callbacks
                .post(&sid, "failed", &[("ErrorCode", "21610")])
                .await,
            204
        );
    }
    let conversation = harbor.conversation_with(phone).await;
    assert_eq!(conversation["opted_out"], true);
    let path = format!(
        "/contacts/{}/consent",
        conversation["contact_id"].as_str().unwrap()
    );
    let history = harbor
        .admin
        .get(&harbor.path(&path))
        .await
        .expect_status(200);
    assert_eq!(history["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&history["data"][0]["source"], &history["data"][0]["proof"]),
        (&json!("provider"), &json!("21610"))
    );
}

#[tokio::test]
async fn price_and_segments_are_filled_in_from_late_reports() {
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
    assert_eq!(hub.telnyx.text(MAYA, FRONT_DESK, "Hi").await.status(), 200);
    let maya = harbor.conversation_with(MAYA).await;
    let message = harbor.reply(&harbor.admin, &maya, "Hello").await;
    hub.run_sender().await;
    let id = hub.telnyx.sent("Hello")[0].id.clone();
    hub.execute_sql("update messages set price = null, price_unit = null, segments = 1 where direction = 'outbound'")
        .await;

    let result = |status: &str, cost: Value, parts: Value| {
        let report = hub.telnyx.reporting(&id, status, None);
        report.with("cost", cost).with("parts", parts).send()
    };
    result("delivered", Value::Null, Value::Null).await;
    let delivered = harbor.message(&message["id"]).await;
    assert_eq!(
        (&delivered["status"], &delivered["price"]),
        (&json!("delivered"), &Value::Null)
    );
    result(
        "delivered",
        json!({"amount": "0.0080", "currency": "USD"}),
        json!(2),
    )
    .await;
    for odd in [
        json!({"amount": "much", "currency": "USD"}),
        json!({"amount": "0.0080", "currency": "USD"}),
    ] {
        result("sent", odd, json!(0)).await;
    }
    let delivered = harbor.message(&message["id"]).await;
    assert_eq!(delivered["status"], "delivered");
    assert_eq!(
        (&delivered["price"], &delivered["segments"]),
        (&json!("0.0080"), &json!(2))
    );
}

//! The sender pool: distributes texts over several numbers on request.

use std::collections::HashMap;

use serde_json::json;

use crate::hub::{FRONT_DESK, Hub, MAYA, Person, Workspace};

const NUMBERS: [&str; 3] = [FRONT_DESK, "+16285550101", "+16285550102"];

async fn three_numbers(hub: &Hub) -> Workspace<'_> {
    let harbor = hub.workspace("Harbor Dental").await;
    let customer = hub.twilio.account(&harbor.account, crate::hub::TOKEN);
    for number in NUMBERS {
        customer.number(number);
    }
    harbor
        .connect_with(crate::hub::TOKEN)
        .await
        .expect_status(201);
    harbor
}

async fn send_spread(harbor: &Workspace<'_>, who: &Person, to: &str) -> String {
    let draft = json!({"to": to, "content": "Your visit is due", "spread": true});
    let sent = who
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    sent["message"]["number_id"].as_str().unwrap().to_owned()
}

fn phone(n: usize) -> String {
    format!("+1415555{:04}", 2000 + n)
}

#[tokio::test]
async fn pool_distributes_texts_and_keeps_the_number_of_a_contact() {
    let hub = Hub::start().await;
    let harbor = three_numbers(&hub).await;
    let mut chosen: HashMap<String, usize> = HashMap::new();
    for n in 0..12 {
        *chosen
            .entry(send_spread(&harbor, &harbor.admin, &phone(n)).await)
            .or_default() += 1;
        // Some are sent in between, some stay queued.
        if n % 2 == 0 {
            hub.run_sender().await;
        }
    }
    hub.run_sender().await;
    let mut counts: Vec<_> = chosen.values().copied().collect();
    counts.sort_unstable();
    assert!(counts.len() == 3 && counts[0] >= 2, "{chosen:?}");

    let first = harbor.conversation_with(&phone(0)).await["number_id"].clone();
    for _ in 0..4 {
        assert_eq!(send_spread(&harbor, &harbor.admin, &phone(0)).await, first);
    }
    harbor.receive_text(MAYA, "Hello, front desk").await;
    let front_desk = harbor.number(FRONT_DESK).await;
    assert_eq!(send_spread(&harbor, &harbor.admin, MAYA).await, front_desk);
}

#[tokio::test]
async fn slow_number_gets_fewer_texts_and_a_disabled_one_none() {
    let hub = Hub::start().await;
    let harbor = three_numbers(&hub).await;
    let numbers = [
        harbor.number(NUMBERS[0]).await,
        harbor.number(NUMBERS[1]).await,
        harbor.number(NUMBERS[2]).await,
    ];
    let change = async |number: &str, change| {
        let path = harbor.path(&format!("/numbers/{number}"));
        harbor.admin.patch(&path, change).await.expect_status(200);
    };
    change(&numbers[0], json!({"messages_per_second": 1})).await;
    change(&numbers[1], json!({"messages_per_second": 3})).await;
    change(&numbers[2], json!({"status": "inactive"})).await;

    let mut chosen: HashMap<String, usize> = HashMap::new();
    for n in 0..12 {
        *chosen
            .entry(send_spread(&harbor, &harbor.admin, &phone(n)).await)
            .or_default() += 1;
    }

    assert_eq!(chosen.get(&numbers[2]), None);
    assert_eq!(
        (chosen[&numbers[0]], chosen[&numbers[1]]),
        (3, 9),
        "in proportion to their rates"
    );
}

#[tokio::test]
async fn pool_respects_opt_outs_and_access() {
    let hub = Hub::start().await;
    let harbor = three_numbers(&hub).await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(NUMBERS[1], &sam).await;
    let own = harbor.number(NUMBERS[1]).await;
    for n in 0..4 {
        assert_eq!(send_spread(&harbor, &sam, &phone(n)).await, own);
    }

    hub.twilio.text(MAYA, FRONT_DESK, "STOP").await;
    let path = harbor.path("/messages");
    let draft = json!({"to": MAYA, "content": "Hello", "spread": true});
    harbor
        .admin
        .post(&path, draft)
        .await
        .refused(409, "contact_opted_out");

    for draft in [
        json!({"to": phone(1), "number_id": own, "content": "Hello", "spread": true}),
        json!({"conversation_id": harbor.conversation_with(MAYA).await["id"], "content": "Hello", "spread": true}),
    ] {
        let problem = harbor
            .admin
            .post(&path, draft)
            .await
            .refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], "spread", "{problem}");
    }
}

#[tokio::test]
async fn repeated_request_keeps_its_number() {
    let hub = Hub::start().await;
    let harbor = three_numbers(&hub).await;
    let sends = || async {
        let draft = json!({"to": MAYA, "content": "Once", "spread": true});
        let request = harbor
            .admin
            .request(reqwest::Method::POST, &harbor.path("/messages"))
            .header("Idempotency-Key", "one")
            .json(&draft);
        harbor.admin.ask(request).await.expect_status(202)["message"]["id"].clone()
    };
    let first = sends().await;
    hub.run_sender().await;
    for _ in 0..3 {
        assert_eq!(sends().await, first);
    }
    assert_eq!(hub.count("select count(*) from messages").await, 1);
    assert_eq!(hub.count("select count(*) from conversations").await, 1);
}

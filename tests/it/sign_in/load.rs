//! Sign-ins and sign-ups at once are bounded.

use futures_util::future::join_all;
use serde_json::json;

use super::{NEW, WRONG, log_in, login, reset_password};
use crate::hub::{Hub, PASSWORD, Person, until};

#[tokio::test]
async fn forged_links_cost_no_hash() {
    let hub = Hub::start().await;
    hub.workspace("Harbor Dental").await;
    let made = hub.server.app.passwords.hashes_computed();
    let answers = join_all((0..100).map(|n| {
        let hub = &hub;
        async move { reset_password(hub, &format!("made-up-{n}"), NEW).await }
    }))
    .await;
    for answer in answers {
        answer.refused(422, "validation_failed");
    }
    assert_eq!(hub.server.app.passwords.hashes_computed(), made);
}

#[tokio::test]
async fn concurrent_sign_ins_are_bounded_in_memory_and_delay() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let email = &harbor.admin.email;
    let flood = async {
        let answers = (0..300).map(|n| {
            let guesser = Person::anonymous_at(&hub, "198.51.100.7");
            let form = login(&format!("guess{n}@harbor.test"), WRONG);
            async move { guesser.post("/api/auth/login", form).await }
        });
        join_all(answers).await
    };
    let made = hub.server.app.passwords.hashes_computed();
    let quick = async {
        until("the flood is under way", async || {
            hub.server.app.passwords.hashes_computed() > made
        })
        .await;
        let began = std::time::Instant::now();
        log_in(&hub, email, PASSWORD).await.expect_status(200);
        began.elapsed()
    };
    let (answers, waited) = tokio::join!(flood, quick);
    // A second on an idle machine; tests run in parallel.
    assert!(waited.as_secs() < 10, "{waited:?}");
    let count = |status: u16| {
        answers
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert_eq!(count(401) + count(429) + count(503), 300);
    assert!(count(401) >= 30, "the users of an office can sign in");
    for answer in answers.iter().filter(|answer| answer.status != 401) {
        assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    }
    // Each thread keeps one block of 19 MiB: the number of hashes bounds the memory.
    let made = hub.server.app.passwords.hashes_computed() - made;
    assert!(made <= 70, "{made}");
}

#[tokio::test]
async fn concurrent_sign_ups_from_one_address_are_limited() {
    let hub = Hub::start().await;
    let sign_up = |n: usize| {
        let anonymous = Person::anonymous_at(&hub, "198.51.100.7");
        let form = json!({"workspace_name": "Harbor", "name": "Jo", "email": format!("new{n}@harbor.test"), "password": PASSWORD});
        async move { anonymous.post("/api/auth/signup", form).await }
    };
    for answer in join_all((0..30).map(sign_up)).await {
        answer.expect_status(201);
    }
    let mut later = 30;
    let refused = loop {
        let answer = sign_up(later).await;
        if answer.status != 201 {
            break answer;
        }
        later += 1;
        assert!(later < 90, "the limit is never reached");
    };
    assert!(refused.headers.contains_key("retry-after"));
    refused.refused(429, "rate_limited");
}

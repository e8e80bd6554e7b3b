//! Search: finds what the caller has access to, and nothing else.

mod context;
mod people;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, Person, Workspace, until};

const BILLING: &str = "+16285550111";

const TOM: &str = "+14155550177";

impl Workspace<'_> {
    async fn searched_by(&self, who: &Person, query: &[(&str, &str)]) -> Answer {
        let request = who.request(reqwest::Method::GET, &self.path("/search"));
        who.ask(request.query(query)).await
    }

    async fn finds(&self, who: &Person, q: &str) -> Value {
        self.searched_by(who, &[("q", q)]).await.expect_status(200)
    }

    async fn texts_found(&self, who: &Person, q: &str) -> Vec<String> {
        texts(&self.finds(who, q).await)
    }
}

fn texts(found: &Value) -> Vec<String> {
    let texts = found["messages"]["data"].as_array().unwrap().iter();
    texts
        .map(|hit| hit["message"]["content"].as_str().unwrap().into())
        .collect()
}

#[tokio::test]
async fn messages_are_found_by_words() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for text in [
        "Could I move my cleaning to Thursday?",
        "Grüße! Meine Straße heißt Müllerweg",
        "我想预约明天下午",
        "Thanks a lot 👍👍 see https://harbor.test/map?a=1",
        "ПРИВЕТ, доктор",
    ] {
        harbor.receive_text(MAYA, text).await;
    }
    let maya = harbor.receive_text(TOM, "Thursday is fine, thanks").await;
    harbor.reply(&harbor.admin, &maya, "See you Thursday").await;

    for (q, found) in [
        (
            "thursday",
            vec![
                "See you Thursday",
                "Thursday is fine, thanks",
                "Could I move my cleaning to Thursday?",
            ],
        ),
        ("THURS clean", vec!["Could I move my cleaning to Thursday?"]),
        ("strasse", vec!["Grüße! Meine Straße heißt Müllerweg"]),
        ("muller grusse", vec!["Grüße! Meine Straße heißt Müllerweg"]),
        ("明天", vec!["我想预约明天下午"]),
        ("约", vec!["我想预约明天下午"]),
        ("привет", vec!["ПРИВЕТ, доктор"]),
        (
            "👍",
            vec!["Thanks a lot 👍👍 see https://harbor.test/map?a=1"],
        ),
        (
            "harbor.test/map",
            vec!["Thanks a lot 👍👍 see https://harbor.test/map?a=1"],
        ),
        ("hursday", vec![]),
        ("thursday zebra", vec![]),
        ("?!", vec![]),
        ("' | x:* & \\", vec![]),
    ] {
        assert_eq!(harbor.texts_found(&harbor.admin, q).await, found, "{q}");
    }
    let hit = harbor.finds(&harbor.admin, "clean").await["messages"]["data"][0].clone();
    let pieces = json!([
        {"text": "Could I move my ", "hit": false},
        {"text": "clean", "hit": true},
        {"text": "ing to Thursday?", "hit": false},
    ]);
    assert_eq!(hit["excerpt"], pieces);
    assert_eq!(hit["conversation"]["contact"]["phone_number"], MAYA);
}

#[tokio::test]
async fn people_are_found_by_any_part_of_name_or_number() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hello").await;
    harbor.receive_text(TOM, "Hello").await;
    let card = harbor.path(&format!(
        "/contacts/{}",
        maya["contact_id"].as_str().unwrap()
    ));
    harbor
        .admin
        .patch(
            &card,
            json!({"name": "Maya Okafor-Núñez", "email": "maya@okafor.test"}),
        )
        .await
        .expect_status(200);
    let by_hand = json!({"phone_number": "+4930123456", "name": "Jörg Weiß"});
    harbor
        .admin
        .post(&harbor.path("/contacts"), by_hand)
        .await
        .expect_status(201);

    let people = async |q: &str| -> Vec<(String, bool)> {
        let found = harbor.finds(&harbor.admin, q).await;
        let people = found["people"]["data"].as_array().unwrap().clone();
        let talks = found["conversations"]["data"].as_array().unwrap();
        let with: Vec<_> = talks
            .iter()
            .map(|hit| hit["conversation"]["id"].clone())
            .collect();
        people
            .iter()
            .map(|hit| {
                let talk = &hit["conversation_id"];
                assert!(
                    talk.is_null() || with.contains(talk),
                    "{q}: their conversation is found too"
                );
                (
                    hit["contact"]["phone_number"].as_str().unwrap().into(),
                    !talk.is_null(),
                )
            })
            .collect()
    };
    let is_maya = vec![(MAYA.to_owned(), true)];
    for q in [
        "maya",
        "KAFOR",
        "nunez",
        "okafor maya",
        "0192",
        "(415) 555-0192",
        "415 555 0192",
        "maya 0192",
        "maya@okaf",
    ] {
        assert_eq!(people(q).await, is_maya, "{q}");
    }
    assert_eq!(
        people("4155550").await,
        [(TOM.into(), true), (MAYA.into(), true)],
        "the newest first"
    );
    assert_eq!(people("jorg").await, [("+4930123456".into(), false)]);
    assert_eq!(people("0177 maya").await, []);
    harbor
        .admin
        .patch(&card, json!({"name": ""}))
        .await
        .expect_status(200);
    assert_eq!(people("kafor").await, []);
}

#[tokio::test]
async fn search_respects_access() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let other = hub.workspace("Pier Law").await;
    hub.twilio
        .account(&harbor.account, crate::hub::TOKEN)
        .number(BILLING);
    let integrations = harbor
        .admin
        .get(&harbor.path("/integrations"))
        .await
        .expect_status(200);
    let id = integrations["data"][0]["id"].as_str().unwrap();
    harbor
        .admin
        .post(&harbor.path(&format!("/integrations/{id}/sync")), json!({}))
        .await
        .expect_status(200);
    let maya = harbor.receive_text(MAYA, "The secret is 4711").await;
    harbor.name_contact(&maya, "Maya Okafor").await;
    let answer = hub.twilio.text(TOM, BILLING, "An invoice over 4711").await;
    assert_eq!(answer.status(), 200);
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(BILLING, &sam).await;

    let all = async |who: &Person, q: &str| -> [usize; 3] {
        let found = harbor.finds(who, q).await;
        ["people", "conversations", "messages"]
            .map(|kind| found[kind]["data"].as_array().unwrap().len())
    };
    assert_eq!(all(&harbor.admin, "4711").await, [0, 0, 2]);
    assert_eq!(all(&sam, "4711").await, [0, 0, 1], "of their number only");
    assert_eq!(all(&lin, "4711").await, [0, 0, 0]);
    for (q, of_sam) in [("okafor", 0), ("5550192", 0), ("5550177", 1), ("secret", 0)] {
        assert_eq!(all(&sam, q).await[..2], [of_sam, of_sam], "{q}");
        assert_eq!(all(&lin, q).await, [0, 0, 0], "{q}");
    }
    harbor
        .searched_by(&other.admin, &[("q", "4711")])
        .await
        .refused(403, "not_a_member");
    assert_eq!(texts(&other.finds(&other.admin, "4711").await), [""; 0]);

    // An assigned number is searched from then on, and an unassigned one no longer.
    harbor.assign_number(FRONT_DESK, &lin).await;
    assert_eq!(all(&lin, "secret").await, [0, 0, 1]);
    assert_eq!(all(&lin, "okafor").await, [1, 1, 0]);
    let path = harbor.path(&format!(
        "/numbers/{}/members/{}",
        harbor.number(FRONT_DESK).await,
        lin.id
    ));
    harbor.admin.delete(&path).await.expect_status(204);
    assert_eq!(all(&lin, "secret").await, [0, 0, 0]);
    // An agent finds contacts they created until those have texts with other numbers.
    lin.post(
        &harbor.path("/contacts"),
        json!({"phone_number": "+14155550133", "name": "Quentin"}),
    )
    .await
    .expect_status(201);
    assert_eq!(all(&lin, "quent").await, [1, 0, 0]);
    assert_eq!(all(&sam, "quent").await, [0, 0, 0]);
    harbor.receive_text("+14155550133", "It is me").await;
    assert_eq!(all(&lin, "quent").await, [0, 0, 0]);
    assert_eq!(all(&harbor.admin, "quent").await, [1, 1, 0]);
}

impl Workspace<'_> {
    async fn name_contact(&self, conversation: &Value, name: &str) {
        let path = self.path(&format!(
            "/contacts/{}",
            conversation["contact_id"].as_str().unwrap()
        ));
        self.admin
            .patch(&path, json!({"name": name}))
            .await
            .expect_status(200);
    }
}

#[tokio::test]
async fn results_are_paginated() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for nth in 1..=7 {
        harbor
            .receive_text(
                &format!("+1415555020{nth}"),
                &format!("Number {nth} asks for a visit"),
            )
            .await;
    }
    hub.index_search().await;
    for kind in ["people", "conversations", "messages"] {
        let q = if kind == "messages" { "visit" } else { "5550" };
        let mut cursor = String::new();
        let mut seen = Vec::new();
        for _ in 0..4 {
            let query = [
                ("q", q),
                ("kind", kind),
                ("limit", "2"),
                ("cursor", &cursor),
            ];
            let found = harbor
                .searched_by(&harbor.admin, &query)
                .await
                .expect_status(200);
            let page = found[kind]["data"].as_array().unwrap();
            let phone = |hit: &Value| {
                let contact = if hit["contact"].is_object() {
                    &hit["contact"]
                } else {
                    &hit["conversation"]["contact"]
                };
                contact["phone_number"].as_str().unwrap().to_owned()
            };
            seen.extend(page.iter().map(phone));
            cursor = found[kind]["next_cursor"]
                .as_str()
                .unwrap_or_default()
                .into();
        }
        assert_eq!(cursor, "");
        let expected: Vec<_> = (1..=7)
            .rev()
            .map(|nth| format!("+1415555020{nth}"))
            .collect();
        assert_eq!(seen, expected, "{kind}: each once, the newest first");
    }
    let refused = async |query: &[(&str, &str)], field: &str| {
        let answer = harbor
            .searched_by(&harbor.admin, query)
            .await
            .expect_status(422);
        assert_eq!(answer["errors"][0]["field"], field, "{query:?}: {answer}");
    };
    refused(&[("q", " ")], "q").await;
    refused(&[], "q").await;
    refused(&[("q", &"x".repeat(201))], "q").await;
    refused(&[("q", "a\0b")], "q").await;
    refused(
        &[("q", "a"), ("kind", "people"), ("cursor", "made up")],
        "cursor",
    )
    .await;
    refused(&[("q", "a"), ("limit", "0")], "limit").await;
    let first = harbor
        .searched_by(
            &harbor.admin,
            &[("q", "visit"), ("kind", "messages"), ("limit", "1")],
        )
        .await
        .expect_status(200);
    let cursor = first["messages"]["next_cursor"].as_str().unwrap();
    refused(&[("q", "visit"), ("cursor", cursor)], "kind").await;
}

#[tokio::test]
async fn old_messages_are_found_by_index() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor
        .receive_text(MAYA, "The oldest text speaks of a zeppelin")
        .await;
    // More rows than a search reads from the newest.
    hub.execute_sql(
        "insert into messages (workspace_id, id, conversation_id, contact_id, number_id, integration_id, direction, content, status,
                               provider, provider_sid)
         select m.workspace_id, new_id(), m.conversation_id, m.contact_id, m.number_id, m.integration_id, 'inbound', 'Hello ' || n,
                'received', m.provider, 'SM' || n
           from messages m, generate_series(1, 10050) n",
    )
    .await;
    hub.index_search().await;
    let scans = "select coalesce(sum(idx_scan), 0)::bigint from pg_stat_user_indexes where indexrelname = 'message_tokens_search'";
    let before = hub.count(scans).await;
    assert_eq!(
        harbor.texts_found(&harbor.admin, "zeppel").await,
        ["The oldest text speaks of a zeppelin"]
    );
    until("the index was used", async || {
        hub.count(scans).await > before
    })
    .await;
    // A frequent word is found without the index.
    let found = harbor
        .searched_by(
            &harbor.admin,
            &[("q", "hello"), ("kind", "messages"), ("limit", "3")],
        )
        .await
        .expect_status(200);
    let found = texts(&found);
    assert!(
        found.len() == 3 && found.iter().all(|text| text.starts_with("Hello")),
        "{found:?}"
    );
}

/// `pg_dump` copies the transaction ids of messages, and a new cluster counts from the beginning.
#[tokio::test]
async fn messages_are_indexed_after_a_restore_into_a_younger_cluster() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "A zeppelin, indexed").await;
    hub.index_search().await;
    harbor.receive_text(MAYA, "A biplane, copied").await;
    hub.execute_sql(
        "do $$ begin
         update messages set inserted_by = '4000000000' where content like '%zeppelin%';
         update messages set inserted_by = '4000000001' where content like '%biplane%';
         delete from message_tokens t using messages m where m.id = t.id and m.content like '%biplane%';
         update search_progress p set indexed_by = m.inserted_by, workspace = m.workspace_id, id = m.id
           from messages m where m.content like '%zeppelin%';
         end $$",
    )
    .await;
    harbor
        .receive_text(MAYA, "A glider, after the restore")
        .await;

    let indexed = "select count(*) from message_tokens t join messages m on m.id = t.id";
    hub.wait_for_count(indexed, 3).await;
    for (word, text) in [
        ("zeppelin", "A zeppelin, indexed"),
        ("biplane", "A biplane, copied"),
        ("glider", "A glider, after the restore"),
    ] {
        assert_eq!(harbor.texts_found(&harbor.admin, word).await, [text]);
    }
    // And what comes later, in the order of this cluster.
    harbor.receive_text(MAYA, "A kite").await;
    hub.wait_for_count(indexed, 4).await;
}

#[tokio::test]
async fn any_query_gets_an_answer() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Hello there").await;
    let mut runner = TestRunner::deterministic();
    let anything = (
        any::<String>(),
        "(people|conversations|messages|x)?",
        ".{0,40}",
        "-?[0-9]{0,4}",
    );
    for _ in 0..150 {
        let (q, kind, cursor, limit) = anything.new_tree(&mut runner).unwrap().current();
        let mut query = vec![("q", q.as_str()), ("cursor", &cursor), ("limit", &limit)];
        if !kind.is_empty() {
            query.push(("kind", &kind));
        }
        let answer = harbor.searched_by(&harbor.admin, &query).await;
        assert!(
            [200, 400, 422].contains(&answer.status),
            "{query:?}: {} {}",
            answer.status,
            answer.body
        );
        let answer = harbor.searched_by(&harbor.admin, &[("q", &q)]).await;
        assert!(
            [200, 422].contains(&answer.status),
            "{q:?}: {} {}",
            answer.status,
            answer.body
        );
    }
}

//! Opt-outs by text: keywords, reviews, verbal opt-outs, and their proof.

mod by_address;
mod events;
pub mod import;
mod workspace_scope;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, Person, Workspace};

async fn send_text(who: &Person, harbor: &Workspace<'_>, conversation: &Value) -> Answer {
    let draft = json!({"conversation_id": conversation["id"], "content": "See you on Thursday"});
    who.post(&harbor.path("/messages"), draft).await
}

fn consent_path(harbor: &Workspace<'_>, conversation: &Value) -> String {
    harbor.path(&format!(
        "/contacts/{}/consent",
        conversation["contact_id"].as_str().unwrap()
    ))
}

async fn history(harbor: &Workspace<'_>, conversation: &Value) -> Vec<Value> {
    let history = harbor
        .admin
        .get(&consent_path(harbor, conversation))
        .await
        .expect_status(200);
    history["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn help_changes_nothing() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for word in ["HELP", "info", "Help"] {
        let maya = harbor.receive_text(MAYA, word).await;
        assert_eq!(maya["opted_out"], false, "{word}");
    }
    harbor.receive_text(MAYA, "STOP").await;
    let maya = harbor.receive_text(MAYA, "HELP").await;
    assert_eq!(maya["opted_out"], true, "HELP does not lift a STOP");
    assert_eq!(hub.run_sender().await, 0);
    assert!(
        hub.twilio.messages().is_empty(),
        "only the provider answers HELP"
    );
    assert_eq!(harbor.thread(&maya).await.len(), 5, "agents see them all");
}

#[tokio::test]
async fn stop_and_start_match_exactly_in_any_case() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    for (stop, start) in [
        ("STOP", "START"),
        ("unsubscribe", "unstop"),
        (" Stop all ", "yes"),
    ] {
        send_text(&harbor.admin, &harbor, &maya)
            .await
            .expect_status(202);
        harbor.receive_text(MAYA, stop).await;
        assert_eq!(
            harbor.conversation_with(MAYA).await["opted_out"],
            true,
            "{stop}"
        );
        send_text(&harbor.admin, &harbor, &maya)
            .await
            .refused(409, "contact_opted_out");
        harbor.receive_text(MAYA, start).await;
        assert_eq!(
            harbor.conversation_with(MAYA).await["opted_out"],
            false,
            "{start}"
        );
    }
    send_text(&harbor.admin, &harbor, &maya)
        .await
        .expect_status(202);

    let history = history(&harbor, &maya).await;
    assert_eq!(history.len(), 6);
    assert_eq!(
        (&history[1]["consent_kind"], &history[1]["proof"]),
        (&json!("stop"), &json!(" Stop all "))
    );
    assert_eq!(
        (&history[1]["source"], &history[1]["actor_id"]),
        (&json!("text"), &Value::Null)
    );
}

#[tokio::test]
async fn similar_words_do_not_opt_out() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Please stop texting me").await;
    assert_eq!(maya["opted_out"], false);
    send_text(&harbor.admin, &harbor, &maya)
        .await
        .expect_status(202);
    assert!(history(&harbor, &maya).await.is_empty());
}

#[tokio::test]
async fn near_stop_is_flagged_until_reviewed() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Please stop texting me").await;
    assert_eq!(maya["near_stop_id"], maya["last_message_id"]);
    let maya = harbor.receive_text(MAYA, "I mean it").await;
    let flagged_id = harbor.thread(&maya).await[0]["id"].clone();
    assert_eq!(maya["near_stop_id"], flagged_id, "the flag stays");
    let path = harbor.path(&format!(
        "/conversations/{}/near-stop",
        maya["id"].as_str().unwrap()
    ));
    lin.post(&path, json!({"opt_out": true}))
        .await
        .refused(404, "not_found");

    let reviewed = sam
        .post(&path, json!({"opt_out": false}))
        .await
        .expect_status(200);
    assert_eq!(
        (&reviewed["near_stop_id"], &reviewed["opted_out"]),
        (&Value::Null, &json!(false))
    );
    sam.post(&path, json!({"opt_out": true}))
        .await
        .expect_status(200);
    assert!(
        history(&harbor, &maya).await.is_empty(),
        "nothing was left to review"
    );

    harbor.receive_text(MAYA, "take me off this list!!").await;
    let reviewed = sam
        .post(&path, json!({"opt_out": true}))
        .await
        .expect_status(200);
    assert_eq!(
        (&reviewed["near_stop_id"], &reviewed["opted_out"]),
        (&Value::Null, &json!(true))
    );
    let history = history(&harbor, &maya).await;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0]["proof"], "take me off this list!!");
    assert_eq!(history[0]["actor_id"], sam.id);
    assert_eq!(history[0]["number"], FRONT_DESK);

    // An exact keyword resolves it as well.
    harbor.receive_text(MAYA, "START").await;
    harbor.receive_text(MAYA, "Stop. Texting.").await;
    harbor.receive_text(MAYA, "Please stop").await;
    assert!(harbor.conversation_with(MAYA).await["near_stop_id"].is_string());
    harbor.receive_text(MAYA, "STOP").await;
    harbor.receive_text(MAYA, "START").await;
    assert_eq!(
        harbor.conversation_with(MAYA).await["near_stop_id"],
        Value::Null
    );
}

#[tokio::test]
async fn page_asks_for_review_and_records_the_answer() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Please stop texting me").await;
    let page = format!("/w/{}/inbox/{}", harbor.slug, maya["id"].as_str().unwrap());
    let shown = harbor.admin.get(&page).await;
    assert!(
        shown.body.contains("This sounds like STOP"),
        "{}",
        shown.body
    );
    let post = async |path: &str, form: &[(&str, &str)]| {
        let request = harbor
            .admin
            .request(reqwest::Method::POST, &format!("{page}/{path}"));
        harbor.admin.ask(request.form(form)).await.status
    };
    assert!(post("near-stop", &[("opt_out", "false")]).await < 400);
    assert!(
        !harbor
            .admin
            .get(&page)
            .await
            .body
            .contains("This sounds like STOP")
    );

    assert_eq!(
        post("consent", &[("consent_kind", "stop"), ("reason", " ")]).await,
        422
    );
    assert!(
        post(
            "consent",
            &[("consent_kind", "stop"), ("reason", "On the <phone>")]
        )
        .await
            < 400
    );
    let shown = harbor.admin.get(&page).await.body;
    assert!(
        shown.contains("They opted out") && shown.contains("On the &#60;phone&#62;"),
        "{shown}"
    );
    assert!(
        post(
            "consent",
            &[("consent_kind", "start"), ("reason", "They called back")]
        )
        .await
            < 400
    );
    assert_eq!(harbor.conversation_with(MAYA).await["opted_out"], false);
    assert_eq!(history(&harbor, &maya).await.len(), 2);
}

#[tokio::test]
async fn opt_out_cancels_queued_texts_and_refunds() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let message = harbor.reply(&sam, &maya, "See you on Thursday").await;
    let later = harbor.reply(&sam, &maya, "Or on Friday").await;
    // One text returns from a busy provider after the STOP.
    hub.twilio
        .fails(crate::emulator::Failure::Busy { retry_after: None });
    hub.execute_sql("update messages set status = 'sending', lease_until = now() + interval '1 minute' where content = 'Or on Friday'")
        .await;
    harbor.receive_text(MAYA, "STOP").await;

    let failed_text = harbor.message(&message["id"]).await;
    assert_eq!(
        (&failed_text["status"], &failed_text["error_code"]),
        (&json!("failed"), &json!("contact_opted_out"))
    );
    hub.execute_sql(
        "update messages set status = 'queued', due_at = now() where content = 'Or on Friday'",
    )
    .await;
    assert_eq!(harbor.message(&later["id"]).await["status"], "failed");
    assert_eq!(hub.run_sender().await, 0);
    assert!(hub.twilio.messages().is_empty());
    let credits = harbor.path(&format!("/credits/{}", sam.id));
    assert_eq!(
        harbor.admin.get(&credits).await.expect_status(200)["balance"],
        1000
    );
}

#[tokio::test]
async fn provider_keyword_overrides_the_text() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let says = async |body: &str, kind: &str| {
        let text = hub
            .twilio
            .inbound_text(MAYA, FRONT_DESK, body)
            .with("OptOutType", kind);
        assert_eq!(text.send().await.status(), 200);
    };
    says("ARRET", "STOP").await;
    send_text(&harbor.admin, &harbor, &maya)
        .await
        .refused(409, "contact_opted_out");
    says("STOP", "HELP").await; // the provider's keywords differ from ours
    says("OUI", "START").await;
    send_text(&harbor.admin, &harbor, &maya)
        .await
        .expect_status(202);
    assert_eq!(history(&harbor, &maya).await.len(), 2);
}

#[tokio::test]
async fn repeated_stop_is_one_consent_change() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sid = "SM00000000000000000000000000000077";
    join_all((0..50).map(|_| {
        hub.twilio
            .inbound_text(MAYA, FRONT_DESK, "STOP")
            .sid(sid)
            .send()
    }))
    .await;
    let maya = harbor.conversation_with(MAYA).await;
    assert_eq!(maya["opted_out"], true);
    assert_eq!(history(&harbor, &maya).await.len(), 1);
    // A late repeat of the STOP does not undo the later START.
    harbor.receive_text(MAYA, "START").await;
    hub.twilio
        .inbound_text(MAYA, FRONT_DESK, "STOP")
        .sid(sid)
        .send()
        .await;
    assert_eq!(harbor.conversation_with(MAYA).await["opted_out"], false);
}

#[tokio::test]
async fn opt_out_applies_to_the_number_it_was_sent_to() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sandbox = json!({"provider": "sandbox", "credentials": {}});
    let other = harbor
        .admin
        .post(&harbor.path("/integrations"), sandbox)
        .await
        .expect_status(201);
    harbor.receive_text(MAYA, "STOP").await;
    let number = &other["numbers"][0]["id"];
    let draft = json!({"to": MAYA, "number_id": number, "content": "From another number"});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    let draft = json!({"to": MAYA, "number_id": harbor.number(FRONT_DESK).await, "content": "No"});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .refused(409, "contact_opted_out");
}

#[tokio::test]
async fn agent_records_a_verbal_opt_out() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    let path = consent_path(&harbor, &maya);
    let says = |consent_kind: &str, reason: &str| json!({"number_id": maya["number_id"], "consent_kind": consent_kind, "reason": reason});

    lin.post(&path, says("stop", "On the phone"))
        .await
        .refused(404, "not_found");
    for wrong in [
        says("stop", " "),
        says("stop", &"x".repeat(201)),
        json!({"consent_kind": "stop"}),
        says("maybe", "Hm"),
    ] {
        sam.post(&path, wrong)
            .await
            .refused(422, "validation_failed");
    }
    send_text(&sam, &harbor, &maya).await.expect_status(202);

    let result = sam
        .post(&path, says("stop", "On the phone"))
        .await
        .expect_status(200);
    assert_eq!(result["data"][0]["actor_id"], sam.id);
    assert_eq!(result["data"][0]["proof"], "On the phone");
    send_text(&harbor.admin, &harbor, &maya)
        .await
        .refused(409, "contact_opted_out");
    sam.post(&path, says("stop", "Again"))
        .await
        .expect_status(200);
    assert_eq!(
        history(&harbor, &maya).await.len(),
        1,
        "an unchanged state is not recorded"
    );

    sam.post(&path, says("start", "They called back"))
        .await
        .expect_status(200);
    send_text(&sam, &harbor, &maya).await.expect_status(202);
    assert_eq!(history(&harbor, &maya).await.len(), 2);
}

/// `Yes` may answer another question: it lifts opt-outs by text, and none recorded by others.
#[tokio::test]
async fn yes_lifts_only_opt_outs_by_text() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "STOP").await;
    let opted_out = async |text: &str| harbor.receive_text(MAYA, text).await["opted_out"].clone();
    assert_eq!(
        opted_out("Yes").await,
        false,
        "Twilio lifts its block as well"
    );

    let stop = json!({"number_id": maya["number_id"], "consent_kind": "stop", "reason": "Said so on the phone"});
    for lifting in ["START", "unstop"] {
        harbor
            .admin
            .post(&consent_path(&harbor, &maya), stop.clone())
            .await
            .expect_status(200);
        let before = history(&harbor, &maya).await.len();
        assert_eq!(opted_out("Yes").await, true, "recorded by an agent");
        assert_eq!(
            history(&harbor, &maya).await.len(),
            before,
            "nothing changed"
        );
        assert_eq!(opted_out(lifting).await, false, "an exact keyword");
    }

    hub.execute_sql("insert into opt_outs (workspace_id, contact_id, number_id, source, proof)
                 select workspace_id, contact_id, number_id, 'import', 'old list' from conversations")
        .await;
    assert_eq!(opted_out("yes").await, true, "imported");
    assert_eq!(opted_out("START").await, false);
}

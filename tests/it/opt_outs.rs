//! Opted out means not texted; START means texted again; and every change of mind has its proof.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, Person, Workspace};

async fn texts(who: &Person, harbor: &Workspace<'_>, conversation: &Value) -> Answer {
    let draft = json!({"conversation_id": conversation["id"], "content": "See you on Thursday"});
    who.post(&harbor.path("/messages"), draft).await
}

fn consent(harbor: &Workspace<'_>, conversation: &Value) -> String {
    harbor.path(&format!(
        "/contacts/{}/consent",
        conversation["contact_id"].as_str().unwrap()
    ))
}

async fn history(harbor: &Workspace<'_>, conversation: &Value) -> Vec<Value> {
    let history = harbor
        .admin
        .get(&consent(harbor, conversation))
        .await
        .is(200);
    history["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_exact_words_stop_and_start_in_whatever_case() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.hears(MAYA, "Hi").await;
    for (stop, start) in [
        ("STOP", "START"),
        ("unsubscribe", "unstop"),
        (" Stop all ", "yes"),
    ] {
        texts(&harbor.admin, &harbor, &maya).await.is(202);
        harbor.hears(MAYA, stop).await;
        assert_eq!(
            harbor.conversation_with(MAYA).await["opted_out"],
            true,
            "{stop}"
        );
        texts(&harbor.admin, &harbor, &maya)
            .await
            .refused(409, "contact_opted_out");
        harbor.hears(MAYA, start).await;
        assert_eq!(
            harbor.conversation_with(MAYA).await["opted_out"],
            false,
            "{start}"
        );
    }
    texts(&harbor.admin, &harbor, &maya).await.is(202);

    let history = history(&harbor, &maya).await;
    assert_eq!(history.len(), 6);
    assert_eq!(
        (&history[1]["wish"], &history[1]["proof"]),
        (&json!("stop"), &json!(" Stop all "))
    );
    assert_eq!(
        (&history[1]["source"], &history[1]["actor_id"]),
        (&json!("text"), &Value::Null)
    );
}

#[tokio::test]
async fn what_only_sounds_like_stop_does_not_act() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.hears(MAYA, "Please stop texting me").await;
    assert_eq!(maya["opted_out"], false);
    texts(&harbor.admin, &harbor, &maya).await.is(202);
    assert!(history(&harbor, &maya).await.is_empty());
}

#[tokio::test]
async fn the_providers_own_word_for_it_counts_whatever_the_text_says() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.hears(MAYA, "Hi").await;
    let says = async |body: &str, kind: &str| {
        let text = hub
            .twilio
            .texting(MAYA, FRONT_DESK, body)
            .with("OptOutType", kind);
        assert_eq!(text.send().await.status(), 200);
    };
    says("ARRET", "STOP").await;
    texts(&harbor.admin, &harbor, &maya)
        .await
        .refused(409, "contact_opted_out");
    says("STOP", "HELP").await; // their list of words is not ours
    says("OUI", "START").await;
    texts(&harbor.admin, &harbor, &maya).await.is(202);
    assert_eq!(history(&harbor, &maya).await.len(), 2);
}

#[tokio::test]
async fn a_stop_that_comes_fifty_times_is_one_change_of_mind() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sid = "SM00000000000000000000000000000077";
    join_all((0..50).map(|_| hub.twilio.texting(MAYA, FRONT_DESK, "STOP").sid(sid).send())).await;
    let maya = harbor.conversation_with(MAYA).await;
    assert_eq!(maya["opted_out"], true);
    assert_eq!(history(&harbor, &maya).await.len(), 1);
    // A late repeat of the STOP does not undo the START that followed it.
    harbor.hears(MAYA, "START").await;
    hub.twilio
        .texting(MAYA, FRONT_DESK, "STOP")
        .sid(sid)
        .send()
        .await;
    assert_eq!(harbor.conversation_with(MAYA).await["opted_out"], false);
}

#[tokio::test]
async fn a_stop_holds_for_the_number_that_it_was_sent_to() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sandbox = json!({"provider": "sandbox", "credentials": {}});
    let other = harbor
        .admin
        .post(&harbor.path("/integrations"), sandbox)
        .await
        .is(201);
    harbor.hears(MAYA, "STOP").await;
    let number = &other["numbers"][0]["id"];
    let draft = json!({"to": MAYA, "number_id": number, "content": "From another number"});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .is(202);
    let draft = json!({"to": MAYA, "number_id": harbor.number(FRONT_DESK).await, "content": "No"});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .refused(409, "contact_opted_out");
}

#[tokio::test]
async fn an_agent_writes_down_what_was_said_on_the_phone() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.hears(MAYA, "Hi").await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assigns(FRONT_DESK, &sam).await;
    let path = consent(&harbor, &maya);
    let says = |wish: &str, reason: &str| json!({"number_id": maya["number_id"], "wish": wish, "reason": reason});

    lin.post(&path, says("stop", "On the phone"))
        .await
        .refused(404, "not_found");
    for wrong in [
        says("stop", " "),
        says("stop", &"x".repeat(201)),
        json!({"wish": "stop"}),
        says("maybe", "Hm"),
    ] {
        sam.post(&path, wrong)
            .await
            .refused(422, "validation_failed");
    }
    texts(&sam, &harbor, &maya).await.is(202);

    let told = sam.post(&path, says("stop", "On the phone")).await.is(200);
    assert_eq!(told["data"][0]["actor_id"], sam.id);
    assert_eq!(told["data"][0]["proof"], "On the phone");
    texts(&harbor.admin, &harbor, &maya)
        .await
        .refused(409, "contact_opted_out");
    sam.post(&path, says("stop", "Again")).await.is(200);
    assert_eq!(
        history(&harbor, &maya).await.len(),
        1,
        "nothing changed, nothing is written down"
    );

    sam.post(&path, says("start", "They called back"))
        .await
        .is(200);
    texts(&sam, &harbor, &maya).await.is(202);
    assert_eq!(history(&harbor, &maya).await.len(), 2);
}

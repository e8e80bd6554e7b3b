//! Entries of the workspace and its contacts; refused and repeated actions.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{audit_fields, entries, left_by, none, one};
use crate::hub::{FRONT_DESK, Hub, MAYA, PASSWORD, Person, TOKEN};
use crate::sign_in::reset_password;

#[tokio::test]
async fn workspace_changes_are_audited_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    let entry = one(
        &harbor,
        "integration_connected",
        jo,
        harbor.connect_twilio(FRONT_DESK),
    )
    .await;
    assert_eq!(
        entry["after"],
        json!({"provider": "twilio", "account": harbor.account, "numbers": 1})
    );
    let path = format!(
        "/integrations/{}/test",
        entry["subject_id"].as_str().unwrap()
    );
    let entry = one(
        &harbor,
        "integration_checked",
        jo,
        jo.post(&harbor.path(&path), json!({})),
    )
    .await;
    assert_eq!(entry["after"], json!({"status": "healthy"}));

    let number = harbor.path(&format!("/numbers/{}", harbor.number(FRONT_DESK).await));
    let entry = one(
        &harbor,
        "number_changed",
        jo,
        jo.patch(&number, json!({"friendly_name": "Front desk"})),
    )
    .await;
    assert_eq!(
        (&entry["before"], &entry["after"]),
        (
            &json!({"friendly_name": "", "is_default": true, "messages_per_second": 1000.0, "status": "active"}),
            &json!({"friendly_name": "Front desk", "is_default": true, "messages_per_second": 1000.0, "status": "active"})
        )
    );
    let entry = one(
        &harbor,
        "workspace_changed",
        jo,
        jo.patch(
            &harbor.path(""),
            json!({"name": "Harbor", "starting_credits": 5}),
        ),
    )
    .await;
    assert_eq!(entry["subject"], "Harbor");
    for (field, before, after) in [
        ("name", json!("Harbor Dental"), json!("Harbor")),
        ("starting_credits", json!(0), json!(5)),
        ("default_region", json!("US"), json!("US")),
    ] {
        assert_eq!(
            (&entry["before"][field], &entry["after"][field]),
            (&before, &after)
        );
    }
}

#[tokio::test]
async fn manual_contact_changes_are_audited_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (jo, sam) = (&harbor.admin, harbor.agent("Sam").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    let number = harbor.number(FRONT_DESK).await;
    let draft = json!({"phone_number": "+14155550193", "name": "Tom"});
    let entry = one(
        &harbor,
        "contact_created",
        jo,
        jo.post(&harbor.path("/contacts"), draft.clone()),
    )
    .await;
    assert_eq!(
        audit_fields(&entry),
        (&json!("Tom"), &Value::Null, &Value::Null)
    );
    let contact = harbor.path(&format!(
        "/contacts/{}",
        entry["subject_id"].as_str().unwrap()
    ));
    none(
        &harbor,
        "an existing contact",
        jo.post(&harbor.path("/contacts"), draft),
    )
    .await;
    let entry = one(
        &harbor,
        "contact_renamed",
        jo,
        jo.patch(
            &contact,
            json!({"name": "Tom Lee", "notes": "Gate code 4711"}),
        ),
    )
    .await;
    assert_eq!(
        audit_fields(&entry),
        (
            &json!("Tom Lee"),
            &json!({"name": "Tom"}),
            &json!({"name": "Tom Lee"})
        )
    );
    none(
        &harbor,
        "an unchanged name",
        jo.patch(
            &contact,
            json!({"name": " Tom Lee ", "notes": "Gate code 4712"}),
        ),
    )
    .await;

    let conversation = harbor.receive_text(MAYA, "Hello").await;
    let maya = format!(
        "/contacts/{}/consent",
        conversation["contact_id"].as_str().unwrap()
    );
    let consent = harbor.path(&maya);
    let changes_consent = |consent_kind: &str| {
        let form = json!({"number_id": number, "consent_kind": consent_kind, "reason": "On the phone: 4711"});
        sam.post(&consent, form)
    };
    let entry = one(&harbor, "contact_opted_out", &sam, changes_consent("stop")).await;
    assert_eq!(entry["subject_id"], conversation["contact_id"]);
    assert_eq!(entry["after"], json!({"number": FRONT_DESK}));
    none(&harbor, "already opted out", changes_consent("stop")).await;
    one(&harbor, "contact_opted_in", &sam, changes_consent("start")).await;
    none(&harbor, "already opted in", changes_consent("start")).await;
    none(
        &harbor,
        "an opt-out by text",
        harbor.receive_text(MAYA, "STOP"),
    )
    .await;

    let tag = json!({"name": "Recall"});
    let entry = one(
        &harbor,
        "tag_created",
        &sam,
        sam.post(&harbor.path("/tags"), tag.clone()),
    )
    .await;
    assert_eq!(entry["subject"], "Recall");
    none(
        &harbor,
        "an existing tag",
        sam.post(&harbor.path("/tags"), tag),
    )
    .await;
    let typed = |name: &str| {
        let cookie = format!("messagehub_access={}", jo.token.as_ref().unwrap());
        let path = contact.replace(&harbor.path(""), &format!("/w/{}", harbor.slug));
        let request = Person::anonymous(&hub).request(Method::POST, &format!("{path}/tags"));
        let request = request
            .header("cookie", cookie)
            .header("sec-fetch-site", "same-origin")
            .form(&[("tag", name)]);
        jo.ask(request)
    };
    one(&harbor, "tag_created", jo, typed("New patient")).await;
    none(&harbor, "an existing tag", typed("new patient")).await;

    let catch_up = harbor.path(&format!("/numbers/{number}/catch-up"));
    let entry = one(
        &harbor,
        "number_caught_up",
        jo,
        jo.post(&catch_up, json!({})),
    )
    .await;
    assert_eq!(
        audit_fields(&entry),
        (&json!(FRONT_DESK), &Value::Null, &json!({"brought_in": 0}))
    );
}

/// An import of 1,000 contacts and 40 tags writes one entry.
#[tokio::test]
async fn import_is_audited_once_at_any_length() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let mut table = "name,phone_number,tags\n".to_owned();
    for n in 0..1000 {
        table.push_str(&format!("Patient {n},+1415556{n:04},Group {}\n", n % 40));
    }
    let (left, ()) = left_by(&harbor, async {
        harbor
            .upload_contacts(&table, "false")
            .await
            .expect_status(202);
        while hub.count("select count(*) from contacts").await < 1000 {
            hub.run_imports().await;
        }
    })
    .await;
    assert_eq!(left.len(), 1, "{left:#?}");
    assert_eq!(left[0]["action"], "contacts_imported");
}

#[tokio::test]
async fn refused_actions_are_not_audited() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (jo, sam) = (&harbor.admin, harbor.agent("Sam").await);
    let number = harbor.number(FRONT_DESK).await;
    let unknown_id = "01890000-0000-7000-8000-000000000000";
    let before = entries(&harbor).await;

    let members = harbor.path("/members");
    let member = |id: &str| harbor.path(&format!("/members/{id}"));
    let credits = harbor.path(&format!("/credits/{}", sam.id));
    let number_path = harbor.path(&format!("/numbers/{number}"));
    let assignment = |who: &str| harbor.path(&format!("/numbers/{number}/members/{who}"));
    let invite = |email: &str| json!({"email": email, "role": "agent"});
    for answer in [
        sam.post(&members, invite("kim@harbor.test")).await,
        jo.post(&members, invite("kim")).await,
        jo.post(&members, invite(&sam.email)).await,
        jo.delete(&harbor.path(&format!("/invitations/{unknown_id}")))
            .await,
        sam.patch(&member(&sam.id), json!({"role": "admin"})).await,
        jo.patch(&member(&jo.id), json!({"role": "agent"})).await,
        jo.patch(&member(unknown_id), json!({"role": "agent"}))
            .await,
        jo.patch(&member(&sam.id), json!({"default_number_id": unknown_id}))
            .await,
        jo.patch(
            &member(&jo.id),
            json!({"default_number_id": number, "role": "agent"}),
        )
        .await,
        jo.delete(&member(&jo.id)).await,
        sam.delete(&member(&jo.id)).await,
        jo.delete(&member(unknown_id)).await,
        sam.put(&assignment(&sam.id)).await,
        jo.put(&assignment(unknown_id)).await,
        jo.delete(&assignment(unknown_id)).await,
        sam.patch(&credits, json!({"delta": 1})).await,
        jo.patch(&credits, json!({"delta": -1_001})).await,
        jo.patch(&credits, json!({"delta": 1, "balance": 1})).await,
        sam.patch(&number_path, json!({"friendly_name": "Mine"}))
            .await,
        jo.patch(&number_path, json!({"friendly_name": "x".repeat(81)}))
            .await,
        jo.patch(&harbor.path(""), json!({"name": ""})).await,
        sam.patch(&harbor.path(""), json!({"name": "Mine"})).await,
        jo.patch(&harbor.path(""), json!({"require_two_factor": true}))
            .await,
        jo.delete_with(&harbor.path(""), json!({"name": "Another"}))
            .await,
        sam.delete_with(&harbor.path(""), json!({"name": "Harbor Dental"}))
            .await,
        harbor.connect_with(&"f".repeat(32)).await,
        harbor.connect_with(TOKEN).await,
        jo.post(
            "/api/auth/two-factor/confirm",
            json!({"code": "123456", "password": PASSWORD}),
        )
        .await,
        jo.delete_with("/api/auth/two-factor", json!({"password": "not this one"}))
            .await,
        reset_password(&hub, "made-up", PASSWORD).await,
    ] {
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    assert_eq!(entries(&harbor).await, before);
}

#[tokio::test]
async fn concurrent_duplicates_are_audited_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let path = |id: &str| harbor.path(&format!("/members/{id}"));
    for name in ["Sam", "Lin", "Kim"] {
        let agent = harbor.agent(name).await;
        let (left, answers) = left_by(
            &harbor,
            join_all((0..4).map(|_| {
                let (admin, path) = (&harbor.admin, path(&agent.id));
                async move { admin.delete(&path).await.status }
            })),
        )
        .await;
        let done = answers.iter().filter(|status| **status == 204).count();
        assert_eq!((done, left.len()), (1, 1), "{answers:?} {left:#?}");
    }
}

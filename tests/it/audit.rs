//! The audit log: one entry per action, none for refused actions, and no entry can be changed or forged.

use std::collections::HashSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::hub::{FRONT_DESK, Hub, MAYA, PASSWORD, Person, TOKEN, Workspace};
use crate::sign_in::{advance_a_day, enable_second_factor, request_reset, reset_password};

/// All entries, newest first, without `credentials_opened`, which the server writes at any time.
async fn entries(harbor: &Workspace<'_>) -> Vec<Value> {
    let list = harbor
        .admin
        .get(&harbor.path("/audit?limit=200"))
        .await
        .expect_status(200);
    let mut entries = list["data"].as_array().unwrap().clone();
    entries.retain(|entry| entry["action"] != "credentials_opened");
    entries
}

/// The entries that `operation` writes, oldest first.
async fn left_by<T>(harbor: &Workspace<'_>, operation: impl Future<Output = T>) -> (Vec<Value>, T) {
    let ids = |entries: &[Value]| -> HashSet<String> {
        entries
            .iter()
            .map(|entry| entry["id"].to_string())
            .collect()
    };
    let before = ids(&entries(harbor).await);
    let done = operation.await;
    let mut after = entries(harbor).await;
    after.retain(|entry| !before.contains(&entry["id"].to_string()));
    after.reverse();
    (after, done)
}

/// Asserts that `operation` writes exactly one entry, by `actor` from this machine.
async fn one<T>(
    harbor: &Workspace<'_>,
    action: &str,
    actor: &Person,
    operation: impl Future<Output = T>,
) -> Value {
    let (left, _) = left_by(harbor, operation).await;
    let [entry] = left.as_slice() else {
        panic!("{action}: {left:#?}");
    };
    assert_eq!(entry["action"], action, "{entry}");
    assert_eq!(entry["actor_id"], actor.id, "{entry}");
    assert_ne!(entry["actor_name"], "", "{entry}");
    assert_eq!(entry["address"], "127.0.0.1", "{entry}");
    entry.clone()
}

async fn none<T>(harbor: &Workspace<'_>, what: &str, operation: impl Future<Output = T>) {
    let (left, _) = left_by(harbor, operation).await;
    assert!(left.is_empty(), "{what}: {left:#?}");
}

fn audit_fields(entry: &Value) -> (&Value, &Value, &Value) {
    (&entry["subject"], &entry["before"], &entry["after"])
}

async fn invited(harbor: &Workspace<'_>, email: &str) -> (String, String) {
    let link = harbor.invite(email, "agent").await;
    let list = harbor
        .admin
        .get(&harbor.path("/invitations"))
        .await
        .expect_status(200);
    let id = list["data"][0]["id"].as_str().unwrap().to_owned();
    (link, id)
}

#[tokio::test]
async fn member_changes_are_audited_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (jo, sam) = (&harbor.admin, harbor.agent("Sam").await);
    let before = entries(&harbor).await;
    assert!(
        before
            .iter()
            .any(|entry| entry["action"] == "workspace_created"
                && entry["actor_id"] == jo.id
                && entry["subject"] == "Harbor Dental"),
        "{before:#?}"
    );

    let entry = one(
        &harbor,
        "member_invited",
        jo,
        invited(&harbor, "kim@harbor.test"),
    )
    .await;
    assert_eq!(
        audit_fields(&entry),
        (
            &json!("kim@harbor.test"),
            &Value::Null,
            &json!({"role": "agent"})
        )
    );
    let id = entry["subject_id"].as_str().unwrap();
    let entry = one(
        &harbor,
        "invitation_withdrawn",
        jo,
        jo.delete(&harbor.path(&format!("/invitations/{id}"))),
    )
    .await;
    assert_eq!(entry["subject"], "kim@harbor.test");

    let (link, _) = invited(&harbor, "lin@harbor.test").await;
    let accept = format!("/api/invitations/{link}/accept");
    let form = json!({"name": "Lin Wu", "password": PASSWORD});
    let anonymous = Person::anonymous(&hub);
    let (left, session) = left_by(&harbor, anonymous.post(&accept, form)).await;
    let lin = Person::signed_in(&hub, &session.expect_status(200));
    let actions: Vec<_> = left
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["member_joined", "signed_in"]);
    assert!(left.iter().all(|entry| entry["actor_id"] == lin.id));
    assert_eq!(left[0]["actor_name"], "Lin Wu");
    assert_eq!(left[0]["subject"], "agent");

    let member = harbor.path(&format!("/members/{}", sam.id));
    let entry = one(
        &harbor,
        "member_role_changed",
        jo,
        jo.patch(&member, json!({"role": "admin"})),
    )
    .await;
    assert_eq!(
        audit_fields(&entry),
        (
            &json!("Sam"),
            &json!({"role": "agent"}),
            &json!({"role": "admin"})
        )
    );
    none(
        &harbor,
        "the same role",
        jo.patch(&member, json!({"role": "admin"})),
    )
    .await;
    // A member's change of their own role is audited too.
    let entry = one(
        &harbor,
        "member_role_changed",
        &sam,
        sam.patch(&member, json!({"role": "agent"})),
    )
    .await;
    assert_eq!(entry["after"], json!({"role": "agent"}));

    let number = harbor.number(FRONT_DESK).await;
    let assignment = harbor.path(&format!("/numbers/{number}/members/{}", sam.id));
    let entry = one(&harbor, "number_assigned", jo, jo.put(&assignment)).await;
    assert_eq!(entry["subject"], "Sam");
    assert_eq!(entry["after"]["number"], FRONT_DESK);
    none(&harbor, "already assigned", jo.put(&assignment)).await;
    let entry = one(
        &harbor,
        "default_number_changed",
        jo,
        jo.patch(&member, json!({"default_number_id": number})),
    )
    .await;
    assert_eq!(entry["subject"], "Sam");
    assert!(entry["after"]["default_number"].is_string(), "{entry}");
    let entry = one(&harbor, "number_unassigned", jo, jo.delete(&assignment)).await;
    assert_eq!(entry["after"]["number"], FRONT_DESK);
    none(&harbor, "already unassigned", jo.delete(&assignment)).await;

    let credits = harbor.path(&format!("/credits/{}", sam.id));
    let entry = one(
        &harbor,
        "credits_changed",
        jo,
        jo.patch(&credits, json!({"delta": 5, "reason": "Birthday"})),
    )
    .await;
    assert_eq!(
        audit_fields(&entry),
        (
            &json!("Sam"),
            &json!({"balance": 1000}),
            &json!({"balance": 1005, "reason": "Birthday"})
        )
    );
    none(
        &harbor,
        "an unchanged balance",
        jo.patch(&credits, json!({"delta": 0})),
    )
    .await;

    let entry = one(&harbor, "member_removed", jo, jo.delete(&member)).await;
    assert_eq!(
        audit_fields(&entry),
        (
            &json!("Sam"),
            &json!({"role": "agent", "email": sam.email}),
            &Value::Null
        )
    );
    let own = harbor.path(&format!("/members/{}", lin.id));
    let entry = one(&harbor, "member_left", &lin, lin.delete(&own)).await;
    assert_eq!(entry["subject"], "Lin Wu");
}

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
async fn account_changes_are_audited_in_each_workspace_of_the_user() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let sam = harbor.agent("Sam").await;
    let bay = hub.workspace("Bay Optics").await;
    let link = bay.invite(&sam.email, "agent").await;
    hub.verify_email(&sam.email).await;
    sam.post(&format!("/api/invitations/{link}/accept"), json!({}))
        .await
        .expect_status(200);
    let in_bay = entries(&bay).await.len();
    let anonymous = Person::anonymous(&hub);

    one(
        &harbor,
        "signed_in",
        &sam,
        Person::sign_in(&hub, &sam.email),
    )
    .await;
    let wrong = json!({"email": sam.email, "password": "not this one"});
    let (left, _) = left_by(&harbor, anonymous.post("/api/auth/login", wrong)).await;
    assert_eq!(left.len(), 1);
    let failed = &left[0];
    assert_eq!(
        (&failed["action"], &failed["subject"], &failed["address"]),
        (
            &json!("sign_in_failed"),
            &json!(sam.email),
            &json!("127.0.0.1")
        )
    );
    assert!(failed["actor_id"].is_null(), "the actor is unknown");
    assert_eq!(
        (&failed["actor_name"], &failed["subject_id"]),
        (&json!(""), &json!(sam.id))
    );

    one(
        &harbor,
        "two_factor_enabled",
        &sam,
        enable_second_factor(&hub, &sam),
    )
    .await;
    let wrong = json!({"email": sam.email, "password": PASSWORD, "code": "none"});
    let (left, _) = left_by(&harbor, anonymous.post("/api/auth/login", wrong)).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["action"], "sign_in_failed");
    one(
        &harbor,
        "two_factor_disabled",
        &sam,
        sam.delete_with("/api/auth/two-factor", json!({"password": PASSWORD})),
    )
    .await;

    let form = json!({"current_password": PASSWORD, "new_password": "another good one"});
    let change = sam.request(Method::PUT, "/api/auth/password").json(&form);
    one(&harbor, "password_changed", &sam, sam.ask(change)).await;
    hub.mail_server.mail_to(&sam.email).await; // the invitation
    hub.mail_server.mail_to(&sam.email).await; // the changed password
    let token = request_reset(&hub, &sam.email).await;
    one(
        &harbor,
        "password_reset",
        &sam,
        reset_password(&hub, &token, PASSWORD),
    )
    .await;
    let sam = Person::sign_in(&hub, &sam.email).await;
    one(
        &harbor,
        "sessions_ended",
        &sam,
        sam.delete("/api/auth/sessions"),
    )
    .await;

    assert_eq!(
        entries(&bay).await.len() - in_bay,
        9,
        "the other workspace has the same entries"
    );
}

#[tokio::test]
async fn session_end_is_audited_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    let other = Person::sign_in(&hub, &jo.email).await;
    let sessions = jo.get("/api/auth/sessions").await.expect_status(200);
    let sessions = sessions["data"].as_array().unwrap().iter();
    let mut others = sessions.filter(|session| session["is_current"] == false);
    let path = format!(
        "/api/auth/sessions/{}",
        others.next().unwrap()["id"].as_str().unwrap()
    );
    one(&harbor, "session_ended", jo, jo.delete(&path)).await;
    none(&harbor, "ended already", jo.delete(&path)).await;
    none(
        &harbor,
        "ended already",
        other.post("/api/auth/logout", json!({})),
    )
    .await;

    let third = Person::sign_in(&hub, &jo.email).await;
    one(
        &harbor,
        "signed_out",
        jo,
        third.post("/api/auth/logout", json!({})),
    )
    .await;
    none(
        &harbor,
        "signed out already",
        third.post("/api/auth/logout", json!({})),
    )
    .await;
    let fourth = Person::sign_in(&hub, &jo.email).await;
    let request = Person::anonymous(&hub)
        .request(Method::POST, "/logout")
        .header(
            "cookie",
            format!("messagehub_access={}", fourth.token.as_ref().unwrap()),
        )
        .header("sec-fetch-site", "same-origin");
    one(&harbor, "signed_out", jo, fourth.ask(request)).await;
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

#[tokio::test]
async fn audit_log_filters_paginates_and_names_invalid_filters() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let sam = harbor.agent("Sam").await;
    for n in 1..=5 {
        harbor.set_credits(&sam, n).await;
    }
    sqlx::query("insert into audit_log (workspace_id, action, actor_name, created_at) values ($1::uuid, 'signed_in', 'Long ago', '2020-02-29 23:59:59+00')")
        .bind(&harbor.id)
        .execute(&hub.superuser_pool)
        .await
        .unwrap();
    let all = entries(&harbor).await;
    let get_page = async |query: &str| {
        harbor
            .admin
            .get(&harbor.path(&format!("/audit?{query}")))
            .await
    };
    let found = async |query: &str| -> Vec<Value> {
        let list = get_page(query).await.expect_status(200);
        list["data"].as_array().unwrap().clone()
    };

    assert_eq!(
        found("actor=&action=&from=&to=&cursor=&limit=200").await,
        all
    );
    let of_sam = found(&format!("actor={}", sam.id)).await;
    assert!(!of_sam.is_empty() && of_sam.iter().all(|entry| entry["actor_id"] == sam.id));
    let credits = found("action=credits_changed").await;
    assert_eq!(credits.len(), 6);
    let both = found(&format!("action=credits_changed&actor={}", sam.id)).await;
    assert!(both.is_empty());
    for (query, count) in [
        ("to=2020-02-29", 1),
        ("to=2020-02-28", 0),
        ("from=2020-02-29&to=2020-02-29", 1),
        ("from=2020-02-29", all.len()),
        ("from=2020-03-01", all.len() - 1),
        ("from=2999-01-01", 0),
        ("from=2020-03-01&to=2020-02-01", 0),
    ] {
        assert_eq!(found(query).await.len(), count, "{query}");
    }

    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get_page(&format!("limit=3&cursor={cursor}"))
            .await
            .expect_status(200);
        paged.extend(page["data"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.into(),
            None => break,
        }
    }
    assert_eq!(paged, all);

    for wrong in [
        "actor=x",
        "actor=1",
        "action=fly",
        "action=%00",
        "from=yesterday",
        "from=2026-13-01",
        "to=2026-02-30",
        "from=2026-11-01T00:00:00Z",
        "limit=0",
        "limit=201",
        "cursor=x",
    ] {
        get_page(wrong).await.refused(422, "validation_failed");
    }
    // Dates outside the supported range cause no server error.
    for far in [
        "from=-9999-01-01",
        "to=-9999-01-01",
        "to=%2B262142-12-31",
        "from=%2B262142-12-31",
        "to=9999-12-31",
        "from=0000-01-01",
    ] {
        let status = get_page(far).await.status;
        assert!([200, 422].contains(&status), "{far}: {status}");
    }
}

#[tokio::test]
async fn audit_log_is_limited_to_admins_of_the_workspace() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let sam = harbor.agent("Sam").await;
    let bay = hub.workspace("Bay Optics").await;
    sam.get(&harbor.path("/audit"))
        .await
        .refused(403, "admin_only");
    bay.admin
        .get(&harbor.path("/audit"))
        .await
        .refused(403, "not_a_member");

    let before = entries(&harbor).await;
    let lin = bay.agent("Lin").await;
    bay.set_credits(&lin, 5).await;
    bay.connect_twilio("+16285550177").await;
    bay.invite("kim@bay.test", "admin").await;
    Person::sign_in(&hub, &bay.admin.email).await;
    assert!(
        entries(&bay).await.len() > 5,
        "the other workspace has entries"
    );
    assert_eq!(entries(&harbor).await, before);
}

#[tokio::test]
async fn agents_write_audit_entries_only_as_themselves_and_read_none() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let sam = harbor.agent("Sam").await;
    let bay = hub.workspace("Bay Optics").await;
    for (columns, values) in [
        (
            "action, actor_id",
            format!("'signed_in', '{}'", harbor.admin.id),
        ),
        ("action, actor_id", "'signed_in', null".into()),
        ("action, workspace_id", format!("'signed_in', '{}'", bay.id)),
    ] {
        let mut tx = hub.with_rights_of(&sam, &harbor).await;
        let sql = format!("insert into audit_log ({columns}) values ({values})");
        let refused = sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(&mut *tx)
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("row-level security"),
            "{values}: {refused}"
        );
    }
    let mut tx = hub.with_rights_of(&sam, &harbor).await;
    sqlx::query("insert into audit_log (action) values ('signed_in')")
        .execute(&mut *tx)
        .await
        .unwrap();
    let seen: i64 = sqlx::query_scalar("select count(*) from audit_log")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(seen, 0);
    for operation in [
        "update audit_log set actor_name = 'x'",
        "delete from audit_log",
        "truncate audit_log",
    ] {
        let mut tx = hub.with_rights_of(&harbor.admin, &harbor).await;
        let refused = sqlx::query(operation).execute(&mut *tx).await.unwrap_err();
        assert!(
            refused.to_string().contains("permission denied"),
            "{operation}: {refused}"
        );
    }
}

#[tokio::test]
async fn audit_entries_contain_no_secrets() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = harbor.admin.clone();
    harbor.receive_text(MAYA, "Between us: 4711").await;
    let link = harbor.invite("kim@harbor.test", "agent").await;
    let confirm = hub.mail_server.mail_to(&jo.email).await.link();
    let reset = request_reset(&hub, &jo.email).await;
    let wrong = json!({"email": jo.email, "password": "a wrong password"});
    Person::anonymous(&hub).post("/api/auth/login", wrong).await;
    let (app, codes) = enable_second_factor(&hub, &jo).await;
    let code = app.code_at(0);
    let login = json!({"email": jo.email, "password": PASSWORD, "code": code});
    let session = Person::anonymous(&hub)
        .post("/api/auth/login", login)
        .await
        .expect_status(200);
    advance_a_day(&hub).await;
    let form = json!({"current_password": PASSWORD, "new_password": "another good one"});
    let change = jo.request(Method::PUT, "/api/auth/password").json(&form);
    jo.ask(change).await.expect_status(204);

    let dump: String = sqlx::query_scalar("select string_agg(a::text, ' ') from audit_log a")
        .fetch_one(&hub.superuser_pool)
        .await
        .unwrap();
    assert!(dump.contains("password_changed") && dump.contains("two_factor_enabled"));
    for secret in [
        TOKEN,
        &TOKEN[28..],
        PASSWORD,
        "a wrong password",
        "another good one",
        &link,
        confirm.rsplit('/').next().unwrap(),
        &reset,
        &app.secret(),
        &codes[0],
        &code,
        jo.token.as_ref().unwrap(),
        &jo.refresh_token,
        session["access_token"].as_str().unwrap(),
        "4711",
        MAYA,
    ] {
        assert!(!dump.contains(secret), "the log contains {secret}");
    }
}

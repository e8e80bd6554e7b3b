//! Invitations: offer, acceptance, and what they bring.

use futures_util::future::join_all;
use serde_json::json;

use super::{SAM, accepts, another_admin, newcomer, roles};
use crate::hub::{FRONT_DESK, Hub, PASSWORD, Person};

#[tokio::test]
async fn invited_person_sees_the_offer_and_joins_with_a_new_account() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let anonymous = Person::anonymous(&hub);
    let form = json!({"email": " Sam@Harbor.Test ", "role": "agent"});
    let invited = harbor
        .admin
        .post(&harbor.path("/members"), form)
        .await
        .expect_status(201)["invitation"]
        .clone();
    assert_eq!(
        (&invited["email"], &invited["role"]),
        (&json!(SAM), &json!("agent"))
    );
    let url = invited["url"].as_str().unwrap();
    assert_eq!(
        hub.mail_server.mail_to(SAM).await.link(),
        url,
        "the mail has the same link"
    );
    let token = url.rsplit('/').next().unwrap();

    let offer = anonymous
        .get(&format!("/api/invitations/{token}"))
        .await
        .expect_status(200);
    assert_eq!(offer["workspace_name"], "Harbor Dental");
    assert_eq!(
        (&offer["email"], &offer["role"]),
        (&json!(SAM), &json!("agent"))
    );
    assert_eq!(offer["invited_by_name"], "Jo Park");
    for (form, field) in [
        (json!({}), "password"),
        (json!({"name": "Sam", "password": "short"}), "password"),
        (
            json!({"name": "x".repeat(121), "password": PASSWORD}),
            "name",
        ),
        (json!({"name": "Sam", "pass": PASSWORD}), "body"),
    ] {
        let problem = accepts(&anonymous, token, form)
            .await
            .refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field);
    }

    let answer = accepts(&anonymous, token, newcomer()).await;
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    let session = answer.expect_status(200);
    assert_eq!(session["user"]["name"], "Sam Ortiz");
    assert_eq!(session["workspaces"].as_array().unwrap().len(), 1);
    assert_eq!(session["workspaces"][0]["role"], "agent");
    let sam = Person::signed_in(&hub, &session);
    sam.get(&harbor.path("/conversations"))
        .await
        .expect_status(200);
    Person::sign_in(&hub, SAM).await;
}

#[tokio::test]
async fn existing_account_joins_with_its_password_and_keeps_its_name() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let token = harbor.invite(&bay.admin.email, "agent").await;
    hub.verify_email(&bay.admin.email).await;
    let anonymous = Person::anonymous(&hub);

    let wrong = json!({"name": "Mallory", "password": "not this password"});
    accepts(&anonymous, &token, wrong)
        .await
        .refused(401, "unauthenticated");
    bay.admin
        .get(&harbor.path("/conversations"))
        .await
        .refused(403, "not_a_member");

    let right = json!({"name": "Mallory", "password": PASSWORD});
    let session = accepts(&anonymous, &token, right).await.expect_status(200);
    assert_eq!(session["user"]["id"], bay.admin.id);
    assert_eq!(session["user"]["name"], "Jo Park");
    assert_eq!(session["workspaces"].as_array().unwrap().len(), 2);
    bay.admin
        .get(&harbor.path("/conversations"))
        .await
        .expect_status(200);
}

#[tokio::test]
async fn signed_in_user_joins_only_with_the_invited_address() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let (bay, cove) = (
        hub.workspace("Bay Optics").await,
        hub.workspace("Cove Vets").await,
    );
    let token = harbor.invite(&bay.admin.email, "agent").await;
    hub.verify_email(&bay.admin.email).await;

    let problem = accepts(&cove.admin, &token, json!({}))
        .await
        .refused(422, "validation_failed");
    assert_eq!(problem["errors"][0]["field"], "email");
    cove.admin
        .get(&harbor.path(""))
        .await
        .refused(403, "not_a_member");

    let session = accepts(&bay.admin, &token, json!({}))
        .await
        .expect_status(200);
    assert_eq!(session["user"]["id"], bay.admin.id);
    bay.admin.get(&harbor.path("")).await.expect_status(200);
    assert_eq!(roles(&harbor).await.len(), 2, "no other user joined");
}

#[tokio::test]
async fn used_withdrawn_expired_or_forged_links_are_refused() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let anonymous = Person::anonymous(&hub);

    let used = harbor.invite(SAM, "agent").await;
    accepts(&anonymous, &used, newcomer())
        .await
        .expect_status(200);

    let withdrawn = harbor.invite("lin@harbor.test", "agent").await;
    let list = harbor
        .admin
        .get(&harbor.path("/invitations"))
        .await
        .expect_status(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(list["data"][0]["email"], "lin@harbor.test");
    assert!(
        list["data"][0].get("url").is_none(),
        "the link is shown once"
    );
    let id = list["data"][0]["id"].as_str().unwrap();
    bay.admin
        .delete(&bay.path(&format!("/invitations/{id}")))
        .await
        .refused(404, "not_found");
    let path = harbor.path(&format!("/invitations/{id}"));
    harbor.admin.delete(&path).await.expect_status(204);
    harbor.admin.delete(&path).await.refused(404, "not_found");

    let expired = harbor.invite("kim@harbor.test", "agent").await;
    hub.execute_sql("update invitations set expires_at = now() - interval '1 second'")
        .await;
    let list = harbor
        .admin
        .get(&harbor.path("/invitations"))
        .await
        .expect_status(200);
    assert_eq!(list["data"], json!([]));

    for token in [
        &used,
        &withdrawn,
        &expired,
        "x",
        "%00",
        &"A".repeat(43),
        &"A".repeat(5_000),
    ] {
        anonymous
            .get(&format!("/api/invitations/{token}"))
            .await
            .refused(404, "not_found");
        accepts(&anonymous, token, newcomer())
            .await
            .refused(404, "not_found");
        accepts(&bay.admin, token, json!({}))
            .await
            .refused(404, "not_found");
    }
    assert_eq!(roles(&harbor).await.len(), 2);
}

#[tokio::test]
async fn new_invitation_invalidates_the_previous_and_names_the_role() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let anonymous = Person::anonymous(&hub);
    let first = harbor.invite(SAM, "admin").await;
    let second = harbor.invite("SAM@harbor.test", "agent").await;

    accepts(&anonymous, &first, newcomer())
        .await
        .refused(404, "not_found");
    let session = accepts(&anonymous, &second, newcomer())
        .await
        .expect_status(200);
    assert_eq!(session["workspaces"][0]["role"], "agent");

    let form = json!({"email": SAM, "role": "admin"});
    let problem = harbor
        .admin
        .post(&harbor.path("/members"), form)
        .await
        .refused(422, "validation_failed");
    assert_eq!(
        problem["errors"][0]["field"], "email",
        "a member is not invited"
    );
}

#[tokio::test]
async fn concurrent_uses_of_one_link_join_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let anonymous = Person::anonymous(&hub);

    let token = harbor.invite(SAM, "agent").await;
    let answers = join_all((0..6).map(|n| {
        let form = json!({"name": format!("Sam {n}"), "password": format!("{PASSWORD} {n}")});
        accepts(&anonymous, &token, form)
    }))
    .await;
    let joined = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(joined, 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.status < 500));
    assert_eq!(
        hub.count("select count(*) from users where email = 'sam@harbor.test'")
            .await,
        1
    );

    let token = harbor.invite(&bay.admin.email, "agent").await;
    hub.verify_email(&bay.admin.email).await;
    let answers = join_all((0..6).map(|_| accepts(&bay.admin, &token, json!({})))).await;
    let joined = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(joined, 1, "{answers:?}");
    assert_eq!(roles(&harbor).await.len(), 3);
}

#[tokio::test]
async fn invitation_assigns_numbers_of_its_workspace_only() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let bay = hub.workspace("Bay Optics").await;
    bay.connect_twilio("+16285550177").await;
    let (ours, theirs) = (
        harbor.number(FRONT_DESK).await,
        bay.number("+16285550177").await,
    );
    let unknown_id = "01890000-0000-7000-8000-000000000000";
    let form =
        json!({"email": SAM, "role": "agent", "number_ids": [ours, theirs, unknown_id, ours]});
    let invited = harbor
        .admin
        .post(&harbor.path("/members"), form)
        .await
        .expect_status(201);
    let url = invited["invitation"]["url"].as_str().unwrap();
    let token = url.rsplit('/').next().unwrap();
    let session = accepts(&Person::anonymous(&hub), token, newcomer())
        .await
        .expect_status(200);
    let sam = Person::signed_in(&hub, &session);

    let numbers = sam.get(&harbor.path("/numbers")).await.expect_status(200);
    let ids: Vec<_> = numbers["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number["id"].clone())
        .collect();
    assert_eq!(ids, [json!(ours)]);
    assert_eq!(
        hub.count("select count(*) from number_members").await,
        1,
        "nothing was assigned anywhere else"
    );
}

#[tokio::test]
async fn starting_credits_are_granted_to_new_agents_not_admins() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let anonymous = Person::anonymous(&hub);
    harbor
        .admin
        .patch(&harbor.path(""), json!({"starting_credits": 25}))
        .await
        .expect_status(200);
    let agent = harbor.invite(SAM, "agent").await;
    let sam = Person::signed_in(
        &hub,
        &accepts(&anonymous, &agent, newcomer())
            .await
            .expect_status(200),
    );
    let lin = another_admin(&harbor, "lin@harbor.test").await;

    let path = harbor.path(&format!("/credits/{}", sam.id));
    assert_eq!(sam.get(&path).await.expect_status(200)["balance"], 25);
    let ledger = sam.get(&format!("{path}/ledger")).await.expect_status(200);
    assert_eq!(ledger["data"].as_array().unwrap().len(), 1);
    let entry = &ledger["data"][0];
    assert_eq!(
        (&entry["delta"], &entry["balance"], &entry["kind"]),
        (&json!(25), &json!(25), &json!("granted"))
    );
    let path = harbor.path(&format!("/credits/{}/ledger", lin.id));
    assert_eq!(lin.get(&path).await.expect_status(200)["data"], json!([]));
}

//! Members: invitations, roles and leaving.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, PASSWORD, Person, Workspace};

const SAM: &str = "sam@harbor.test";

async fn accepts(who: &Person, token: &str, form: Value) -> Answer {
    who.post(&format!("/api/invitations/{token}/accept"), form)
        .await
}

fn newcomer() -> Value {
    json!({"name": "Sam Ortiz", "password": PASSWORD})
}

/// A second admin, who joined by invitation.
async fn another_admin(harbor: &Workspace<'_>, email: &str) -> Person {
    let link = harbor.invite(email, "admin").await;
    let session = accepts(&Person::anonymous(harbor.hub), &link, newcomer()).await;
    Person::signed_in(harbor.hub, &session.expect_status(200))
}

async fn changes_role(who: &Person, harbor: &Workspace<'_>, user: &str, role: &str) -> Answer {
    who.patch(
        &harbor.path(&format!("/members/{user}")),
        json!({"role": role}),
    )
    .await
}

async fn removes(who: &Person, harbor: &Workspace<'_>, user: &str) -> Answer {
    who.delete(&harbor.path(&format!("/members/{user}"))).await
}

async fn roles(harbor: &Workspace<'_>) -> Vec<(String, String)> {
    sqlx::query_as(
        "select user_id::text, role from workspace_members where workspace_id::text = $1 order by 1",
    )
    .bind(&harbor.id)
    .fetch_all(&harbor.hub.superuser_pool)
    .await
    .unwrap()
}

async fn admins(harbor: &Workspace<'_>) -> usize {
    let roles = roles(harbor).await;
    roles.iter().filter(|(_, role)| role == "admin").count()
}

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

#[tokio::test]
async fn agents_cannot_manage_members() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.invite("kim@harbor.test", "agent").await;
    let list = harbor
        .admin
        .get(&harbor.path("/invitations"))
        .await
        .expect_status(200);
    let invitation = list["data"][0]["id"].as_str().unwrap();
    let before = roles(&harbor).await;

    let form = json!({"email": "friend@harbor.test", "role": "admin"});
    sam.post(&harbor.path("/members"), form)
        .await
        .refused(403, "admin_only");
    sam.get(&harbor.path("/invitations"))
        .await
        .refused(403, "admin_only");
    sam.delete(&harbor.path(&format!("/invitations/{invitation}")))
        .await
        .refused(403, "admin_only");
    for (victim, role) in [
        (&sam.id, "admin"),
        (&lin.id, "admin"),
        (&harbor.admin.id, "agent"),
    ] {
        changes_role(&sam, &harbor, victim, role)
            .await
            .refused(403, "admin_only");
    }
    for victim in [&lin.id, &harbor.admin.id] {
        removes(&sam, &harbor, victim)
            .await
            .refused(403, "admin_only");
    }

    assert_eq!(roles(&harbor).await, before);
    assert_eq!(hub.count("select count(*) from invitations").await, 1);
    // Row-level security refuses it too.
    let mut tx = hub.with_rights_of(&sam, &harbor).await;
    let raised = sqlx::query("update workspace_members set role = 'admin'")
        .execute(&mut *tx)
        .await
        .unwrap();
    assert_eq!(raised.rows_affected(), 0);
    let others = sqlx::query("delete from workspace_members where user_id <> current_user_id()")
        .execute(&mut *tx)
        .await
        .unwrap();
    assert_eq!(others.rows_affected(), 0);
    let seen: i64 = sqlx::query_scalar("select count(id) from invitations")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(seen, 0);
    let invited = sqlx::query("insert into invitations (email, role, token_hash, expires_at) values ('x@harbor.test', 'admin', 'x', now() + interval '1 day')")
        .execute(&mut *tx)
        .await;
    assert!(
        invited
            .unwrap_err()
            .to_string()
            .contains("row-level security")
    );
}

#[tokio::test]
async fn role_change_applies_to_next_request_and_open_sockets() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    let (mut jo, mut agent) = (
        harbor.admin.join_workspace(&harbor).await,
        sam.join_workspace(&harbor).await,
    );
    let integrations = harbor.path("/integrations");
    sam.get(&integrations).await.refused(403, "admin_only");
    hub.twilio.text(MAYA, FRONT_DESK, "Before").await;
    jo.wait_for("new_message").await;

    let member = changes_role(&harbor.admin, &harbor, &sam.id, "admin")
        .await
        .expect_status(200);
    assert_eq!(
        (&member["user_id"], &member["role"]),
        (&json!(sam.id), &json!("admin"))
    );
    sam.get(&integrations).await.expect_status(200);
    // The next frame of the socket is the resync: no earlier event is sent.
    assert_eq!(agent.next().await["type"], "resync");
    hub.twilio.text(MAYA, FRONT_DESK, "As an admin").await;
    assert_eq!(
        agent.wait_for("new_message").await["message"]["content"],
        "As an admin"
    );
    jo.wait_for("new_message").await;

    changes_role(&harbor.admin, &harbor, &sam.id, "agent")
        .await
        .expect_status(200);
    sam.get(&integrations).await.refused(403, "admin_only");
    let conversations = sam
        .get(&harbor.path("/conversations"))
        .await
        .expect_status(200);
    assert_eq!(conversations["data"], json!([]));
    agent.wait_for("resync").await;
    hub.twilio.text(MAYA, FRONT_DESK, "As an agent again").await;
    jo.wait_for("new_message").await;
    assert!(agent.received_so_far(&harbor).await.is_empty());
}

#[tokio::test]
async fn unknown_roles_and_unknown_members_get_distinct_errors() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let sam = harbor.agent("Sam").await;
    for role in ["owner", "", "Admin"] {
        changes_role(&harbor.admin, &harbor, &sam.id, role)
            .await
            .refused(422, "validation_failed");
        let form = json!({"email": "kim@harbor.test", "role": role});
        harbor
            .admin
            .post(&harbor.path("/members"), form)
            .await
            .refused(422, "validation_failed");
    }
    for email in ["", "kim", "kim@", "@harbor.test", "kim@harbor", "a b@c.d"] {
        let form = json!({"email": email, "role": "agent"});
        harbor
            .admin
            .post(&harbor.path("/members"), form)
            .await
            .refused(422, "validation_failed");
    }
    let stranger = &bay.admin.id;
    changes_role(&harbor.admin, &harbor, stranger, "agent")
        .await
        .refused(404, "not_found");
    removes(&harbor.admin, &harbor, stranger)
        .await
        .refused(404, "not_found");
    assert_eq!(admins(&bay).await, 1);
}

async fn routes(harbor: &Workspace<'_>) -> Vec<(reqwest::Method, String)> {
    let description = harbor
        .admin
        .get("/api/openapi.json")
        .await
        .expect_status(200);
    let some = "01890000-0000-7000-8000-000000000000";
    let mut routes = Vec::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        let Some(rest) = path.strip_prefix("/api/workspaces/{workspace_id}") else {
            continue;
        };
        let parts = rest.split('/');
        let filled: Vec<_> = parts
            .map(|part| if part.starts_with('{') { some } else { part })
            .collect();
        for method in operations.as_object().unwrap().keys() {
            let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            routes.push((method, harbor.path(&filled.join("/"))));
        }
    }
    assert!(routes.len() > 20, "too few routes");
    routes
}

#[tokio::test]
async fn removed_member_loses_access_at_once_and_keeps_the_session() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let bay = hub.workspace("Bay Optics").await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    hub.verify_email(&sam.email).await;
    let token = bay.invite(&sam.email, "agent").await;
    accepts(&sam, &token, json!({})).await.expect_status(200);
    let mut socket = sam.join_workspace(&harbor).await;
    harbor.receive_text(MAYA, "Between us: 4711").await;
    assert_eq!(
        socket.wait_for("new_message").await["message"]["content"],
        "Between us: 4711"
    );

    removes(&harbor.admin, &harbor, &sam.id)
        .await
        .expect_status(204);

    for (method, path) in routes(&harbor).await {
        let request = sam.request(method.clone(), &path);
        let request = match method {
            reqwest::Method::GET => request,
            _ => request.json(&json!({"name": "Harbor Dental", "role": "admin"})),
        };
        sam.ask(request).await.refused(403, "not_a_member");
    }
    assert_eq!(socket.wait_for_close().await, 1008);
    let me = sam.get("/api/auth/me").await.expect_status(200);
    assert_eq!(me["workspaces"].as_array().unwrap().len(), 1);
    sam.get(&bay.path("/conversations"))
        .await
        .expect_status(200);
    let mut socket = sam.socket().await;
    socket
        .send(json!({"type": "join_workspace", "workspace_id": harbor.id}))
        .await;
    assert_eq!(socket.wait_for("error").await["code"], "not_a_member");
    // A returning member starts without numbers.
    let token = harbor.invite(&sam.email, "agent").await;
    accepts(&sam, &token, json!({})).await.expect_status(200);
    let numbers = sam.get(&harbor.path("/numbers")).await.expect_status(200);
    assert_eq!(numbers["data"], json!([]));
}

#[tokio::test]
async fn agents_and_all_but_the_last_admin_can_leave() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let sam = harbor.agent("Sam").await;
    let lin = another_admin(&harbor, "lin@harbor.test").await;
    for leaver in [&sam, &lin] {
        removes(leaver, &harbor, &leaver.id)
            .await
            .expect_status(204);
        leaver
            .get(&harbor.path(""))
            .await
            .refused(403, "not_a_member");
    }
    assert_eq!(
        roles(&harbor).await,
        [(harbor.admin.id.clone(), "admin".to_owned())]
    );
}

#[tokio::test]
async fn last_admin_cannot_be_demoted_removed_or_leave() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    harbor.agent("Sam").await;
    let jo = &harbor.admin;
    changes_role(jo, &harbor, &jo.id, "agent")
        .await
        .refused(409, "last_admin");
    removes(jo, &harbor, &jo.id)
        .await
        .refused(409, "last_admin");
    assert_eq!(admins(&harbor).await, 1);

    // With a second admin it is possible, until that one is the last.
    let lin = another_admin(&harbor, "lin@harbor.test").await;
    changes_role(jo, &harbor, &jo.id, "agent")
        .await
        .expect_status(200);
    removes(jo, &harbor, &lin.id)
        .await
        .refused(403, "admin_only");
    changes_role(&lin, &harbor, &lin.id, "agent")
        .await
        .refused(409, "last_admin");
    removes(&lin, &harbor, &lin.id)
        .await
        .refused(409, "last_admin");
}

#[tokio::test]
async fn concurrent_mutual_demotion_leaves_one_admin() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    let lin = another_admin(&harbor, "lin@harbor.test").await;
    for round in 0..20 {
        let answers: [Answer; 2] = match round % 3 {
            0 => tokio::join!(
                changes_role(jo, &harbor, &lin.id, "agent"),
                changes_role(&lin, &harbor, &jo.id, "agent"),
            )
            .into(),
            1 => tokio::join!(
                changes_role(jo, &harbor, &jo.id, "agent"),
                changes_role(&lin, &harbor, &lin.id, "agent"),
            )
            .into(),
            _ => tokio::join!(
                changes_role(jo, &harbor, &lin.id, "agent"),
                changes_role(&lin, &harbor, &lin.id, "agent"),
            )
            .into(),
        };
        for answer in &answers {
            // The later request is refused: its caller is the last admin, or no admin any more.
            assert!(
                [200, 403, 404, 409].contains(&answer.status),
                "round {round}: {answers:?}"
            );
        }
        assert!(admins(&harbor).await >= 1, "round {round}: {answers:?}");
        hub.execute_sql("update workspace_members set role = 'admin'")
            .await;
    }
}

#[tokio::test]
async fn concurrent_departure_leaves_one_admin() {
    let hub = Hub::start().await;
    for round in 0..6 {
        let harbor = hub.workspace("Harbor Dental").await;
        let lin = another_admin(&harbor, &format!("lin{round}@harbor.test")).await;
        let (one, other) = tokio::join!(
            removes(&harbor.admin, &harbor, &harbor.admin.id),
            removes(&lin, &harbor, &lin.id),
        );
        let statuses = HashSet::from([one.status, other.status]);
        assert_eq!(statuses, HashSet::from([204, 409]), "{one:?} {other:?}");
        assert_eq!(admins(&harbor).await, 1);
    }
}

#[tokio::test]
async fn database_keeps_at_least_one_admin() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    harbor.agent("Sam").await;
    for statement in [
        "update workspace_members set role = 'agent'",
        "update workspace_members set role = 'agent' where user_id = current_user_id()",
        "delete from workspace_members",
        "delete from workspace_members where user_id = current_user_id()",
    ] {
        let mut tx = hub.with_rights_of(&harbor.admin, &harbor).await;
        let refused = sqlx::query(statement).execute(&mut *tx).await.unwrap_err();
        assert!(
            refused.to_string().contains("keeps an admin"),
            "{statement}: {refused}"
        );
    }
    let mut tx = hub.with_rights_of(&harbor.admin, &harbor).await;
    let others = sqlx::query("delete from workspace_members where user_id <> current_user_id()")
        .execute(&mut *tx)
        .await
        .unwrap();
    assert_eq!(others.rows_affected(), 1, "another member can be deleted");
}

/// The answer without its variable parts: the address and times.
fn mail_and_status(answer: &Answer, email: &str) -> (u16, String) {
    let body = answer.body.replace(email, "…");
    let body = match serde_json::from_str::<Value>(&body) {
        Ok(mut body) => {
            if body.get("expires_at").is_some() {
                body["expires_at"] = json!("…");
            }
            body.to_string()
        }
        Err(_) => body,
    };
    (answer.status, body)
}

#[tokio::test]
async fn responses_do_not_reveal_whether_an_account_exists() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let bay = hub.workspace("Bay Optics").await;
    let anonymous = Person::anonymous(&hub);
    let addresses = [bay.admin.email.as_str(), "stranger@bay.test"];
    let mut links = Vec::new();
    for email in addresses {
        links.push(harbor.invite(email, "agent").await);
    }
    let no_name =
        json!({"workspace_name": "", "name": "Kim", "password": PASSWORD, "email": "EMAIL"});
    let no_password =
        json!({"workspace_name": "Kim", "name": "Kim", "password": "short", "email": "EMAIL"});
    let questions = [
        (
            "/api/auth/login",
            json!({"email": "EMAIL", "password": "not this one"}),
        ),
        (
            "/api/auth/login",
            json!({"email": "EMAIL", "password": "not this one", "code": "123456"}),
        ),
        ("/api/auth/login", json!({"email": "EMAIL", "password": ""})),
        ("/api/auth/forgot-password", json!({"email": "EMAIL"})),
        ("/api/auth/signup", no_name),
        ("/api/auth/signup", no_password),
        ("/api/invitations/LINK/accept", json!({})),
        (
            "/api/invitations/LINK/accept",
            json!({"password": "not this one"}),
        ),
        ("/api/invitations/LINK/accept", json!({"password": "short"})),
        (
            "/api/invitations/LINK/accept",
            json!({"name": "", "password": "not this one"}),
        ),
        (
            "/api/invitations/LINK/accept",
            json!({"name": "Kim", "password": "short"}),
        ),
        (
            "/api/invitations/LINK/accept",
            json!({"name": "x".repeat(121), "password": "not this one"}),
        ),
        (
            "/api/invitations/LINK/accept",
            json!({"name": "Kim", "password": "x".repeat(201)}),
        ),
    ];
    for (path, form) in questions {
        let mut answers = Vec::new();
        for (email, link) in addresses.iter().zip(&links) {
            let form = serde_json::from_str(&form.to_string().replace("EMAIL", email)).unwrap();
            let answer = anonymous.post(&path.replace("LINK", link), form).await;
            answers.push(mail_and_status(&answer, email));
        }
        assert_eq!(answers[0], answers[1], "{path} {form}");
    }
    let mut offers = Vec::new();
    for (email, link) in addresses.iter().zip(&links) {
        let offer = anonymous.get(&format!("/api/invitations/{link}")).await;
        offers.push(mail_and_status(&offer, email));
    }
    assert_eq!(offers[0], offers[1]);
    assert_eq!(offers[0].0, 200);
}

/// The caller learns only that the address cannot be used; the mail to its owner says why.
#[tokio::test]
async fn repeated_sign_up_is_mailed_to_the_account_owner() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let email = harbor.admin.email.as_str();
    hub.mail_server.mail_to(email).await; // the confirmation mail
    let form =
        json!({"workspace_name": "Mine", "name": "Eve", "email": email, "password": PASSWORD});
    let problem = Person::anonymous(&hub)
        .post("/api/auth/signup", form)
        .await
        .refused(422, "validation_failed");
    let message = problem["errors"][0]["message"].as_str().unwrap();
    assert!(!message.contains("account"), "{message}");
    let mail = hub.mail_server.mail_to(email).await;
    assert_eq!(mail.subject, "You have an account already");
}

/// Anyone can cause three mails to an address: that must not keep its owner from joining.
#[tokio::test]
async fn mail_limit_by_others_does_not_block_joining() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let anonymous = Person::anonymous(&hub);
    let token = harbor.invite(SAM, "agent").await;
    let forgot = || anonymous.post("/api/auth/forgot-password", json!({"email": SAM}));
    for _ in 0..3 {
        forgot().await.expect_status(202);
    }
    forgot().await.refused(429, "rate_limited");

    let session = accepts(&anonymous, &token, newcomer())
        .await
        .expect_status(200);
    Person::signed_in(&hub, &session)
        .get(&harbor.path(""))
        .await
        .expect_status(200);
}

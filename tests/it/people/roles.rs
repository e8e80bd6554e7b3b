//! Roles, removal and leaving; the last admin stays.

use std::collections::HashSet;

use serde_json::json;

use super::{accepts, another_admin, roles};
use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, Person, Workspace};

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

async fn admins(harbor: &Workspace<'_>) -> usize {
    let roles = roles(harbor).await;
    roles.iter().filter(|(_, role)| role == "admin").count()
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

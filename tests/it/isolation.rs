//! No row, event or byte crosses a workspace, nor an agent's numbers.

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::hub::{FRONT_DESK, Hub, MAYA, Person, Workspace};

/// Every route of the API with a workspace in it, with this workspace's ids in their places.
async fn routes(
    hub: &Hub,
    workspace: &Workspace<'_>,
    ids: &[(&str, String)],
) -> Vec<(String, String)> {
    let description = Person::nobody(hub).get("/api/openapi.json").await.is(200);
    let mut routes = Vec::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        if !path.contains("{workspace_id}") {
            continue;
        }
        let mut filled = path.replace("{workspace_id}", &workspace.id);
        for (name, id) in ids {
            filled = filled.replace(&format!("{{{name}}}"), id);
        }
        assert!(
            !filled.contains('{'),
            "a new kind of id: give the test one for {path}"
        );
        routes.extend(
            operations
                .as_object()
                .unwrap()
                .keys()
                .map(|method| (method.clone(), filled.clone())),
        );
    }
    assert!(routes.len() > 20, "the description lists the routes");
    routes
}

async fn asks(who: &Person, method: &str, path: &str) -> crate::hub::Answer {
    let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let body = json!({"name": "Mine now", "status": "done", "content": "Hi", "phone_number": MAYA, "provider": "sandbox"});
    let request = who.request(method.clone(), path);
    who.ask(if method == reqwest::Method::GET {
        request
    } else {
        request.json(&body)
    })
    .await
}

async fn ids(harbor: &Workspace<'_>, conversation: &Value) -> Vec<(&'static str, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let integration = harbor
        .admin
        .get(&harbor.path("/integrations"))
        .await
        .is(200)["data"][0]["id"]
        .clone();
    vec![
        ("integration_id", text(&integration)),
        ("number_id", text(&conversation["number_id"])),
        ("contact_id", text(&conversation["contact_id"])),
        ("conversation_id", text(&conversation["id"])),
        ("message_id", text(&conversation["last_message_id"])),
        ("user_id", harbor.admin.id.clone()),
    ]
}

#[tokio::test]
async fn another_workspaces_admin_gets_403_everywhere() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.hears(MAYA, "Between us: 4711").await;
    let bay = hub.workspace("Bay Optics").await;
    let ids = ids(&harbor, &conversation).await;

    for (method, path) in routes(&hub, &harbor, &ids).await {
        let answer = asks(&bay.admin, &method, &path).await;
        assert!(
            !answer.body.contains("4711") && !answer.body.contains(MAYA),
            "{method} {path}"
        );
        answer.refused(403, "not_a_member");
        asks(&Person::nobody(&hub), &method, &path)
            .await
            .refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn foreign_ids_in_ones_own_workspace_are_not_found() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.hears(MAYA, "Between us: 4711").await;
    let bay = hub.workspace("Bay Optics").await;
    bay.connects_twilio("+16285550177").await;
    let ids = ids(&harbor, &conversation).await;
    let before = hub.count("select count(*) from messages").await;

    for (method, path) in routes(&hub, &bay, &ids).await {
        let foreign = path
            .rsplit('/')
            .any(|part| ids.iter().any(|(_, id)| id == part));
        // Taking an assignment away that never was is done; it changes nothing.
        if !foreign || method == "delete" {
            continue;
        }
        let answer = asks(&bay.admin, &method, &path).await;
        assert!(!answer.body.contains("4711"), "{method} {path}");
        assert!(
            [404, 422].contains(&answer.status),
            "{method} {path}: {} {}",
            answer.status,
            answer.body
        );
    }
    for draft in [
        json!({"conversation_id": conversation["id"], "content": "Hi"}),
        json!({"contact_id": conversation["contact_id"], "content": "Hi"}),
        json!({"to": MAYA, "number_id": conversation["number_id"], "content": "Hi"}),
    ] {
        bay.admin
            .post(&bay.path("/messages"), draft)
            .await
            .refused(404, "not_found");
    }
    assert_eq!(hub.count("select count(*) from messages").await, before);
}

#[tokio::test]
async fn an_agent_sees_the_numbers_assigned_to_them_and_nothing_else() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.hears(MAYA, "Between us: 4711").await;
    let sam = harbor.agent("Sam").await;

    for path in ["/conversations", "/contacts", "/messages", "/numbers"] {
        let list = sam.get(&harbor.path(path)).await.is(200);
        assert_eq!(list["data"], json!([]), "{path}");
    }
    let one = harbor.path(&format!(
        "/conversations/{}",
        conversation["id"].as_str().unwrap()
    ));
    sam.get(&one).await.refused(404, "not_found");
    let draft = json!({"to": MAYA, "number_id": conversation["number_id"], "content": "Hi"});
    sam.post(&harbor.path("/messages"), draft)
        .await
        .refused(403, "number_not_assigned");
    sam.get(&harbor.path("/integrations"))
        .await
        .refused(403, "admin_only");

    harbor.assigns(FRONT_DESK, &sam).await;
    assert_eq!(sam.get(&one).await.is(200)["id"], conversation["id"]);
    harbor.answers(&sam, &conversation, "Hello").await;
}

/// Reads the catalogue, so that no table that comes later is missed.
#[tokio::test]
async fn every_tenant_table_is_walled_in() {
    let hub = Hub::start().await;
    let tables: Vec<(String, bool, bool, bool, bool, bool)> = sqlx::query_as(
        "select c.relname::text, c.relrowsecurity, c.relforcerowsecurity,
                exists (select from pg_policy p where p.polrelid = c.oid
                           and 'messagehub_people'::regrole = any (p.polroles)
                           and pg_get_expr(p.polqual, p.polrelid) like '%my_workspace()%'),
                (select a.attname from pg_constraint k join pg_attribute a on a.attrelid = c.oid and a.attnum = k.conkey[1]
                  where k.conrelid = c.oid and k.contype = 'p') = 'workspace_id',
                -- No policy for people is open, and none is for everybody.
                not exists (select from pg_policy p where p.polrelid = c.oid
                               and (p.polroles = '{0}' or ('messagehub_people'::regrole = any (p.polroles)
                                    and coalesce(pg_get_expr(p.polqual, p.polrelid), '') || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
                                        not like '%my_workspace()%')))
           from pg_class c
          where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
            and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'workspace_id' and not a.attisdropped)",
    )
    .fetch_all(&hub.raw)
    .await
    .unwrap();
    assert!(tables.len() >= 8, "{tables:?}");
    for (table, enabled, forced, policy, key, closed) in tables {
        assert!(enabled && forced, "{table}: row-level security is forced");
        assert!(
            policy,
            "{table}: a policy for people asks for their workspace"
        );
        assert!(key, "{table}: the primary key begins with workspace_id");
        assert!(
            closed,
            "{table}: every policy for people asks for their workspace"
        );
    }
    let loose: Vec<(String,)> = sqlx::query_as(
        "select k.conname::text from pg_constraint k
           join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
          where k.contype = 'f' and a.attname <> 'workspace_id'
            and exists (select from pg_attribute t where t.attrelid = k.confrelid and t.attname = 'workspace_id')",
    )
    .fetch_all(&hub.raw)
    .await
    .unwrap();
    assert!(
        loose.is_empty(),
        "foreign keys between tenant tables begin with workspace_id: {loose:?}"
    );
    let uncovered: Vec<(String,)> = sqlx::query_as(
        "select c.relname::text from pg_class c
          where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
            and not c.relforcerowsecurity and c.relname not like '\\_sqlx%'",
    )
    .fetch_all(&hub.raw)
    .await
    .unwrap();
    assert!(
        uncovered.is_empty(),
        "global tables are walled in too: {uncovered:?}"
    );
}

/// The database alone, without any of our code, shows a stranger nothing.
#[tokio::test]
async fn the_database_alone_shows_a_stranger_nothing() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.hears(MAYA, "Between us: 4711").await;
    let bay = hub.workspace("Bay Optics").await;
    let sam = harbor.agent("Sam").await;
    let mut conn = PgConnection::connect_with(&hub.database).await.unwrap();
    let mut seen_as = async |workspace: &str, user: &str| {
        let mut tx = conn.begin().await.unwrap();
        sqlx::query("select set_config('role', 'messagehub_people', true), set_config('app.workspace_id', $1, true), set_config('app.user_id', $2, true)")
            .bind(workspace)
            .bind(user)
            .execute(&mut *tx)
            .await
            .unwrap();
        let mut seen = Vec::new();
        for count in [
            "select count(*) from messages",
            "select count(*) from conversations",
            "select count(*) from contacts",
            "select count(*) from numbers",
            "select count(*) from workspaces",
            "select count(*) from workspace_members",
        ] {
            seen.push(
                sqlx::query_scalar::<_, i64>(count)
                    .fetch_one(&mut *tx)
                    .await
                    .unwrap(),
            );
        }
        seen
    };
    assert_eq!(
        seen_as(&harbor.id, &harbor.admin.id).await,
        [1, 1, 1, 1, 1, 2],
        "the test can see"
    );
    assert_eq!(
        seen_as(&harbor.id, &bay.admin.id).await,
        [0; 6],
        "a stranger who names the workspace"
    );
    assert_eq!(seen_as(&harbor.id, "").await, [0; 6], "nobody");
    assert_eq!(seen_as("", &harbor.admin.id).await, [0; 6], "no workspace");
    assert_eq!(
        seen_as(&harbor.id, &sam.id).await,
        [0, 0, 0, 0, 1, 2],
        "an agent without a number"
    );
}

#[tokio::test]
async fn people_cannot_read_credentials_sessions_or_passwords() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let mut conn = PgConnection::connect_with(&hub.database).await.unwrap();
    for secret in [
        "select credentials from integrations",
        "select id from sessions",
        "select password_hash from users",
    ] {
        let mut tx = conn.begin().await.unwrap();
        sqlx::query("select set_config('role', 'messagehub_people', true), set_config('app.workspace_id', $1, true), set_config('app.user_id', $2, true)")
            .bind(&harbor.id)
            .bind(&harbor.admin.id)
            .execute(&mut *tx)
            .await
            .unwrap();
        let refused = sqlx::query(secret).execute(&mut *tx).await.unwrap_err();
        assert!(
            refused.to_string().contains("permission denied"),
            "{secret}: {refused}"
        );
    }
}

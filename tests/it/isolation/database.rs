//! Row-level security and the rights of the database roles.

use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::hub::{FRONT_DESK, Hub, MAYA, TOKEN, empty_database, superuser};

#[tokio::test]
async fn agents_see_only_assigned_numbers() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let conversation = harbor.receive_text(MAYA, "Between us: 4711").await;
    let sam = harbor.agent("Sam").await;

    for path in ["/conversations", "/contacts", "/messages", "/numbers"] {
        let list = sam.get(&harbor.path(path)).await.expect_status(200);
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

    harbor.assign_number(FRONT_DESK, &sam).await;
    assert_eq!(
        sam.get(&one).await.expect_status(200)["id"],
        conversation["id"]
    );
    harbor.reply(&sam, &conversation, "Hello").await;
}

/// Reads the catalog, so that new tables are included.
#[tokio::test]
async fn every_tenant_table_has_row_level_security() {
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
    .fetch_all(&hub.superuser_pool)
    .await
    .unwrap();
    assert!(tables.len() >= 8, "{tables:?}");
    for (table, enabled, forced, policy, key, closed) in tables {
        assert!(enabled && forced, "{table}: row-level security is forced");
        assert!(policy, "{table}: a policy for members checks the workspace");
        assert!(key, "{table}: the primary key begins with workspace_id");
        assert!(
            closed,
            "{table}: every policy for members checks the workspace"
        );
    }
    let loose: Vec<(String,)> = sqlx::query_as(
        "select k.conname::text from pg_constraint k
           join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
          where k.contype = 'f' and a.attname <> 'workspace_id'
            and exists (select from pg_attribute t where t.attrelid = k.confrelid and t.attname = 'workspace_id')",
    )
    .fetch_all(&hub.superuser_pool)
    .await
    .unwrap();
    assert!(
        loose.is_empty(),
        "foreign keys between tenant tables begin with workspace_id: {loose:?}"
    );
    let uncovered: Vec<(String,)> = sqlx::query_as(
        "select c.relname::text from pg_class c
          where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
            and not c.relforcerowsecurity and c.relname not in ('_sqlx_migrations', 'schema_functions')",
    )
    .fetch_all(&hub.superuser_pool)
    .await
    .unwrap();
    assert!(
        uncovered.is_empty(),
        "global tables have forced row-level security too: {uncovered:?}"
    );
}

/// The database alone hides other workspaces, without any application code.
#[tokio::test]
async fn row_level_security_hides_other_workspaces() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Between us: 4711").await;
    let bay = hub.workspace("Bay Optics").await;
    let sam = harbor.agent("Sam").await;
    let mut conn = PgConnection::connect_with(&hub.database).await.unwrap();
    let mut counts_as = async |workspace: &str, user: &str| {
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
        counts_as(&harbor.id, &harbor.admin.id).await,
        [1, 1, 1, 1, 1, 2],
        "the admin sees rows"
    );
    assert_eq!(
        counts_as(&harbor.id, &bay.admin.id).await,
        [0; 6],
        "a non-member who names the workspace"
    );
    assert_eq!(counts_as(&harbor.id, "").await, [0; 6], "nobody");
    assert_eq!(
        counts_as("", &harbor.admin.id).await,
        [0; 6],
        "no workspace"
    );
    assert_eq!(
        counts_as(&harbor.id, &sam.id).await,
        [0, 0, 0, 0, 1, 2],
        "an agent without a number"
    );
}

#[tokio::test]
async fn people_role_cannot_read_credentials_sessions_or_passwords() {
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

/// The role of members owns and bypasses nothing; otherwise the server does not start.
#[tokio::test]
async fn server_refuses_a_role_that_bypasses_row_level_security() {
    let database = empty_database().await;
    let mut owner = PgConnection::connect_with(&superuser(&database))
        .await
        .unwrap();
    let (bypasses, owns): (bool, i64) = sqlx::query_as(
        "select rolsuper or rolbypassrls or rolcanlogin, (select count(*) from pg_class c where c.relowner = r.oid)
           from pg_roles r where rolname = 'messagehub_people'",
    )
    .fetch_one(&mut owner)
    .await
    .unwrap();
    assert_eq!((bypasses, owns), (false, 0));
    let start = async || {
        let settings = [
            ("JWT_SECRET", TOKEN),
            (
                "MASTER_KEYS",
                "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
            ),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = messagehub::config::Config::read(settings.into()).unwrap();
        messagehub::app::App::open(config, database.clone())
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    };
    assert_eq!(start().await, Ok(()), "the server starts");

    sqlx::query("alter table contacts owner to messagehub_people")
        .execute(&mut owner)
        .await
        .unwrap();

    let refusal = start().await.unwrap_err();
    assert!(
        refusal.contains("messagehub_people") && refusal.contains("row-level security"),
        "{refusal}"
    );
}

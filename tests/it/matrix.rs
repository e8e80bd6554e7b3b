//! Every route of the API with the role it requires and a request. A route that is missing here fails the tests.

pub mod html;

use reqwest::Method;
use serde_json::{Value, json};

use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, PASSWORD, PNG, Person, Workspace};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// With or without an account.
    Anyone,
    SignedIn,
    Member,
    /// A member with access to the number.
    WithNumber,
    /// The owner of the resource: here Sam.
    Owner,
    Admin,
    /// An admin; callers without access to the resource get 404.
    AdminWithAccess,
}

#[derive(Clone)]
pub struct Route {
    pub method: Method,
    pub path: String,
    pub who: Who,
    pub body: Value,
}

pub async fn routes(hub: &Hub) -> Vec<Route> {
    let description = Person::anonymous(hub)
        .get("/api/openapi.json")
        .await
        .expect_status(200);
    let mut routes = Vec::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let name = format!("{} {path}", method.to_uppercase());
            let short = name.replace("/api/workspaces/{workspace_id}", "~");
            let (who, body) = expectation(&short);
            routes.push(Route {
                method: Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(),
                path: path.clone(),
                who,
                body,
            });
        }
    }
    assert!(routes.len() > 50, "too few routes");
    routes.sort_by_key(Route::deletes_shared_resource);
    routes
}

fn expectation(route: &str) -> (Who, Value) {
    use Who::*;
    let nothing = Value::Null;
    match route {
        "POST /api/auth/signup" => (
            Anyone,
            json!({"workspace_name": "", "name": "", "email": "", "password": ""}),
        ),
        "POST /api/auth/login" => (
            Anyone,
            json!({"email": "who@harbor.test", "password": PASSWORD}),
        ),
        "POST /api/auth/refresh" => (Anyone, json!({"refresh_token": "made up"})),
        "POST /api/auth/verify-email" => (Anyone, json!({"token": "made up"})),
        "POST /api/auth/forgot-password" => (Anyone, json!({"email": "who@harbor.test"})),
        "POST /api/auth/reset-password" => {
            (Anyone, json!({"token": "made up", "password": PASSWORD}))
        }
        "GET /api/invitations/{token}" => (Anyone, nothing),
        "POST /api/invitations/{token}/accept" => {
            (Anyone, json!({"name": "Eve", "password": PASSWORD}))
        }

        "GET /api/auth/me" | "GET /api/auth/sessions" | "GET /api/auth/two-factor" => {
            (SignedIn, nothing)
        }
        "PATCH /api/auth/me" => (SignedIn, json!({"name": "Jo Park"})),
        "PUT /api/auth/password" => (
            SignedIn,
            json!({"current_password": "not this one", "new_password": PASSWORD}),
        ),
        "POST /api/auth/two-factor" => (SignedIn, json!({})),
        "POST /api/auth/two-factor/confirm" => (
            SignedIn,
            json!({"code": "000000", "password": "not this one"}),
        ),
        "DELETE /api/auth/two-factor" => (SignedIn, json!({"password": "not this one"})),
        "GET /api/workspaces" => (SignedIn, nothing),
        "POST /api/workspaces" => (SignedIn, json!({"name": ""})),
        // These end sessions that the test needs: called last, anonymously or for other sessions only.
        "POST /api/auth/logout"
        | "DELETE /api/auth/sessions"
        | "DELETE /api/auth/sessions/{session_id}" => (SignedIn, nothing),

        "GET ~"
        | "GET ~/members"
        | "GET ~/settings"
        | "GET ~/numbers"
        | "GET ~/contacts"
        | "GET ~/contacts/export.csv"
        | "GET ~/tags"
        | "GET ~/contact-fields"
        | "GET ~/conversations"
        | "GET ~/messages"
        | "GET ~/search"
        | "GET ~/pushes"
        | "GET ~/scheduled"
        | "GET ~/drafts"
        | "GET ~/drafts/new"
        | "DELETE ~/drafts/new"
        | "GET ~/views"
        | "GET ~/templates"
        | "GET ~/templates/{template_id}" => (Member, nothing),
        "POST ~/pushes" => (
            Member,
            json!({"endpoint": "https://push.invalid/1", "keys": {"p256dh": "", "auth": ""}}),
        ),
        "PUT ~/drafts/new" => (Member, json!({"to": "Tom", "content": "Mine now"})),
        "POST ~/templates" => (
            Member,
            json!({"name": "Mine now", "content": "Hi {{name}}", "shared": true}),
        ),
        "POST ~/views" => (Member, json!({"name": "Mine now", "tab": "waiting"})),
        "PATCH ~/settings" => (Member, json!({"signature": ""})),
        "POST ~/tags" => (Member, json!({"name": "VIP"})),
        "POST ~/contacts" => (
            Member,
            json!({"phone_number": "+14155550111", "name": "Tom"}),
        ),

        "DELETE ~/pushes/{push_id}" => (Owner, nothing),

        "GET ~/contacts/{contact_id}"
        | "GET ~/conversations/{conversation_id}"
        | "GET ~/conversations/{conversation_id}/messages"
        | "GET ~/conversations/{conversation_id}/events"
        | "GET ~/messages/{message_id}"
        | "GET ~/media/{media_id}"
        | "GET ~/contacts/{contact_id}/removal"
        | "GET ~/contacts/{contact_id}/merge/{gone_id}"
        | "PUT ~/contacts/{contact_id}/tags/{tag_id}"
        | "DELETE ~/contacts/{contact_id}/tags/{tag_id}"
        | "GET ~/contacts/{contact_id}/consent" => (WithNumber, nothing),
        // With itself, which is refused for callers with access.
        "POST ~/contacts/{contact_id}/merge" => (WithNumber, json!({"contact_id": "{contact_id}"})),
        "DELETE ~/contacts/{contact_id}" => (AdminWithAccess, nothing),
        "PATCH ~/contacts/{contact_id}" => (WithNumber, json!({"notes": "Mine now"})),
        "POST ~/contacts/{contact_id}/consent" => (
            WithNumber,
            json!({"number_id": "{number_id}", "consent_kind": "stop", "reason": "Said so on the phone"}),
        ),
        "GET ~/conversations/{conversation_id}/draft"
        | "DELETE ~/conversations/{conversation_id}/draft" => (WithNumber, nothing),
        "PUT ~/conversations/{conversation_id}/draft" => {
            (WithNumber, json!({"content": "Mine now"}))
        }
        "PATCH ~/messages/{message_id}" => (WithNumber, json!({"content": "Mine now"})),
        "PATCH ~/conversations/{conversation_id}" => (WithNumber, json!({"status": "done"})),
        "POST ~/conversations/{conversation_id}/near-stop" => {
            (WithNumber, json!({"opt_out": false}))
        }
        "POST ~/conversations/{conversation_id}/notes" => {
            (WithNumber, json!({"content": "Mine now"}))
        }
        "POST ~/conversations/{conversation_id}/read"
        | "POST ~/conversations/{conversation_id}/unread" => (WithNumber, json!({})),
        "POST ~/conversations/batch" => (
            WithNumber,
            json!({"conversation_ids": ["{conversation_id}"], "change": {"status": "pending"}}),
        ),
        "POST ~/messages" => (
            WithNumber,
            json!({"conversation_id": "{conversation_id}", "content": "Mine now"}),
        ),
        // A multipart upload: see `call_as`.
        "POST ~/media" => (Member, nothing),
        "POST ~/media/{media_id}/link"
        | "POST ~/messages/{message_id}/send-now"
        | "POST ~/messages/{message_id}/retry"
        | "POST ~/messages/{message_id}/cancel" => (WithNumber, json!({})),

        "GET ~/integrations"
        | "GET ~/credential-access"
        | "GET ~/numbers/{number_id}/members"
        | "GET ~/invitations"
        | "GET ~/credits"
        | "GET ~/usage"
        | "GET ~/audit"
        | "GET ~/opt-outs"
        | "GET ~/opt-outs/export.csv"
        | "GET ~/webhooks"
        | "GET ~/quarantine"
        | "GET ~/quarantine/{quarantine_id}" => (Admin, nothing),
        "GET ~/contacts/imports"
        | "GET ~/contacts/imports/{import_id}"
        | "GET ~/contacts/imports/{import_id}/refused.csv"
        | "DELETE ~/tags/{tag_id}"
        | "DELETE ~/contact-fields/{field_id}" => (Admin, nothing),
        "PATCH ~/tags/{tag_id}" => (Admin, json!({"name": "Mine now"})),
        "POST ~/contact-fields" => (Admin, json!({"name": "Insurance", "kind": "text"})),
        "PATCH ~/contact-fields/{field_id}" => (Admin, json!({"name": "Mine now"})),
        "POST ~/contacts/imports/{import_id}/start" => (Admin, json!({})),
        // Without a file or a number, which is refused for callers with access.
        "POST ~/opt-outs/import" | "POST ~/opt-outs/lift" | "POST ~/contacts/import" => {
            (Admin, json!({}))
        }
        "POST ~/quarantine/{quarantine_id}/release"
        | "POST ~/quarantine/{quarantine_id}/discard"
        | "POST ~/quarantine/release"
        | "POST ~/quarantine/discard" => (Admin, json!({})),
        // Of another member; every member may read their own.
        "GET ~/credits/{user_id}" | "GET ~/credits/{user_id}/ledger" => (Admin, nothing),
        // Shared by an admin: an agent is neither its author nor an admin.
        "PATCH ~/templates/{template_id}" => (Admin, json!({"name": "Mine now"})),
        "DELETE ~/templates/{template_id}" | "DELETE ~/views/{view_id}" => (Admin, nothing),
        "PATCH ~/views/{view_id}" => (Admin, json!({"name": "Mine now"})),
        "PATCH ~" => (Admin, json!({"name": "Harbor Dental"})),
        "DELETE ~" => (Admin, json!({"name": "not its name"})),
        "POST ~/members" => (Admin, json!({"email": "eve@harbor.test", "role": "admin"})),
        "PATCH ~/members/{user_id}" => (Admin, json!({"role": "admin"})),
        "DELETE ~/members/{user_id}" | "DELETE ~/invitations/{invitation_id}" => (Admin, nothing),
        "POST ~/integrations" => (Admin, json!({"provider": "sandbox", "credentials": {}})),
        "PATCH ~/integrations/{integration_id}" => (Admin, json!({"name": "Mine now"})),
        "DELETE ~/integrations/{integration_id}" => (Admin, nothing),
        "POST ~/integrations/{integration_id}/sync" => (Admin, json!({})),
        "POST ~/integrations/{integration_id}/test" => (Admin, json!({})),
        "GET ~/numbers/available" | "GET ~/numbers/{number_id}/doctor" => (Admin, nothing),
        "POST ~/numbers/{number_id}/webhook" => (Admin, json!({})),
        "POST ~/numbers" => (
            Admin,
            json!({"integration_id": "{integration_id}", "phone_number": "+16285550199"}),
        ),
        "DELETE ~/numbers/{number_id}" => (Admin, nothing),
        "POST ~/numbers/{number_id}/catch-up" => (Admin, json!({})),
        "PATCH ~/numbers/{number_id}" => (Admin, json!({"friendly_name": "Mine now"})),
        "PUT ~/numbers/{number_id}/members/{user_id}"
        | "DELETE ~/numbers/{number_id}/members/{user_id}" => (Admin, nothing),
        "PATCH ~/credits/{user_id}" => (Admin, json!({"delta": 5, "reason": "Mine now"})),
        _ => panic!("{route} is missing: add its role and a request"),
    }
}

/// The value of each `{…}` placeholder in paths and bodies.
pub type Ids = Vec<(&'static str, String)>;

pub fn fill(text: &str, ids: &Ids) -> String {
    let mut filled = text.to_owned();
    for (name, id) in ids {
        filled = filled.replace(&format!("{{{name}}}"), id);
    }
    filled
}

impl Route {
    /// Whether it names a resource besides the workspace.
    pub fn names_a_resource(&self) -> bool {
        let path = self.path.replace("{workspace_id}", "");
        path.contains('{') || self.body.to_string().contains("_id}")
    }

    /// Deletes what other routes need: called last.
    fn deletes_shared_resource(&self) -> bool {
        let last = [
            "/templates/{template_id}",
            "/views/{view_id}",
            "{workspace_id}/tags/{tag_id}",
            "/contact-fields/{field_id}",
            "/contacts/{contact_id}",
            "/integrations/{integration_id}",
            "/numbers/{number_id}",
        ];
        self.method == Method::DELETE && last.iter().any(|path| self.path.ends_with(path))
    }

    pub fn is_in_workspace(&self) -> bool {
        self.path.contains("{workspace_id}")
    }

    pub async fn call_as(&self, person: &Person, ids: &Ids) -> Answer {
        let path = fill(&self.path, ids);
        assert!(
            !path.contains('{'),
            "unknown placeholder: add an id for {}",
            self.path
        );
        if self.method == Method::POST && path.ends_with("/media") {
            return person.upload_to(&path, PNG).await;
        }
        let request = person.request(self.method.clone(), &path);
        let body: Value = serde_json::from_str(&fill(&self.body.to_string(), ids)).unwrap();
        person
            .ask(if body.is_null() {
                request
            } else {
                request.json(&body)
            })
            .await
    }
}

/// A workspace with one of every resource, and secrets that others must never see.
pub struct Fixture<'a> {
    pub workspace: Workspace<'a>,
    /// Sees the front desk's number.
    pub sam: Person,
    /// Sees no number.
    pub lin: Person,
    pub ids: Ids,
}

/// Readable only by members with access to the front desk.
pub const SECRETS: &[&str] = &["4711", MAYA, "Maya Okafor", FRONT_DESK, "Gate code"];

pub async fn fixture<'a>(hub: &'a Hub, name: &str) -> Fixture<'a> {
    let workspace = hub.workspace(name).await.with_front_desk().await;
    let conversation = workspace.receive_text(MAYA, "Between us: 4711").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let contact = text(&conversation["contact_id"]);
    let notes = json!({"name": "Maya Okafor", "notes": "Gate code 4711"});
    workspace
        .admin
        .patch(&workspace.path(&format!("/contacts/{contact}")), notes)
        .await
        .expect_status(200);
    let picture = workspace.receive_picture().await;
    let (sam, lin) = (workspace.agent("Sam").await, workspace.agent("Lin").await);
    workspace.assign_number(FRONT_DESK, &sam).await;
    let invitation = workspace
        .admin
        .post(
            &workspace.path("/members"),
            json!({"email": "priya@harbor.test", "role": "agent"}),
        )
        .await
        .expect_status(201);
    let push = sam
        .post(&workspace.path("/pushes"), push_subscription())
        .await;
    let integration = workspace
        .admin
        .get(&workspace.path("/integrations"))
        .await
        .expect_status(200);
    let forged = hub.twilio.inbound_text(MAYA, FRONT_DESK, "Forged: 4711");
    let answer = forged.signed_with("another token").send().await;
    assert_eq!(answer.status(), 403);
    let quarantine = workspace.path("/quarantine");
    let quarantine = workspace.admin.get(&quarantine).await.expect_status(200);
    let template = json!({"name": "Reminder", "content": "See you at {{time}}", "shared": true});
    let templates = workspace.path("/templates");
    let template = workspace
        .admin
        .post(&templates, template)
        .await
        .expect_status(201);
    let view = json!({"name": "Mornings", "shared": true, "tab": "unassigned"});
    let view = workspace
        .admin
        .post(&workspace.path("/views"), view)
        .await
        .expect_status(201);
    let tag = workspace.tag("Recall").await;
    let field = json!({"name": "Gate", "kind": "text"});
    let field = workspace
        .admin
        .post(&workspace.path("/contact-fields"), field)
        .await
        .expect_status(201);
    let import = workspace
        .upload_contacts("name,phone_number\nTom,+14155550193\n", "true")
        .await
        .expect_status(202);
    let ids = vec![
        ("workspace_id", workspace.id.clone()),
        ("tag_id", tag),
        ("field_id", text(&field["id"])),
        ("import_id", text(&import["id"])),
        ("gone_id", contact.clone()),
        ("quarantine_id", text(&quarantine["data"][0]["id"])),
        ("integration_id", text(&integration["data"][0]["id"])),
        ("number_id", text(&conversation["number_id"])),
        ("contact_id", contact),
        ("conversation_id", text(&conversation["id"])),
        ("message_id", text(&conversation["last_message_id"])),
        ("user_id", workspace.admin.id.clone()),
        ("invitation_id", text(&invitation["invitation"]["id"])),
        ("push_id", text(&push.expect_status(201)["id"])),
        ("media_id", picture),
        ("session_id", uuid::Uuid::now_v7().to_string()),
        ("template_id", text(&template["id"])),
        ("view_id", text(&view["id"])),
        ("token", "made-up".into()),
    ];
    Fixture {
        workspace,
        sam,
        lin,
        ids,
    }
}

/// A subscription at a push service that is unreachable.
pub fn push_subscription() -> Value {
    json!({
        "endpoint": "https://push.invalid/1",
        "keys": {
            "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "auth": "BTBZMqHH6r4Tts7J_aSIgg",
        },
    })
}

pub async fn workspace_checksums(hub: &Hub, workspace: &str) -> Vec<(String, i64)> {
    hub.index_search().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c
          where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
            and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'workspace_id' and not a.attisdropped)
            and c.relname <> 'credential_access_log' -- written asynchronously
          order by 1",
    )
    .fetch_all(&hub.superuser_pool)
    .await
    .unwrap();
    assert!(tables.len() > 10, "{tables:?}");
    let mut sums = Vec::new();
    for table in tables {
        let sql = format!(
            "select coalesce(sum(hashtextextended(t::text, 0) % 1000000007), 0)::bigint from {table} t where workspace_id = $1::uuid"
        );
        let sum = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(workspace)
            .fetch_one(&hub.superuser_pool)
            .await
            .unwrap();
        sums.push((table, sum));
    }
    sums
}

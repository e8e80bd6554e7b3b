//! Every HTML route with the role it requires and a valid form. A route that is missing here fails the tests.

use std::collections::BTreeSet;

use chrono::{Duration, SecondsFormat, Utc};
use reqwest::Method;
use serde_json::json;

use super::Who::{self, *};
use super::{Fixture, Ids, fill};
use crate::hub::{Answer, Hub, Person};

#[derive(Clone, Debug)]
pub struct HtmlRoute {
    pub method: Method,
    pub path: &'static str,
    pub who: Who,
    form: &'static str,
}

/// Route, role, and the form of a `POST`. `~`: `/w/{slug}`. `{key}` differs with each request.
#[rustfmt::skip] // one line per route
const EXPECTATIONS: &[(&str, Who, &str)] = &[
    ("GET /", Anyone, ""),
    ("GET /setup", Anyone, ""),
    ("POST /setup", Anyone, "workspace_name=&name=&email=&password="),
    ("GET /signup", Anyone, ""),
    ("POST /signup", Anyone, "workspace_name=&name=&email=&password="),
    ("GET /login", Anyone, ""),
    ("POST /login", Anyone, "email=who@harbor.test&password=not+this+one"),
    ("POST /login/code", Anyone, "ticket=made-up&code=000000"),
    ("POST /logout", Anyone, ""),
    ("GET /forgot-password", Anyone, ""),
    ("POST /forgot-password", Anyone, "email=who@harbor.test"),
    ("GET /reset-password/{token}", Anyone, ""),
    ("POST /reset-password/{token}", Anyone, "password=correct+horse+battery"),
    ("GET /verify-email/{token}", Anyone, ""),
    ("POST /verify-email/{token}", Anyone, ""),
    ("GET /invitations/{token}", Anyone, ""),
    ("POST /invitations/{token}", Anyone, "who=new&name=Eve&password=correct+horse+battery"),
    ("POST /language", Anyone, "language=en"),
    ("GET /api/docs", Anyone, ""),
    ("GET /offline", Anyone, ""),
    // Redirects to the inbox, which checks the member.
    ("GET ~", Anyone, ""),
    ("GET ~/", Anyone, ""),
    ("GET /account", SignedIn, ""),
    ("POST /account", SignedIn, "name=Jo+Park"),
    ("POST /account/language", SignedIn, "language=en"),
    ("POST /account/verify", SignedIn, ""),
    ("POST /account/password", SignedIn, "current_password=no&new_password=no"),
    ("POST /account/two-factor", SignedIn, ""),
    ("POST /account/two-factor/confirm", SignedIn, "code=000000&password=no&secret=&otpauth_url="),
    ("POST /account/two-factor/off", SignedIn, "password=no"),
    ("POST /account/sessions/end", SignedIn, ""),
    ("POST /account/sessions/{session_id}/end", SignedIn, ""),
    ("GET /workspaces", SignedIn, ""),
    ("POST /workspaces", SignedIn, "name="),
    ("GET /workspaces/menu", SignedIn, ""),
    ("GET /sandbox/{number_id}", WithNumber, ""),
    ("POST /sandbox/{number_id}", WithNumber, "from=(415)+555-0123&body=Mine+now"),
    ("GET ~/inbox", Member, ""),
    ("GET ~/inbox/{conversation_id}", WithNumber, ""),
    ("GET ~/inbox/{conversation_id}/contact", WithNumber, ""),
    ("POST ~/inbox/{conversation_id}/contact", WithNumber, "name=Mine+now"),
    ("POST ~/inbox/{conversation_id}/messages", WithNumber, "content=Mine+now&idempotency_key={key}"),
    ("POST ~/inbox/{conversation_id}/messages/{message_id}", WithNumber, "do=save&content=Mine+now"),
    ("POST ~/inbox/{conversation_id}/messages/{message_id}/retry", WithNumber, ""),
    ("POST ~/inbox/{conversation_id}/notes", WithNumber, "content=Mine+now&idempotency_key={key}"),
    ("POST ~/inbox/bulk", WithNumber, "ids={conversation_id}&status=done"),
    ("POST ~/inbox/undo", WithNumber, "states={conversation_id}*open~~*done~~"),
    ("POST ~/inbox/export.csv", WithNumber, "ids={conversation_id}"),
    ("POST ~/inbox/views", Member, "name=Mine+now"),
    // Shared by an admin: an agent is neither its maker nor an admin.
    ("POST ~/inbox/views/{view_id}/remove", Admin, ""),
    ("POST ~/inbox/{conversation_id}/read", WithNumber, ""),
    ("POST ~/inbox/{conversation_id}/unread", WithNumber, ""),
    ("POST ~/inbox/{conversation_id}/status", WithNumber, "status=done"),
    ("POST ~/inbox/{conversation_id}/assign", WithNumber, "assignee_id=me"),
    ("POST ~/inbox/{conversation_id}/snooze", WithNumber, "until={tomorrow}"),
    ("POST ~/inbox/{conversation_id}/undo", WithNumber, "is=open~~&was=done~~"),
    ("POST ~/inbox/{conversation_id}/consent", WithNumber, "consent_kind=stop&reason=Said+so"),
    ("POST ~/inbox/{conversation_id}/near-stop", WithNumber, "opt_out=false"),
    ("POST ~/inbox/{conversation_id}/from", WithNumber, "content=Mine+now&number_id={number_id}&idempotency_key={key}"),
    ("GET ~/settings", Member, ""),
    ("POST ~/settings", Member, "signature="),
    ("POST ~/settings/pushes/{push_id}/remove", Owner, ""),
    ("POST ~/leave", Member, ""),
    ("GET ~/send", Member, ""),
    ("POST ~/send", WithNumber, "contact_id={contact_id}&number_id={number_id}&content=Mine+now&idempotency_key={key}"),
    ("GET ~/send/people", Member, ""),
    ("GET ~/scheduled", Member, ""),
    ("POST ~/scheduled/{message_id}", WithNumber, "do=save&content=Mine+now"),
    ("GET ~/templates", Member, ""),
    ("POST ~/templates", Member, "name={key}&content=Mine+now"),
    ("GET ~/templates/new", Member, ""),
    ("GET ~/templates/offer", Member, ""),
    ("GET ~/templates/{template_id}", Member, ""),
    // Shared by an admin: an agent is neither its author nor an admin.
    ("POST ~/templates/{template_id}", Admin, "name=Mine+now&content=Mine+now"),
    ("POST ~/templates/{template_id}/remove", Admin, ""),
    ("GET ~/contacts", Member, ""),
    ("POST ~/contacts", Member, "phone_number=%2B14155550111&name=Tom"),
    ("GET ~/contacts/new", Member, ""),
    ("GET ~/contacts/export.csv", Member, ""),
    ("POST ~/contacts/bulk", WithNumber, "ids={contact_id}&do=tag&tag={tag_id}"),
    ("POST ~/contacts/bulk/export.csv", WithNumber, "ids={contact_id}"),
    ("GET ~/contacts/import", Admin, ""),
    ("POST ~/contacts/import", Admin, ""),
    ("GET ~/contacts/imports/{import_id}", Admin, ""),
    ("POST ~/contacts/imports/{import_id}", Admin, "again=1"),
    ("GET ~/contacts/imports/{import_id}/refused.csv", Admin, ""),
    ("POST ~/contacts/imports/{import_id}/undo", Admin, ""),
    ("GET ~/contacts/{contact_id}", WithNumber, ""),
    ("POST ~/contacts/{contact_id}", WithNumber, "name=Mine+now"),
    ("GET ~/contacts/{contact_id}/edit", WithNumber, ""),
    ("POST ~/contacts/{contact_id}/tags", WithNumber, "tag=VIP"),
    ("POST ~/contacts/{contact_id}/tags/{tag_id}/remove", WithNumber, ""),
    ("POST ~/contacts/{contact_id}/consent", WithNumber, "number_id={number_id}&consent_kind=stop&reason=Said+so"),
    ("GET ~/contacts/{contact_id}/merge", WithNumber, ""),
    // With itself, which is refused for callers with access.
    ("POST ~/contacts/{contact_id}/merge", WithNumber, "contact_id={contact_id}"),
    ("GET ~/contacts/{contact_id}/remove", WithNumber, ""),
    ("POST ~/contacts/{contact_id}/remove", AdminWithAccess, ""),
    ("GET ~/admin/members", Admin, ""),
    ("POST ~/admin/members", Admin, "email=eve@harbor.test&role=admin"),
    ("POST ~/admin/members/{user_id}", Admin, "role=admin"),
    ("POST ~/admin/members/{user_id}/remove", Admin, ""),
    ("POST ~/admin/members/{user_id}/password-link", Admin, ""),
    ("POST ~/admin/invitations/{invitation_id}/withdraw", Admin, ""),
    ("GET ~/admin/access", Admin, ""),
    ("GET ~/admin/access/{number_id}", Admin, ""),
    ("POST ~/admin/access/{number_id}", Admin, "shown={user_id}&user_id={user_id}"),
    ("POST ~/admin/access/{number_id}/{user_id}", Admin, "value=true"),
    ("POST ~/admin/access/people/{user_id}", Admin, "shown={number_id}&number_id={number_id}"),
    ("POST ~/admin/access/people/{user_id}/default", Admin, "value={number_id}"),
    ("GET ~/admin/credits", Admin, ""),
    ("GET ~/admin/credits/{user_id}", Admin, ""),
    ("POST ~/admin/credits/{user_id}", Admin, "how=add&amount=5&reason=Mine+now"),
    ("GET ~/admin/integrations", Admin, ""),
    ("POST ~/admin/integrations", Admin, "provider=sandbox"),
    ("POST ~/admin/integrations/{integration_id}", Admin, "name=Mine+now"),
    ("POST ~/admin/integrations/{integration_id}/test", Admin, ""),
    ("POST ~/admin/integrations/{integration_id}/sync", Admin, ""),
    ("POST ~/admin/integrations/{integration_id}/disconnect", Admin, "typed_name=Mine+now"),
    ("GET ~/admin/integrations/access", Admin, ""),
    ("GET ~/admin/numbers", Admin, ""),
    ("POST ~/admin/numbers", Admin, "integration_id={integration_id}&phone_number=%2B16285550199"),
    ("POST ~/admin/numbers/sync", Admin, "integration_id={integration_id}"),
    ("GET ~/admin/numbers/{number_id}", Admin, ""),
    ("POST ~/admin/numbers/{number_id}", Admin, "friendly_name=Mine+now"),
    ("POST ~/admin/numbers/{number_id}/release", Admin, "typed_number=%2B16285550100"),
    ("POST ~/admin/numbers/{number_id}/webhook", Admin, ""),
    ("GET ~/admin/workspace", Admin, ""),
    ("POST ~/admin/workspace", Admin, "name=Harbor+Dental+Annex&default_region=US&starting_credits=0&low_credits_at=5&text_validity_minutes=60"),
    ("POST ~/admin/workspace/delete", Admin, "typed_name=Harbor+Dental+Annex"),
    ("GET ~/admin/fields", Admin, ""),
    ("POST ~/admin/fields/tags", Admin, "name=Mine+now"),
    ("POST ~/admin/fields/tags/{tag_id}", Admin, "name=Mine+too"),
    ("POST ~/admin/fields/tags/{tag_id}/remove", Admin, ""),
    ("POST ~/admin/fields/add", Admin, "name=Mine+now&kind=text"),
    ("POST ~/admin/fields/{field_id}", Admin, "name=Mine+too"),
    ("POST ~/admin/fields/{field_id}/remove", Admin, ""),
    ("GET ~/admin/opt-outs", Admin, ""),
    ("GET ~/admin/opt-outs/export.csv", Admin, ""),
    ("POST ~/admin/opt-outs/lift", Admin, "address=%2B14155550192&reason=Said+so"),
    ("POST ~/admin/opt-outs/import", Admin, ""),
    ("GET ~/admin/usage", Admin, ""),
    ("GET ~/admin/webhooks", Admin, ""),
    ("POST ~/admin/webhooks/release", Admin, ""),
    ("POST ~/admin/webhooks/discard", Admin, ""),
    ("POST ~/admin/webhooks/{quarantine_id}/release", Admin, ""),
    ("POST ~/admin/webhooks/{quarantine_id}/discard", Admin, ""),
    ("GET ~/admin/audit", Admin, ""),
];

/// These end what other routes need: called last, in this order.
const LAST: &[&str] = &[
    "POST ~/inbox/views/{view_id}/remove",
    "POST ~/inbox/{conversation_id}/consent",
    "POST ~/contacts/{contact_id}/consent",
    "POST ~/templates/{template_id}/remove",
    "POST ~/contacts/{contact_id}/remove",
    "POST ~/admin/fields/tags/{tag_id}/remove",
    "POST ~/admin/fields/{field_id}/remove",
    "POST ~/admin/webhooks/release",
    "POST ~/admin/webhooks/discard",
    "POST ~/admin/numbers/{number_id}/release",
    "POST ~/admin/integrations/{integration_id}/disconnect",
    "POST ~/leave",
    "POST ~/admin/workspace/delete",
];

pub fn routes() -> Vec<HtmlRoute> {
    let mut routes: Vec<HtmlRoute> = messagehub::web::html_routes()
        .into_iter()
        .map(|(method, path)| HtmlRoute::expected(method, path))
        .collect();
    let names: BTreeSet<String> = routes.iter().map(HtmlRoute::name).collect();
    for (name, ..) in EXPECTATIONS {
        assert!(names.contains(*name), "{name} is no route any more");
    }
    assert_eq!(names.len(), EXPECTATIONS.len(), "one expectation per route");
    assert_eq!(names.len(), routes.len(), "one route per name");
    routes.sort_by_key(HtmlRoute::place);
    routes
}

impl HtmlRoute {
    fn expected(method: Method, path: &'static str) -> Self {
        let name = name(&method, path);
        let expectation = EXPECTATIONS.iter().find(|(route, ..)| *route == name);
        let Some((_, who, form)) = expectation else {
            panic!("{name} is missing: add its role and a form");
        };
        Self {
            method,
            path,
            who: *who,
            form,
        }
    }

    pub fn name(&self) -> String {
        name(&self.method, self.path)
    }

    fn place(&self) -> usize {
        let name = self.name();
        let last = LAST.iter().position(|last| *last == name);
        last.map_or(0, |place| place + 1)
    }

    pub fn is_in_workspace(&self) -> bool {
        self.path.starts_with("/w/{slug}")
    }

    /// Whether the path or the form names a resource besides the workspace.
    pub fn names_a_resource(&self) -> bool {
        self.path.contains("_id}") || self.form.contains("_id}")
    }

    pub fn ends_session(&self) -> bool {
        self.path == "/logout" || self.path.starts_with("/account/sessions/")
    }

    /// Calls it as a browser does.
    pub async fn call_as(&self, person: &Person, ids: &Ids) -> Answer {
        let path = self.path(ids);
        let key = uuid::Uuid::now_v7().to_string();
        let form = fill(self.form, ids).replace("{key}", &key);
        for filled in [&path, &form] {
            assert!(!filled.contains('{'), "add an id for {filled}");
        }
        let request = person
            .request(self.method.clone(), &path)
            .header("accept", "text/html");
        person
            .ask(match self.method {
                Method::POST => request
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(form),
                _ => request,
            })
            .await
    }

    /// The path of a resource that the route can act on.
    pub fn path(&self, ids: &Ids) -> String {
        let (name, special) = match self.path {
            "/sandbox/{number_id}" => ("{number_id}", "{sandbox_number_id}"),
            path if path.ends_with("/retry") => ("{message_id}", "{message_id}"),
            _ => ("{message_id}", "{scheduled_message_id}"),
        };
        fill(&self.path.replace(name, special), ids)
    }
}

fn name(method: &Method, path: &str) -> String {
    format!("{method} {}", path.replace("/w/{slug}", "~"))
}

/// A name that no page has in its own texts.
pub const NAME: &str = "Harbor Dental Annex";
/// The contact's name; "Maya Okafor" is in the example of a template.
pub const CONTACT: &str = "Maya Nkemelu";

/// The fixture of the API's matrix, and what only pages need.
pub async fn fixture(hub: &Hub) -> Fixture<'_> {
    let mut fixture = super::fixture(hub, NAME).await;
    let workspace = &fixture.workspace;
    let contact = workspace.path(&fill("/contacts/{contact_id}", &fixture.ids));
    let named = json!({"name": CONTACT});
    workspace
        .admin
        .patch(&contact, named)
        .await
        .expect_status(200);
    let sandbox = json!({"provider": "sandbox", "credentials": {}});
    let sandbox = workspace
        .admin
        .post(&workspace.path("/integrations"), sandbox)
        .await
        .expect_status(201);
    let number = &sandbox["numbers"][0];
    let phone = number["phone_number"].as_str().unwrap();
    workspace.assign_number(phone, &fixture.sam).await;
    let tomorrow = (Utc::now() + Duration::days(1)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let draft = json!({
        "conversation_id": fill("{conversation_id}", &fixture.ids),
        "content": "Later: 4711",
        "scheduled_at": tomorrow,
    });
    let scheduled = workspace
        .admin
        .post(&workspace.path("/messages"), draft)
        .await
        .expect_status(202);
    let sessions = workspace
        .admin
        .get("/api/auth/sessions")
        .await
        .expect_status(200);
    let id = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let more = vec![
        ("slug", workspace.slug.clone()),
        ("sandbox_number_id", id(&number["id"])),
        ("scheduled_message_id", id(&scheduled["message"]["id"])),
        ("session_id", id(&sessions["data"][0]["id"])),
        ("tomorrow", tomorrow),
    ];
    fixture
        .ids
        .retain(|(name, _)| !more.iter().any(|(more, _)| more == name));
    fixture.ids.extend(more);
    fixture
}

/// `ids` with another value for `name`.
pub fn with(ids: &Ids, name: &str, value: &str) -> Ids {
    let mut ids = ids.clone();
    let (_, old) = ids.iter_mut().find(|(known, _)| *known == name).unwrap();
    *old = value.to_owned();
    ids
}

/// Ids of nothing.
pub fn invented(ids: &Ids) -> Ids {
    ids.iter()
        .map(|(name, id)| match name.ends_with("_id") {
            true => (*name, uuid::Uuid::now_v7().to_string()),
            false => (*name, id.clone()),
        })
        .collect()
}

/// `GET` routes that return no whole page to a member of a workspace: redirects, fragments and files.
const NO_PAGES: &[&str] = &[
    "GET /",
    "GET /setup", // redirects once there is a workspace
    "GET ~",
    "GET ~/",
    "GET /workspaces/menu",
    "GET ~/send/people",
    "GET ~/templates/offer",
    "GET ~/contacts/export.csv",
    "GET ~/contacts/imports/{import_id}/refused.csv",
    "GET ~/admin/opt-outs/export.csv",
];

/// A whole page of the fixture.
pub struct Page {
    pub path: String,
    /// Signed-in users are redirected from here.
    pub is_for_visitors: bool,
}

/// Every page of the router. A `GET` route that returns no page must be in `NO_PAGES`.
pub async fn pages(hub: &Hub, fixture: &Fixture<'_>) -> Vec<Page> {
    let visitor = Person::anonymous(hub);
    let mut pages = Vec::new();
    for route in routes().iter().filter(|route| route.method == Method::GET) {
        let is_page = async |person: &Person| {
            let answer = route.call_as(person, &fixture.ids).await;
            answer.body.contains("<!doctype html>")
        };
        let is_for_members = is_page(&fixture.workspace.admin).await;
        let is_for_visitors = !is_for_members && is_page(&visitor).await;
        assert_ne!(
            is_for_members || is_for_visitors,
            NO_PAGES.contains(&route.name().as_str()),
            "{} is a page, or in NO_PAGES",
            route.name()
        );
        if is_for_members || is_for_visitors {
            pages.push(Page {
                path: route.path(&fixture.ids),
                is_for_visitors,
            });
        }
    }
    pages
}

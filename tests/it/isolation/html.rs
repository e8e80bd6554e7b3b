//! The HTML routes: pages, forms and fragments, by everybody.

use super::{Caller, Refusals, expected_refusal, stranger};
use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, Person};
use crate::matrix::html::{self, HtmlRoute, fixture, invented, with};
use crate::matrix::{Fixture, Who, workspace_checksums};

/// Readable only by members with access to the front desk.
const SECRETS: &[&str] = &[
    "4711",
    "Gate code",
    html::CONTACT,
    MAYA,
    "(415) 555-0192",
    FRONT_DESK,
    "(628) 555-0100",
];

/// The API reference, and the form of a template, have examples of their own, with the cast's numbers.
fn has_examples(route: &HtmlRoute) -> bool {
    route.path == "/api/docs" || route.path.starts_with("/w/{slug}/templates/")
}

/// What only members of the workspace may read.
const SHARED_BY_MEMBERS: &[&str] = &[
    html::NAME,
    "priya@harbor.test",
    "Reminder",
    "See you at",
    "Recall",
    "Gate",
    "Tom",
];

#[track_caller]
fn hides(secrets: &[&str], answer: &Answer, route: &HtmlRoute, who: &str) {
    let name = route.name();
    let location = answer.headers.get("location");
    let location = location.map_or("", |location| location.to_str().unwrap());
    let discloses = |secret: &&&str| answer.body.contains(**secret) || location.contains(**secret);
    let disclosed = secrets.iter().find(discloses);
    assert!(
        disclosed.is_none() || has_examples(route),
        "{name} discloses {disclosed:?} to {who}: {location} {}",
        answer.body
    );
    assert!(answer.status < 500, "{name} by {who}: {}", answer.body);
}

fn leads_to_sign_in(answer: &Answer) -> bool {
    let location = answer.headers.get("location");
    answer.status == 303
        && location.is_some_and(|location| location.as_bytes().starts_with(b"/login?next="))
}

#[track_caller]
fn is_page(answer: &Answer, status: u16, route: &HtmlRoute, who: &str) {
    let name = route.name();
    assert_eq!(answer.status, status, "{name} by {who}: {}", answer.body);
    assert!(answer.body.contains("<!doctype html>"), "{name} by {who}");
}

#[tokio::test]
async fn html_routes_show_nothing_to_non_members() {
    let hub = Hub::start().await;
    let Fixture {
        workspace: harbor,
        sam,
        ids,
        ..
    } = fixture(&hub).await;
    let bay = hub.workspace("Bay Optics").await;
    let (anonymous, stranger) = (Person::anonymous(&hub), stranger(&bay).await);
    let emails = [harbor.admin.email.as_str(), sam.email.as_str()];
    let hides_all = |answer: &Answer, route: &HtmlRoute, who: &str| {
        hides(SECRETS, answer, route, who);
        hides(SHARED_BY_MEMBERS, answer, route, who);
        hides(&emails, answer, route, who);
    };
    let by_id = with(&ids, "slug", &harbor.id);
    let nowhere = with(&ids, "slug", "no-such-workspace");
    let before = workspace_checksums(&hub, &harbor.id).await;
    for route in html::routes() {
        let answer = route.call_as(&anonymous, &ids).await;
        hides_all(&answer, &route, "nobody");
        assert_eq!(
            leads_to_sign_in(&answer),
            route.who != Who::Anyone,
            "{} by nobody: {}",
            route.name(),
            answer.status
        );
        if route.who == Who::Anyone || route.who == Who::SignedIn {
            continue;
        }
        for (who, person) in [
            ("a removed member", &stranger),
            ("another workspace's admin", &bay.admin),
        ] {
            if !route.is_in_workspace() {
                for ids in [&ids, &invented(&ids)] {
                    let answer = route.call_as(person, ids).await;
                    hides_all(&answer, &route, who);
                    is_page(&answer, 404, &route, who);
                }
                continue;
            }
            // The answer does not reveal whether a workspace exists.
            let unknown = route.call_as(person, &nowhere).await;
            for ids in [&ids, &by_id] {
                let answer = route.call_as(person, ids).await;
                hides_all(&answer, &route, who);
                is_page(&answer, 403, &route, who);
                assert_eq!(answer.body, unknown.body, "{}", route.name());
            }
        }
    }
    let session = html::routes()
        .into_iter()
        .find(|route| route.path == "/account/sessions/{session_id}/end")
        .unwrap();
    let answer = session.call_as(&bay.admin, &ids).await;
    hides_all(&answer, &session, "another user");
    // As for a session that has ended meanwhile.
    assert_eq!(answer.status, 303);
    assert_eq!(harbor.admin.get("/api/auth/me").await.status, 200);
    assert_eq!(
        workspace_checksums(&hub, &harbor.id).await,
        before,
        "nothing changed"
    );
}

/// Refusals of foreign and invented ids other than 404.
const AT_HOME: &[(&str, u16)] = &[];

#[tokio::test]
async fn html_routes_do_not_find_foreign_and_invented_ids() {
    let hub = Hub::start().await;
    let harbor = fixture(&hub).await;
    let bay = hub.workspace("Bay Optics").await;
    bay.connect_twilio("+16285550177").await;
    let emails = [harbor.workspace.admin.email.as_str(), &harbor.sam.email];
    let before = workspace_checksums(&hub, &harbor.workspace.id).await;
    let mut wrong = Vec::new();
    for route in html::routes() {
        if !route.is_in_workspace() || !route.names_a_resource() {
            continue;
        }
        for ids in [&harbor.ids, &invented(&harbor.ids)] {
            let ids = with(ids, "slug", &bay.slug);
            let answer = route.call_as(&bay.admin, &ids).await;
            let who = "another workspace's admin, at home";
            hides(SECRETS, &answer, &route, who);
            hides(SHARED_BY_MEMBERS, &answer, &route, who);
            hides(&emails, &answer, &route, who);
            let name = route.name();
            let exception = AT_HOME.iter().find(|(exception, _)| *exception == name);
            let expected = exception.map_or(404, |(_, status)| *status);
            if answer.status != expected {
                wrong.push(format!("{name}: {}", answer.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        workspace_checksums(&hub, &harbor.workspace.id).await,
        before,
        "nothing changed"
    );
}

const REFUSALS: Refusals = &[
    ("POST ~/inbox/{conversation_id}/undo", [0, 409, 409]),
    ("POST ~/inbox/{conversation_id}/contact", [0, 422, 422]),
    (
        "POST ~/inbox/{conversation_id}/messages/{message_id}/retry",
        [0, 409, 409],
    ),
    ("POST ~/contacts", [0, 422, 422]),
    ("POST ~/contacts/import", [0, 0, 422]),
    ("POST ~/contacts/{contact_id}", [0, 422, 422]),
    ("POST ~/contacts/{contact_id}/merge", [0, 422, 422]),
    ("POST ~/admin/members/{user_id}/remove", [0, 0, 422]),
    ("POST ~/admin/numbers", [0, 0, 422]),
    ("POST ~/admin/opt-outs/lift", [0, 0, 422]),
    ("POST ~/admin/opt-outs/import", [0, 0, 422]),
    ("POST ~/leave", [0, 0, 422]),
];

/// Whether `answer` is the expected one for a caller who has the right.
fn is_expected(answer: &Answer, route: &HtmlRoute, caller: Caller) -> bool {
    let name = route.name();
    match expected_refusal(REFUSALS, &name, caller) {
        None => answer.status < 400 && !leads_to_sign_in(answer),
        Some(status) => answer.status == status,
    }
}

/// The status with which members without the right are refused.
fn refusal(route: &HtmlRoute, has_number: bool) -> Option<u16> {
    match route.who {
        Who::Anyone | Who::SignedIn | Who::Member => None,
        Who::WithNumber | Who::Owner => (!has_number).then_some(404),
        Who::AdminWithAccess => Some(if has_number { 403 } else { 404 }),
        Who::Admin => Some(403),
    }
}

#[tokio::test]
async fn html_routes_admit_by_role() {
    let hub = Hub::start().await;
    let Fixture {
        workspace: harbor,
        sam,
        lin,
        ids,
    } = fixture(&hub).await;
    let routes = html::routes();
    let mut wrong = Vec::new();

    let before = workspace_checksums(&hub, &harbor.id).await;
    for route in &routes {
        for (who, person, has_number) in [
            ("an agent without the number", &lin, false),
            ("an agent with the number", &sam, true),
        ] {
            let Some(status) = refusal(route, has_number) else {
                continue;
            };
            let answer = route.call_as(person, &ids).await;
            hides(SECRETS, &answer, route, who);
            if answer.status != status {
                wrong.push(format!("{} by {who}: {}", route.name(), answer.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        workspace_checksums(&hub, &harbor.id).await,
        before,
        "nothing changed"
    );

    for route in routes.iter().filter(|route| !route.ends_session()) {
        for (caller, person) in [
            (Caller::Lin, &lin),
            (Caller::Sam, &sam),
            (Caller::Admin, &harbor.admin),
        ] {
            let is_refused = match caller {
                Caller::Lin => refusal(route, false).is_some(),
                Caller::Sam => refusal(route, true).is_some(),
                Caller::Admin => route.who == Who::Owner,
            };
            if is_refused {
                continue;
            }
            let answer = route.call_as(person, &ids).await;
            if matches!(caller, Caller::Lin) {
                hides(SECRETS, &answer, route, "an agent without the number");
            }
            let is_fine = match route.who {
                Who::Anyone | Who::SignedIn => answer.status < 500,
                _ => is_expected(&answer, route, caller),
            };
            if !is_fine {
                wrong.push(format!(
                    "{} by {}: {}",
                    route.name(),
                    person.email,
                    answer.status
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

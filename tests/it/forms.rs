//! Refused forms without scripts: the page stands at the URL of the form, and its links and actions are valid there.

use reqwest::{Method, Url};
use serde_json::json;

use crate::hub::{Hub, MAYA, Person};
use crate::matrix::{Fixture, fixture};

/// A response and its URL.
struct Page {
    at: Url,
    status: u16,
    location: String,
    html: String,
}

async fn posts(who: &Person, path: &str, body: &str) -> Page {
    let request = who
        .request(Method::POST, path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "text/html")
        .body(body.to_owned());
    let response = request.send().await.unwrap();
    Page {
        at: response.url().clone(),
        status: response.status().as_u16(),
        location: response
            .headers()
            .get("location")
            .map_or_else(String::new, |there| there.to_str().unwrap().to_owned()),
        html: response.text().await.unwrap(),
    }
}

impl Page {
    fn values(&self, element: &str, attribute: &str) -> Vec<String> {
        let opening = format!("<{element} ");
        let tags = self.html.split(&opening).skip(1);
        let values = tags.filter_map(|rest| {
            let tag = rest.split('>').next()?;
            let (_, value) = tag.split_once(&format!(" {attribute}=\"")).or_else(|| {
                tag.strip_prefix(&format!("{attribute}=\""))
                    .map(|rest| ("", rest))
            })?;
            Some(
                value
                    .split('"')
                    .next()?
                    .replace("&amp;", "&")
                    .replace("&#38;", "&"),
            )
        });
        values.collect()
    }

    /// Same-origin URLs, resolved against the page's URL as a browser does.
    fn addresses(&self, element: &str, attribute: &str) -> Vec<Url> {
        let mut all: Vec<_> = self
            .values(element, attribute)
            .iter()
            .filter(|value| !value.starts_with('#'))
            .map(|value| self.at.join(value).unwrap())
            .filter(|url| url.origin() == self.at.origin())
            .collect();
        all.sort();
        all.dedup();
        all
    }
}

#[tokio::test]
async fn links_and_actions_of_a_refused_form_are_valid() {
    let hub = Hub::start().await;
    let Fixture {
        workspace: harbor,
        sam,
        ids,
        ..
    } = fixture(&hub, "Harbor Dental").await;
    let jo = &harbor.admin;
    let id = |name: &str| {
        let found = ids.iter().find(|(key, _)| *key == name);
        found.unwrap_or_else(|| panic!("{name}")).1.clone()
    };
    let later = (chrono::Utc::now() + chrono::Duration::days(2)).to_rfc3339();
    let planned = json!({"conversation_id": id("conversation_id"), "content": "Later", "scheduled_at": later});
    let planned = jo
        .post(&harbor.path("/messages"), planned)
        .await
        .expect_status(202);
    let planned = planned["message"]["id"].as_str().unwrap().to_owned();
    let tag = json!({"tags": ["Recall"]});
    jo.patch(
        &harbor.path(&format!("/contacts/{}", id("contact_id"))),
        tag,
    )
    .await;

    let base = format!("/w/{}", harbor.slug);
    let talk = format!("{base}/inbox/{}", id("conversation_id"));
    let contact = format!("{base}/contacts/{}", id("contact_id"));
    let long = "x".repeat(400);
    let refused = [
        (
            format!("{talk}/messages"),
            "content=&idempotency_key=1".to_owned(),
        ),
        (
            format!("{talk}/notes"),
            "content=&idempotency_key=1&mentions=".into(),
        ),
        (format!("{talk}/snooze"), "until=&at=".into()),
        (format!("{talk}/contact"), format!("name={long}")),
        (
            format!("{talk}/consent"),
            "consent_kind=stop&reason=".into(),
        ),
        (
            format!("{talk}/messages/{planned}"),
            "do=save&content=&at=2020-01-01T09:00".into(),
        ),
        (
            format!("{base}/scheduled/{planned}"),
            "do=save&content=&at=2020-01-01T09:00".into(),
        ),
        (
            format!("{base}/send"),
            "to=&content=Hi&idempotency_key=1".into(),
        ),
        (format!("{base}/contacts"), "phone_number=12".into()),
        (contact.clone(), format!("name={long}&phone_number=12")),
        (format!("{contact}/tags"), format!("tag={long}")),
        (
            format!("{contact}/consent"),
            format!("number_id={}&consent_kind=stop&reason=", id("number_id")),
        ),
        (format!("{contact}/merge"), "other=".into()),
        (format!("{base}/templates"), "name=&content=".into()),
        (
            format!("{base}/templates/{}", id("template_id")),
            "name=&content=".into(),
        ),
        (format!("{base}/settings"), format!("signature={long}")),
        (
            format!("{base}/admin/members"),
            "email=nobody&role=agent".into(),
        ),
        (
            format!("{base}/admin/credits/{}", sam.id),
            "how=add&amount=many&reason=".into(),
        ),
        (
            format!("{base}/admin/integrations"),
            "provider=twilio&account_sid=1&auth_token=".into(),
        ),
        (
            format!("{base}/admin/integrations/{}", id("integration_id")),
            format!("friendly_name={long}&auth_token=1"),
        ),
        (
            format!("{base}/admin/numbers/{}", id("number_id")),
            format!("friendly_name={long}"),
        ),
        (
            format!("{base}/admin/workspace"),
            "name=&default_region=US&starting_credits=0&low_credits_at=5&text_validity_minutes=60"
                .into(),
        ),
        (
            format!("{base}/admin/workspace/delete"),
            "typed_name=Another".into(),
        ),
        (format!("{base}/admin/fields/tags"), "name=".into()),
        (
            format!("{base}/admin/fields/tags/{}", id("tag_id")),
            "name=".into(),
        ),
        (format!("{base}/admin/fields/add"), "name=".into()),
        (
            format!("{base}/admin/fields/{}", id("field_id")),
            "name=".into(),
        ),
        ("/account".into(), "name=".into()),
        (
            "/account/password".into(),
            "current_password=no&new_password=no".into(),
        ),
        ("/workspaces".into(), "name=".into()),
    ];
    let mut shown = 0;
    for (path, body) in &refused {
        let page = posts(jo, path, body).await;
        println!(
            "{} {path}: {} forms",
            page.status,
            page.values("form", "action").len()
        );
        assert!(page.status < 500, "{path}: {}", page.html);
        if page.status < 400 {
            continue;
        }
        let links = page.addresses("a", "href");
        for link in &links {
            let answer = jo
                .get(&link.as_str()[link.origin().ascii_serialization().len()..])
                .await;
            assert!(
                answer.status < 400,
                "{path} leads to {link}: {}",
                answer.status
            );
        }
        let mut forms = page.addresses("form", "action");
        forms.extend(page.addresses("button", "formaction"));
        shown += usize::from(!forms.is_empty());
        assert!(
            !forms.is_empty() || !links.is_empty(),
            "{path} leads on: {}",
            page.html
        );
        for form in forms {
            // A 405 lists the allowed methods.
            let answer = jo.ask(jo.request(Method::PATCH, form.path())).await;
            let allowed = answer.headers.get("allow");
            let allowed = allowed.map(|allowed| allowed.to_str().unwrap());
            assert!(
                allowed.is_some_and(|allowed| allowed.contains("POST") || allowed.contains("GET")),
                "{path} posts to {form}: {} {allowed:?}",
                answer.status
            );
        }
    }
    assert!(shown >= 24, "{shown} forms are shown again");

    let (path, body) = &refused[0];
    let page = posts(jo, path, body).await;
    let forms = page.addresses("form", "action");
    let submit = async |end: &str, body: &str| {
        let form = forms
            .iter()
            .find(|form| form.path().ends_with(end))
            .unwrap();
        let done = posts(jo, form.path(), body).await;
        assert_eq!(done.status, 303, "{form}");
        assert!(done.location.starts_with(&talk), "{}", done.location);
    };
    submit("/status", "status=done").await;
    let now = jo
        .get(&harbor.path(&format!("/conversations/{}", id("conversation_id"))))
        .await
        .expect_status(200);
    assert_eq!(now["status"], "done");
}

#[tokio::test]
async fn sent_text_deletes_only_its_own_draft() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let jo = &harbor.admin;
    let maya = maya["id"].as_str().unwrap();
    let maya_draft = harbor.path(&format!("/conversations/{maya}/draft"));
    let new = harbor.path("/drafts/new");
    let content = async |draft: &str| jo.get(draft).await.expect_status(200)["content"].clone();
    for (draft, said) in [
        (&maya_draft, json!({"content": "To Maya"})),
        (&new, json!({"to": "Tom", "content": "To Tom"})),
    ] {
        let request = jo.request(Method::PUT, draft).json(&said);
        jo.ask(request).await.expect_status(200);
    }
    let sends = async |key: &str, draft_of: &str| {
        let form =
            format!("to=%2B14155550177&content=Hello&idempotency_key={key}&draft_of={draft_of}");
        let page = posts(jo, &format!("/w/{}/send", harbor.slug), &form).await;
        assert_eq!(page.status, 303, "{}", page.html);
    };

    // From a contact's page.
    sends("one", "").await;
    assert_eq!(content(&maya_draft).await, "To Maya");
    assert_eq!(content(&new).await, "To Tom");
    // From the conversation with another number.
    sends("two", maya).await;
    assert_eq!(content(&maya_draft).await, "");
    assert_eq!(content(&new).await, "To Tom");
    sends("three", "new").await;
    assert_eq!(content(&new).await, "");
}

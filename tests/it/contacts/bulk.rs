//! Several contacts at once: tags, export, deletion, by the rights of the person.

use reqwest::Method;
use serde_json::{Value, json};

use super::TOM;
use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, Person, Workspace};

impl Workspace<'_> {
    /// Submits the form of the contact list's selection.
    async fn changes_contacts(&self, who: &Person, query: &str, form: &[(&str, &str)]) -> Answer {
        let path = format!("/w/{}/contacts/bulk{query}", self.slug);
        let request = who
            .request(Method::POST, &path)
            .header("accept", "text/vnd.turbo-stream.html")
            .form(form);
        who.ask(request).await
    }
}

fn id(contact: &Value) -> String {
    let id = contact["contact_id"].as_str().or(contact["id"].as_str());
    id.unwrap().to_owned()
}

#[tokio::test]
async fn many_contacts_are_tagged_exported_and_deleted_at_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = &harbor.admin;
    let mut ids = Vec::new();
    for nth in 0..60 {
        let number = format!("+141555502{nth:02}");
        ids.push(id(&harbor
            .adds(jo, &number, &format!("Person {nth}"))
            .await));
    }
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let later = chrono::Utc::now() + chrono::TimeDelta::hours(3);
    let scheduled = json!({"conversation_id": maya["id"], "content": "See you", "scheduled_at": later.to_rfc3339()});
    jo.post(&harbor.path("/messages"), scheduled)
        .await
        .expect_status(202);

    let first = ids[..3].join(",");
    let form = [("ids", first.as_str()), ("do", "tag"), ("tag", "Recall")];
    let answer = harbor.changes_contacts(jo, "", &form).await;
    assert!(answer.body.contains("Added the tag Recall to 3 contacts"));
    let tags = jo.get(&harbor.path("/tags")).await.expect_status(200);
    let tag = tags["data"][0]["id"].as_str().unwrap().to_owned();
    let form = [("all", "true"), ("do", "tag"), ("tag", tag.as_str())];
    let answer = harbor.changes_contacts(jo, "?q=person", &form).await;
    assert!(
        answer.body.contains("Added the tag Recall to 57 contacts"),
        "those that had it are not counted: {}",
        answer.body
    );
    let form = [("ids", first.as_str()), ("do", "untag"), ("tag", &tag)];
    harbor.changes_contacts(jo, "", &form).await;
    assert_eq!(hub.count("select count(*) from contact_tags").await, 57);

    let path = format!("/w/{}/contacts/bulk/export.csv", harbor.slug);
    let request = jo
        .request(Method::POST, &path)
        .form(&[("ids", first.as_str())]);
    let file = jo.ask(request).await.body;
    assert_eq!(file.lines().count(), 4, "{file}");

    // All of the filter, with conversations and what waits there.
    let form = [("all", "true"), ("do", "delete")];
    let answer = harbor.changes_contacts(jo, "", &form).await;
    assert!(
        answer.body.contains("Deleted 61 contacts"),
        "{}",
        answer.body
    );
    assert_eq!(hub.count("select count(*) from contacts").await, 0);
    assert_eq!(hub.count("select count(*) from messages").await, 0);
    for (action, n) in [
        ("contacts_tagged", 2),
        ("contacts_untagged", 1),
        ("contacts_deleted", 1),
    ] {
        let path = harbor.path(&format!("/audit?action={action}"));
        let entries = jo.get(&path).await.expect_status(200);
        assert_eq!(entries["data"].as_array().unwrap().len(), n, "{action}");
    }
}

#[tokio::test]
async fn a_selection_reaches_only_what_its_member_may_see_and_delete() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (jo, sam) = (&harbor.admin, harbor.agent("Sam").await);
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let own = harbor.adds(&sam, TOM, "Tom").await;
    let (maya, own) = (id(&maya), id(&own));
    let both = format!("{maya},{own}");

    // Without the number, Maya does not exist for Sam, alone or among others.
    for ids in [&maya, &both] {
        for form in [
            [("ids", ids.as_str()), ("do", "tag"), ("tag", "Mine")],
            [("ids", ids.as_str()), ("do", "delete"), ("tag", "")],
        ] {
            let answer = harbor.changes_contacts(&sam, "", &form).await;
            assert_eq!(answer.status, 404, "{}", answer.body);
        }
        let path = format!("/w/{}/contacts/bulk/export.csv", harbor.slug);
        let request = sam.request(Method::POST, &path).form(&[("ids", ids)]);
        assert_eq!(sam.ask(request).await.status, 404);
    }
    assert_eq!(hub.count("select count(*) from contact_tags").await, 0);
    let form = [("all", "true"), ("do", "tag"), ("tag", "Mine")];
    harbor.changes_contacts(&sam, "", &form).await;
    assert_eq!(
        hub.count("select count(*) from contact_tags").await,
        1,
        "all that Sam sees are one"
    );

    // With the number she may be tagged, but only an admin deletes a contact with texts.
    harbor.assign_number(FRONT_DESK, &sam).await;
    let form = [("ids", both.as_str()), ("do", "delete")];
    let answer = harbor.changes_contacts(&sam, "", &form).await;
    assert!(
        answer
            .body
            .contains("Only an admin can delete those with texts"),
        "{}",
        answer.body
    );
    let left = jo.get(&harbor.path("/contacts")).await.expect_status(200);
    let left = left["data"].as_array().unwrap();
    assert_eq!((left.len(), &left[0]["id"]), (1, &json!(maya)));
    let form = [("ids", maya.as_str()), ("do", "delete")];
    let answer = harbor.changes_contacts(&sam, "", &form).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
}

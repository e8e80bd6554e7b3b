//! Contacts: search, order, tags, custom fields, changes and export.

mod bulk;
mod import;
mod merge;
mod remove;
mod spreadsheet;
mod tables;

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::hub::{FRONT_DESK, Hub, MAYA, Person, Workspace};

const TOM: &str = "+14155550193";

impl Workspace<'_> {
    pub async fn adds(&self, who: &Person, phone: &str, name: &str) -> Value {
        let draft = json!({"phone_number": phone, "name": name});
        who.post(&self.path("/contacts"), draft)
            .await
            .expect_status(201)
    }

    pub fn contact_path(&self, contact: &Value, more: &str) -> String {
        let id = contact["contact_id"].as_str().or(contact["id"].as_str());
        self.path(&format!("/contacts/{}{more}", id.unwrap()))
    }

    async fn listed(&self, who: &Person, query: &str) -> Vec<String> {
        let list = who
            .get(&self.path(&format!("/contacts?{query}")))
            .await
            .expect_status(200);
        names_of(&list)
    }
}

fn names_of(list: &Value) -> Vec<String> {
    let contacts = list["data"].as_array().unwrap().iter();
    contacts
        .map(|contact| {
            contact["name"]
                .as_str()
                .or(contact["phone_number"].as_str())
        })
        .map(|name| name.unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn contacts_are_searched_by_any_part_and_sorted_three_ways() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = &harbor.admin;
    harbor.adds(jo, "+14155550101", "zoe Adams").await;
    let ann = harbor.adds(jo, "+14155550102", "Ann Lee").await;
    let email = json!({"email": "ann@lee-family.test"});
    jo.patch(&harbor.contact_path(&ann, ""), email)
        .await
        .expect_status(200);
    harbor.receive_text(MAYA, "First").await;
    harbor.receive_text(TOM, "Second").await;
    hub.index_search().await;

    assert_eq!(
        harbor.listed(jo, "sort=name").await,
        ["Ann Lee", "zoe Adams", MAYA, TOM]
    );
    assert_eq!(
        harbor.listed(jo, "sort=last_text").await,
        [TOM, MAYA, "Ann Lee", "zoe Adams"]
    );
    assert_eq!(
        harbor.listed(jo, "").await,
        [TOM, MAYA, "Ann Lee", "zoe Adams"],
        "the newest first"
    );
    // Reversed; contacts without texts stay last.
    assert_eq!(
        harbor.listed(jo, "sort=name&reverse=true").await,
        [TOM, MAYA, "zoe Adams", "Ann Lee"]
    );
    assert_eq!(
        harbor.listed(jo, "sort=last_text&reverse=true").await,
        [MAYA, TOM, "zoe Adams", "Ann Lee"]
    );
    assert_eq!(
        harbor.listed(jo, "reverse=true").await,
        ["zoe Adams", "Ann Lee", MAYA, TOM],
    );
    for (q, found) in [
        ("LEE-fam", "Ann Lee"),
        ("ee", "Ann Lee"),
        ("(415) 555-0192", MAYA),
        ("555-0101", "zoe Adams"),
    ] {
        assert_eq!(
            harbor.listed(jo, &format!("q={q}&sort=name")).await,
            [found],
            "{q}"
        );
    }
    assert!(harbor.listed(jo, "q=100%25").await.is_empty());
    let wrong = jo.get(&harbor.path("/contacts?sort=color")).await;
    wrong.refused(422, "validation_failed");

    let list = jo
        .get(&harbor.path("/contacts?q=0193"))
        .await
        .expect_status(200);
    assert_eq!(list["data"][0]["last_text"]["preview"], "Second");
    assert_eq!(list["data"][0]["opted_out"], false);
}

#[tokio::test]
async fn pagination_is_stable_in_every_order() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = &harbor.admin;
    for n in 0..4 {
        harbor
            .adds(jo, &format!("+1415555011{n}"), "Same Name")
            .await;
        harbor.receive_text(&format!("+1415555012{n}"), "Hi").await;
    }
    for sort in ["name", "last_text", "added"] {
        let walked = async |order: &str| {
            let mut seen = Vec::new();
            let mut cursor = String::new();
            loop {
                let path = harbor.path(&format!("/contacts?limit=3&{order}&cursor={cursor}"));
                let page = jo.get(&path).await.expect_status(200);
                let ids = page["data"].as_array().unwrap().iter();
                seen.extend(ids.map(|contact| contact["id"].as_str().unwrap().to_owned()));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = next.to_owned(),
                    None => return seen,
                }
            }
        };
        let seen = walked(&format!("sort={sort}")).await;
        assert_eq!(seen.len(), 8, "{sort}");
        assert_eq!(
            seen.iter().collect::<HashSet<_>>().len(),
            8,
            "{sort}: no duplicates"
        );
        let mut back = walked(&format!("sort={sort}&reverse=true")).await;
        if sort == "last_text" {
            back[..4].reverse();
            back[4..].reverse();
        } else {
            back.reverse();
        }
        assert_eq!(back, seen, "{sort}: the same, the other way round");
        jo.get(&harbor.path(&format!("/contacts?sort={sort}&cursor=made-up")))
            .await
            .refused(422, "validation_failed");
    }
}

#[tokio::test]
async fn agent_lists_contacts_of_their_numbers_and_their_own() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    harbor.assign_number(FRONT_DESK, &sam).await;
    harbor.receive_text(MAYA, "Between us: 4711").await;
    harbor.receive_text(TOM, "STOP").await;
    harbor.adds(&lin, "+14155550101", "Lin's own").await;
    hub.index_search().await;
    let tag = harbor.tag("VIP").await;
    let maya = harbor.conversation_with(MAYA).await;
    sam.put(&harbor.contact_path(&maya, &format!("/tags/{tag}")))
        .await
        .expect_status(204);
    for (query, sams, lins) in [
        ("sort=name", vec![MAYA, TOM], vec!["Lin's own"]),
        ("sort=last_text", vec![TOM, MAYA], vec!["Lin's own"]),
        ("sort=added", vec![TOM, MAYA], vec!["Lin's own"]),
        ("q=4155550", vec![TOM, MAYA], vec!["Lin's own"]),
        ("opted_out=true", vec![TOM], vec![]),
        (&format!("tag={tag}"), vec![MAYA], vec![]),
    ] {
        assert_eq!(harbor.listed(&sam, query).await, sams, "{query}");
        assert_eq!(harbor.listed(&lin, query).await, lins, "{query}");
    }
}

#[tokio::test]
async fn tag_is_assigned_filtered_renamed_and_removed() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.receive_text(TOM, "Hi").await;
    let (mut frames, tags) = (sam.join_workspace(&harbor).await, harbor.path("/tags"));
    let vip = json!({"name": " New  patient ", "color": "teal"});
    let vip = sam.post(&tags, vip).await.expect_status(201);
    assert_eq!(
        (&vip["name"], &vip["color"]),
        (&json!("New patient"), &json!("teal"))
    );
    for wrong in ["new PATIENT", "", &"x".repeat(41)] {
        let problem = sam.post(&tags, json!({"name": wrong})).await;
        let problem = problem.refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], "name");
    }
    let id = vip["id"].as_str().unwrap();
    let give = harbor.contact_path(&maya, &format!("/tags/{id}"));
    for _ in 0..2 {
        sam.put(&give).await.expect_status(204);
    }
    assert_eq!(
        frames.wait_for("contact_updated").await["tags"],
        json!([vip])
    );
    let only = harbor.path(&format!("/conversations?tag={id}"));
    let only = sam.get(&only).await.expect_status(200);
    assert_eq!(only["data"].as_array().unwrap().len(), 1);
    assert_eq!(only["data"][0]["contact"]["tags"], json!([vip]));

    let one = harbor.path(&format!("/tags/{id}"));
    sam.patch(&one, json!({"name": "Mine"}))
        .await
        .refused(403, "admin_only");
    let changed = json!({"name": "Patient", "color": "pink"});
    harbor.admin.patch(&one, changed).await.expect_status(200);
    frames.wait_for("resync").await;
    let shown = sam
        .get(&harbor.contact_path(&maya, ""))
        .await
        .expect_status(200);
    assert_eq!(shown["tags"][0]["name"], "Patient");
    sam.delete(&give).await.expect_status(204);
    sam.delete(&give).await.expect_status(204);
    sam.put(&give).await.expect_status(204);
    harbor.admin.delete(&one).await.expect_status(204);
    let shown = sam
        .get(&harbor.contact_path(&maya, ""))
        .await
        .expect_status(200);
    assert_eq!(shown["tags"], json!([]));
    sam.put(&give).await.refused(404, "not_found");
}

#[tokio::test]
async fn custom_fields_validate_by_kind() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let (jo, fields) = (&harbor.admin, harbor.path("/contact-fields"));
    let plan =
        json!({"name": "Insurance plan", "kind": "choice", "choices": ["Delta", "None", "delta"]});
    let plan = jo.post(&fields, plan).await.expect_status(201);
    assert_eq!(plan["key"], "insurance_plan");
    assert_eq!(plan["choices"], json!(["Delta", "None"]));
    for (name, kind) in [("Born", "date"), ("Visits", "number"), ("Dentist", "text")] {
        jo.post(&fields, json!({"name": name, "kind": kind}))
            .await
            .expect_status(201);
    }
    for wrong in [
        json!({"name": "BORN", "kind": "text"}),
        json!({"name": "", "kind": "text"}),
        json!({"name": "Size", "kind": "choice"}),
        json!({"name": "Size", "kind": "text", "choices": ["S"]}),
        json!({"name": "Size", "kind": "colour"}),
    ] {
        let refused = jo.post(&fields, wrong.clone()).await;
        assert_eq!(refused.status, 422, "{wrong}");
    }
    let ann = harbor.adds(jo, TOM, "Ann").await;
    let path = harbor.contact_path(&ann, "");
    let filled = json!({"custom_fields": {"insurance_plan": "DELTA", "born": "1990-02-03", "visits": "1,200", "dentist": " Dr. Lin "}});
    let shown = jo.patch(&path, filled).await.expect_status(200);
    let kept = json!({"insurance_plan": "Delta", "born": "1990-02-03", "visits": "1200", "dentist": "Dr. Lin"});
    assert_eq!(shown["custom_fields"], kept);
    for (key, value) in [
        ("born", "yesterday"),
        ("visits", "many"),
        ("insurance_plan", "Gamma"),
        ("shoes", "42"),
    ] {
        let problem = jo
            .patch(&path, json!({"custom_fields": {key: value}}))
            .await;
        let problem = problem.refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], "custom_fields");
    }
    assert_eq!(
        jo.get(&path).await.expect_status(200)["custom_fields"],
        kept,
        "nothing changed"
    );
    let taken = json!({"custom_fields": {"born": null, "dentist": ""}});
    jo.patch(&path, taken).await.expect_status(200);
    let id = plan["id"].as_str().unwrap();
    let one = harbor.path(&format!("/contact-fields/{id}"));
    jo.patch(&one, json!({"name": "Plan"}))
        .await
        .expect_status(200);
    let left = json!({"insurance_plan": "Delta", "visits": "1200"});
    assert_eq!(
        jo.get(&path).await.expect_status(200)["custom_fields"],
        left
    );
    jo.delete(&one).await.expect_status(204);
    assert_eq!(
        jo.get(&path).await.expect_status(200)["custom_fields"],
        json!({"visits": "1200"})
    );
}

#[tokio::test]
async fn stale_change_is_refused() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let path = harbor.contact_path(&maya, "");
    let seen = sam.get(&path).await.expect_status(200)["updated_at"].clone();
    harbor
        .admin
        .patch(&path, json!({"name": "Maya O."}))
        .await
        .expect_status(200);
    let mine = json!({"name": "Maya", "updated_at": seen});
    let problem = sam.patch(&path, mine).await.refused(409, "contact_changed");
    assert!(problem["detail"].as_str().unwrap().contains("Jo Park"));
    let now = sam.get(&path).await.expect_status(200);
    assert_eq!(now["name"], "Maya O.");
    let mine = json!({"name": "Maya", "updated_at": now["updated_at"]});
    assert_eq!(
        sam.patch(&path, mine).await.expect_status(200)["name"],
        "Maya"
    );
}

#[tokio::test]
async fn changed_number_keeps_scheduled_texts_and_opt_outs() {
    const NEW: &str = "+14155550177";
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = &harbor.admin;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.adds(jo, TOM, "Tom").await;
    let path = harbor.contact_path(&maya, "");
    for taken in [TOM, "nonsense", ""] {
        let problem = jo.patch(&path, json!({"phone_number": taken})).await;
        let problem = problem.refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], "phone_number");
    }
    harbor.reply(jo, &maya, "On its way").await;
    hub.run_sender().await;
    harbor.reply(jo, &maya, "It waits").await;
    jo.patch(&path, json!({"phone_number": "(415) 555-0177"}))
        .await
        .expect_status(200);
    hub.run_sender().await;
    assert_eq!(hub.twilio.sent("On its way")[0].to, MAYA);
    assert_eq!(hub.twilio.sent("It waits")[0].to, NEW);
    let thread = harbor.thread(&maya).await;
    assert_eq!(thread.len(), 3, "the history stays");

    // STOP from the new number; then the contact's number changes back and another contact may get the new one.
    harbor.hub.twilio.text(NEW, FRONT_DESK, "STOP").await;
    jo.patch(&path, json!({"phone_number": MAYA}))
        .await
        .expect_status(200);
    let to = |to: &str| json!({"to": to, "content": "Hello?"});
    for opted_out in [MAYA, NEW] {
        let refused = jo.post(&harbor.path("/messages"), to(opted_out)).await;
        refused.refused(409, "contact_opted_out");
    }
    // The new owner of the number can opt in.
    harbor.hub.twilio.text(NEW, FRONT_DESK, "START").await;
    jo.post(&harbor.path("/messages"), to(NEW))
        .await
        .expect_status(202);
    let audit = jo
        .get(&harbor.path("/audit?action=contact_number_changed"))
        .await
        .expect_status(200);
    assert_eq!(audit["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn export_respects_access_and_escapes_formulas() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (jo, sam) = (&harbor.admin, harbor.agent("Sam").await);
    let field = json!({"name": "=Plan", "kind": "text"});
    jo.post(&harbor.path("/contact-fields"), field)
        .await
        .expect_status(201);
    for n in 0..230 {
        let evil = ["=1+1", "+SUM(A1)", "-2", "@cmd", "Ann, \"the\" first"][n % 5];
        harbor.adds(jo, &format!("+1415555{n:04}"), evil).await;
    }
    harbor.receive_text(MAYA, "4711").await;
    let path = harbor.path("/contacts/export.csv");
    let export = jo.get(&path).await;
    assert_eq!(export.headers["content-type"], "text/csv; charset=utf-8");
    let mut reader = csv::Reader::from_reader(export.body.as_bytes());
    let head = reader.headers().unwrap().clone();
    assert_eq!(&head[0], "name");
    assert_eq!(&head[head.len() - 1], "'=Plan");
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 230);
    assert!(
        export.body.starts_with('\u{feff}'),
        "spreadsheets read it as UTF-8"
    );
    for cell in rows.iter().flatten() {
        let is_number = cell.starts_with("+1 ")
            && cell[1..]
                .bytes()
                .all(|b| b.is_ascii_digit() || b" -".contains(&b));
        assert!(
            is_number || !cell.starts_with(['=', '+', '-', '@', '\t', '\r']),
            "{cell}"
        );
    }
    let without_contacts = sam.get(&path).await.body;
    assert_eq!(
        without_contacts.lines().count(),
        1,
        "only the header row: {without_contacts}"
    );
    let some = jo.get(&harbor.path("/contacts/export.csv?q=the")).await;
    assert_eq!(some.body.lines().count(), 47);
    let audit = jo
        .get(&harbor.path("/audit?action=contacts_exported"))
        .await
        .expect_status(200);
    assert_eq!(audit["data"].as_array().unwrap().len(), 3);
    let nul = jo.get(&harbor.path("/contacts/export.csv?q=%00the")).await;
    assert_eq!((nul.status, nul.body.lines().count()), (200, 47));
}

//! Contact import: preview, row by row, resumed after a crash.

use reqwest::Method;
use serde_json::{Value, json};

use super::TOM;
use crate::hub::{Hub, MAYA, Workspace};

async fn import(harbor: &Workspace<'_>, id: &Value) -> Value {
    let path = harbor.path(&format!("/contacts/imports/{}", id.as_str().unwrap()));
    harbor.admin.get(&path).await.expect_status(200)
}

#[tokio::test]
async fn each_row_is_added_updated_or_refused_with_reason() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    let field = json!({"name": "Born", "kind": "date"});
    jo.post(&harbor.path("/contact-fields"), field)
        .await
        .expect_status(201);
    harbor.adds(jo, MAYA, "Maya").await;
    let table = "Full name;Mobile;E-Mail;Born;Tags;Shoe size\r\n\
        Maya Okafor;(415) 555-0192;maya@okafor.test;;VIP;41\r\n\
        Tom;+1 415 555 0193;;1990-02-03;\"vip, New\";\r\n\
        José;4155550194;nonsense;;;\r\n\
        ;;;;;\r\n\
        Ann;call me;;;;\r\n\
        Bob;4155550195;;yesterday;;\r\n\
        Tommy;415-555-0193;tom@x.test;;;44\r\n";
    let (table, ..) = encoding_rs::WINDOWS_1252.encode(table);
    let fields = [("tags", "November")];
    let begun = harbor
        .upload_contacts_with(&table, &fields)
        .await
        .expect_status(202);
    assert_eq!(begun["state"], "running");
    assert_eq!(begun["encoding"], "windows-1252");
    assert_eq!(
        begun["mapping"],
        json!(["name", "phone_number", "email", "field:born", "tags", ""])
    );
    hub.run_imports().await;
    let done = import(&harbor, &begun["id"]).await;
    assert_eq!(done["state"], "done", "{done}");
    let counts = ["total", "done", "added", "updated", "skipped", "refused"];
    assert_eq!(
        counts.map(|count| done[count].as_i64().unwrap()),
        [6, 6, 3, 2, 0, 1]
    );

    let list = jo
        .get(&harbor.path("/contacts?sort=name"))
        .await
        .expect_status(200);
    let names: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].clone())
        .collect();
    assert_eq!(
        names,
        ["Bob", "José", "Maya", "Tom"],
        "an invalid cell drops no row"
    );
    let (maya, tom) = (&list["data"][2], &list["data"][3]);
    assert_eq!(
        (&maya["name"], &maya["email"]),
        (&json!("Maya"), &json!("maya@okafor.test")),
        "only what was empty is filled"
    );
    assert_eq!(tom["phone_number"], TOM);
    assert_eq!(
        (&tom["name"], &tom["email"]),
        (&json!("Tom"), &json!("tom@x.test"))
    );
    assert_eq!(tom["custom_fields"]["born"], "1990-02-03");
    let tags = tom["tags"].as_array().unwrap().iter();
    let tags: Vec<_> = tags.map(|tag| tag["name"].as_str().unwrap()).collect();
    assert_eq!(tags, ["New", "November", "VIP"]);

    let id = begun["id"].as_str().unwrap();
    let refused = harbor.path(&format!("/contacts/imports/{id}/refused.csv"));
    let refused = jo.get(&refused).await.body;
    let lines: Vec<_> = refused.lines().collect();
    assert_eq!(
        lines[0],
        "\u{feff}Full name,Mobile,E-Mail,Born,Tags,Shoe size,line,reason"
    );
    assert!(
        lines[1].starts_with("Ann,call me,,,,,6,Phone number: "),
        "{refused}"
    );
    assert_eq!(lines.len(), 2);
    assert_eq!(
        hub.count("select count(*) from contact_import_rows").await,
        1
    );
    assert_eq!(done["left_out"], 2);
    let problems: Vec<_> = done["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["message"].as_str().unwrap())
        .collect();
    assert!(
        problems[0].starts_with("1 row skipped, first in line 6: Phone number: "),
        "{problems:?}"
    );
    assert_eq!(
        problems[1..],
        [
            "E-Mail: 1 cell left empty (nonsense): That isn’t an email address",
            "Born: 1 cell left empty (yesterday): Enter a date such as 2026-11-23"
        ]
    );
    assert_eq!(
        begun["problems"], done["problems"],
        "the preview reports the same"
    );
    let list = jo
        .get(&harbor.path("/contacts/imports"))
        .await
        .expect_status(200);
    assert_eq!(list["data"][0]["id"], begun["id"]);

    // Refused rows can be fixed and imported again.
    let fixed = refused.replace("call me", "4155550196");
    let again = harbor
        .upload_contacts(fixed, "false")
        .await
        .expect_status(202);
    hub.run_imports().await;
    assert_eq!(import(&harbor, &again["id"]).await["added"], 1);
}

#[tokio::test]
async fn file_is_previewed_before_import() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = &harbor.admin;
    let table = "who,where\nMaya,020 7946 0018\n";
    let seen = harbor
        .upload_contacts(table, "true")
        .await
        .expect_status(202);
    assert_eq!(
        (&seen["state"], &seen["mapping"]),
        (&json!("mapping"), &json!(["", ""]))
    );
    hub.run_imports().await;
    assert_eq!(hub.count("select count(*) from contacts").await, 0);
    let start = harbor.path(&format!(
        "/contacts/imports/{}/start",
        seen["id"].as_str().unwrap()
    ));
    for wrong in [
        json!({}),
        json!({"mapping": ["name"]}),
        json!({"mapping": ["name", "name"]}),
        json!({"mapping": ["name", "phone_number"], "encoding": "klingon"}),
        json!({"mapping": ["name", "field:none"]}),
        json!({"mapping": ["name", "phone_number"], "region": "XX"}),
        json!({"mapping": ["name", "phone_number"], "tags": ["x".repeat(41)]}),
    ] {
        let refused = jo.post(&start, wrong.clone()).await;
        assert_eq!(refused.status, 422, "{wrong}: {}", refused.body);
    }
    let good = json!({"mapping": ["name", "phone_number"], "region": "GB", "duplicates": "skip"});
    jo.post(&start, good.clone()).await.expect_status(202);
    jo.post(&start, good).await.refused(409, "too_late");
    hub.run_imports().await;
    let list = jo.get(&harbor.path("/contacts")).await.expect_status(200);
    assert_eq!(list["data"][0]["phone_number"], "+442079460018");
    for (file, field) in [
        (&b""[..], "file"),
        (b"phone_number\n", "file"),
        (b"PK\x03\x04\0\0\0", "file"),
        (b"name\nMaya\n", "mapping"),
    ] {
        let refused = harbor.upload_contacts(file, "false").await;
        let problem = refused.refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], field);
    }
    let huge = vec![b'x'; 10 * 1024 * 1024 + 1];
    harbor
        .upload_contacts(huge, "true")
        .await
        .refused(413, "payload_too_large");
}

/// A worker crashes during an import: another one resumes it, and no row is lost or imported twice.
#[tokio::test]
async fn import_resumes_after_a_crash() {
    use messagehub::domain::contacts::import::work;
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let mut table = String::from("phone_number,name\n");
    for n in 0..1_200 {
        table.push_str(&format!("+1415555{n:04},Nr {n}\n"));
    }
    let begun = harbor
        .upload_contacts(table, "false")
        .await
        .expect_status(202);
    let db = &hub.server.app.db;
    let due = work::due(db).await.unwrap().expect("a due import");
    assert!(work::run_batch(db, &due).await.unwrap());
    assert!(work::due(db).await.unwrap().is_none(), "it is leased");
    let halfway = import(&harbor, &begun["id"]).await;
    assert_eq!(
        (&halfway["done"], &halfway["added"]),
        (&json!(500), &json!(500))
    );
    hub.run_imports().await;
    assert_eq!(import(&harbor, &begun["id"]).await["done"], 500);

    hub.execute_sql("update contact_imports set lease_until = now() - interval '1 second'")
        .await;
    hub.run_imports().await;
    let done = import(&harbor, &begun["id"]).await;
    assert_eq!(
        (&done["state"], &done["added"], &done["updated"]),
        (&json!("done"), &json!(1200), &json!(0))
    );
    assert_eq!(hub.count("select count(*) from contacts").await, 1200);
}

#[tokio::test]
async fn import_stops_when_its_admin_loses_the_role() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let begun = harbor
        .upload_contacts(format!("phone_number\n{TOM}\n"), "false")
        .await
        .expect_status(202);
    hub.execute_sql("update workspace_members set role = 'admin' where role = 'agent'")
        .await;
    let sam = harbor.agent("Sam").await;
    let promoted = harbor.path(&format!("/members/{}", sam.id));
    harbor
        .admin
        .patch(&promoted, json!({"role": "admin"}))
        .await
        .expect_status(200);
    let demoted = harbor.path(&format!("/members/{}", harbor.admin.id));
    sam.patch(&demoted, json!({"role": "agent"}))
        .await
        .expect_status(200);
    hub.run_imports().await;
    let path = harbor.path(&format!(
        "/contacts/imports/{}",
        begun["id"].as_str().unwrap()
    ));
    let ended = sam.get(&path).await.expect_status(200);
    assert_eq!(ended["state"], "failed");
    assert!(
        ended["failure"]
            .as_str()
            .unwrap()
            .contains("no longer an admin")
    );
    assert_eq!(hub.count("select count(*) from contacts").await, 0);
}

#[tokio::test]
async fn an_import_is_counted_before_it_starts_and_undone_within_a_day() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = &harbor.admin;
    harbor.adds(jo, MAYA, "Maya").await;
    let table = "Name,Phone,E-mail,Tags\n\
        Maya Okafor,(415) 555-0192,maya@okafor.test,VIP\n\
        Tom,4155550193,,VIP\n\
        Ann,4155550194,,\n\
        Bob,4155550195,,\n\
        Cleo,4155550196,,\n\
        Nobody,call me,,\n\
        Tommy,(415) 555-0193,,\n";
    let begun = harbor
        .upload_contacts_with(table.as_bytes(), &[])
        .await
        .expect_status(202);
    let counts = ["new_rows", "duplicate_rows", "invalid_rows"];
    assert_eq!(
        counts.map(|count| begun[count].as_i64().unwrap()),
        [4, 2, 1]
    );
    let flagged: Vec<_> = begun["flagged"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["line"].as_i64().unwrap(), row["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(flagged, [(2, "known"), (7, "invalid"), (8, "repeated")]);
    hub.run_imports().await;
    let done = import(&harbor, &begun["id"]).await;
    assert_eq!(
        (&done["added"], &done["can_undo"]),
        (&json!(4), &json!(true))
    );

    // Since then Ann has texted, Bob has another name, and Cleo a tag.
    harbor.receive_text("+14155550194", "Hi").await;
    let list = jo.get(&harbor.path("/contacts?sort=name")).await;
    let list = list.expect_status(200);
    let contact = |name: &str| {
        let all = list["data"].as_array().unwrap().iter();
        all.clone()
            .find(|row| row["name"] == json!(name))
            .unwrap_or_else(|| panic!("{name} is there"))
            .clone()
    };
    let bob = harbor.contact_path(&contact("Bob"), "");
    jo.patch(&bob, json!({"name": "Robert"}))
        .await
        .expect_status(200);
    let tag = jo
        .post(&harbor.path("/tags"), json!({"name": "Recall"}))
        .await
        .expect_status(201);
    let tagged = format!("/tags/{}", tag["id"].as_str().unwrap());
    let tagged = jo
        .put(&harbor.contact_path(&contact("Cleo"), &tagged))
        .await;
    assert!(tagged.status < 300, "{}", tagged.body);

    let undo = format!(
        "/w/{}/contacts/imports/{}/undo",
        harbor.slug,
        begun["id"].as_str().unwrap()
    );
    let request = jo.request(Method::POST, &undo);
    jo.ask(request).await;
    assert_eq!(import(&harbor, &begun["id"]).await["state"], "undoing");
    hub.run_imports().await;
    let undone = import(&harbor, &begun["id"]).await;
    assert_eq!(undone["state"], "undone", "{undone}");
    let counts = ["removed", "restored", "kept_texted", "kept_changed"];
    assert_eq!(
        counts.map(|count| undone[count].as_i64().unwrap()),
        [1, 1, 1, 2],
        "Tom; Maya; Ann; Bob and Cleo"
    );
    assert_eq!(undone["kept"].as_array().unwrap().len(), 3);
    let list = jo.get(&harbor.path("/contacts?sort=name")).await;
    let list = list.expect_status(200);
    let names: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Ann", "Cleo", "Maya", "Robert"]);
    let maya = &list["data"][2];
    assert_eq!((&maya["email"], &maya["tags"]), (&json!(null), &json!([])));
    assert_eq!(
        hub.count("select count(*) from audit_log where action = 'contact_import_undone'")
            .await,
        1
    );
    assert_eq!(
        hub.count("select count(*) from contact_import_changes")
            .await,
        0
    );
}

#[tokio::test]
async fn an_import_cannot_be_undone_after_a_day() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let begun = harbor
        .upload_contacts_with(b"Name,Phone\nTom,4155550193\n", &[])
        .await
        .expect_status(202);
    hub.run_imports().await;
    hub.execute_sql("update contact_imports set finished_at = now() - interval '25 hours'")
        .await;
    let undo = format!(
        "/w/{}/contacts/imports/{}/undo",
        harbor.slug,
        begun["id"].as_str().unwrap()
    );
    let request = harbor.admin.request(Method::POST, &undo);
    harbor.admin.ask(request).await;
    let import = import(&harbor, &begun["id"]).await;
    assert_eq!(
        (&import["state"], &import["can_undo"]),
        (&json!("done"), &json!(false))
    );
    messagehub::domain::contacts::import::delete_expired(&hub.server.app.db)
        .await
        .unwrap();
    assert_eq!(
        hub.count("select count(*) from contact_import_changes")
            .await,
        0
    );
}

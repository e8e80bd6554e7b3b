//! Import and export of opt-outs.

use serde_json::{Value, json};

use crate::hub::{Answer, FRONT_DESK, Hub, MAYA, Person, Workspace};

const TOM: &str = "+14155550193";

pub async fn imports(who: &Person, harbor: &Workspace<'_>, name: &str, file: &[u8]) -> Answer {
    let head = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: text/csv\r\n\r\n"
    );
    let body = [head.as_bytes(), file, b"\r\n--edge--\r\n"].concat();
    let request = who.request(reqwest::Method::POST, &harbor.path("/opt-outs/import"));
    let request = request.header("content-type", "multipart/form-data; boundary=edge");
    who.ask(request.body(body)).await
}

pub async fn listed(harbor: &Workspace<'_>) -> Vec<Value> {
    let page = harbor
        .admin
        .get(&harbor.path("/opt-outs"))
        .await
        .expect_status(200);
    page["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn each_line_is_accepted_or_refused_alone() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    let file = "phone_number,number,reason,at\n\
        (415) 555-0192,,Told the office,2026-01-02\n\
        +14155550193,+16285550100,,\n\
        415 555 0193,628-555-0100,Twice,\n\
        nobody,,,\n\
        +14155550194,+16285550999,,\n\
        +14155550195,,,tomorrow\n";

    let report = imports(
        &harbor.admin,
        &harbor,
        "C:\\\\old list.csv",
        file.as_bytes(),
    )
    .await
    .expect_status(200);

    assert_eq!(
        (&report["imported"], &report["already"], &report["refused"]),
        (&json!(2), &json!(1), &json!(3)),
        "{report}"
    );
    let wrong: Vec<_> = report["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            (
                error["line"].as_u64().unwrap(),
                error["field"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(wrong, [(5, "phone_number"), (6, "number"), (7, "at")]);
    assert_eq!(harbor.conversation_with(MAYA).await["opted_out"], true);
    let draft = json!({"to": TOM, "content": "Hello"});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .refused(409, "contact_opted_out");

    let consent = harbor.path(&format!(
        "/contacts/{}/consent",
        maya["contact_id"].as_str().unwrap()
    ));
    let proof = &harbor.admin.get(&consent).await.expect_status(200)["data"][0].clone();
    assert_eq!(
        (&proof["source"], &proof["actor_id"]),
        (&json!("import"), &json!(harbor.admin.id))
    );
    assert_eq!(
        proof["proof"],
        "Told the office (Imported by Jo Park from old list.csv)"
    );
    assert_eq!(proof["created_at"], "2026-01-02T00:00:00Z");
    let audit = harbor
        .admin
        .get(&harbor.path("/audit?action=opt_outs_imported"))
        .await
        .expect_status(200);
    assert_eq!(audit["data"][0]["subject"], "old list.csv");

    let report = imports(&harbor.admin, &harbor, "again.csv", file.as_bytes())
        .await
        .expect_status(200);
    assert_eq!(
        (&report["imported"], &report["already"]),
        (&json!(0), &json!(3))
    );
    assert_eq!(listed(&harbor).await.len(), 2);
}

#[tokio::test]
async fn old_list_does_not_override_later_consent() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "STOP").await;
    harbor.receive_text(MAYA, "START").await;
    let old = format!("phone_number;at\n{MAYA};2026-01-02\n");
    let report = imports(&harbor.admin, &harbor, "old.csv", old.as_bytes())
        .await
        .expect_status(200);
    assert_eq!(
        (&report["imported"], &report["refused"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(harbor.conversation_with(MAYA).await["opted_out"], false);
    // Without a date the entry is of today.
    let new = format!("phone_number\n{MAYA}\n");
    let report = imports(&harbor.admin, &harbor, "new.csv", new.as_bytes())
        .await
        .expect_status(200);
    assert_eq!(report["imported"], 1);
    assert_eq!(harbor.conversation_with(MAYA).await["opted_out"], true);
}

#[tokio::test]
async fn invalid_list_changes_nothing() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let sam = harbor.agent("Sam").await;
    imports(&sam, &harbor, "a.csv", b"phone_number\n+14155550193\n")
        .await
        .refused(403, "admin_only");
    for file in [&b""[..], b"+14155550193\n", b"PK\x03\x04\x00"] {
        let refused = imports(&harbor.admin, &harbor, "a.csv", file).await;
        let problem = refused.refused(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], "file");
    }
    let path = harbor.path("/opt-outs/import");
    harbor
        .admin
        .post(&path, json!({}))
        .await
        .refused(422, "validation_failed");
    let large = "phone_number\n".to_owned() + &" ".repeat(3 * 1024 * 1024);
    imports(&harbor.admin, &harbor, "a.csv", large.as_bytes())
        .await
        .refused(413, "payload_too_large");
    let larger = " ".repeat(5 * 1024 * 1024);
    imports(&harbor.admin, &harbor, "a.csv", larger.as_bytes())
        .await
        .refused(413, "payload_too_large");
    assert!(listed(&harbor).await.is_empty());
    assert_eq!(hub.count("select count(*) from contacts").await, 0);
}

#[tokio::test]
async fn exported_list_can_be_imported_again_and_has_no_formulas() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let mut file = "phone_number,reason\n".to_owned();
    for n in 0..130 {
        file += &format!("+1415555{n:04},\"=HYPERLINK(\"\"http://evil.example/{n}\"\")\"\n");
    }
    let report = imports(&harbor.admin, &harbor, "formulas.csv", file.as_bytes())
        .await
        .expect_status(200);
    assert_eq!(report["imported"], 130, "{report}");
    // All have the same time, and each is on exactly one page.
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = harbor.path(&format!("/opt-outs?limit=50&cursor={cursor}"));
        let page = harbor.admin.get(&path).await.expect_status(200);
        let rows = page["data"].as_array().unwrap().iter();
        seen.extend(rows.map(|row| row["phone_number"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.into(),
            None => break,
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 130);

    let path = harbor.path("/opt-outs/export.csv");
    let table = harbor.admin.get(&path).await;
    assert_eq!(table.status, 200);
    assert_eq!(table.headers["content-type"], "text/csv; charset=utf-8");
    let lines: Vec<_> = table.body.lines().collect();
    assert_eq!(lines.len(), 131);
    assert!(
        lines[1..]
            .iter()
            .all(|line| line.starts_with("+1 415") && line.contains("'=HYPERLINK"))
    );
    let bay = hub.workspace("Bay Optics").await;
    bay.connect_twilio("+16285550177").await;
    let front_desk = "+1 628 555 0100";
    assert!(table.body.contains(front_desk), "{FRONT_DESK} as text");
    let elsewhere = table.body.replace(front_desk, "+16285550177");
    let report = imports(&bay.admin, &bay, "opt-outs.csv", elsewhere.as_bytes())
        .await
        .expect_status(200);
    assert_eq!(report["imported"], 130, "{report}");
}

/// Refused lines can be downloaded, fixed and imported again, any number of times.
#[tokio::test]
async fn refused_lines_can_be_downloaded_fixed_and_imported() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let mut file =
        "Name;Mobiltelefon;reason\nMaya;(415) 555-0192;Told us\nTom;555;\"a;b\"\n".to_owned();
    for round in 0..3 {
        let report = imports(&harbor.admin, &harbor, "list.csv", file.as_bytes())
            .await
            .expect_status(200);
        assert_eq!(report["refused"], 1, "{report}");
        assert_eq!(report["imported"], i32::from(round == 0));
        let id = report["import_id"].as_str().unwrap();
        let path = harbor.path(&format!("/contacts/imports/{id}/refused.csv"));
        let refused = harbor.admin.get(&path).await;
        assert_eq!(refused.status, 200, "{}", refused.body);
        let lines: Vec<_> = refused.body.lines().collect();
        assert_eq!(lines[0], "\u{feff}Name,Mobiltelefon,reason,line,reason");
        assert_eq!(lines.len(), 2);
        let line = if round == 0 { 3 } else { 2 };
        assert!(
            lines[1].starts_with(&format!("Tom,555,a;b,{line},phone_number: ")),
            "{}",
            lines[1]
        );
        file = refused.body;
    }
    let fixed = file.replace(",555,", ",4155550193,");
    let report = imports(&harbor.admin, &harbor, "list.csv", fixed.as_bytes())
        .await
        .expect_status(200);
    assert_eq!(
        (&report["imported"], &report["refused"]),
        (&json!(1), &json!(0))
    );
    let proofs: Vec<_> = listed(&harbor)
        .await
        .iter()
        .map(|row| row["proof"].to_string())
        .collect();
    assert!(proofs[0].contains("a;b (Imported by"), "{proofs:?}");
    // They are not listed as contact imports.
    let list = harbor
        .admin
        .get(&harbor.path("/contacts/imports"))
        .await
        .expect_status(200);
    assert_eq!(list["data"], json!([]));
}

#[tokio::test]
async fn unclosed_quote_and_old_line_endings_lose_no_opt_out() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let open = b"phone_number,reason\n+14155550142,\"said no\n+14155550143,asked\n+14155550144,\n";
    let report = imports(&harbor.admin, &harbor, "open.csv", open)
        .await
        .expect_status(200);
    assert_eq!(
        (&report["imported"], &report["refused"]),
        (&json!(3), &json!(0)),
        "{report}"
    );
    assert_eq!(
        report["problems"][0]["message"],
        "Line 2 has an unclosed quotation mark that would take in 3 lines. They’re read one by one."
    );
    let old = b"phone\r+14155550145\r+14155550146\r";
    let report = imports(&harbor.admin, &harbor, "old.csv", old)
        .await
        .expect_status(200);
    assert_eq!(report["imported"], 2, "{report}");
    assert_eq!(listed(&harbor).await.len(), 5);
}

/// Read as digits, `6641234567.0` would opt out another number than the one meant.
#[tokio::test]
async fn decimal_point_opts_out_no_other_number() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let region = json!({"default_region": "AT"});
    harbor
        .admin
        .patch(&harbor.path(""), region)
        .await
        .expect_status(200);
    let report = imports(
        &harbor.admin,
        &harbor,
        "floats.csv",
        b"phone\n6641234567.0\n",
    )
    .await
    .expect_status(200);
    let numbers: Vec<_> = listed(&harbor)
        .await
        .iter()
        .map(|row| row["phone_number"].clone())
        .collect();
    assert_eq!(numbers, ["+436641234567"]);
    assert_eq!(
        (&report["imported"], &report["refused"]),
        (&json!(1), &json!(0)),
        "{report}"
    );
}

//! Exports survive a spreadsheet: opened in LibreOffice, saved as CSV and imported again.

use std::process::Command;

use serde_json::{Value, json};

use crate::hub::{FRONT_DESK, Hub, Workspace};
use crate::opt_outs::import::{imports, listed};

/// The file as LibreOffice saves it after opening it as UTF-8, as the byte order mark declares.
async fn through_libreoffice(table: String) -> Vec<u8> {
    let convert = move || {
        let dir = tempfile::tempdir().unwrap();
        let (file, out) = (dir.path().join("table.csv"), dir.path().join("out"));
        std::fs::write(&file, table).unwrap();
        let profile = format!(
            "-env:UserInstallation=file://{}",
            dir.path().join("profile").display()
        );
        let csv = "Text - txt - csv (StarCalc):44,34,76";
        let ran = Command::new("soffice")
            .args([&profile, "--headless", "--norestore"])
            .arg(format!("--infilter={csv}"))
            .args(["--convert-to", &format!("csv:{csv}"), "--outdir"])
            .args([&out, &file])
            .output()
            .expect("LibreOffice Calc is missing: bin/test installs it, or install the package libreoffice-calc");
        std::fs::read(out.join("table.csv")).unwrap_or_else(|error| {
            panic!(
                "LibreOffice saved nothing ({error}): {}",
                String::from_utf8_lossy(&ran.stderr)
            )
        })
    };
    tokio::task::spawn_blocking(convert).await.unwrap()
}

const PEOPLE: [(&str, &str); 8] = [
    ("+447911123456", "José Núñez"),
    ("+14155550142", "山田 花子"),
    ("+819012345678", "Zoë 🎉 Müller"),
    ("+48512345678", "=1+1"),
    ("+4915123456789", "@cmd"),
    ("+33612345678", "-2+3"),
    ("+61491570156", "+SUM(A1)"),
    ("+16285550177", "O’Neill, \"Doc\""),
];

async fn people(workspace: &Workspace<'_>) -> Vec<(String, String, String)> {
    let list = workspace
        .admin
        .get(&workspace.path("/contacts?limit=100"))
        .await
        .expect_status(200);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = list["data"].as_array().unwrap().iter();
    let mut people: Vec<_> = rows
        .map(|row| {
            (
                text(&row["phone_number"]),
                text(&row["name"]),
                text(&row["custom_fields"]["born"]),
            )
        })
        .collect();
    people.sort();
    people
}

#[tokio::test]
async fn contacts_survive_a_spreadsheet_round_trip() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let field = json!({"name": "Born", "kind": "date"});
    harbor
        .admin
        .post(&harbor.path("/contact-fields"), field.clone())
        .await
        .expect_status(201);
    for (phone, name) in PEOPLE {
        let draft =
            json!({"phone_number": phone, "name": name, "custom_fields": {"born": "1990-02-03"}});
        harbor
            .admin
            .post(&harbor.path("/contacts"), draft)
            .await
            .expect_status(201);
    }
    // What exports guard against: LibreOffice drops the plus of a number of digits only.
    let bare = through_libreoffice("phone\n+447911123456\n".into()).await;
    assert_eq!(String::from_utf8(bare).unwrap(), "phone\n447911123456\n");

    let table = harbor
        .admin
        .get(&harbor.path("/contacts/export.csv"))
        .await
        .body;
    let saved = through_libreoffice(table).await;
    let elsewhere = hub.workspace("Bay Optics").await;
    elsewhere
        .admin
        .post(&elsewhere.path("/contact-fields"), field)
        .await
        .expect_status(201);
    elsewhere
        .upload_contacts(saved, "false")
        .await
        .expect_status(202);
    hub.run_imports().await;
    assert_eq!(people(&elsewhere).await, people(&harbor).await);
    assert_eq!(people(&elsewhere).await.len(), PEOPLE.len());
}

#[tokio::test]
async fn opt_outs_and_refused_rows_survive_a_spreadsheet_round_trip() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let mut file = "phone_number;reason;at\n".to_owned();
    for (phone, name) in PEOPLE {
        file += &format!("{phone};{name};2026-01-02T10:20:30Z\n").replace('"', "");
    }
    let report = imports(&harbor.admin, &harbor, "list.csv", file.as_bytes())
        .await
        .expect_status(200);
    assert_eq!(report["imported"], PEOPLE.len(), "{report}");
    let table = harbor
        .admin
        .get(&harbor.path("/opt-outs/export.csv"))
        .await
        .body;
    let saved = through_libreoffice(table).await;
    let elsewhere = hub.workspace("Bay Optics").await;
    elsewhere.connect_twilio("+16285550188").await;
    let saved = String::from_utf8(saved)
        .unwrap()
        .replace("+1 628 555 0100", "+1 628 555 0188");
    let report = imports(&elsewhere.admin, &elsewhere, "list.csv", saved.as_bytes())
        .await
        .expect_status(200);
    assert_eq!(
        (&report["imported"], &report["refused"]),
        (&json!(PEOPLE.len()), &json!(0)),
        "{FRONT_DESK}: {report}"
    );
    let rows = async |workspace: &Workspace<'_>| {
        let rows = listed(workspace).await.into_iter();
        let mut rows: Vec<_> = rows
            .map(|row| {
                (
                    row["phone_number"].to_string(),
                    row["created_at"].to_string(),
                )
            })
            .collect();
        rows.sort();
        rows
    };
    assert_eq!(rows(&elsewhere).await, rows(&harbor).await);

    // Refused for one reason and fixed in the spreadsheet: the valid digits are kept.
    let mapping = [
        ("mapping", "[\"name\",\"phone_number\",\"other_number\"]"),
        ("region", "GB"),
    ];
    let file = b"a,b,c\nJos\xc3\xa9,nobody,+447911123456\nTom,none,07911123457\n";
    let begun = harbor
        .upload_contacts_with(file, &mapping)
        .await
        .expect_status(202);
    hub.run_imports().await;
    let path = harbor.path(&format!(
        "/contacts/imports/{}/refused.csv",
        begun["id"].as_str().unwrap()
    ));
    let refused = harbor.admin.get(&path).await.body;
    let saved = String::from_utf8(through_libreoffice(refused).await).unwrap();
    let fixed = saved.replace("nobody,", ",").replace("none,", ",");
    let mapping = [
        ("mapping", "[\"name\",\"\",\"phone_number\",\"\",\"\"]"),
        ("region", "GB"),
    ];
    let begun = harbor
        .upload_contacts_with(fixed.as_bytes(), &mapping)
        .await
        .expect_status(202);
    hub.run_imports().await;
    let path = harbor.path(&format!(
        "/contacts/imports/{}",
        begun["id"].as_str().unwrap()
    ));
    let done = harbor.admin.get(&path).await.expect_status(200);
    assert_eq!(
        (&done["updated"], &done["added"], &done["refused"]),
        (&json!(1), &json!(1), &json!(0)),
        "{done}: {fixed}"
    );
}

/// Excel shortens a number to `4.47911E+11`: the digits are lost, and the reason says so.
#[tokio::test]
async fn number_shortened_by_a_spreadsheet_is_refused() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    for file in [
        "name,phone\nMaya,4.47911E+11\n",
        "name;phone\nMaya;4,47911E+11\n",
    ] {
        let seen = harbor
            .upload_contacts(file, "true")
            .await
            .expect_status(202);
        let reason = seen["problems"][0]["reason"].as_str().unwrap();
        assert!(reason.contains("spreadsheet"), "{reason}");
    }
}

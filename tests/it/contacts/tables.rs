//! Tables exported by other programs: every contact is imported with its mobile number, and losses are reported.

use serde_json::{Value, json};

use crate::hub::{Hub, Workspace};

impl Workspace<'_> {
    async fn import_file(&self, hub: &Hub, file: impl AsRef<[u8]>) -> Value {
        let begun = self.upload_contacts(file, "false").await.expect_status(202);
        hub.run_imports().await;
        let path = self.path(&format!(
            "/contacts/imports/{}",
            begun["id"].as_str().unwrap()
        ));
        let done = self.admin.get(&path).await.expect_status(200);
        assert_eq!(done["state"], "done", "{done}");
        assert_eq!(
            done["problems"], begun["problems"],
            "the preview reports the same"
        );
        done
    }

    /// All contacts by number: `+1… name <e-mail> [tags] notes`.
    async fn people(&self) -> Vec<String> {
        let list = self
            .admin
            .get(&self.path("/contacts?limit=200"))
            .await
            .expect_status(200);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut people: Vec<String> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let tags: Vec<String> = row["tags"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|tag| text(&tag["name"]))
                    .collect();
                let (name, phone) = (text(&row["name"]), text(&row["phone_number"]));
                let line = format!(
                    "{phone} {name} <{}> [{}] {}",
                    text(&row["email"]),
                    tags.join(", "),
                    text(&row["notes"])
                );
                line.replace(" <>", "")
                    .replace(" []", "")
                    .replace('\n', " | ")
                    .trim()
                    .to_owned()
            })
            .collect();
        people.sort();
        people
    }
}

fn counts(import: &Value) -> [i64; 3] {
    ["added", "refused", "left_out"].map(|count| import[count].as_i64().unwrap())
}

#[tokio::test]
async fn exports_of_google_outlook_and_others_are_imported() {
    let hub = Hub::start().await;
    for (program, file, expected) in [
        (
            "Google",
            "First Name,Middle Name,Last Name,Phonetic First Name,Organization Name,Birthday,Notes,Labels,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value,Phone 2 - Label,Phone 2 - Value\n\
             Maya,,Okafor,,,,,* myContacts ::: Patients,* Home,maya@okafor.test,Mobile,+1 415-555-0142 ::: +1 415-555-0143,,\n\
             Ines,,Duarte,,,,,* myContacts ::: Patients ::: VIP,* ,ines@duarte.test ::: ines.d@work.test,Mobile,(415) 555-0144,,\n\
             Tomas,,Lindqvist,,,,,* myContacts ::: VIP,,,Home,(415) 555-0145,Mobile,(415) 555-0146\n\
             ,,,,Blue Door Bakery,,,* myContacts,,,Work,415-555-0147,Work Fax,415-555-0149\n\
             Noor,A.,Haddad,,,,\"Two\nlines, and a comma\",* myContacts ::: * starred,,,,415-555-0148,,\n",
            &[
                "+14155550142 Maya Okafor <maya@okafor.test> [Patients] Mobile: (415) 555-0143",
                "+14155550144 Ines Duarte <ines@duarte.test> [Patients, VIP]",
                "+14155550146 Tomas Lindqvist [VIP] Home: (415) 555-0145",
                "+14155550147 Blue Door Bakery",
                "+14155550148 Noor A. Haddad Two | lines, and a comma",
            ][..],
        ),
        (
            "Google, before 2024",
            "Name,Given Name,Additional Name,Family Name,Group Membership,E-mail 1 - Type,E-mail 1 - Value,Phone 1 - Type,Phone 1 - Value,Organization 1 - Type,Organization 1 - Name\n\
             Maya Okafor,Maya,,Okafor,* My Contacts ::: Recall,* Home,maya@okafor.test,Home,415-555-0142,,\n\
             ,,,,* My Contacts,,,Work,415-555-0147,,Blue Door Bakery\n",
            &[
                "+14155550142 Maya Okafor <maya@okafor.test> [Recall]",
                "+14155550147 Blue Door Bakery",
            ],
        ),
        (
            "Outlook",
            "Title,First Name,Middle Name,Last Name,Company,Business Fax,Business Phone,Home Phone,Home Phone 2,Mobile Phone,Other Phone,Pager,Primary Phone,E-mail Address,Categories,Notes\r\n\
             ,Maya,,Okafor,,,(415) 555-0110,,,(415) 555-0142,,,,maya@okafor.test,\"VIP;Family\",\r\n\
             ,Tom,,Reyes,,,,(415) 555-0143,,,,,,tom@reyes.test,,only a home number\r\n\
             ,Ines,,Duarte,Blue Door,(415) 555-0111,(415) 555-0144,,,,,,,,,only a work number\r\n\
             ,Bo,,Chen,,,,,,,,,(415) 555-0145,,,only the primary one\r\n",
            &[
                "+14155550142 Maya Okafor <maya@okafor.test> [Family, VIP] Business Phone: (415) 555-0110",
                "+14155550143 Tom Reyes <tom@reyes.test> only a home number",
                "+14155550144 Ines Duarte only a work number",
                "+14155550145 Bo Chen only the primary one",
            ],
        ),
        (
            "HubSpot",
            "Record ID,First Name,Last Name,Email,Phone Number,Mobile Phone Number,Contact owner,Lead Status\r\n\
             1001,Maya,Okafor,maya@okafor.test,+1 415-555-0100,+1 415-555-0142,Jo Park,\r\n1002,Tom,Reyes,tom@reyes.test,,+1 415-555-0143,,\r\n",
            &[
                "+14155550142 Maya Okafor <maya@okafor.test> Phone Number: (415) 555-0100",
                "+14155550143 Tom Reyes <tom@reyes.test>",
            ],
        ),
        (
            "Salesforce",
            "\"Salutation\",\"First Name\",\"Last Name\",\"Account Name\",\"Phone\",\"Fax\",\"Mobile\",\"Other Phone\",\"Email\"\n\
             \"Ms.\",\"Maya\",\"Okafor\",\"Okafor LLC\",\"(415) 555-0100\",\"\",\"(415) 555-0142\",\"\",\"maya@okafor.test\"\n\
             \"\",\"Tom\",\"Reyes\",\"\",\"\",\"(415) 555-0111\",\"\",\"(415) 555-0144\",\"\"\n\n\n\
             \"Harbor Dental\"\n\"Confidential Information - Do Not Distribute\"\n\"Copyright (c) 2000-2026 salesforce.com, inc.\"\n",
            &[
                "+14155550142 Maya Okafor <maya@okafor.test> Phone: (415) 555-0100",
                "+14155550144 Tom Reyes",
            ],
        ),
        (
            "Shopify",
            "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,Default Address Phone,Phone,Accepts SMS Marketing,Total Spent,Note,Tags\n\
             '6001,Maya,Okafor,maya@okafor.test,yes,,'+14155550100,'+14155550142,no,12.50,,\"VIP, wholesale\"\n'6002,Tom,Reyes,,no,Reyes Inc,'+14155550143,,no,0.00,Rings twice,\n",
            &[
                "+14155550142 Maya Okafor <maya@okafor.test> [VIP, wholesale] Default Address Phone: (415) 555-0100",
                "+14155550143 Tom Reyes Rings twice",
            ],
        ),
        (
            "Mailchimp",
            "\"Email Address\",\"First Name\",\"Last Name\",\"Phone Number\",MEMBER_RATING,OPTIN_TIME,TAGS\n\
             \"maya@okafor.test\",Maya,Okafor,\"(415) 555-0142\",2,\"2026-01-03 10:20:00\",\"\"\"VIP\"\",\"\"New patient\"\"\"\n",
            &["+14155550142 Maya Okafor <maya@okafor.test> [New patient, VIP]"],
        ),
        (
            "Yahoo",
            "First,Middle,Last,Nickname,Email,Category,Home,Work,Pager,Fax,Mobile,Other\n\
             Maya,,Okafor,,maya@okafor.test,,415-555-0100,,415-555-0119,,415-555-0142,\nTom,,Reyes,,,,,415-555-0143,,,,\n",
            &[
                "+14155550142 Maya Okafor <maya@okafor.test> Home: (415) 555-0100",
                "+14155550143 Tom Reyes",
            ],
        ),
        (
            "a report",
            "Patients of Harbor Dental\n\nsep by hand\nNombre;Apellidos;Teléfono móvil;Correo electrónico\nJosé;Núñez;415 555 0142;jose@nunez.test\n",
            &["+14155550142 José Núñez <jose@nunez.test>"],
        ),
        (
            "Excel's separator",
            "\u{feff}sep=;\r\nName;Phone;Email\r\nMaya Okafor;+1 415 555 0142;maya@okafor.test\r\nTom, Reyes;+1 415 555 0143;\r\n",
            &[
                "+14155550142 Maya Okafor <maya@okafor.test>",
                "+14155550143 Reyes Tom",
            ],
        ),
        (
            "an address book",
            "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Okafor;Maya;;;\r\nFN:Maya Okafor\r\nTEL;type=HOME;type=VOICE:(415) 555-0143\r\nTEL;type=CELL;type=pref:(415) 555-\r\n 0142\r\nitem1.EMAIL;type=INTERNET:maya@okafor.test\r\nEND:VCARD\r\n\
             BEGIN:VCARD\r\nVERSION:3.0\r\nN:;;;;\r\nFN:Blue Door Bakery\r\nORG:Blue Door Bakery;\r\nTEL;type=WORK:415-555-0147\r\nEND:VCARD\r\n",
            &[
                "+14155550142 Maya Okafor <maya@okafor.test> Home phone: (415) 555-0143",
                "+14155550147 Blue Door Bakery",
            ],
        ),
    ] {
        let shop = hub.workspace(program).await;
        let done = shop.import_file(&hub, file).await;
        assert_eq!(
            counts(&done)[..2],
            [expected.len() as i64, 0],
            "{program}: {done}"
        );
        assert_eq!(shop.people().await, expected, "{program}");
        let again = shop.import_file(&hub, file).await;
        assert_eq!(again["skipped"], expected.len(), "{program}: {again}");
    }
}

#[tokio::test]
async fn second_phone_column_is_a_fallback() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let file = b"Who,A,B\nMaya,,(415) 555-0142\nTom,(415) 555-0143,(415) 555-0144\n";
    let fields = [("mapping", "[\"name\",\"phone_number\",\"phone_number\"]")];
    let begun = harbor
        .upload_contacts_with(file, &fields)
        .await
        .expect_status(202);
    assert_eq!(
        begun["problems"][0]["message"],
        "1 additional phone number added to the notes"
    );
    hub.run_imports().await;
    assert_eq!(
        harbor.people().await,
        ["+14155550142 Maya", "+14155550143 Tom B: (415) 555-0144"]
    );
}

#[tokio::test]
async fn unclosed_quote_is_reported_before_import_and_loses_no_row() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let file = "name,phone,notes\n\"Doc Brown,+1 415 555 0142,old friend\nMaya Okafor,+1 415 555 0143,\nTom Reyes,+1 415 555 0144,\"likes \"\"tea\"\"\"\nInes Duarte,+1 415 555 0145,\n";
    let seen = harbor
        .upload_contacts(file, "true")
        .await
        .expect_status(202);
    assert_eq!(seen["total"], 4);
    let problem = &seen["problems"][0];
    assert_eq!(
        (&problem["kind"], &problem["line"], &problem["count"]),
        (&json!("unclosed_quote"), &json!(2), &json!(3))
    );
    harbor.import_file(&hub, file).await;
    assert_eq!(
        harbor.people().await,
        [
            "+14155550142 Doc Brown old friend",
            "+14155550143 Maya Okafor",
            "+14155550144 Tom Reyes likes \"tea\"",
            "+14155550145 Ines Duarte"
        ]
    );
}

#[tokio::test]
async fn all_line_endings_are_accepted() {
    let hub = Hub::start().await;
    for (name, file) in [
        ("Old Mac", "name,phone\rA,+14155550142\rB,+14155550143\r"),
        (
            "Mixed",
            "name,phone\r\nA,+14155550142\rB,+14155550143\n\r\r\n",
        ),
        (
            "One alone",
            "name,phone\nA\r,+14155550142\nA,+14155550142\nB,+14155550143",
        ),
    ] {
        let shop = hub.workspace(name).await;
        shop.import_file(&hub, file).await;
        assert_eq!(shop.people().await.len(), 2, "{name}");
    }
}

#[tokio::test]
async fn encoding_is_detected_or_chosen_and_a_bad_byte_affects_one_cell() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let sjis = encoding_rs::SHIFT_JIS
        .encode("氏名,Phone\r\n山田 花子,+1 415 555 0142\r\n")
        .0
        .into_owned();
    let wrong = [("preview", "true"), ("encoding", "windows-1252")];
    let wrong = harbor
        .upload_contacts_with(&sjis, &wrong)
        .await
        .expect_status(202);
    assert_eq!(
        (&wrong["encoding"], &wrong["mapping"][0]),
        (&json!("windows-1252"), &json!(""))
    );
    // An encoding chosen at the start reads the file again.
    let start = harbor.path(&format!(
        "/contacts/imports/{}/start",
        wrong["id"].as_str().unwrap()
    ));
    let started = harbor
        .admin
        .post(&start, json!({"encoding": "shift-jis"}))
        .await
        .expect_status(202);
    assert_eq!(
        (&started["encoding"], &started["columns"][0]),
        (&json!("Shift_JIS"), &json!("氏名"))
    );
    hub.run_imports().await;
    let polish = encoding_rs::WINDOWS_1250
        .encode("Name;Phone\r\nŁucja Świątek;+1 415 555 0143\r\n")
        .0
        .into_owned();
    assert_eq!(
        harbor.import_file(&hub, &polish).await["encoding"],
        "windows-1250"
    );
    let mut utf8 =
        "name,phone,notes\nJosé Núñez,+1 415 555 0144,ok\nZoë Müller,+1 415 555 0145,cut é\n"
            .as_bytes()
            .to_vec();
    utf8.remove(utf8.len() - 2);
    let done = harbor.import_file(&hub, &utf8).await;
    assert_eq!(done["problems"][0]["kind"], "unreadable_bytes");
    assert_eq!(
        (&done["problems"][0]["count"], &done["problems"][0]["line"]),
        (&json!(1), &json!(3))
    );
    let nfd = "name,phone\nJose\u{301} Nu\u{301}n\u{303}ez,+1 415 555 0146\n";
    harbor.import_file(&hub, nfd).await;
    assert_eq!(
        harbor.people().await,
        [
            "+14155550142 山田 花子",
            "+14155550143 Łucja Świątek",
            "+14155550144 José Núñez ok",
            "+14155550145 Zoë Müller cut \u{fffd}",
            "+14155550146 José Núñez"
        ]
    );
    for upload in [[("encoding", "klingon")], [("encoding", "replacement")]] {
        let refused = harbor.upload_contacts_with(&sjis, &upload).await;
        assert_eq!(
            refused.refused(422, "validation_failed")["errors"][0]["field"],
            "encoding"
        );
    }
}

#[tokio::test]
async fn dates_are_parsed_by_column_or_country_or_left_out() {
    let hub = Hub::start().await;
    for (workspace, region, file, days, left_out) in [
        (
            "Column",
            "US",
            "phone,Born\n+14155550142,03/04/2026\n+14155550143,23/11/2026\n",
            ["2026-04-03", "2026-11-23"],
            0,
        ),
        (
            "Country",
            "US",
            "phone,Born\n+14155550142,03/04/2026\n+14155550143,11/23/2026\n",
            ["2026-03-04", "2026-11-23"],
            0,
        ),
        (
            "Dots",
            "US",
            "phone,Born\n+14155550142,3.4.2026\n+14155550143,2026/11/23\n",
            ["2026-04-03", "2026-11-23"],
            0,
        ),
        (
            "Nobody knows",
            "CA",
            "phone,Born\n+14155550142,03/04/2026\n+14155550143,--03-07\n",
            ["", ""],
            2,
        ),
    ] {
        let shop = hub.workspace(workspace).await;
        let field = json!({"name": "Born", "kind": "date"});
        shop.admin
            .post(&shop.path("/contact-fields"), field)
            .await
            .expect_status(201);
        shop.admin
            .patch(&shop.path(""), json!({"default_region": region}))
            .await
            .expect_status(200);
        let done = shop.import_file(&hub, file).await;
        assert_eq!(counts(&done), [2, 0, left_out], "{workspace}: {done}");
        let list = shop
            .admin
            .get(&shop.path("/contacts?sort=name"))
            .await
            .expect_status(200);
        for (place, day) in days.iter().enumerate() {
            let read = list["data"][place]["custom_fields"]["born"]
                .as_str()
                .unwrap_or_default();
            assert_eq!(read, *day, "{workspace}");
        }
    }
}

#[tokio::test]
async fn refused_rows_can_be_imported_again_without_growing() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let mut file = "name,phone\n'=1+1,555\nTom,07911\n".to_owned();
    for round in 0..4 {
        let done = harbor.import_file(&hub, &file).await;
        assert_eq!(counts(&done), [0, 2, 0]);
        let path = harbor.path(&format!(
            "/contacts/imports/{}/refused.csv",
            done["id"].as_str().unwrap()
        ));
        let refused = harbor.admin.get(&path).await.body;
        let lines: Vec<_> = refused.lines().collect();
        assert_eq!(lines[0], "\u{feff}name,phone,line,reason", "round {round}");
        assert!(
            lines[1].starts_with("'=1+1,555,2,Phone number: "),
            "{refused}"
        );
        assert_eq!(lines.len(), 3);
        file = refused;
    }
    let fixed = file.replace(",555,", ",4155550142,");
    assert_eq!(counts(&harbor.import_file(&hub, fixed).await), [1, 1, 0]);
    assert_eq!(
        harbor.people().await,
        ["+14155550142 =1+1"],
        "the escaped formula is restored"
    );
}

/// Any file is imported or refused with a reason.
#[tokio::test]
async fn no_file_causes_a_server_error() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let parts: [&[u8]; 16] = [
        b"name,phone\n",
        b"\"",
        b"\r",
        b"\n",
        b"\r\n",
        b",",
        b";",
        b"\0",
        b"\xff\xfe",
        b"\xc3",
        b"BEGIN:VCARD\r\n",
        b"TEL:+14155550142\r\n",
        b"+14155550142",
        b"\xe3\x81\x82",
        b"sep=;\n",
        b"\x1b$B",
    ];
    for _ in 0..60 {
        let mut file = Vec::new();
        for _ in 0..next() % 40 {
            file.extend(parts[(next() % 16) as usize]);
        }
        let answer = harbor.upload_contacts(&file, "true").await;
        assert!(
            [202, 422].contains(&answer.status),
            "{:?}: {}",
            String::from_utf8_lossy(&file),
            answer.body
        );
        let list = crate::opt_outs::import::imports(&harbor.admin, &harbor, "a.csv", &file).await;
        assert!(
            [200, 422].contains(&list.status),
            "{:?}: {}",
            String::from_utf8_lossy(&file),
            list.body
        );
    }
}

//! Contacts are matched by one rule in every search.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reqwest::Method;
use serde_json::json;
use sqlx::{Connection, PgConnection, Row};
use unicode_normalization::UnicodeNormalization;

use crate::hub::{Hub, Person, Workspace, empty_database, superuser};

type ContactIds = Vec<(String, String)>;

impl Workspace<'_> {
    async fn add_contacts(&self, people: &[(&str, &str)]) -> ContactIds {
        let mut known = ContactIds::new();
        for (phone, name) in people {
            let contact = self.adds(&self.admin, phone, name).await;
            self.receive_text(phone, "Hello").await;
            known.push((
                (*name).to_owned(),
                contact["id"].as_str().unwrap().to_owned(),
            ));
        }
        known
    }

    /// The names in `known` that `q` finds, for each search.
    async fn found_everywhere(
        &self,
        who: &Person,
        known: &ContactIds,
        q: &str,
    ) -> Vec<(&'static str, Vec<String>)> {
        // The contact whose merge page searches.
        let open = self.add_contact_once(who).await;
        let api = |path: &str| self.path(path);
        let page = |path: &str| format!("/w/{}{path}", self.slug);
        let mut found = Vec::new();
        for (place, path, query) in [
            ("search, people", api("/search"), ("kind", "people")),
            (
                "search, conversations",
                api("/search"),
                ("kind", "conversations"),
            ),
            ("contacts, newest", api("/contacts"), ("sort", "added")),
            ("contacts, by name", api("/contacts"), ("sort", "name")),
            (
                "contacts, by last text",
                api("/contacts"),
                ("sort", "last_text"),
            ),
            ("conversations", api("/conversations"), ("limit", "50")),
            (
                "conversations, open",
                api("/conversations"),
                ("status", "open"),
            ),
            ("new text", page("/send/people"), ("", "")),
            (
                "who else",
                page(&format!("/contacts/{open}/merge")),
                ("", ""),
            ),
            ("contacts page", page("/contacts"), ("", "")),
        ] {
            let request = who.request(Method::GET, &path).query(&[("q", q), query]);
            let answer = who.ask(request).await;
            assert_eq!(answer.status, 200, "{place}: {q}: {}", answer.body);
            let is_there = |(_, id): &&(String, String)| answer.body.contains(id);
            let names = known.iter().filter(is_there).map(|(name, _)| name.clone());
            found.push((place, names.collect()));
        }
        found
    }

    async fn add_contact_once(&self, who: &Person) -> String {
        let draft = json!({"phone_number": "+14155550999", "name": "Zzyzx"});
        let answer = who.post(&self.path("/contacts"), draft).await;
        if answer.status == 201 {
            return answer.expect_status(201)["id"].as_str().unwrap().to_owned();
        }
        let list = who
            .get(&self.path("/contacts?q=Zzyzx"))
            .await
            .expect_status(200);
        list["data"][0]["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn name_is_found_in_any_spelling() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let known = harbor
        .add_contacts(&[
            ("+14155550201", "José Núñez"),
            // Decomposed, as macOS writes it.
            ("+14155550202", "Zoe\u{308} Mu\u{308}ller"),
            ("+14155550203", "Sean O’Neill"),
            ("+14155550204", "Anne-Marie Lee"),
            ("+14155550205", "山田 花子"),
            ("+14155550206", "مُحَمَّد عليّ"),
            ("+14155550207", "أحمد سامي"),
            ("+14155550208", "שָׁלוֹם כהן"),
            ("+14155550209", "Γιώργος Παπάς"),
            ("+14155550210", "Łukasz Groß"),
            ("+14155550211", "İpek Işık"),
            ("+14155550212", "Nguyễn Thị Đào"),
            ("+14155550213", "Алёна Ежова"),
        ])
        .await;
    for (q, found) in [
        ("jose nunez", "José Núñez"),
        ("NUÑEZ JOSÉ", "José Núñez"),
        ("Jose\u{301}", "José Núñez"),
        ("Zoë", "Zoe\u{308} Mu\u{308}ller"),
        ("muller", "Zoe\u{308} Mu\u{308}ller"),
        ("mueller", "Zoe\u{308} Mu\u{308}ller"),
        ("jose\u{a0} \u{a0}nunez", "José Núñez"),
        ("oneill", "Sean O’Neill"),
        ("o'neill", "Sean O’Neill"),
        ("o’neill", "Sean O’Neill"),
        ("O´Neill", "Sean O’Neill"),
        ("o neill", "Sean O’Neill"),
        ("neill", "Sean O’Neill"),
        ("annemarie", "Anne-Marie Lee"),
        ("anne marie", "Anne-Marie Lee"),
        ("anne–marie lee", "Anne-Marie Lee"),
        ("lee anne", "Anne-Marie Lee"),
        ("山田花子", "山田 花子"),
        ("山田　花子", "山田 花子"),
        ("花子", "山田 花子"),
        ("محمد", "مُحَمَّد عليّ"),
        ("محـمد", "مُحَمَّد عليّ"),
        ("احمد", "أحمد سامي"),
        ("سامى", "أحمد سامي"),
        ("שלום", "שָׁלוֹם כהן"),
        ("ΓΙΩΡΓΟΣ", "Γιώργος Παπάς"),
        ("παπασ", "Γιώργος Παπάς"),
        ("lukasz gross", "Łukasz Groß"),
        ("ŁUKASZ", "Łukasz Groß"),
        ("ipek ISIK", "İpek Işık"),
        ("nguyen dao", "Nguyễn Thị Đào"),
        ("ｎｇｕｙｅｎ", "Nguyễn Thị Đào"),
        ("алена", "Алёна Ежова"),
        ("ЕЖОВА", "Алёна Ежова"),
    ] {
        for (place, names) in harbor.found_everywhere(&harbor.admin, &known, q).await {
            assert_eq!(names, [found], "{place}: {q}");
        }
    }
    for q in ["nunezx", "maria", "eano", "?!", "%", "_", "\\"] {
        for (place, names) in harbor.found_everywhere(&harbor.admin, &known, q).await {
            assert!(names.is_empty(), "{place}: {q}: {names:?}");
        }
    }
}

#[tokio::test]
async fn names_are_stored_in_nfc() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = &harbor.admin;
    let made = harbor
        .adds(jo, "+14155550142", "Jose\u{301} Nu\u{301}n\u{303}ez")
        .await;
    assert_eq!(made["name"], "José Núñez");
    let path = harbor.contact_path(&made, "");
    let changed = jo
        .patch(&path, json!({"name": "Zoe\u{308}"}))
        .await
        .expect_status(200);
    assert_eq!(changed["name"], "Zoë");
    let mut tx = hub.with_rights_of(jo, &harbor).await;
    let refused = sqlx::query("update contacts set name = E'Jose\\u0301'")
        .execute(&mut *tx)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("contacts_name_check"),
        "{refused}"
    );
    drop(tx);
    // A decomposed list, twice: the second import changes nothing.
    let table = "name,phone\nZoe\u{308} Mu\u{308}ller,+1 415 555 0143\n";
    for outcome in ["added", "skipped"] {
        let answer = harbor.upload_contacts(table, "false").await;
        hub.run_imports().await;
        let import = answer.body;
        let id: serde_json::Value = serde_json::from_str(&import).unwrap();
        let import = harbor.path(&format!("/contacts/imports/{}", id["id"].as_str().unwrap()));
        let import = jo.get(&import).await.expect_status(200);
        assert_eq!(import[outcome], 1, "{import}");
    }
    let list = jo
        .get(&harbor.path("/contacts?q=muller"))
        .await
        .expect_status(200);
    assert_eq!(list["data"][0]["name"], "Zoë Müller");
    let jose = harbor.receive_text("+14155550144", "Hi").await;
    jo.patch(
        &harbor.contact_path(&jose, ""),
        json!({"name": "José Núñez"}),
    )
    .await
    .expect_status(200);
    // A recipient typed without accents is resolved.
    let form = [
        ("to", "jose nunez"),
        ("content", "See you"),
        ("idempotency_key", "6f1f5b6e-0000-4000-8000-000000000001"),
    ];
    let request = jo.request(Method::POST, &format!("/w/{}/send", harbor.slug));
    let answer = jo.ask(request.form(&form)).await;
    assert!(answer.status < 400, "{}: {}", answer.status, answer.body);
    let talk = harbor.conversation_with("+14155550144").await;
    assert_eq!(talk["last_message_preview"], "See you");
}

#[tokio::test]
async fn number_is_found_in_national_format() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let known = harbor
        .add_contacts(&[
            ("+447911123456", "Ann"),
            ("+441174960123", "Bristol"),
            ("+4915123456789", "Jörg"),
            ("+525562000001", "Lupe"),
        ])
        .await;
    let path = harbor.path("");
    for (region, found, all) in [
        (
            "GB",
            "Ann",
            &[
                "07911 123456",
                "07911",
                "(0)7911 123456",
                "+44 (0)7911 123456",
                "+44 07911",
                "00447911123456",
                "0044 7911",
                "tel:+447911123456",
                "7911 123456",
                "ann 07911",
            ][..],
        ),
        ("GB", "Bristol", &["0117 496 0123", "0117 496", "(0117)"]),
        (
            "DE",
            "Jörg",
            &["0151 2345 6789", "0151/2345", "0049 151 2345", "jorg 0151"],
        ),
        ("US", "Ann", &["011 44 7911 123456", "+44 7911 123456"]),
        (
            "MX",
            "Lupe",
            &[
                "55 6200 0001",
                "+52 1 55 6200 0001",
                "044 55 6200 0001",
                "+521 55 6200",
            ],
        ),
    ] {
        harbor
            .admin
            .patch(&path, json!({"default_region": region}))
            .await
            .expect_status(200);
        for q in all {
            for (place, names) in harbor.found_everywhere(&harbor.admin, &known, q).await {
                assert_eq!(names, [found], "{region}: {place}: {q}");
            }
        }
    }
    let found = harbor.finds(&harbor.admin, "+521 55 6200").await;
    assert_eq!(found["people"]["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn merged_contact_is_found_by_all_its_numbers() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = &harbor.admin;
    let people: Vec<_> = (0..4)
        .map(|nth| (format!("+1415555030{nth}"), format!("Maya {nth}")))
        .collect();
    let people: Vec<_> = people
        .iter()
        .map(|(phone, name)| (phone.as_str(), name.as_str()))
        .collect();
    let known = harbor.add_contacts(&people).await;
    let other = harbor.receive_text("+16285550777", "It is me").await;
    let gone = json!({"contact_id": other["contact_id"]});
    let kept = harbor.path(&format!("/contacts/{}", known[0].1));
    jo.post(&format!("{kept}/merge"), gone)
        .await
        .expect_status(200);

    for q in ["6285550777", "(628) 555-0777", "+1 628", "maya 0777"] {
        for (place, names) in harbor.found_everywhere(jo, &known, q).await {
            assert_eq!(names, ["Maya 0"], "{place}: {q}");
        }
    }
    // After another merge the number leads to the remaining contact.
    let next = json!({"contact_id": known[0].1});
    let kept = harbor.path(&format!("/contacts/{}", known[1].1));
    jo.post(&format!("{kept}/merge"), next)
        .await
        .expect_status(200);
    for q in ["6285550777", "4155550300"] {
        for (place, names) in harbor.found_everywhere(jo, &known, q).await {
            assert_eq!(names, ["Maya 1"], "{place}: {q}");
        }
    }
    // Merged contacts take no place on a page.
    for kind in ["people", "conversations"] {
        let page = harbor
            .searched_by(jo, &[("q", "555"), ("kind", kind), ("limit", "2")])
            .await
            .expect_status(200);
        assert_eq!(page[kind]["data"].as_array().unwrap().len(), 2, "{kind}");
        assert!(page[kind]["next_cursor"].is_string(), "{kind}");
    }
}

#[tokio::test]
async fn invalid_bytes_do_not_break_search() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.add_contacts(&[("+14155550201", "José Núñez")]).await;
    let contact = harbor.add_contact_once(&harbor.admin).await;
    let page = |path: &str| format!("/w/{}{path}", harbor.slug);
    for path in [
        harbor.path("/contacts"),
        harbor.path("/contacts/export.csv"),
        harbor.path("/conversations"),
        harbor.path("/search"),
        harbor.path("/templates"),
        harbor.path("/opt-outs"),
        page("/inbox"),
        page("/contacts"),
        page("/send/people"),
        page("/templates"),
        page(&format!("/contacts/{contact}/merge")),
        page("/admin/members"),
        page("/admin/numbers"),
        page("/admin/opt-outs"),
    ] {
        for q in [
            "%00",
            "a%00b",
            "%FF%FE",
            "%ED%A0%80",
            "%EF%BF%BF",
            "%F4%8F%BF%BF",
            "%01%02%7F",
            "'",
            "%5C",
            "%5C'",
            "%7C",
            "-",
            "--",
            "!",
            "a%7Cb",
            "%E2%80%8B",
        ] {
            let answer = harbor.admin.get(&format!("{path}?q={q}")).await;
            assert!(
                answer.status < 500,
                "{path}?q={q}: {} {}",
                answer.status,
                answer.body
            );
        }
    }
}

/// The index and the highlighting fold text alike.
#[tokio::test]
async fn folding_is_the_same_in_rust_and_sql() {
    let database = empty_database().await;
    let mut root = PgConnection::connect_with(&superuser(&database))
        .await
        .unwrap();
    // Without code points that PostgreSQL's version of Unicode may not know.
    let ranges = [
        (0x1, 0x557),
        (0x559, 0x58a),
        (0x58f, 0x1c7f),
        (0x1c90, 0x209c),
        (0x20a0, 0x2c5e),
        (0x2de0, 0x2e4f),
        (0x3000, 0x33ff),
        (0xa640, 0xa69f),
        (0xf900, 0xfaff),
        (0xfb00, 0xfdff),
        (0xfe00, 0xffef),
        (0x1f300, 0x1f64f),
    ];
    let mut wrong = Vec::new();
    for (from, to) in ranges {
        let texts: Vec<String> = (from..=to)
            .filter_map(char::from_u32)
            .map(|c| format!("x{c}y"))
            .collect();
        let rows = sqlx::query("select fold_text(t) from unnest($1::text[]) with ordinality as u (t, nth) order by nth")
            .bind(&texts)
            .fetch_all(&mut root)
            .await
            .unwrap();
        assert_eq!(rows.len(), texts.len());
        for (text, row) in texts.iter().zip(rows) {
            let there: String = row.get(0);
            let here = messagehub::fold::plain(text);
            let composed: String = here.nfkc().collect();
            if there != composed {
                wrong.push(format!(
                    "{:x}: {there:?} {composed:?}",
                    u32::from(text.chars().nth(1).unwrap())
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

/// ASCII text takes a faster path to the same tokens.
#[tokio::test]
async fn ascii_is_tokenized_like_other_text() {
    let database = empty_database().await;
    let mut root = PgConnection::connect_with(&superuser(&database))
        .await
        .unwrap();
    let mut runner = TestRunner::deterministic();
    let anything = "[\\x01-\\x7f]{0,40}";
    let mut texts: Vec<String> = (1..128_u8)
        .map(|byte| format!("a{}b c", char::from(byte)))
        .collect();
    texts.extend((0..500).map(|_| anything.new_tree(&mut runner).unwrap().current()));
    let rows = sqlx::query(
        r#"select t, array(select distinct w collate "C" as w from unnest(tokens_of(t) || array['e']) w order by w) as short,
                  array(select distinct w collate "C" as w from unnest(tokens_of('é ' || t)) w order by w) as long
             from unnest($1::text[]) as u (t)"#,
    )
    .bind(&texts)
    .fetch_all(&mut root)
    .await
    .unwrap();
    assert_eq!(rows.len(), texts.len());
    for row in rows {
        let (text, short, long): (String, Vec<String>, Vec<String>) =
            (row.get(0), row.get(1), row.get(2));
        assert_eq!(short, long, "{text:?}");
    }
}

//! The pages of contacts: forms, tags, merge, sorting, import.

use fantoccini::key::Key;
use serde_json::json;

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA};

const TOM: &str = "+14155550193";

#[tokio::test]
async fn contact_is_added_and_a_concurrent_edit_is_reported() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let field = json!({"name": "Born", "kind": "date"});
    let fields = harbor.path("/contact-fields");
    harbor.admin.post(&fields, field).await.expect_status(201);
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 422");
    jo.signs_in(&harbor.admin.email).await;
    jo.follows("Contacts").await;
    jo.sees("No contacts yet").await;
    jo.follows("New contact").await;
    jo.fills("Name", "Maya Okafor").await;
    jo.fills("Phone number", "12").await;
    jo.clicks("Save").await;
    jo.sees_in(".error", "too short").await;
    jo.waits_until(
        "what was typed is kept",
        "document.querySelector('#name').value === 'Maya Okafor'",
    )
    .await;
    jo.fills("Phone number", "(415) 555-0192").await;
    jo.clicks("Save").await;
    jo.sees_in(".toast", "Saved").await;
    jo.sees_in("h1", "Maya Okafor").await;
    jo.sees("Added by Jo Park").await;

    jo.follows("Edit").await;
    let maya = harbor
        .admin
        .get(&harbor.path("/contacts"))
        .await
        .expect_status(200);
    let path = harbor.contact_path(&maya["data"][0], "");
    let faster = json!({"notes": "Allergic to latex"});
    harbor.admin.patch(&path, faster).await.expect_status(200);
    jo.fills("Email", "maya@okafor.test").await;
    jo.clicks("Save").await;
    jo.sees_in(
        "dialog .notice.bad",
        "Jo Park changed this contact in the meantime",
    )
    .await;
    jo.sees_in(".about", "Allergic to latex").await;
    jo.fills("Notes", "Allergic to latex").await;
    jo.clicks("Save").await;
    jo.sees_in(".about", "maya@okafor.test").await;
    jo.finds_no("dialog[open]").await;
}

#[tokio::test]
async fn tag_field_offers_known_tags_before_it_creates_one() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    for tag in ["Recall", "New patient", "Récord"] {
        harbor.tag(tag).await;
    }
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    let options = "[...document.querySelectorAll('#tag-offers [role=option]')].map((one) => one.textContent).join()";
    let offers = async |expected: &str| {
        jo.waits_until(
            &format!("{expected} are offered"),
            &format!("{options} === '{expected}'"),
        )
        .await;
    };
    jo.fills("Add tag", "rec").await;
    offers("Recall,Récord,Create “rec”").await;
    jo.waits_until(
        "the first one is marked",
        "document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).textContent === 'Recall'",
    )
    .await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".tagging .tag", "Recall").await;
    assert_eq!(hub.count("select count(*) from tags").await, 3);

    // What the contact has is not offered; one that is equal is not created.
    jo.fills("Add tag", "rec").await;
    offers("Récord,Create “rec”").await;
    jo.fills("Add tag", "new PATIENT").await;
    offers("New patient").await;
    jo.presses(Key::Escape).await;
    jo.finds_no("#tag-offers").await;
    jo.presses(Key::Down).await;
    offers("New patient").await;
    // By the button, what resembles a tag is asked about first.
    jo.fills("Add tag", "rec").await;
    jo.presses(Key::Escape).await;
    jo.clicks("Add").await;
    offers("Récord,Create “rec”").await;
    assert_eq!(hub.count("select count(*) from tags").await, 3);
    jo.presses(Key::Up).await;
    jo.presses(Key::Enter).await;
    jo.sees_in(".tagging .tag", "rec").await;
    assert_eq!(hub.count("select count(*) from tags").await, 4);
    jo.clicks("Remove tag rec").await;
    jo.sees_in(".toast", "Tag “rec” removed").await;
    jo.fills("Add tag", "re").await;
    offers("rec,Récord,Create “re”").await;
    jo.is_accessible("tags offered").await;
}

#[tokio::test]
async fn tags_are_edited_by_keyboard_and_update_everywhere() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let (jo, sam) = Browser::pair(&hub.url("")).await;
    let agent = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &agent).await;
    sam.signs_in(&agent.email).await;
    sam.opens(&format!("/w/{}/contacts", harbor.slug)).await;
    sam.sees_in(".table", "Maya Okafor").await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    for tag in ["VIP", "New patient", "Latex"] {
        jo.fills("Add tag", tag).await;
        jo.presses(fantoccini::key::Key::Enter).await;
        jo.sees_in(".tagging .tag", tag).await;
    }
    jo.sees_in(".row .tag", "Latex").await;
    jo.sees_in(".row .tag", "+1").await;
    sam.sees_in(".table .tag", "New patient").await;
    jo.clicks("Remove tag New patient").await;
    jo.sees_no(".tagging .tag", "New patient").await;
    sam.sees_in(".table .tag", "VIP").await;
    sam.sees_no(".table .tag", "+1").await;

    sam.has_no_scripts().await;
    sam.opens(&harbor.inbox(Some(&maya))).await;
    sam.opens(&format!(
        "/w/{}/contacts/{}",
        harbor.slug,
        maya["contact_id"].as_str().unwrap()
    ))
    .await;
    sam.fills("Add tag", "vip").await;
    sam.clicks("Add").await;
    sam.sees_in(".tagging .tag", "VIP").await;
    sam.fills("Add tag", "Recall").await;
    sam.clicks("Add").await;
    sam.sees_in(".tagging .tag", "Recall").await;
    sam.clicks("Remove tag Recall").await;
    sam.sees_no(".tagging .tag", "Recall").await;
}

#[tokio::test]
async fn contacts_are_merged_and_deleted() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Hi").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let other = harbor.receive_text(TOM, "It is me").await;
    harbor.names_contact(&other, "Maya O.").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    let old = harbor.inbox(Some(&other));
    jo.opens(&format!("/w/{}/contacts", harbor.slug)).await;
    jo.follows("Maya Okafor").await;
    jo.follows("Merge").await;
    jo.fills("Find by name", "0193").await;
    jo.follows("Maya O.").await;
    jo.sees("1 conversation with 1 text; 1 of them is merged")
        .await;
    jo.clicks("Merge contacts").await;
    jo.sees_in(".toast", "Merged").await;
    jo.sees_in(".about", "(415) 555-0193").await;
    jo.opens(&old).await;
    jo.sees_in(".thread .message", "It is me").await;
    jo.is_at(maya["id"].as_str().unwrap()).await;

    jo.follows("View full profile").await;
    jo.follows("Delete").await;
    jo.sees("1 conversation with 2 texts and 0 files").await;
    jo.clicks("Delete permanently").await;
    jo.sees_in(".toast", "Contact and conversations deleted")
        .await;
    jo.sees("No contacts yet").await;
    assert_eq!(hub.count("select count(*) from messages").await, 0);
}

#[tokio::test]
async fn contact_list_is_dense_on_small_screens() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.has_a_screen_of(390, 844).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.follows("Contacts").await;
    jo.sees_in(".table tr", "(415) 555-0192").await;
    jo.waits_until(
        "a row is two lines high",
        "document.querySelector('.contact-rows tbody tr').offsetHeight < 64",
    )
    .await;
    jo.waits_until(
        "nothing is wider than the screen",
        "document.documentElement.scrollWidth <= innerWidth",
    )
    .await;
    jo.fills("Find by name", "nobody").await;
    jo.sees("No results").await;
}

#[tokio::test]
async fn column_sort_toggles_and_survives_a_search() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for (phone, name) in [
        (MAYA, "Maya Okafor"),
        (TOM, "Tom Fox"),
        ("+14155550194", "Ann Lee"),
    ] {
        harbor.adds(&harbor.admin, phone, name).await;
    }
    let first = |name: &str| format!("document.querySelector('tbody b').innerText === '{name}'");
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&format!("/w/{}/contacts", harbor.slug)).await;
    jo.sees_in("th[aria-sort=ascending]", "Name").await;
    jo.waits_until("from A", &first("Ann Lee")).await;
    jo.follows("Name").await;
    jo.sees_in("th[aria-sort=descending]", "Name").await;
    jo.waits_until("from Z", &first("Tom Fox")).await;

    jo.fills("Find by name, number or email", "o").await;
    jo.sees_no("tbody", "Ann Lee").await;
    jo.waits_until("still from Z", &first("Tom Fox")).await;
    jo.sees_in("tbody", "Maya Okafor").await;
    jo.has_no_scripts().await;
    jo.opens(&format!("/w/{}/contacts?sort=added", harbor.slug))
        .await;
    jo.follows("Added").await;
    jo.sees_in("th[aria-sort=ascending]", "Added").await;
    jo.sees_in("tbody tr:first-child", "Maya Okafor").await;
}

/// The preview counts what the chosen encoding would lose, and the result reports it.
#[tokio::test]
async fn import_previews_losses_and_can_be_reread_in_another_encoding() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let table = "Имя;Телефон;E-mail;Notes\r\nАнна;+14155550142;none;\"old friend\r\nTom;+14155550143;n/a;\r\nMaya;nobody;maya@okafor.test;\r\n";
    let table = encoding_rs::WINDOWS_1251.encode(table).0.into_owned();
    let wrong = [("preview", "true"), ("encoding", "windows-1252")];
    let import = harbor
        .upload_contacts_with(&table, &wrong)
        .await
        .expect_status(202);
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    let id = import["id"].as_str().unwrap();
    jo.opens(&format!("/w/{}/contacts/imports/{id}", harbor.slug))
        .await;
    jo.sees("Line 2 has an unclosed quotation mark that would take in 3 lines. They’re read one by one.")
        .await;
    jo.evaluates("document.querySelector('#encoding').value = 'windows-1251'")
        .await;
    jo.clicks("Check again").await;
    jo.sees_in(".mapping", "Телефон").await;
    jo.sees("2 cells will be left empty:").await;
    jo.sees("1 row is skipped, first in line 4: Phone number: ")
        .await;
    jo.is_accessible("import, with what it loses").await;
    jo.clicks("Import 3 rows").await;
    jo.sees("Importing 0 of 3").await;
    hub.run_imports().await;
    jo.sees("2 cells were left empty:").await;
    jo.sees("Skipped rows").await;
    jo.is_accessible("import, with what it lost").await;
    let list = harbor
        .admin
        .get(&harbor.path("/contacts?sort=name"))
        .await
        .expect_status(200);
    let names: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].clone())
        .collect();
    assert_eq!(names, ["Tom", "Анна"]);
}

#[tokio::test]
async fn contacts_are_selected_tagged_and_deleted_together() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    for nth in 0..55 {
        let draft = json!({"phone_number": format!("+141555502{nth:02}"), "name": format!("Person {nth:02}")});
        let created = harbor.admin.post(&harbor.path("/contacts"), draft).await;
        created.expect_status(201);
    }
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&format!("/w/{}/contacts", harbor.slug)).await;
    jo.sees_in(".total", "55 contacts").await;
    jo.finds_no(".bulk:not([hidden])").await;
    jo.ticks_contact("Person 01").await;
    // Shift and a click select what is between.
    jo.evaluates("document.querySelectorAll('tbody .tick')[4].dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true, shiftKey: true }))")
        .await;
    jo.sees_in(".bulk", "4 contacts selected").await;
    jo.clicks("Tag").await;
    jo.fills("New tag", "Recall").await;
    jo.clicks("Add tag").await;
    jo.sees_in(".toast", "Added the tag Recall to 4 contacts")
        .await;
    jo.sees_in("tbody tr:nth-child(5) .tags", "Recall").await;
    jo.finds_no(".bulk:not([hidden])").await;

    // What is selected stays when the list is updated.
    jo.ticks_contact("Person 07").await;
    jo.evaluates("dispatchEvent(new CustomEvent('live:missed'))")
        .await;
    harbor.receive_text(MAYA, "Hi").await;
    jo.evaluates("void (document.getElementById('contact-list').dataset.old = 'true', dispatchEvent(new CustomEvent('live:missed')))")
        .await;
    jo.finds("#contact-list:not([data-old])").await;
    jo.sees_in(".bulk", "1 contact selected").await;

    jo.evaluates("document.querySelector('.bulk .tick').click()")
        .await;
    jo.sees_in(".bulk", "50 contacts selected").await;
    jo.clicks("Select all 56 contacts").await;
    jo.sees_in(".bulk", "56 contacts selected").await;
    jo.clicks("Delete").await;
    jo.clicks("Delete for good").await;
    jo.sees_in(".toast", "Deleted 56 contacts").await;
    jo.sees("No contacts yet").await;
    assert_eq!(hub.count("select count(*) from contacts").await, 0);
}

#[tokio::test]
async fn import_shows_its_problems_first_and_can_be_undone() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let table = b"Name,Phone,Shoe size\nMaya,4155550192,41\nTom,call me,\nMaya O.,4155550192,\n";
    let preview = harbor.upload_contacts(table, "true").await;
    let preview = preview.expect_status(202);
    let path = format!(
        "/w/{}/contacts/imports/{}",
        harbor.slug,
        preview["id"].as_str().unwrap()
    );
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&path).await;
    jo.sees_in(".figures-strip", "Can’t be imported").await;
    jo.clicks("Show these rows").await;
    jo.sees_in(".flagged", "Line 3").await;
    jo.sees_in(".flagged", "(415) 555-0192 is in line 2, too")
        .await;
    jo.chooses("Import “Shoe size” as", "Notes").await;
    jo.clicks("Import 3 rows").await;
    jo.sees("Importing").await;
    hub.run_imports().await;
    jo.sees_in("#import", "Undo this import").await;
    jo.clicks("Undo this import").await;
    jo.sees_in("#import", "Undoing the import…").await;
    hub.run_imports().await;
    jo.sees_in("#import", "1 contact that the import added was deleted.")
        .await;
    assert_eq!(hub.count("select count(*) from contacts").await, 0);
}

impl Browser {
    /// The box has a label for screen readers only.
    async fn ticks_contact(&self, name: &str) {
        self.evaluates(&format!(
            "document.querySelector('[aria-label=\"Select {name}\"]').click()"
        ))
        .await;
    }
}

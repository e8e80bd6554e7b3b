//! Contacts, as people keep them.

use serde_json::json;

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA};

const TOM: &str = "+14155550193";

#[tokio::test]
async fn somebody_is_added_changed_and_changed_by_a_colleague() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let field = json!({"name": "Born", "kind": "date"});
    let fields = harbor.path("/contact-fields");
    harbor.admin.post(&fields, field).await.is(201);
    let jo = Browser::start(&hub.url("")).await;
    jo.foresees("status of 422");
    jo.signs_in(&harbor.admin.email).await;
    jo.follows("Contacts").await;
    jo.sees("Nobody yet").await;
    jo.follows("New contact").await;
    jo.fills("Name", "Maya Okafor").await;
    jo.fills("Phone number", "12").await;
    jo.clicks("Save").await;
    jo.sees_in(".error", "too few digits").await;
    jo.notices(
        "what was typed is kept",
        "document.querySelector('#name').value === 'Maya Okafor'",
    )
    .await;
    jo.fills("Phone number", "(415) 555-0192").await;
    jo.clicks("Save").await;
    jo.sees_in(".toast", "Saved").await;
    jo.sees_in("h1", "Maya Okafor").await;
    jo.sees("Added by Jo Park").await;

    // A colleague is faster, and the page says so.
    jo.follows("Edit").await;
    let maya = harbor.admin.get(&harbor.path("/contacts")).await.is(200);
    let path = harbor.contact_path(&maya["data"][0], "");
    let faster = json!({"notes": "Allergic to latex"});
    harbor.admin.patch(&path, faster).await.is(200);
    jo.fills("E-mail", "maya@okafor.test").await;
    jo.clicks("Save").await;
    jo.sees_in(
        "dialog .notice.bad",
        "Jo Park changed this contact meanwhile",
    )
    .await;
    jo.sees_in(".about", "Allergic to latex").await;
    jo.fills("Notes", "Allergic to latex").await;
    jo.clicks("Save").await;
    jo.sees_in(".about", "maya@okafor.test").await;
    jo.loses("dialog[open]").await;
}

#[tokio::test]
async fn tags_are_given_by_keyboard_and_show_at_once_wherever_they_stand() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.hears(MAYA, "Hi").await;
    harbor.knows(&maya, "Maya Okafor").await;
    let (jo, sam) = Browser::pair(&hub.url("")).await;
    let agent = harbor.agent("Sam").await;
    harbor.assigns(FRONT_DESK, &agent).await;
    sam.signs_in(&agent.email).await;
    sam.opens(&format!("/w/{}/contacts", harbor.slug)).await;
    sam.sees_in(".table", "Maya Okafor").await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    for tag in ["VIP", "New patient", "Latex"] {
        jo.fills("Add a tag", tag).await;
        jo.presses(fantoccini::key::Key::Enter).await;
        jo.sees_in(".tagging .tag", tag).await;
    }
    jo.sees_in(".row .tag", "Latex").await;
    jo.sees_in(".row .tag", "+1").await;
    sam.sees_in(".table .tag", "New patient").await;
    jo.clicks("Take away the tag New patient").await;
    jo.misses(".tagging .tag", "New patient").await;
    sam.sees_in(".table .tag", "VIP").await;
    sam.misses(".table .tag", "+1").await;

    sam.has_no_scripts().await;
    sam.opens(&harbor.inbox(Some(&maya))).await;
    sam.opens(&format!(
        "/w/{}/contacts/{}",
        harbor.slug,
        maya["contact_id"].as_str().unwrap()
    ))
    .await;
    sam.fills("Add a tag", "vip").await;
    sam.clicks("Add").await;
    sam.sees_in(".tagging .tag", "VIP").await;
    sam.fills("Add a tag", "Recall").await;
    sam.clicks("Add").await;
    sam.sees_in(".tagging .tag", "Recall").await;
    sam.clicks("Take away the tag Recall").await;
    sam.misses(".tagging .tag", "Recall").await;
}

#[tokio::test]
async fn two_become_one_and_one_goes_for_good() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.hears(MAYA, "Hi").await;
    harbor.knows(&maya, "Maya Okafor").await;
    let other = harbor.hears(TOM, "It is me").await;
    harbor.knows(&other, "Maya O.").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    let old = harbor.inbox(Some(&other));
    jo.opens(&format!("/w/{}/contacts", harbor.slug)).await;
    jo.follows("Maya Okafor").await;
    jo.follows("Merge").await;
    jo.fills("Find by name", "0193").await;
    jo.follows("Maya O.").await;
    jo.sees("1 conversation with 1 text; 1 of them is joined")
        .await;
    jo.clicks("Merge them").await;
    jo.sees_in(".toast", "Merged").await;
    jo.sees_in(".about", "(415) 555-0193").await;
    jo.opens(&old).await;
    jo.sees_in(".thread .message", "It is me").await;
    jo.is_at(maya["id"].as_str().unwrap()).await;

    jo.follows("All about them").await;
    jo.follows("Delete").await;
    jo.sees("1 conversation with 2 texts and 0 files").await;
    jo.clicks("Delete for good").await;
    jo.sees_in(".toast", "The contact is gone").await;
    jo.sees("Nobody yet").await;
    assert_eq!(hub.count("select count(*) from messages").await, 0);
}

#[tokio::test]
async fn on_a_phone_the_list_is_cards() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.hears(MAYA, "Is 3:30 still free?").await;
    harbor.knows(&maya, "Maya Okafor").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.has_a_screen_of(390, 844).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.follows("Contacts").await;
    jo.sees_in(".table tr", "Is 3:30 still free?").await;
    jo.notices(
        "nothing is wider than the screen",
        "document.documentElement.scrollWidth <= innerWidth",
    )
    .await;
    jo.fills("Find by name", "nobody").await;
    jo.sees("Nobody found").await;
}

#[tokio::test]
async fn a_heading_sorts_either_way_and_the_next_search_keeps_the_order() {
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
    jo.notices("from A", &first("Ann Lee")).await;
    jo.follows("Name").await;
    jo.sees_in("th[aria-sort=descending]", "Name").await;
    jo.notices("from Z", &first("Tom Fox")).await;

    jo.fills("Find by name, number or e-mail", "o").await;
    jo.misses("tbody", "Ann Lee").await;
    jo.notices("still from Z", &first("Tom Fox")).await;
    jo.sees_in("tbody", "Maya Okafor").await;
    jo.has_no_scripts().await;
    jo.opens(&format!("/w/{}/contacts?sort=added", harbor.slug))
        .await;
    jo.follows("Added").await;
    jo.sees_in("th[aria-sort=ascending]", "Added").await;
    jo.sees_in("tbody tr:first-child", "Maya Okafor").await;
}

//! The access matrix, by mouse, by keyboard and without scripts.

use fantoccini::key::Key;

use super::Browser;
use crate::hub::{Hub, MAYA, TOKEN};

#[tokio::test]
async fn access_changes_apply_to_an_open_inbox_at_once() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let agent = harbor.agent("Sam").await;
    let (jo, sam) = Browser::pair(&hub.url("")).await;
    tokio::join!(jo.signs_in(&harbor.admin.email), sam.signs_in(&agent.email));
    sam.sees("You don’t have access to a number yet").await;
    sam.sees_in(".live", "Live").await;

    jo.opens(&harbor.admin_page("access")).await;
    jo.sees_in(".matrix", "Sees all numbers").await;
    jo.clicks("Sam can see (628) 555-0100").await;
    sam.sees_in(".row", "Maya Okafor").await;
    sam.follows("Maya Okafor").await;
    sam.sees_in(".message.inbound", "Is 3:30 still free?").await;
    jo.reloads().await;
    jo.waits_until(
        "it was kept",
        "document.querySelector('.matrix input:checked')",
    )
    .await;

    jo.tabs_to("Sam can see (628) 555-0100").await;
    jo.presses(Key::Space).await;
    jo.waits_until(
        "it was saved",
        "document.getElementById('announcer').textContent === 'Saved'",
    )
    .await;
    sam.expects_console("status of 404")
        .expects_console("status of 403");
    sam.sees_in(".toast", "You can no longer see this conversation")
        .await;
    sam.sees("You don’t have access to a number yet").await;
    sam.sees_no(".rows", "Maya Okafor").await;
    jo.reloads().await;
    jo.waits_until(
        "it was kept",
        "!document.querySelector('.matrix input:checked')",
    )
    .await;

    // A failed save is reverted and marked.
    jo.expects_console("ERR_INTERNET_DISCONNECTED");
    jo.is_offline(true).await;
    jo.clicks("Sam can see (628) 555-0100").await;
    jo.finds(".matrix .unsaved").await;
    jo.waits_until(
        "the box is unchecked again",
        "!document.querySelector('.matrix input:checked')",
    )
    .await;
    jo.is_offline(false).await;
}

#[tokio::test]
async fn access_matrix_works_by_arrow_keys_and_without_scripts() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.agent("Lin").await;
    harbor.agent("Sam").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.admin_page("access")).await;
    jo.tabs_to("Lin can see (628) 555-0100").await;
    jo.presses(Key::Down).await;
    jo.waits_until(
        "the focus is in the next row",
        "document.activeElement.closest('tr').innerText.includes('Sam')",
    )
    .await;
    jo.chooses(
        "Default number for new conversations by Sam",
        "(628) 555-0100",
    )
    .await;
    jo.waits_until(
        "it was saved",
        "document.getElementById('announcer').textContent === 'Saved'",
    )
    .await;

    jo.has_no_scripts().await;
    jo.reloads().await;
    jo.waits_until(
        "the choice was kept",
        "document.querySelector('.matrix [selected]')",
    )
    .await;
    jo.clicks("Lin can see (628) 555-0100").await;
    jo.clicks("Save Lin").await;
    jo.sees_in(".toast", "Changes apply immediately").await;
    assert_eq!(hub.count("select count(*) from number_members").await, 1);
    jo.follows("(628) 555-0100").await;
    jo.sees("Who can see the conversations of").await;
    jo.clicks("Sam").await;
    jo.clicks("Save").await;
    jo.sees_in(".toast", "Changes apply immediately").await;
    assert_eq!(hub.count("select count(*) from number_members").await, 2);
}

#[tokio::test]
async fn access_matrix_fits_and_saves_whole_rows_and_columns_in_one_request_each() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    for last in 0..5 {
        let number = format!("+1628555010{last}");
        hub.twilio.account(&harbor.account, TOKEN).number(&number);
    }
    harbor.connect_twilio("+16285550105").await;
    for name in ["Ana", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus"] {
        harbor.agent(name).await;
    }
    hub.execute_sql("update numbers set friendly_name = 'Front desk'")
        .await;
    let jo = Browser::start(&hub.url("")).await;
    jo.has_a_screen_of(1440, 900).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.admin_page("access")).await;
    jo.sees_in(".matrix", "Front desk").await;
    jo.waits_until(
        "nothing scrolls",
        "(box => box.scrollWidth <= box.clientWidth && box.scrollHeight <= box.clientHeight)(document.querySelector('.matrix-box'))",
    )
    .await;
    jo.waits_until(
        "numbers of the same name are told apart",
        "[...document.querySelectorAll('.matrix option')].some((it) => it.text === 'Front desk · (628) 555-0100')",
    )
    .await;

    jo.evaluates(
        "void (window.requests = 0, window.fetch = ((fetched) => (url, options) => (requests += options?.method === 'POST', fetched(url, options)))(fetch))",
    )
    .await;
    jo.clicks("Ana can see all numbers on this page").await;
    jo.sees_in(".matrix .saved", "Saved").await;
    assert_eq!(hub.count("select count(*) from number_members").await, 6);
    jo.clicks("Everyone on this page can see Front desk · (628) 555-0103")
        .await;
    hub.wait_for_count("select count(*) from number_members", 12)
        .await;
    jo.clicks("Ben can see Front desk · (628) 555-0103").await;
    hub.wait_for_count("select count(*) from number_members", 11)
        .await;
    assert_eq!(jo.evaluates("requests").await, 3, "one for each change");
    jo.waits_until(
        "the column is mixed, Ana's row is whole",
        "document.querySelectorAll('thead .whole input')[3].indeterminate && document.querySelector('tbody .whole input').checked",
    )
    .await;

    jo.clicks("Ana can see all numbers on this page").await;
    hub.wait_for_count("select count(*) from number_members", 5)
        .await;
    jo.reloads().await;
    jo.waits_until(
        "it was kept",
        "document.querySelectorAll('.matrix td input:checked').length === 5",
    )
    .await;
}

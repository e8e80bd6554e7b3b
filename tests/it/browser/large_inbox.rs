//! A thread of 5,000 messages and a list of 10,000 conversations.

use std::time::Instant;

use serde_json::Value;

use super::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA};

#[tokio::test]
async fn thread_of_5000_messages_stays_light_and_keeps_the_reading_position() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "The first of all").await;
    hub.execute_sql(
        "insert into messages (workspace_id, id, conversation_id, contact_id, number_id, integration_id, direction, content, status,
                               provider, provider_sid, created_at)
         select workspace_id, (lpad(to_hex((extract(epoch from now()) * 1000)::bigint + nth), 12, '0') || '70008000' || lpad(to_hex(nth), 12, '0'))::uuid,
                conversation_id, contact_id, number_id, integration_id, direction, 'Text ' || nth, status,
                provider, 'SM' || nth, created_at - (5000 - nth) * interval '3 hours'
           from messages, generate_series(2, 5000) nth",
    )
    .await;
    // Ids have distinct milliseconds up to 5 s ahead; later messages must sort after them.
    hub.execute_sql("select pg_sleep(5.1)").await;
    hub.execute_sql("update messages set created_at = created_at - interval '15000 hours' where content = 'The first of all'")
        .await;
    hub.execute_sql("update conversations set unread_count = 0")
        .await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;
    let since = Instant::now();
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".message", "Text 5000").await;
    let opened = since.elapsed();
    let nodes = "document.querySelectorAll('*').length";
    let first = jo.evaluates(nodes).await;
    assert!(first.as_u64() < Some(1500), "{first} elements");

    // Older pages load above; the reading position stays.
    let oldest = "document.querySelector('.messages > .message')";
    for page in 1..=10 {
        let before = jo
            .evaluates(&format!(
                "(() => {{ window.reading = {oldest}; const it = document.querySelector('.scroller'); it.scrollTo(0, -it.scrollHeight); return window.reading.getBoundingClientRect().top }})()"
            ))
            .await;
        jo.waits_until(
            "older texts are there",
            &format!("{oldest} !== window.reading"),
        )
        .await;
        let after = jo.evaluates(TOP_AFTER_LAYOUT).await;
        let moved = (before.as_f64().unwrap() - after.as_f64().unwrap()).abs();
        assert!(moved <= 1.0, "page {page}: it moved by {moved}");
    }
    let shown = jo
        .evaluates("document.querySelectorAll('.messages > .message').length")
        .await;
    assert!((400..=480).contains(&shown.as_u64().unwrap()), "{shown}");
    let all = jo.evaluates(nodes).await.as_u64().unwrap();
    let each = (all - first.as_u64().unwrap()) / (shown.as_u64().unwrap() - 40);
    assert!(each < 20, "{each} elements for each text");

    // A new text at the bottom moves nothing and touches few nodes.
    let before = jo
        .evaluates(&format!(
            "(() => {{ {COUNTING}; count('.messages'); return window.reading.getBoundingClientRect().top }})()"
        ))
        .await;
    hub.twilio.text(MAYA, FRONT_DESK, "Are you there?").await;
    jo.waits_until(
        "it is there",
        "[...document.querySelectorAll('.messages > .message')].at(-1).textContent.includes('Are you there?')",
    )
    .await;
    jo.sees("1 new message").await;
    let after = jo.evaluates(TOP_AFTER_LAYOUT).await;
    let moved = (before.as_f64().unwrap() - after.as_f64().unwrap()).abs();
    assert!(
        moved <= 1.0,
        "a new text moved the reading position by {moved}"
    );
    let touched = jo.evaluates("window.touched").await.as_u64().unwrap();
    assert!(touched <= 40, "{touched} nodes for one text");
    let frame = frames(&jo, ".scroller").await;
    println!(
        "5,000 texts: open in {opened:?}, {first} elements at first, {shown} texts and {all} elements after ten pages; \
         a new one touches {touched} nodes; a frame while scrolling takes {frame:.0} ms"
    );
}

#[tokio::test]
async fn list_of_10000_conversations_keeps_its_order_and_the_reading_position() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    harbor.receive_text(MAYA, "Hi").await;
    hub.execute_sql(
        "with people as (
             insert into contacts (workspace_id, id, phone_number, name)
             select w.id, new_id(), '+1415' || (2000000 + nth)::text, 'Person ' || nth from workspaces w, generate_series(1, 10000) nth
             returning workspace_id, id, name
         )
         insert into conversations (workspace_id, id, contact_id, number_id, last_message_at, last_message_preview)
         select p.workspace_id, new_id(), p.id, n.id, now() - replace(p.name, 'Person ', '')::integer * interval '1 minute', 'Hello from ' || p.name
           from people p, numbers n",
    )
    .await;
    hub.execute_sql("analyze").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.sees_in(".live", "Live").await;
    jo.sees_in(".tabs", "999+").await;
    let rows = "document.querySelectorAll('.rows > .item > .row').length";
    let since = Instant::now();
    while jo.evaluates(rows).await.as_u64() < Some(1000) {
        let shown = jo.evaluates(rows).await;
        jo.evaluates("(() => { const it = document.querySelector('.rows'); it.scrollTo(0, it.scrollHeight) })()")
            .await;
        jo.waits_until("there are more", &format!("{rows} > {shown}"))
            .await;
    }
    let scrolled = since.elapsed();
    let order = "[...document.querySelectorAll('.rows > .item > .row')].every((row, i, all) => !i || Number(all[i - 1].dataset.at) >= Number(row.dataset.at))";
    assert_eq!(jo.evaluates(order).await, true);
    // content-visibility makes off-screen rows cheap to lay out.
    let layout = "(() => { const list = document.querySelector('.rows'); const since = performance.now(); \
        for (let i = 0; i < 20; i++) { list.style.setProperty('inline-size', `${280 + i}px`); list.getBoundingClientRect(); list.scrollTop; } \
        list.style.removeProperty('inline-size'); return (performance.now() - since) / 20 })()";
    let cost = jo.evaluates(layout).await.as_f64().unwrap();
    jo.evaluates("document.querySelectorAll('.rows > .item > .row').forEach((row) => row.style.setProperty('content-visibility', 'visible'))").await;
    let cost_of_all = jo.evaluates(layout).await.as_f64().unwrap();
    jo.evaluates("document.querySelectorAll('.rows > .item > .row').forEach((row) => row.style.removeProperty('content-visibility'))").await;
    assert!(
        cost < cost_of_all / 2.0,
        "{cost} ms a layout, {cost_of_all} ms of all"
    );
    // A row moves to the top; the reading position stays.
    let before = jo
        .evaluates(&format!(
            "(() => {{ {COUNTING}; count('.rows'); const list = document.querySelector('.rows'), top = list.getBoundingClientRect().top; \
             window.reading = [...list.querySelectorAll('.row')].find((row) => row.getBoundingClientRect().top > top + 60); \
             return window.reading.getBoundingClientRect().top }})()"
        ))
        .await;
    hub.twilio
        .text("+14152009000", FRONT_DESK, "It is me again")
        .await;
    jo.waits_until(
        "its row is first",
        "document.querySelector('.rows > .item > .row').textContent.includes('It is me again')",
    )
    .await;
    let after = jo.evaluates(TOP_AFTER_LAYOUT).await;
    let moved = (before.as_f64().unwrap() - after.as_f64().unwrap()).abs();
    assert!(
        moved <= 1.0,
        "a row at the top moved the reading position by {moved}"
    );
    let touched = jo.evaluates("window.touched").await.as_u64().unwrap();
    assert!(touched <= 40, "{touched} nodes for one row");
    let frame = frames(&jo, ".rows").await;
    let total: Value = jo.evaluates("document.querySelectorAll('*').length").await;
    println!(
        "10,000 conversations: 1,000 rows in {scrolled:?}, {total} elements, a layout takes {cost:.1} ms instead of {cost_of_all:.1}; \
         a text touches {touched} nodes; a frame while scrolling takes {frame:.0} ms"
    );
}

/// The top of the observed element after two frames.
const TOP_AFTER_LAYOUT: &str = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(window.reading.getBoundingClientRect().top))))";

/// `count(selector)` counts added, removed and changed nodes below `selector`.
const COUNTING: &str = "const count = (selector) => { window.touched = 0; new MutationObserver((all) => \
    all.forEach((it) => (window.touched += it.type === 'childList' ? it.addedNodes.length + it.removedNodes.length : 1))) \
    .observe(document.querySelector(selector), { childList: true, characterData: true, subtree: true }) }";

/// Median duration in ms of 60 frames while scrolling. Printed only: it depends on the machine's load.
async fn frames(jo: &Browser, scroller: &str) -> f64 {
    let frame = jo
        .evaluates(&format!(
            "new Promise((done) => {{ const it = document.querySelector('{scroller}'), times = []; let last = performance.now(); \
             const step = (now) => {{ times.push(now - last); last = now; it.scrollBy(0, times.length < 30 ? 120 : -120); \
             times.length < 60 ? requestAnimationFrame(step) : done(times.sort((a, b) => a - b)[30]) }}; requestAnimationFrame(step) }})"
        ))
        .await;
    frame.as_f64().unwrap()
}

//! The tables of admins, sorted by each column in both directions.

use serde_json::json;

use crate::hub::{FRONT_DESK, Hub, MAYA, Person, TOKEN, Workspace};
use crate::sign_in::enable_second_factor;

const BILLING: &str = "+16285550101";
const RECALLS: &str = "+16285550102";

async fn with_three_numbers(hub: &Hub) -> Workspace<'_> {
    let harbor = hub.workspace("Harbor Dental").await;
    let account = hub.twilio.account(&harbor.account, TOKEN);
    account.number(FRONT_DESK).number(BILLING).number(RECALLS);
    harbor.connect_with(TOKEN).await.expect_status(201);
    harbor
}

/// `names` in the order of the page's table.
async fn shown_order<'a>(who: &Person, path: &str, names: &[&'a str]) -> Vec<&'a str> {
    let (status, _, html) = who.download(path, None).await;
    let html = String::from_utf8(html).unwrap();
    assert_eq!(status, 200, "{html}");
    let (_, table) = html.split_once("<tbody").expect("there is a table");
    let (table, _) = table.split_once("</tbody>").unwrap();
    let mut found: Vec<_> = names
        .iter()
        .filter_map(|name| {
            let at = table.find(&format!("<b translate=\"no\">{name}"));
            Some((at.or_else(|| table.find(&format!("<b>{name}")))?, *name))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, name)| name).collect()
}

/// Asserts the ascending order, and the reverse for descending.
async fn assert_sorted(harbor: &Workspace<'_>, table: &str, column: &str, expected: &[&str]) {
    let names: Vec<_> = expected.iter().rev().copied().collect();
    for (turned, expected) in [("", expected), ("-", &names)] {
        let path = format!("/w/{}/admin/{table}?sort={turned}{column}", harbor.slug);
        assert_eq!(
            shown_order(&harbor.admin, &path, &names).await,
            expected,
            "{path}"
        );
    }
}

#[tokio::test]
async fn members_are_sorted_by_each_column() {
    let hub = Hub::start().await;
    let harbor = with_three_numbers(&hub).await;
    let cid = harbor.agent("Cid").await;
    let abe = harbor.agent("abe").await;
    let bea = harbor.agent("Bea").await;
    for (agent, balance) in [(&cid, 20), (&abe, 30), (&bea, 10)] {
        harbor.set_credits(agent, balance).await;
    }
    for (number, agent) in [(BILLING, &bea), (RECALLS, &bea), (BILLING, &cid)] {
        harbor.assign_number(number, agent).await;
    }
    enable_second_factor(&hub, &bea).await;

    assert_sorted(
        &harbor,
        "members",
        "name",
        &["abe", "Bea", "Cid", "Jo Park"],
    )
    .await;
    assert_sorted(
        &harbor,
        "members",
        "numbers",
        &["abe", "Cid", "Bea", "Jo Park"],
    )
    .await;
    assert_sorted(
        &harbor,
        "members",
        "joined",
        &["Jo Park", "Cid", "abe", "Bea"],
    )
    .await;
    assert_sorted(&harbor, "members", "role", &["Jo Park", "abe"]).await;
    assert_sorted(&harbor, "members", "two_factor", &["Bea", "abe"]).await;
    assert_sorted(
        &harbor,
        "credits",
        "name",
        &["abe", "Bea", "Cid", "Jo Park"],
    )
    .await;
    assert_sorted(
        &harbor,
        "credits",
        "balance",
        &["Bea", "Cid", "abe", "Jo Park"],
    )
    .await;
    assert_sorted(&harbor, "credits", "role", &["Jo Park", "abe"]).await;
}

#[tokio::test]
async fn numbers_and_usage_are_sorted_by_each_column() {
    let hub = Hub::start().await;
    let harbor = with_three_numbers(&hub).await;
    let named = [
        (FRONT_DESK, "Front desk"),
        (BILLING, "billing"),
        (RECALLS, "Recalls"),
    ];
    for (number, name) in named {
        let path = harbor.path(&format!("/numbers/{}", harbor.number(number).await));
        let name = json!({"friendly_name": name});
        harbor.admin.patch(&path, name).await.expect_status(200);
    }
    let (sam, lin) = (harbor.agent("Sam").await, harbor.agent("Lin").await);
    for (number, agent) in [(FRONT_DESK, &sam), (RECALLS, &sam), (RECALLS, &lin)] {
        harbor.assign_number(number, agent).await;
    }
    hub.execute_sql(
        "update numbers set compared_until = now() - case friendly_name when 'Recalls' then interval '3 h' when 'billing' then interval '2 h' else interval '1 h' end",
    )
    .await;
    assert_sorted(
        &harbor,
        "numbers",
        "number",
        &["billing", "Front desk", "Recalls"],
    )
    .await;
    assert_sorted(
        &harbor,
        "numbers",
        "agents",
        &["billing", "Front desk", "Recalls"],
    )
    .await;
    assert_sorted(
        &harbor,
        "numbers",
        "agreed",
        &["Recalls", "billing", "Front desk"],
    )
    .await;

    // Received: one, two, three. Sent: two, none, one. One segment each.
    for (number, count) in [(FRONT_DESK, 1), (BILLING, 2), (RECALLS, 3)] {
        for nth in 0..count {
            hub.twilio.text(MAYA, number, &format!("Hello {nth}")).await;
        }
    }
    for (number, texts) in [(FRONT_DESK, 2), (RECALLS, 1)] {
        let from = harbor.number(number).await;
        for nth in 0..texts {
            let draft = json!({"to": MAYA, "number_id": from, "content": format!("Hello {nth}")});
            let key = format!("{number}-{nth}");
            harbor
                .admin
                .send_with_key(&harbor, &key, &draft)
                .await
                .expect_status(202);
        }
    }
    while hub.run_sender().await > 0 {}
    for sent in hub.twilio.messages() {
        hub.twilio.delivers(&sent.sid).await;
    }
    hub.execute_sql("update integrations set usage_due_at = now()")
        .await;
    hub.server.usage_sync.run_once().await.unwrap();
    assert_sorted(
        &harbor,
        "usage",
        "number",
        &["billing", "Front desk", "Recalls"],
    )
    .await;
    assert_sorted(
        &harbor,
        "usage",
        "sent",
        &["billing", "Recalls", "Front desk"],
    )
    .await;
    assert_sorted(
        &harbor,
        "usage",
        "received",
        &["Front desk", "billing", "Recalls"],
    )
    .await;
    assert_sorted(
        &harbor,
        "usage",
        "segments",
        &["billing", "Front desk", "Recalls"],
    )
    .await;
}

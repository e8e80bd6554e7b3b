//! States of pages that no address shows: menus, dialogs, errors, emptiness.

use serde_json::json;

use crate::browser::Browser;
use crate::hub::{FRONT_DESK, Hub, MAYA, PASSWORD};

#[tokio::test]
async fn states_of_the_inbox_pass_axe_and_fit() {
    let hub = Hub::start().await;
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 404")
        .expects_console("status of 422");

    jo.opens("/setup").await;
    jo.is_accessible("setup").await;
    let harbor = hub.workspace("Harbor Dental").await;
    jo.opens("/login").await;
    jo.fills("Email", "nobody@harbor.test").await;
    jo.fills("Password", PASSWORD).await;
    jo.clicks("Sign in").await;
    jo.finds(".notice.bad").await;
    jo.is_accessible("sign-in, refused").await;

    jo.signs_in(&harbor.admin.email).await;
    jo.is_accessible("inbox without a number").await;
    let integrations = format!("/w/{}/admin/integrations", harbor.slug);
    jo.opens(&integrations).await;
    jo.is_accessible("integrations, none").await;

    harbor.connect_twilio(FRONT_DESK).await;
    let sandbox = harbor
        .admin
        .post(
            &harbor.path("/integrations"),
            json!({"provider": "sandbox", "credentials": {}}),
        )
        .await
        .expect_status(201);
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    for body in ["https://harbor.test/map 👍", "🎉", "שלום", &"x".repeat(300)] {
        hub.twilio.text(MAYA, FRONT_DESK, body).await;
    }
    harbor.reply(&harbor.admin, &maya, "Yes, it is yours").await;
    hub.run_sender().await;
    hub.twilio
        .reports_failure(&hub.twilio.messages()[0].sid, "undelivered", 30003)
        .await;
    harbor
        .reply(&harbor.admin, &maya, "Can you read this?")
        .await;
    assert_eq!(hub.run_sender().await, 1);
    for name in ["VIP", "Recall", "Family"] {
        let tag = harbor.tag(name).await;
        let path = harbor.contact_path(&maya, &format!("/tags/{tag}"));
        harbor.admin.put(&path).await.expect_status(204);
    }
    hub.twilio.text("+14155550177", FRONT_DESK, "STOP").await;
    let stopped = harbor.conversation_with("+14155550177").await;

    jo.opens(&integrations).await;
    jo.sees("Webhook set").await;
    jo.is_accessible("integrations").await;
    jo.opens(&harbor.inbox(None)).await;
    jo.sees_in(".row", "Maya Okafor").await;
    jo.is_accessible("inbox").await;
    jo.opens(&format!("{}?q=zzz", harbor.inbox(None))).await;
    jo.is_accessible("inbox, nothing found").await;
    jo.opens(&format!("{}?q=maya", harbor.inbox(None))).await;
    jo.sees_in(".found h2", "Conversations").await;
    jo.is_accessible("inbox, people found").await;
    jo.opens(&format!("{}?q=free", harbor.inbox(None))).await;
    jo.sees_in(".found mark", "free").await;
    jo.is_accessible("inbox, found").await;
    jo.follows("Maya Okafor").await;
    jo.finds(".message.highlighted").await;
    jo.is_accessible("message in context").await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    jo.chord(fantoccini::key::Key::Control, 'k').await;
    jo.has_focus_on("Search or run a command").await;
    jo.types("ma").await;
    jo.sees_in("#palette [aria-label=People]", "Maya Okafor")
        .await;
    jo.is_accessible("palette").await;
    jo.opens(&harbor.inbox(Some(&stopped))).await;
    jo.sees("They opted out.").await;
    jo.is_accessible("conversation, opted out").await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".message.failed", "Not delivered").await;
    jo.is_accessible("conversation").await;
    jo.clicks("Note").await;
    jo.types("@").await;
    jo.is_accessible("conversation, a note being written").await;
    jo.clicks("Text").await;
    jo.clicks("Assign to me").await;
    jo.sees_in(".toast", "Assigned to Jo Park").await;
    jo.is_accessible("conversation, just taken").await;
    jo.clicks("Snooze").await;
    jo.is_accessible("conversation, a menu open").await;
    harbor.add_note(&maya, "Just a note").await;
    for tab in ["snoozed", "mentions", "open&assignee=none&unread=true"] {
        jo.opens(&format!("{}?tab={tab}", harbor.inbox(None))).await;
        jo.is_accessible(tab).await;
    }
    jo.clicks("Filter").await;
    jo.is_accessible("inbox, filter menu").await;
    jo.opens(&format!("{}?tab=waiting&failed=true", harbor.inbox(None)))
        .await;
    jo.clicks("Views").await;
    jo.is_accessible("inbox, views").await;
    jo.opens(&harbor.inbox(None)).await;
    jo.evaluates("document.querySelector('.item .tick').click()")
        .await;
    jo.is_accessible("inbox, selection").await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".event", "Jo Park assigned this to themselves")
        .await;
    jo.types("?").await;
    jo.evaluates("dispatchEvent(new CustomEvent('help:open', { cancelable: true }))")
        .await;
    jo.finds("dialog[open]").await;
    jo.is_accessible("help").await;
    jo.opens(&format!("{}/contact", harbor.inbox(Some(&maya))))
        .await;
    jo.is_accessible("contact").await;
    jo.opens(&format!(
        "/sandbox/{}",
        sandbox["numbers"][0]["id"].as_str().unwrap()
    ))
    .await;
    jo.is_accessible("handset").await;
    jo.opens(&format!(
        "{}/{}",
        harbor.inbox(None),
        sandbox["integration"]["id"].as_str().unwrap()
    ))
    .await;
    jo.sees("Go to my inbox").await;
    jo.is_accessible("missing conversation").await;
    jo.opens("/nothing/here").await;
    jo.sees("Go to my inbox").await;
    jo.is_accessible("404").await;
}

#[tokio::test]
async fn states_of_admin_and_account_pages_pass_axe_and_fit() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let welcome = hub.mail_server.mail_to(&harbor.admin.email).await.link();
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 404")
        .expects_console("status of 422");
    jo.opens(welcome.strip_prefix(&hub.url("")).unwrap()).await;
    jo.is_accessible("verify").await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.admin_page("access")).await;
    jo.sees("No numbers yet").await;
    jo.is_accessible("access, no number").await;

    harbor.connect_twilio(FRONT_DESK).await;
    let front_desk = harbor.number(FRONT_DESK).await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    let sam = harbor.agent("Sam").await;
    harbor.assign_number(FRONT_DESK, &sam).await;
    harbor.reply(&sam, &maya, "Yes, it is yours").await;
    assert_eq!(hub.run_sender().await, 1);
    harbor.set_credits(&sam, 3).await;
    harbor.agent("Wolfeschlegelsteinhausenbergerdorff").await;
    jo.opens(&harbor.admin_page("members")).await;
    jo.fills("Email", "priya@harbor.test").await;
    jo.clicks("Invite").await;
    jo.finds(".fresh").await;
    jo.is_accessible("members, an invitation").await;
    let invitation = hub.mail_server.mail_to("priya@harbor.test").await.link();
    jo.opens(&harbor.admin_page("numbers")).await;
    jo.clicks("More about (628) 555-0100").await;
    jo.clicks("Release").await;
    jo.is_accessible("numbers, a menu open").await;
    hub.twilio.offer_number("US", "Local", "+15105550142");
    let integrations = harbor.admin.get(&harbor.path("/integrations")).await;
    let id = integrations.expect_status(200)["data"][0]["id"].clone();
    let search = format!("numbers?integration_id={}", id.as_str().unwrap());
    jo.opens(&harbor.admin_page(&search)).await;
    jo.sees("(510) 555-0142").await;
    jo.is_accessible("numbers, found").await;
    jo.opens(&harbor.admin_page(&format!("numbers/{front_desk}")))
        .await;
    jo.sees("Incoming texts are sent to MessageHub.").await;
    jo.is_accessible("number").await;
    // The test result appears without a reload.
    jo.follows("Test with a text").await;
    jo.sees("Waiting for your text…").await;
    jo.is_accessible("number, tested").await;
    harbor.receive_text(MAYA, "Testing, testing").await;
    jo.sees("Receiving texts.").await;
    jo.opens(&harbor.admin_page("members?done=saved")).await;
    jo.clicks("More about Sam").await;
    jo.clicks("Remove").await;
    jo.is_accessible("members, a menu open").await;
    harbor.tag("New patient").await;
    for (name, kind) in [("Insurance", "choice"), ("Born", "date")] {
        let choices = if kind == "choice" {
            vec!["Delta"]
        } else {
            vec![]
        };
        let field = json!({"name": name, "kind": kind, "choices": choices});
        let fields = harbor.path("/contact-fields");
        harbor.admin.post(&fields, field).await.expect_status(201);
    }
    jo.opens(&format!("/w/{}/contacts?q=zzz", harbor.slug))
        .await;
    jo.sees("No results").await;
    jo.is_accessible("contacts, nobody found").await;
    let contact = maya["contact_id"].as_str().unwrap();
    for (page, path) in [
        ("contacts", String::new()),
        ("new contact", "/new".into()),
        ("contact", format!("/{contact}")),
        ("contact, merged", format!("/{contact}/merge")),
        ("contact, deleted", format!("/{contact}/remove")),
    ] {
        jo.opens(&format!("/w/{}/contacts{path}", harbor.slug))
            .await;
        jo.is_accessible(page).await;
    }
    let table = "name,phone_number\nTom,+14155550193\nNobody,none\n";
    let looked_at = harbor
        .upload_contacts(table, "true")
        .await
        .expect_status(202);
    let looked_at = looked_at["id"].as_str().unwrap();
    jo.opens(&format!("/w/{}/contacts/imports/{looked_at}", harbor.slug))
        .await;
    jo.is_accessible("import, columns").await;
    jo.clicks("Import 2 rows").await;
    jo.sees("Importing 0 of 2").await;
    jo.is_accessible("import, running").await;
    hub.run_imports().await;
    jo.sees("Skipped rows").await;
    jo.is_accessible("import, done").await;
    let tom = harbor
        .admin
        .get(&harbor.path("/contacts?q=Tom"))
        .await
        .expect_status(200);
    let tom = tom["data"][0]["id"].as_str().unwrap();
    jo.opens(&format!(
        "/w/{}/contacts/{contact}/merge?with={tom}",
        harbor.slug
    ))
    .await;
    jo.sees("Merge contacts").await;
    jo.is_accessible("merge, preview").await;
    for section in [
        "fields",
        "access",
        "credits",
        "numbers",
        "usage",
        "audit",
        "members?q=zzz",
    ] {
        jo.opens(&harbor.admin_page(section)).await;
        jo.is_accessible(section).await;
    }
    jo.opens(&harbor.admin_page(&format!("access/{front_desk}")))
        .await;
    jo.is_accessible("access, one number").await;
    jo.opens(&harbor.admin_page(&format!("credits/{}", sam.id)))
        .await;
    jo.sees("Sent a text").await;
    jo.is_accessible("ledger").await;
    jo.opens(&harbor.admin_page("audit?action=member_left"))
        .await;
    jo.sees("No matching entries").await;
    jo.is_accessible("audit, nothing found").await;
    hub.verify_email(&harbor.admin.email).await;
    jo.opens("/account").await;
    jo.clicks("Set up").await;
    jo.finds("svg.qr").await;
    jo.is_accessible("second factor, being set up").await;
    let invitation = invitation.strip_prefix(&hub.url("")).unwrap();
    jo.opens(invitation).await;
    jo.is_accessible("invitation, as another user").await;

    jo.opens(&harbor.inbox(None)).await;
    jo.clicks("Account").await;
    jo.clicks("Sign out").await;
    jo.is_at("/login").await;
    jo.signs_in(&sam.email).await;
    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".credits.low", "3 credits left").await;
    jo.is_accessible("composer, few credits").await;
    harbor.set_credits(&sam, 0).await;
    jo.sees_in(".blocked", "You’re out of credits").await;
    jo.is_accessible("composer, no credits").await;
}

#[tokio::test]
async fn states_of_writing_pass_axe_and_fit() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 422");
    jo.signs_in(&harbor.admin.email).await;
    let page = |name: &str| format!("/w/{}/{name}", harbor.slug);
    for name in ["send", "templates", "scheduled"] {
        jo.opens(&page(name)).await;
        jo.is_accessible(&format!("{name}, empty")).await;
    }
    harbor.connect_twilio(FRONT_DESK).await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    for (name, content, shared) in [
        (
            "Reminder",
            "Hi {{first_name}}, {{doctor}} sees you at {{time}}",
            true,
        ),
        (&"x".repeat(80), "Parking is on the left", false),
    ] {
        let template = json!({"name": name, "content": content, "shared": shared});
        harbor
            .admin
            .post(&harbor.path("/templates"), template)
            .await
            .expect_status(201);
    }
    let later = (chrono::Utc::now() + chrono::Duration::days(2)).to_rfc3339();
    let draft =
        json!({"conversation_id": maya["id"], "content": "x".repeat(300), "scheduled_at": later});
    harbor
        .admin
        .post(&harbor.path("/messages"), draft)
        .await
        .expect_status(202);
    jo.opens(&page("templates")).await;
    jo.is_accessible("templates").await;
    jo.follows("Reminder").await;
    jo.sees("Edit template").await;
    jo.is_accessible("template").await;
    jo.opens(&page("templates/new")).await;
    jo.clicks("Save").await;
    jo.is_accessible("template, new").await;
    jo.opens(&page("scheduled")).await;
    jo.clicks("Edit or cancel").await;
    jo.is_accessible("scheduled").await;
    for n in 0..9 {
        harbor.receive_text(&format!("+1415555018{n}"), "Hi").await;
    }
    jo.opens(&page("send")).await;
    jo.sees_in("#people [role=option]", "555-0188").await;
    jo.is_accessible("new text, people offered").await;
    jo.fills("To", "12").await;
    jo.fills("Text", "Hello – you").await;
    jo.clicks("Send").await;
    jo.finds("#to-error").await;
    jo.is_accessible("new text, refused").await;

    jo.opens(&harbor.inbox(Some(&maya))).await;
    jo.sees_in(".live", "Live").await;
    jo.clicks("Edit or cancel").await;
    jo.fills("Message to", "/").await;
    jo.sees_in(".offers [role=option]", "Reminder").await;
    jo.is_accessible("composer, templates offered").await;
    jo.fills("Message to", "/rem").await;
    jo.presses(fantoccini::key::Key::Enter).await;
    jo.sees_in(".fill", "doctor").await;
    jo.presses(fantoccini::key::Key::Enter).await;
    jo.types("–").await;
    jo.sees_in(".replacement", "is a special character").await;
    jo.is_accessible("composer, a variable and a replacement")
        .await;
    jo.clicks("Send later").await;
    jo.is_accessible("composer, send later").await;
}

//! Invitations, roles and removal of members.

use super::Browser;
use crate::hub::{Hub, MAYA, PASSWORD};

#[tokio::test]
async fn invited_user_joins_becomes_admin_and_is_removed() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let maya = harbor.receive_text(MAYA, "Is 3:30 still free?").await;
    harbor.names_contact(&maya, "Maya Okafor").await;
    let (jo, sam) = Browser::pair(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.follows("Admin").await;
    jo.is_at("/admin/members").await;
    jo.fills("Email", "sam@harbor.test").await;
    jo.clicks("(628) 555-0100").await;
    jo.clicks("Invite").await;
    jo.sees_in(".fresh", "sam@harbor.test was invited").await;
    let link = jo
        .evaluates("document.querySelector('.fresh code').textContent")
        .await;
    let link = link.as_str().unwrap().to_owned();
    jo.sees_in(".waiting-list", "sam@harbor.test").await;
    jo.sees("Pending invitations").await;
    jo.reloads().await;
    jo.sees_in(".waiting-list", "sam@harbor.test").await;
    jo.finds_no(".fresh").await;
    assert_eq!(
        hub.mail_server.mail_to("sam@harbor.test").await.link(),
        link
    );

    // A new link keeps the numbers and replaces the old one.
    jo.clicks("New link for sam@harbor.test").await;
    jo.sees_in(".fresh", "sam@harbor.test was invited").await;
    let link = hub.mail_server.mail_to("sam@harbor.test").await.link();

    sam.expects_console("status of 422");
    sam.opens(link.strip_prefix(&hub.url("")).unwrap()).await;
    sam.sees("Join Harbor Dental").await;
    sam.fills("Your name", "Sam Ortiz").await;
    sam.fills("Password", "too short").await;
    sam.clicks("Join Harbor Dental").await;
    sam.sees_in(".error", "Use at least 10 characters (at most 200)")
        .await;
    sam.waits_until(
        "what was typed is kept",
        "document.querySelector('#name').value === 'Sam Ortiz'",
    )
    .await;
    sam.fills("Password", PASSWORD).await;
    sam.clicks("Join Harbor Dental").await;
    sam.is_at("/w/harbor-dental/inbox").await;
    sam.sees_in(".row", "Maya Okafor").await;
    sam.sees_in(".live", "Live").await;
    sam.waits_until(
        "agents have no admin pages",
        "!document.querySelector('[title=Admin]')",
    )
    .await;

    jo.reloads().await;
    jo.sees_in(".table", "Sam Ortiz").await;
    jo.sees_no("body", "Pending invitations").await;
    jo.clicks("More about Sam Ortiz").await;
    jo.clicks("Make admin").await;
    jo.sees_in(".toast", "Role updated").await;
    jo.waits_until("the URL has no `done`", "!location.search.includes('done')")
        .await;
    sam.reloads().await;
    sam.follows("Admin").await;
    sam.sees_in(".table", "Jo Park").await;

    // Removal applies to an open page at its next request.
    jo.clicks("More about Sam Ortiz").await;
    jo.clicks("Remove").await;
    jo.clicks("Remove Sam Ortiz").await;
    jo.sees_no(".table", "Sam Ortiz").await;
    sam.expects_console("status of 403");
    sam.reloads().await;
    sam.sees("You’re not a member of this workspace").await;
}

#[tokio::test]
async fn last_admin_cannot_be_demoted() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.expects_console("status of 422");
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.admin_page("members")).await;
    jo.clicks("More about Jo Park").await;
    jo.clicks("Make agent").await;
    jo.sees_in(".notice.bad", "needs at least one admin").await;
    jo.sees_in(".table .pill", "Admin").await;
    jo.has_no_scripts().await;
    jo.opens(&format!("/w/{}/settings", harbor.slug)).await;
    jo.clicks("Leave…").await;
    jo.clicks("Leave workspace").await;
    jo.sees_in(".notice.bad", "needs at least one admin").await;
}

#[tokio::test]
async fn invitations_work_without_scripts() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let jo = Browser::start(&hub.url("")).await;
    jo.has_no_scripts().await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.admin_page("members")).await;
    jo.fills("Email", "sam@harbor.test").await;
    jo.clicks("Invite").await;
    jo.sees_in(".fresh", "sam@harbor.test was invited").await;
    let link = hub.mail_server.mail_to("sam@harbor.test").await.link();
    jo.clicks("Revoke").await;
    jo.sees_in(".toast", "revoked").await;
    jo.sees_no("body", "sam@harbor.test").await;
    let sam = Browser::start(&hub.url("")).await;
    sam.expects_console("status of 404");
    sam.opens(link.strip_prefix(&hub.url("")).unwrap()).await;
    sam.sees("This invitation is no longer valid").await;
    assert_eq!(hub.count("select count(*) from workspace_members").await, 1);
}

//! Invitations, roles and removal of members.

use super::Browser;
use crate::hub::{Hub, MAYA, PASSWORD, empty_database};

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

#[tokio::test]
async fn without_mail_links_are_handed_over_and_an_invitation_gives_numbers_and_credits() {
    let hub = Hub::start_with(empty_database().await, &[("SMTP_URL", "")]).await;
    let harbor = hub.workspace("Harbor Dental").await.with_front_desk().await;
    let (jo, sam) = Browser::pair(&hub.url("")).await;
    jo.expects_console("status of 422");
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.admin_page("members")).await;
    jo.fills("Email", "sam@harbor.test").await;
    jo.clicks("(628) 555-0100").await;
    jo.fills("Credits to start with", "many").await;
    jo.clicks("Invite").await;
    jo.sees_in("#invite .error", "Use a whole number").await;
    jo.fills("Credits to start with", "250").await;
    jo.clicks("Invite").await;
    jo.sees_in(".fresh", "This server sends no mail: hand over this link")
        .await;
    jo.sees_in(".waiting-list", "1 number · 250 credits").await;
    jo.evaluates("document.querySelector('.fresh').dataset.old = 'true'")
        .await;
    jo.clicks("New link for sam@harbor.test").await;
    jo.finds(".fresh:not([data-old])").await;
    jo.sees_in(".waiting-list", "1 number · 250 credits").await;
    let link = jo
        .evaluates("document.querySelector('.fresh code').textContent")
        .await;
    let link = link.as_str().unwrap().to_owned();

    sam.opens(link.strip_prefix(&hub.url("")).unwrap()).await;
    sam.fills("Your name", "Sam Ortiz").await;
    sam.fills("Password", PASSWORD).await;
    sam.clicks("Join Harbor Dental").await;
    sam.is_at("/w/harbor-dental/inbox").await;
    assert_eq!(hub.count("select count(*) from number_members").await, 1);
    assert_eq!(
        hub.count("select balance from credit_accounts").await,
        250,
        "chosen in the invitation"
    );
    assert_eq!(
        hub.count("select sum(delta)::bigint from credit_ledger")
            .await,
        250
    );
    sam.opens("/account").await;
    sam.sees("This server sends no mail, so addresses aren’t verified")
        .await;

    // A forgotten password: the sign-in page says where a link comes from, and an admin makes it.
    sam.evaluates("fetch('/logout', {method: 'POST'})").await;
    sam.opens("/forgot-password").await;
    sam.sees("Ask an admin of your workspace for a link").await;
    jo.reloads().await;
    jo.clicks("More about Sam Ortiz").await;
    jo.clicks("Link for a new password").await;
    jo.sees_in(".fresh", "A new password for Sam Ortiz").await;
    let link = jo
        .evaluates("document.querySelector('.fresh code').textContent")
        .await;
    let link = link.as_str().unwrap().to_owned();
    sam.opens(link.strip_prefix(&hub.url("")).unwrap()).await;
    sam.fills("New password", "another good password").await;
    sam.clicks("Set password").await;
    sam.sees("Your new password is set").await;
    assert_eq!(
        hub.count(
            "select count(*) from users where name = 'Sam Ortiz' and email_verified_at is null"
        )
        .await,
        1,
        "the link did not prove the address"
    );
    assert_eq!(
        hub.count("select count(*) from audit_log where action = 'password_link_made' and subject = 'Sam Ortiz'")
            .await,
        1
    );

    // It would open the account in a workspace that Jo does not manage, too.
    hub.execute_sql(
        "with other as (insert into workspaces (id, name, slug, default_region)
                        values (gen_random_uuid(), 'Other', 'other', 'US') returning id)
         insert into workspace_members (workspace_id, user_id, role)
         select o.id, u.id, 'admin' from other o, users u where u.name = 'Sam Ortiz'",
    )
    .await;
    jo.clicks("More about Sam Ortiz").await;
    jo.clicks("Link for a new password").await;
    jo.sees_in(
        ".notice.bad",
        "is also in a workspace that you don’t manage",
    )
    .await;
}

#[tokio::test]
async fn an_admin_has_a_link_for_a_new_password_mailed() {
    let hub = Hub::start().await;
    let harbor = hub.workspace("Harbor Dental").await;
    let sam = harbor.agent("Sam").await;
    let jo = Browser::start(&hub.url("")).await;
    jo.signs_in(&harbor.admin.email).await;
    jo.opens(&harbor.admin_page("members")).await;
    jo.clicks("More about Sam").await;
    jo.clicks("Email a link for a new password").await;
    jo.sees_in(".fresh", "We emailed them a link").await;
    jo.finds_no(".fresh code").await;
    let link = hub.mail_server.mail_to(&sam.email).await.link();
    assert!(link.contains("/reset-password/"), "{link}");
}

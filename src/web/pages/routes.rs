//! The routes of the pages.

use super::{
    account, accounts, admin, contacts, docs, inbox, sandbox, scheduled, send, settings, templates,
    workspaces,
};
use crate::web::routes::Routes;
use crate::web::{LARGEST_UPLOAD, api};

/// Every page, form and fragment, except the offline page.
pub fn routes(openapi: &serde_json::Value) -> Routes {
    Routes::default()
        .get("/", accounts::home)
        .get("/setup", accounts::setup)
        .post("/setup", accounts::found)
        .get("/signup", accounts::signup)
        .post("/signup", accounts::sign_up)
        .get("/login", accounts::login)
        .post("/login", accounts::log_in)
        .post("/logout", accounts::log_out)
        .get("/workspaces", workspaces::list)
        .post("/workspaces", workspaces::create)
        .get("/workspaces/menu", workspaces::menu)
        .merge(inbox_routes())
        .get("/w/{slug}/settings", settings::show)
        .post("/w/{slug}/settings", settings::update)
        .post(
            "/w/{slug}/settings/pushes/{push_id}/remove",
            settings::forget_device,
        )
        .post("/w/{slug}/leave", settings::leave)
        .get("/sandbox/{number_id}", sandbox::show)
        .post("/sandbox/{number_id}", sandbox::text)
        .merge(writing_routes())
        .merge(contact_routes())
        .merge(admin_routes())
        .merge(account_routes())
        .merge(docs::routes(openapi))
}

fn inbox_routes() -> Routes {
    Routes::default()
        .get("/w/{slug}", inbox::to_inbox)
        .get("/w/{slug}/", inbox::to_inbox)
        .get("/w/{slug}/inbox", inbox::list)
        .post("/w/{slug}/inbox/bulk", inbox::change_all)
        .post("/w/{slug}/inbox/undo", inbox::undo_all)
        .post("/w/{slug}/inbox/export.csv", inbox::export_selected)
        .post("/w/{slug}/inbox/views", inbox::save_view)
        .post("/w/{slug}/inbox/views/{view_id}/remove", inbox::remove_view)
        .get("/w/{slug}/inbox/{conversation_id}", inbox::show)
        .upload(
            "/w/{slug}/inbox/{conversation_id}/messages",
            LARGEST_UPLOAD,
            inbox::reply,
        )
        .post("/w/{slug}/inbox/{conversation_id}/read", inbox::read)
        .post("/w/{slug}/inbox/{conversation_id}/unread", inbox::unread)
        .post("/w/{slug}/inbox/{conversation_id}/notes", inbox::note)
        .post("/w/{slug}/inbox/{conversation_id}/status", inbox::status)
        .post("/w/{slug}/inbox/{conversation_id}/assign", inbox::assign)
        .post("/w/{slug}/inbox/{conversation_id}/snooze", inbox::snooze)
        .post("/w/{slug}/inbox/{conversation_id}/undo", inbox::undo)
        .get("/w/{slug}/inbox/{conversation_id}/contact", inbox::contact)
        .post(
            "/w/{slug}/inbox/{conversation_id}/contact",
            inbox::change_contact,
        )
        .post(
            "/w/{slug}/inbox/{conversation_id}/consent",
            inbox::change_consent,
        )
        .post(
            "/w/{slug}/inbox/{conversation_id}/near-stop",
            inbox::resolve_near_stop,
        )
        .post(
            "/w/{slug}/inbox/{conversation_id}/messages/{message_id}",
            inbox::change_scheduled,
        )
        .post(
            "/w/{slug}/inbox/{conversation_id}/messages/{message_id}/retry",
            inbox::retry_message,
        )
        .upload(
            "/w/{slug}/inbox/{conversation_id}/from",
            LARGEST_UPLOAD,
            inbox::switch_number,
        )
}

fn writing_routes() -> Routes {
    Routes::default()
        .get("/w/{slug}/send", send::show)
        .upload("/w/{slug}/send", LARGEST_UPLOAD, send::send)
        .get("/w/{slug}/send/people", send::people)
        .get("/w/{slug}/scheduled", scheduled::list)
        .post("/w/{slug}/scheduled/{message_id}", scheduled::change)
        .get("/w/{slug}/templates", templates::list)
        .post("/w/{slug}/templates", templates::create)
        .get("/w/{slug}/templates/new", templates::begin)
        .get("/w/{slug}/templates/offer", templates::offer)
        .get("/w/{slug}/templates/{template_id}", templates::show)
        .post("/w/{slug}/templates/{template_id}", templates::update)
        .post(
            "/w/{slug}/templates/{template_id}/remove",
            templates::remove,
        )
}

fn contact_routes() -> Routes {
    use contacts::{bulk, import, merge, remove, show};
    Routes::default()
        .get("/w/{slug}/contacts", contacts::list)
        .post("/w/{slug}/contacts", contacts::create)
        .get("/w/{slug}/contacts/new", contacts::new)
        .post("/w/{slug}/contacts/bulk", bulk::change)
        .post("/w/{slug}/contacts/bulk/export.csv", bulk::export)
        .get("/w/{slug}/contacts/export.csv", contacts::export)
        .get("/w/{slug}/contacts/import", import::new)
        .upload(
            "/w/{slug}/contacts/import",
            api::imports::MAX_FILE_BYTES + 64 * 1024,
            import::upload,
        )
        .get("/w/{slug}/contacts/imports/{import_id}", import::show)
        .post("/w/{slug}/contacts/imports/{import_id}", import::start)
        .post("/w/{slug}/contacts/imports/{import_id}/undo", import::undo)
        .get(
            "/w/{slug}/contacts/imports/{import_id}/refused.csv",
            import::refused,
        )
        .get("/w/{slug}/contacts/{contact_id}", show::show)
        .post("/w/{slug}/contacts/{contact_id}", show::change)
        .get("/w/{slug}/contacts/{contact_id}/edit", show::edit)
        .post("/w/{slug}/contacts/{contact_id}/tags", show::tag)
        .post(
            "/w/{slug}/contacts/{contact_id}/tags/{tag_id}/remove",
            show::untag,
        )
        .post(
            "/w/{slug}/contacts/{contact_id}/consent",
            show::change_consent,
        )
        .get("/w/{slug}/contacts/{contact_id}/merge", merge::show)
        .post("/w/{slug}/contacts/{contact_id}/merge", merge::merge)
        .get("/w/{slug}/contacts/{contact_id}/remove", remove::show)
        .post("/w/{slug}/contacts/{contact_id}/remove", remove::remove)
}

fn admin_routes() -> Routes {
    Routes::default()
        .merge(people_routes())
        .merge(provider_routes())
        .merge(workspace_routes())
}

/// Members, and what they may see and spend.
fn people_routes() -> Routes {
    use admin::{access, credits, members};
    Routes::default()
        .get("/w/{slug}/admin/members", members::list)
        .post("/w/{slug}/admin/members", members::invite)
        .post("/w/{slug}/admin/members/{user_id}", members::change_role)
        .post("/w/{slug}/admin/members/{user_id}/remove", members::remove)
        .post(
            "/w/{slug}/admin/members/{user_id}/password-link",
            members::make_password_link,
        )
        .post(
            "/w/{slug}/admin/invitations/{invitation_id}/withdraw",
            members::withdraw,
        )
        .get("/w/{slug}/admin/access", access::matrix)
        .get("/w/{slug}/admin/access/{number_id}", access::number)
        .post("/w/{slug}/admin/access/{number_id}", access::change_number)
        .post(
            "/w/{slug}/admin/access/{number_id}/{user_id}",
            access::change_one,
        )
        .post(
            "/w/{slug}/admin/access/people/{user_id}",
            access::change_person,
        )
        .post(
            "/w/{slug}/admin/access/people/{user_id}/default",
            access::change_default,
        )
        .get("/w/{slug}/admin/credits", credits::list)
        .get("/w/{slug}/admin/credits/{user_id}", credits::show)
        .post("/w/{slug}/admin/credits/{user_id}", credits::change)
}

/// Accounts at providers, and their numbers.
fn provider_routes() -> Routes {
    use admin::{credential_access, integrations, numbers};
    Routes::default()
        .get("/w/{slug}/admin/integrations", integrations::list)
        .post("/w/{slug}/admin/integrations", integrations::connect)
        .post(
            "/w/{slug}/admin/integrations/{integration_id}",
            integrations::update,
        )
        .post(
            "/w/{slug}/admin/integrations/{integration_id}/test",
            integrations::check,
        )
        .post(
            "/w/{slug}/admin/integrations/{integration_id}/sync",
            integrations::sync,
        )
        .post(
            "/w/{slug}/admin/integrations/{integration_id}/disconnect",
            integrations::disconnect,
        )
        .get(
            "/w/{slug}/admin/integrations/access",
            credential_access::list,
        )
        .get("/w/{slug}/admin/numbers", numbers::list)
        .post("/w/{slug}/admin/numbers", numbers::buy)
        .post("/w/{slug}/admin/numbers/sync", numbers::sync)
        .get("/w/{slug}/admin/numbers/{number_id}", numbers::doctor)
        .post("/w/{slug}/admin/numbers/{number_id}", numbers::update)
        .post(
            "/w/{slug}/admin/numbers/{number_id}/release",
            numbers::release,
        )
        .post(
            "/w/{slug}/admin/numbers/{number_id}/webhook",
            numbers::set_webhook,
        )
}

/// The workspace, its rules and its records.
fn workspace_routes() -> Routes {
    use admin::{audit, fields, opt_outs, usage, webhooks, workspace};
    Routes::default()
        .get("/w/{slug}/admin/workspace", workspace::show)
        .post("/w/{slug}/admin/workspace", workspace::update)
        .post("/w/{slug}/admin/workspace/delete", workspace::delete)
        .get("/w/{slug}/admin/fields", fields::show)
        .post("/w/{slug}/admin/fields/tags", fields::add_tag)
        .post("/w/{slug}/admin/fields/tags/{tag_id}", fields::change_tag)
        .post(
            "/w/{slug}/admin/fields/tags/{tag_id}/remove",
            fields::remove_tag,
        )
        .post("/w/{slug}/admin/fields/add", fields::add_field)
        .post("/w/{slug}/admin/fields/{field_id}", fields::change_field)
        .post(
            "/w/{slug}/admin/fields/{field_id}/remove",
            fields::remove_field,
        )
        .get("/w/{slug}/admin/opt-outs", opt_outs::list)
        .get("/w/{slug}/admin/opt-outs/export.csv", opt_outs::export)
        .post("/w/{slug}/admin/opt-outs/lift", opt_outs::lift)
        .upload(
            "/w/{slug}/admin/opt-outs/import",
            2 * api::opt_outs::MAX_FILE_BYTES,
            opt_outs::import,
        )
        .get("/w/{slug}/admin/usage", usage::show)
        .get("/w/{slug}/admin/webhooks", webhooks::list)
        .post("/w/{slug}/admin/webhooks/release", webhooks::release_all)
        .post("/w/{slug}/admin/webhooks/discard", webhooks::discard_all)
        .post(
            "/w/{slug}/admin/webhooks/{quarantine_id}/release",
            webhooks::release,
        )
        .post(
            "/w/{slug}/admin/webhooks/{quarantine_id}/discard",
            webhooks::discard,
        )
        .get("/w/{slug}/admin/audit", audit::list)
}

fn account_routes() -> Routes {
    use account::two_factor;
    use accounts::{invitations, recovery};
    Routes::default()
        .post("/login/code", accounts::second_step)
        .get("/forgot-password", recovery::forgot)
        .post("/forgot-password", recovery::send_link)
        .get("/reset-password/{token}", recovery::reset)
        .post("/reset-password/{token}", recovery::set_password)
        .get("/verify-email/{token}", recovery::verify)
        .post("/verify-email/{token}", recovery::verified)
        .get("/invitations/{token}", invitations::show)
        .post("/invitations/{token}", invitations::accept)
        .get("/account", account::show)
        .post("/account", account::rename)
        .post("/account/language", account::set_language)
        .post("/language", accounts::set_language)
        .post("/account/verify", account::ask_to_verify)
        .post("/account/password", account::change_password)
        .post("/account/two-factor", two_factor::begin)
        .post("/account/two-factor/confirm", two_factor::confirm)
        .post("/account/two-factor/off", two_factor::disable)
        .post("/account/sessions/end", account::end_all)
        .post("/account/sessions/{session_id}/end", account::end_session)
}

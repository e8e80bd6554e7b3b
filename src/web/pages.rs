//! The HTML pages: one file per page, with its view structs beside the handler that fills them.
//! Templates only choose and loop; computed values are methods of the structs. A partial does not depend on the viewer.

use askama::Template;
use askama::filters::HtmlSafeOutput;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Datelike, Utc};

use super::problem::Shown;
use super::routes::Routes;
use super::{AppState, LARGEST_UPLOAD, guard};
use crate::domain::members::Role;
use crate::language::{self, t};

pub mod account;
pub mod accounts;
pub mod admin;
mod avatar;
pub mod contacts;
mod countries;
pub mod docs;
mod form;
pub mod fragments;
pub mod inbox;
mod notice;
pub mod problem;
mod render;
mod renewal;
pub mod sandbox;
pub mod scheduled;
pub mod send;
pub mod settings;
mod shell;
mod table;
pub mod templates;
pub mod workspaces;

pub use avatar::{avatar, face};
pub use form::Form;
pub use notice::{Notice, NoticeQuery};
use render::accepts;
pub use render::{
    Partial, frame, internal, page, partial, streams, wants_only_streams, wants_streams,
};
use renewal::renew;
pub use shell::{Shell, initial};

/// Every page, form and fragment, except the offline page.
pub fn routes(openapi: &serde_json::Value) -> Routes {
    use self::accounts as accounts_pages;
    Routes::default()
        .get("/", accounts_pages::home)
        .get("/setup", accounts_pages::setup)
        .post("/setup", accounts_pages::found)
        .get("/signup", accounts_pages::signup)
        .post("/signup", accounts_pages::sign_up)
        .get("/login", accounts_pages::login)
        .post("/login", accounts_pages::log_in)
        .post("/logout", accounts_pages::log_out)
        .get("/workspaces", workspaces::list)
        .post("/workspaces", workspaces::create)
        .get("/workspaces/menu", workspaces::menu)
        .get("/w/{slug}", inbox::to_inbox)
        .get("/w/{slug}/", inbox::to_inbox)
        .get("/w/{slug}/inbox", inbox::list)
        .get("/w/{slug}/inbox/{conversation_id}", inbox::show)
        .upload(
            "/w/{slug}/inbox/{conversation_id}/messages",
            LARGEST_UPLOAD,
            inbox::reply,
        )
        .post("/w/{slug}/inbox/{conversation_id}/read", inbox::read)
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
    use contacts::{import, merge, remove, show};
    Routes::default()
        .get("/w/{slug}/contacts", contacts::list)
        .post("/w/{slug}/contacts", contacts::create)
        .get("/w/{slug}/contacts/new", contacts::new)
        .get("/w/{slug}/contacts/export.csv", contacts::export)
        .get("/w/{slug}/contacts/import", import::new)
        .upload(
            "/w/{slug}/contacts/import",
            super::api::imports::MAX_FILE_BYTES + 64 * 1024,
            import::upload,
        )
        .get("/w/{slug}/contacts/imports/{import_id}", import::show)
        .post("/w/{slug}/contacts/imports/{import_id}", import::start)
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
    use admin::{
        access, audit, credential_access, credits, fields, integrations, members, numbers,
        opt_outs, usage, webhooks, workspace,
    };
    Routes::default()
        .get("/w/{slug}/admin/members", members::list)
        .post("/w/{slug}/admin/members", members::invite)
        .post("/w/{slug}/admin/members/{user_id}", members::change_role)
        .post("/w/{slug}/admin/members/{user_id}/remove", members::remove)
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
            2 * super::api::opt_outs::MAX_FILE_BYTES,
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

pub fn router(app_state: &AppState, openapi: &serde_json::Value) -> Router<AppState> {
    routes(openapi)
        .into_router()
        .layer(middleware::from_fn_with_state(app_state.clone(), renew))
        .layer(middleware::from_fn(render_problems))
}

/// Renders a problem as an HTML page. Unauthenticated requests are redirected to the sign-in and back afterwards.
pub async fn render_problems(request: Request, next: Next) -> Response {
    // The API always answers with JSON.
    if request.uri().path().starts_with("/api/") {
        return next.run(request).await;
    }
    let asked = accepts(request.headers(), "text/html");
    let back = match *request.method() {
        Method::GET => request.uri().path_and_query().map(ToString::to_string),
        _ => None,
    };
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE);
    let kind = kind.map_or(&b""[..], |kind| kind.as_bytes());
    let is_problem = kind == b"application/problem+json";
    let is_page = kind.starts_with(b"text/html") || kind.starts_with(b"text/vnd.turbo-stream");
    let mut response = match is_problem && asked {
        true => problem_page(response, back),
        false => response,
    };
    if is_problem || is_page {
        guard::vary(&mut response, &header::ACCEPT);
        guard::vary(&mut response, &header::ACCEPT_LANGUAGE);
    }
    response
}

fn problem_page(response: Response, back: Option<String>) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED {
        let next: String =
            form_urlencoded::byte_serialize(back.as_deref().unwrap_or("/").as_bytes()).collect();
        return Redirect::to(&format!("/login?next={next}")).into_response();
    }
    let Some(shown) = response.extensions().get::<Shown>().cloned() else {
        return response;
    };
    let (mut parts, _) = response.into_parts();
    let html = problem::page(parts.status, &shown);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/html; charset=utf-8"),
    );
    Response::from_parts(parts, Body::from(html))
}

pub fn role(role: &Role) -> String {
    match role {
        Role::Admin => t!("Admin").translated(),
        Role::Agent => t!("Agent").translated(),
    }
}

#[derive(Template)]
#[template(path = "_time.html")]
pub struct Time {
    at: DateTime<Utc>,
    style: &'static str,
}

impl Time {
    /// Shown until the script formats the time in the viewer's time zone.
    fn fallback(&self) -> String {
        let (clock, year) = (self.at.format("%H:%M").to_string(), self.at.year());
        let (day, month0) = (self.at.day(), self.at.month0());
        let (month, short_month) = (language::month(month0), language::short_month(month0));
        let form = match self.style {
            "clock" => t!("{clock} UTC", clock = clock),
            "date" => t!("{month} {year}", month = month, year = year),
            "day" | "on" => t!(
                "{day} {short_month} {year}",
                day = day,
                short_month = short_month,
                year = year,
            ),
            "long" => t!(
                "{day} {month} {year}, {clock} UTC",
                day = day,
                month = month,
                year = year,
                clock = clock,
            ),
            _ => t!(
                "{day} {short_month}, {clock} UTC",
                day = day,
                short_month = short_month,
                clock = clock,
            ),
        };
        form.translated()
    }
}

/// A time that the script formats: `list`, `clock`, `day`, `on`, `stamp`, `date` or `long`.
pub fn time(at: &DateTime<Utc>, style: &'static str) -> HtmlSafeOutput<Time> {
    HtmlSafeOutput(Time { at: *at, style })
}

//! The HTML pages: one file per page, with its view structs beside the handler that fills them.
//! Templates only choose and loop; computed values are methods of the structs. A partial does not depend on the viewer.

use askama::Template;
use askama::filters::HtmlSafeOutput;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum_extra::extract::CookieJar;
use chrono::{DateTime, Datelike, Utc};

use super::auth::{Claimed, REFRESH_COOKIE, bearer, cookies};
use super::problem::{Problem, Shown};
use super::{AppState, LARGEST_UPLOAD, guard};
use crate::app::App;
use crate::domain::accounts::{self as users, Caller};
use crate::domain::members::Role;
use crate::error::{Error, Result};
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
pub use shell::{Shell, initial};

pub fn routes(app_state: &AppState, openapi: &serde_json::Value) -> Router<AppState> {
    use self::accounts as accounts_pages;
    Router::new()
        .route("/", get(accounts_pages::home))
        .route(
            "/setup",
            get(accounts_pages::setup).post(accounts_pages::found),
        )
        .route(
            "/signup",
            get(accounts_pages::signup).post(accounts_pages::sign_up),
        )
        .route(
            "/login",
            get(accounts_pages::login).post(accounts_pages::log_in),
        )
        .route("/logout", post(accounts_pages::log_out))
        .route(
            "/workspaces",
            get(workspaces::list).post(workspaces::create),
        )
        .route("/workspaces/menu", get(workspaces::menu))
        .route("/w/{slug}", get(inbox::to_inbox))
        .route("/w/{slug}/", get(inbox::to_inbox))
        .route("/w/{slug}/inbox", get(inbox::list))
        .route("/w/{slug}/inbox/{conversation_id}", get(inbox::show))
        .route(
            "/w/{slug}/inbox/{conversation_id}/messages",
            post(inbox::reply).layer(DefaultBodyLimit::max(LARGEST_UPLOAD)),
        )
        .route("/w/{slug}/inbox/{conversation_id}/read", post(inbox::read))
        .route("/w/{slug}/inbox/{conversation_id}/notes", post(inbox::note))
        .route(
            "/w/{slug}/inbox/{conversation_id}/status",
            post(inbox::status),
        )
        .route(
            "/w/{slug}/inbox/{conversation_id}/assign",
            post(inbox::assign),
        )
        .route(
            "/w/{slug}/inbox/{conversation_id}/snooze",
            post(inbox::snooze),
        )
        .route("/w/{slug}/inbox/{conversation_id}/undo", post(inbox::undo))
        .route(
            "/w/{slug}/inbox/{conversation_id}/contact",
            get(inbox::contact).post(inbox::change_contact),
        )
        .route(
            "/w/{slug}/inbox/{conversation_id}/consent",
            post(inbox::change_consent),
        )
        .route(
            "/w/{slug}/inbox/{conversation_id}/near-stop",
            post(inbox::resolve_near_stop),
        )
        .route(
            "/w/{slug}/inbox/{conversation_id}/messages/{message_id}",
            post(inbox::change_scheduled),
        )
        .route(
            "/w/{slug}/inbox/{conversation_id}/messages/{message_id}/retry",
            post(inbox::retry_message),
        )
        .route(
            "/w/{slug}/inbox/{conversation_id}/from",
            post(inbox::switch_number).layer(DefaultBodyLimit::max(LARGEST_UPLOAD)),
        )
        .merge(writing_routes())
        .route(
            "/w/{slug}/settings",
            get(settings::show).post(settings::update),
        )
        .route(
            "/w/{slug}/settings/pushes/{id}/remove",
            post(settings::forget_device),
        )
        .route("/w/{slug}/leave", post(settings::leave))
        .merge(contact_routes())
        .nest("/w/{slug}/admin", admin_routes())
        .merge(account_routes())
        .route(
            "/sandbox/{number_id}",
            get(sandbox::show).post(sandbox::text),
        )
        .merge(docs::route(openapi))
        .layer(middleware::from_fn_with_state(app_state.clone(), renew))
        .layer(middleware::from_fn(render_problems))
}

fn writing_routes() -> Router<AppState> {
    Router::new()
        .route(
            "/w/{slug}/send",
            get(send::show)
                .post(send::send)
                .layer(DefaultBodyLimit::max(LARGEST_UPLOAD)),
        )
        .route("/w/{slug}/send/people", get(send::people))
        .route("/w/{slug}/scheduled", get(scheduled::list))
        .route("/w/{slug}/scheduled/{message_id}", post(scheduled::change))
        .route(
            "/w/{slug}/templates",
            get(templates::list).post(templates::create),
        )
        .route("/w/{slug}/templates/new", get(templates::begin))
        .route("/w/{slug}/templates/offer", get(templates::offer))
        .route(
            "/w/{slug}/templates/{template_id}",
            get(templates::show).post(templates::update),
        )
        .route(
            "/w/{slug}/templates/{template_id}/remove",
            post(templates::remove),
        )
}

fn contact_routes() -> Router<AppState> {
    use contacts::{import, merge, remove, show};
    let routes = Router::new()
        .route("/", get(contacts::list).post(contacts::create))
        .route("/new", get(contacts::new))
        .route("/export.csv", get(contacts::export))
        .route(
            "/import",
            get(import::new)
                .post(import::upload)
                .layer(DefaultBodyLimit::max(
                    super::api::imports::MAX_FILE_BYTES + 64 * 1024,
                )),
        )
        .route(
            "/imports/{import_id}",
            get(import::show).post(import::start),
        )
        .route("/imports/{import_id}/refused.csv", get(import::refused))
        .route("/{contact_id}", get(show::show).post(show::change))
        .route("/{contact_id}/edit", get(show::edit))
        .route("/{contact_id}/tags", post(show::tag))
        .route("/{contact_id}/tags/{tag_id}/remove", post(show::untag))
        .route("/{contact_id}/consent", post(show::change_consent))
        .route("/{contact_id}/merge", get(merge::show).post(merge::merge))
        .route(
            "/{contact_id}/remove",
            get(remove::show).post(remove::remove),
        );
    Router::new().nest("/w/{slug}/contacts", routes)
}

fn admin_routes() -> Router<AppState> {
    use admin::{
        access, audit, credential_access, credits, fields, integrations, members, numbers,
        opt_outs, usage, webhooks, workspace,
    };
    Router::new()
        .route("/members", get(members::list).post(members::invite))
        .route("/members/{user_id}", post(members::change_role))
        .route("/members/{user_id}/remove", post(members::remove))
        .route("/invitations/{id}/withdraw", post(members::withdraw))
        .route("/access", get(access::matrix))
        .route(
            "/access/{number_id}",
            get(access::number).post(access::change_number),
        )
        .route("/access/{number_id}/{user_id}", post(access::change_one))
        .route("/access/people/{user_id}", post(access::change_person))
        .route(
            "/access/people/{user_id}/default",
            post(access::change_default),
        )
        .route("/credits", get(credits::list))
        .route(
            "/credits/{user_id}",
            get(credits::show).post(credits::change),
        )
        .route(
            "/integrations",
            get(integrations::list).post(integrations::connect),
        )
        .route("/integrations/{id}", post(integrations::update))
        .route("/integrations/{id}/test", post(integrations::check))
        .route("/integrations/{id}/sync", post(integrations::sync))
        .route(
            "/integrations/{id}/disconnect",
            post(integrations::disconnect),
        )
        .route("/integrations/access", get(credential_access::list))
        .route("/numbers", get(numbers::list).post(numbers::buy))
        .route("/numbers/sync", post(numbers::sync))
        .route("/numbers/{id}", get(numbers::doctor).post(numbers::update))
        .route("/numbers/{id}/release", post(numbers::release))
        .route("/numbers/{id}/webhook", post(numbers::set_webhook))
        .route("/workspace", get(workspace::show).post(workspace::update))
        .route("/workspace/delete", post(workspace::delete))
        .route("/fields", get(fields::show))
        .route("/fields/tags", post(fields::add_tag))
        .route("/fields/tags/{id}", post(fields::change_tag))
        .route("/fields/tags/{id}/remove", post(fields::remove_tag))
        .route("/fields/add", post(fields::add_field))
        .route("/fields/{id}", post(fields::change_field))
        .route("/fields/{id}/remove", post(fields::remove_field))
        .route("/opt-outs", get(opt_outs::list))
        .route("/opt-outs/export.csv", get(opt_outs::export))
        .route("/opt-outs/lift", post(opt_outs::lift))
        .route(
            "/opt-outs/import",
            post(opt_outs::import).layer(DefaultBodyLimit::max(
                2 * super::api::opt_outs::MAX_FILE_BYTES,
            )),
        )
        .route("/usage", get(usage::show))
        .route("/webhooks", get(webhooks::list))
        .route("/webhooks/release", post(webhooks::release_all))
        .route("/webhooks/discard", post(webhooks::discard_all))
        .route("/webhooks/{quarantine_id}/release", post(webhooks::release))
        .route("/webhooks/{quarantine_id}/discard", post(webhooks::discard))
        .route("/audit", get(audit::list))
}

fn account_routes() -> Router<AppState> {
    use account::two_factor;
    use accounts::{invitations, recovery};
    Router::new()
        .route("/login/code", post(accounts::second_step))
        .route(
            "/forgot-password",
            get(recovery::forgot).post(recovery::send_link),
        )
        .route(
            "/reset-password/{token}",
            get(recovery::reset).post(recovery::set_password),
        )
        .route(
            "/verify-email/{token}",
            get(recovery::verify).post(recovery::verified),
        )
        .route(
            "/invitations/{token}",
            get(invitations::show).post(invitations::accept),
        )
        .route("/account", get(account::show).post(account::rename))
        .route("/account/language", post(account::set_language))
        .route("/language", post(accounts::set_language))
        .route("/account/verify", post(account::ask_to_verify))
        .route("/account/password", post(account::change_password))
        .route("/account/two-factor", post(two_factor::begin))
        .route("/account/two-factor/confirm", post(two_factor::confirm))
        .route("/account/two-factor/off", post(two_factor::disable))
        .route("/account/sessions/end", post(account::end_all))
        .route("/account/sessions/{id}/end", post(account::end_session))
}

/// Renders a page; a template error becomes an internal problem.
pub fn page(template: &impl Template) -> Result<Html<String>, Problem> {
    template
        .render()
        .map(Html)
        .map_err(|error| Problem::from(Error::Internal(error.to_string())))
}

impl From<askama::Error> for Problem {
    fn from(error: askama::Error) -> Self {
        Error::Internal(error.to_string()).into()
    }
}

/// A rendered partial, inserted into another template without escaping.
pub type Partial = HtmlSafeOutput<String>;

pub fn partial(template: &impl Template) -> Result<Partial> {
    template
        .render()
        .map(HtmlSafeOutput)
        .map_err(|error| Error::Internal(error.to_string()))
}

pub fn streams(html: String) -> Response {
    (
        [(
            header::CONTENT_TYPE,
            "text/vnd.turbo-stream.html; charset=utf-8",
        )],
        html,
    )
        .into_response()
}

pub fn wants_streams(headers: &HeaderMap) -> bool {
    accepts(headers, "text/vnd.turbo-stream.html")
}

/// A request to catch up after a reconnect. A form submission accepts both streams and HTML.
pub fn wants_only_streams(headers: &HeaderMap) -> bool {
    wants_streams(headers) && !accepts(headers, "text/html")
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains(kind))
}

/// The id of the Turbo Frame that the request is for.
pub fn frame(headers: &HeaderMap) -> Option<&str> {
    headers.get("turbo-frame")?.to_str().ok()
}

/// Renews an expired access token (minutes) with the refresh cookie (weeks) before the page is handled.
async fn renew(State(app): State<App>, mut request: Request, next: Next) -> Response {
    // A request with a token of its own does not use the refresh cookie.
    if bearer(request.headers()).is_some() || Claimed::of(request.headers(), &app).is_some() {
        return next.run(request).await;
    }
    let jar = CookieJar::from_headers(request.headers());
    let Some(token) = jar.get(REFRESH_COOKIE) else {
        return next.run(request).await;
    };
    // A failed refresh leaves the request unauthenticated, and the page redirects to the sign-in.
    let caller = Caller::of(request.headers(), request.extensions(), &app.config);
    let Ok(signed_in) = users::refresh(&app, token.value(), &caller).await else {
        return next.run(request).await;
    };
    if let Some(session) = app.tokens.read(&signed_in.access_token) {
        request.extensions_mut().insert(Claimed(session));
    }
    let response = next.run(request).await;
    if response.headers().contains_key(header::SET_COOKIE) {
        return response; // a sign-out, or a sign-in as another user
    }
    (cookies(&app.config, &signed_in), response).into_response()
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

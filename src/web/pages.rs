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
use super::{AppState, guard};
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
mod phone_link;
pub mod problem;
mod render;
mod renewal;
mod routes;
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
pub use phone_link::{phone, phone_below};
use render::accepts;
pub use render::{
    Partial, frame, internal, page, partial, streams, wants_only_streams, wants_streams,
};
use renewal::renew;
pub use routes::routes;
pub use shell::{Shell, initial};

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

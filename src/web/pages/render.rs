//! Renders templates as pages, partials and Turbo Streams.

use askama::Template;
use askama::filters::HtmlSafeOutput;
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse, Response};

use crate::error::{Error, Result};
use crate::web::problem::Problem;

/// Renders a page; a template error becomes an internal problem.
pub fn page(template: &impl Template) -> Result<Html<String>, Problem> {
    template.render().map(Html).map_err(Problem::from)
}

impl From<askama::Error> for Problem {
    fn from(error: askama::Error) -> Self {
        internal(error).into()
    }
}

/// A template that cannot be rendered is a fault of the program.
pub fn internal(error: askama::Error) -> Error {
    Error::Internal(error.to_string())
}

/// A rendered partial, inserted into another template without escaping.
pub type Partial = HtmlSafeOutput<String>;

pub fn partial(template: &impl Template) -> Result<Partial> {
    template.render().map(HtmlSafeOutput).map_err(internal)
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

pub fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains(kind))
}

/// The id of the Turbo Frame that the request is for.
pub fn frame(headers: &HeaderMap) -> Option<&str> {
    headers.get("turbo-frame")?.to_str().ok()
}

//! Error pages. They disclose nothing internal.

use askama::Template;
use axum::http::StatusCode;

use super::form::capitalized;
use crate::language::{english, t};
use crate::web::assets;
use crate::web::language::filters;

#[derive(Template)]
#[template(path = "problem.html")]
struct Page<'a> {
    status: u16,
    title: &'a str,
    detail: &'a str,
    retry: bool,
    /// The workspace requires a second factor that the user has not set up.
    locked_out: bool,
}

pub fn page(status: StatusCode, code: &str, detail: &str) -> String {
    let locked_out = code == "two_factor_required";
    let capital = capitalized(&t(detail));
    let (title, detail) = match status {
        StatusCode::NOT_FOUND => (
            english("There is nothing here"),
            english("The address may be mistyped, or what it led to is gone."),
        ),
        StatusCode::FORBIDDEN if locked_out => {
            (english("One more step to come in"), capital.as_str())
        }
        StatusCode::FORBIDDEN if code == "signups_closed" => {
            (english("Sign-up is closed here"), capital.as_str())
        }
        StatusCode::FORBIDDEN => (english("This is not yours to see"), capital.as_str()),
        StatusCode::SERVICE_UNAVAILABLE => (
            english("The database is away"),
            english(
                "It usually is back within moments. What you have written is kept in this browser.",
            ),
        ),
        status if status.is_server_error() => (
            english("Something went wrong here"),
            english("It has been logged, and nothing was lost. Try once more."),
        ),
        _ => (english("That did not work"), capital.as_str()),
    };
    let (title, detail) = (t(title), t(detail));
    let page = Page {
        status: status.as_u16(),
        title: &title,
        detail: &detail,
        retry: status.is_server_error(),
        locked_out,
    };
    page.render().unwrap_or_else(|_| title.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_error_page_discloses_nothing() {
        let page = page(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "relation \"users\" does not exist",
        );
        assert!(page.contains("Something went wrong here") && !page.contains("relation"));
    }
}

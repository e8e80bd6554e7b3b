//! What went wrong, for people. Tells nothing of the inside.

use askama::Template;
use axum::http::StatusCode;

use crate::web::assets;

#[derive(Template)]
#[template(path = "problem.html")]
struct Page<'a> {
    status: u16,
    title: &'a str,
    detail: &'a str,
    /// The same request may well succeed in a moment.
    retry: bool,
    /// The workspace asks for a second factor, and there is none yet.
    locked_out: bool,
}

pub fn page(status: StatusCode, code: &str, detail: &str) -> String {
    let locked_out = code == "two_factor_required";
    let capital: String = detail
        .chars()
        .take(1)
        .flat_map(char::to_uppercase)
        .chain(detail.chars().skip(1))
        .collect();
    let (title, detail) = match status {
        StatusCode::NOT_FOUND => (
            "There is nothing here",
            "The address may be mistyped, or what it led to is gone.",
        ),
        StatusCode::FORBIDDEN if locked_out => ("One more step to come in", capital.as_str()),
        StatusCode::FORBIDDEN => ("This is not yours to see", capital.as_str()),
        StatusCode::SERVICE_UNAVAILABLE => (
            "The database is away",
            "It usually is back within moments. What you have written is kept in this browser.",
        ),
        status if status.is_server_error() => (
            "Something went wrong here",
            "It has been logged, and nothing was lost. Try once more.",
        ),
        _ => ("That did not work", capital.as_str()),
    };
    let page = Page {
        status: status.as_u16(),
        title,
        detail,
        retry: status.is_server_error(),
        locked_out,
    };
    page.render().unwrap_or_else(|_| title.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_ours_tells_nothing_of_the_inside() {
        let page = page(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "relation \"users\" does not exist",
        );
        assert!(page.contains("Something went wrong here") && !page.contains("relation"));
    }
}

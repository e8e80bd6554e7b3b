//! Error pages. They disclose nothing internal.

use askama::Template;
use axum::http::StatusCode;

use super::form::capitalized;
use crate::language::t;
use crate::web::assets;
use crate::web::language::filters;
use crate::web::problem::Shown;

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

pub fn page(status: StatusCode, shown: &Shown) -> String {
    let locked_out = shown.code == "two_factor_required";
    let (title, detail) = match status {
        StatusCode::NOT_FOUND => (
            t!("Page not found"),
            t!("The address may be mistyped, or the page was deleted."),
        ),
        StatusCode::FORBIDDEN if locked_out => (t!("One more step"), shown.detail.clone()),
        StatusCode::FORBIDDEN if shown.code == "signups_closed" => {
            (t!("Sign-up is closed"), shown.detail.clone())
        }
        StatusCode::FORBIDDEN => (t!("You don’t have access"), shown.detail.clone()),
        StatusCode::SERVICE_UNAVAILABLE if shown.code == "unavailable" => (
            t!("We can’t reach the database"),
            t!("It’s usually back in a moment. What you’ve written is saved in this browser."),
        ),
        // Too many requests, a provider or the file storage.
        StatusCode::SERVICE_UNAVAILABLE => (t!("Not available right now"), shown.detail.clone()),
        status if status.is_server_error() => (
            t!("Something went wrong"),
            t!("The error was logged, and nothing was lost. Try again."),
        ),
        _ => (t!("That didn’t work"), shown.detail.clone()),
    };
    let title = title.translated();
    let page = Page {
        status: status.as_u16(),
        title: &title,
        detail: &capitalized(&detail.translated()),
        retry: status.is_server_error(),
        locked_out,
    };
    page.render().unwrap_or(title)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Message;

    #[test]
    fn internal_error_page_discloses_nothing() {
        let shown = Shown {
            code: "internal",
            detail: Message::verbatim("relation \"users\" does not exist"),
        };
        let page = page(StatusCode::INTERNAL_SERVER_ERROR, &shown);
        assert!(page.contains("Something went wrong") && !page.contains("relation"));
    }

    #[test]
    fn page_of_an_outage_says_what_is_unavailable() {
        let busy = Shown {
            code: "busy",
            detail: Message::verbatim("Too many requests at once."),
        };
        let page_of_busy = page(StatusCode::SERVICE_UNAVAILABLE, &busy);
        assert!(page_of_busy.contains("Too many requests at once."));
        assert!(!page_of_busy.contains("database"));
        let outage = Shown {
            code: "unavailable",
            ..busy
        };
        assert!(page(StatusCode::SERVICE_UNAVAILABLE, &outage).contains("reach the database"));
    }
}

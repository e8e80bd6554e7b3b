//! The row of a number in lists and live updates.

use askama::Template;

use crate::domain::numbers::{Number, Status, WebhookState};
use crate::providers;
use crate::web::language::filters;
use crate::web::{assets, pages};

/// A number's row. A live update highlights it when a text arrives.
#[derive(Template)]
#[template(path = "admin/_number.html")]
pub struct NumberRow<'a> {
    pub number: &'a Number,
    /// A webhook test waits for a text to this number.
    pub is_awaited: bool,
}

impl NumberRow<'_> {
    fn is_sandbox(&self) -> bool {
        self.number.provider == providers::Kind::Sandbox
    }

    fn is_active(&self) -> bool {
        self.number.status == Status::Active
    }
}

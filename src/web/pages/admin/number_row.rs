//! A number, beside its integration and among all.

use askama::Template;

use crate::domain::numbers::{Number, Status, WebhookState};
use crate::providers;
use crate::web::language::filters;
use crate::web::{assets, pages};

/// One number, also live: its line turns green when a text arrives.
#[derive(Template)]
#[template(path = "admin/_number.html")]
pub struct NumberRow<'a> {
    pub number: &'a Number,
    /// Somebody is about to text it, to see that it works.
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

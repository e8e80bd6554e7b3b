//! Parts of a thread that show the conversation's state and are replaced when it changes.

use askama::Template;

use crate::domain::conversations::{Conversation, Status};
use crate::web::language::filters;
use crate::web::{assets, pages};

/// The status buttons. Their URLs are relative to the conversation's.
#[derive(Template)]
#[template(path = "inbox/_status.html")]
pub struct StatusControl<'a> {
    pub conversation: &'a Conversation,
}

/// Why nothing can be sent: an opt-out, a possible opt-out, or a sender without a number.
#[derive(Template)]
#[template(path = "inbox/_blocked.html")]
pub struct Blocked<'a> {
    pub conversation: &'a Conversation,
}

#[derive(Template)]
#[template(path = "inbox/_consent.html")]
pub struct Consent<'a> {
    pub conversation: &'a Conversation,
}

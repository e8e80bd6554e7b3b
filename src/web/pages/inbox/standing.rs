//! What a thread says of its conversation, and says anew whenever that changes.

use askama::Template;

use crate::domain::conversations::{Conversation, Status};
use crate::web::language::filters;
use crate::web::{assets, pages};

/// The buttons that say where the conversation stands. Its addresses are relative to the conversation's own.
#[derive(Template)]
#[template(path = "inbox/_status.html")]
pub struct StatusControl<'a> {
    pub conversation: &'a Conversation,
}

/// Why nothing can be sent, if so.
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

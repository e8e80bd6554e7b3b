//! One conversation in the list.

use askama::Template;

use super::filter::ListLocation;
use crate::domain::conversations::Conversation;
use crate::web::language::filters;
use crate::web::pages::Partial;
use crate::web::pages::contacts::few_tags;
use crate::web::{assets, pages};

/// One conversation in the list. Live it comes without a place: the page that shows it knows its own.
#[derive(Template)]
#[template(path = "inbox/_row.html")]
pub struct ConversationRow<'a> {
    pub conversation: &'a Conversation,
    pub place: &'a ListLocation,
    pub current: bool,
    /// What the viewer is writing there. Live nobody's: the page knows its own.
    pub draft: &'a str,
}

impl ConversationRow<'_> {
    /// Where there are any: hardly any row has one, and none is rendered for nothing.
    fn tags(&self) -> Partial {
        few_tags(&self.conversation.contact)
    }
}

use askama::Template;

use super::filter::ListLocation;
use crate::domain::conversations::Conversation;
use crate::web::language::filters;
use crate::web::pages::Partial;
use crate::web::pages::contacts::card::few_tags;
use crate::web::{assets, pages};

/// One conversation in the list. Rows of live updates have no `location`: the page inserts its own.
#[derive(Template)]
#[template(path = "inbox/_row.html")]
pub struct ConversationRow<'a> {
    pub conversation: &'a Conversation,
    pub location: &'a ListLocation,
    pub current: bool,
    /// The beginning of the viewer's draft. Empty in live updates: the page keeps its own.
    pub draft: &'a str,
}

impl ConversationRow<'_> {
    /// Empty without tags: most rows have none, so nothing is rendered.
    fn tags(&self) -> Partial {
        few_tags(&self.conversation.contact)
    }
}

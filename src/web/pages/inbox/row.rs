use askama::Template;

use super::filter::ListLocation;
use crate::domain::conversations::Conversation;
use crate::ids::UserId;
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
    /// The viewer. Unknown in live updates: the page knows.
    pub me: Option<UserId>,
    /// The beginning of the viewer's draft. Empty in live updates: the page keeps its own.
    pub draft: &'a str,
}

impl ConversationRow<'_> {
    fn is_mine(&self) -> bool {
        self.me.is_some() && self.me == self.conversation.last_message_by
    }

    /// Space-separated ids, for the filter of the list.
    fn tag_ids(&self) -> String {
        let ids: Vec<_> = self
            .conversation
            .contact
            .tags
            .iter()
            .map(|tag| tag.id.to_string())
            .collect();
        ids.join(" ")
    }

    /// Empty without tags: most rows have none, so nothing is rendered.
    fn tags(&self) -> Partial {
        few_tags(&self.conversation.contact)
    }
}

//! The message in place of an empty list.

use super::filter::{InboxFilter, Tab};
use crate::domain::members::Member;
use crate::language::{replace_placeholder, t};

pub struct Empty {
    pub icon: &'static str,
    pub title: String,
    pub text: &'static str,
    pub action: Option<(String, &'static str)>,
}

pub fn empty(
    inbox_filter: &InboxFilter,
    is_empty: bool,
    connected: bool,
    member: &Member,
) -> Empty {
    let message = |icon, title: &str, text| Empty {
        icon,
        title: title.to_owned(),
        text,
        action: None,
    };
    if is_empty && !inbox_filter.q().is_empty() {
        return message(
            "search",
            &replace_placeholder(&t("Nothing found for “{q}”"), "q", inbox_filter.q()),
            "Searched were any part of a name or number, and the words of all texts and notes that you may see.",
        );
    }
    if !connected {
        return message(
            "inbox",
            "No texts yet",
            "Once a number is connected, texts to it land here.",
        );
    }
    if is_empty && inbox_filter.is_filtered() {
        let all = inbox_filter.widened();
        let href = format!("/w/{}/inbox{}", member.slug, all.query(all.tab, None));
        return Empty {
            action: Some((href, "Show all")),
            ..message(
                "list-filter",
                "Nothing like that here",
                "No conversation of this tab fits what the list is narrowed to.",
            )
        };
    }
    match inbox_filter.tab {
        Tab::Snoozed => message(
            "alarm-clock",
            "Nothing is snoozed",
            "A snoozed conversation waits here and comes back at its time, or with a new text.",
        ),
        Tab::Mentions => message(
            "at-sign",
            "Nobody has mentioned you",
            "When a colleague writes @ and your name in a note, the conversation is found here.",
        ),
        Tab::Open => message(
            "check-check",
            "All done",
            "New texts land here by themselves.",
        ),
        Tab::Mine => message(
            "user-round",
            "Nothing assigned to you",
            "Assign a conversation to yourself to keep it here.",
        ),
        Tab::Pending => message(
            "clock",
            "Nothing is waiting",
            "Mark a conversation as pending while you wait for something.",
        ),
        Tab::Done => message(
            "check",
            "Nothing done yet",
            "Conversations that you finish are kept here.",
        ),
    }
}

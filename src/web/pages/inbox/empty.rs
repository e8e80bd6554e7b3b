//! The message in place of an empty list.

use super::filter::{InboxFilter, Tab};
use crate::domain::members::Member;
use crate::language::{Message, t};

pub struct Empty {
    pub icon: &'static str,
    pub title: Message,
    pub text: Message,
    pub action: Option<(String, Message)>,
}

pub fn empty(
    inbox_filter: &InboxFilter,
    is_empty: bool,
    connected: bool,
    member: &Member,
) -> Empty {
    let message = |icon, title, text| Empty {
        icon,
        title,
        text,
        action: None,
    };
    if is_empty && !inbox_filter.q().is_empty() {
        return message(
            "search",
            t!("Nothing found for “{q}”", q = inbox_filter.q()),
            t!(
                "Searched were any part of a name or number, and the words of all texts and notes that you may see."
            ),
        );
    }
    if !connected {
        return message(
            "inbox",
            t!("No texts yet"),
            t!("Once a number is connected, texts to it land here."),
        );
    }
    if is_empty && inbox_filter.is_filtered() {
        let all = inbox_filter.widened();
        let href = format!("/w/{}/inbox{}", member.slug, all.query(all.tab, None));
        return Empty {
            action: Some((href, t!("Show all"))),
            ..message(
                "list-filter",
                t!("Nothing like that here"),
                t!("No conversation of this tab fits what the list is narrowed to."),
            )
        };
    }
    match inbox_filter.tab {
        Tab::Snoozed => message(
            "alarm-clock",
            t!("Nothing is snoozed"),
            t!("A snoozed conversation waits here and comes back at its time, or with a new text."),
        ),
        Tab::Mentions => message(
            "at-sign",
            t!("Nobody has mentioned you"),
            t!(
                "When a colleague writes @ and your name in a note, the conversation is found here."
            ),
        ),
        Tab::Open => message(
            "check-check",
            t!("All done"),
            t!("New texts land here by themselves."),
        ),
        Tab::Mine => message(
            "user-round",
            t!("Nothing assigned to you"),
            t!("Assign a conversation to yourself to keep it here."),
        ),
        Tab::Unassigned => message(
            "user-round",
            t!("Everything is assigned"),
            t!("Open conversations that are assigned to nobody are listed here."),
        ),
        Tab::Waiting => message(
            "check-check",
            t!("Everyone has an answer"),
            t!("Conversations stay here until somebody answers them or marks them as done."),
        ),
        Tab::Pending => message(
            "clock",
            t!("Nothing is waiting"),
            t!("Mark a conversation as pending while you wait for something."),
        ),
        Tab::Done => message(
            "check",
            t!("Nothing done yet"),
            t!("Conversations that you finish are kept here."),
        ),
    }
}

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
            t!("No results for “{q}”", q = inbox_filter.q()),
            t!("We searched names, numbers, and all the messages and notes you can see."),
        );
    }
    if !connected {
        return message(
            "inbox",
            t!("No texts yet"),
            t!("Once a number is connected, its texts appear here."),
        );
    }
    if is_empty && inbox_filter.is_filtered() {
        let all = inbox_filter.widened();
        let href = format!("/w/{}/inbox{}", member.slug, all.query(all.tab, None));
        return Empty {
            action: Some((href, t!("Show all"))),
            ..message(
                "list-filter",
                t!("No matches"),
                t!("No conversations in this tab match the filter."),
            )
        };
    }
    match inbox_filter.tab {
        Tab::Snoozed => message(
            "alarm-clock",
            t!("Nothing snoozed"),
            t!("Snoozed conversations stay here until their time comes or a new text arrives."),
        ),
        Tab::Mentions => message(
            "at-sign",
            t!("No mentions yet"),
            t!("When a teammate mentions you with @ in a note, the conversation appears here."),
        ),
        Tab::Open => message(
            "check-check",
            t!("All done"),
            t!("New messages appear here automatically."),
        ),
        Tab::Mine => message(
            "user-round",
            t!("Nothing assigned to you"),
            t!("Conversations assigned to you appear here."),
        ),
        Tab::Unassigned => message(
            "user-round",
            t!("Everything is assigned"),
            t!("Open conversations without an assignee appear here."),
        ),
        Tab::Waiting => message(
            "check-check",
            t!("Everyone has a reply"),
            t!("Conversations stay here until someone replies or marks them as done."),
        ),
        Tab::Pending => message(
            "clock",
            t!("Nothing pending"),
            t!("Mark a conversation as pending while you’re waiting on someone."),
        ),
        Tab::Done => message(
            "check",
            t!("Nothing marked as done yet"),
            t!("Conversations you mark as done appear here."),
        ),
    }
}

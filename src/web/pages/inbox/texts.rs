//! The texts of a thread: which belong together, and how each one looks.

use std::borrow::Cow;
use std::fmt::Write as _;

use askama::Template;
use askama::filters::{HtmlSafeOutput, escape};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::links::{self, Piece};
use crate::domain::conversations::activity::Activity;
use crate::domain::messages::{self, Mention, Message, Status};
use crate::error::Result;
use crate::ids::MessageId;
use crate::language::{self, t};
use crate::web::language::filters;
use crate::web::pages::{Partial, partial};
use crate::web::{assets, pages};

/// A page of texts, oldest first, and the way to those above.
#[derive(Template)]
#[template(path = "inbox/_texts.html")]
pub struct Texts {
    older: Option<(String, String)>,
    texts: Vec<Text>,
    newer: Option<(String, String)>,
}

/// A text, or a line of what happened between two.
struct Text {
    /// Its day in UTC, where it begins one; the browser knows better.
    day: Option<String>,
    first_unread: bool,
    bubble: Partial,
}

/// A line of the thread, by the time that is in its id.
enum Line<'a> {
    Text(&'a Message),
    Happened(&'a Activity),
}

impl Line<'_> {
    fn id(&self) -> Uuid {
        match self {
            Self::Text(message) => message.id.0,
            Self::Happened(one) => one.id.0,
        }
    }

    fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Text(message) => message.created_at,
            Self::Happened(one) => one.created_at,
        }
    }
}

impl Texts {
    /// `newest_first`, as lists come. Of theirs, the last `unread` have not been seen.
    pub fn new(
        newest_first: &[Message],
        happened: &[Activity],
        unread: i32,
        older: Option<(String, String)>,
    ) -> Result<Self> {
        let messages: Vec<&Message> = newest_first.iter().rev().collect();
        let first_unread = first_unread(&messages, unread);
        let mut lines: Vec<_> = newest_first
            .iter()
            .map(Line::Text)
            .chain(happened.iter().map(Line::Happened))
            .collect();
        lines.sort_by_key(Line::id);
        let mut day = None;
        let mut texts = Vec::with_capacity(lines.len());
        for (i, line) in lines.iter().enumerate() {
            let today = line.at().date_naive();
            let begins = day.replace(today) != Some(today);
            texts.push(Text {
                day: begins.then(|| language::day(&line.at())),
                first_unread: matches!(line, Line::Text(message) if first_unread == Some(message.id)),
                bubble: match (line, lines.get(i + 1)) {
                    (Line::Happened(one), _) => partial(&Happened { one })?,
                    (Line::Text(message), next) => partial(&Bubble {
                        message,
                        joined: matches!(next, Some(Line::Text(next))
                            if first_unread != Some(next.id) && joins(message, next)),
                    })?,
                },
            });
        }
        Ok(Self {
            older,
            texts,
            newer: None,
        })
    }

    /// The way to those below.
    pub fn with_newer(self, newer: Option<(String, String)>) -> Self {
        Self { newer, ..self }
    }
}

fn first_unread(messages: &[&Message], unread: i32) -> Option<MessageId> {
    let unread = usize::try_from(unread).unwrap_or(0);
    let theirs = messages.iter().rev().filter(|message| {
        message.direction == messages::Direction::Inbound && !message.is_reaction()
    });
    // Where some of them lie further up, the first is not here.
    theirs
        .skip(unread.checked_sub(1)?)
        .map(|message| message.id)
        .next()
}

/// The same person within the same minute is one run, and one line below it says when.
fn joins(message: &Message, next: &Message) -> bool {
    let minute = |at: DateTime<Utc>| at.timestamp().div_euclid(60);
    !message.is_note()
        && !message.failed()
        && message.direction == next.direction
        && message.created_by == next.created_by
        && minute(message.created_at) == minute(next.created_at)
}

/// A line between the texts: what somebody did with the conversation.
#[derive(Template)]
#[template(path = "inbox/_happened.html")]
pub struct Happened<'a> {
    pub one: &'a Activity,
}

/// One text. The thread includes it in its loop; the live socket sends it alone.
#[derive(Template)]
#[template(path = "inbox/_bubble.html")]
pub struct Bubble<'a> {
    pub message: &'a Message,
    /// The next one continues it: what stands below is said there.
    pub joined: bool,
}

#[derive(Template)]
#[template(path = "inbox/_state.html")]
struct StatusLine<'a> {
    message: &'a Message,
}

/// What can still be done about a text that waits for its time.
#[derive(Template)]
#[template(path = "inbox/_planned.html")]
pub struct Planner<'a> {
    pub message: &'a Message,
    pub action: String,
}

impl Bubble<'_> {
    fn is_scheduled(&self) -> bool {
        self.message.status == Status::Scheduled
    }

    fn planner(&self) -> HtmlSafeOutput<Planner<'_>> {
        let Message {
            workspace_id,
            conversation_id,
            id,
            ..
        } = self.message;
        HtmlSafeOutput(Planner {
            message: self.message,
            action: format!("/w/{workspace_id}/inbox/{conversation_id}/messages/{id}"),
        })
    }

    /// What did not arrive, or nobody knows whether it did: a person decides.
    fn may_go_again(&self) -> bool {
        let undecided = self.message.failed() || self.message.status == Status::Unconfirmed;
        undecided && self.message.is_ours() && self.message.retried_as.is_none()
    }

    fn state(&self) -> HtmlSafeOutput<StatusLine<'_>> {
        HtmlSafeOutput(StatusLine {
            message: self.message,
        })
    }

    /// On its way: not yet with the carrier.
    fn waiting(&self) -> bool {
        matches!(self.message.status, Status::Queued | Status::Sending)
    }

    /// Its state is said even in the middle of a run.
    fn loud(&self) -> bool {
        self.message.failed()
            || matches!(self.message.status, Status::Unconfirmed | Status::Scheduled)
    }

    fn by(&self) -> Cow<'_, str> {
        match &self.message.created_by_name {
            Some(name) => name.into(),
            None if self.message.is_note() => "MessageHub".into(),
            None => t("We"),
        }
    }

    /// A few emoji and nothing else are shown large.
    fn is_emoji_only(&self) -> bool {
        let text = self.message.content.trim();
        let is_emoji = |c: char| matches!(c, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' | '\u{fe0f}' | '\u{200d}');
        !self.message.is_note()
            && text.chars().count() <= 8
            && text.chars().any(|c| c > '\u{2600}')
            && text.chars().all(is_emoji)
    }

    fn text(&self) -> HtmlSafeOutput<String> {
        let text = self.message.content.trim_end();
        HtmlSafeOutput(marked_up(text, &self.message.mentions))
    }
}

/// The text as HTML: escaped, with its web addresses as links and the names that a note calls standing out.
fn marked_up(text: &str, mentions: &[Mention]) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    for piece in links::pieces(text) {
        match piece {
            Piece::Words(words) => html += &calling(words, mentions),
            Piece::Address { shown, scheme } => {
                let shown = escaped(shown);
                let _ = write!(
                    html,
                    r#"<a href="{scheme}{shown}" target="_blank" rel="noopener noreferrer nofollow">{shown}</a>"#
                );
            }
        }
    }
    html
}

fn calling(words: &str, mentions: &[Mention]) -> String {
    mentions.iter().fold(escaped(words), |html, called| {
        let name = escaped(&format!("@{}", called.name));
        let marked = format!(
            r#"<mark class="mention" data-user="{}">{name}</mark>"#,
            called.user_id
        );
        html.replace(&name, &marked)
    })
}

fn escaped(text: &str) -> String {
    escape(text, askama::filters::Html)
        .expect("plain text escapes")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::{Mention, marked_up};
    use crate::ids::UserId;

    #[test]
    fn a_link_is_escaped_and_opens_elsewhere() {
        let link = |address: &str, shown: &str| {
            format!(
                r#"<a href="{address}" target="_blank" rel="noopener noreferrer nofollow">{shown}</a>"#
            )
        };
        let html = |text| marked_up(text, &[]);
        assert_eq!(
            html("See https://a.test/b?c=1&d=2."),
            format!(
                "See {}.",
                link(
                    "https://a.test/b?c=1&#38;d=2",
                    "https://a.test/b?c=1&#38;d=2"
                )
            )
        );
        assert_eq!(
            html("www.a.test)\nok"),
            format!("{})\nok", link("https://www.a.test", "www.a.test"))
        );
        assert_eq!(
            html("javascript:alert(1) <b>"),
            "javascript:alert(1) &#60;b&#62;"
        );
        for text in [
            "https://a.test/\"onclick=\"x",
            "https://a.test/'onclick='x",
            "https://a.test/<script>alert(1)</script>",
            "https://javascript:alert(1)",
        ] {
            let html = html(text);
            assert!(
                !html.contains("\"onclick") && !html.contains("'onclick"),
                "{html}"
            );
            assert!(
                !html.contains("<script") && !html.contains("href=\"javascript"),
                "{html}"
            );
        }
    }

    #[test]
    fn a_name_that_is_called_stands_out_but_never_inside_an_address() {
        let jo = Mention {
            user_id: UserId::new(),
            name: "Jo".into(),
        };
        let mark = format!(
            r#"<mark class="mention" data-user="{}">@Jo</mark>"#,
            jo.user_id
        );
        let html = marked_up("@Jo see https://a.test/@Jo", std::slice::from_ref(&jo));
        assert!(
            html.starts_with(&format!("{mark} see <a href=\"https://a.test/@Jo\"")),
            "{html}"
        );
        assert_eq!(html.matches("<mark").count(), 1, "{html}");
    }
}

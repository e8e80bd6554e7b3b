//! The texts of a thread: grouping, activity lines and bubbles.

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

/// A page of texts, oldest first, with the frame id and URL of the pages before and after.
#[derive(Template)]
#[template(path = "inbox/_texts.html")]
pub struct Texts {
    older: Option<(String, String)>,
    texts: Vec<Text>,
    newer: Option<(String, String)>,
}

struct Text {
    /// The UTC date before the first line of a day; the script replaces it with the viewer's date.
    day: Option<String>,
    first_unread: bool,
    bubble: Partial,
}

/// A text or an activity line.
enum Line<'a> {
    Text(&'a Message),
    Activity(&'a Activity),
}

impl Line<'_> {
    /// UUIDv7: sorts by time.
    fn place(&self) -> Uuid {
        match self {
            Self::Text(message) => message.place(),
            Self::Activity(one) => one.id.0,
        }
    }

    fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Text(message) => *message.shown_at(),
            Self::Activity(one) => one.created_at,
        }
    }
}

impl Texts {
    /// Takes `newest_first`, as lists return them. The last `unread` inbound texts are unread.
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
            .chain(happened.iter().map(Line::Activity))
            .collect();
        lines.sort_by_key(Line::place);
        let mut day = None;
        let mut texts = Vec::with_capacity(lines.len());
        for (i, line) in lines.iter().enumerate() {
            let today = line.at().date_naive();
            let begins = day.replace(today) != Some(today);
            texts.push(Text {
                day: begins.then(|| language::day(&line.at())),
                first_unread: matches!(line, Line::Text(message) if first_unread == Some(message.id)),
                bubble: match (line, lines.get(i + 1)) {
                    (Line::Activity(one), _) => partial(&ActivityLine { one })?,
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

    pub fn with_newer(self, newer: Option<(String, String)>) -> Self {
        Self { newer, ..self }
    }
}

fn first_unread(messages: &[&Message], unread: i32) -> Option<MessageId> {
    let unread = usize::try_from(unread).unwrap_or(0);
    let theirs = messages.iter().rev().filter(|message| {
        message.direction == messages::Direction::Inbound && !message.is_reaction()
    });
    // `None` if the first unread text is on an earlier page.
    theirs
        .skip(unread.checked_sub(1)?)
        .map(|message| message.id)
        .next()
}

/// Texts of the same sender within one minute are grouped, with one status line below.
fn joins(message: &Message, next: &Message) -> bool {
    let minute = |at: DateTime<Utc>| at.timestamp().div_euclid(60);
    !message.is_note()
        && !message.failed()
        && message.direction == next.direction
        && message.created_by == next.created_by
        && minute(*message.shown_at()) == minute(*next.shown_at())
}

#[derive(Template)]
#[template(path = "inbox/_activity_line.html")]
pub struct ActivityLine<'a> {
    pub one: &'a Activity,
}

/// One text, in the thread or as a live update.
#[derive(Template)]
#[template(path = "inbox/_bubble.html")]
pub struct Bubble<'a> {
    pub message: &'a Message,
    /// The next text is in the same group, and the status line is below that one.
    pub joined: bool,
}

#[derive(Template)]
#[template(path = "inbox/_state.html")]
struct StatusLine<'a> {
    message: &'a Message,
}

#[derive(Template)]
#[template(path = "inbox/_scheduled_form.html")]
pub struct ScheduledForm<'a> {
    pub message: &'a Message,
    pub action: String,
}

impl Bubble<'_> {
    fn is_scheduled(&self) -> bool {
        self.message.is_scheduled()
    }

    fn scheduled_form(&self) -> HtmlSafeOutput<ScheduledForm<'_>> {
        let Message {
            workspace_id,
            conversation_id,
            id,
            ..
        } = self.message;
        HtmlSafeOutput(ScheduledForm {
            message: self.message,
            action: format!("/w/{workspace_id}/inbox/{conversation_id}/messages/{id}"),
        })
    }

    /// If it is not that of its id.
    fn place(&self) -> Option<Uuid> {
        Some(self.message.place()).filter(|place| *place != self.message.id.0)
    }

    /// Whether a member may retry the text: it failed, or its outcome is unknown.
    fn can_retry(&self) -> bool {
        let undecided = self.message.failed() || self.message.status == Status::Unconfirmed;
        undecided && self.message.is_ours() && self.message.retried_as.is_none()
    }

    fn state(&self) -> HtmlSafeOutput<StatusLine<'_>> {
        HtmlSafeOutput(StatusLine {
            message: self.message,
        })
    }

    /// Not yet accepted by the provider.
    fn waiting(&self) -> bool {
        matches!(self.message.status, Status::Queued | Status::Sending)
    }

    fn is_canceled(&self) -> bool {
        self.message.status == Status::Canceled
    }

    /// Whether its status is shown even within a group.
    fn always_shows_status(&self) -> bool {
        self.message.failed()
            || matches!(self.message.status, Status::Unconfirmed | Status::Scheduled)
    }

    fn by(&self) -> Cow<'_, str> {
        match &self.message.created_by_name {
            Some(name) => name.into(),
            None if self.message.is_note() => "MessageHub".into(),
            None => t!("Us").translated().into(),
        }
    }

    /// At most eight characters, all of them emoji: shown large.
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

/// Escaped HTML with web addresses as links and mentions marked.
fn marked_up(text: &str, mentions: &[Mention]) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    for piece in links::pieces(text) {
        match piece {
            Piece::Text(text) => html += &with_mentions(text, mentions),
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

fn with_mentions(text: &str, mentions: &[Mention]) -> String {
    mentions.iter().fold(escaped(text), |html, mention| {
        let name = escaped(&format!("@{}", mention.name));
        let marked = format!(
            r#"<mark class="mention" data-user="{}">{name}</mark>"#,
            mention.user_id
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

//! The pane of an open conversation: what it shows, and how that is loaded.

use askama::Template;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

use super::contact::{self, Details};
use super::filter::{InboxFilter, ListLocation};
use super::list::{Index, Nothing, OpenThread, shell_and_list};
use super::state_parts::{Blocked, StatusControl};
use super::texts::Bubble;
use super::thread_part::{self, ThreadPart};
use crate::db::WorkspaceTx;
use crate::domain::conversations::Conversation;
use crate::domain::credits::{self, Balance};
use crate::domain::drafts::Draft;
use crate::domain::inbox::{self, Around, Surroundings};
use crate::domain::media::uploads;
use crate::domain::members::Member;
use crate::domain::messages::{self, Media};
use crate::domain::numbers::{self, Number, Viewer};
use crate::domain::templates::Template as Saved;
use crate::error::Result;
use crate::ids::{MessageId, UserId};
use crate::language::Message;
use crate::phone;
use crate::web::language::filters;
use crate::web::pages::fragments;
use crate::web::pages::{Partial, page, partial};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "inbox/_pane.html")]
pub struct Pane {
    pub conversation: Conversation,
    location: ListLocation,
    me: UserId,
    /// Members who see this number: they can be assigned or mentioned.
    colleagues: Vec<Viewer>,
    status: Partial,
    blocked: Partial,
    /// The number or its integration is disabled.
    unusable: bool,
    texts: Partial,
    scheduled: Vec<Partial>,
    newest: Option<MessageId>,
    key: Uuid,
    draft: String,
    draft_at: Option<DateTime<Utc>>,
    media: Vec<Media>,
    /// Appended to the member's texts and counted in their length.
    signature: String,
    /// Other numbers that can text the contact.
    others: Vec<Number>,
    /// Templates offered without scripts.
    templates: Vec<Saved>,
    announcement: Option<Message>,
    mms: bool,
    /// Bytes of all files of a text, as the number's provider takes them.
    media_limit: i64,
    notice: Option<String>,
    undo: Option<Partial>,
    /// Unread notes that mention the member.
    mentions: i64,
    note: NoteForm,
    note_key: Uuid,
    note_error: Partial,
    /// An agent's balance; `None` for an admin, whose use is not limited.
    credits: Option<Partial>,
    details: Partial,
    /// The text that the thread was opened at.
    at: Option<MessageId>,
    has_newer: bool,
}

impl Pane {
    /// File types for the file dialog. The server checks the content of each file.
    fn accept(&self) -> String {
        uploads::SENDABLE.join(",")
    }

    /// If positive, the page marks the conversation as read.
    fn unseen(&self) -> i64 {
        i64::from(self.conversation.unread_count) + self.mentions
    }

    fn slug(&self) -> &str {
        let path = self.location.base.strip_prefix("/w/").unwrap_or_default();
        path.strip_suffix("/inbox").unwrap_or_default()
    }

    fn mms(&self) -> bool {
        self.mms
    }

    fn draft_at(&self) -> String {
        let at = self.draft_at;
        at.map_or_else(String::new, |at| {
            at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
        })
    }

    fn number_phone(&self) -> String {
        phone::display(&self.conversation.number_phone)
    }
}

#[derive(Template)]
#[template(path = "inbox/_note_error.html")]
pub struct NoteError<'a> {
    pub notice: Option<&'a str>,
}

/// Submitted values and the reason why the request was refused.
#[derive(Default)]
pub struct Answer {
    pub draft: String,
    pub media: Vec<Media>,
    pub notice: Option<String>,
    pub note: NoteForm,
    pub undo: Option<Partial>,
    pub announcement: Option<Message>,
}

#[derive(Default)]
pub struct NoteForm {
    pub draft: String,
    pub notice: Option<String>,
}

impl Answer {
    /// Shows the saved draft unless a request was refused.
    fn or_draft(self, draft: Draft) -> (Self, Option<DateTime<Utc>>) {
        if self.notice.is_some() {
            return (self, None);
        }
        let answer = Self {
            draft: draft.content,
            media: draft.media,
            ..self
        };
        (answer, draft.updated_at)
    }
}

/// The whole page with the conversation opened.
pub async fn thread_page(
    tx: &mut WorkspaceTx,
    member: &Member,
    (conversation, others): (Conversation, Vec<Conversation>),
    inbox_filter: &InboxFilter,
    part: ThreadPart,
    answer: Answer,
) -> Result<Response, Problem> {
    let surroundings = inbox::surroundings(tx, member, Around::List).await?;
    let current = Some(conversation.id);
    let (shell, list) = shell_and_list(tx, member, inbox_filter, &surroundings, current).await?;
    let opened = Opened {
        conversation,
        others,
        location: ListLocation::new(member, inbox_filter),
        part,
        answer,
    };
    let pane = open(tx, member, surroundings, opened).await?;
    Ok(page(&Index {
        shell,
        list,
        open: Some(OpenThread {
            title: pane.conversation.title(),
            pane: partial(&pane)?,
        }),
        nothing: Nothing::new(member, true),
    })?
    .into_response())
}

/// The conversation of a pane, and how it is opened.
pub struct Opened {
    pub conversation: Conversation,
    /// The contact's other conversations.
    pub others: Vec<Conversation>,
    pub location: ListLocation,
    pub part: ThreadPart,
    pub answer: Answer,
}

pub async fn open(
    tx: &mut WorkspaceTx,
    member: &Member,
    surroundings: Surroundings,
    opened: Opened,
) -> Result<Pane> {
    let Opened {
        conversation,
        others: other_conversations,
        location,
        part,
        answer,
    } = opened;
    let lines = match part {
        ThreadPart::Newest => thread_part::LINES,
        _ => contact::LINES,
    };
    let mut beside = inbox::beside(tx, &conversation, lines).await?;
    let latest = Some(beside.activity.as_slice());
    let shown = thread_part::texts(tx, &conversation, &location, part, latest).await?;
    let scheduled = scheduled(tx, &beside.scheduled).await?;
    let details = Details::new(&conversation, other_conversations, &location, &mut beside)?;
    let (own, mut others): (Vec<_>, Vec<_>) = surroundings
        .numbers
        .into_iter()
        .partition(|number| number.id == conversation.number_id);
    let number = own.first();
    others.retain(can_send);
    let (answer, draft_at) = answer.or_draft(beside.draft);
    let credits = surroundings
        .balance
        .map(|balance| partial(&fragments::Credits { balance }));
    Ok(Pane {
        me: member.user(),
        colleagues: beside.viewers,
        status: partial(&StatusControl {
            conversation: &conversation,
        })?,
        blocked: partial(&Blocked {
            conversation: &conversation,
        })?,
        unusable: !number.is_some_and(can_send),
        mms: number.is_some_and(|number| number.capabilities.mms),
        media_limit: number.map_or(0, |number| number.provider.media_limits().together),
        texts: shown.texts,
        scheduled,
        newest: shown.newest,
        at: shown.at,
        has_newer: shown.has_newer,
        key: crate::clock::id(),
        others,
        signature: surroundings.signature,
        templates: beside.templates,
        draft: answer.draft,
        draft_at,
        media: answer.media,
        notice: answer.notice,
        announcement: answer.announcement,
        undo: answer.undo,
        mentions: beside.mentions,
        note_error: partial(&NoteError {
            notice: answer.note.notice.as_deref(),
        })?,
        note_key: crate::clock::id(),
        note: answer.note,
        credits: credits.transpose()?,
        details: partial(&details)?,
        location,
        conversation,
    })
}

/// One round trip if there are any.
async fn scheduled(tx: &mut WorkspaceTx, ids: &[MessageId]) -> Result<Vec<Partial>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut messages = messages::find_many(tx, ids).await?;
    messages.sort_unstable_by_key(|message| (message.scheduled_at, message.id));
    let bubble = |message| {
        partial(&Bubble {
            message,
            joined: false,
        })
    };
    messages.iter().map(bubble).collect()
}

pub(super) async fn balance(tx: &mut WorkspaceTx, member: &Member) -> Result<Option<Balance>> {
    let account = credits::of(tx, member, member.user()).await?;
    Ok((!account.unlimited).then_some(Balance {
        left: account.balance,
        is_low: account.is_low,
    }))
}

pub fn can_send(number: &Number) -> bool {
    number.status == numbers::Status::Active && number.capabilities.sms
}

//! The open conversation: its texts and the panes around them.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::changes::{Mark, Undo};
use super::contact::{self, Details, PastActivity};
use super::filter::{InboxFilter, ListLocation};
use super::note::NoteError;
use super::standing::{Blocked, StatusControl};
use super::texts::Texts;
use super::{Index, IntoHtml, Nothing, missed_rows, pane as list_pane};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::conversations::activity;
use crate::domain::conversations::{self, Conversation, ConversationState};
use crate::domain::credits::{self, Balance};
use crate::domain::drafts::Draft;
use crate::domain::inbox::{self, Surroundings};
use crate::domain::media::uploads;
use crate::domain::members::Member;
use crate::domain::messages::{self, Media};
use crate::domain::numbers::{self, Number, Viewer};
use crate::domain::templates::Template as Saved;
use crate::error::{Error, Result};
use crate::ids::{ConversationId, MessageId, UserId};
use crate::language::{Message, t};
use crate::listing::{Cursor, Page, Span};
use crate::phone;
use crate::web::assets;
use crate::web::language::filters;
use crate::web::pages::fragments;
use crate::web::pages::{Partial, frame, page, partial, streams, wants_only_streams};
use crate::web::problem::Problem;

const TEXTS: i64 = 40;
const MAX_TEXTS: i64 = 200;
const LINES: i64 = 200;

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

#[derive(Debug, Default, Deserialize)]
pub struct ThreadQuery {
    before: Option<String>,
    /// A message id; ids sort by time.
    after: Option<String>,
    /// A message id from a search result.
    at: Option<String>,
    /// `switched`: the member changed to another number.
    from: Option<String>,
    /// Without scripts: the standing after and before the latest change.
    #[serde(default)]
    is: String,
    #[serde(default)]
    was: String,
}

#[derive(Clone, Debug, Default)]
pub enum ThreadPart {
    #[default]
    Newest,
    Before(String),
    After(MessageId),
    /// Half a page before and half a page after.
    Around(MessageId),
}

impl ThreadQuery {
    fn undo(&self, conversation: &Conversation, location: &ListLocation) -> Option<Undo> {
        let (is, was): (Mark, Mark) = (self.is.parse().ok()?, self.was.parse().ok()?);
        Undo::new(conversation, &location.base, is.0, was.0)
            .filter(|_| is.0 == ConversationState::of(conversation))
    }

    fn answer(&self) -> Answer {
        let switched = self.from.as_deref() == Some("switched");
        Answer {
            announcement: switched.then(|| {
                t!("You write from another number now. What passes between it and them is a conversation of its own.")
            }),
            ..Answer::default()
        }
    }

    /// Malformed parameters are ignored.
    fn part(&self) -> ThreadPart {
        let id = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
        match (&self.before, id(&self.after), id(&self.at)) {
            (Some(before), ..) => ThreadPart::Before(before.clone()),
            (_, Some(after), _) => ThreadPart::After(after),
            (.., Some(at)) => ThreadPart::Around(at),
            _ => ThreadPart::Newest,
        }
    }
}

#[derive(Deserialize)]
pub struct ConversationPath {
    pub conversation_id: ConversationId,
}

/// `GET /w/{slug}/inbox/{conversation_id}`
pub async fn show(
    member: Member,
    State(app): State<App>,
    Path(ConversationPath { conversation_id }): Path<ConversationPath>,
    Query(inbox_filter): Query<InboxFilter>,
    Query(thread_query): Query<ThreadQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let conversation = match conversations::find(&mut tx, conversation_id).await {
        // After a merge of contacts, old links redirect to the conversation with the texts.
        Err(Error::NotFound(what)) => {
            let there = conversations::joined_to(&mut tx, conversation_id).await?;
            let there = there.ok_or(Error::NotFound(what))?;
            let path = format!("/w/{}/inbox/{there}", member.slug);
            return Ok(Redirect::permanent(&path).into_response());
        }
        found => found?,
    };
    if wants_only_streams(&headers) {
        let rows = missed_rows(&mut tx, &member, &inbox_filter).await?;
        let span = Span {
            limit: Some(TEXTS),
            cursor: None,
        };
        let newest = messages::list(&mut tx, &filter_of(conversation_id), &span).await?;
        let oldest = newest.next_cursor.as_ref().and(newest.data.last());
        let oldest = oldest.map(|message| message.id.0);
        let happened = activity::between(&mut tx, conversation_id, oldest, None, LINES).await?;
        let thread = fragments::thread(&newest.data, &happened, &conversation).map_err(internal)?;
        let credits = match balance(&mut tx, &member).await? {
            Some(balance) => fragments::credits_changed(balance).map_err(internal)?,
            None => String::new(),
        };
        return Ok(streams(rows + &thread + &credits));
    }
    let location = ListLocation::new(&member, &inbox_filter);
    let part = thread_query.part();
    match frame(&headers) {
        Some(id) if id.starts_with("texts-") => {
            let id = match &part {
                ThreadPart::After(id) => frame_id(&format!("after-{id}")),
                ThreadPart::Before(cursor) => frame_id(cursor),
                ThreadPart::Newest | ThreadPart::Around(_) => frame_id(""),
            };
            let texts = texts(&mut tx, &conversation, &location, part).await?.texts;
            Ok(format!(r#"<turbo-frame id="{id}">{texts}</turbo-frame>"#).into_html())
        }
        Some("conversation") => {
            let answer = thread_query.answer();
            let surroundings = inbox::surroundings(&mut tx, &member).await?;
            let opened = Opened {
                conversation,
                location,
                part,
                answer,
            };
            let pane = open(&mut tx, &member, surroundings, opened).await?;
            Ok(page(&pane)?.into_response())
        }
        Some(id) if id.starts_with("activity-") => {
            Ok(page(&PastActivity::new(&mut tx, conversation_id).await?)?.into_response())
        }
        _ => {
            let answer = Answer {
                undo: thread_query.undo(&conversation, &location),
                ..thread_query.answer()
            };
            thread_page(&mut tx, &member, conversation, &inbox_filter, part, answer).await
        }
    }
}

/// Submitted values and the reason why the request was refused.
#[derive(Default)]
pub struct Answer {
    pub draft: String,
    pub media: Vec<Media>,
    pub notice: Option<String>,
    pub note: NoteForm,
    pub undo: Option<Undo>,
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

pub async fn thread_page(
    tx: &mut WorkspaceTx,
    member: &Member,
    conversation: Conversation,
    inbox_filter: &InboxFilter,
    part: ThreadPart,
    answer: Answer,
) -> Result<Response, Problem> {
    let surroundings = inbox::surroundings(tx, member).await?;
    let current = Some(conversation.id);
    let (shell, list) = list_pane(tx, member, inbox_filter, &surroundings, current).await?;
    let notifications = surroundings.notifications;
    let opened = Opened {
        conversation,
        location: ListLocation::new(member, inbox_filter),
        part,
        answer,
    };
    let pane = open(tx, member, surroundings, opened).await?;
    Ok(page(&Index {
        shell,
        list,
        pane: Some(pane),
        nothing: Nothing::new(member, true),
        notifications,
    })?
    .into_response())
}

/// The conversation of a pane, and how it is opened.
struct Opened {
    conversation: Conversation,
    location: ListLocation,
    part: ThreadPart,
    answer: Answer,
}

async fn open(
    tx: &mut WorkspaceTx,
    member: &Member,
    surroundings: Surroundings,
    opened: Opened,
) -> Result<Pane> {
    let Opened {
        conversation,
        location,
        part,
        answer,
    } = opened;
    let ShownThread {
        texts,
        newest,
        at,
        has_newer,
    } = texts(tx, &conversation, &location, part).await?;
    let mut beside = inbox::beside(tx, &conversation, contact::LINES).await?;
    let details = Details::new(tx, &conversation, &location, &mut beside).await?;
    let numbers = surroundings.numbers;
    let number = numbers
        .iter()
        .find(|number| number.id == conversation.number_id);
    let others = numbers
        .iter()
        .filter(|number| number.id != conversation.number_id && can_send(number));
    let (answer, draft_at) = answer.or_draft(beside.draft);
    let credits = match surroundings.balance {
        Some(balance) => Some(partial(&fragments::Credits { balance })?),
        None => None,
    };
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
        texts,
        newest,
        at,
        has_newer,
        key: crate::clock::id(),
        others: others.cloned().collect(),
        signature: surroundings.signature,
        templates: beside.templates,
        draft: answer.draft,
        draft_at,
        media: answer.media,
        notice: answer.notice,
        announcement: answer.announcement,
        undo: match &answer.undo {
            Some(undo) => Some(partial(undo)?),
            None => None,
        },
        mentions: beside.mentions,
        note_error: partial(&NoteError {
            notice: answer.note.notice.as_deref(),
        })?,
        note_key: crate::clock::id(),
        note: answer.note,
        credits,
        details: partial(&details)?,
        location,
        conversation,
    })
}

pub async fn balance(tx: &mut WorkspaceTx, member: &Member) -> Result<Option<Balance>> {
    let account = credits::of(tx, member, member.user()).await?;
    Ok((!account.unlimited).then_some(Balance {
        left: account.balance,
        is_low: account.is_low,
    }))
}

pub fn can_send(number: &Number) -> bool {
    number.status == numbers::Status::Active && number.capabilities.sms
}

fn filter_of(conversation: ConversationId) -> messages::Filter {
    messages::Filter {
        conversation: Some(conversation),
        ..messages::Filter::default()
    }
}

struct ShownThread {
    texts: Partial,
    /// The newest text of the conversation as of this page.
    newest: Option<MessageId>,
    at: Option<MessageId>,
    has_newer: bool,
}

async fn texts(
    tx: &mut WorkspaceTx,
    conversation: &Conversation,
    location: &ListLocation,
    part: ThreadPart,
) -> Result<ShownThread> {
    let part = match part {
        // A deleted or foreign message: show the newest page.
        ThreadPart::Around(id) if !is_of(tx, conversation, id).await? => ThreadPart::Newest,
        part => part,
    };
    let unread = match part {
        ThreadPart::Newest => conversation.unread_count,
        _ => 0,
    };
    let (before, limit, after) = match &part {
        // Include all unread texts, up to the limit, to open at the first of them.
        ThreadPart::Newest => (None, (i64::from(unread) + 8).clamp(TEXTS, MAX_TEXTS), None),
        ThreadPart::Before(cursor) => (Some(cursor.clone()), TEXTS, None),
        ThreadPart::Around(id) => (
            Some(Cursor::just_after(id.0).to_string()),
            TEXTS / 2,
            Some(*id),
        ),
        ThreadPart::After(id) => (None, 0, Some(*id)),
    };
    let mut shown = match limit {
        0 => Page {
            data: Vec::new(),
            next_cursor: None,
        },
        limit => {
            let span = Span {
                limit: Some(limit),
                cursor: before,
            };
            messages::list(tx, &filter_of(conversation.id), &span).await?
        }
    };
    let mut later = match after {
        None => Vec::new(),
        Some(id) => messages::after(tx, conversation.id, id, TEXTS / 2).await?,
    };
    let more = later.len() > TEXTS as usize / 2;
    later.truncate(TEXTS as usize / 2);
    let newer = later.last().filter(|_| more).map(|last| {
        let href = format!("{}/{}?after={}", location.base, conversation.id, last.id);
        (frame_id(&format!("after-{}", last.id)), href)
    });
    later.reverse();
    later.append(&mut shown.data);
    let oldest = shown.next_cursor.as_ref().and(later.last());
    let oldest = oldest.map(|message| message.id.0);
    let older = shown.next_cursor.map(|cursor| {
        (
            frame_id(&cursor),
            format!("{}/{}?before={cursor}", location.base, conversation.id),
        )
    });
    // A draft refers to the newest text seen. If newer texts are not shown, the row in the list shows the newest.
    let newest = match newer {
        Some(_) => conversation.last_message_id,
        None => later.first().map(|message| message.id),
    };
    // Activity between the ends of this page; the rest comes with the other pages.
    let from = match part {
        ThreadPart::After(id) => Some(id.0),
        _ => oldest,
    };
    let to = match (&part, &newer) {
        (_, Some(_)) => later.first().map(|last| last.id.0),
        (ThreadPart::Before(cursor), _) => Cursor::parse(cursor).map(|cursor| cursor.id),
        _ => None,
    };
    let happened = activity::between(tx, conversation.id, from, to, LINES).await?;
    Ok(ShownThread {
        texts: partial(&Texts::new(&later, &happened, unread, older)?.with_newer(newer))?,
        newest,
        has_newer: more,
        at: match part {
            ThreadPart::Around(id) => Some(id),
            _ => None,
        },
    })
}

async fn is_of(tx: &mut WorkspaceTx, conversation: &Conversation, id: MessageId) -> Result<bool> {
    let found = messages::find_many(tx, &[id]).await?;
    Ok(found
        .first()
        .is_some_and(|message| message.conversation_id == conversation.id))
}

fn frame_id(cursor: &str) -> String {
    format!(
        "texts-{}",
        cursor.replace(
            |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_',
            ""
        )
    )
}

pub fn internal(error: askama::Error) -> Error {
    Error::Internal(error.to_string())
}

//! The open conversation: its texts and what stands around them.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use uuid::Uuid;

use super::Texts;
use super::changes::{Mark, Undo};
use super::contact::{Details, PastActivity};
use super::note::NoteError;
use super::{Index, IntoHtml, Narrowing, Nothing, Place, missed_rows, pane as list_pane};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::conversations::activity::{self, Activity};
use crate::domain::conversations::{self, Conversation, Standing, Status as ConversationStatus};
use crate::domain::credits::{self, Balance};
use crate::domain::media::uploads;
use crate::domain::members::Member;
use crate::domain::messages::{self, Media, Message};
use crate::domain::numbers::{self, Number, Onlooker};
use crate::domain::settings;
use crate::error::{Error, Result};
use crate::ids::{ConversationId, MessageId, UserId};
use crate::listing::{Page, Span};
use crate::phone;
use crate::web::pages::fragments;
use crate::web::pages::{Partial, frame, page, partial, streams, wants_streams};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

/// Texts that one page of a thread holds.
const TEXTS: i64 = 40;
/// Lines of what happened between them: there are hardly ever more.
const LINES: i64 = 200;

/// The conversation and what stands beside it.
#[derive(Template)]
#[template(path = "inbox/_pane.html")]
pub struct Pane {
    pub conversation: Conversation,
    place: Place,
    me: UserId,
    /// Who sees this number, and so may have it or be called.
    colleagues: Vec<Onlooker>,
    status: Partial,
    blocked: Partial,
    /// Our number, or its integration, is switched off.
    unusable: bool,
    texts: Partial,
    newest: Option<MessageId>,
    key: Uuid,
    draft: String,
    /// Uploaded for it already.
    media: Vec<Media>,
    /// Whether the number sends pictures.
    mms: bool,
    notice: Option<String>,
    undo: Option<Partial>,
    /// Notes that call whoever looks, not looked at so far.
    mentions: i64,
    /// What was being noted, and why it was not kept.
    note: Noting,
    note_key: Uuid,
    note_error: Partial,
    /// What an agent has left; an admin's are not counted.
    credits: Option<Partial>,
    details: Partial,
}

impl Pane {
    /// What a browser offers to choose from; what it really is, its bytes say.
    fn accept(&self) -> String {
        uploads::SENDABLE.join(",")
    }

    /// What makes the page say that it was read.
    fn unseen(&self) -> i64 {
        i64::from(self.conversation.unread_count) + self.mentions
    }

    fn number_phone(&self) -> String {
        phone::display(&self.conversation.number_phone)
    }
}

/// The buttons that say where the conversation stands. Its addresses are relative to the conversation's own.
#[derive(Template)]
#[template(path = "inbox/_status.html")]
pub struct StatusControl<'a> {
    pub conversation: &'a Conversation,
}

/// Why nothing can be sent, if so.
#[derive(Template)]
#[template(path = "inbox/_blocked.html")]
pub struct Blocked<'a> {
    pub conversation: &'a Conversation,
}

#[derive(Template)]
#[template(path = "inbox/_consent.html")]
pub struct Consent<'a> {
    pub conversation: &'a Conversation,
}

#[derive(Debug, Default, Deserialize)]
pub struct Looking {
    before: Option<String>,
    /// What was just done by somebody without scripts: how it stands now, and stood before.
    #[serde(default)]
    is: String,
    #[serde(default)]
    was: String,
}

impl Looking {
    fn undo(&self, conversation: &Conversation, place: &Place) -> Option<Undo> {
        let (is, was): (Mark, Mark) = (self.is.parse().ok()?, self.was.parse().ok()?);
        Undo::new(conversation, &place.base, is.0, was.0)
            .filter(|_| is.0 == Standing::of(conversation))
    }
}

#[derive(Deserialize)]
pub struct Of {
    pub conversation_id: ConversationId,
}

/// `GET /w/{slug}/inbox/{conversation_id}`
pub async fn show(
    member: Member,
    State(app): State<App>,
    Path(Of { conversation_id }): Path<Of>,
    Query(narrowing): Query<Narrowing>,
    Query(looking): Query<Looking>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    let conversation = conversations::find(&mut tx, conversation_id).await?;
    if wants_streams(&headers) {
        let rows = missed_rows(&mut tx, &member, &narrowing).await?;
        let span = Span {
            limit: Some(TEXTS),
            cursor: None,
        };
        let newest = messages::list(&mut tx, &of(conversation_id), &span).await?;
        let happened = happened(&mut tx, conversation_id, &newest, None).await?;
        let thread = fragments::thread(&newest.data, &happened, &conversation).map_err(internal)?;
        let credits = match balance(&mut tx, &member).await? {
            Some(balance) => fragments::credits_changed(balance).map_err(internal)?,
            None => String::new(),
        };
        return Ok(streams(rows + &thread + &credits));
    }
    let place = Place::new(&member, &narrowing);
    match frame(&headers) {
        Some(id) if id.starts_with("texts-") => {
            let (texts, _) = texts(&mut tx, &conversation, &place, looking.before.clone()).await?;
            let id = frame_id(looking.before.as_deref().unwrap_or_default());
            Ok(format!(r#"<turbo-frame id="{id}">{texts}</turbo-frame>"#).into_html())
        }
        Some("conversation") => {
            let pane = open(
                &mut tx,
                &member,
                conversation,
                place,
                looking.before,
                Answer::default(),
            )
            .await?;
            Ok(page(&pane)?.into_response())
        }
        Some(id) if id.starts_with("activity-") => {
            Ok(page(&PastActivity::new(&mut tx, conversation_id).await?)?.into_response())
        }
        _ => {
            let answer = Answer {
                undo: looking.undo(&conversation, &place),
                ..Answer::default()
            };
            whole(
                &mut tx,
                &member,
                conversation,
                &narrowing,
                looking.before,
                answer,
            )
            .await
        }
    }
}

/// What was being written, and why it was not sent.
#[derive(Default)]
pub struct Answer {
    pub draft: String,
    pub media: Vec<Media>,
    pub notice: Option<String>,
    pub note: Noting,
    /// What was just done, and the way back.
    pub undo: Option<Undo>,
}

/// A note as it was typed, and why it was not kept.
#[derive(Default)]
pub struct Noting {
    pub draft: String,
    pub notice: Option<String>,
}

pub async fn whole(
    tx: &mut WorkspaceTx,
    member: &Member,
    conversation: Conversation,
    narrowing: &Narrowing,
    before: Option<String>,
    answer: Answer,
) -> Result<Response, Problem> {
    let (shell, list, _) = list_pane(tx, member, narrowing, Some(conversation.id)).await?;
    let pane = open(
        tx,
        member,
        conversation,
        Place::new(member, narrowing),
        before,
        answer,
    )
    .await?;
    Ok(page(&Index {
        shell,
        list,
        pane: Some(pane),
        nothing: Nothing::new(member, true),
        notifications: settings::of(tx, member).await?.notifications,
    })?
    .into_response())
}

async fn open(
    tx: &mut WorkspaceTx,
    member: &Member,
    conversation: Conversation,
    place: Place,
    before: Option<String>,
    answer: Answer,
) -> Result<Pane> {
    let (texts, newest) = texts(tx, &conversation, &place, before).await?;
    let numbers = numbers::list(tx).await?;
    let mut colleagues = numbers::audience(tx, conversation.number_id).await?;
    colleagues.retain(|one| one.sees);
    let mentions = conversations::unseen_mentions(tx, conversation.id).await?;
    let details = Details::new(tx, &conversation, &place).await?;
    let number = numbers
        .iter()
        .find(|number| number.id == conversation.number_id);
    let credits = match balance(tx, member).await? {
        Some(balance) => Some(partial(&fragments::Credits { balance })?),
        None => None,
    };
    Ok(Pane {
        me: member.user(),
        colleagues,
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
        key: Uuid::now_v7(),
        draft: answer.draft,
        media: answer.media,
        notice: answer.notice,
        undo: match &answer.undo {
            Some(undo) => Some(partial(undo)?),
            None => None,
        },
        mentions,
        note_error: partial(&NoteError {
            notice: answer.note.notice.as_deref(),
        })?,
        note_key: Uuid::now_v7(),
        note: answer.note,
        credits,
        details: partial(&details)?,
        place,
        conversation,
    })
}

async fn balance(tx: &mut WorkspaceTx, member: &Member) -> Result<Option<Balance>> {
    let account = credits::of(tx, member, member.user()).await?;
    Ok((!account.unlimited).then_some(Balance {
        left: account.balance,
        is_low: account.is_low,
    }))
}

fn can_send(number: &Number) -> bool {
    number.status == numbers::Status::Active && number.capabilities.sms
}

fn of(conversation: ConversationId) -> messages::Filter {
    messages::Filter {
        conversation: Some(conversation),
        ..messages::Filter::default()
    }
}

async fn texts(
    tx: &mut WorkspaceTx,
    conversation: &Conversation,
    place: &Place,
    before: Option<String>,
) -> Result<(Partial, Option<MessageId>)> {
    let unread = if before.is_none() {
        conversation.unread_count
    } else {
        0
    };
    let span = Span {
        limit: Some(TEXTS),
        cursor: before,
    };
    let found = messages::list(tx, &of(conversation.id), &span).await?;
    let before = span.cursor()?.map(|cursor| cursor.id);
    let happened = happened(tx, conversation.id, &found, before).await?;
    let older = found.next_cursor.map(|cursor| {
        let cursor = cursor.to_string();
        (
            frame_id(&cursor),
            format!("{}/{}?before={cursor}", place.base, conversation.id),
        )
    });
    let texts = Texts::new(&found.data, &happened, unread, older)?;
    Ok((
        partial(&texts)?,
        found.data.first().map(|message| message.id),
    ))
}

/// What became of the conversation while these texts were written: what lies below the oldest, or before it all began.
async fn happened(
    tx: &mut WorkspaceTx,
    conversation: ConversationId,
    texts: &Page<Message>,
    before: Option<Uuid>,
) -> Result<Vec<Activity>> {
    let oldest = texts.next_cursor.map(|cursor| cursor.id);
    activity::between(tx, conversation, oldest, before, LINES).await
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

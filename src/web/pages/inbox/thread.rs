//! The open conversation: its texts, what can be done with it, and the answer.

use std::fmt::Write as _;

use askama::Template;
use askama::filters::{HtmlSafeOutput, escape};
use axum::extract::{Form as Posted, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::contact::Details;
use super::{Index, IntoHtml, Narrowing, Nothing, Place, missed_rows, pane as list_pane};
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::conversations::{self, Change, Conversation, Status as ConversationStatus};
use crate::domain::members::{self, Colleague, Member};
use crate::domain::messages::send::{self, Draft};
use crate::domain::messages::{self, Message, Status};
use crate::domain::numbers::{self, Number};
use crate::error::{Error, Result};
use crate::ids::{ConversationId, MessageId, UserId};
use crate::listing::Span;
use crate::phone;
use crate::web::pages::fragments;
use crate::web::pages::{Partial, frame, page, partial, streams, wants_streams};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

/// Texts that one page of a thread holds.
const TEXTS: i64 = 40;

/// The conversation and what stands beside it.
#[derive(Template)]
#[template(path = "inbox/_pane.html")]
pub struct Pane {
    pub conversation: Conversation,
    place: Place,
    me: UserId,
    colleagues: Vec<Colleague>,
    status: Partial,
    blocked: Partial,
    /// Our number, or its integration, is switched off.
    unusable: bool,
    texts: Partial,
    newest: Option<MessageId>,
    key: Uuid,
    draft: String,
    notice: Option<String>,
    details: Partial,
}

impl Pane {
    fn number_phone(&self) -> String {
        phone::display(&self.conversation.number_phone)
    }
}

/// A page of texts, oldest first, and the way to those above.
#[derive(Template)]
#[template(path = "inbox/_texts.html")]
pub struct Texts {
    older: Option<(String, String)>,
    texts: Vec<Text>,
}

struct Text {
    /// Its day in UTC, where it begins one; the browser knows better.
    day: Option<String>,
    first_unread: bool,
    bubble: Partial,
}

impl Texts {
    /// `newest_first`, as lists come. Of theirs, the last `unread` have not been seen.
    pub fn new(
        newest_first: &[Message],
        unread: i32,
        older: Option<(String, String)>,
    ) -> Result<Self> {
        let messages: Vec<&Message> = newest_first.iter().rev().collect();
        let first_unread = first_unread(&messages, unread);
        let mut day = None;
        let mut texts = Vec::with_capacity(messages.len());
        for (i, message) in messages.iter().enumerate() {
            let begins = day.replace(message.created_at.date_naive())
                != Some(message.created_at.date_naive());
            let next = messages
                .get(i + 1)
                .filter(|next| first_unread != Some(next.id));
            texts.push(Text {
                day: begins.then(|| message.created_at.format("%A, %-d %B").to_string()),
                first_unread: first_unread == Some(message.id),
                bubble: partial(&Bubble {
                    message,
                    joined: next.is_some_and(|next| joins(message, next)),
                })?,
            });
        }
        Ok(Self { older, texts })
    }
}

fn first_unread(messages: &[&Message], unread: i32) -> Option<MessageId> {
    let unread = usize::try_from(unread).unwrap_or(0);
    let theirs = messages
        .iter()
        .rev()
        .filter(|message| message.direction == messages::Direction::Inbound);
    theirs.take(unread).last().map(|message| message.id)
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
struct State_<'a> {
    message: &'a Message,
}

impl Bubble<'_> {
    fn state(&self) -> HtmlSafeOutput<State_<'_>> {
        HtmlSafeOutput(State_ {
            message: self.message,
        })
    }

    /// On its way: not yet with the carrier.
    fn waiting(&self) -> bool {
        matches!(
            self.message.status,
            Status::Scheduled | Status::Queued | Status::Sending
        )
    }

    /// Its state is said even in the middle of a run.
    fn loud(&self) -> bool {
        self.message.failed() || self.message.status == Status::Unconfirmed
    }

    fn by(&self) -> &str {
        self.message.created_by_name.as_deref().unwrap_or("We")
    }

    /// A few emoji and nothing else are shown large.
    fn jumbo(&self) -> bool {
        let text = self.message.content.trim();
        let is_emoji = |c: char| matches!(c, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' | '\u{fe0f}' | '\u{200d}');
        !self.message.is_note()
            && text.chars().count() <= 8
            && text.chars().any(|c| c > '\u{2600}')
            && text.chars().all(is_emoji)
    }

    fn text(&self) -> HtmlSafeOutput<String> {
        HtmlSafeOutput(linked(self.message.content.trim_end()))
    }
}

/// The text, escaped, with its web addresses as links.
fn linked(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    let escaped = |text| escape(text, askama::filters::Html).expect("plain text escapes");
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let is_address = ["https://", "http://", "www."].iter().any(|start| {
            word.len() > start.len()
                && word
                    .get(..start.len())
                    .is_some_and(|found| found.eq_ignore_ascii_case(start))
        });
        if !is_address {
            let _ = write!(html, "{}", escaped(piece));
            continue;
        }
        // A full stop after an address belongs to the sentence; so does a bracket that was not opened in it.
        let mut address =
            word.trim_end_matches(['.', ',', ';', ':', '!', '?', '"', '\'', '…', '”', '’']);
        if address.ends_with(')') && !address.contains('(') {
            address = address.trim_end_matches([')', '.', ',']);
        }
        let scheme = if address.to_ascii_lowercase().starts_with("www.") {
            "https://"
        } else {
            ""
        };
        let rest = &piece[address.len()..];
        let _ = write!(
            html,
            r#"<a href="{scheme}{0}" target="_blank" rel="noopener noreferrer nofollow">{0}</a>{1}"#,
            escaped(address),
            escaped(rest)
        );
    }
    html
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
        let thread = fragments::thread(&newest.data, &conversation).map_err(internal)?;
        return Ok(streams(rows + &thread));
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
        _ => {
            whole(
                &mut tx,
                &member,
                conversation,
                &narrowing,
                looking.before,
                Answer::default(),
            )
            .await
        }
    }
}

/// What was being written, and why it was not sent.
#[derive(Default)]
struct Answer {
    draft: String,
    notice: Option<String>,
}

async fn whole(
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
    let colleagues = members::list(tx).await?;
    let details = Details::new(tx, &conversation, &place).await?;
    Ok(Pane {
        me: member.user(),
        colleagues,
        status: partial(&StatusControl {
            conversation: &conversation,
        })?,
        blocked: partial(&Blocked {
            conversation: &conversation,
        })?,
        unusable: !numbers
            .iter()
            .any(|number| number.id == conversation.number_id && can_send(number)),
        texts,
        newest,
        key: Uuid::now_v7(),
        draft: answer.draft,
        notice: answer.notice,
        details: partial(&details)?,
        place,
        conversation,
    })
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
    let older = found.next_cursor.map(|cursor| {
        let cursor = cursor.to_string();
        (
            frame_id(&cursor),
            format!("{}/{}?before={cursor}", place.base, conversation.id),
        )
    });
    let texts = Texts::new(&found.data, unread, older)?;
    Ok((
        partial(&texts)?,
        found.data.first().map(|message| message.id),
    ))
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

fn internal(error: askama::Error) -> Error {
    Error::Internal(error.to_string())
}

#[derive(Deserialize)]
pub struct Reply {
    content: String,
    idempotency_key: String,
    #[serde(default)]
    seen_message_id: String,
}

/// `POST …/messages`
pub async fn reply(
    member: Member,
    State(app): State<App>,
    Path(Of { conversation_id }): Path<Of>,
    headers: HeaderMap,
    Posted(reply): Posted<Reply>,
) -> Result<Response, Problem> {
    let draft = Draft {
        conversation_id: Some(conversation_id),
        // A browser ends each line with two characters; the phone needs one.
        content: reply.content.replace("\r\n", "\n"),
        seen_message_id: reply.seen_message_id.parse().ok(),
        ..Draft::default()
    };
    let mut tx = app.db.workspace(member.seat()).await?;
    match send::send(&mut tx, &member, draft, Some(&reply.idempotency_key)).await {
        Ok(sent) => {
            let conversation = conversations::find(&mut tx, conversation_id).await?;
            tx.commit().await?;
            if wants_streams(&headers) {
                return Ok(streams(
                    fragments::message_added(&sent.message, &conversation).map_err(internal)?,
                ));
            }
            Ok(back(&member, conversation_id))
        }
        Err(error) => refuse(&app, &member, conversation_id, &headers, reply, error).await,
    }
}

/// What was written is kept: in its own bubble, or, without script, in the page shown again.
async fn refuse(
    app: &App,
    member: &Member,
    conversation: ConversationId,
    headers: &HeaderMap,
    reply: Reply,
    error: Error,
) -> Result<Response, Problem> {
    let problem = Problem::from(error);
    let mendable = problem.status.is_client_error()
        && problem.status != StatusCode::UNAUTHORIZED
        && problem.status != StatusCode::NOT_FOUND;
    if !mendable {
        return Err(problem);
    }
    let reason = problem
        .errors
        .first()
        .map_or(problem.detail, |wrong| wrong.message.clone());
    if wants_streams(headers) {
        let html =
            fragments::refused(&reply.idempotency_key, problem.code, &reason).map_err(internal)?;
        return Ok((problem.status, streams(html)).into_response());
    }
    let mut tx = app.db.workspace(member.seat()).await?;
    let conversation = conversations::find(&mut tx, conversation).await?;
    let answer = Answer {
        draft: reply.content,
        notice: Some(reason),
    };
    let shown = whole(
        &mut tx,
        member,
        conversation,
        &Narrowing::default(),
        None,
        answer,
    )
    .await?;
    Ok((problem.status, shown).into_response())
}

fn back(member: &Member, conversation: ConversationId) -> Response {
    Redirect::to(&format!("/w/{}/inbox/{conversation}", member.slug)).into_response()
}

/// `POST …/read`
pub async fn read(
    member: Member,
    State(app): State<App>,
    Path(Of { conversation_id }): Path<Of>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    conversations::mark_read(&mut tx, conversation_id).await?;
    tx.commit().await?;
    Ok(back(&member, conversation_id))
}

#[derive(Deserialize)]
pub struct NewStatus {
    status: ConversationStatus,
}

/// `POST …/status`
pub async fn status(
    member: Member,
    state: State<App>,
    path: Path<Of>,
    headers: HeaderMap,
    Posted(NewStatus { status }): Posted<NewStatus>,
) -> Result<Response, Problem> {
    let change = Change {
        status: Some(status),
        ..Change::default()
    };
    update(member, state, path, headers, change).await
}

#[derive(Deserialize)]
pub struct NewAssignee {
    assignee_id: String,
}

/// `POST …/assign`
pub async fn assign(
    member: Member,
    state: State<App>,
    path: Path<Of>,
    headers: HeaderMap,
    Posted(NewAssignee { assignee_id }): Posted<NewAssignee>,
) -> Result<Response, Problem> {
    let assignee = match assignee_id.as_str() {
        "" => None,
        id => Some(
            id.parse()
                .map_err(|_| Error::field("assignee_id", "not a member of this workspace"))?,
        ),
    };
    let change = Change {
        assignee_id: Some(assignee),
        ..Change::default()
    };
    update(member, state, path, headers, change).await
}

async fn update(
    member: Member,
    State(app): State<App>,
    Path(Of { conversation_id }): Path<Of>,
    headers: HeaderMap,
    change: Change,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    let conversation = conversations::update(&mut tx, conversation_id, change).await?;
    tx.commit().await?;
    if wants_streams(&headers) {
        return Ok(streams(
            fragments::conversation_changed(&conversation).map_err(internal)?,
        ));
    }
    Ok(back(&member, conversation_id))
}

#[cfg(test)]
mod tests {
    use super::linked;

    #[test]
    fn links_are_links_and_nothing_else_is() {
        let link = |address: &str, shown: &str| {
            format!(
                r#"<a href="{address}" target="_blank" rel="noopener noreferrer nofollow">{shown}</a>"#
            )
        };
        assert_eq!(
            linked("See https://a.test/b?c=1."),
            format!(
                "See {}.",
                link("https://a.test/b?c=1", "https://a.test/b?c=1")
            )
        );
        assert_eq!(linked("(www.a.test)\nok"), "(www.a.test)\nok");
        assert_eq!(
            linked("www.a.test)\nok"),
            format!("{})\nok", link("https://www.a.test", "www.a.test"))
        );
        assert_eq!(
            linked("javascript:alert(1) <b>"),
            "javascript:alert(1) &#60;b&#62;"
        );
        assert!(!linked("https://a.test/\"onclick=\"x").contains("\"onclick"));
    }
}

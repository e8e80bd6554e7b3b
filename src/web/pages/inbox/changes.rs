//! Changes to a conversation from the page: read, status, assignee, snooze, undo.

use std::fmt;
use std::str::FromStr;

use askama::Template;
use axum::extract::{Form as Posted, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer};

use super::bulk::undo_of_unread;
use super::filter::InboxFilter;
use super::pane::{Answer, thread_page};
use super::paths::{ConversationPath, back};
use super::scheduled_text::reason;
use super::thread_part::ThreadPart;
use crate::app::App;
use crate::domain::conversations::{
    self, Conversation, ConversationChange, ConversationState, Status,
};
use crate::domain::members::Member;
use crate::error::{Error, Result};
use crate::ids::{ConversationId, UserId};
use crate::language::{t, t_context};
use crate::web::language::filters;
use crate::web::pages::{fragments, internal, streams, wants_streams};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

/// `POST …/read`
pub async fn read(
    member: Member,
    State(app): State<App>,
    Path(ConversationPath { conversation_id }): Path<ConversationPath>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    conversations::find(&mut tx, conversation_id).await?;
    conversations::mark_read(&mut tx, conversation_id).await?;
    tx.commit().await?;
    Ok(back(&member, conversation_id))
}

/// `POST …/unread`
pub async fn unread(
    member: Member,
    State(app): State<App>,
    Path(ConversationPath { conversation_id }): Path<ConversationPath>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    conversations::find(&mut tx, conversation_id).await?;
    let marked = conversations::mark_all_unread(&mut tx, &[conversation_id]).await?;
    let conversation = conversations::find(&mut tx, conversation_id).await?;
    tx.commit().await?;
    if wants_streams(&headers) {
        let sentence = t!("Marked as unread").translated();
        let toast = undo_of_unread(&member, sentence, &marked);
        let toast = fragments::toast(&toast).map_err(internal)?;
        let shown = fragments::row_changed(&conversation).map_err(internal)?;
        return Ok(streams(shown + &toast));
    }
    // Opening it would mark it as read.
    Ok(Redirect::to(&format!("/w/{}/inbox", member.slug)).into_response())
}

#[derive(Deserialize)]
pub struct NewStatus {
    status: Status,
}

/// `POST …/status`
pub async fn status(
    member: Member,
    state: State<App>,
    path: Path<ConversationPath>,
    headers: HeaderMap,
    Posted(NewStatus { status }): Posted<NewStatus>,
) -> Result<Response, Problem> {
    let change = ConversationChange {
        status: Some(status),
        ..ConversationChange::default()
    };
    update(member, state, path, headers, change).await
}

#[derive(Deserialize)]
pub struct NewAssignee {
    assignee_id: String,
    /// The assignee that the page showed; without it the change overwrites another member's.
    expected_assignee_id: Option<String>,
}

/// `POST …/assign`
pub async fn assign(
    member: Member,
    state: State<App>,
    path: Path<ConversationPath>,
    headers: HeaderMap,
    Posted(new): Posted<NewAssignee>,
) -> Result<Response, Problem> {
    let change = ConversationChange {
        assignee_id: Some(parse_assignee(&new.assignee_id, &member)?),
        expected_assignee_id: match &new.expected_assignee_id {
            Some(expected) => Some(parse_assignee(expected, &member)?),
            None => None,
        },
        ..ConversationChange::default()
    };
    update(member, state, path, headers, change).await
}

/// `me`, empty for nobody, or a user's id.
fn parse_assignee(id: &str, member: &Member) -> Result<Option<UserId>> {
    match id {
        "" => Ok(None),
        "me" => Ok(Some(member.user())),
        id => id
            .parse()
            .map(Some)
            .map_err(|_| Error::field("assignee_id", t!("Choose a member of this workspace"))),
    }
}

#[derive(Deserialize)]
pub struct Snooze {
    /// RFC 3339 with an offset, set by the script.
    #[serde(default)]
    until: String,
    /// Without scripts the time zone is unknown: the form says that this field is in UTC.
    #[serde(default)]
    at: String,
}

impl Snooze {
    fn time(&self) -> Result<DateTime<Utc>> {
        let at = || NaiveDateTime::parse_from_str(&self.at, "%Y-%m-%dT%H:%M").ok();
        let until = DateTime::parse_from_rfc3339(&self.until).ok();
        until
            .map(|until| until.to_utc())
            .or_else(|| at().map(|at| at.and_utc()))
            .ok_or_else(|| Error::field("until", t!("Choose a date and a time")))
    }
}

/// `POST …/snooze`
pub async fn snooze(
    member: Member,
    state: State<App>,
    path: Path<ConversationPath>,
    headers: HeaderMap,
    Posted(snooze): Posted<Snooze>,
) -> Result<Response, Problem> {
    let until = match snooze.time() {
        Ok(until) => until,
        Err(error) => {
            return refuse(&member, &state.0, path.conversation_id, &headers, error).await;
        }
    };
    let change = ConversationChange {
        status: Some(Status::Snoozed),
        snoozed_until: Some(until),
        ..ConversationChange::default()
    };
    update(member, state, path, headers, change).await
}

#[derive(Deserialize)]
pub struct UndoForm {
    is: StateToken,
    was: StateToken,
}

/// `POST …/undo`
pub async fn undo(
    member: Member,
    State(app): State<App>,
    Path(ConversationPath { conversation_id }): Path<ConversationPath>,
    headers: HeaderMap,
    Posted(UndoForm { is, was }): Posted<UndoForm>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    match conversations::undo(&mut tx, conversation_id, is.0, was.0).await {
        Ok(conversation) => {
            tx.commit().await?;
            if wants_streams(&headers) {
                let shown = fragments::conversation_changed(&conversation);
                let toast = fragments::toast(&Toast::info(&t!("Undone").translated()));
                return Ok(streams(
                    shown
                        .and_then(|shown| Ok(shown + &toast?))
                        .map_err(internal)?,
                ));
            }
            Ok(back(&member, conversation_id))
        }
        Err(error) => {
            drop(tx);
            refuse(&member, &app, conversation_id, &headers, error).await
        }
    }
}

async fn update(
    member: Member,
    State(app): State<App>,
    Path(ConversationPath { conversation_id }): Path<ConversationPath>,
    headers: HeaderMap,
    change: ConversationChange,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let was = conversations::lock(&mut tx, conversation_id).await?;
    match conversations::update(&mut tx, conversation_id, change).await {
        Ok(conversation) => {
            tx.commit().await?;
            let is = ConversationState::of(&conversation);
            if wants_streams(&headers) {
                let shown = fragments::conversation_changed(&conversation).map_err(internal)?;
                return Ok(streams(
                    shown + &undo_toast(&member, &conversation, is, was)?,
                ));
            }
            Ok(toast_response(&member, conversation_id, is, was))
        }
        Err(error) => {
            drop(tx);
            refuse(&member, &app, conversation_id, &headers, error).await
        }
    }
}

/// Nothing if nothing has changed.
pub fn undo_toast(
    member: &Member,
    conversation: &Conversation,
    is: ConversationState,
    was: ConversationState,
) -> Result<String, Problem> {
    let base = format!("/w/{}/inbox", member.slug);
    let toast = Undo::new(conversation, &base, is, was).map(|undo| fragments::toast(&undo));
    Ok(toast.transpose().map_err(internal)?.unwrap_or_default())
}

/// Redirects to the thread, which shows what changed and an undo button.
fn toast_response(
    member: &Member,
    conversation: ConversationId,
    is: ConversationState,
    was: ConversationState,
) -> Response {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("is", &StateToken(is).to_string())
        .append_pair("was", &StateToken(was).to_string())
        .finish();
    Redirect::to(&format!("/w/{}/inbox/{conversation}?{query}", member.slug)).into_response()
}

/// Shows why the change was refused. An assignment that lost a race can be repeated without the check.
async fn refuse(
    member: &Member,
    app: &App,
    conversation: ConversationId,
    headers: &HeaderMap,
    error: Error,
) -> Result<Response, Problem> {
    let is_taken = matches!(error, Error::ConversationTaken(_));
    let problem = Problem::from(error);
    if !matches!(
        problem.status,
        StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY
    ) {
        return Err(problem);
    }
    let reason = reason(&problem);
    let mut tx = app.db.workspace(member.tenant()).await?;
    let found = conversations::find_with_others(&mut tx, conversation).await?;
    if wants_streams(headers) {
        let take_over_url = format!("/w/{}/inbox/{conversation}/assign", member.slug);
        let toast = Toast {
            text: &reason,
            is_bad: true,
            take_over_url: is_taken.then_some(take_over_url.as_str()),
        };
        let html = fragments::conversation_changed(&found.0).map_err(internal)?
            + &fragments::toast(&toast).map_err(internal)?;
        return Ok((problem.status, streams(html)).into_response());
    }
    let answer = Answer {
        notice: Some(reason),
        ..Answer::default()
    };
    let page = thread_page(
        &mut tx,
        member,
        found,
        &InboxFilter::default(),
        ThreadPart::Newest,
        answer,
    )
    .await?;
    Ok((problem.status, page).into_response())
}

/// A `ConversationState` as a form field or query parameter: `snoozed~2026-11-23T09:00:00Z~user~2026-11-23T08:00:00Z`. The last part
/// may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateToken(pub ConversationState);

impl fmt::Display for StateToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let until = self.0.snoozed_until.map(written);
        let waiting = self.0.waiting_since.map(written);
        let assignee = self.0.assignee.map(|user| user.to_string());
        write!(
            f,
            "{}~{}~{}~{}",
            self.0.status,
            until.unwrap_or_default(),
            assignee.unwrap_or_default(),
            waiting.unwrap_or_default()
        )
    }
}

impl FromStr for StateToken {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let mut parts = text.split('~');
            let status = parts.next()?.parse().ok()?;
            let until = parts.next()?;
            let assignee = parts.next()?;
            let time = |text: &str| match text {
                "" => Some(None),
                text => Some(Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc())),
            };
            Some(Self(ConversationState {
                status,
                snoozed_until: time(until)?,
                waiting_since: time(parts.next().unwrap_or_default())?,
                assignee: match assignee {
                    "" => None,
                    id => Some(id.parse().ok()?),
                },
            }))
        };
        read().ok_or("not a state of a conversation")
    }
}

impl<'de> Deserialize<'de> for StateToken {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[derive(Template)]
#[template(path = "inbox/_undo.html")]
pub struct Undo {
    text: String,
    until: Option<DateTime<Utc>>,
    action: String,
    is: StateToken,
    was: StateToken,
}

impl Undo {
    /// `None` if nothing changed.
    pub fn new(
        conversation: &Conversation,
        base: &str,
        is: ConversationState,
        was: ConversationState,
    ) -> Option<Self> {
        if is.is_same(&was) {
            return None;
        }
        let text = match is.status {
            _ if is.assignee != was.assignee => match &conversation.assignee_name {
                Some(name) => t!("Assigned to {name}", name = name).translated(),
                None => t!("Unassigned").translated(),
            },
            Status::Open if was.status == Status::Snoozed => t!("Unsnoozed").translated(),
            Status::Open => t!("Reopened").translated(),
            Status::Pending => t_context!("conversation", "Pending").translated(),
            Status::Snoozed => t!("Snoozed until").translated(),
            Status::Done => t_context!("conversation", "Done").translated(),
        };
        Some(Self {
            until: is
                .snoozed_until
                .filter(|_| is.assignee == was.assignee && is.status == Status::Snoozed),
            text,
            action: format!("{base}/{}/undo", conversation.id),
            is: StateToken(is),
            was: StateToken(was),
        })
    }
}

/// A toast whose button posts a form that undoes the action.
#[derive(Template)]
#[template(path = "inbox/_undo_by_form.html")]
pub struct UndoByForm {
    text: String,
    /// `None`: nothing was changed.
    action: Option<String>,
    fields: Vec<(&'static str, String)>,
}

impl UndoByForm {
    pub fn new(text: String, action: String) -> Self {
        Self {
            text,
            action: Some(action),
            fields: Vec::new(),
        }
    }

    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.fields.push((name, value));
        self
    }

    pub fn unless(mut self, unchanged: bool) -> Self {
        self.action = self.action.filter(|_| !unchanged);
        self
    }
}

/// A toast without undo; `take_over_url` is the URL that repeats a refused assignment without the check.
#[derive(Template)]
#[template(path = "inbox/_toast.html")]
pub struct Toast<'a> {
    text: &'a str,
    is_bad: bool,
    take_over_url: Option<&'a str>,
}

impl<'a> Toast<'a> {
    pub fn refused(text: &'a str) -> Self {
        Self {
            text,
            is_bad: true,
            take_over_url: None,
        }
    }

    pub fn info(text: &'a str) -> Self {
        Self {
            text,
            is_bad: false,
            take_over_url: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_token_round_trips() {
        let snoozed = ConversationState {
            status: Status::Snoozed,
            snoozed_until: DateTime::from_timestamp_micros(1_800_000_000_123_456),
            assignee: Some(UserId::new()),
            waiting_since: DateTime::from_timestamp_micros(1_700_000_000_123_456),
        };
        let open = ConversationState {
            status: Status::Open,
            snoozed_until: None,
            assignee: None,
            waiting_since: None,
        };
        for state in [snoozed, open] {
            assert_eq!(StateToken(state).to_string().parse(), Ok(StateToken(state)));
        }
        for wrong in ["", "open", "open~~x", "open~x~", "gone~~"] {
            assert!(wrong.parse::<StateToken>().is_err(), "{wrong}");
        }
    }
}

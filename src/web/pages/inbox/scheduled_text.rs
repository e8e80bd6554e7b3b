//! Changing, sending or cancelling a scheduled text, and retrying a failed one.

use axum::extract::{Form as Posted, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Deserialize;

use super::filter::InboxFilter;
use super::pane::{Answer, thread_page};
use super::paths::back;
use super::thread_part::ThreadPart;
use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::conversations;
use crate::domain::members::Member;
use crate::domain::messages::schedule::{self, MessageChange};
use crate::domain::messages::{self, Message, cancel, retry};
use crate::error::{Error, Result};
use crate::ids::{ConversationId, MessageId};
use crate::language::t;
use crate::web::pages::form::capitalized;
use crate::web::pages::{Notice, fragments, internal, streams, wants_streams};
use crate::web::problem::Problem;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduledAction {
    Save,
    SendNow,
    Cancel,
}

#[derive(Debug, Deserialize)]
pub struct ScheduledChange {
    #[serde(rename = "do")]
    pub what: ScheduledAction,
    #[serde(default)]
    pub content: String,
    /// The value of the `datetime-local` field; it means UTC, since no zone is submitted.
    #[serde(default)]
    at: String,
    /// RFC 3339 with an offset, set by the script.
    #[serde(default)]
    scheduled_at: String,
}

pub fn moment(scheduled_at: &str, at: &str) -> Result<Option<DateTime<Utc>>> {
    let wrong = || Error::field("scheduled_at", t!("Choose a date and time in the future"));
    if !scheduled_at.is_empty() {
        let at = DateTime::parse_from_rfc3339(scheduled_at).map_err(|_| wrong())?;
        return Ok(Some(at.to_utc()));
    }
    if at.is_empty() {
        return Ok(None);
    }
    let read = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(at, form).ok());
    Ok(Some(read.ok_or_else(wrong)?.and_utc()))
}

impl ScheduledChange {
    pub async fn apply(
        &self,
        tx: &mut WorkspaceTx,
        message: MessageId,
    ) -> Result<(Message, Notice)> {
        Ok(match self.what {
            ScheduledAction::SendNow => (schedule::send_now(tx, message).await?, Notice::SentNow),
            ScheduledAction::Cancel => (cancel::cancel(tx, message).await?, Notice::Canceled),
            ScheduledAction::Save => {
                let at = moment(&self.scheduled_at, &self.at)?;
                let before = crate::domain::messages::find(tx, message).await?;
                // The field has minutes only: the seconds are kept unless the minute changed.
                let is_same = |at: &DateTime<Utc>| {
                    before.scheduled_at.is_some_and(|before| {
                        before.timestamp().div_euclid(60) == at.timestamp().div_euclid(60)
                    })
                };
                let content = self.content.replace("\r\n", "\n");
                let change = MessageChange {
                    // A text with media only may be empty.
                    content: (content != before.content).then_some(content),
                    scheduled_at: at.filter(|at| !is_same(at)),
                };
                (
                    schedule::change(tx, message, change).await?,
                    Notice::Rescheduled,
                )
            }
        })
    }
}

#[derive(Deserialize)]
pub struct MessagePath {
    conversation_id: ConversationId,
    message_id: MessageId,
}

/// `POST …/messages/{message_id}`
pub async fn change_scheduled(
    member: Member,
    State(app): State<App>,
    Path(MessagePath {
        conversation_id,
        message_id,
    }): Path<MessagePath>,
    headers: HeaderMap,
    Posted(change): Posted<ScheduledChange>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let conversation = conversations::find(&mut tx, conversation_id).await?;
    match change.apply(&mut tx, message_id).await {
        Ok((message, _)) => {
            tx.commit().await?;
            if wants_streams(&headers) {
                return Ok(streams(
                    fragments::message_changed(&message, &conversation).map_err(internal)?,
                ));
            }
            Ok(back(&member, conversation_id))
        }
        Err(error) => {
            drop(tx);
            refused(&app, &member, conversation_id, error).await
        }
    }
}

/// `POST …/messages/{message_id}/retry`: sends a failed or unconfirmed text again.
pub async fn retry_message(
    member: Member,
    State(app): State<App>,
    Path(MessagePath {
        conversation_id,
        message_id,
    }): Path<MessagePath>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let conversation = conversations::find(&mut tx, conversation_id).await?;
    match retry::retry(&mut tx, &member, message_id).await {
        Ok(sent) => {
            let before = messages::find(&mut tx, message_id).await?;
            tx.commit().await?;
            if wants_streams(&headers) {
                let before = fragments::message_changed(&before, &conversation);
                let now = fragments::message_added(&sent.message, &conversation);
                return Ok(streams(before.map_err(internal)? + &now.map_err(internal)?));
            }
            Ok(back(&member, conversation_id))
        }
        Err(error) => {
            drop(tx);
            refused(&app, &member, conversation_id, error).await
        }
    }
}

async fn refused(
    app: &App,
    member: &Member,
    conversation: ConversationId,
    error: Error,
) -> Result<Response, Problem> {
    let problem = correctable(error)?;
    let answer = Answer {
        notice: Some(reason(&problem)),
        ..Answer::default()
    };
    let mut tx = app.db.workspace(member.tenant()).await?;
    let found = conversations::find_with_others(&mut tx, conversation).await?;
    let none = InboxFilter::default();
    let shown = thread_page(&mut tx, member, found, &none, ThreadPart::Newest, answer).await?;
    Ok((problem.status, shown).into_response())
}

/// Returns `Ok` for problems that the user can correct, `Err` for any other.
pub fn correctable(error: Error) -> Result<Problem, Problem> {
    let problem = Problem::from(error);
    let status = problem.status.as_u16();
    if (400..500).contains(&status) && ![401, 404].contains(&status) {
        Ok(problem)
    } else {
        Err(problem)
    }
}

pub fn reason(problem: &Problem) -> String {
    let first = problem.errors.first();
    let message = first.map_or(&problem.detail, |wrong| &wrong.message);
    capitalized(&message.translated())
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn the_script_knows_the_zone_and_the_bare_field_means_utc() {
        let read = |scheduled_at, at| {
            moment(scheduled_at, at)
                .ok()
                .flatten()
                .map(|at| at.to_rfc3339())
        };
        assert_eq!(
            read("2026-11-23T09:00:00-08:00", "2026-11-23T09:00").as_deref(),
            Some("2026-11-23T17:00:00+00:00")
        );
        assert_eq!(
            read("", "2026-11-23T09:00").as_deref(),
            Some("2026-11-23T09:00:00+00:00")
        );
        assert_eq!(read("", ""), None);
        assert!(moment("", "tomorrow").is_err() && moment("tomorrow", "").is_err());
    }
}

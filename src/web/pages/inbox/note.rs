//! Adding a note from the page.

use axum::extract::{Form as Posted, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::filter::InboxFilter;
use super::pane::{Answer, NoteError, NoteForm, thread_page};
use super::paths::{ConversationPath, back};
use super::scheduled_text::reason;
use super::thread_part::ThreadPart;
use crate::app::App;
use crate::domain::conversations;
use crate::domain::members::Member;
use crate::domain::messages::note::{self, Draft};
use crate::error::Result;
use crate::web::pages::{fragments, internal, streams, wants_streams};
use crate::web::problem::Problem;

#[derive(Deserialize)]
pub struct PostedForm {
    content: String,
    idempotency_key: String,
    /// User ids, separated by commas.
    #[serde(default)]
    mentions: String,
}

/// `POST …/notes`
pub async fn note(
    member: Member,
    State(app): State<App>,
    Path(ConversationPath { conversation_id }): Path<ConversationPath>,
    headers: HeaderMap,
    Posted(typed): Posted<PostedForm>,
) -> Result<Response, Problem> {
    let draft = Draft {
        // Forms submit line breaks as CRLF.
        content: typed.content.replace("\r\n", "\n"),
        mentions: typed
            .mentions
            .split(',')
            .filter_map(|id| id.parse().ok())
            .collect(),
    };
    let mut tx = app.db.workspace(member.tenant()).await?;
    let key = Some(typed.idempotency_key.as_str());
    match note::add(&mut tx, &member, conversation_id, draft, key).await {
        Ok(note) => {
            let conversation = conversations::find(&mut tx, conversation_id).await?;
            tx.commit().await?;
            if wants_streams(&headers) {
                return Ok(streams(
                    fragments::message_added(&note, &conversation).map_err(internal)?,
                ));
            }
            Ok(back(&member, conversation_id))
        }
        Err(error) => {
            let problem = Problem::from(error);
            if problem.status != StatusCode::UNPROCESSABLE_ENTITY {
                return Err(problem);
            }
            let reason = reason(&problem);
            if wants_streams(&headers) {
                let error = NoteError {
                    notice: Some(&reason),
                };
                let html = fragments::swap("note-error", &error).map_err(internal)?;
                return Ok((problem.status, streams(html)).into_response());
            }
            let mut tx = app.db.workspace(member.tenant()).await?;
            let found = conversations::find_with_others(&mut tx, conversation_id).await?;
            let answer = Answer {
                note: NoteForm {
                    draft: typed.content,
                    notice: Some(reason),
                },
                ..Answer::default()
            };
            let shown = thread_page(
                &mut tx,
                &member,
                found,
                &InboxFilter::default(),
                ThreadPart::Newest,
                answer,
            )
            .await?;
            Ok((problem.status, shown).into_response())
        }
    }
}

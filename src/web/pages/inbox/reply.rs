//! Answering from the page: the third door to `messages::send`.

use axum::extract::{Form as Posted, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Narrowing;
use super::changes::back;
use super::thread::{Answer, Of, internal, whole};
use crate::app::App;
use crate::domain::conversations;
use crate::domain::members::Member;
use crate::domain::messages::send::{self, Draft};
use crate::error::{Error, Result};
use crate::ids::ConversationId;
use crate::web::pages::{fragments, streams, wants_streams};
use crate::web::problem::Problem;

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

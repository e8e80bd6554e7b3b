//! Answering from the page: the third door to `messages::send`.

use axum::extract::{Form as Posted, FromRequest, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;

use super::Narrowing;
use super::changes::back;
use super::thread::{Answer, Of, internal, whole};
use crate::app::App;
use crate::domain::conversations;
use crate::domain::media::uploads;
use crate::domain::members::Member;
use crate::domain::messages::Media;
use crate::domain::messages::send::{self, Draft};
use crate::error::{Error, Result};
use crate::ids::{ConversationId, MediaId};
use crate::web::json::Parts;
use crate::web::pages::{fragments, streams, wants_streams};
use crate::web::problem::Problem;

/// What was written, and the files beside it: uploaded before, or here and now where there are no scripts.
#[derive(Deserialize)]
pub struct Reply {
    content: String,
    idempotency_key: String,
    #[serde(default)]
    seen_message_id: String,
    /// With commas in between.
    #[serde(default)]
    media_ids: String,
    #[serde(skip)]
    files: Vec<Bytes>,
}

impl<S: Send + Sync> FromRequest<S> for Reply {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/form-data")) {
            let Posted(reply) = Posted::from_request(request, state)
                .await
                .map_err(IntoResponse::into_response)?;
            return Ok(reply);
        }
        let form = Parts::from_request(request, state)
            .await
            .map_err(IntoResponse::into_response)?;
        let all = |name: &str| {
            let fields = form.fields.iter().filter(|(field, _)| field == name);
            let values: Vec<_> = fields.map(|(_, value)| value.as_str()).collect();
            values.join(",")
        };
        Ok(Self {
            content: all("content"),
            idempotency_key: all("idempotency_key"),
            seen_message_id: all("seen_message_id"),
            media_ids: all("media_ids"),
            files: form.files,
        })
    }
}

impl Reply {
    /// The ids of its files; those that it brings along are taken now.
    async fn media(&mut self, app: &App, member: &Member) -> Result<Vec<MediaId>> {
        for file in std::mem::take(&mut self.files) {
            let upload = uploads::add(app, member.seat(), file).await?;
            self.media_ids = format!("{},{}", self.media_ids, upload.id);
        }
        let ids = self.media_ids.split(',').filter(|id| !id.is_empty());
        ids.map(|id| {
            id.parse()
                .map_err(|_| Error::field("media_ids", "this is no file of yours"))
        })
        .collect()
    }
}

/// `POST …/messages`
pub async fn reply(
    member: Member,
    State(app): State<App>,
    Path(Of { conversation_id }): Path<Of>,
    headers: HeaderMap,
    mut reply: Reply,
) -> Result<Response, Problem> {
    let media_ids = match reply.media(&app, &member).await {
        Ok(media_ids) => media_ids,
        Err(error) => return refuse(&app, &member, conversation_id, &headers, reply, error).await,
    };
    let draft = Draft {
        conversation_id: Some(conversation_id),
        // A browser ends each line with two characters; the phone needs one.
        content: reply.content.replace("\r\n", "\n"),
        media_ids,
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
    let ids: Vec<MediaId> = reply
        .media_ids
        .split(',')
        .filter_map(|id| id.parse().ok())
        .collect();
    // What was refused for its files comes back without them.
    let files = uploads::waiting(&mut tx, &ids).await.unwrap_or_default();
    let answer = Answer {
        media: files
            .iter()
            .map(|file| Media::of(file, member.workspace()))
            .collect(),
        draft: reply.content,
        notice: Some(reason),
        ..Answer::default()
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

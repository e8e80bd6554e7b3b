//! What can be done with a conversation besides answering: read, status, assignee.

use axum::extract::{Form as Posted, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::thread::{Of, internal};
use crate::app::App;
use crate::domain::conversations::{self, Change, Status};
use crate::domain::members::Member;
use crate::error::{Error, Result};
use crate::ids::ConversationId;
use crate::web::pages::{fragments, streams, wants_streams};
use crate::web::problem::Problem;

pub fn back(member: &Member, conversation: ConversationId) -> Response {
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
    status: Status,
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

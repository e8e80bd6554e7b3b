//! What passes between one contact and one number.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::app::App;
use crate::domain::conversations::{self, Assignee, Change, Conversation, Filter, Status};
use crate::domain::members::Member;
use crate::domain::messages::{self, Message};
use crate::domain::opt_outs;
use crate::error::{Error, Result};
use crate::ids::{ContactId, ConversationId, NumberId, TagId, WorkspaceId};
use crate::listing::{Page, Span};
use crate::web::json::{Json, Path, Query};
use crate::web::problem::Problem;

#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    status: Option<Status>,
    number_id: Option<NumberId>,
    contact_id: Option<ContactId>,
    /// `me`, `none` or a user's id.
    assignee: Option<String>,
    /// `true`: only those with unread texts.
    unread: Option<bool>,
    /// Only with contacts who have this tag.
    tag: Option<TagId>,
    /// Any part of the contact's name or number.
    q: Option<String>,
    /// How many at the most: 1 to 200, default 50.
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Wanted {
    fn filter(&self, member: &Member) -> Result<Filter> {
        Ok(Filter {
            status: self.status,
            number: self.number_id,
            contact: self.contact_id,
            assignee: match self.assignee.as_deref() {
                None | Some("") => None,
                Some("me") => Some(Assignee::User(member.user())),
                Some("none") => Some(Assignee::Nobody),
                Some(id) => {
                    let user = id
                        .parse()
                        .map_err(|_| Error::field("assignee", "me, none or a user's id"))?;
                    Some(Assignee::User(user))
                }
            },
            unread: self.unread == Some(true),
            tag: self.tag,
            q: self.q.clone().filter(|q| !q.trim().is_empty()),
        })
    }
}

/// Newest first.
#[utoipa::path(get, path = "/conversations", tag = "Conversations", params(("workspace_id" = WorkspaceId, Path), Wanted),
    responses((status = 200, body = Page<Conversation>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    member: Member,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<Conversation>>, Problem> {
    let filter = wanted.filter(&member)?;
    let span = Span {
        limit: wanted.limit,
        cursor: wanted.cursor,
    };
    let mut tx = app.db.workspace(member.seat()).await?;
    Ok(Json(conversations::list(&mut tx, &filter, &span).await?))
}

#[utoipa::path(get, path = "/conversations/{conversation_id}", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path)),
    responses((status = 200, body = Conversation), (status = 308, description = "It was joined to the one at `Location`"),
              (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    member: Member,
    Path((workspace, id)): Path<(WorkspaceId, ConversationId)>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    match conversations::find(&mut tx, id).await {
        Err(Error::NotFound(_)) => {}
        found => return Ok(Json(found?).into_response()),
    }
    let there = conversations::joined_to(&mut tx, id).await?;
    let there = there.ok_or(Error::NotFound("the conversation"))?;
    let path = format!("/api/workspaces/{workspace}/conversations/{there}");
    Ok(Redirect::permanent(&path).into_response())
}

/// Changes what is given and keeps the rest.
#[utoipa::path(patch, path = "/conversations/{conversation_id}", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path)), request_body = Change,
    responses((status = 200, body = Conversation), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ConversationId)>,
    Json(change): Json<Change>,
) -> Result<Json<Conversation>, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    let conversation = conversations::update(&mut tx, id, change).await?;
    tx.commit().await?;
    Ok(Json(conversation))
}

/// Everything up to now has been seen: the unread count is 0.
#[utoipa::path(post, path = "/conversations/{conversation_id}/read", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn read(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ConversationId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    conversations::find(&mut tx, id).await?;
    conversations::mark_read(&mut tx, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// `true` opts them out by their own words; `false`: they meant something else.
    opt_out: bool,
}

/// Judges the text that only sounds like STOP (`near_stop_id`). Where there is none (any more), nothing happens.
#[utoipa::path(post, path = "/conversations/{conversation_id}/near-stop", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path)), request_body = Judgement,
    responses((status = 200, body = Conversation), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn judge_stop(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ConversationId)>,
    Json(Judgement { opt_out }): Json<Judgement>,
) -> Result<Json<Conversation>, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    opt_outs::judge(&mut tx, &member, id, opt_out).await?;
    let conversation = conversations::find(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Json(conversation))
}

/// Newest first.
#[utoipa::path(get, path = "/conversations/{conversation_id}/messages", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path), Span),
    responses((status = 200, body = Page<Message>), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn messages(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ConversationId)>,
    Query(span): Query<Span>,
) -> Result<Json<Page<Message>>, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    conversations::find(&mut tx, id).await?;
    let filter = messages::Filter {
        conversation: Some(id),
        ..Default::default()
    };
    Ok(Json(messages::list(&mut tx, &filter, &span).await?))
}

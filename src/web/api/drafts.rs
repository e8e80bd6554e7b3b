//! Drafts of the caller.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::conversations;
use crate::domain::drafts::{self, Draft, DraftChange, DraftKey};
use crate::domain::members::Member;
use crate::ids::{ConversationId, WorkspaceId};
use crate::listing::{Page, Span};
use crate::web::json::{Json, Path, Query};
use crate::web::problem::Problem;

/// Lists the caller's drafts, newest first. A draft outside a conversation has no `conversation_id`. Drafts are
/// private, also from admins.
#[utoipa::path(get, path = "/drafts", tag = "Messages", params(("workspace_id" = WorkspaceId, Path), Span),
    responses((status = 200, body = Page<Draft>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    member: Member,
    Query(span): Query<Span>,
) -> Result<Json<Page<Draft>>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    Ok(Json(drafts::list(&mut tx, &span).await?))
}

/// Returns the caller's draft in a conversation, empty if there is none.
#[utoipa::path(get, path = "/conversations/{conversation_id}/draft", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path)),
    responses((status = 200, body = Draft), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ConversationId)>,
) -> Result<Json<Draft>, Problem> {
    open(app, member, Some(id)).await
}

/// Replaces the caller's draft in a conversation. Its files are kept longer than other uploads. An empty draft is
/// deleted.
#[utoipa::path(put, path = "/conversations/{conversation_id}/draft", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path)), request_body = DraftChange,
    responses((status = 200, body = Draft), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn save(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ConversationId)>,
    Json(writing): Json<DraftChange>,
) -> Result<Json<Draft>, Problem> {
    keep(app, member, Some(id), writing).await
}

/// Deletes the caller's draft in a conversation. 204 also if there is none.
#[utoipa::path(delete, path = "/conversations/{conversation_id}/draft", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("conversation_id" = ConversationId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn remove(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ConversationId)>,
) -> Result<StatusCode, Problem> {
    forget(app, member, Some(id)).await
}

/// Returns the caller's draft outside a conversation, empty if there is none.
#[utoipa::path(get, path = "/drafts/new", tag = "Messages", params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, body = Draft), (status = 403, body = Problem)))]
pub async fn show_new(State(app): State<App>, member: Member) -> Result<Json<Draft>, Problem> {
    open(app, member, None).await
}

/// Replaces the caller's draft outside a conversation. An empty draft is deleted.
#[utoipa::path(put, path = "/drafts/new", tag = "Messages", params(("workspace_id" = WorkspaceId, Path)), request_body = DraftChange,
    responses((status = 200, body = Draft), (status = 403, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn save_new(
    State(app): State<App>,
    member: Member,
    Json(writing): Json<DraftChange>,
) -> Result<Json<Draft>, Problem> {
    keep(app, member, None, writing).await
}

/// Deletes the caller's draft outside a conversation. 204 also if there is none.
#[utoipa::path(delete, path = "/drafts/new", tag = "Messages", params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 204), (status = 403, body = Problem)))]
pub async fn remove_new(State(app): State<App>, member: Member) -> Result<StatusCode, Problem> {
    forget(app, member, None).await
}

async fn open(app: App, member: Member, key: DraftKey) -> Result<Json<Draft>, Problem> {
    let mut tx = seen(&app, &member, key).await?;
    Ok(Json(drafts::find(&mut tx, key).await?))
}

async fn keep(
    app: App,
    member: Member,
    key: DraftKey,
    writing: DraftChange,
) -> Result<Json<Draft>, Problem> {
    let mut tx = seen(&app, &member, key).await?;
    let draft = drafts::save(&mut tx, key, writing).await?;
    tx.commit().await?;
    Ok(Json(draft))
}

async fn forget(app: App, member: Member, key: DraftKey) -> Result<StatusCode, Problem> {
    let mut tx = seen(&app, &member, key).await?;
    drafts::remove(&mut tx, key).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn seen(app: &App, member: &Member, key: DraftKey) -> Result<WorkspaceTx, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    if let Some(conversation) = key {
        conversations::find(&mut tx, conversation).await?;
    }
    Ok(tx)
}

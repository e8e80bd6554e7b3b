//! Saved views of the inbox's list.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;
use crate::domain::conversations::views::{self, Draft, View, ViewChange};
use crate::domain::members::Member;
use crate::ids::{ViewId, WorkspaceId};
use crate::listing::Page;
use crate::web::json::{Json, Path};
use crate::web::problem::Problem;

/// Lists the caller's and the shared views by name, at most 100. A view of a number is shown to members who see that number.
#[utoipa::path(get, path = "/views", tag = "Conversations", params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, body = Page<View>), (status = 403, body = Problem)))]
pub async fn list(State(app): State<App>, member: Member) -> Result<Json<Page<View>>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    Ok(Json(Page {
        data: views::list(&mut tx).await?,
        next_cursor: None,
    }))
}

/// Saves a view: private, or shared with the workspace.
#[utoipa::path(post, path = "/views", tag = "Conversations", params(("workspace_id" = WorkspaceId, Path)), request_body = Draft,
    responses((status = 201, body = View), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    member: Member,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<View>), Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let view = views::create(&mut tx, draft).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// Renames a view. A shared one can be changed by its creator and by admins.
#[utoipa::path(patch, path = "/views/{view_id}", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("view_id" = ViewId, Path)), request_body = ViewChange,
    responses((status = 200, body = View), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ViewId)>,
    Json(change): Json<ViewChange>,
) -> Result<Json<View>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let view = views::update(&mut tx, &member, id, change).await?;
    tx.commit().await?;
    Ok(Json(view))
}

/// Deletes a view. A shared one can be deleted by its creator and by admins.
#[utoipa::path(delete, path = "/views/{view_id}", tag = "Conversations",
    params(("workspace_id" = WorkspaceId, Path), ("view_id" = ViewId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn remove(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ViewId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    views::remove(&mut tx, &member, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

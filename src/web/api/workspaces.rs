//! Workspaces.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::app::App;
use crate::domain::accounts::{self, Caller};
use crate::domain::members::{Admin, Member};
use crate::domain::workspaces::{self, Workspace, WorkspaceChange, WorkspaceMembership};
use crate::ids::WorkspaceId;
use crate::listing::Page;
use crate::web::auth::Claimed;
use crate::web::json::Json;
use crate::web::problem::Problem;

/// Lists the workspaces that the caller is a member of.
#[utoipa::path(get, path = "/api/workspaces", tag = "Workspaces", responses((status = 200, body = Page<WorkspaceMembership>), (status = 401, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    Claimed(session): Claimed,
) -> Result<Json<Page<WorkspaceMembership>>, Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    let data = workspaces::of_user(&app.db, user.id).await?;
    Ok(Json(Page {
        data,
        next_cursor: None,
    }))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WorkspaceDraft)]
pub struct Draft {
    /// 1 to 80 characters.
    pub name: String,
}

/// Creates a workspace with the caller as admin. Allowed for everyone with `SIGNUPS=open`, for admins of another
/// workspace with `invite`, and for nobody with `closed`: 403 `workspaces_closed`. More than `WORKSPACES_PER_PERSON`:
/// 403 `too_many_workspaces`.
#[utoipa::path(post, path = "/api/workspaces", tag = "Workspaces", request_body = Draft,
    responses((status = 201, body = WorkspaceMembership), (status = 401, body = Problem), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    Claimed(session): Claimed,
    caller: Caller,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<WorkspaceMembership>), Problem> {
    let user = accounts::of_session(&app.db, session).await?;
    let mine = workspaces::create(&app, &draft.name, user.id, &caller.address()).await?;
    Ok((StatusCode::CREATED, Json(mine)))
}

/// Returns the workspace and its settings.
#[utoipa::path(get, path = "", tag = "Workspaces", params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, body = Workspace), (status = 403, body = Problem)))]
pub async fn show(State(app): State<App>, member: Member) -> Result<Json<Workspace>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    Ok(Json(workspaces::current(&mut tx).await?))
}

/// Updates the given settings of the workspace. Admins only.
#[utoipa::path(patch, path = "", tag = "Workspaces", params(("workspace_id" = WorkspaceId, Path)), request_body = WorkspaceChange,
    responses((status = 200, body = Workspace), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    admin: Admin,
    Json(change): Json<WorkspaceChange>,
) -> Result<Json<Workspace>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let workspace = workspaces::update(&mut tx, &admin, change).await?;
    tx.commit().await?;
    Ok(Json(workspace))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WorkspaceConfirmation)]
pub struct Confirmation {
    /// The exact name of the workspace.
    pub name: String,
}

/// Deletes the workspace with its numbers, contacts, conversations, messages, credits and audit log. This cannot be
/// undone. Users keep their accounts. Admins only.
#[utoipa::path(delete, path = "", tag = "Workspaces", params(("workspace_id" = WorkspaceId, Path)), request_body = Confirmation,
    responses((status = 204), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn remove(
    State(app): State<App>,
    admin: Admin,
    Json(confirmation): Json<Confirmation>,
) -> Result<StatusCode, Problem> {
    workspaces::delete(&app.db, &admin, &confirmation.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

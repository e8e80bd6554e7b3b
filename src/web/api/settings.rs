//! Settings of the caller.

use axum::extract::State;

use crate::app::App;
use crate::domain::members::Member;
use crate::domain::settings::{self, Settings, SettingsChange};
use crate::ids::WorkspaceId;
use crate::web::json::Json;
use crate::web::problem::Problem;

/// Returns the caller's settings in this workspace.
#[utoipa::path(get, path = "/settings", tag = "Members", params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, body = Settings), (status = 403, body = Problem)))]
pub async fn show(State(app): State<App>, member: Member) -> Result<Json<Settings>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    Ok(Json(settings::of(&mut tx, &member).await?))
}

/// Updates the given settings of the caller.
#[utoipa::path(patch, path = "/settings", tag = "Members", params(("workspace_id" = WorkspaceId, Path)), request_body = SettingsChange,
    responses((status = 200, body = Settings), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    member: Member,
    Json(change): Json<SettingsChange>,
) -> Result<Json<Settings>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let settings = settings::update(&mut tx, &member, change).await?;
    tx.commit().await?;
    Ok(Json(settings))
}

//! Push subscriptions of the caller.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::app::App;
use crate::domain::members::Member;
use crate::domain::pushes::{self, Device, Draft};
use crate::ids::{PushId, WorkspaceId};
use crate::web::json::{Json, Path};
use crate::web::problem::Problem;

#[derive(Serialize, utoipa::ToSchema)]
pub struct Pushes {
    /// The `applicationServerKey` for subscribing.
    public_key: String,
    data: Vec<Device>,
    /// Always `null`: there are at most 20.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<()>,
}

/// Lists the caller's push subscriptions in this workspace, with the server's public key. They are private.
#[utoipa::path(get, path = "/pushes", tag = "Settings", params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, body = Pushes), (status = 403, body = Problem)))]
pub async fn list(State(app): State<App>, member: Member) -> Result<Json<Pushes>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    Ok(Json(Pushes {
        public_key: app.push.public_key(),
        data: pushes::list(&mut tx, &member).await?,
        next_cursor: None,
    }))
}

/// Subscribes a browser to push notifications. They are sent while the caller is away, for texts in visible
/// conversations assigned to the caller or to nobody. The subscription ends with the session that created it. A
/// repeated endpoint updates the existing subscription. 422 if the endpoint or its keys are invalid, or with 20
/// subscriptions already.
#[utoipa::path(post, path = "/pushes", tag = "Settings", params(("workspace_id" = WorkspaceId, Path)), request_body = Draft,
    responses((status = 201, body = Device), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    member: Member,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<Device>), Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let device = pushes::subscribe(&app, &mut tx, &member, draft).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(device)))
}

/// Deletes a push subscription of the caller. Another user's: 404.
#[utoipa::path(delete, path = "/pushes/{push_id}", tag = "Settings",
    params(("workspace_id" = WorkspaceId, Path), ("push_id" = PushId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn remove(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, PushId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    pushes::remove(&mut tx, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

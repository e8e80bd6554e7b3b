//! My browsers that are told of texts while I am away.

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
    /// What a browser subscribes with: `applicationServerKey`.
    public_key: String,
    data: Vec<Device>,
    /// Always `null`: there are at most 20.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<()>,
}

/// Mine in this workspace, and the server's public key. Nobody sees those of others.
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

/// This browser is told of texts in conversations that are mine or nobody's, among those that I may see, while I have no inbox
/// open. It ends with the sign-in that made it. The same address again changes the one that is there. 422 says what is wrong with
/// the address or its keys, or that 20 browsers are told already.
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

/// It is not told any more. 404 also for one of somebody else.
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

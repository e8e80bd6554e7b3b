//! Who works in a workspace.

use axum::extract::State;

use crate::app::App;
use crate::domain::members::{self, Colleague, Member};
use crate::ids::WorkspaceId;
use crate::listing::Page;
use crate::web::json::Json;
use crate::web::problem::Problem;

#[utoipa::path(get, path = "/members", tag = "Members", params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, body = Page<Colleague>), (status = 403, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    member: Member,
) -> Result<Json<Page<Colleague>>, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    let data = members::list(&mut tx).await?;
    Ok(Json(Page {
        data,
        next_cursor: None,
    }))
}

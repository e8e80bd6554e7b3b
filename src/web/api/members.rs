//! Members of a workspace.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::app::App;
use crate::domain::members::{self, Admin, Colleague, Member, Role};
use crate::domain::settings;
use crate::ids::{NumberId, UserId, WorkspaceId};
use crate::listing::Page;
use crate::web::json::{Json, Path};
use crate::web::problem::Problem;

/// Lists the members of the workspace.
#[utoipa::path(get, path = "/members", tag = "Members", params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, body = Page<Colleague>), (status = 403, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    member: Member,
) -> Result<Json<Page<Colleague>>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let data = members::list(&mut tx).await?;
    Ok(Json(Page {
        data,
        next_cursor: None,
    }))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MemberChange)]
pub struct MemberChange {
    pub role: Option<Role>,
    /// The default number of the member's new conversations; `null` for the workspace's default.
    #[serde(default, deserialize_with = "settings::given")]
    #[schema(value_type = Option<NumberId>)]
    pub default_number_id: Option<Option<NumberId>>,
}

/// Changes the role or default number of a member. Takes effect at once, also on open pages and WebSockets. The last
/// admin cannot become an agent: 409 `last_admin`. Admins only.
#[utoipa::path(patch, path = "/members/{user_id}", tag = "Members",
    params(("workspace_id" = WorkspaceId, Path), ("user_id" = UserId, Path)), request_body = MemberChange,
    responses((status = 200, body = Colleague), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    admin: Admin,
    Path((_, user)): Path<(WorkspaceId, UserId)>,
    Json(change): Json<MemberChange>,
) -> Result<Json<Colleague>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    if let Some(number) = change.default_number_id {
        settings::set_default_number(&mut tx, &admin, user, number).await?;
    }
    let member = match change.role {
        Some(role) => members::change_role(&mut tx, &admin, user, role).await?,
        None => members::find(&mut tx, user).await?,
    };
    tx.commit().await?;
    Ok(Json(member))
}

/// Removes a member from the workspace. Takes effect at once, also on open pages and WebSockets. Agents can remove only
/// themselves. The last admin cannot be removed: 409 `last_admin`.
#[utoipa::path(delete, path = "/members/{user_id}", tag = "Members",
    params(("workspace_id" = WorkspaceId, Path), ("user_id" = UserId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub async fn remove(
    State(app): State<App>,
    member: Member,
    Path((_, user)): Path<(WorkspaceId, UserId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    if user == member.user() {
        members::leave(&mut tx, &member).await?;
    } else {
        members::remove(&mut tx, &Admin::try_from(member)?, user).await?;
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

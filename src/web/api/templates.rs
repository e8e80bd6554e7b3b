//! Texts that are sent again and again.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::app::App;
use crate::domain::members::Member;
use crate::domain::templates::{self, Draft, Template, TemplateChange};
use crate::ids::{TemplateId, WorkspaceId};
use crate::listing::{Page, Span};
use crate::web::json::{Json, Path, Query};
use crate::web::problem::Problem;

#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct TemplateQuery {
    /// Any part of a name or text.
    q: Option<String>,
    /// How many at the most: 1 to 200, default 50.
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Mine and those that are shared with the workspace, newest first.
#[utoipa::path(get, path = "/templates", tag = "Messages", params(("workspace_id" = WorkspaceId, Path), TemplateQuery),
    responses((status = 200, body = Page<Template>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    member: Member,
    Query(wanted): Query<TemplateQuery>,
) -> Result<Json<Page<Template>>, Problem> {
    let span = Span {
        limit: wanted.limit,
        cursor: wanted.cursor,
    };
    let mut tx = app.db.workspace(member.tenant()).await?;
    Ok(Json(
        templates::list(&mut tx, wanted.q.as_deref(), &span).await?,
    ))
}

/// Every member may make one, for themselves or (`shared`) for the workspace. `{{first_name}}` and the like in its text are
/// filled in when it is sent; what stands after a bar, as in `{{first_name|there}}`, is said where there is none.
#[utoipa::path(post, path = "/templates", tag = "Messages", params(("workspace_id" = WorkspaceId, Path)), request_body = Draft,
    responses((status = 201, body = Template), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    member: Member,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<Template>), Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let template = templates::create(&mut tx, draft).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(template)))
}

/// One of mine, or one that is shared. Somebody else's own: 404.
#[utoipa::path(get, path = "/templates/{template_id}", tag = "Messages",
    params(("workspace_id" = WorkspaceId, Path), ("template_id" = TemplateId, Path)),
    responses((status = 200, body = Template), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, TemplateId)>,
) -> Result<Json<Template>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    Ok(Json(templates::find(&mut tx, id).await?))
}

/// Changes what is given and keeps the rest. A shared one is changed by its maker and by admins; anybody else: 403 `admin_only`.
#[utoipa::path(patch, path = "/templates/{template_id}", tag = "Messages",
    params(("workspace_id" = WorkspaceId, Path), ("template_id" = TemplateId, Path)), request_body = TemplateChange,
    responses((status = 200, body = Template), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, TemplateId)>,
    Json(change): Json<TemplateChange>,
) -> Result<Json<Template>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let template = templates::update(&mut tx, &member, id, change).await?;
    tx.commit().await?;
    Ok(Json(template))
}

/// Texts that were written with it stay as they are. A shared one is deleted by its maker and by admins; anybody else: 403
/// `admin_only`.
#[utoipa::path(delete, path = "/templates/{template_id}", tag = "Messages",
    params(("workspace_id" = WorkspaceId, Path), ("template_id" = TemplateId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn remove(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, TemplateId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    templates::remove(&mut tx, &member, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

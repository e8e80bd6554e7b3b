//! Message templates.

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
    /// The page size: 1 to 200, default 50.
    limit: Option<i64>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// Lists the caller's templates and those shared with the workspace, newest first.
#[utoipa::path(get, path = "/templates", tag = "Messages", params(("workspace_id" = WorkspaceId, Path), TemplateQuery),
    responses((status = 200, body = Page<Template>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    member: Member,
    Query(query): Query<TemplateQuery>,
) -> Result<Json<Page<Template>>, Problem> {
    let span = Span {
        limit: query.limit,
        cursor: query.cursor,
    };
    let mut tx = app.db.workspace(member.tenant()).await?;
    Ok(Json(
        templates::list(&mut tx, query.q.as_deref(), &span).await?,
    ))
}

/// Creates a template, private or `shared` with the workspace. Variables such as `{{first_name}}` are filled in when a
/// text is sent; a fallback follows after a bar, as in `{{first_name|there}}`.
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

/// Returns a template of the caller, or a shared one. Another member's private template: 404.
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

/// Updates the given fields of a template. A shared one can be changed by its creator and by admins, else 403
/// `admin_only`.
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

/// Deletes a template. Texts written with it do not change. A shared one can be deleted by its creator and by admins,
/// else 403 `admin_only`.
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

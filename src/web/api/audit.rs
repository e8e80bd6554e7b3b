//! The audit log.

use axum::extract::State;

use crate::app::App;
use crate::db::Load;
use crate::domain::audit::{self, Entry, Filter};
use crate::domain::members::Admin;
use crate::ids::WorkspaceId;
use crate::listing::{Page, Span};
use crate::web::json::{Json, Query};
use crate::web::problem::Problem;

/// Lists the audit log, newest first. Entries never change. Admins only.
#[utoipa::path(get, path = "/audit", tag = "Audit", params(("workspace_id" = WorkspaceId, Path), Filter, Span),
    responses((status = 200, body = Page<Entry>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    admin: Admin,
    Query(filter): Query<Filter>,
    Query(span): Query<Span>,
) -> Result<Json<Page<Entry>>, Problem> {
    let mut tx = app.db.workspace_for(admin.tenant(), Load::Heavy).await?;
    Ok(Json(audit::list(&mut tx, &filter, &span).await?))
}

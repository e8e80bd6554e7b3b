//! The webhook journal.

use axum::extract::State;

use crate::app::App;
use crate::domain::members::Admin;
use crate::domain::webhooks::{self, Filter, Webhook};
use crate::ids::WorkspaceId;
use crate::listing::{Page, Span};
use crate::web::json::{Json, Query};
use crate::web::problem::Problem;

/// Lists the providers' webhooks of the last 30 days with their outcome, newest first. The content of a text is in its
/// message. Admins only.
#[utoipa::path(get, path = "/webhooks", tag = "Webhooks", params(("workspace_id" = WorkspaceId, Path), Filter, Span),
    responses((status = 200, body = Page<Webhook>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    admin: Admin,
    Query(filter): Query<Filter>,
    Query(span): Query<Span>,
) -> Result<Json<Page<Webhook>>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    Ok(Json(webhooks::list(&mut tx, &admin, &filter, &span).await?))
}

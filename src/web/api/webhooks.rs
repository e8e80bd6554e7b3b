//! What providers told us and what became of it.

use axum::extract::State;

use crate::app::App;
use crate::domain::members::Admin;
use crate::domain::webhooks::{self, Filter, Webhook};
use crate::ids::WorkspaceId;
use crate::listing::{Page, Span};
use crate::web::json::{Json, Query};
use crate::web::problem::Problem;

/// Every call of a provider about our numbers in the last 30 days and what became of it, the newest first. What a text said is
/// in its message, not here. Admins only.
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

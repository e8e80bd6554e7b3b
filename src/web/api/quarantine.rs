//! Quarantined webhooks: requests with an invalid signature.

use axum::extract::State;
use serde::Deserialize;

use crate::app::App;
use crate::domain::members::Admin;
use crate::domain::quarantine::{self, Filter, QuarantinedCall, Settled};
use crate::ids::{NumberId, QuarantineId, WorkspaceId};
use crate::listing::{Page, Span};
use crate::web::AppState;
use crate::web::json::{Json, Path, Query};
use crate::web::problem::Problem;

/// Lists webhooks with an invalid signature, newest first, with their content, the URL that the signature was checked
/// against, and the probable cause. The first 1,000 per number are kept, for 30 days. Admins only.
#[utoipa::path(get, path = "/quarantine", tag = "Webhooks", params(("workspace_id" = WorkspaceId, Path), Filter, Span),
    responses((status = 200, body = Page<QuarantinedCall>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    admin: Admin,
    Query(filter): Query<Filter>,
    Query(span): Query<Span>,
) -> Result<Json<Page<QuarantinedCall>>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    Ok(Json(
        quarantine::list(&mut tx, &admin, &filter, &span).await?,
    ))
}

/// Returns one quarantined webhook. Admins only.
#[utoipa::path(get, path = "/quarantine/{quarantine_id}", tag = "Webhooks",
    params(("workspace_id" = WorkspaceId, Path), ("quarantine_id" = QuarantineId, Path)),
    responses((status = 200, body = QuarantinedCall), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, QuarantineId)>,
) -> Result<Json<QuarantinedCall>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    Ok(Json(quarantine::find(&mut tx, &admin, id).await?))
}

/// Releases a quarantined webhook: it is processed like one with a valid signature, with the time it arrived. A text
/// that is stored already is not stored twice, and a resolved webhook does not change. Admins only, audited.
#[utoipa::path(post, path = "/quarantine/{quarantine_id}/release", tag = "Webhooks",
    params(("workspace_id" = WorkspaceId, Path), ("quarantine_id" = QuarantineId, Path)),
    responses((status = 200, body = QuarantinedCall), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn release(
    State(app_state): State<AppState>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, QuarantineId)>,
) -> Result<Json<QuarantinedCall>, Problem> {
    Ok(Json(
        quarantine::release(&app_state.quarantine_context(), &admin, id).await?,
    ))
}

/// Discards the content of a quarantined webhook; the journal keeps its arrival. Admins only, audited.
#[utoipa::path(post, path = "/quarantine/{quarantine_id}/discard", tag = "Webhooks",
    params(("workspace_id" = WorkspaceId, Path), ("quarantine_id" = QuarantineId, Path)),
    responses((status = 200, body = QuarantinedCall), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn discard(
    State(app): State<App>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, QuarantineId)>,
) -> Result<Json<QuarantinedCall>, Problem> {
    Ok(Json(quarantine::discard(&app.db, &admin, id).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantineSelection {
    /// Only webhooks for this number.
    number_id: Option<NumberId>,
}

/// Releases all quarantined webhooks, oldest first, up to 200 per request: repeat while `waiting` is not 0. Admins
/// only, audited.
#[utoipa::path(post, path = "/quarantine/release", tag = "Webhooks", params(("workspace_id" = WorkspaceId, Path)),
    request_body = QuarantineSelection,
    responses((status = 200, body = Settled), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn release_all(
    State(app_state): State<AppState>,
    admin: Admin,
    Json(which): Json<QuarantineSelection>,
) -> Result<Json<Settled>, Problem> {
    Ok(Json(
        quarantine::release_all(&app_state.quarantine_context(), &admin, which.number_id).await?,
    ))
}

/// Discards all quarantined webhooks. Admins only, audited.
#[utoipa::path(post, path = "/quarantine/discard", tag = "Webhooks", params(("workspace_id" = WorkspaceId, Path)),
    request_body = QuarantineSelection,
    responses((status = 200, body = Settled), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn discard_all(
    State(app): State<App>,
    admin: Admin,
    Json(which): Json<QuarantineSelection>,
) -> Result<Json<Settled>, Problem> {
    Ok(Json(
        quarantine::discard_all(&app.db, &admin, which.number_id).await?,
    ))
}

//! Integrations with providers.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;
use crate::domain::integrations::uses::{self, Access};
use crate::domain::integrations::{
    self, Connect, Connected, Directory, Integration, IntegrationChange, Synced,
};
use crate::domain::members::Admin;
use crate::ids::{IntegrationId, WorkspaceId};
use crate::listing::{Page, Span};
use crate::web::json::{Json, Path, Query};
use crate::web::problem::Problem;

/// Lists the integrations with their health. Admins only.
#[utoipa::path(get, path = "/integrations", tag = "Integrations", params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, body = Page<Integration>), (status = 403, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    admin: Admin,
) -> Result<Json<Page<Integration>>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let data = integrations::list(&mut tx, &admin, &app.config).await?;
    Ok(Json(Page {
        data,
        next_cursor: None,
    }))
}

/// Connects an account at a provider. Checks the credentials, stores them encrypted, reads all numbers and sets the
/// webhook of each number that can text. 422 `invalid_credentials` if the provider refuses them; nothing is stored
/// then.
#[utoipa::path(post, path = "/integrations", tag = "Integrations", params(("workspace_id" = WorkspaceId, Path)), request_body = Connect,
    responses((status = 201, body = Connected), (status = 403, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    admin: Admin,
    Json(form): Json<Connect>,
) -> Result<(StatusCode, Json<Connected>), Problem> {
    let connected = integrations::connect(&app, &admin, form).await?;
    Ok((StatusCode::CREATED, Json(connected)))
}

/// Checks the stored credentials at the provider. If they are valid, an unhealthy integration becomes healthy and its
/// queue continues.
#[utoipa::path(post, path = "/integrations/{integration_id}/test", tag = "Integrations",
    params(("workspace_id" = WorkspaceId, Path), ("integration_id" = IntegrationId, Path)),
    responses((status = 200, body = Integration), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 503, body = Problem)))]
pub async fn test(
    State(app): State<App>,
    State(directory): State<Directory>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, IntegrationId)>,
) -> Result<Json<Integration>, Problem> {
    Ok(Json(
        integrations::test(&app, &admin, &directory, id).await?,
    ))
}

/// Synchronizes the numbers with the provider's list. New ones are added, changed ones updated, and removed ones become
/// inactive and keep their history. Webhooks are checked, and set where they differ.
#[utoipa::path(post, path = "/integrations/{integration_id}/sync", tag = "Integrations",
    params(("workspace_id" = WorkspaceId, Path), ("integration_id" = IntegrationId, Path)),
    responses((status = 200, body = Synced), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn sync(
    State(app): State<App>,
    State(directory): State<Directory>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, IntegrationId)>,
) -> Result<Json<Synced>, Problem> {
    Ok(Json(
        integrations::sync(&app, &admin, &directory, id).await?,
    ))
}

/// Updates the given fields of an integration. New credentials must belong to the same account; they are checked at the
/// provider and replace the old ones at once. An unhealthy integration becomes healthy and its queue continues.
#[utoipa::path(patch, path = "/integrations/{integration_id}", tag = "Integrations",
    params(("workspace_id" = WorkspaceId, Path), ("integration_id" = IntegrationId, Path)), request_body = IntegrationChange,
    responses((status = 200, body = Integration), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem),
              (status = 503, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, IntegrationId)>,
    Json(change): Json<IntegrationChange>,
) -> Result<Json<Integration>, Problem> {
    Ok(Json(integrations::update(&app, &admin, id, change).await?))
}

/// Disconnects an integration permanently. Its credentials are destroyed, its numbers become inactive, waiting texts
/// fail and their credits are returned, and its webhooks answer 404. Conversations and messages stay. The previous
/// webhooks of its numbers are restored at the provider where possible.
#[utoipa::path(delete, path = "/integrations/{integration_id}", tag = "Integrations",
    params(("workspace_id" = WorkspaceId, Path), ("integration_id" = IntegrationId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn remove(
    State(app): State<App>,
    State(directory): State<Directory>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, IntegrationId)>,
) -> Result<StatusCode, Problem> {
    integrations::disconnect(&app, &admin, &directory, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the uses of stored credentials by purpose and user, with counts per hour, newest first. Recorded within a few
/// seconds, kept for a year. Admins only.
#[utoipa::path(get, path = "/credential-access", tag = "Integrations", params(("workspace_id" = WorkspaceId, Path), uses::Filter, Span),
    responses((status = 200, body = Page<Access>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn credential_access(
    State(app): State<App>,
    admin: Admin,
    Query(filter): Query<uses::Filter>,
    Query(span): Query<Span>,
) -> Result<Json<Page<Access>>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    Ok(Json(uses::list(&mut tx, &filter, &span).await?))
}

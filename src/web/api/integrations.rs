//! Accounts at providers. Admins only.

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

/// The accounts at providers, with what is wrong with them. Admins only.
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

/// Checks the credentials at the provider, stores them encrypted, reads all numbers and sets the webhook of each that can
/// text. Credentials that the provider refuses: 422 `invalid_credentials`, and nothing was stored.
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

/// Asks the provider whether the stored credentials are good. If so an unhealthy integration is healthy again and its queue goes on.
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

/// Compares the provider's list of numbers with ours: new ones are added, changed ones updated, and those that are gone become
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

/// Changes what is given and keeps the rest. New credentials are those of the same account; they are checked at the provider and
/// replace the old ones at once. If the integration was unhealthy, it is healthy again and its queue goes on.
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

/// Disconnects the account for good. Its credentials are destroyed, its numbers become inactive, texts that wait fail and their
/// credits come back, and its webhooks answer 404. Conversations and messages stay. The webhooks that its numbers had before are
/// put back at the provider where possible.
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

/// What the stored credentials were used for, by whom and how often, hour by hour, the newest first. Written a few seconds after
/// the use, kept for a year. Admins only.
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

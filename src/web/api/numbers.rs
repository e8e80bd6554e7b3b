//! Numbers, and access to their conversations.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::app::App;
use crate::domain::integrations::{self, Diagnosis, Directory, Purchase, Search};
use crate::domain::members::{Admin, Colleague, Member};
use crate::domain::messages::catch_up;
use crate::domain::messages::receive::Ingest;
use crate::domain::numbers::{self, Number, NumberChange};
use crate::ids::{NumberId, UserId, WorkspaceId};
use crate::listing::Page;
use crate::providers::Offer;
use crate::web::json::{Json, Path, Query};
use crate::web::problem::Problem;

/// Lists the numbers visible to the caller: all for admins, the assigned ones for agents.
#[utoipa::path(get, path = "/numbers", tag = "Numbers", params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, body = Page<Number>), (status = 403, body = Problem)))]
pub async fn list(State(app): State<App>, member: Member) -> Result<Json<Page<Number>>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let data = numbers::list(&mut tx).await?;
    Ok(Json(Page {
        data,
        next_cursor: None,
    }))
}

/// Lists numbers for sale that can text, at most 40, without those of the workspace. They are not reserved. 422
/// `provider_refused`: the provider's reason is in `detail`. Admins only.
#[utoipa::path(get, path = "/numbers/available", tag = "Numbers", params(("workspace_id" = WorkspaceId, Path), Search),
    responses((status = 200, body = Page<Offer>), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn available(
    State(app): State<App>,
    State(directory): State<Directory>,
    admin: Admin,
    Query(asked): Query<Search>,
) -> Result<Json<Page<Offer>>, Problem> {
    let data = integrations::search(&app, &admin, &directory, asked).await?;
    Ok(Json(Page {
        data,
        next_cursor: None,
    }))
}

/// Buys a number and sets its webhook. A repeated request never buys it twice, so it is safe to retry after a 503. Some
/// providers need time: until then the status is `pending`, and a sync completes it. 422 `provider_refused`: the
/// provider's reason is in `detail`. Admins only.
#[utoipa::path(post, path = "/numbers", tag = "Numbers", params(("workspace_id" = WorkspaceId, Path)), request_body = Purchase,
    responses((status = 201, body = Number), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn buy(
    State(app): State<App>,
    State(directory): State<Directory>,
    admin: Admin,
    Json(purchase): Json<Purchase>,
) -> Result<(StatusCode, Json<Number>), Problem> {
    let number = integrations::buy(&app, &admin, &directory, purchase).await?;
    Ok((StatusCode::CREATED, Json(number)))
}

/// Releases a number to its provider permanently: it can be sold to others. Its conversations stay, waiting texts fail
/// and their credits are returned. Admins only.
#[utoipa::path(delete, path = "/numbers/{number_id}", tag = "Numbers",
    params(("workspace_id" = WorkspaceId, Path), ("number_id" = NumberId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn release(
    State(app): State<App>,
    State(directory): State<Directory>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, NumberId)>,
) -> Result<StatusCode, Problem> {
    integrations::release(&app, &admin, &directory, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Diagnoses a number from its state at the provider and the events of the last seven days. Each finding says how to
/// correct it. Changes nothing. Admins only.
#[utoipa::path(get, path = "/numbers/{number_id}/doctor", tag = "Numbers",
    params(("workspace_id" = WorkspaceId, Path), ("number_id" = NumberId, Path)),
    responses((status = 200, body = Diagnosis), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn doctor(
    State(app): State<App>,
    State(directory): State<Directory>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, NumberId)>,
) -> Result<Json<Diagnosis>, Problem> {
    let diagnosis = integrations::examine(&app, &admin, &directory, id).await?;
    Ok(Json(diagnosis))
}

/// Sets the number's webhook. If other settings at the provider take precedence, `webhook` is `overridden` and
/// `webhook_detail` names them. Admins only.
#[utoipa::path(post, path = "/numbers/{number_id}/webhook", tag = "Numbers",
    params(("workspace_id" = WorkspaceId, Path), ("number_id" = NumberId, Path)),
    responses((status = 200, body = Number), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
              (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn set_webhook(
    State(app): State<App>,
    State(directory): State<Directory>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, NumberId)>,
) -> Result<Json<Number>, Problem> {
    let number = integrations::set_webhook(&app, &admin, &directory, id).await?;
    Ok(Json(number))
}

/// Updates the given fields of a number. Admins only.
#[utoipa::path(patch, path = "/numbers/{number_id}", tag = "Numbers",
    params(("workspace_id" = WorkspaceId, Path), ("number_id" = NumberId, Path)), request_body = NumberChange,
    responses((status = 200, body = Number), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, NumberId)>,
    Json(change): Json<NumberChange>,
) -> Result<Json<Number>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let number = numbers::update(&mut tx, &admin, id, change).await?;
    tx.commit().await?;
    Ok(Json(number))
}

/// Lists the agents who see the number's conversations. Admins see all and are not listed. Admins only.
#[utoipa::path(get, path = "/numbers/{number_id}/members", tag = "Numbers",
    params(("workspace_id" = WorkspaceId, Path), ("number_id" = NumberId, Path)),
    responses((status = 200, body = Page<Colleague>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn members(
    State(app): State<App>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, NumberId)>,
) -> Result<Json<Page<Colleague>>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let data = numbers::members(&mut tx, &admin, id).await?;
    Ok(Json(Page {
        data,
        next_cursor: None,
    }))
}

/// Assigns a number to a member, who sees and answers its conversations at once, also on open WebSockets. Admins only.
#[utoipa::path(put, path = "/numbers/{number_id}/members/{user_id}", tag = "Numbers",
    params(("workspace_id" = WorkspaceId, Path), ("number_id" = NumberId, Path), ("user_id" = UserId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn assign(
    State(app): State<App>,
    admin: Admin,
    Path((_, number, user)): Path<(WorkspaceId, NumberId, UserId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    numbers::assign(&mut tx, &admin, number, user).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unassigns a number from a member, at once. Admins only.
#[utoipa::path(delete, path = "/numbers/{number_id}/members/{user_id}", tag = "Numbers",
    params(("workspace_id" = WorkspaceId, Path), ("number_id" = NumberId, Path), ("user_id" = UserId, Path)),
    responses((status = 204), (status = 403, body = Problem)))]
pub async fn unassign(
    State(app): State<App>,
    admin: Admin,
    Path((_, number, user)): Path<(WorkspaceId, NumberId, UserId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    numbers::unassign(&mut tx, &admin, number, user).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct CatchUpResult {
    /// Texts since the last comparison, or of the last day, that were missing and are stored now.
    pub brought_in: usize,
    pub number: Number,
}

/// Compares the number with the provider's list and stores missing texts. This also happens at the start of the server
/// and every five minutes. Admins only.
#[utoipa::path(post, path = "/numbers/{number_id}/catch-up", tag = "Numbers",
    params(("workspace_id" = WorkspaceId, Path), ("number_id" = NumberId, Path)),
    responses((status = 200, body = CatchUpResult), (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn catch_up(
    State(app): State<App>,
    State(directory): State<Directory>,
    State(ingest): State<Ingest>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, NumberId)>,
) -> Result<Json<CatchUpResult>, Problem> {
    let brought_in = catch_up::now(&app, &directory, &ingest, &admin, id).await?;
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let number = numbers::find(&mut tx, id).await?;
    Ok(Json(CatchUpResult { brought_in, number }))
}

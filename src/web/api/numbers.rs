//! Phone numbers, and who sees their conversations.

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

/// The numbers that I may see: an admin all, an agent those assigned to them.
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

/// Numbers for sale that can text, at most 40 of them, and none that the workspace has. Nobody holds them for you. Admins only.
/// `provider_refused`: the provider says no, `detail` says why.
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

/// Buys a number and has its texts delivered here. Asking again never buys it twice, so do ask again after a 503. Some providers take
/// a while: until then its status is `pending`, and a sync finds it. Admins only.
/// `provider_refused`: the provider says no, `detail` says why.
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

/// Gives the number back to its provider, for good: somebody else may get it. Its conversations stay, texts that wait fail and their
/// credits come back. Admins only.
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

/// What is wrong with the number: its provider is asked now, and what was seen in the last seven days is counted. Each finding says how
/// to mend it. Changes nothing. Admins only.
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

/// Has the number's texts delivered here, unless something at the provider stands in between: then `webhook` is `shadowed` and
/// `webhook_detail` says what. Admins only.
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

/// Changes what is given and keeps the rest. Admins only.
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

/// The agents who see this number's conversations. Admins see all and are not listed. Admins only.
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

/// Lets a member see and answer this number's conversations, from now on, on open sockets too. Admins only.
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

/// Takes it away again, at once. Admins only.
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
pub struct CaughtUp {
    /// Texts of the last day (or since the last agreement) that had not reached us, and are here now.
    pub brought_in: usize,
    pub number: Number,
}

/// Compares the number with its provider's list at once, and brings in what is missing. It happens by itself at the start of
/// the server and every five minutes. Admins only.
#[utoipa::path(post, path = "/numbers/{number_id}/catch-up", tag = "Numbers",
    params(("workspace_id" = WorkspaceId, Path), ("number_id" = NumberId, Path)),
    responses((status = 200, body = CaughtUp), (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn catch_up(
    State(app): State<App>,
    State(directory): State<Directory>,
    State(ingest): State<Ingest>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, NumberId)>,
) -> Result<Json<CaughtUp>, Problem> {
    let brought_in = catch_up::now(&app, &directory, &ingest, &admin, id).await?;
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let number = numbers::find(&mut tx, id).await?;
    Ok(Json(CaughtUp { brought_in, number }))
}

//! Credits.

use axum::extract::State;

use crate::app::App;
use crate::domain::credits::{self, Account, CreditChange, Entry};
use crate::domain::members::{Admin, Member};
use crate::ids::{UserId, WorkspaceId};
use crate::listing::{Page, Span};
use crate::web::json::{Json, Path, Query};
use crate::web::problem::Problem;

/// Lists the balances of all members. Admins only.
#[utoipa::path(get, path = "/credits", tag = "Credits", params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, body = Page<Account>), (status = 403, body = Problem)))]
pub async fn list(State(app): State<App>, admin: Admin) -> Result<Json<Page<Account>>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    Ok(Json(Page {
        data: credits::list(&mut tx, &admin).await?,
        next_cursor: None,
    }))
}

/// Returns the balance of a member: the caller's own, or any for admins.
#[utoipa::path(get, path = "/credits/{user_id}", tag = "Credits",
    params(("workspace_id" = WorkspaceId, Path), ("user_id" = UserId, Path)),
    responses((status = 200, body = Account), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    member: Member,
    Path((_, user)): Path<(WorkspaceId, UserId)>,
) -> Result<Json<Account>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    Ok(Json(credits::of(&mut tx, &member, user).await?))
}

/// Changes a balance by `delta` (negative to deduct) or sets it. It never falls below zero. Admins only.
#[utoipa::path(patch, path = "/credits/{user_id}", tag = "Credits",
    params(("workspace_id" = WorkspaceId, Path), ("user_id" = UserId, Path)), request_body = CreditChange,
    responses((status = 200, body = Account), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    admin: Admin,
    Path((_, user)): Path<(WorkspaceId, UserId)>,
    Json(change): Json<CreditChange>,
) -> Result<Json<Account>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let account = credits::change(&mut tx, &admin, user, change).await?;
    tx.commit().await?;
    Ok(Json(account))
}

/// Lists all changes of a balance, newest first. The sum of all `delta` is the balance. The caller's own, or any for
/// admins.
#[utoipa::path(get, path = "/credits/{user_id}/ledger", tag = "Credits",
    params(("workspace_id" = WorkspaceId, Path), ("user_id" = UserId, Path), Span),
    responses((status = 200, body = Page<Entry>), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn ledger(
    State(app): State<App>,
    member: Member,
    Path((_, user)): Path<(WorkspaceId, UserId)>,
    Query(span): Query<Span>,
) -> Result<Json<Page<Entry>>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    Ok(Json(credits::ledger(&mut tx, &member, user, &span).await?))
}

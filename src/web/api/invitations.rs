//! Invitations to a workspace. `POST …/members` creates one.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::app::App;
use crate::domain::accounts::{Caller, SignedIn};
use crate::domain::invitations::{self, Accept, Invitation, Invite, Offer};
use crate::domain::members::Admin;
use crate::ids::{InvitationId, WorkspaceId};
use crate::listing::Page;
use crate::web::auth::{Claimed, Cookies, cookies};
use crate::web::json::{Json, Path};
use crate::web::problem::Problem;

#[derive(Serialize, utoipa::ToSchema)]
pub struct Invited {
    pub invitation: Invitation,
}

/// Invites a user. The link is sent by email and returned once, and is valid for a week. A new invitation for the same
/// address invalidates the previous link. Admins only.
#[utoipa::path(post, path = "/members", tag = "Members", params(("workspace_id" = WorkspaceId, Path)), request_body = Invite,
    responses((status = 201, body = Invited), (status = 403, body = Problem), (status = 422, body = Problem), (status = 429, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    admin: Admin,
    Json(form): Json<Invite>,
) -> Result<(StatusCode, Json<Invited>), Problem> {
    let invitation = invitations::invite(&app, &admin, form).await?;
    Ok((StatusCode::CREATED, Json(Invited { invitation })))
}

/// Lists the open invitations, newest first. Admins only.
#[utoipa::path(get, path = "/invitations", tag = "Members", params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, body = Page<Invitation>), (status = 403, body = Problem)))]
pub async fn list(State(app): State<App>, admin: Admin) -> Result<Json<Page<Invitation>>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    Ok(Json(Page {
        data: invitations::list(&mut tx, &admin).await?,
        next_cursor: None,
    }))
}

/// Withdraws an invitation: its link becomes invalid. Admins only.
#[utoipa::path(delete, path = "/invitations/{invitation_id}", tag = "Members",
    params(("workspace_id" = WorkspaceId, Path), ("invitation_id" = InvitationId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn withdraw(
    State(app): State<App>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, InvitationId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    invitations::withdraw(&mut tx, &admin, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns what an invitation link offers. The answer does not disclose whether the address has an account.
#[utoipa::path(get, path = "/api/invitations/{token}", tag = "Members", params(("token" = String, Path)),
    responses((status = 200, body = Offer), (status = 404, body = Problem)), security(()))]
pub async fn show(
    State(app): State<App>,
    Path(token): Path<String>,
) -> Result<Json<Offer>, Problem> {
    Ok(Json(invitations::find_offer(&app, &token).await?))
}

/// Accepts an invitation. A user signed in with the invited address needs no further data; the owner of an existing
/// account sends its password; a new user sends a name and a new password. 403 `email_not_verified` if the server sends
/// email and the address of an existing account is not verified.
#[utoipa::path(post, path = "/api/invitations/{token}/accept", tag = "Members", params(("token" = String, Path)), request_body = Accept,
    responses((status = 200, body = SignedIn), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 422, body = Problem), (status = 429, body = Problem)), security((), ("bearer" = []), ("cookie" = [])))]
pub async fn accept(
    State(app): State<App>,
    claimed: Option<Claimed>,
    caller: Caller,
    Path(token): Path<String>,
    Json(form): Json<Accept>,
) -> Result<(Cookies, Json<SignedIn>), Problem> {
    let session = claimed.map(|Claimed(session)| session);
    let signed_in = invitations::accept(&app, &token, session, form, &caller).await?;
    Ok((cookies(&app.config, &signed_in), Json(signed_in)))
}

//! People outside.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::app::App;
use crate::domain::contacts::{self, Change, Contact, Draft};
use crate::domain::members::Member;
use crate::domain::opt_outs::{self, Consent};
use crate::ids::{ContactId, WorkspaceId};
use crate::listing::{Page, Span};
use crate::web::json::{Json, Path, Query};
use crate::web::problem::Problem;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Any part of a name or number.
    q: Option<String>,
    /// How many at the most: 1 to 200, default 50.
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Newest first.
#[utoipa::path(get, path = "/contacts", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path), Wanted),
    responses((status = 200, body = Page<Contact>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    member: Member,
    Query(Wanted { q, limit, cursor }): Query<Wanted>,
) -> Result<Json<Page<Contact>>, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    let q = q.filter(|q| !q.trim().is_empty());
    Ok(Json(
        contacts::list(&mut tx, q.as_deref(), &Span { limit, cursor }).await?,
    ))
}

#[utoipa::path(post, path = "/contacts", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path)), request_body = Draft,
    responses((status = 201, body = Contact), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    member: Member,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<Contact>), Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    let contact = contacts::create(&mut tx, draft).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(contact)))
}

#[utoipa::path(get, path = "/contacts/{contact_id}", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path)),
    responses((status = 200, body = Contact), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ContactId)>,
) -> Result<Json<Contact>, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    Ok(Json(contacts::find(&mut tx, id).await?))
}

/// Changes what is given and keeps the rest.
#[utoipa::path(patch, path = "/contacts/{contact_id}", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path)), request_body = Change,
    responses((status = 200, body = Contact), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ContactId)>,
    Json(change): Json<Change>,
) -> Result<Json<Contact>, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    let contact = contacts::update(&mut tx, id, change).await?;
    tx.commit().await?;
    Ok(Json(contact))
}

/// Every change of a contact's mind about being texted, with its proof, for the numbers that I may see; the newest first.
#[utoipa::path(get, path = "/contacts/{contact_id}/consent", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path)),
    responses((status = 200, body = Page<Consent>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn consent(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ContactId)>,
) -> Result<Json<Page<Consent>>, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    Ok(Json(Page {
        data: opt_outs::history(&mut tx, id).await?,
        next_cursor: None,
    }))
}

/// Writes down what a contact said in another way than by text. The provider is not told: a block of its own stays until they
/// text START.
#[utoipa::path(post, path = "/contacts/{contact_id}/consent", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path)), request_body = opt_outs::Change,
    responses((status = 200, body = Page<Consent>), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn change_consent(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ContactId)>,
    Json(change): Json<opt_outs::Change>,
) -> Result<Json<Page<Consent>>, Problem> {
    let mut tx = app.db.workspace(member.seat()).await?;
    opt_outs::change(&mut tx, &member, id, change).await?;
    let data = opt_outs::history(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Json(Page {
        data,
        next_cursor: None,
    }))
}

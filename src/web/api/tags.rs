//! Tags.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;
use crate::domain::contacts::tags::{self, Draft, Tag, TagChange};
use crate::domain::members::{Admin, Member};
use crate::ids::{ContactId, TagId, WorkspaceId};
use crate::listing::Page;
use crate::web::json::{Json, Path};
use crate::web::problem::Problem;

/// Lists all tags by name, at most 500.
#[utoipa::path(get, path = "/tags", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, body = Page<Tag>), (status = 403, body = Problem)))]
pub async fn list(State(app): State<App>, member: Member) -> Result<Json<Page<Tag>>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    Ok(Json(Page {
        data: tags::list(&mut tx).await?,
        next_cursor: None,
    }))
}

/// Creates a tag. A name that exists already, ignoring case, is refused: 422.
#[utoipa::path(post, path = "/tags", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path)), request_body = Draft,
    responses((status = 201, body = Tag), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    member: Member,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<Tag>), Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let tag = tags::create(&mut tx, draft).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(tag)))
}

/// Changes the name or colour of a tag. Admins only, audited.
#[utoipa::path(patch, path = "/tags/{tag_id}", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("tag_id" = TagId, Path)), request_body = TagChange,
    responses((status = 200, body = Tag), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, TagId)>,
    Json(change): Json<TagChange>,
) -> Result<Json<Tag>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let tag = tags::update(&mut tx, &admin, id, change).await?;
    tx.commit().await?;
    Ok(Json(tag))
}

/// Deletes a tag and removes it from all contacts. Admins only, audited.
#[utoipa::path(delete, path = "/tags/{tag_id}", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("tag_id" = TagId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn remove(
    State(app): State<App>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, TagId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    tags::remove(&mut tx, &admin, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds a tag to a contact that the caller sees. No effect if the contact has it already.
#[utoipa::path(put, path = "/contacts/{contact_id}/tags/{tag_id}", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path), ("tag_id" = TagId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn assign(
    State(app): State<App>,
    member: Member,
    Path((_, contact, tag)): Path<(WorkspaceId, ContactId, TagId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    tags::assign(&mut tx, contact, tag).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a tag from a contact that the caller sees. No effect if the contact does not have it.
#[utoipa::path(delete, path = "/contacts/{contact_id}/tags/{tag_id}", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path), ("tag_id" = TagId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn unassign(
    State(app): State<App>,
    member: Member,
    Path((_, contact, tag)): Path<(WorkspaceId, ContactId, TagId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    tags::unassign(&mut tx, contact, tag).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

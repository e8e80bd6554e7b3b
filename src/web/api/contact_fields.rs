//! Custom contact fields.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;
use crate::domain::contacts::fields::{self, ContactFieldChange, Draft, Field};
use crate::domain::members::{Admin, Member};
use crate::ids::{FieldId, WorkspaceId};
use crate::listing::Page;
use crate::web::json::{Json, Path};
use crate::web::problem::Problem;

/// Lists the custom fields in their order, at most 30. A contact's values are in `custom_fields`, by `key`.
#[utoipa::path(get, path = "/contact-fields", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, body = Page<Field>), (status = 403, body = Problem)))]
pub async fn list(State(app): State<App>, member: Member) -> Result<Json<Page<Field>>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    Ok(Json(Page {
        data: fields::list(&mut tx).await?,
        next_cursor: None,
    }))
}

/// Creates a custom field. Its `key` is derived from its name and never changes. Kinds: `text` (at most 500
/// characters), `number`, `date` (as 2026-11-23), `choice` (one of `choices`). Admins only, audited.
#[utoipa::path(post, path = "/contact-fields", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path)), request_body = Draft,
    responses((status = 201, body = Field), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    admin: Admin,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<Field>), Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let field = fields::create(&mut tx, &admin, draft).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(field)))
}

/// Changes the name or the choices of a custom field. Admins only, audited.
#[utoipa::path(patch, path = "/contact-fields/{field_id}", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("field_id" = FieldId, Path)), request_body = ContactFieldChange,
    responses((status = 200, body = Field), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, FieldId)>,
    Json(change): Json<ContactFieldChange>,
) -> Result<Json<Field>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let field = fields::update(&mut tx, &admin, id, change).await?;
    tx.commit().await?;
    Ok(Json(field))
}

/// Deletes a custom field with all its values. Admins only, audited.
#[utoipa::path(delete, path = "/contact-fields/{field_id}", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("field_id" = FieldId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn remove(
    State(app): State<App>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, FieldId)>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    fields::remove(&mut tx, &admin, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

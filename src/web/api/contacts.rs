//! Contacts.

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use serde::Deserialize;

use crate::app::App;
use crate::db::Load;
use crate::domain::contacts::export::{self, Export};
use crate::domain::contacts::list::{self as listed, Filter, Listed, Order, Sort};
use crate::domain::contacts::merge::{self, Merge};
use crate::domain::contacts::remove;
use crate::domain::contacts::{self, Contact, ContactChange, Draft};
use crate::domain::members::Member;
use crate::domain::opt_outs::{self, Consent};
use crate::error::Error;
use crate::ids::{ContactId, WorkspaceId};
use crate::language::t;
use crate::listing::{Page, Span};
use crate::web::json::{Json, Path, Query};
use crate::web::problem::Problem;

#[derive(Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Sorted {
    /// The default is `added`. A cursor is valid only for the order it was returned with.
    sort: Option<Sort>,
    /// `true` for the reverse order. With `last_text`, contacts without texts come last in both orders.
    #[serde(default)]
    reverse: bool,
}

/// Lists the contacts visible to the caller. Admins see all; agents see contacts with a conversation on one of their
/// numbers, and contacts they created that have no conversation yet. `last_text` and `opted_out` refer to numbers
/// visible to the caller.
#[utoipa::path(get, path = "/contacts", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path), Filter, Sorted, Span),
    responses((status = 200, body = Page<Listed>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    member: Member,
    Query(filter): Query<Filter>,
    Query(Sorted { sort, reverse }): Query<Sorted>,
    Query(span): Query<Span>,
) -> Result<Json<Page<Listed>>, Problem> {
    let mut tx = app.db.workspace_for(member.tenant(), Load::Heavy).await?;
    let order = Order {
        sort: sort.unwrap_or(Sort::Added),
        is_reversed: reverse,
    };
    Ok(Json(
        listed::list(&mut tx, &member, &filter, order, &span).await?,
    ))
}

/// Exports the visible contacts as CSV, with the filters of the list and a column for each custom field. The response
/// is streamed: if it breaks off, the export is incomplete. Cells that a spreadsheet would read as a formula (they
/// begin with `=`, `+`, `-`, `@`, a tab or a carriage return, and are no phone number) begin with an apostrophe, which
/// the import removes. Audited.
#[utoipa::path(get, path = "/contacts/export.csv", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path), Filter),
    responses((status = 200, body = String, content_type = "text/csv"), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn export(
    State(app): State<App>,
    member: Member,
    Query(filter): Query<Filter>,
) -> Result<Response, Problem> {
    Ok(table(export::begin(&app.db, member, filter).await?))
}

/// Streams the export page by page, at the speed of the client.
pub fn table(export: Export) -> Response {
    let lines = futures_util::stream::try_unfold(export, |mut export| async move {
        match export.next().await {
            Ok(lines) => Ok(lines.map(|lines| (Bytes::from(lines), export))),
            Err(error) => {
                tracing::warn!(%error, "export interrupted");
                Err(error)
            }
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"contacts.csv\"",
        ),
    ];
    (headers, Body::from_stream(lines)).into_response()
}

/// Creates a contact. A number that belongs to a contact, or was merged into one, is refused: 422.
#[utoipa::path(post, path = "/contacts", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path)), request_body = Draft,
    responses((status = 201, body = Contact), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    member: Member,
    Json(draft): Json<Draft>,
) -> Result<(StatusCode, Json<Contact>), Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let contact = contacts::create(&mut tx, draft).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(contact)))
}

/// Returns one contact.
#[utoipa::path(get, path = "/contacts/{contact_id}", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path)),
    responses((status = 200, body = Contact), (status = 308, description = "It was merged into the contact at `Location`"),
              (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    member: Member,
    Path((workspace, id)): Path<(WorkspaceId, ContactId)>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    match contacts::find(&mut tx, id).await {
        Err(Error::NotFound(_)) => {}
        found => return Ok(Json(found?).into_response()),
    }
    let survivor = contacts::merged_contact(&mut tx, id).await?;
    let survivor = survivor.ok_or(Error::NotFound(t!("the contact")))?;
    let there = contacts::find(&mut tx, survivor).await?.id;
    let path = format!("/api/workspaces/{workspace}/contacts/{there}");
    Ok(Redirect::permanent(&path).into_response())
}

/// Updates the given fields of a contact that the caller sees. With `updated_at`, a change made by another member since
/// is not overwritten: 409 `contact_changed` with the member's name.
///
/// A new `phone_number` must not belong to another contact. Conversations and opt-outs stay with the contact; the old
/// number stays opted out as well, for any later contact. Waiting texts go to the new number. Audited.
#[utoipa::path(patch, path = "/contacts/{contact_id}", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path)), request_body = ContactChange,
    responses((status = 200, body = Contact), (status = 403, body = Problem), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn update(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ContactId)>,
    Json(change): Json<ContactChange>,
) -> Result<Json<Contact>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    let contact = contacts::update(&mut tx, id, change).await?;
    tx.commit().await?;
    Ok(Json(contact))
}

/// Lists the consent history of a contact, with proof, for the numbers visible to the caller, newest first.
#[utoipa::path(get, path = "/contacts/{contact_id}/consent", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path)),
    responses((status = 200, body = Page<Consent>), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn consent(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ContactId)>,
) -> Result<Json<Page<Consent>>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    Ok(Json(Page {
        data: opt_outs::history(&mut tx, id).await?,
        next_cursor: None,
    }))
}

/// Records consent that a contact gave or withdrew other than by text. The provider is not notified: its own block
/// stays until the contact texts START.
#[utoipa::path(post, path = "/contacts/{contact_id}/consent", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path)), request_body = opt_outs::ConsentChange,
    responses((status = 200, body = Page<Consent>), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn change_consent(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ContactId)>,
    Json(change): Json<opt_outs::ConsentChange>,
) -> Result<Json<Page<Consent>>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    opt_outs::change(&mut tx, &member, id, change).await?;
    let data = opt_outs::history(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Json(Page {
        data,
        next_cursor: None,
    }))
}

/// Returns what deleting a contact would delete, and what would stay.
#[utoipa::path(get, path = "/contacts/{contact_id}/removal", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path)),
    responses((status = 200, body = remove::Preview), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn removal(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ContactId)>,
) -> Result<Json<remove::Preview>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    contacts::find(&mut tx, id).await?;
    Ok(Json(remove::preview(&mut tx, &member, id).await?))
}

/// Deletes a contact with its conversations, texts and files. Waiting texts are cancelled and their credits returned.
/// An opt-out stays for the phone number: it is not texted until it texts START. Admins only; agents may delete
/// contacts they created that have no conversation. Audited.
#[utoipa::path(delete, path = "/contacts/{contact_id}", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn remove(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ContactId)>,
) -> Result<StatusCode, Problem> {
    remove::remove(&app, &member, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns what merging another contact into this one would move.
#[utoipa::path(get, path = "/contacts/{contact_id}/merge/{gone_id}", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path),
           ("gone_id" = ContactId, Path, description = "The contact to merge into this one")),
    responses((status = 200, body = merge::Preview), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn merging(
    State(app): State<App>,
    member: Member,
    Path((_, id, gone)): Path<(WorkspaceId, ContactId, ContactId)>,
) -> Result<Json<merge::Preview>, Problem> {
    let mut tx = app.db.workspace(member.tenant()).await?;
    contacts::find(&mut tx, id).await?;
    contacts::find(&mut tx, gone).await?;
    Ok(Json(merge::preview(&mut tx, id, gone).await?))
}

/// Merges another contact into this one. Conversations, texts, notes, tags and opt-outs move; conversations with the
/// same number are joined; the merged contact is opted out from a number if either was. The other contact's id
/// redirects here (308), its number is matched to this contact, and answers go to this contact's number. Waiting texts
/// keep their destination. The caller must see all conversations of both contacts, else 403 for all but admins.
/// Audited.
#[utoipa::path(post, path = "/contacts/{contact_id}/merge", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path)), request_body = Merge,
    responses((status = 200, body = Contact), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn merge(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ContactId)>,
    Json(request): Json<Merge>,
) -> Result<Json<Contact>, Problem> {
    Ok(Json(merge::merge(&app, &member, id, request).await?))
}

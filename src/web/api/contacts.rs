//! People outside.

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
use crate::listing::{Page, Span};
use crate::web::json::{Json, Path, Query};
use crate::web::problem::Problem;

#[derive(Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Sorted {
    /// Left out: `added`. A cursor belongs to the order that it came with.
    sort: Option<Sort>,
    /// `true`: the other way round. Whom we never texted with comes last either way.
    #[serde(default)]
    reverse: bool,
}

/// Whom I may see: admins everybody; agents whoever wrote with one of their numbers, and whom they made themselves as long as
/// nobody texted with them. `last_text` and `opted_out` tell of the numbers that I see.
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

/// All of them as CSV, with the filters of the list: by my rights, one column for each field of the workspace's own. It is
/// streamed: a list that ends early was cut off. Cells that a spreadsheet would take for a formula (they begin with `=`, `+`,
/// `-`, `@`, a tab or a return, and are no phone number) begin with an apostrophe, which the import takes away again. Audited.
#[utoipa::path(get, path = "/contacts/export.csv", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path), Filter),
    responses((status = 200, body = String, content_type = "text/csv"), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn export(
    State(app): State<App>,
    member: Member,
    Query(filter): Query<Filter>,
) -> Result<Response, Problem> {
    Ok(table(export::begin(&app.db, member, filter).await?))
}

/// A page after the other, as the client takes them.
pub fn table(export: Export) -> Response {
    let lines = futures_util::stream::try_unfold(export, |mut export| async move {
        match export.next().await {
            Ok(lines) => Ok(lines.map(|lines| (Bytes::from(lines), export))),
            Err(error) => {
                tracing::warn!(%error, "an export was cut off");
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

/// Any member may. A number that is a contact's already, or was merged into one, is refused (422).
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

/// One contact.
#[utoipa::path(get, path = "/contacts/{contact_id}", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path)),
    responses((status = 200, body = Contact), (status = 308, description = "It was merged into the one at `Location`"),
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
    let survivor = survivor.ok_or(Error::NotFound("the contact"))?;
    let there = contacts::find(&mut tx, survivor).await?.id;
    let path = format!("/api/workspaces/{workspace}/contacts/{there}");
    Ok(Redirect::permanent(&path).into_response())
}

/// Changes what is given and keeps the rest. Whoever sees a contact may change them. With `updated_at`, a change that somebody
/// else made since is not overwritten: 409 `contact_changed`, which says who it was.
///
/// A new `phone_number` must be free. Conversations and opt-outs stay with the contact; the old number stays opted out, too,
/// whoever has it next. Texts that wait go to the new number. Audited.
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

/// Every change of a contact's mind about being texted, with its proof, for the numbers that I may see; the newest first.
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

/// Writes down what a contact said in another way than by text. The provider is not told: a block of its own stays until they
/// text START.
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

/// What would go with a contact, and what would stay.
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

/// Deletes a contact, with every conversation, text and file. Texts that wait are called off, and their credits given back. An
/// opt-out stays, by the address alone: nobody with this number is texted until they text START. Admins only; agents may
/// delete whom they made themselves, as long as nobody texted with them. Audited.
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

/// What would move if another contact were merged into this one.
#[utoipa::path(get, path = "/contacts/{contact_id}/merge/{gone_id}", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path),
           ("gone_id" = ContactId, Path, description = "Who would go")),
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

/// Merges another contact into this one: conversations, texts, notes, tags and opt-outs move; conversations with the same
/// number are joined; opted out from a number is who was so before, as either. The other's id leads here (308), and so does
/// its number when it texts again; answers go to this one's number. Texts that wait or are on their way go where they were
/// meant to go. For whoever sees every conversation of both: else admins only (403). Audited.
#[utoipa::path(post, path = "/contacts/{contact_id}/merge", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("contact_id" = ContactId, Path)), request_body = Merge,
    responses((status = 200, body = Contact), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn merge(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(WorkspaceId, ContactId)>,
    Json(wanted): Json<Merge>,
) -> Result<Json<Contact>, Problem> {
    Ok(Json(merge::merge(&app, &member, id, wanted).await?))
}

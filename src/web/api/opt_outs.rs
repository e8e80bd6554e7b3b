//! The opt-out list: list, lift, export, import.

use axum::extract::State;
use axum::extract::multipart::{Multipart, MultipartRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;

use super::csv_file;
use crate::app::App;
use crate::domain::members::Admin;
pub use crate::domain::opt_outs::import::MAX_FILE_BYTES;
use crate::domain::opt_outs::import::{self, Imported};
use crate::domain::opt_outs::listed::{self, Lift, OptOut};
use crate::ids::WorkspaceId;
use crate::listing::{Page, Span};
use crate::web::json::{Json, Query};
use crate::web::problem::Problem;

#[derive(Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Searched {
    /// Any part of a contact's name or number.
    q: Option<String>,
}

/// Lists all opt-outs with their number, time and source, newest first. An opt-out outlives its contact: it is kept for
/// the phone number and listed without a `contact_id`. Admins only.
#[utoipa::path(get, path = "/opt-outs", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path), Searched, Span),
    responses((status = 200, body = Page<OptOut>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    admin: Admin,
    Query(Searched { q }): Query<Searched>,
    Query(span): Query<Span>,
) -> Result<Json<Page<OptOut>>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    Ok(Json(
        listed::list(&mut tx, &admin, q.as_deref(), &span).await?,
    ))
}

/// Lifts an opt-out of a phone number without a contact; that of a contact is lifted by `POST
/// /contacts/{contact_id}/consent`. Where opt-outs apply to all numbers, so does this. 404 if there is none. Admins
/// only, audited.
#[utoipa::path(post, path = "/opt-outs/lift", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path)), request_body = Lift,
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub async fn lift(
    State(app): State<App>,
    admin: Admin,
    Json(lift): Json<Lift>,
) -> Result<StatusCode, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    listed::lift(&mut tx, &admin, lift).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Exports all opt-outs as CSV, with the columns that the import reads. Cells that a spreadsheet would read as a
/// formula begin with an apostrophe. Admins only, audited.
#[utoipa::path(get, path = "/opt-outs/export.csv", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path)),
    responses((status = 200, body = String, content_type = "text/csv"), (status = 403, body = Problem)))]
pub async fn export(State(app): State<App>, admin: Admin) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let table = listed::export(&mut tx, &admin).await?;
    tx.commit().await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"opt-outs.csv\"",
        ),
    ];
    Ok((headers, table).into_response())
}

#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "it describes the form")]
pub struct File {
    /// CSV with a header line and at most 10,000 further lines, 2 MB.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// As for `POST /contacts/import`.
    encoding: Option<String>,
}

/// Imports opt-outs from a table. Columns: `phone_number`, or common names of phone columns such as `Mobile` (all
/// numbers of a line are opted out). Optional columns: `number` (one of the workspace's; empty for all), `reason` (at
/// most 200 characters) and `at` (the time of the opt-out). Each line is accepted or refused separately; `errors` lists
/// line, column and reason. The proof of each opt-out names the file and the importing admin. Admins only, audited.
#[utoipa::path(post, path = "/opt-outs/import", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path)),
    request_body(content = File, content_type = "multipart/form-data"),
    responses((status = 200, body = Imported), (status = 403, body = Problem), (status = 413, body = Problem),
              (status = 422, body = Problem)))]
pub async fn import(
    State(app): State<App>,
    admin: Admin,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Json<Imported>, Problem> {
    let List {
        name,
        file,
        encoding,
    } = List::read(form).await?;
    if file.len() > MAX_FILE_BYTES {
        return Err(csv_file::too_large(MAX_FILE_BYTES));
    }
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let imported = import::import(&mut tx, &admin, &name, &file, encoding.as_deref()).await?;
    tx.commit().await?;
    Ok(Json(imported))
}

pub struct List {
    pub name: String,
    pub file: Bytes,
    pub encoding: Option<String>,
}

impl List {
    pub async fn read(form: Result<Multipart, MultipartRejection>) -> Result<Self, Problem> {
        let unreadable = |error| csv_file::unreadable(&error, MAX_FILE_BYTES);
        let mut form = form.map_err(|_| csv_file::missing())?;
        let (mut sent, mut encoding) = (None, None);
        while let Some(field) = form.next_field().await.map_err(unreadable)? {
            match field.name() {
                Some("file") => {
                    let name = field.file_name().unwrap_or_default().to_owned();
                    sent = Some((name, field.bytes().await.map_err(unreadable)?));
                }
                Some("encoding") => encoding = Some(field.text().await.map_err(unreadable)?),
                _ => {}
            }
        }
        let (name, file) = sent.ok_or_else(csv_file::missing)?;
        Ok(Self {
            name,
            file,
            encoding,
        })
    }
}

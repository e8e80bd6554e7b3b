//! Imports of contacts.

use axum::extract::State;
use axum::extract::multipart::{Multipart, MultipartRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::csv_file;
use crate::app::App;
pub use crate::domain::contacts::import::MAX_FILE_BYTES;
use crate::domain::contacts::import::{self, Duplicates, Import, Start};
use crate::domain::members::Admin;
use crate::error::Error;
use crate::ids::{ImportId, WorkspaceId};
use crate::language::{Message, t};
use crate::listing::{Page, Span};
use crate::web::json::{Json, Path, Query};
use crate::web::problem::Problem;

#[derive(utoipa::ToSchema)]
#[schema(as = ContactTable)]
#[allow(dead_code, reason = "it describes the form")]
pub struct Form {
    /// CSV, separated by commas, semicolons, tabs or bars, with a header line and at most 100,000 further lines, 10 MB.
    /// Or vCards (`.vcf`).
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// `true`: returns the detected mapping without starting the import. `POST /contacts/imports/{import_id}/start`
    /// starts it.
    preview: Option<bool>,
    /// The target of each column in order, as a JSON list (see `ContactImport`). Detected by default.
    mapping: Option<String>,
    duplicates: Option<Duplicates>,
    /// The region of numbers without a country code: two letters. The default is the workspace's region.
    region: Option<String>,
    /// Names of tags for all contacts, separated by commas.
    tags: Option<String>,
    /// The encoding of the file, such as `UTF-8`, `windows-1252`, `windows-1250`, `macintosh` or `Shift_JIS`: any name
    /// of the Encoding standard. Detected by default.
    encoding: Option<String>,
}

#[derive(Default)]
pub struct ImportUpload {
    pub name: String,
    pub file: Option<Bytes>,
    pub preview: bool,
    pub start: Start,
}

impl ImportUpload {
    pub async fn read(form: Result<Multipart, MultipartRejection>) -> Result<Self, Problem> {
        let mut form = form.map_err(|_| csv_file::missing())?;
        let mut sent = Self::default();
        let unreadable = |error| csv_file::unreadable(&error, MAX_FILE_BYTES);
        while let Some(field) = form.next_field().await.map_err(unreadable)? {
            let name = field.name().unwrap_or_default().to_owned();
            if name == "file" {
                sent.name = field.file_name().unwrap_or_default().to_owned();
                sent.file = Some(field.bytes().await.map_err(unreadable)?);
                continue;
            }
            let text = field.text().await.map_err(unreadable)?;
            sent.take(&name, text)?;
        }
        if sent
            .file
            .as_ref()
            .is_some_and(|file| file.len() > MAX_FILE_BYTES)
        {
            return Err(csv_file::too_large(MAX_FILE_BYTES));
        }
        Ok(sent)
    }

    fn take(&mut self, name: &str, text: String) -> Result<(), Error> {
        match name {
            "preview" => self.preview = text == "true",
            "mapping" => {
                let read = serde_json::from_str(&text);
                let wrong = |_| {
                    Error::field(
                        "mapping",
                        t!("Send a JSON array of strings, such as [\"name\", \"phone_number\"]"),
                    )
                };
                self.start.mapping = Some(read.map_err(wrong)?);
            }
            "duplicates" if !text.is_empty() => {
                let read = text.parse();
                self.start.duplicates = Some(read.map_err(|wrong: String| {
                    Error::field("duplicates", Message::verbatim(wrong))
                })?);
            }
            "region" => self.start.region = Some(text),
            "encoding" if !text.trim().is_empty() => self.start.encoding = Some(text),
            "tags" => self.start.tags = text.split(',').map(str::to_owned).collect(),
            _ => {}
        }
        Ok(())
    }
}

/// Imports contacts from a file in the background. The answer is the new import; `GET /contacts/imports/{import_id}`
/// returns its progress. Each row creates a contact, updates the contact with its number (see `duplicates`), or is
/// refused. Rows are refused only without a readable phone number; other unreadable cells are skipped and counted in
/// `problems` before the import starts. An import continues after a restart of the server and processes each row once.
/// Opt-outs stay in force. Admins only, audited.
#[utoipa::path(post, path = "/contacts/import", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path)),
    request_body(content = Form, content_type = "multipart/form-data"),
    responses((status = 202, body = Import), (status = 403, body = Problem), (status = 413, body = Problem),
              (status = 422, body = Problem)))]
pub async fn create(
    State(app): State<App>,
    admin: Admin,
    form: Result<Multipart, MultipartRejection>,
) -> Result<(StatusCode, Json<Import>), Problem> {
    let sent = ImportUpload::read(form).await?;
    let file = sent.file.ok_or_else(csv_file::missing)?;
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let mut import = import::upload(
        &mut tx,
        &admin,
        &sent.name,
        &file,
        sent.start.encoding.as_deref(),
    )
    .await?;
    if !sent.preview {
        import = import::start(&mut tx, &admin, import.id, sent.start).await?;
    }
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(import)))
}

/// Lists the imports, newest first. Admins only.
#[utoipa::path(get, path = "/contacts/imports", tag = "Contacts", params(("workspace_id" = WorkspaceId, Path), Span),
    responses((status = 200, body = Page<Import>), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub async fn list(
    State(app): State<App>,
    admin: Admin,
    Query(span): Query<Span>,
) -> Result<Json<Page<Import>>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    Ok(Json(import::list(&mut tx, &admin, &span).await?))
}

/// Returns an import with its progress and results. Admins only.
#[utoipa::path(get, path = "/contacts/imports/{import_id}", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("import_id" = ImportId, Path)),
    responses((status = 200, body = Import), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn show(
    State(app): State<App>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, ImportId)>,
) -> Result<Json<Import>, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    Ok(Json(import::find(&mut tx, &admin, id).await?))
}

/// Starts an import created with `preview`. An import that was started already: 409. Admins only, audited.
#[utoipa::path(post, path = "/contacts/imports/{import_id}/start", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("import_id" = ImportId, Path)), request_body = Start,
    responses((status = 202, body = Import), (status = 403, body = Problem), (status = 404, body = Problem),
              (status = 409, body = Problem), (status = 422, body = Problem)))]
pub async fn start(
    State(app): State<App>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, ImportId)>,
    Json(request): Json<Start>,
) -> Result<(StatusCode, Json<Import>), Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let import = import::start(&mut tx, &admin, id, request).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(import)))
}

/// Exports the refused rows of an import with their line and reason, to be corrected and imported again. Phone numbers
/// are written so that spreadsheets keep them as text. Also for an import of opt-outs, by its `import_id`. Kept for 30
/// days. Admins only.
#[utoipa::path(get, path = "/contacts/imports/{import_id}/refused.csv", tag = "Contacts",
    params(("workspace_id" = WorkspaceId, Path), ("import_id" = ImportId, Path)),
    responses((status = 200, body = String, content_type = "text/csv"), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub async fn refused(
    State(app): State<App>,
    admin: Admin,
    Path((_, id)): Path<(WorkspaceId, ImportId)>,
) -> Result<Response, Problem> {
    refused_rows(&app, &admin, id).await
}

pub async fn refused_rows(app: &App, admin: &Admin, id: ImportId) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let table = import::refused_table(&mut tx, admin, id).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"refused.csv\"",
        ),
    ];
    Ok((headers, table).into_response())
}

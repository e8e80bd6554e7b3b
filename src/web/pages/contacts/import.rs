//! Import of contacts: upload a file, map its columns, follow the progress, download the refused rows.

use askama::Template;
use axum::extract::multipart::{Multipart, MultipartRejection};
use axum::extract::{Path, Query, RawForm, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::app::App;
use crate::db::WorkspaceTx;
use crate::domain::contacts::import::{self, Duplicates, Import, Refused, Start, State as Stage};
use crate::domain::contacts::{self, Contact, fields};
use crate::domain::conversations;
use crate::domain::members::Admin;
use crate::error::{Error, Result};
use crate::ids::ImportId;
use crate::language::{Message, t, t_context};
use crate::listing::Span;
use crate::sheet::decode;
use crate::web::api::imports::{ImportUpload, refused_rows};
use crate::web::language::filters;
use crate::web::pages::countries;
use crate::web::pages::table::format_number;
use crate::web::pages::{
    Form, Partial, Shell, fragments, page, partial, streams, wants_only_streams,
};
use crate::web::problem::Problem;
use crate::web::{assets, pages};

#[derive(Template)]
#[template(path = "contacts/import.html")]
struct Page {
    shell: Shell,
    form: Form,
    earlier: Vec<Import>,
    older: Option<String>,
}

struct Column {
    place: usize,
    name: String,
    is: String,
    /// Cells of the first rows.
    samples: Vec<String>,
}

#[derive(Template)]
#[template(path = "contacts/mapping.html")]
struct Mapping {
    shell: Shell,
    import: Import,
    columns: Vec<Column>,
    targets: Vec<(String, Message)>,
    form: Form,
}

impl Mapping {
    fn is_region(&self, code: &str) -> bool {
        self.form.value("region") == code
    }

    fn is_encoding(&self, name: &str) -> bool {
        self.import.encoding == name
    }

    /// Whether rows could be read: a column is the phone number.
    fn is_counted(&self) -> bool {
        self.import
            .mapping
            .iter()
            .any(|what| what == "phone_number")
    }

    fn unlisted(&self) -> i64 {
        let flagged = self.import.duplicate_rows + self.import.invalid_rows;
        i64::from(flagged) - self.import.flagged.len() as i64
    }

    fn has_warnings(&self) -> bool {
        !self.import.problems.is_empty()
    }

    fn has_sentences(&self) -> bool {
        has_sentences(&self.import)
    }

    /// An encoding that the form does not offer: detected, or set through the API.
    fn has_rare_encoding(&self) -> bool {
        !decode::CHOICES
            .iter()
            .any(|(name, _)| self.is_encoding(name))
    }

    fn is_rule(&self, rule: &Duplicates) -> bool {
        self.form.value("duplicates") == rule.as_str()
    }
}

#[derive(Template)]
#[template(path = "contacts/progress.html")]
struct Watching {
    shell: Shell,
    import: Import,
    progress: Partial,
}

/// The progress of an import, polled while it runs.
#[derive(Template)]
#[template(path = "contacts/_progress.html")]
struct Progress {
    slug: String,
    import: Import,
    refused: Vec<Refused>,
    /// Warnings besides refused rows, which have a list of their own.
    has_warnings: bool,
    has_sentences: bool,
    /// Contacts that the undo kept.
    kept: Vec<Contact>,
}

impl Progress {
    fn kept_count(&self) -> i64 {
        i64::from(self.import.kept_texted) + i64::from(self.import.kept_changed)
    }

    fn more_kept(&self) -> i64 {
        self.kept_count() - self.kept.len() as i64
    }
}

fn has_sentences(import: &Import) -> bool {
    import
        .problems
        .iter()
        .any(|problem| !problem.is_kind("cells_left_out"))
}

fn count(rows: &i32) -> String {
    format_number(&i64::from(*rows))
}

fn stage(import: &Import) -> String {
    match import.state {
        Stage::Mapping => t!("Not started").translated(),
        Stage::Running => t!("In progress").translated(),
        Stage::Done => t_context!("import", "Done").translated(),
        Stage::Failed => t!("Stopped early").translated(),
        Stage::Undoing => t!("Being undone").translated(),
        Stage::Undone => t!("Undone").translated(),
    }
}

fn tone(import: &Import) -> &'static str {
    match import.state {
        Stage::Running | Stage::Undoing => "accent",
        Stage::Mapping | Stage::Undone => "",
        Stage::Done => "good",
        Stage::Failed => "bad",
    }
}

/// `GET /w/{slug}/contacts/import`
pub async fn new(
    admin: Admin,
    State(app): State<App>,
    Query(span): Query<Span>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    upload_page(&mut tx, &admin, Form::default(), &span).await
}

async fn upload_page(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    form: Form,
    span: &Span,
) -> Result<Response, Problem> {
    let counts = conversations::counts(tx).await?;
    let earlier = import::list(tx, admin, span).await?;
    let older = |cursor| format!("/w/{}/contacts/import?cursor={cursor}", admin.slug);
    Ok(page(&Page {
        shell: Shell::new(admin, &counts, "contacts"),
        form,
        earlier: earlier.data,
        older: earlier.next_cursor.map(older),
    })?
    .into_response())
}

/// `POST /w/{slug}/contacts/import`: stores the file until its columns are mapped.
pub async fn upload(
    admin: Admin,
    State(app): State<App>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    let sent = ImportUpload::read(form).await;
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let kept = match sent {
        Ok(ImportUpload {
            name, file, start, ..
        }) => {
            let file = file.unwrap_or_default();
            let encoding = start.encoding.as_deref();
            match file.is_empty() {
                true => Err(Error::field("file", t!("Choose a file"))),
                false => import::upload(&mut tx, &admin, &name, &file, encoding).await,
            }
        }
        Err(problem) if problem.status == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(Error::field("file", problem.detail))
        }
        Err(problem) => return Err(problem),
    };
    match kept {
        Ok(import) => {
            tx.commit().await?;
            let path = format!("/w/{}/contacts/imports/{}", admin.slug, import.id);
            Ok(Redirect::to(&path).into_response())
        }
        Err(error) => {
            let form = Form::default().refused(error)?;
            let status = form.status();
            let shown = upload_page(&mut tx, &admin, form, &Span::default()).await?;
            Ok((status, shown).into_response())
        }
    }
}

#[derive(Deserialize)]
pub struct ImportPath {
    import_id: ImportId,
}

/// `GET /w/{slug}/contacts/imports/{import_id}`
pub async fn show(
    admin: Admin,
    State(app): State<App>,
    Path(ImportPath { import_id }): Path<ImportPath>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let import = import::find(&mut tx, &admin, import_id).await?;
    if import.is_mapping() {
        let form = Form::default()
            .with("region", &import.region)
            .with("duplicates", import.duplicates.as_str());
        return map(&mut tx, &admin, import, form).await;
    }
    let mut import = import;
    import
        .problems
        .retain(|problem| !problem.is_kind("rows_refused"));
    let progress = Progress {
        has_warnings: !import.problems.is_empty(),
        has_sentences: has_sentences(&import),
        slug: admin.slug.clone(),
        refused: import::refused(&mut tx, &admin, import_id, 20).await?,
        kept: contacts::find_many(&mut tx, &import.kept).await?,
        import: import.clone(),
    };
    if wants_only_streams(&headers) {
        return Ok(streams(fragments::swap("import", &progress)?));
    }
    let counts = conversations::counts(&mut tx).await?;
    Ok(page(&Watching {
        shell: Shell::new(&admin, &counts, "contacts"),
        progress: partial(&progress)?,
        import,
    })?
    .into_response())
}

async fn map(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    import: Import,
    form: Form,
) -> Result<Response, Problem> {
    let first = import::first_rows(tx, admin, import.id).await?;
    let columns = import
        .columns
        .iter()
        .zip(&import.mapping)
        .enumerate()
        .map(|(place, (name, is))| Column {
            place,
            name: name.clone(),
            is: is.clone(),
            samples: first
                .iter()
                .filter_map(|row| row.get(place))
                .filter(|cell| !cell.is_empty())
                .take(3)
                .cloned()
                .collect(),
        })
        .collect();
    let fields = fields::list(tx).await?;
    let counts = conversations::counts(tx).await?;
    Ok(page(&Mapping {
        shell: Shell::new(admin, &counts, "contacts"),
        columns,
        targets: import::targets(&fields),
        form: form.gather(&["region", "tags"]),
        import,
    })?
    .into_response())
}

/// `POST /w/{slug}/contacts/imports/{import_id}`: starts the import, or with `again` previews the submitted mapping.
pub async fn start(
    admin: Admin,
    State(app): State<App>,
    Path(ImportPath { import_id }): Path<ImportPath>,
    RawForm(body): RawForm,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    let mut import = import::find(&mut tx, &admin, import_id).await?;
    let Submitted {
        request,
        form,
        is_again,
    } = Submitted::parse(&body, &mut import.mapping);
    let path = format!("/w/{}/contacts/imports/{import_id}", admin.slug);
    let done = match is_again {
        true => import::update_mapping(&mut tx, &admin, import_id, &request).await,
        false => import::start(&mut tx, &admin, import_id, request).await,
    };
    match done {
        Ok(seen) if is_again => {
            tx.commit().await?;
            let mut tx = app.db.workspace(admin.tenant()).await?;
            map(&mut tx, &admin, seen, form).await
        }
        Ok(_) => {
            tx.commit().await?;
            Ok(Redirect::to(&path).into_response())
        }
        // The form was submitted twice.
        Err(Error::TooLate) => Ok(Redirect::to(&path).into_response()),
        Err(error) => {
            let form = form.refused(error)?;
            let status = form.status();
            drop(tx);
            let mut tx = app.db.workspace(admin.tenant()).await?;
            let shown = map(&mut tx, &admin, import, form).await?;
            Ok((status, shown).into_response())
        }
    }
}

/// The submitted mapping.
struct Submitted {
    request: Start,
    /// As typed, to be shown again.
    form: Form,
    is_again: bool,
}

impl Submitted {
    /// Enters the chosen targets in `mapping`.
    fn parse(body: &[u8], mapping: &mut [String]) -> Self {
        let (mut region, mut rule, mut tags) = (String::new(), String::new(), String::new());
        let (mut encoding, mut is_again) = (None, false);
        for (key, value) in form_urlencoded::parse(body) {
            let value = value.into_owned();
            match &*key {
                "region" => region = value,
                "duplicates" => rule = value,
                "tags" => tags = value,
                "encoding" => encoding = Some(value),
                "again" => is_again = true,
                key => {
                    let place = key
                        .strip_prefix("column-")
                        .and_then(|at| at.parse::<usize>().ok());
                    if let Some(column) = place.and_then(|place| mapping.get_mut(place)) {
                        *column = value;
                    }
                }
            }
        }
        let form = Form::default()
            .with("region", &region)
            .with("duplicates", &rule)
            .with("tags", &tags);
        let request = Start {
            mapping: Some(mapping.to_vec()),
            duplicates: rule.parse().ok(),
            region: Some(region),
            tags: tags.split(',').map(str::to_owned).collect(),
            encoding,
        };
        Self {
            request,
            form,
            is_again,
        }
    }
}

/// `POST /w/{slug}/contacts/imports/{import_id}/undo`
pub async fn undo(
    admin: Admin,
    State(app): State<App>,
    Path(ImportPath { import_id }): Path<ImportPath>,
) -> Result<Response, Problem> {
    let mut tx = app.db.workspace(admin.tenant()).await?;
    match import::undo(&mut tx, &admin, import_id).await {
        Ok(_) => tx.commit().await?,
        // The page shows that it is no longer offered.
        Err(Error::TooLate) => {}
        Err(error) => return Err(error.into()),
    }
    let path = format!("/w/{}/contacts/imports/{import_id}", admin.slug);
    Ok(Redirect::to(&path).into_response())
}

/// `GET /w/{slug}/contacts/imports/{import_id}/refused.csv`
pub async fn refused(
    admin: Admin,
    State(app): State<App>,
    Path(ImportPath { import_id }): Path<ImportPath>,
) -> Result<Response, Problem> {
    refused_rows(&app, &admin, import_id).await
}

//! Imports contacts from a table: the file is previewed first, then its rows are imported one by one.
//!
//! The rows are stored in the database until they are processed. A worker holds a lease on an import and processes it
//! in batches. One transaction holds a batch and the outcome of each row, so after a crash the import resumes and no
//! row is imported twice. It runs with the rights of the admin who started it and fails once that user is no longer an
//! admin.

pub mod numbers;
pub mod problems;
pub mod row;
pub mod work;

use chrono::{DateTime, Utc};
use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::types::Json;

use problems::{Problem, Tally};
use row::{ColumnForm, Plan};

use super::fields::{self, Field};
use crate::db::WorkspaceTx;
use crate::db::purpose::Jobs;
use crate::domain::audit::{self, AuditAction, AuditRecord};
use crate::domain::members::Admin;
use crate::domain::{string_enum, workspaces};
use crate::error::{Check, Error, Result};
use crate::ids::{ImportId, TagId, UserId, WorkspaceId};
use crate::language::{Message, t};
use crate::listing::{Cursor, Page, Span, page};
use crate::phone::Region;
use crate::sheet::heads::{self, Head};
use crate::sheet::{self, Reading, Sheet, decode};

pub const MAX_LINES: usize = 100_000;
pub const MAX_FILE_BYTES: usize = 10 * 1024 * 1024;

string_enum!(#[schema(as = ImportState)]
State {
    /// Uploaded; waits until an admin confirms the columns and starts it.
    Mapping = "mapping",
    Running = "running",
    Done = "done",
    /// The import cannot continue; `failure` says why. Imported contacts stay.
    Failed = "failed",
});

string_enum!(
    /// What happens to a row whose number a contact has already, in the workspace or further up in the file.
    Duplicates {
        /// The contact does not change.
        Skip = "skip",
        /// The values of the row replace those of the contact.
        Update = "update",
        /// The row fills in only what is empty in the contact.
        Fill = "fill",
    }
);

impl Duplicates {
    pub const ALL: [Self; 3] = [Self::Fill, Self::Update, Self::Skip];

    pub fn label(self) -> Message {
        match self {
            Self::Fill => t!("Fill in what is empty"),
            Self::Update => t!("Replace what is there"),
            Self::Skip => t!("Leave them as they are"),
        }
    }
}

/// An import of contacts from a file.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ContactImport)]
pub struct Import {
    pub id: ImportId,
    pub file_name: String,
    pub state: State,
    /// As detected or chosen, such as `UTF-8`.
    pub encoding: String,
    /// Empty if the file is an address book of vCards.
    pub delimiter: String,
    /// The names of the columns. Lines above them in the file are skipped.
    pub columns: Vec<String>,
    /// The target of each column: `phone_number`, `other_number`, `name`, `first_name`, `middle_name`, `last_name`,
    /// `organization`, `email`, `notes`, `tags`, `field:` and the key of a field, or empty to skip it. The default is
    /// guessed from the column names. Several columns may be `phone_number`: a mobile number comes first, then the
    /// columns in their order; the remaining numbers are added to the contact's notes, as those of `other_number` are.
    /// Several columns may also be `email` (the first address is used), `tags` and `last_name`. `organization` is the
    /// name of a contact without a personal name.
    pub mapping: Vec<String>,
    pub duplicates: Duplicates,
    /// The region of numbers without a country code.
    pub region: String,
    /// Tags for every contact that is added or updated.
    pub tag_ids: Vec<TagId>,
    /// Rows of the file.
    pub total: i32,
    /// Rows that are processed.
    pub done: i32,
    pub added: i32,
    pub updated: i32,
    /// Rows that changed nothing.
    pub skipped: i32,
    /// Rows that were refused. `GET …/refused.csv` returns them, each with the reason.
    pub refused: i32,
    /// Cells that could not be read; `problems` lists them. Their rows are imported without them.
    pub left_out: i32,
    /// What the import skips or changes, counted before it starts.
    #[schema(value_type = Vec<Problem>)]
    pub problems: Json<Vec<Problem>>,
    #[schema(value_type = Option<String>)]
    pub failure: Option<Message>,
    pub created_by: Option<UserId>,
    pub created_by_name: String,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

impl Import {
    pub fn is_mapping(&self) -> bool {
        self.state == State::Mapping
    }

    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    pub fn is_failed(&self) -> bool {
        self.state == State::Failed
    }

    pub fn is_address_book(&self) -> bool {
        self.delimiter.is_empty()
    }

    fn with_messages(mut self) -> Self {
        self.problems.0 = self
            .problems
            .0
            .into_iter()
            .map(Problem::with_message)
            .collect();
        self
    }
}

/// How to import the file.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactImportStart)]
pub struct Start {
    /// The target of each column, in order. If left out, the guess is used.
    pub mapping: Option<Vec<String>>,
    /// If left out, `fill`.
    pub duplicates: Option<Duplicates>,
    /// Two letters, such as US. If left out, the workspace's region.
    pub region: Option<String>,
    /// Names of tags for all contacts. Missing tags are created.
    #[serde(default)]
    pub tags: Vec<String>,
    /// An encoding such as `windows-1250` (any name of the Encoding standard), if the detected one is wrong.
    pub encoding: Option<String>,
}

/// Stores a file until an admin starts the import. Five round trips, and one for each 5,000 rows.
pub async fn upload(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    file_name: &str,
    file: &[u8],
    encoding: Option<&str>,
) -> Result<Import> {
    let region = workspaces::current(tx).await?.default_region;
    let fields = fields::list(tx).await?;
    let ImportPreview {
        sheet,
        mapping,
        checked,
    } = preview_import(
        file.to_vec(),
        parse_encoding(encoding)?,
        region.clone(),
        fields,
        None,
    )
    .await?;
    let id = ImportId::new();
    sqlx::query!(
        "insert into contact_imports (id, file_name, encoding, delimiter, columns, mapping, region, total, created_by_name,
                                      file, forms, problems, left_out)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        id as _,
        sheet::short_name(file_name),
        sheet.encoding,
        delimiter(&sheet),
        &sheet.columns,
        &mapping,
        region,
        total(&sheet),
        admin.name,
        file,
        json!(checked.forms),
        problems::stored(&checked.problems),
        checked.left_out,
    )
    .execute(tx.conn())
    .await?;
    keep_rows(tx, id, &sheet).await?;
    find(tx, admin, id).await
}

fn delimiter(sheet: &Sheet) -> String {
    sheet.delimiter.map_or(String::new(), String::from)
}

fn total(sheet: &Sheet) -> i32 {
    i32::try_from(sheet.rows.len()).unwrap_or(i32::MAX)
}

struct ImportPreview {
    sheet: Sheet,
    mapping: Vec<String>,
    checked: Checked,
}

/// Parses the file and checks each row. 100,000 rows take seconds, so it runs on a blocking thread.
async fn preview_import(
    file: Vec<u8>,
    encoding: Option<&'static Encoding>,
    region: String,
    fields: Vec<Field>,
    mapping: Option<Vec<String>>,
) -> Result<ImportPreview> {
    let preview = tokio::task::spawn_blocking(move || {
        let sheet = read(&file, encoding, &region)?;
        let mapping = mapping.unwrap_or_else(|| guess(&sheet.columns, &sheet, &fields));
        let checked = check_rows(&sheet, &mapping, &region, &fields);
        Ok(ImportPreview {
            sheet,
            mapping,
            checked,
        })
    });
    preview
        .await
        .map_err(|error| Error::Internal(error.to_string()))?
}

fn read(file: &[u8], encoding: Option<&'static Encoding>, region: &str) -> Result<Sheet> {
    let reading = Reading {
        most: MAX_LINES,
        encoding,
        region: Some(region),
    };
    let sheet =
        sheet::read(file, reading).map_err(|wrong| Error::field("file", wrong.message()))?;
    Check::default()
        .require(
            !sheet.rows.is_empty(),
            "file",
            t!("there are no rows below the names of the columns"),
        )
        .finish()?;
    Ok(sheet)
}

/// The encoding of this name; `None`: it is detected.
pub fn parse_encoding(name: Option<&str>) -> Result<Option<&'static Encoding>> {
    let name = name.map(str::trim).filter(|name| !name.is_empty());
    name.map(|name| {
        decode::named(name).ok_or_else(|| {
            Error::field(
                "encoding",
                t!(
                    "there is no such encoding: such as UTF-8, windows-1252, macintosh or Shift_JIS"
                ),
            )
        })
    })
    .transpose()
}

struct Checked {
    forms: Vec<ColumnForm>,
    problems: Vec<Problem>,
    left_out: i32,
}

/// Checks every row without importing it. Some microseconds per row.
fn check_rows(sheet: &Sheet, mapping: &[String], region: &str, fields: &[Field]) -> Checked {
    let cells = |index: usize| {
        let rows = sheet.rows.iter();
        rows.map(move |row| row.cells.get(index).map_or("", String::as_str))
    };
    let forms: Vec<ColumnForm> = (0..sheet.columns.len())
        .map(|index| ColumnForm::of(cells(index)))
        .collect();
    let plan = Plan::of(mapping, &sheet.columns, &forms, region, fields);
    let mut tally = Tally::default();
    for row in &sheet.rows {
        let (read, skipped) = plan.read(&row.cells);
        match read {
            Ok(read) => {
                tally.numbers += read.others.len();
                for cell in skipped {
                    tally.cell(cell.index, row.line, &cell.text, cell.reason);
                }
            }
            // No column is mapped as the phone number yet.
            Err(_) if !mapping.iter().any(|what| what == "phone_number") => {}
            Err(reason) => tally.row(row.line, reason),
        }
    }
    let left_out = tally.left_out();
    let mut problems = problems::of_sheet(sheet);
    problems.extend(tally.problems(&sheet.columns));
    Checked {
        forms,
        problems,
        left_out,
    }
}

async fn keep_rows(tx: &mut WorkspaceTx, id: ImportId, sheet: &Sheet) -> Result<()> {
    for rows in sheet.rows.chunks(5_000) {
        let lines: Vec<_> = rows
            .iter()
            .map(|row| i32::try_from(row.line).unwrap_or(i32::MAX))
            .collect();
        let cells: Vec<_> = rows.iter().map(|row| json!(row.cells)).collect();
        sqlx::query!(
            "insert into contact_import_rows (import_id, line, cells)
             select $1, t.line, t.cells from unnest($2::int[], $3::jsonb[]) as t (line, cells)",
            id as _,
            &lines,
            &cells,
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// Stores refused rows of an opt-out list with their reasons. One round trip, and one for each 5,000 rows.
pub async fn keep_refused(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    file_name: &str,
    sheet: &Sheet,
    rows: Vec<(&sheet::SheetRow, Message)>,
) -> Result<ImportId> {
    let id = ImportId::new();
    let is_phone = |column: &String| matches!(heads::read(column), Some(Head::Phone(_)));
    let phones = sheet
        .columns
        .iter()
        .map(|column| if is_phone(column) { "phone_number" } else { "" }.to_owned());
    let refused = i32::try_from(rows.len()).unwrap_or(i32::MAX);
    sqlx::query!(
        "insert into contact_imports (id, kind, file_name, encoding, delimiter, columns, mapping, region, total, done, refused,
                                      created_by_name, state, finished_at, problems)
         values ($1, 'opt_outs', $2, $3, $4, $5, $6, '', $7, $7, $8, $9, 'done', now(), $10)",
        id as _,
        file_name,
        sheet.encoding,
        delimiter(sheet),
        &sheet.columns,
        &phones.collect::<Vec<_>>(),
        total(sheet),
        refused,
        admin.name,
        problems::stored(&problems::of_sheet(sheet)),
    )
    .execute(tx.conn())
    .await?;
    for rows in rows.chunks(5_000) {
        sqlx::query!(
            "insert into contact_import_rows (import_id, line, cells, outcome, reason)
             select $1, t.line, t.cells, 'refused', t.reason from unnest($2::int[], $3::jsonb[], $4::text[]) as t (line, cells, reason)",
            id as _,
            &rows.iter().map(|(row, _)| i32::try_from(row.line).unwrap_or(i32::MAX)).collect::<Vec<_>>(),
            &rows.iter().map(|(row, _)| json!(row.cells)).collect::<Vec<_>>(),
            &rows.iter().map(|(_, reason)| reason.stored()).collect::<Vec<_>>(),
        )
        .execute(tx.conn())
        .await?;
    }
    Ok(id)
}

const REPEATABLE_TARGETS: [&str; 5] =
    ["phone_number", "other_number", "email", "tags", "last_name"];

/// Guesses each column's target from its name. Targets outside `REPEATABLE_TARGETS` are assigned once.
fn guess(columns: &[String], sheet: &Sheet, fields: &[Field]) -> Vec<String> {
    let mut taken: Vec<String> = Vec::new();
    let holds_phones = |index: usize| {
        let cells = sheet
            .rows
            .iter()
            .filter_map(|row| row.cells.get(index))
            .filter(|cell| !cell.is_empty());
        let (mut all, mut phones) = (0, 0);
        for cell in cells.take(200) {
            all += 1;
            phones += usize::from(sheet::records::is_phone_like(cell));
        }
        phones > 0 && phones * 2 >= all
    };
    let mut mapping: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let name = heads::plain(column);
            let own = || {
                let is_it = |field: &&Field| {
                    heads::plain(&field.name) == name || heads::plain(&field.key) == name
                };
                let field = fields.iter().find(is_it).filter(|_| !name.is_empty())?;
                Some(format!("field:{}", field.key))
            };
            let known = match heads::read(column) {
                // A column of our own export.
                Some(Head::Phone(_)) if name == "othernumbers" => Some("other_number"),
                Some(Head::Phone(_)) => Some("phone_number"),
                Some(Head::Name) => Some("name"),
                Some(Head::FirstName) => Some("first_name"),
                Some(Head::MiddleName) => Some("middle_name"),
                Some(Head::LastName) => Some("last_name"),
                Some(Head::Organization) => Some("organization"),
                Some(Head::Email) => Some("email"),
                Some(Head::Notes) => Some("notes"),
                Some(Head::Tags) => Some("tags"),
                None if name == "othernumbers" => Some("other_number"),
                None => None,
            };
            let guess = known
                .map(str::to_owned)
                .or_else(own)
                .or_else(|| {
                    let is_one = heads::bare_phone(column).is_some() && holds_phones(index);
                    is_one.then(|| "phone_number".to_owned())
                })
                .filter(|what| REPEATABLE_TARGETS.contains(&what.as_str()) || !taken.contains(what))
                .unwrap_or_default();
            if !guess.is_empty() {
                taken.push(guess.clone());
            }
            guess
        })
        .collect();
    resolve_name_columns(columns, &mut mapping);
    mapping
}

/// In many languages one word means the full name or one part of it, depending on the other columns: `Nom` beside
/// `Prénom`, `Nombre` beside `Apellidos`.
fn resolve_name_columns(columns: &[String], mapping: &mut [String]) {
    let has = |mapping: &[String], what: &str| mapping.iter().any(|column| column == what);
    let Some(index) = mapping.iter().position(|what| what == "name") else {
        return;
    };
    let word = heads::plain(&columns[index]);
    let may_be_half = [
        "nombre", "nome", "nom", "name", "naam", "navn", "namn", "nume", "jmeno", "имя",
    ]
    .contains(&word.as_str());
    let half = match (has(mapping, "first_name"), has(mapping, "last_name")) {
        (true, false) if may_be_half => "last_name",
        (false, true) if may_be_half => "first_name",
        _ => return,
    };
    mapping[index] = half.into();
}

pub fn targets(fields: &[Field]) -> Vec<(String, Message)> {
    let fixed = [
        ("phone_number", t!("Phone number")),
        ("other_number", t!("Another number, for the notes")),
        ("name", t!("Name")),
        ("first_name", t!("First name")),
        ("middle_name", t!("Middle name")),
        ("last_name", t!("Last name")),
        ("organization", t!("Organization")),
        ("email", t!("E-mail")),
        ("notes", t!("Notes")),
        ("tags", t!("Tags")),
    ];
    let own = fields.iter().map(|field| {
        (
            format!("field:{}", field.key),
            Message::verbatim(&field.name),
        )
    });
    fixed
        .map(|(what, label)| (what.to_owned(), label))
        .into_iter()
        .chain(own)
        .collect()
}

pub async fn start(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    id: ImportId,
    start: Start,
) -> Result<Import> {
    let import = update_mapping(tx, admin, id, &start).await?;
    let fields = fields::list(tx).await?;
    check_mapping(&import.mapping, import.columns.len(), &fields)?;
    let mut tags = Vec::new();
    for name in start.tags.iter().filter(|name| !name.trim().is_empty()) {
        let tag = super::tags::find_or_create(tx, name)
            .await
            .map_err(|error| match error {
                Error::Invalid(wrong) => Error::field("tags", wrong[0].message.clone()),
                error => error,
            })?;
        tags.push(tag.id);
    }
    sqlx::query!(
        "update contact_imports
            set state = 'running', file = null, tag_ids = $2, created_by = current_user_id(), created_by_name = $3
          where id = $1 and state = 'mapping'",
        id as _,
        &tags as _,
        admin.name,
    )
    .execute(tx.conn())
    .await?;
    let audit_record = AuditRecord {
        subject: &import.file_name,
        subject_id: Some(id.0),
        after: Some(json!({"rows": import.total})),
        ..AuditRecord::default()
    };
    audit::record(tx, AuditAction::ContactsImported, audit_record).await?;
    find(tx, admin, id).await
}

/// Applies `wanted` to an import that has not started, checks the rows again and stores the result.
pub async fn update_mapping(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    id: ImportId,
    wanted: &Start,
) -> Result<Import> {
    let import = find(tx, admin, id).await?;
    if import.state != State::Mapping {
        return Err(Error::TooLate);
    }
    let region = match wanted.region.as_deref() {
        None | Some("") => import.region.clone(),
        Some(region) => region.to_owned(),
    };
    region
        .parse::<Region>()
        .map_err(|_| Error::field("region", t!("the two letters of a country, such as US")))?;
    let encoding = parse_encoding(wanted.encoding.as_deref())?
        .map_or(import.encoding.clone(), |encoding| {
            encoding.name().to_owned()
        });
    let duplicates = wanted.duplicates.unwrap_or(import.duplicates);
    let mapping = wanted.mapping.as_ref().unwrap_or(&import.mapping);
    if encoding == import.encoding && region == import.region && *mapping == import.mapping {
        sqlx::query!(
            "update contact_imports set duplicates = $2 where id = $1",
            id as _,
            duplicates as _
        )
        .execute(tx.conn())
        .await?;
        return Ok(Import {
            duplicates,
            ..import
        });
    }
    let file = sqlx::query_scalar!(
        r#"select file as "file!" from contact_imports where id = $1 and file is not null for update"#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::TooLate)?;
    let is_same_text = encoding == import.encoding;
    // In another encoding the columns have other names.
    let mapping = match wanted.mapping.clone() {
        None if is_same_text => Some(import.mapping.clone()),
        Some(mapping) if is_same_text || mapping != import.mapping => Some(mapping),
        _ => None,
    };
    let mapping = mapping.filter(|mapping| is_same_text || mapping.len() == import.columns.len());
    let fields = fields::list(tx).await?;
    let ImportPreview {
        sheet,
        mapping,
        checked,
    } = preview_import(
        file,
        parse_encoding(Some(&encoding))?,
        region.clone(),
        fields,
        mapping,
    )
    .await?;
    if !is_same_text {
        sqlx::query!(
            "delete from contact_import_rows where import_id = $1",
            id as _
        )
        .execute(tx.conn())
        .await?;
        keep_rows(tx, id, &sheet).await?;
    }
    sqlx::query!(
        "update contact_imports
            set encoding = $2, delimiter = $3, columns = $4, mapping = $5, region = $6, duplicates = $7, total = $8,
                forms = $9, problems = $10, left_out = $11
          where id = $1",
        id as _,
        sheet.encoding,
        delimiter(&sheet),
        &sheet.columns,
        &mapping,
        region,
        duplicates as _,
        total(&sheet),
        json!(checked.forms),
        problems::stored(&checked.problems),
        checked.left_out,
    )
    .execute(tx.conn())
    .await?;
    find(tx, admin, id).await
}

fn check_mapping(mapping: &[String], columns: usize, fields: &[Field]) -> Result<()> {
    let known = targets(fields);
    let count = |what: &str| mapping.iter().filter(|column| *column == what).count();
    let unknown = mapping
        .iter()
        .find(|what| !what.is_empty() && !known.iter().any(|(known, _)| known == *what));
    let twice = known
        .iter()
        .find(|(what, _)| count(what) > 1 && !REPEATABLE_TARGETS.contains(&what.as_str()));
    Check::default()
        .require(
            mapping.len() == columns,
            "mapping",
            t!(
                "one entry for each of the {columns} columns, in their order",
                columns = columns,
            ),
        )
        .require(
            unknown.is_none(),
            "mapping",
            t!(
                "there is nothing called “{name}”",
                name = unknown.map_or("", String::as_str),
            ),
        )
        .require(
            twice.is_none(),
            "mapping",
            t!(
                "only one column can be {target}",
                target = twice.map_or_else(|| Message::verbatim(""), |(_, label)| label.clone()),
            ),
        )
        .require(
            count("phone_number") > 0,
            "mapping",
            t!("say which column is the phone number: no contact is without one"),
        )
        .finish()
}

pub async fn find(tx: &mut WorkspaceTx, _: &Admin, id: ImportId) -> Result<Import> {
    sqlx::query_as!(
        Import,
        r#"select id, file_name, state, encoding, delimiter, columns, mapping, duplicates, region, tag_ids as "tag_ids: _",
                  total, done, added, updated, skipped, refused, left_out, problems as "problems: _", failure, created_by,
                  created_by_name, created_at, finished_at
             from contact_imports where id = $1"#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .map(Import::with_messages)
    .ok_or(Error::NotFound(t!("the import")))
}

pub async fn list(tx: &mut WorkspaceTx, _: &Admin, span: &Span) -> Result<Page<Import>> {
    let (limit, after) = (span.limit()?, span.cursor()?);
    let rows = sqlx::query_as!(
        Import,
        r#"select id, file_name, state, encoding, delimiter, columns, mapping, duplicates, region, tag_ids as "tag_ids: _",
                  total, done, added, updated, skipped, refused, left_out, problems as "problems: _", failure, created_by,
                  created_by_name, created_at, finished_at
             from contact_imports
            where kind = 'contacts' and ($1::uuid is null or id < $1)
            order by id desc
            limit $2"#,
        after.map(|cursor| cursor.id),
        limit + 1,
    )
    .fetch_all(tx.conn())
    .await?;
    let rows = rows.into_iter().map(Import::with_messages).collect();
    Ok(page(rows, limit, |import| Cursor {
        at: import.created_at,
        id: import.id.0,
    }))
}

pub async fn first_rows(tx: &mut WorkspaceTx, _: &Admin, id: ImportId) -> Result<Vec<Vec<String>>> {
    let rows = sqlx::query_scalar!(
        r#"select cells as "cells: sqlx::types::Json<Vec<String>>" from contact_import_rows where import_id = $1 order by line limit 5"#,
        id as _,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

#[derive(Clone, Debug)]
pub struct Refused {
    pub line: i32,
    pub cells: Vec<String>,
    pub reason: Message,
}

pub async fn refused(
    tx: &mut WorkspaceTx,
    _: &Admin,
    id: ImportId,
    most: i64,
) -> Result<Vec<Refused>> {
    let rows = sqlx::query!(
        r#"select line, cells as "cells: sqlx::types::Json<Vec<String>>", reason from contact_import_rows
            where import_id = $1 and outcome = 'refused' order by line limit $2"#,
        id as _,
        most,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Refused {
            line: row.line,
            cells: row.cells.0,
            reason: Message::from_stored(&row.reason.unwrap_or_default()),
        })
        .collect())
}

/// The refused rows as a table like the uploaded one, to be corrected and imported again.
pub async fn refused_table(tx: &mut WorkspaceTx, admin: &Admin, id: ImportId) -> Result<Vec<u8>> {
    let import = find(tx, admin, id).await?;
    // A row that is refused again keeps only its newest line and reason.
    let width = width_without_reasons(&import.columns);
    let own = ["line".to_owned(), "reason".to_owned()];
    let mut rows = vec![[&import.columns[..width], &own].concat()];
    for refused in refused(tx, admin, id, i64::MAX).await? {
        let mut cells = refused.cells;
        cells.resize(width, String::new());
        for (cell, what) in cells.iter_mut().zip(&import.mapping) {
            if ["phone_number", "other_number"].contains(&what.as_str()) {
                *cell = sheet::dialled_text(cell);
            }
        }
        cells.extend([refused.line.to_string(), refused.reason.english()]);
        rows.push(cells);
    }
    Ok([sheet::MARK, &sheet::lines(rows.iter().map(Vec::as_slice))].concat())
}

/// The number of the file's own columns: `refused.csv` appends two.
pub fn width_without_reasons(columns: &[String]) -> usize {
    let mut width = columns.len();
    while let [.., line, reason] = &columns[..width] {
        if line != "line" || reason != "reason" {
            break;
        }
        width -= 2;
    }
    width
}

/// Deletes imports that were not started within a day, and rows of imports that finished 30 days ago.
pub async fn delete_expired(db: &crate::db::Db) -> Result<()> {
    sqlx::query!("delete from contact_imports where state = 'mapping' and created_at < now() - interval '1 day'")
        .execute(db.system_pool(Jobs))
        .await?;
    sqlx::query!(
        "delete from contact_import_rows r
          using contact_imports i
          where i.finished_at < now() - interval '30 days' and r.workspace_id = i.workspace_id and r.import_id = i.id"
    )
    .execute(db.system_pool(Jobs))
    .await?;
    sqlx::query!("delete from deleted_messages where created_at < now() - interval '40 days'")
        .execute(db.system_pool(Jobs))
        .await?;
    Ok(())
}

pub struct Due {
    pub workspace: WorkspaceId,
    pub id: ImportId,
    by: Option<UserId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn guessed(file: &str) -> Vec<String> {
        let sheet = read(file.as_bytes(), None, "US").unwrap();
        guess(&sheet.columns, &sheet, &[])
    }

    #[test]
    fn columns_are_recognized_by_name() {
        for (file, mapping) in [
            (
                "Full Name,Mobile Phone,Phone,E-mail,Shoe size\nMaya,1,2,3,4\n",
                &["name", "phone_number", "phone_number", "email", ""][..],
            ),
            (
                "Nom,Prénom,Téléphone portable\nNúñez,José,1\n",
                &["last_name", "first_name", "phone_number"],
            ),
            (
                "Nombre,Apellidos,Celular\nJosé,Núñez,1\n",
                &["first_name", "last_name", "phone_number"],
            ),
            ("Nombre,Celular\nJosé,1\n", &["name", "phone_number"]),
            (
                "Name,Vorname,Handy\nMüller,Jo,1\n",
                &["last_name", "first_name", "phone_number"],
            ),
            (
                "Imię,Nazwisko,Telefon\nŁucja,Świątek,1\n",
                &["first_name", "last_name", "phone_number"],
            ),
            (
                "name,phone_number,other_numbers,email\nMaya,1,2,\n",
                &["name", "phone_number", "other_number", "email"],
            ),
            (
                "First,Last,Home,Mobile,Pager\nMaya,Okafor,415-555-0100,415-555-0142,415-555-0199\n",
                &[
                    "first_name",
                    "last_name",
                    "phone_number",
                    "phone_number",
                    "",
                ],
            ),
            (
                "Name,Home,Mobile\nMaya,12 Main St,415-555-0142\n",
                &["name", "", "phone_number"],
            ),
        ] {
            assert_eq!(guessed(file), mapping, "{file}");
        }
    }

    #[test]
    fn mapping_requires_a_number_and_known_columns() {
        for good in [
            &["name", "phone_number"][..],
            &["phone_number", "phone_number"],
            &["phone_number", "email", "email"],
        ] {
            assert!(
                check_mapping(&strings(good), good.len(), &[]).is_ok(),
                "{good:?}"
            );
        }
        for wrong in [
            &["name", ""][..],
            &["name", "name", "phone_number"],
            &["phone_number"],
            &["phone_number", "field:none"],
        ] {
            assert!(check_mapping(&strings(wrong), 2, &[]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn refused_file_has_its_extra_columns_once() {
        let width = |columns: &[&str]| width_without_reasons(&strings(columns));
        assert_eq!(width(&["name", "phone", "line", "reason"]), 2);
        assert_eq!(
            width(&["name", "phone", "line", "reason", "line", "reason"]),
            2
        );
        assert_eq!(width(&["name", "reason"]), 2);
    }
}

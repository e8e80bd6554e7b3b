//! Contacts from a table: looked at first, then taken row by row, each on its own.
//!
//! The rows lie in the database until they have been dealt with. Whoever works on an import holds a lease on it; a part of it is
//! one transaction, with what became of each row, so that after a crash somebody goes on where it was, and no row is taken
//! twice. The work is done with the rights of the admin who began it: whoever lost them ends it.

pub mod work;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::fields::{self, Field};
use crate::db::WorkspaceTx;
use crate::domain::audit::{self, Action, Deed};
use crate::domain::members::Admin;
use crate::domain::{words, workspaces};
use crate::error::{Check, Error, Result};
use crate::ids::{ImportId, TagId, UserId, WorkspaceId};
use crate::language::english;
use crate::listing::{Cursor, Page, Span, page};
use crate::phone::Region;
use crate::sheet::{self, Sheet};

/// As many as one file may have.
pub const MOST_LINES: usize = 100_000;
/// Bytes of a file.
pub const LARGEST: usize = 10 * 1024 * 1024;

words!(#[schema(as = ImportState)]
State {
    /// Uploaded: somebody says what its columns are, and starts it.
    Mapping = "mapping",
    Running = "running",
    Done = "done",
    /// It cannot go on; `failure` says why. What was taken stays.
    Failed = "failed",
});

words!(
    /// What becomes of a row whose number a contact has already, here or further up in the file.
    Duplicates {
        /// The contact stays as it is.
        Skip = "skip",
        /// What the row says replaces what the contact says.
        Update = "update",
        /// Only what the contact does not say yet is taken from the row.
        Fill = "fill",
    }
);

impl Duplicates {
    pub const ALL: [Self; 3] = [Self::Fill, Self::Update, Self::Skip];

    pub fn label(self) -> &'static str {
        match self {
            Self::Fill => english("Fill in what is empty"),
            Self::Update => english("Replace what is there"),
            Self::Skip => english("Leave them as they are"),
        }
    }
}

/// A table on its way in.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ContactImport)]
pub struct Import {
    pub id: ImportId,
    pub file_name: String,
    pub state: State,
    /// As it was recognized, such as `UTF-8`.
    pub encoding: String,
    pub delimiter: String,
    /// The first line of the file.
    pub columns: Vec<String>,
    /// What each column is: `name`, `first_name`, `last_name`, `phone_number`, `email`, `notes`, `tags`, `field:` and the key of
    /// a field, or empty for nothing. Guessed from the first line until somebody says otherwise.
    pub mapping: Vec<String>,
    pub duplicates: Duplicates,
    /// How numbers without a country are read.
    pub region: String,
    /// Given to every contact that is added or updated.
    pub tag_ids: Vec<TagId>,
    /// Rows of the file.
    pub total: i32,
    /// Rows that have been dealt with.
    pub done: i32,
    pub added: i32,
    pub updated: i32,
    /// Rows that changed nothing.
    pub skipped: i32,
    /// Rows that could not be taken: `GET …/refused.csv` has them, each with the reason.
    pub refused: i32,
    pub failure: Option<String>,
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
}

/// How a table is to be taken.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactImportStart)]
pub struct Start {
    /// What each column is, in their order; left out: as guessed.
    pub mapping: Option<Vec<String>>,
    /// Left out: `fill`.
    pub duplicates: Option<Duplicates>,
    /// Two letters, such as US; left out: the workspace's.
    pub region: Option<String>,
    /// Names of tags for all; those that there are not are made.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// Keeps a file until somebody says how to take it. Four round trips, and one for each 5,000 rows.
pub async fn upload(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    file_name: &str,
    file: &[u8],
) -> Result<Import> {
    let sheet =
        sheet::read(file, MOST_LINES).map_err(|wrong| Error::field("file", wrong.to_string()))?;
    Check::default()
        .that(
            !sheet.rows.is_empty(),
            "file",
            "there are no rows below the names of the columns",
        )
        .done()?;
    let fields = fields::list(tx).await?;
    let mapping: Vec<String> = guess(&sheet.columns, &fields);
    let region = workspaces::current(tx).await?.default_region;
    let id = ImportId::new();
    sqlx::query!(
        "insert into contact_imports (id, file_name, encoding, delimiter, columns, mapping, region, total, created_by_name)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        id as _,
        sheet::short_name(file_name),
        sheet.encoding,
        sheet.delimiter.to_string(),
        &sheet.columns,
        &mapping,
        region,
        i32::try_from(sheet.rows.len()).unwrap_or(i32::MAX),
        admin.name,
    )
    .execute(tx.conn())
    .await?;
    keep_rows(tx, id, &sheet).await?;
    find(tx, admin, id).await
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

/// What each column probably is, by its name. Each thing is only once there.
fn guess(columns: &[String], fields: &[Field]) -> Vec<String> {
    let mut taken: Vec<String> = Vec::new();
    let plain = |text: &str| {
        text.chars()
            .filter(|c| c.is_alphanumeric())
            .flat_map(char::to_lowercase)
            .collect::<String>()
    };
    columns
        .iter()
        .map(|column| {
            let name = plain(column);
            let own = || {
                let is_it =
                    |field: &&Field| plain(&field.name) == name || plain(&field.key) == name;
                let field = fields.iter().find(is_it)?;
                Some(format!("field:{}", field.key))
            };
            let known = KNOWN
                .iter()
                .find(|(_, names)| names.contains(&name.as_str()));
            let guess = known
                .map(|(what, _)| (*what).to_owned())
                .or_else(own)
                .filter(|what| !taken.contains(what))
                .unwrap_or_default();
            if !guess.is_empty() {
                taken.push(guess.clone());
            }
            guess
        })
        .collect()
}

/// What people call their columns.
const KNOWN: &[(&str, &[&str])] = &[
    (
        "phone_number",
        &[
            "phonenumber",
            "phone",
            "mobile",
            "mobilephone",
            "mobilenumber",
            "cell",
            "cellphone",
            "tel",
            "telephone",
            "number",
            "phone1value",
            "handy",
            "telefono",
            "movil",
            "msisdn",
            "whatsapp",
            "primaryphone",
        ],
    ),
    (
        "name",
        &[
            "name",
            "fullname",
            "contact",
            "contactname",
            "displayname",
            "customer",
            "customername",
            "patient",
            "client",
            "nombre",
        ],
    ),
    (
        "first_name",
        &["firstname", "givenname", "first", "forename", "vorname"],
    ),
    (
        "last_name",
        &[
            "lastname",
            "surname",
            "familyname",
            "last",
            "nachname",
            "apellido",
            "apellidos",
        ],
    ),
    (
        "email",
        &[
            "email",
            "emailaddress",
            "mail",
            "email1value",
            "correo",
            "emailaddress1",
        ],
    ),
    (
        "notes",
        &["notes", "note", "comment", "comments", "remarks", "notas"],
    ),
    (
        "tags",
        &[
            "tags",
            "tag",
            "labels",
            "label",
            "groups",
            "group",
            "groupmembership",
            "etiquetas",
        ],
    ),
];

/// What a column can be, with its label.
pub fn targets(fields: &[Field]) -> Vec<(String, String)> {
    let fixed = [
        ("phone_number", english("Phone number")),
        ("name", english("Name")),
        ("first_name", english("First name")),
        ("last_name", english("Last name")),
        ("email", english("E-mail")),
        ("notes", english("Notes")),
        ("tags", english("Tags")),
    ];
    let own = fields
        .iter()
        .map(|field| (format!("field:{}", field.key), field.name.clone()));
    fixed
        .map(|(what, label)| (what.to_owned(), label.to_owned()))
        .into_iter()
        .chain(own)
        .collect()
}

/// Says how to take it. From now on it goes by itself.
pub async fn start(
    tx: &mut WorkspaceTx,
    admin: &Admin,
    id: ImportId,
    start: Start,
) -> Result<Import> {
    let import = find(tx, admin, id).await?;
    if import.state != State::Mapping {
        return Err(Error::TooLate);
    }
    let fields = fields::list(tx).await?;
    let mapping = start.mapping.unwrap_or(import.mapping);
    check_mapping(&mapping, import.columns.len(), &fields)?;
    let region = start
        .region
        .filter(|region| !region.is_empty())
        .unwrap_or(import.region);
    region
        .parse::<Region>()
        .map_err(|_| Error::field("region", "the two letters of a country, such as US"))?;
    let mut tags = Vec::new();
    for name in start.tags.iter().filter(|name| !name.trim().is_empty()) {
        let tag = super::tags::named(tx, name)
            .await
            .map_err(|error| match error {
                Error::Invalid(wrong) => Error::field("tags", wrong[0].message.clone()),
                error => error,
            })?;
        tags.push(tag.id);
    }
    sqlx::query!(
        "update contact_imports
            set state = 'running', mapping = $2, duplicates = $3, region = $4, tag_ids = $5, created_by = current_user_id(), created_by_name = $6
          where id = $1 and state = 'mapping'",
        id as _,
        &mapping,
        start.duplicates.unwrap_or(Duplicates::Fill) as _,
        region,
        &tags as _,
        admin.name,
    )
    .execute(tx.conn())
    .await?;
    let deed = Deed {
        subject: &import.file_name,
        subject_id: Some(id.0),
        after: Some(json!({"rows": import.total})),
        ..Deed::default()
    };
    audit::record(tx, Action::ContactsImported, deed).await?;
    find(tx, admin, id).await
}

fn check_mapping(mapping: &[String], columns: usize, fields: &[Field]) -> Result<()> {
    let known = targets(fields);
    let count = |what: &str| mapping.iter().filter(|column| *column == what).count();
    let unknown = mapping
        .iter()
        .find(|what| !what.is_empty() && !known.iter().any(|(known, _)| known == *what));
    let twice = known.iter().find(|(what, _)| count(what) > 1);
    Check::default()
        .that(
            mapping.len() == columns,
            "mapping",
            format!("one entry for each of the {columns} columns, in their order"),
        )
        .that(
            unknown.is_none(),
            "mapping",
            format!(
                "there is nothing called “{}”",
                unknown.map_or("", String::as_str)
            ),
        )
        .that(
            twice.is_none(),
            "mapping",
            format!(
                "only one column can be {}",
                twice.map_or("", |(_, label)| label)
            ),
        )
        .that(
            count("phone_number") > 0,
            "mapping",
            "say which column is the phone number: no contact is without one",
        )
        .done()
}

pub async fn find(tx: &mut WorkspaceTx, _: &Admin, id: ImportId) -> Result<Import> {
    sqlx::query_as!(
        Import,
        r#"select id, file_name, state, encoding, delimiter, columns, mapping, duplicates, region, tag_ids as "tag_ids: _",
                  total, done, added, updated, skipped, refused, failure, created_by, created_by_name, created_at, finished_at
             from contact_imports where id = $1"#,
        id as _,
    )
    .fetch_optional(tx.conn())
    .await?
    .ok_or(Error::NotFound("the import"))
}

/// The newest first.
pub async fn list(tx: &mut WorkspaceTx, _: &Admin, span: &Span) -> Result<Page<Import>> {
    let (limit, after) = (span.limit()?, span.cursor()?);
    let rows = sqlx::query_as!(
        Import,
        r#"select id, file_name, state, encoding, delimiter, columns, mapping, duplicates, region, tag_ids as "tag_ids: _",
                  total, done, added, updated, skipped, refused, failure, created_by, created_by_name, created_at, finished_at
             from contact_imports
            where $1::uuid is null or id < $1
            order by id desc
            limit $2"#,
        after.map(|cursor| cursor.id),
        limit + 1,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(page(rows, limit, |import| Cursor {
        at: import.created_at,
        id: import.id.0,
    }))
}

/// The first rows, as they stand in the file.
pub async fn first_rows(tx: &mut WorkspaceTx, _: &Admin, id: ImportId) -> Result<Vec<Vec<String>>> {
    let rows = sqlx::query_scalar!(
        r#"select cells as "cells: sqlx::types::Json<Vec<String>>" from contact_import_rows where import_id = $1 order by line limit 5"#,
        id as _,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

/// A row that was not taken, and why.
#[derive(Clone, Debug)]
pub struct Refused {
    pub line: i32,
    pub cells: Vec<String>,
    pub reason: String,
}

/// What could not be taken, by line.
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
            reason: row.reason.unwrap_or_default(),
        })
        .collect())
}

/// All of that as a table like the one that came, to be mended and brought in again.
pub async fn refused_table(tx: &mut WorkspaceTx, admin: &Admin, id: ImportId) -> Result<Vec<u8>> {
    let import = find(tx, admin, id).await?;
    let width = import.columns.len();
    let own = ["line".to_owned(), "reason".to_owned()];
    let mut rows = vec![[import.columns.as_slice(), &own].concat()];
    for refused in refused(tx, admin, id, i64::MAX).await? {
        let mut cells = refused.cells;
        cells.resize(width, String::new());
        cells.extend([refused.line.to_string(), refused.reason]);
        rows.push(cells);
    }
    Ok(sheet::lines(rows.iter().map(Vec::as_slice)))
}

/// What nobody went on with, and the rows of imports long done. Whose import it is may be told for longer.
pub async fn forget_old(db: &crate::db::Db) -> Result<()> {
    sqlx::query!("delete from contact_imports where state = 'mapping' and created_at < now() - interval '1 day'")
        .execute(db.system_pool())
        .await?;
    sqlx::query!(
        "delete from contact_import_rows r
          using contact_imports i
          where i.finished_at < now() - interval '30 days' and r.workspace_id = i.workspace_id and r.import_id = i.id"
    )
    .execute(db.system_pool())
    .await?;
    sqlx::query!("delete from forgotten_texts where created_at < now() - interval '40 days'")
        .execute(db.system_pool())
        .await?;
    Ok(())
}

/// An import that is ours to work on.
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

    #[test]
    fn columns_are_known_by_their_names_each_once() {
        let guessed = guess(
            &strings(&["Full Name", "Mobile Phone", "Phone", "E-mail", "Shoe size"]),
            &[],
        );
        assert_eq!(guessed, ["name", "phone_number", "", "email", ""]);
    }

    #[test]
    fn a_mapping_names_the_number_once_and_nothing_that_there_is_not() {
        assert!(check_mapping(&strings(&["name", "phone_number"]), 2, &[]).is_ok());
        for wrong in [
            &["name", ""][..],
            &["phone_number", "phone_number"],
            &["phone_number"],
            &["phone_number", "field:none"],
        ] {
            assert!(check_mapping(&strings(wrong), 2, &[]).is_err(), "{wrong:?}");
        }
    }
}

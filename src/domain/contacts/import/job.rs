//! An import as it is stored, with its progress.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::types::Json;

use super::flagged::FlaggedRow;
use super::problems::Problem;
use crate::db::WorkspaceTx;
use crate::domain::members::Admin;
use crate::domain::string_enum;
use crate::error::{Error, Result};
use crate::ids::{ContactId, ImportId, TagId, UserId};
use crate::language::{Message, t};
use crate::listing::{Cursor, Page, Span, page};

string_enum!(#[schema(as = ImportState)]
State {
    /// Uploaded; waits until an admin confirms the columns and starts it.
    Mapping = "mapping",
    Running = "running",
    Done = "done",
    /// The import cannot continue; `failure` says why. Imported contacts stay.
    Failed = "failed",
    /// What the import did is being taken back.
    Undoing = "undoing",
    Undone = "undone",
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
            Self::Fill => t!("Fill in empty fields only"),
            Self::Update => t!("Replace existing values"),
            Self::Skip => t!("Skip existing contacts"),
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
    /// Rows that would add a contact, counted before the import starts.
    pub new_rows: i32,
    /// Rows whose number a contact has already, or a row above.
    pub duplicate_rows: i32,
    /// Rows without a usable phone number.
    pub invalid_rows: i32,
    /// The first duplicate and invalid rows.
    #[schema(value_type = Vec<FlaggedRow>)]
    pub flagged: Json<Vec<FlaggedRow>>,
    /// What the import skips or changes, counted before it starts.
    #[schema(value_type = Vec<Problem>)]
    pub problems: Json<Vec<Problem>>,
    #[schema(value_type = Option<String>)]
    pub failure: Option<Message>,
    pub created_by: Option<UserId>,
    pub created_by_name: String,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    /// Whether the import can be undone, which is for a day.
    pub can_undo: bool,
    pub undone_by_name: String,
    /// Contacts that the undo deleted again.
    pub removed: i32,
    /// Contacts that have the values again that they had before the import.
    pub restored: i32,
    /// Contacts that the undo kept because they have been texted since.
    pub kept_texted: i32,
    /// Contacts that the undo kept because they have been changed, tagged or merged since.
    pub kept_changed: i32,
    /// The first of the kept contacts.
    #[schema(value_type = Vec<ContactId>)]
    pub kept: Json<Vec<ContactId>>,
}

impl Import {
    pub fn is_mapping(&self) -> bool {
        self.state == State::Mapping
    }

    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    pub fn is_undoing(&self) -> bool {
        self.state == State::Undoing
    }

    pub fn is_undone(&self) -> bool {
        self.state == State::Undone
    }

    /// Whether a worker has to do with it.
    pub fn is_at_work(&self) -> bool {
        self.is_running() || self.is_undoing()
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

    /// Until when it can be undone.
    pub fn undo_until(&self) -> Option<DateTime<Utc>> {
        let finished = self.finished_at.filter(|_| self.can_undo)?;
        Some(finished + TimeDelta::days(1))
    }
}

pub async fn find(tx: &mut WorkspaceTx, _: &Admin, id: ImportId) -> Result<Import> {
    sqlx::query_as!(
        Import,
        r#"select id, file_name, state, encoding, delimiter, columns, mapping, duplicates, region, tag_ids as "tag_ids: _",
                  total, done, added, updated, skipped, refused, left_out, new_rows, duplicate_rows, invalid_rows,
                  flagged as "flagged: _", problems as "problems: _", failure, created_by, created_by_name, created_at,
                  finished_at, undone_by_name, removed, restored, kept_texted, kept_changed, kept as "kept: _",
                  (state in ('done', 'failed') and finished_at > now() - interval '1 day'
                   and exists (select from contact_import_changes h where h.import_id = contact_imports.id)) as "can_undo!"
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
                  total, done, added, updated, skipped, refused, left_out, new_rows, duplicate_rows, invalid_rows,
                  flagged as "flagged: _", problems as "problems: _", failure, created_by, created_by_name, created_at,
                  finished_at, undone_by_name, removed, restored, kept_texted, kept_changed, kept as "kept: _",
                  (state in ('done', 'failed') and finished_at > now() - interval '1 day'
                   and exists (select from contact_import_changes h where h.import_id = contact_imports.id)) as "can_undo!"
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

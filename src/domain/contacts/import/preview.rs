//! Parses the file and checks its rows before the import starts.

use encoding_rs::Encoding;

use super::file::read;
use super::flagged::CheckedRow;
use super::mapping::guess;
use super::problems::{self, Problem, Tally};
use super::row::{ColumnForm, Plan};
use crate::domain::contacts::fields::Field;
use crate::error::{Error, Result};
use crate::sheet::Sheet;

pub(super) struct ImportPreview {
    pub sheet: Sheet,
    pub mapping: Vec<String>,
    pub checked: Checked,
}

/// Parses the file and checks each row. 100,000 rows take seconds, so it runs on a blocking thread.
pub(super) async fn preview_import(
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

pub(super) struct Checked {
    pub forms: Vec<ColumnForm>,
    pub problems: Vec<Problem>,
    pub left_out: i32,
    pub rows: Vec<CheckedRow>,
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
    let phone_column = mapping.iter().position(|what| what == "phone_number");
    let mut rows = Vec::new();
    for row in &sheet.rows {
        let (read, skipped) = plan.read(&row.cells);
        match read {
            Ok(read) => {
                tally.numbers += read.others.len();
                rows.push(CheckedRow {
                    line: row.line,
                    number: Ok(read.phone.as_str().to_owned()),
                });
                for cell in skipped {
                    tally.cell(cell.index, row.line, &cell.text, cell.reason);
                }
            }
            // No column is mapped as the phone number yet.
            Err(_) if !mapping.iter().any(|what| what == "phone_number") => {}
            Err(reason) => {
                let cell = phone_column.and_then(|index| row.cells.get(index));
                let text = cell
                    .map_or("", |cell| cell.trim())
                    .chars()
                    .take(40)
                    .collect();
                rows.push(CheckedRow {
                    line: row.line,
                    number: Err((text, reason.clone())),
                });
                tally.row(row.line, reason);
            }
        }
    }
    let left_out = tally.left_out();
    let mut problems = problems::of_sheet(sheet);
    problems.extend(tally.problems(&sheet.columns));
    Checked {
        forms,
        problems,
        left_out,
        rows,
    }
}

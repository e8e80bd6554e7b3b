//! The rows that were refused, with the reasons.

use serde_json::json;

use super::job::find;
use super::problems;
use super::store::{delimiter, total};
use crate::db::WorkspaceTx;
use crate::domain::members::Admin;
use crate::error::Result;
use crate::ids::ImportId;
use crate::language::Message;
use crate::sheet::heads::{self, Head};
use crate::sheet::{self, Sheet};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_file_has_its_extra_columns_once() {
        let width = |columns: &[&str]| {
            let columns: Vec<_> = columns.iter().map(|name| (*name).to_owned()).collect();
            width_without_reasons(&columns)
        };
        assert_eq!(width(&["name", "phone", "line", "reason"]), 2);
        assert_eq!(
            width(&["name", "phone", "line", "reason", "line", "reason"]),
            2
        );
        assert_eq!(width(&["name", "reason"]), 2);
    }
}

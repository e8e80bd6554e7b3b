//! Stores a file and its rows until an admin starts the import.

use serde_json::json;

use super::file::parse_encoding;
use super::flagged::count_rows;
use super::job::{Import, find};
use super::preview::{ImportPreview, preview_import};
use super::problems;
use crate::db::WorkspaceTx;
use crate::domain::contacts::fields;
use crate::domain::members::Admin;
use crate::domain::workspaces;
use crate::error::Result;
use crate::ids::ImportId;
use crate::sheet::{self, Sheet};

/// Stores a file until an admin starts the import. Five round trips, and two for each 5,000 rows.
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
    let counts = count_rows(tx, &checked.rows).await?;
    sqlx::query!(
        "insert into contact_imports (id, file_name, encoding, delimiter, columns, mapping, region, total, created_by_name,
                                      file, forms, problems, left_out, new_rows, duplicate_rows, invalid_rows, flagged)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
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
        counts.new_rows,
        counts.duplicate_rows,
        counts.invalid_rows,
        counts.stored(),
    )
    .execute(tx.conn())
    .await?;
    keep_rows(tx, id, &sheet).await?;
    find(tx, admin, id).await
}

pub(super) fn delimiter(sheet: &Sheet) -> String {
    sheet.delimiter.map_or(String::new(), String::from)
}

pub(super) fn total(sheet: &Sheet) -> i32 {
    i32::try_from(sheet.rows.len()).unwrap_or(i32::MAX)
}

pub(super) async fn keep_rows(tx: &mut WorkspaceTx, id: ImportId, sheet: &Sheet) -> Result<()> {
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

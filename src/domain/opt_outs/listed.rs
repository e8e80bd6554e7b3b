//! Everybody who opted out, for people to look through and to take elsewhere.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::Source;
use crate::db::WorkspaceTx;
use crate::domain::members::Admin;
use crate::error::{Error, Result};
use crate::ids::{ContactId, NumberId};
use crate::listing::{Cursor, Page, Span, page};

/// Who may not be texted from which number, and how we know.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct OptOut {
    pub contact_id: ContactId,
    pub contact_name: Option<String>,
    pub phone_number: String,
    pub number_id: NumberId,
    /// Our number.
    pub number: String,
    pub source: Source,
    /// Their words, the provider's code, the agent's reason, or the file.
    pub proof: String,
    pub created_at: DateTime<Utc>,
    #[serde(skip)]
    key: Uuid,
}

/// The newest first.
pub async fn list(tx: &mut WorkspaceTx, _: &Admin, span: &Span) -> Result<Page<OptOut>> {
    let (limit, after) = (span.limit()?, span.cursor()?);
    let rows = newest(tx, after, limit + 1).await?;
    Ok(page(rows, limit, |row: &OptOut| Cursor {
        at: row.created_at,
        id: row.key,
    }))
}

/// A pair has no id of its own; one made of both tells two of the same moment apart.
async fn newest(tx: &mut WorkspaceTx, after: Option<Cursor>, most: i64) -> Result<Vec<OptOut>> {
    Ok(sqlx::query_as!(
        OptOut,
        r#"select o.contact_id as "contact_id: ContactId", c.name as contact_name, c.phone_number,
                  o.number_id as "number_id: NumberId", n.phone_number as number, o.source as "source: Source", o.proof,
                  o.created_at, md5(o.contact_id::text || o.number_id::text)::uuid as "key!"
             from opt_outs o
             join contacts c on c.workspace_id = o.workspace_id and c.id = o.contact_id
             join numbers n on n.workspace_id = o.workspace_id and n.id = o.number_id
            where $1::timestamptz is null
               or (o.created_at, md5(o.contact_id::text || o.number_id::text)::uuid) < ($1, $2::uuid)
            order by o.created_at desc, md5(o.contact_id::text || o.number_id::text)::uuid desc
            limit $3"#,
        after.map(|cursor| cursor.at),
        after.map(|cursor| cursor.id),
        most,
    )
    .fetch_all(tx.conn())
    .await?)
}

/// All of them as a table that [`import`](super::import) reads again.
pub async fn export(tx: &mut WorkspaceTx, _: &Admin) -> Result<Vec<u8>> {
    let broken = |error: csv::Error| Error::Internal(error.to_string());
    let mut table = csv::Writer::from_writer(Vec::new());
    let head = ["phone_number", "number", "reason", "at", "source", "name"];
    table.write_record(head).map_err(broken)?;
    for row in newest(tx, None, i64::MAX).await? {
        let cells = [
            guarded(&row.phone_number),
            guarded(&row.number),
            guarded(&row.proof),
            row.created_at.to_rfc3339_opts(SecondsFormat::Micros, true),
            row.source.to_string(),
            guarded(row.contact_name.as_deref().unwrap_or_default()),
        ];
        table.write_record(&cells).map_err(broken)?;
    }
    table
        .into_inner()
        .map_err(|error| Error::Internal(error.to_string()))
}

/// What a spreadsheet would take for a formula gets an apostrophe before it. A phone number is none, whatever it begins with.
fn guarded(cell: &str) -> String {
    let is_formula = cell
        .trim_start()
        .starts_with(['=', '+', '-', '@', '\t', '\r']);
    let is_number = cell
        .strip_prefix('+')
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    match is_formula && !is_number {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn a_formula_is_none_any_more_and_a_number_stays_one() {
        for formula in ["=1+1", "+SUM(A1)", "-2+3", "@cmd", " =1", "\t=1", "+1|cmd"] {
            assert!(guarded(formula).starts_with('\''), "{formula}");
        }
        for plain in ["+14155550192", "STOP", "", "22333", "it's"] {
            assert_eq!(guarded(plain), plain);
        }
    }
}
